//! The service beside a minimal handler and other servers: `cargo bench --bench service`.
//!
//! Each round starts every target with a Redis of its own and a local Plivo, and sends it creations and checks: at full
//! speed, then at a fixed rate. Rounds alternate in their order, because a shared machine changes its speed. Only ratios
//! of medians are worth keeping. `ROUNDS`, `CONNECTIONS`, `OPERATIONS`, `RATE` and `SECONDS` set its size; `OTHER` adds
//! servers that run already (`name=http://host:port#pid`), and `PLIVO_PORT` is where they find the local Plivo.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and without its input has nothing to do"
)]
#![allow(missing_docs, reason = "a program has no callers")]

mod load;
#[path = "../minimal/mod.rs"]
mod minimal;
mod plivo;
mod process;
#[path = "../../tests/support/redis_server.rs"]
mod redis_server;
mod redis_work;
mod report;
mod round;
mod settings;
mod target;
mod wire;

use report::Measured;
use settings::Settings;
use target::{MINIMAL, Target};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, address, redis_url, plivo_url] = args.as_slice()
        && first == MINIMAL
    {
        return minimal::serve(address, redis_url, plivo_url).expect("the minimal handler serves");
    }
    let settings = Settings::read();
    let plivo_url = plivo::serve(settings.plivo_port);
    let others = settings.others.iter().cloned().map(Target::Other);
    let targets = [Target::Minimal, Target::Service, Target::AsShipped].into_iter().chain(others);
    let mut all: Vec<Measured> = targets.map(|target| Measured { target, rounds: Vec::new() }).collect();
    // The first of the numbers +1 212 200 0001 and so on.
    let mut numbers = 2_000_000;
    for round in 0..settings.rounds {
        for measured in &mut all {
            eprintln!("round {} of {}: {}", round + 1, settings.rounds, measured.target.name());
            measured.rounds.push(round::measure(&measured.target, &plivo_url, &settings, &mut numbers));
        }
        all.reverse();
    }
    if settings.rounds % 2 == 1 {
        all.reverse();
    }
    report::print_figures(&all);
    report::print_ratios(&all);
}
