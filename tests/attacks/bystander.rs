//! Clients that have nothing to do with an attack, and measure what it costs them.
//!
//! Each has a thread and blocking sockets of its own. In the runtime of the attack its requests would queue behind the
//! attack's own tasks, and it would measure the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;

use crate::fleet::authorization;
use crate::support::Answer;

/// The time between the starts of two requests.
const EVERY: Duration = Duration::from_millis(100);

/// A client at work in a thread of its own.
pub struct Bystander {
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Answer, Duration)>>,
}

impl Bystander {
    /// Posts each body to its path, one after the other, as number `n` of `count` clients whose requests alternate.
    ///
    /// Clients with an odd number open a connection for each request. A request that is due while the one before it waits
    /// is measured from when it was due, because one stall delays both.
    pub fn start(url: &str, n: usize, count: usize, requests: Vec<(String, String)>) -> Self {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (url.trim_start_matches("http://").to_owned(), Arc::clone(&is_stopped));
        let thread = std::thread::spawn(move || {
            let (mut connection, mut measured) = (None, Vec::new());
            let mut due = Instant::now() + EVERY.mul_f64(n as f64 / count as f64);
            for (path, body) in requests {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                // A thread that the system wakes late is not the service's fault.
                let start = if measured.last().is_some_and(|(_, end)| *end > due) { due } else { Instant::now() };
                let mut stream = connection.take().unwrap_or_else(|| connect(&address));
                let answer = post(&mut stream, &path, &body);
                let end = Instant::now();
                measured.push(((answer, end - start), end));
                connection = n.is_multiple_of(2).then_some(stream);
                due += EVERY;
            }
            measured.into_iter().map(|(measured, _)| measured).collect()
        });
        Self { is_stopped, thread }
    }

    /// Ends it after its current request. Returns the answers, each with the time that it took.
    pub fn stop(self) -> Vec<(Answer, Duration)> {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until all requests are answered.
    pub fn finish(self) -> Vec<(Answer, Duration)> {
        self.thread.join().unwrap()
    }
}

fn connect(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

fn post(stream: &mut BufReader<TcpStream>, path: &str, body: &str) -> Answer {
    let (key, length) = (authorization(), body.len());
    let head = format!("POST {path} HTTP/1.1\r\nHost: service\r\n{key}Content-Type: application/json\r\n");
    stream.get_mut().write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut next_line = || {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "{path}: the answer ends early");
        line.trim_end().to_owned()
    };
    let status = next_line().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    while let Some((name, value)) = next_line().split_once(": ") {
        headers.insert(name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let length = headers["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Answer { status, headers, body: serde_json::from_slice(&body).unwrap() }
}
