//! A verification: one number being proved. Pure: no clock, no randomness, no IO.
//!
//! ```text
//!            ┌───────────── right code ────────────> verified
//!            ├───────────── lifetime over ─────────> expired
//!  pending ──┼───────────── canceled ──────────────> canceled
//!   │  ^     ├───────────── last wrong code ───────> max_checks_reached
//!   └──┘     └── every channel lost, or class S ───> undeliverable
//!  texts, calls, reports
//! ```
//!
//! [`open`] creates one and [`decide`] applies [`Event`]s at one moment. Both return a [`Decision`]: the state after,
//! the [`Effect`]s that follow, and the [`Answer`]. The caller commits the state first and then performs the effects.
//!
//! Several creations may share one verification, each as a session of its own (`session.rs`).
//!
//! Read `decide.rs` first: it names the phases of a decision in order. `state.rs` and `attempt.rs` are the data,
//! `due.rs` says what is planned, `trigger.rs` what Plivo's replies mean, `speech.rs` what a call may say.

mod attempt;
mod code;
mod conclude;
mod decide;
mod decision;
mod details;
mod due;
mod effect;
mod end;
mod event;
mod feedback;
mod id;
mod look_up;
mod nonces;
mod observe;
mod on_customer;
mod on_provider;
mod per_session;
mod report;
mod requests;
pub mod rules;
mod session;
mod speech;
mod state;
mod tell;
pub mod telling;
pub mod timeline;
mod trigger;
mod webhook_id;
mod words;

pub use attempt::Attempt;
pub use code::{CODE_LENGTH_RANGE, Code};
pub use decide::{Request, decide, open};
pub use decision::{Answer, Decision, Refusal};
pub use details::Details;
pub use due::PlannedCall;
pub use effect::{Effect, Owed};
pub use event::{Event, Join};
pub use id::{AttemptIndex, AttemptRef, InvalidId, SessionIndex, VerificationId};
pub use nonces::{CallbackNonce, UsedNonces};
pub use report::{CallReport, ReportFacts, TextReport};
pub use requests::REQUESTS_MAX;
pub use rules::{Barred, Context, CostOverrides, Rules};
pub use session::{Joined, NewSession, SESSIONS_MAX, Session, SessionEnd};
pub use speech::{CallSpeech, Listener, speech};
pub use state::{AdaptivePlan, Ended, Pending, State, Verification};
pub use telling::{DeliveryOutcome, Told, Untold, WebhookEvent};
pub use trigger::{Lookup, ProviderId, RefusalScope, TriggerOutcome, TriggerReply, TriggerRequest, outcome_of};
pub use webhook_id::WebhookId;
pub use words::{Activity, AttemptStatus, Channel, Ending, FailureClass, Feedback, Mode, Status, Via};
