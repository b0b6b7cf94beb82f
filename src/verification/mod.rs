//! A verification: one number being proved. Pure: no clock, no randomness, no IO.
//!
//! ```text
//!            ┌───────────── right code ────────────> verified
//!            ├───────────── time is up ────────────> expired
//!  pending ──┼───────────── customer gives up ─────> canceled
//!   │  ^     ├───────────── last wrong code ───────> max_checks_reached
//!   └──┘     └── every channel lost, or class S ───> undeliverable
//!  texts, calls, reports
//! ```
//!
//! [`open`] makes one and [`decide`] says what one [`Event`] does to it at one moment; both return a
//! [`Decision`]: the state after, the [`Effect`]s that follow, and the [`Answer`] to whoever asked. The
//! caller commits the state first and performs the effects then. All of it fits one page: [`state`] is
//! data and questions about it ([`attempt`] the same for one text or call), `decide`, `heard`, `settle` and `watch` change it,
//! and nothing else does.

pub mod attempt;
mod code;
mod conclude;
mod decide;
pub mod effect;
pub mod event;
mod id;
mod nonces;
mod observe;
mod on_provider;
pub mod rules;
pub mod state;
pub mod timeline;

pub use attempt::{Attempt, AttemptStatus, Via};
pub use code::{CODE_LENGTH_RANGE, Code};
pub use decide::{Answer, Decision, Refusal, Request, decide, open};
pub use effect::Effect;
pub use event::Event;
pub use id::{AttemptRef, InvalidId, VerificationId};
pub use nonces::Seen;
pub use rules::Rules;
pub use state::{Channel, Mode, Status, Verification};
