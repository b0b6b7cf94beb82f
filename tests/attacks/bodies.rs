//! Bodies that are as large as they may be, or larger, or have no end, many at a time: memory stays flat.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fleet::{Fleet, authorization};
use crate::raw::connect;
use crate::support::client;

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

/// More than are waited for, each with all of a body but its end.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_held_back_are_not_waited_for() {
    const SIGNED: usize = 200;
    const UNSIGNED: usize = 100;
    let fleet = Fleet::start(1, &[]).await;
    let service = fleet.service(0);
    let before = service.process.memory();
    let held = tokio::spawn(join_all((0..SIGNED).map(|_| hold(service.url.clone(), SIGNATURE))));
    let unsigned = join_all((0..UNSIGNED).map(|_| hold(service.url.clone(), ""))).await;
    assert!(unsigned.iter().all(|told| told.contains(" 401 ")), "without a signature none is waited for");
    // Whatever others hold, one that comes whole is read: its signature is looked at.
    for _ in 0..20 {
        let (url, body) = (format!("{}/plivo/message", service.url), "MessageUUID=x&Status=sent");
        let sent = client().post(url).header("X-Plivo-Signature-V3", "x").header("X-Plivo-Signature-V3-Nonce", "1");
        let whole = sent.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        assert_eq!(whole.status(), 401);
    }
    let grown = service.process.memory().saturating_sub(before);
    let told = held.await.unwrap();
    let (crowded, late) = (count(&told, "too many others"), count(&told, "in 10 s"));
    println!(
        "held bodies: {SIGNED} with a signature at once, {late} waited for and {crowded} not, {UNSIGNED} without one; memory +{} MiB",
        grown >> 20
    );
    assert_eq!((late + crowded, crowded >= SIGNED - 128), (SIGNED, true));
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
}

fn count(told: &[String], part: &str) -> usize {
    told.iter().filter(|told| told.contains(" 408 ") && told.contains(part)).count()
}

const SIGNATURE: &str = "X-Plivo-Signature-V3: x\r\n";

/// What it is told.
async fn hold(url: String, header: &str) -> String {
    let length = 65_536;
    let head = format!("POST /plivo/message HTTP/1.1\r\nHost: x\r\n{header}Content-Type: application/json\r\n");
    let mut stream = connect(&url).await;
    let all_but_its_end = format!("{head}Content-Length: {length}\r\n\r\n{}", " ".repeat(length - 6));
    stream.write_all(all_but_its_end.as_bytes()).await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 2048]);
    while !answer.ends_with(b"}") {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(answer).unwrap()
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
