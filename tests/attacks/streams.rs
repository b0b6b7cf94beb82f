//! Thousands of viewers follow verifications.
//!
//! None costs a connection to Redis, each costs little memory, and each learns of the end.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fleet::{Fleet, authorization};
use crate::kills::numbers;
use crate::raw::connect;

/// Viewers of one verification; the service allows 8.
const VIEWERS: usize = 5;
const CODE: &str = "042917";
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn viewers_cost_no_connection_to_redis() {
    follow(100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn two_thousand_viewers_take_less_than_a_hundred_megabytes() {
    let memory = follow(2_000).await;
    assert!(memory < 100 << 20, "{memory} bytes");
}

/// Returns how much memory the service holds with all streams open.
async fn follow(viewers: usize) -> u64 {
    let fleet = Fleet::start(1, &[("TRUSTED_PROXIES", "127.0.0.1"), ("ESCALATION", "never")]).await;
    let service = fleet.service(0);
    let mut ids = Vec::new();
    for to in numbers().take(viewers / VIEWERS) {
        ids.push(service.create(&to, json!({ "code": CODE })).await.id().to_owned());
    }
    let clients = |fleet: &Fleet| {
        let info = fleet.redis.command(&["INFO", "clients"]);
        let count =
            info.split_once("connected_clients:").and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
        count.unwrap_or_else(|| panic!("{info}"))
    };
    let (clients_before, before): (usize, _) = (clients(&fleet), service.process.memory());
    let mut streams = Vec::new();
    for id in ids.iter().flat_map(|id| std::iter::repeat_n(id, VIEWERS)) {
        let mut stream = connect(&service.url).await;
        let key = authorization();
        let request = format!("GET /v1/verifications/{id}/stream HTTP/1.1\r\nHost: x\r\n{key}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut stream, "event: verification").await;
        streams.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = service.process.memory();
    let clients_during = clients(&fleet);
    let start = Instant::now();
    let ends = streams.iter_mut().map(|stream| read_until(stream, r#""status":"verified""#));
    let checks = async {
        for id in &ids {
            assert_eq!(service.check(id, CODE).await.status, 200, "{id}");
        }
        start.elapsed()
    };
    let (_, checked) = tokio::join!(join_all(ends), checks);
    println!(
        "streams: {viewers} open, {} MiB with them, {} MiB before; connections to Redis {clients_before} -> {clients_during}; all \
         told {:.1} s after the last of {} checks",
        during >> 20,
        before >> 20,
        start.elapsed().saturating_sub(checked).as_secs_f64(),
        ids.len(),
    );
    // The count's own connection comes and goes.
    assert!(clients_during <= clients_before + 2, "{clients_before} -> {clients_during}");
    during
}

async fn read_until(stream: &mut TcpStream, wanted: &str) {
    let reading = async {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(wanted) {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {wanted}"));
}
