//! Every command that a Redis runs, as `MONITOR` shows it.
//!
//! `INFO` counts commands too, but not for whom: the timers of a service would count with its requests.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::redis_server::RedisServer;

/// The command that marks a place in the list, and the one by which the test runs scripts. The service uses neither.
const MARK: &str = "ECHO";
const OF_TEST: &str = "EVAL";

/// One command of a client, with the commands that its script ran.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// The command, its script and the kinds of its keys: equal for equal work on other verifications.
    pub(super) kind: String,
    /// The command itself, and those inside its script.
    pub(super) commands: usize,
}

/// A connection that reads `MONITOR`.
pub(super) struct Monitor {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    exchanges: Vec<Exchange>,
    /// Whether the last script was the test's.
    is_of_test: bool,
    /// Marks seen, and the number of exchanges before the last one.
    marks: usize,
    marked_at: usize,
}

impl Monitor {
    pub(super) fn start(redis: &RedisServer) -> Self {
        let mut lines = BufReader::new(redis.send(&["MONITOR"])).split(b'\n');
        let started = lines.next().unwrap().unwrap();
        assert!(started.starts_with(b"+OK"), "MONITOR is refused");
        let seen = Arc::<Mutex<Seen>>::default();
        let written = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().add(&String::from_utf8_lossy(&line));
            }
        });
        Self { seen }
    }

    /// The number of exchanges so far. All commands that Redis ran before this call are counted.
    pub(super) async fn mark(&self, redis: &RedisServer) -> usize {
        let before = self.seen.lock().unwrap().marks;
        redis.command(&[MARK, "mark"]);
        loop {
            {
                let seen = self.seen.lock().unwrap();
                if seen.marks > before {
                    return seen.marked_at;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The exchanges from one mark to another.
    pub(super) fn between(&self, from: usize, to: usize) -> Vec<Exchange> {
        self.seen.lock().unwrap().exchanges[from..to].to_vec()
    }
}

impl Seen {
    /// A line is `+1764498738.123456 [0 127.0.0.1:50000] "GET" "key"`, with `lua` for the address inside a script.
    fn add(&mut self, line: &str) {
        let Some((head, words)) = line.split_once("] ") else { return };
        let words: Vec<&str> = words.trim().split("\" \"").map(|word| word.trim_matches('"')).collect();
        let name = words[0].to_uppercase();
        if head.ends_with("lua") {
            // Redis shows a script before the commands in it, and runs nothing else meanwhile.
            if let Some(script) = self.exchanges.last_mut().filter(|_| !self.is_of_test) {
                script.commands += 1;
            }
            return;
        }
        self.is_of_test = name == OF_TEST;
        if name == MARK {
            (self.marks, self.marked_at) = (self.marks + 1, self.exchanges.len());
        } else if !self.is_of_test {
            self.exchanges.push(Exchange { kind: kind(&words), commands: 1 });
        }
    }
}

fn kind(words: &[&str]) -> String {
    let mut parts = vec![words[0].to_uppercase()];
    if parts[0].starts_with("EVAL") {
        parts.push(words[1].chars().take(8).collect());
    }
    for key in words.iter().filter_map(|word| key_kind(word)) {
        if !parts.contains(&key) {
            parts.push(key);
        }
    }
    parts.join(" ")
}

/// Digits of an id in a key, in base 32.
const DIGITS: usize = 26;

/// A key without what differs between verifications: `phlo2fa:{0a}:v:<26 digits>` is `v`, `phlo2fa:{i:<hex>}:value` is
/// `i.value`.
fn key_kind(word: &str) -> Option<String> {
    let (slot, rest) = word.strip_prefix("phlo2fa:{")?.split_once("}:")?;
    let is_id = |part: &str| part.len() == DIGITS || part.len() > 1 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let is_plain = |part: &&str| !part.is_empty() && !is_id(part);
    let slot = if rest == "value" { slot.split(':').next() } else { None };
    Some(slot.into_iter().chain(rest.split(':').filter(|part| is_plain(part))).collect::<Vec<_>>().join("."))
}
