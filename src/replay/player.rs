//! The interface between a replay and a policy: a [`Player`] is given each event and answers with a request.
//!
//! The live service asks its policy after every event, and so does a replay; `tests/replay/live.rs` drives both through this
//! trait. No clock is read here: each event brings its time.

use strum::IntoStaticStr;

use crate::route_model::Teacher;

/// An event of one verification that a policy may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayedEvent {
    /// The text was submitted to Plivo.
    Started,
    /// The code was entered; the last event of a verification.
    Verified,
    /// The text was reported as delivered, which may be untrue.
    Delivered,
    /// The text was reported as permanently undelivered or failed.
    Failed,
    /// A carrier accepted the text.
    Sent,
    /// The user requested a resend.
    ResendRequested,
    /// The result of the call is known.
    CallKnown {
        /// Whether a person answered.
        is_answered: bool,
    },
    /// The requested age has come; at age 600,000 ms the last event of a verification.
    Timer,
}

/// A policy that can be played against a trace.
pub trait Player {
    /// Takes one event and returns what to do next. Events come in the order of `docs/replay.md`.
    ///
    /// `at_ms` counts from the start of the trace, `age_ms` from the start of the verification `id`.
    fn on_event(&mut self, id: u64, facts: &RouteFacts, event: PlayedEvent, at_ms: u64, age_ms: u64) -> PlayerRequest;
}

/// What a policy knows of a verification from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFacts {
    /// ISO country of the number.
    pub country: [u8; 2],
    /// MCC and MNC as one number, 0 when unknown.
    pub route: u32,
    /// Price of one answered call, micro-dollars.
    pub call_price_u: u64,
    /// Price of one text, micro-dollars.
    pub sms_price_u: u64,
    /// Whom the lessons come from.
    pub teacher: Teacher,
}

/// What a policy requests after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerRequest {
    /// Nothing new; an earlier timer stands.
    Nothing,
    /// A [`PlayedEvent::Timer`] at this age; it replaces an earlier timer.
    WakeAt {
        /// Since the start of the verification.
        age_ms: u64,
    },
    /// A call now. A verification has one call; later requests for one are ignored.
    Call {
        /// Why.
        reason: PlayReason,
        /// The next timer, as in [`PlayerRequest::WakeAt`]; `None` cancels an earlier timer.
        wake_ms: Option<u64>,
    },
}

/// Why a policy calls, as a decisions file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum PlayReason {
    /// Waiting costs more than calling, or the set timer fired.
    Hazard,
    /// The text was reported as permanently failed.
    Failed,
    /// The user requested a resend.
    Resend,
    /// The longest wait of the policy is over.
    Max,
}
