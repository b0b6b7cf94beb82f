//! What follows from calling at a given age: how the verification ends and what it costs.
//!
//! The rules are those of `docs/replay.md`. No value is drawn and no policy is known here: the same row and age always
//! give the same outcome, to the micro-dollar.

use super::trace::{CallResult, NEVER, TraceRow};
use crate::route_model::Costs;

/// How long a code lives.
pub const TTL_MS: u64 = 600_000;

/// A call is wasted if the code would have been entered this soon after it.
const WASTED_WITHIN_MS: u64 = 30_000;

/// How one verification ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayedOutcome {
    /// The user requested a resend, and a second text was sent.
    pub is_resend_requested: bool,
    /// A call was placed.
    pub is_placed: bool,
    /// The call was hung up, because the code was entered before its result.
    pub is_hung_up: bool,
    /// The call is billed.
    pub is_billed: bool,
    /// When the code was entered, or [`NEVER`].
    pub verified_ms: u64,
    /// When the user had the code from either channel, or [`NEVER`].
    pub code_ms: u64,
    /// How long the user waited without a code.
    pub wait_ms: u64,
    /// The text alone would have verified by 30 s after the call.
    pub is_wasted: bool,
    /// The call reached a user who did not want to verify.
    pub is_unwanted: bool,
}

impl PlayedOutcome {
    /// The outcome of calling at the age `call_ms`, or of no call.
    pub fn of(row: &TraceRow, call_ms: Option<u64>) -> Self {
        let call = call_ms.filter(|at| *at < TTL_MS).unwrap_or(NEVER);
        let is_resend_requested = requests_resend(row, call);
        let text_ms = text_in_hand(row, is_resend_requested);
        let patience = row.patience_ms;

        let is_placed = call != NEVER && verified_by_text(row, text_ms, patience) > call;
        let is_present = is_placed && (patience >= call || (text_ms <= patience && text_ms <= call));
        let is_answered = row.call_result == CallResult::Answered;
        let known = call.saturating_add(row.call_ring_ms);
        let heard = known.saturating_add(row.call_hear_ms);
        // A ringing phone keeps the user until the call is over.
        let until = if is_present { patience.max(if is_answered { heard } else { known }) } else { patience };

        let by_text = verified_by_text(row, text_ms, until);
        let is_hung_up = is_placed && by_text <= known;
        let is_completed = is_placed && !is_hung_up;
        let is_heard = is_completed && is_present && row.intent && is_answered;
        let heard = if is_heard { heard } else { NEVER };
        let by_call = in_time(heard.saturating_add(row.call_type_ms));

        let code_ms = if row.intent { heard.min(if text_ms <= until { text_ms } else { NEVER }) } else { NEVER };
        let without_call = verified_by_text(row, text_in_hand(row, requests_resend(row, NEVER)), patience);
        Self {
            is_resend_requested,
            is_placed,
            is_hung_up,
            is_billed: is_completed && matches!(row.call_result, CallResult::Answered | CallResult::Voicemail),
            verified_ms: by_text.min(by_call),
            code_ms,
            wait_ms: if row.intent { code_ms.min(until).min(TTL_MS) } else { 0 },
            is_wasted: is_placed && without_call <= call.saturating_add(WASTED_WITHIN_MS),
            is_unwanted: is_placed && !row.intent,
        }
    }

    /// Whether the code was entered.
    pub fn is_verified(&self) -> bool {
        self.verified_ms != NEVER
    }

    /// The cost without the first text, which is paid under every policy, rounded to whole micro-dollars.
    pub fn control_u(&self, row: &TraceRow, costs: &Costs) -> u64 {
        let is_lost = row.intent && !self.is_verified();
        let call_u = costs.call.unwrap_or(row.call_price_u as f64);
        let unrounded = call_u * share(self.is_billed)
            + costs.nuisance * share(self.is_needless())
            + costs.wait * self.wait_ms as f64
            + costs.lost * share(is_lost);
        row.sms_price_u * u64::from(self.is_resend_requested) + unrounded.round() as u64
    }

    /// Whether the call was wasted or unwanted.
    pub fn is_needless(&self) -> bool {
        self.is_wasted || self.is_unwanted
    }
}

/// Whether the user requests a resend when the call is placed at the age `call` (rule 1).
pub(super) fn requests_resend(row: &TraceRow, call: u64) -> bool {
    let before = row.patience_ms.min(TTL_MS).min(row.arrive_ms).min(call);
    row.intent && row.resend_ms < before
}

fn text_in_hand(row: &TraceRow, is_resend_requested: bool) -> u64 {
    let second = if is_resend_requested { row.resend_ms.saturating_add(row.resend_arrive_ms) } else { NEVER };
    row.arrive_ms.min(second)
}

fn verified_by_text(row: &TraceRow, text_ms: u64, until: u64) -> u64 {
    if row.intent && text_ms <= until { in_time(text_ms.saturating_add(row.read_ms)) } else { NEVER }
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn in_time(at: u64) -> u64 {
    if at <= TTL_MS { at } else { NEVER }
}
