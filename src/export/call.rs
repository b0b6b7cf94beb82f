//! The call of one finished verification, as far as the service saw it.

use crate::time::Timestamp;
use crate::verification::timeline::Note;
use crate::verification::{AttemptIndex, AttemptStatus, CallReport, Channel, Status, Verification};

/// A call and its result. A call that was repeated counts as one that took until the end of the last.
#[derive(Default)]
pub(super) struct ObservedCall {
    /// The age at which it was placed; `None` without a call before the end.
    pub(super) placed_ms: Option<u64>,
    /// As a trace writes it; `None` when it is unknown, as after a hang-up.
    pub(super) result: Option<&'static str>,
    /// From placing the call to its result.
    pub(super) ring_ms: Option<u64>,
    /// Whether the code that was entered came from it.
    pub(super) has_verified: bool,
}

impl ObservedCall {
    pub(super) fn of(v: &Verification, status: Status, end_ms: u64, age: &impl Fn(Timestamp) -> u64) -> Self {
        let calls = || v.attempts.iter().enumerate().filter(|(_, a)| a.channel == Channel::Call);
        let first_ms = calls().next().map(|(_, first)| age(first.at));
        let Some(placed_ms) = first_ms.filter(|at| *at < end_ms) else { return Self::default() };
        let without_result = Self { placed_ms: Some(placed_ms), ..Self::default() };
        let ring_ms = |at: u64| at.saturating_sub(placed_ms);

        let is_call = |attempt: AttemptIndex| calls().any(|(nth, _)| nth == attempt.position());
        let answered = |note: &Note| matches!(note, Note::CallReported { attempt, report: CallReport::Answered } if is_call(*attempt));
        let answered_ms = v.first_noted(answered).map(age);
        let is_answered_before_end = answered_ms.is_none_or(|at| at < end_ms);
        let has_verified = status == Status::Verified && v.verified_by() == Channel::Call && is_answered_before_end;
        if has_verified || (is_answered_before_end && calls().any(|(_, a)| a.answered)) {
            let (result, ring_ms) = (Some("answered"), answered_ms.map(ring_ms));
            return Self { result, ring_ms, has_verified, ..without_result };
        }

        let Some((nth, last)) = calls().next_back().filter(|_| calls().all(|(_, a)| !a.hung_up)) else {
            return without_result;
        };
        let result = match last.status {
            AttemptStatus::Machine => "voicemail",
            AttemptStatus::Busy => "busy",
            AttemptStatus::NoAnswer | AttemptStatus::Rejected => "noanswer",
            AttemptStatus::Failed => "failed",
            _ => return without_result,
        };
        let known = |note: &Note| match note {
            Note::CallReported { attempt, report: CallReport::Ended { .. } } | Note::Refused { attempt, .. } => {
                attempt.position() == nth
            }
            _ => false,
        };
        let known_ms = v.first_noted(known).map(age);
        // The code was entered while the phone still rang: the result without that code is unknown.
        if status == Status::Verified && known_ms.is_some_and(|at| at >= end_ms) {
            return without_result;
        }
        Self { result: Some(result), ring_ms: known_ms.map(ring_ms), ..without_result }
    }
}
