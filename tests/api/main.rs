//! The API as its callers see it. Files mirror routes.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod callbacks;
mod lists;
mod problems;
mod quiet;
mod verifications;
