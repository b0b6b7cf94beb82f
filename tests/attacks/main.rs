//! What somebody would do who means harm, against the real program. Each attack is a module of its own with two sizes: a
//! small one that runs with all other tests, and the whole one, which `make test-attacks` runs and which prints what it
//! found in one line.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "these are tests")]

mod bodies;
mod callbacks;
mod crowd;
mod fleet;
mod guesses;
mod hangups;
mod kills;
mod malformed;
mod pumping;
mod raw;
mod residue;
mod retries;
#[path = "../processes/leaks/search.rs"]
#[allow(dead_code, reason = "the search for leaks has more to look for")]
mod search;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod telling;
#[path = "../processes/support.rs"]
mod world;
