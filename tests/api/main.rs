//! The API as its callers see it. Files mirror routes.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod breakdown;
mod callbacks;
mod checks;
mod direct;
mod edges;
mod erasures;
mod failover;
mod foreign;
mod idempotency;
mod learned;
mod legacy;
mod limits;
mod lists;
mod logs;
mod lost;
mod nonces;
mod ops;
mod outage;
mod problems;
mod quiet;
mod retention;
mod rotation;
mod sockets;
mod stream;
mod stub;
mod verifications;
