//! How a policy is played: it is told what happens to each verification, as it happens, and answers what it wants.
//!
//! The live service asks a policy after every event, and a replay does too; this is the shape in which both can
//! drive one that learns. No clock is read here: every event brings its own time.

/// What a policy sees of one verification, in the order it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayedEvent {
    /// The text was handed to Plivo.
    Started,
    /// The code was entered. A verification is over with this.
    Verified,
    /// The text was reported as delivered, which may be untrue.
    Delivered,
    /// The text was reported as not delivered, for good.
    Failed,
    /// The text went to a carrier.
    Sent,
    /// The person asked for another text.
    ResendPressed,
    /// How the call went is known.
    CallKnown {
        /// A person took it.
        answered: bool,
    },
    /// The time that was wished for has come; at age 600,000 ms it is the end of the verification.
    Timer,
}

/// A policy that is played against a trace: it is told each event at its time and answers what it wants next.
pub trait Player {
    /// `id` and the facts a policy may know at the start; `at_ms` is trace time (t0 + age), `age_ms` since the start.
    fn see(&mut self, id: u64, facts: &RouteFacts, seen: PlayedEvent, at_ms: u64, age_ms: u64) -> Wish;
}

/// What is known of a verification from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFacts {
    /// ISO country of the number.
    pub country: [u8; 2],
    /// MCC and MNC as one number; 0 when they are not known.
    pub route: u32,
    /// The price of one answered call, in micro-dollars.
    pub call_price_u: u64,
    /// The price of one text, in micro-dollars.
    pub sms_price_u: u64,
}

/// What a policy wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing new; an earlier wish to be woken stands.
    Nothing,
    /// To be told [`PlayedEvent::Timer`] at this age. It replaces an earlier wish.
    WakeAt {
        /// Since the start.
        age_ms: u64,
    },
    /// That the call is placed now. There is one per verification; a second wish for it is not heard.
    Call {
        /// Why.
        reason: PlayReason,
        /// To be told [`PlayedEvent::Timer`] at this age. It replaces an earlier wish, also where there is none.
        wake_ms: Option<u64>,
    },
}

/// Why a policy wants a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlayReason {
    /// Waiting no longer paid.
    Hazard,
    /// The text was reported as lost.
    Failed,
    /// The person asked for another text.
    Resend,
    /// As long as a policy ever waits.
    Max,
}
