//! How a service saw one verification end, and whether a row of latent facts explains it.

use strum::EnumString;

use super::outcome::PlayedOutcome;
use super::trace::{NEVER, TraceRow};

/// The call and the end that a service recorded for one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObservedEnd {
    /// The age at which its call was placed, or [`NEVER`].
    pub(super) call_ms: u64,
    pub(super) ending: Ending,
    /// The age at which it ended.
    pub(super) end_ms: u64,
    /// Whether the result of the call is known. A call that was hung up has none.
    pub(super) is_call_known: bool,
}

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString)]
pub(super) enum Ending {
    /// The code was entered and attributed to a text.
    #[strum(serialize = "sms")]
    VerifiedByText,
    /// The code was entered and attributed to the call.
    #[strum(serialize = "call")]
    VerifiedByCall,
    #[strum(serialize = "canceled")]
    Canceled,
    #[strum(serialize = "expired", serialize = "max_checks_reached", serialize = "undeliverable")]
    Unverified,
}

impl ObservedEnd {
    pub(super) fn is_verified(&self) -> bool {
        matches!(self.ending, Ending::VerifiedByText | Ending::VerifiedByCall)
    }

    pub(super) fn call_age(&self) -> Option<u64> {
        Some(self.call_ms).filter(|at| *at != NEVER)
    }

    /// The age at which a resend was requested before any call.
    pub(super) fn resend_age(&self, row: &TraceRow) -> Option<u64> {
        Some(row.resend_ms).filter(|at| *at < self.call_ms.min(self.end_ms))
    }

    /// Whether playing the recorded call on `row` gives the recorded end.
    pub(super) fn is_explained_by(&self, row: &TraceRow) -> bool {
        let outcome = PlayedOutcome::of(row, self.call_age());
        let verified_ms = if self.is_verified() { self.end_ms } else { NEVER };
        outcome.verified_ms == verified_ms && outcome.is_resend_requested == self.resend_age(row).is_some()
    }
}
