//! Bodies that are as large as they may be, or larger, or have no end, many at a time: memory stays flat.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fleet::{Fleet, authorization};
use crate::raw::connect;

/// What the service may grow by.
const GROWTH_MAX: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_end_take_no_memory() {
    attack(60).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn hundreds_of_bodies_without_end_take_no_memory() {
    attack(500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_held_back_are_not_waited_for() {
    hold(100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn hundreds_of_bodies_that_are_held_back_take_no_memory() {
    hold(540).await;
}

/// More than the strangers that are waited for, each with all of a body but its end.
async fn hold(at_once: usize) {
    let fleet = Fleet::start(1, &[]).await;
    let service = fleet.service(0);
    let before = service.process.memory();
    let started = Instant::now();
    let statuses = join_all((0..at_once).map(|n| held(service.url.clone(), n))).await;
    let grown = service.process.memory().saturating_sub(before);
    let told = |wanted: &str| statuses.iter().filter(|(status, _)| status == wanted).count();
    let waited_for = statuses.iter().filter(|(_, after)| *after > Duration::from_secs(8)).count();
    println!(
        "held bodies: {at_once} at once, {} told 401, {} told 408, {waited_for} of them waited for, until {:.1} s; memory +{} MiB",
        told("401"),
        told("408"),
        started.elapsed().as_secs_f64(),
        grown >> 20
    );
    // Those without a signature are not waited for at all, the others so many at once.
    assert_eq!((told("401"), told("408")), (at_once / 2, at_once / 2));
    assert_eq!(waited_for, (at_once / 2).min(256));
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    // One that comes whole is served whatever others hold.
    assert_eq!(service.get("/v1/verifications").await.status, 200);
}

/// The status it is told, and after how long.
async fn held(url: String, n: usize) -> (String, Duration) {
    let (path, header) = [("message", "X-Plivo-Signature-V3: x\r\n"), ("call", "")][n % 2];
    let length = 65_536;
    let head = format!("POST /plivo/{path} HTTP/1.1\r\nHost: x\r\n{header}Content-Type: application/json\r\n");
    let mut stream = connect(&url).await;
    let all_but_its_end = format!("{head}Content-Length: {length}\r\n\r\n{}", " ".repeat(length - 6));
    let started = Instant::now();
    stream.write_all(all_but_its_end.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    (String::from_utf8_lossy(&answer[9..]).into_owned(), started.elapsed())
}

async fn attack(at_once: usize) {
    let fleet = Fleet::start(1, &[]).await;
    let service = fleet.service(0);
    let before = service.process.memory();
    let sending = tokio::spawn(join_all((0..at_once).map(|n| send(service.url.clone(), n))));
    let mut most = before;
    while !sending.is_finished() {
        most = most.max(service.process.memory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sent: u64 = sending.await.unwrap().into_iter().sum();
    println!("bodies: {at_once} at once, {} MiB sent; memory +{} MiB at most", sent >> 20, (most - before) >> 20);
    assert!(most - before < GROWTH_MAX, "{} bytes more", most - before);
    assert_eq!(service.get("/v1/verifications").await.status, 200);
}

/// Sends for as long as it is let, two seconds at most, and returns how much that was.
async fn send(url: String, n: usize) -> u64 {
    let key = if n % 4 < 2 { authorization() } else { String::new() };
    let encoding = if n.is_multiple_of(3) { "Content-Encoding: gzip\r\n" } else { "" };
    let path = if n.is_multiple_of(2) { "/v1/verifications" } else { "/plivo/message" };
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{key}{encoding}Content-Type: application/json\r\n");
    let (head, piece) = match n % 5 {
        0 => (format!("{head}Content-Length: 65536\r\n\r\n"), "[".repeat(4096)),
        1 => (format!("{head}Content-Length: 99999999999\r\n\r\n"), "[".repeat(65_536)),
        _ => (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), format!("10000\r\n{}\r\n", " ".repeat(65_536))),
    };
    let mut stream = connect(&url).await;
    let (mut from, mut to) = stream.split();
    let mut sent = 0;
    let sending = async {
        let _ = to.write_all(head.as_bytes()).await;
        while to.write_all(piece.as_bytes()).await.is_ok() {
            sent += piece.len() as u64;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = from.read_to_end(&mut answer) => {}
        () = sending => {}
        () = tokio::time::sleep(Duration::from_secs(2)) => {}
    }
    sent
}
