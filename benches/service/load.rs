//! Sends requests over several connections, at full speed or at a fixed rate.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::wire::Wire;

/// What the requests do, and what each answer must contain.
#[derive(Clone, Copy)]
pub struct Expected {
    pub status: u16,
    pub word: &'static str,
}

/// The answers to a batch of requests.
pub struct Answers {
    /// From the first request to the last answer.
    pub took: Duration,
    /// For each request the time to its answer: at a fixed rate from the instant that it was due, so that an answer that
    /// is late also counts for the requests that had to wait for it.
    pub latencies: Vec<Duration>,
    /// The answers, in the order of the requests.
    pub bodies: Vec<String>,
}

/// Sends every request once. With a `rate`, each is due at its instant; else as soon as a connection is free.
pub fn send(
    address: &str,
    connections: usize,
    rate: Option<usize>,
    requests: &[String],
    expected: Expected,
) -> Answers {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(requests.len()));
    let wires: Vec<Wire> = (0..connections)
        .map(|_| Wire::new(TcpStream::connect(address).unwrap_or_else(|e| panic!("no server at {address}: {e}"))))
        .collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for mut wire in wires {
            let (next, answers) = (&next, &answers);
            scope.spawn(move || {
                let mut mine = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(n) else { break };
                    let due = match rate {
                        Some(rate) => start + Duration::from_secs_f64(n as f64 / rate as f64),
                        None => Instant::now(),
                    };
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    wire.send(request.as_bytes());
                    let body = wire.receive(|response| {
                        let is_expected = response.status() == expected.status && response.body.contains(expected.word);
                        assert!(is_expected, "{request}\n{}\n{}", response.first_line, response.body);
                        response.body.to_owned()
                    });
                    mine.push((n, due.elapsed(), body.expect("an answer")));
                }
                answers.lock().expect("no panic").extend(mine);
            });
        }
    });
    let took = start.elapsed();
    let mut answers = answers.into_inner().expect("no panic");
    answers.sort_unstable_by_key(|(n, ..)| *n);
    let (latencies, bodies) = answers.into_iter().map(|(_, latency, body)| (latency, body)).unzip();
    Answers { took, latencies, bodies }
}
