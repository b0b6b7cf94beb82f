//! The real program as its operators run it: started, stopped, killed, several at a time, with a real Redis.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, reason = "these are tests")]

mod checks;
mod commands;
mod costs;
mod crashes;
mod docs;
mod doctor;
mod export;
mod failpoints;
mod idempotency;
mod init;
mod leaks;
mod lives;
mod logs;
mod outage;
mod rate;
mod redis;
mod rotation;
mod sdk;
mod settings;
mod stop;
#[path = "../support/mod.rs"]
mod support;
mod twilio;
mod verifiers;
mod widget;
#[path = "support.rs"]
mod world;
