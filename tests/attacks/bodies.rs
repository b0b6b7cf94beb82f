//! Many bodies of the greatest size, above it, or without an end: memory stays flat.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fleet::{Fleet, authorization};
use crate::raw::connect;
use crate::support::client;

/// Bytes by which the service's memory may grow.
const GROWTH_MAX: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn endless_bodies_take_no_memory() {
    attack(60).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn hundreds_of_endless_bodies_take_no_memory() {
    attack(500).await;
}

/// More incomplete bodies than the service awaits, each complete but for its last bytes.
#[tokio::test(flavor = "multi_thread")]
async fn incomplete_callback_bodies_are_awaited_only_up_to_a_bound() {
    const SIGNED: usize = 200;
    const UNSIGNED: usize = 100;
    let fleet = Fleet::start(1, &[]).await;
    let service = fleet.service(0);
    let before = service.process.memory();
    let held = tokio::spawn(join_all((0..SIGNED).map(|_| hold(service.url.clone(), SIGNATURE))));
    let unsigned = join_all((0..UNSIGNED).map(|_| hold(service.url.clone(), ""))).await;
    assert!(unsigned.iter().all(|answer| answer.contains(" 401 ")), "an unsigned callback is refused before its body");
    // A complete callback is still read, and its signature checked.
    for _ in 0..20 {
        let (url, body) = (format!("{}/plivo/message", service.url), "MessageUUID=x&Status=sent");
        let sent = client().post(url).header("X-Plivo-Signature-V3", "x").header("X-Plivo-Signature-V3-Nonce", "1");
        let whole = sent.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await.unwrap();
        assert_eq!(whole.status(), 401);
    }
    let grown = service.process.memory().saturating_sub(before);
    let answers = held.await.unwrap();
    let (crowded, late) = (count(&answers, "busy with slow requests"), count(&answers, "in 10 s"));
    println!(
        "held bodies: {SIGNED} with a signature at once, {late} awaited and {crowded} not, {UNSIGNED} without one; memory +{} MiB",
        grown >> 20
    );
    assert_eq!((late + crowded, crowded >= SIGNED - 128), (SIGNED, true));
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
}

fn count(answers: &[String], part: &str) -> usize {
    answers.iter().filter(|answer| answer.contains(" 408 ") && answer.contains(part)).count()
}

const SIGNATURE: &str = "X-Plivo-Signature-V3: x\r\n";

/// Sends an incomplete body and returns the answer.
async fn hold(url: String, header: &str) -> String {
    let length = 65_536;
    let head = format!("POST /plivo/message HTTP/1.1\r\nHost: x\r\n{header}Content-Type: application/json\r\n");
    let mut stream = connect(&url).await;
    let incomplete = format!("{head}Content-Length: {length}\r\n\r\n{}", " ".repeat(length - 6));
    stream.write_all(incomplete.as_bytes()).await.unwrap();
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

/// Sends until the service stops it, for two seconds at most, and returns the bytes sent.
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
