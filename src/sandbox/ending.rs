//! [`Ending`]: the ways in which a call ends, as Plivo and the handset name them.
//!
//! Source of codes and hangup sources: plivo.com/docs/voice/troubleshooting/hangup-causes. The causes are the names
//! of telephony.

use super::handset::CallStatus;

/// One way in which a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Plivo's `CallStatus`.
    pub(super) status: &'static str,
    /// Plivo's `HangupCause`.
    pub(super) cause: &'static str,
    /// Plivo's `HangupCauseName`.
    pub(super) name: &'static str,
    /// Plivo's `HangupCauseCode`.
    pub(super) code: u16,
    /// Plivo's `HangupSource`.
    pub(super) source: &'static str,
    pub(super) handset_status: CallStatus,
}

impl Ending {
    pub(super) const COMPLETED: Self = Self::answered(4010, "End Of XML Instructions", "Plivo", CallStatus::Completed);
    /// The customer ended an answered call through the API.
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
        handset_status: CallStatus::Busy,
    };
    /// A person declined; Plivo's status for that is `busy`.
    pub(super) const REJECTED: Self = Self {
        status: "busy",
        cause: "CALL_REJECTED",
        name: "Rejected",
        code: 3020,
        source: "Call recipient",
        handset_status: CallStatus::Rejected,
    };
    pub(super) const NO_ANSWER: Self = Self {
        status: "no-answer",
        cause: "NO_ANSWER",
        name: "No Answer",
        code: 3000,
        source: "Carrier",
        handset_status: CallStatus::NoAnswer,
    };
    pub(super) const FAILED: Self = Self {
        status: "failed",
        cause: "NETWORK_OUT_OF_ORDER",
        name: "Network Error",
        code: 3080,
        source: "Carrier",
        handset_status: CallStatus::Failed,
    };
    /// The customer ended a ringing call through the API.
    pub(super) const CANCELED: Self = Self {
        status: "cancel",
        cause: "ORIGINATOR_CANCEL",
        name: "Canceled",
        code: 1000,
        source: "API Request",
        handset_status: CallStatus::Canceled,
    };

    const fn answered(code: u16, name: &'static str, source: &'static str, handset_status: CallStatus) -> Self {
        Self { status: "completed", cause: "NORMAL_CLEARING", name, code, source, handset_status }
    }
}
