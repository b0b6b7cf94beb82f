//! What follows from calling at a given age: the one place that says how a verification ends and what it costs.
//!
//! The numbers are those of the rules in `docs/replay.md`. Nothing is drawn and no policy is known here: the same row
//! and the same age always give the same outcome, to the micro-dollar.

use super::trace::{CallResult, NEVER, Row};

/// How long a code lives.
pub const TTL_MS: u64 = 600_000;

/// A code entered within this of a call makes the call needless.
const NEEDLESS_WITHIN_MS: u64 = 30_000;

/// One needless call, in micro-dollars.
const NUISANCE_U: u64 = 20_000;
/// One ms without a code in hand.
const WAIT_U: u64 = 1;
/// One person who wanted to verify and did not.
const LOST_U: u64 = 500_000;

/// How one verification ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A second text was asked for, and sent.
    pub pressed: bool,
    /// A call was placed.
    pub placed: bool,
    /// The call was hung up because the code came in before its result.
    pub cancelled: bool,
    /// The call has to be paid for.
    pub billed: bool,
    /// When the code was entered; [`NEVER`].
    pub verified_ms: u64,
    /// When the person had the code, from whichever channel; [`NEVER`].
    pub code_ms: u64,
    /// How long the person waited without a code.
    pub wait_ms: u64,
    /// The call came although the text did or was about to.
    pub wasted: bool,
    /// The call rang somebody who did not want to verify.
    pub unwanted: bool,
}

impl Outcome {
    /// What follows from calling at the age `call_ms`, or never.
    pub fn of(row: &Row, call_ms: Option<u64>) -> Self {
        let call = call_ms.filter(|at| *at < TTL_MS).unwrap_or(NEVER);
        let pressed = presses(row, call);
        let text_ms = text_in_hand(row, pressed);
        let by_text = |until| verified_by_text(row, text_ms, until);
        let patience = row.patience_ms;

        let placed = call != NEVER && by_text(patience) > call;
        let present = placed && (patience >= call || (text_ms <= patience && text_ms <= call));
        let answered = row.call_result == CallResult::Answered;
        let known = call.saturating_add(row.call_ring_ms);
        let heard = known.saturating_add(row.call_hear_ms);
        // A ringing phone holds the person until the call is over.
        let until = if present { patience.max(if answered { heard } else { known }) } else { patience };

        let by_text = by_text(until);
        let cancelled = placed && by_text <= known;
        let billed = placed && !cancelled && matches!(row.call_result, CallResult::Answered | CallResult::Voicemail);
        let speaks = placed && !cancelled && present && row.intent && answered;
        let heard = if speaks { heard } else { NEVER };
        let by_call = in_time(heard.saturating_add(row.call_type_ms));

        let code_ms = if row.intent { heard.min(if text_ms <= until { text_ms } else { NEVER }) } else { NEVER };
        let wait_ms = if row.intent { code_ms.min(until).min(TTL_MS) } else { 0 };
        let uncalled = verified_by_text(row, text_in_hand(row, presses(row, NEVER)), patience);
        Self {
            pressed,
            placed,
            cancelled,
            billed,
            verified_ms: by_text.min(by_call),
            code_ms,
            wait_ms,
            wasted: placed && uncalled <= call.saturating_add(NEEDLESS_WITHIN_MS),
            unwanted: placed && !row.intent,
        }
    }

    /// Whether the code was entered.
    pub fn is_verified(&self) -> bool {
        self.verified_ms != NEVER
    }

    /// What it cost beyond the first text, which is paid whatever a policy decides; micro-dollars.
    pub fn control_u(&self, row: &Row) -> u64 {
        let lost = row.intent && !self.is_verified();
        row.sms_price_u * u64::from(self.pressed)
            + row.call_price_u * u64::from(self.billed)
            + NUISANCE_U * u64::from(self.wasted || self.unwanted)
            + WAIT_U * self.wait_ms
            + LOST_U * u64::from(lost)
    }
}

/// Whether the person asks for another text: only one who is there, has none, and is not rung by then (a call at the
/// very moment comes first).
pub(super) fn presses(row: &Row, call: u64) -> bool {
    let before = row.patience_ms.min(TTL_MS).min(row.arrive_ms).min(call);
    row.intent && row.resend_ms < before
}

fn text_in_hand(row: &Row, pressed: bool) -> u64 {
    let second = if pressed { row.resend_ms.saturating_add(row.resend_arrive_ms) } else { NEVER };
    row.arrive_ms.min(second)
}

fn verified_by_text(row: &Row, text_ms: u64, until: u64) -> u64 {
    if row.intent && text_ms <= until { in_time(text_ms.saturating_add(row.read_ms)) } else { NEVER }
}

fn in_time(at: u64) -> u64 {
    if at <= TTL_MS { at } else { NEVER }
}
