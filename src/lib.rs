//! Phone verification through Plivo that decides by itself when a text is not going to arrive and a call should read
//! the code out.
//!
//! # Map
//!
//! ```text
//! http ─────┐            ┌─ pure: verification::decide ──┐        ┌─> store   one commit: record, due time, what is owed
//!           ├─> engine ──┤  asks escalation; no IO       ├─> then ┤
//! timers ───┘     ^      └───────────────────────────────┘        └─> plivo   effects, only after the commit
//!                 └── callbacks, outcomes and ticks return as Events, through the same entry
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`verification`] | pure: what a verification is, and everything that can happen to it. Start with its `decide` |
//! | [`escalation`] | pure: when, if ever, should we call? The policies and their one question |
//! | [`route_model`] | pure: the statistics of a route, and what they say about its next text |
//! | [`guard`] | pure: limits, guesses, quiet hours |
//! | [`engine`] | loads, decides, commits, and then performs the effects; timers |
//! | [`learner`] | shares what routes have done between replicas, through the store |
//! | [`pacing`] | when a request to Plivo may be made: the account's rate, shared by replicas through the store |
//! | [`store`] | memory and Redis behind five small traits |
//! | [`plivo`] | Plivo's HTTP in both directions |
//! | [`webhook`] | signs what an app is told of, and posts it |
//! | [`http`] | our own API and its pages |
//! | [`sandbox`] | a local Plivo for tests and the demo, spoken to over HTTP like the real one |
//! | [`replay`] · [`export`] | recorded verifications under another policy · finished verifications as a trace for it |
//! | [`doctor`] | checks a deployment from outside |
//! | [`app`] · [`config`] | from settings to a running service, and its graceful stop |
//!
//! # How a callback is processed
//!
//! `http::callback_proof` verifies the signature. `http::direct` turns the callback into events and hands them to
//! [`engine::Engine::apply`], which loads the record, asks `verification::decide`, and commits the result at the revision
//! that it has read. After a conflict it decides again. Effects follow the commit, in the task of the request that waits
//! for them or in one of their own.
//!
//! # Invariants
//!
//! * Every change of a verification is one `decide` and one optimistic commit.
//! * What a decision owes the world (a request to Plivo) is saved with the state before it is done.
//! * A final status never changes, and nothing is triggered after it.
//! * Redis is the only state that replicas share; time is the store's time.
//! * Codes and numbers are sealed at rest and masked in every log, metric and error.
//! * Imports point one way, between modules and between the files of one; `tests/core/tidy` has the order.

pub mod app;
pub mod config;
pub mod doctor;
pub mod engine;
pub mod escalation;
pub mod export;
pub mod guard;
pub mod http;
pub mod keyring;
pub mod learner;
pub mod metrics;
pub mod pacing;
pub mod per_thread;
pub mod phone;
pub mod plivo;
pub mod prices;
pub mod replay;
pub mod route_model;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod verification;
pub mod webhook;
