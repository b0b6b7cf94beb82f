//! Sockets that are opened and not used, in great numbers.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fleet::{Fleet, Times, authorization, ratio};
use crate::raw::{ask, connect};
use crate::world::{Process, Service, free_port, until};

/// Thirty seconds, and what a machine that has other things to do adds to them.
const CLOSED_WITHIN: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_while_hundreds_are_slow() {
    slow(300, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn others_are_served_while_thousands_are_slow() {
    slow(2_000, Some(Duration::from_millis(500))).await;
}

/// `within`: what all but one in a hundred of the others wait at most. Told only at full size, with nothing beside it.
async fn slow(sockets: usize, within: Option<Duration>) {
    let fleet = Fleet::start(1, &[]).await;
    let service = fleet.service(0);
    let before = serve(service, 200).await;
    let memory = service.process.memory();
    let mut streams = Vec::new();
    for n in 0..sockets {
        // One after the other: what the kernel's queue has no place for is lost, and a silent one does not hear of it.
        streams.push((n, connect(&service.url).await));
        if n % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let held = tokio::spawn(join_all(streams.into_iter().map(|(n, stream)| dribble(stream, n))));
    // While they are all there.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = serve(service, 200).await;
    let grown = service.process.memory().saturating_sub(memory);
    let held = held.await.unwrap();
    let left = held.iter().filter(|socket| socket.took >= CLOSED_WITHIN).collect::<Vec<_>>();
    assert!(left.is_empty(), "{} of them stayed open: {:?}", left.len(), left.first());
    let longest = held.iter().map(|socket| socket.took).max().unwrap();
    let slower = ratio(during.median(), before.median());
    println!(
        "slow sockets: {sockets}, the last closed after {:.1} s; others p50 {:.1} -> {:.1} ms, p99 {:.1} -> {:.1} ms \
         ({slower:.1} times at the median); memory +{} MiB",
        longest.as_secs_f64(),
        before.median().as_secs_f64() * 1e3,
        during.median().as_secs_f64() * 1e3,
        before.under(99).as_secs_f64() * 1e3,
        during.under(99).as_secs_f64() * 1e3,
        grown >> 20,
    );
    assert!(slower < 20.0, "others wait {slower:.1} times as long");
    let p99 = during.under(99);
    assert!(within.is_none_or(|within| p99 < within), "one in a hundred waits {p99:?}");
    assert!(grown < 64 << 20, "{grown} bytes more");
}

/// Sends a little now and then until it is closed; a third of them head, a third body, a third nothing.
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
    Socket { began: opening, took: start.elapsed(), answer: String::from_utf8_lossy(&answer).into_owned() }
}

/// One of them, and what came of it.
#[derive(Debug)]
#[expect(dead_code, reason = "told when a test fails")]
struct Socket {
    began: String,
    answer: String,
    took: Duration,
}

async fn serve(service: &Service, requests: usize) -> Times {
    let mut times = Vec::new();
    for n in 0..requests {
        let start = Instant::now();
        let answer = service.get(if n % 2 == 0 { "/v1/verifications?limit=1" } else { "/v1/routes" }).await;
        assert_eq!(answer.status, 200);
        times.push(start.elapsed());
    }
    Times::of(times)
}

/// Files that a process may open; the program leaves itself room for a quarter as many connections.
const FILES: u32 = 600;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn more_connections_than_there_may_be_wait_until_others_are_closed() {
    let settings = [("REDIS_URL", "memory://"), ("RUST_LOG", "warn")];
    let (process, url) = loop {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut env = crate::world::defaults();
        env.extend([("BIND".into(), format!("127.0.0.1:{port}")), ("PUBLIC_URL".into(), url.clone())]);
        env.extend([("PLIVO_API_URL".into(), url.clone()), ("PLIVO_PHLO_URL".into(), url.clone())]);
        env.retain(|(name, _)| settings.iter().all(|(set, _)| set != name));
        env.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut process = Process::start_with_files(FILES, &["serve"], &env);
        let http = crate::support::client();
        let mut is_live = false;
        until("started", async || {
            is_live = http.get(format!("{url}/livez")).send().await.is_ok();
            is_live || process.ended().is_some()
        })
        .await;
        if is_live {
            break (process, url);
        }
    };
    let silent = join_all((0..500).map(|_| connect(&url))).await;
    let start = Instant::now();
    let request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = ask(&url, request, Duration::from_secs(120)).await.expect("it is served in the end");
    let waited = start.elapsed();
    println!(
        "connections: 500 silent ones at a process of {FILES} files; the next waited {:.1} s",
        waited.as_secs_f64()
    );
    assert_eq!(answer.status, 200);
    assert!(waited < Duration::from_secs(60), "{waited:?}");
    assert!(!process.log().contains("\"ERROR\""), "{}", process.log());
    drop(silent);
}
