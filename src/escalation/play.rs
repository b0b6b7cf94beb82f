//! What a policy sees of a verification and what it may answer, one event at a time. A replay plays
//! recorded verifications against this; it knows nothing of how a [`Player`] decides.

/// What a policy sees of one verification, in the order it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The text was submitted.
    Started,
    /// The code was entered.
    Verified,
    /// The final report says that the text was delivered, which may be untrue.
    Delivered,
    /// The final report says that it was not.
    Failed,
    /// The carrier took the text.
    Sent,
    /// The person asked for the text again.
    ResendPressed,
    /// How the call went.
    CallKnown {
        /// Somebody took it.
        answered: bool,
    },
    /// The age that was wished for, or the end of the verification's life.
    Timer,
}

/// A policy that is played against a trace: it is told each event at its time and answers what it wants next.
pub trait Player {
    /// `id` and the facts a policy may know at the start; `at_ms` is trace time (t0 + age), `age_ms` since the start.
    fn see(&mut self, id: u64, facts: &Facts, seen: Seen, at_ms: u64, age_ms: u64) -> Wish;
}

/// What is known of a verification from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// ISO country of the number.
    pub country: [u8; 2],
    /// MCC and MNC of the number, as one number.
    pub route: u32,
    /// What an answered call costs, in micro-dollars.
    pub call_price_u: u64,
    /// What a text costs, in micro-dollars.
    pub sms_price_u: u64,
}

/// A policy's answer. A later [`Wish::WakeAt`] replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing, or nothing new.
    Nothing,
    /// To be told [`Seen::Timer`] at this age.
    WakeAt {
        /// Since the start.
        age_ms: u64,
    },
    /// Place the call now.
    Call {
        /// Why, as a replay's table of decisions writes it.
        reason: PlayReason,
    },
}

/// Why a played call is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayReason {
    /// Waiting on would cost more.
    Hazard,
    /// The text is known to be lost.
    Failed,
    /// The person asked again.
    Resend,
    /// It has been long enough, whatever is expected.
    Max,
}
