//! Attacks on the real program, one module each.
//!
//! Each attack has two sizes. The small one runs with all other tests. `make test-attacks` runs the full one, which
//! prints its figures in one line.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "these are tests")]

mod bodies;
mod burst;
mod bystander;
mod callbacks;
mod crowd;
mod failovers;
mod fleet;
mod guesses;
mod hangups;
mod kills;
mod malformed;
mod pumping;
mod rate;
mod raw;
mod residue;
mod restarts;
mod retries;
#[path = "../processes/leaks/search.rs"]
#[allow(dead_code, reason = "the leak test uses more of it")]
mod search;
mod slow;
mod soak;
mod starving;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod timing;
mod webhooks;
#[path = "../processes/support.rs"]
mod world;
