//! What somebody would do who means harm, against the real program. Each attack is a module of its own with two sizes: a
//! small one that runs with all other tests, and the whole one, which `make test-attacks` runs and which prints what it
//! found in one line.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "these are tests")]

mod bodies;
mod fleet;
mod hangups;
mod malformed;
mod raw;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod telling;
#[path = "../processes/support.rs"]
mod world;
