//! The pure core, and what the compiler does not check: no service runs here.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod fuzz;
mod lifecycle;
mod plivo;
mod speech;
#[path = "../support/story.rs"]
mod story;
mod tidy;
mod transitions;
