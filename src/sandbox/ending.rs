//! [`Ending`]: how a call can end, in Plivo's words and in the handset's.
//!
//! Source: plivo.com/docs/voice/troubleshooting/hangup-causes for codes and sources; the causes are
//! telephony's own names.

use super::handset::CallStatus;

/// One way to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// `CallStatus`
    pub(super) status: &'static str,
    /// `HangupCause`
    pub(super) cause: &'static str,
    /// `HangupCauseName`
    pub(super) name: &'static str,
    /// `HangupCauseCode`
    pub(super) code: u16,
    /// `HangupSource`
    pub(super) source: &'static str,
    /// What the handset shows.
    pub(super) seen_as: CallStatus,
}

impl Ending {
    /// All was said.
    pub(super) const COMPLETED: Self = Self::answered(4010, "End Of XML Instructions", "Plivo", CallStatus::Completed);
    /// The customer cut a call that had been answered, or its XML hung up.
    pub(super) const HUNG_UP: Self = Self::answered(4000, "Normal Hangup", "API Request", CallStatus::Completed);
    pub(super) const XML_HUNG_UP: Self = Self::answered(4000, "Normal Hangup", "Answer XML", CallStatus::Completed);
    pub(super) const MACHINE: Self = Self::answered(9100, "Machine Detected", "Plivo", CallStatus::Machine);
    pub(super) const URL_UNREACHABLE: Self =
        Self::answered(7011, "Error Reaching Answer URL", "Error", CallStatus::Completed);
    pub(super) const XML_INVALID: Self = Self::answered(8011, "Invalid Answer XML", "Error", CallStatus::Completed);
    pub(super) const BUSY: Self = Self {
        status: "busy",
        cause: "USER_BUSY",
        name: "Busy Line",
        code: 3010,
        source: "Carrier",
        seen_as: CallStatus::Busy,
    };
    /// A person refused: Plivo has no status of its own for it.
    pub(super) const REJECTED: Self = Self {
        status: "busy",
        cause: "CALL_REJECTED",
        name: "Rejected",
        code: 3020,
        source: "Call recipient",
        seen_as: CallStatus::Rejected,
    };
    pub(super) const NO_ANSWER: Self = Self {
        status: "no-answer",
        cause: "NO_ANSWER",
        name: "No Answer",
        code: 3000,
        source: "Carrier",
        seen_as: CallStatus::NoAnswer,
    };
    pub(super) const FAILED: Self = Self {
        status: "failed",
        cause: "NETWORK_OUT_OF_ORDER",
        name: "Network Error",
        code: 3080,
        source: "Carrier",
        seen_as: CallStatus::Failed,
    };
    /// The customer cut a call that nobody had answered.
    pub(super) const CANCELED: Self = Self {
        status: "cancel",
        cause: "ORIGINATOR_CANCEL",
        name: "Canceled",
        code: 1000,
        source: "API Request",
        seen_as: CallStatus::Canceled,
    };

    const fn answered(code: u16, name: &'static str, source: &'static str, seen_as: CallStatus) -> Self {
        Self { status: "completed", cause: "NORMAL_CLEARING", name, code, source, seen_as }
    }
}
