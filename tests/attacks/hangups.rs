//! Clients that disconnect at any moment. Redis' answer to one request must never reach another client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fleet::{Fleet, Times, authorization};
use crate::raw::connect;
use crate::residue;
use crate::support::Answer;
use crate::world::Service;

/// Clients at once: more than the connections to Redis, and no more than a busy machine can serve.
const AT_ONCE: usize = 8;
const KNOWN: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_wait_get_their_own_answers() {
    storm(3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn clients_that_wait_get_their_own_answers_in_a_long_storm() {
    storm(20_000).await;
}

/// A verification that exists before the storm.
struct Known {
    id: String,
    mark: String,
}

async fn storm(requests: usize) {
    // Few connections to Redis, so that many share one.
    let settings = [("REDIS_POOL_SIZE", "2"), ("ESCALATION", "never"), ("PLIVO_WAIT", "0"), ("RUST_LOG", "info")];
    let fleet = Fleet::start(2, &settings).await;
    let opening = (0..KNOWN).map(|n| open(fleet.service(n), n));
    let known = join_all(opening).await;
    let start = Instant::now();
    let each = requests / AT_ONCE / 2;
    let clients = join_all((0..AT_ONCE).map(|n| run_client(fleet.service(n), &known, each, n))).await;
    let (left, times): (Vec<usize>, Vec<Vec<Duration>>) = clients.into_iter().unzip();
    let (left, times) = (left.into_iter().sum::<usize>(), Times::of(times.concat()));
    for service in &fleet.services {
        service.until_ready().await;
    }
    let mut needles = residue::needles();
    (0..KNOWN).for_each(|n| needles.number(&known_number(n)));
    residue::assert_clean(&fleet, &needles).await;
    let busy = BUSY.load(Ordering::Relaxed);
    assert!(busy * 50 < requests, "{busy} times 503");
    println!(
        "hang-ups: {} requests in {:.1} s, {left} abandoned by their client; every other answer was its client's own, \
         {busy} answered 503, p50 {:.1} ms, p99 {:.1} ms",
        2 * each * AT_ONCE,
        start.elapsed().as_secs_f64(),
        times.median().as_secs_f64() * 1e3,
        times.percentile(99).as_secs_f64() * 1e3,
    );
}

fn known_number(n: usize) -> String {
    format!("+1415555{:04}", 2000 + n)
}

async fn open(service: &Service, n: usize) -> Known {
    let (mark, to) = (format!("known-{n}"), known_number(n));
    let created =
        service.create(&to, json!({ "metadata": { "mark": mark }, "code": format!("{:06}", 100_000 + n) })).await;
    Known { id: created.id().to_owned(), mark }
}

/// Abandons and awaits a request in turn, so that the load stays bounded.
///
/// Returns how many were abandoned before their answer, and the latencies of the others.
async fn run_client(service: &Service, known: &[Known], times: usize, n: usize) -> (usize, Vec<Duration>) {
    let mut rng = StdRng::seed_from_u64(n as u64);
    let (mut left, mut took) = (0, Vec::with_capacity(times));
    for turn in 0..times {
        left += usize::from(abandon(service, known, &mut rng, n * times + turn).await);
        let start = Instant::now();
        wait(service, known, &mut rng, n * times + turn).await;
        took.push(start.elapsed());
    }
    (left, took)
}

/// Sends a request and disconnects around the time of its answer. Returns whether that was before the answer.
async fn abandon(service: &Service, known: &[Known], rng: &mut StdRng, serial: usize) -> bool {
    let (id, key) = (&known[rng.random_range(0..known.len())].id, authorization());
    let post = |path: &str, body: &Value| {
        let (body, kind) = (body.to_string(), "Content-Type: application/json\r\n");
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: x\r\n{key}{kind}Content-Length: {length}\r\n\r\n{body}")
    };
    let request = match rng.random_range(0..10) {
        0..3 => post("/v1/verifications", &json!({ "to": number("212", serial), "metadata": { "mark": "left" } })),
        3..5 => post(&format!("/v1/verifications/{id}/activity"), &json!({ "kind": "typing" })),
        5 => format!("GET /v1/verifications?limit=5 HTTP/1.1\r\nHost: x\r\n{key}\r\n"),
        _ => format!("GET /v1/verifications/{id} HTTP/1.1\r\nHost: x\r\n{key}\r\n"),
    };
    let mut stream = connect(&service.url).await;
    if rng.random_bool(0.5) {
        // Close with a reset instead of an orderly shutdown.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let part = if rng.random_bool(0.1) { rng.random_range(0..request.len()) } else { request.len() };
    stream.write_all(&request.as_bytes()[..part]).await.unwrap();
    tokio::time::sleep(Duration::from_micros(rng.random_range(0..6_000))).await;
    let mut first = [0; 1];
    !matches!(tokio::time::timeout(Duration::ZERO, stream.read(&mut first)).await, Ok(Ok(1)))
}

/// Sends a request, awaits the answer, and asserts that it belongs to the request.
async fn wait(service: &Service, known: &[Known], rng: &mut StdRng, serial: usize) {
    let one = &known[rng.random_range(0..known.len())];
    match rng.random_range(0..10) {
        0 => {
            let mark = serial.to_string();
            let body = json!({ "to": number("310", serial), "metadata": { "mark": mark } });
            let created = ask(service, "POST", "/v1/verifications", body).await;
            assert_own(&created, created.id(), &mark);
            let read = ask(service, "GET", &format!("/v1/verifications/{}", created.id()), Value::Null).await;
            assert_own(&read, created.id(), &mark);
        }
        1 => {
            let path = format!("/v1/verifications/{}/activity", one.id);
            assert_own(&ask(service, "POST", &path, json!({ "kind": "received" })).await, &one.id, &one.mark);
        }
        _ => {
            let path = format!("/v1/verifications/{}", one.id);
            assert_own(&ask(service, "GET", &path, Value::Null).await, &one.id, &one.mark);
        }
    }
}

/// How often a service answered 503. On a loaded machine that is correct.
static BUSY: AtomicUsize = AtomicUsize::new(0);

async fn ask(service: &Service, method: &str, path: &str, body: Value) -> Answer {
    for _ in 0..10 {
        let answer = service.send(method, path, body.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        answer.assert_problem(503, "storage_unavailable");
        BUSY.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("{method} {path} is never served");
}

/// A number in an area, different for each serial number.
fn number(area: &str, serial: usize) -> String {
    format!("+1{area}{}{:04}", 200 + serial / 10_000, serial % 10_000)
}

#[track_caller]
fn assert_own(answer: &Answer, id: &str, mark: &str) {
    assert!(answer.status < 300, "{answer:?}");
    assert_eq!((answer.id(), answer.body["metadata"]["mark"].as_str().unwrap()), (id, mark), "{answer:?}");
}
