//! What is measured, from environment variables.

use std::str::FromStr;

/// The size of a run.
pub struct Settings {
    /// How often each target is measured.
    pub rounds: usize,
    /// Connections that send at the same time.
    pub connections: usize,
    /// Creations at full speed in a round, and as many right and wrong checks.
    pub operations: usize,
    /// Requests a second for the latencies.
    pub rate: usize,
    /// How long that rate lasts, for creations and for checks each.
    pub seconds: usize,
    /// The port of the local Plivo, for other servers to be told; 0 for a free one.
    pub plivo_port: u16,
    /// Other servers that run already.
    pub others: Vec<Other>,
}

/// Another server that speaks create and check.
#[derive(Clone)]
pub struct Other {
    pub name: String,
    pub address: String,
    /// Its process, if it is on this machine.
    pub pid: Option<u32>,
}

impl Settings {
    pub fn read() -> Self {
        let others = std::env::var("OTHER").unwrap_or_default();
        Self {
            rounds: number("ROUNDS", 5),
            connections: number("CONNECTIONS", 16),
            operations: number("OPERATIONS", 4_000),
            rate: number("RATE", 200),
            seconds: number("SECONDS", 3),
            plivo_port: number("PLIVO_PORT", 0),
            others: others.split(',').filter(|other| !other.is_empty()).map(Other::parse).collect(),
        }
    }
}

impl Other {
    /// Reads `name=http://127.0.0.1:8085`, or `name=http://127.0.0.1:8085#1234` with the process.
    fn parse(text: &str) -> Self {
        let (name, url) = text.split_once("=http://").expect("OTHER is name=http://host:port, several with commas");
        let (address, pid) = url.split_once('#').map_or((url, None), |(address, pid)| (address, Some(pid)));
        let pid = pid.map(|pid| pid.parse().expect("the id of a process after # in OTHER"));
        Self { name: name.to_owned(), address: address.trim_end_matches('/').to_owned(), pid }
    }
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    }
}
