//! The replay: its figures, its goals, its agreement with the live service, and the traces that a service exports.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests, and one prints a table for people")]

mod attack;
mod export;
mod goals;
mod live;
mod replay;
#[path = "../support/mod.rs"]
mod support;
