//! Phone verification through Plivo that decides by itself when a text will not make it and a call
//! should read the code out.
//!
//! # The tour
//!
//! ```text
//! http ──────┐            ┌─ pure: verification::decide ─┐        ┌─> store   one commit: record, due time, owed effects
//!            ├─> engine ──┤  asks escalation, no IO      ├─> after┤
//! escalator ─┘     ^      └──────────────────────────────┘        └─> plivo   effects, only after the commit
//!                  └── callbacks, results and ticks return as Events, through the same door
//! ```
//!
//! Start with [`verification`]: what a verification is and, in `decide`, everything that can happen to
//! it. [`escalation`] answers the one question this service exists for: when, if ever, should we call?
//! Both are pure: no clock, no randomness, no socket. [`engine`] loads, decides, commits and performs;
//! [`store`] keeps the result, in Redis or in memory; [`plivo`] speaks Plivo's HTTP in both directions;
//! [`http`] is our own API; [`sandbox`] is a Plivo of our own to try and test all of it against. [`replay`] plays
//! recorded verifications under another policy and says what each would have cost. [`doctor`] looks at a deployment
//! from outside and says what is wrong with it; [`export`] writes down what a deployment saw, for [`replay`].
//!
//! # Invariants
//!
//! * Every change of a verification is one `decide` and one optimistic commit; there is no other way.
//! * What a decision owes the world (a request to Plivo) is saved with the state before it is done.
//! * A final status never changes, and nothing is triggered after it.
//! * Redis is the only thing replicas share; time is the store's time.
//! * Codes and numbers are sealed at rest and masked wherever they could be printed.
//!
//! Imports point one way: `time phone keyring` · `escalation guard` · `verification` · `store plivo` · `engine` ·
//! `http sandbox replay` · `app doctor export` · `main`; `tests/core/tidy` has the few that stand between them and holds all of them to it.

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
