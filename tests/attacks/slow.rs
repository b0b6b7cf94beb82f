//! Thousands of connections that send slowly or not at all.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fleet::{Fleet, Times, authorization, ratio};
use crate::raw::connect;
use crate::world::Service;

/// The service's 30 s, and a margin for a loaded machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_served_beside_hundreds_of_slow_connections() {
    slow(300, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn clients_are_served_beside_thousands_of_slow_connections() {
    slow(2_000, Some(Duration::from_millis(500))).await;
}

/// `within`: the allowed 99th percentile of other clients. Only the full size, which runs alone, sets it.
async fn slow(sockets: usize, within: Option<Duration>) {
    let fleet = Fleet::start(1, &[]).await;
    let service = fleet.service(0);
    let before = measure(service, 200).await;
    let memory = service.process.memory();
    let mut streams = Vec::new();
    for n in 0..sockets {
        // With pauses: the kernel drops connections that overflow its queue, and a silent client does not notice.
        streams.push((n, connect(&service.url).await));
        if n % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let held = tokio::spawn(join_all(streams.into_iter().map(|(n, stream)| dribble(stream, n))));
    // All of them are open now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = measure(service, 200).await;
    let grown = service.process.memory().saturating_sub(memory);
    let held = held.await.unwrap();
    let open = held.iter().filter(|socket| socket.took >= CLOSED_WITHIN).collect::<Vec<_>>();
    assert!(open.is_empty(), "{} connections stayed open: {:?}", open.len(), open.first());
    let longest = held.iter().map(|socket| socket.took).max().unwrap();
    let slower = ratio(during.median(), before.median());
    println!(
        "slow sockets: {sockets}, the last closed after {:.1} s; other clients p50 {:.1} -> {:.1} ms, p99 {:.1} -> {:.1} ms \
         ({slower:.1} times at the median); memory +{} MiB",
        longest.as_secs_f64(),
        before.median().as_secs_f64() * 1e3,
        during.median().as_secs_f64() * 1e3,
        before.percentile(99).as_secs_f64() * 1e3,
        during.percentile(99).as_secs_f64() * 1e3,
        grown >> 20,
    );
    assert!(slower < 20.0, "other clients wait {slower:.1} times as long");
    let p99 = during.percentile(99);
    assert!(within.is_none_or(|within| p99 < within), "the 99th percentile is {p99:?}");
    assert!(grown < 64 << 20, "{grown} bytes more");
}

/// Holds a connection until it is closed: a third dribbles a head, a third a body, a third sends nothing.
async fn dribble(mut stream: TcpStream, n: usize) -> Socket {
    let start = Instant::now();
    let (mut from, mut to) = stream.split();
    let key = authorization();
    let opening = match n % 3 {
        0 => "GET /livez HTTP/1.1\r\nX: ".to_owned(),
        1 => format!(
            "POST /v1/verifications HTTP/1.1\r\nHost: x\r\n{key}Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        ),
        _ => String::new(),
    };
    let dribbling = async {
        let _ = to.write_all(opening.as_bytes()).await;
        while n % 3 < 2 && to.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = from.read_to_end(&mut answer) => {}
        () = dribbling => {}
        () = tokio::time::sleep(CLOSED_WITHIN) => {}
    }
    Socket { opening, took: start.elapsed(), answer: String::from_utf8_lossy(&answer).into_owned() }
}

/// A held connection and its end.
#[derive(Debug)]
#[expect(dead_code, reason = "shown when a test fails")]
struct Socket {
    opening: String,
    answer: String,
    took: Duration,
}

async fn measure(service: &Service, requests: usize) -> Times {
    let mut times = Vec::new();
    for n in 0..requests {
        let start = Instant::now();
        let answer = service.get(if n % 2 == 0 { "/v1/verifications?limit=1" } else { "/v1/routes" }).await;
        assert_eq!(answer.status, 200);
        times.push(start.elapsed());
    }
    Times::of(times)
}
