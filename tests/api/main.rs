//! The API as clients see it. Most files mirror routes.
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
mod retention;
mod rotation;
mod silent;
mod sockets;
mod stream;
mod stub;
mod verifications;
