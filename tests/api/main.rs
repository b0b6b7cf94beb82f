//! The service as its clients and Plivo see it. Most files mirror routes.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod breakdown;
mod browser;
mod callbacks;
mod checks;
mod direct;
mod document;
mod edges;
mod engine;
mod erasures;
mod failover;
mod faulty_store;
mod foreign;
mod idempotency;
mod learned;
mod legacy;
mod limits;
mod lists;
mod logs;
mod look_ups;
mod lost;
mod neighbours;
mod nonces;
mod ops;
mod outage;
mod pages;
mod people;
mod phlo;
mod problems;
mod retention;
mod rotation;
mod sandbox;
mod sessions;
mod silent;
mod sockets;
mod stream;
mod stub;
mod twilio;
mod verifications;
mod webhooks;
mod widget;
