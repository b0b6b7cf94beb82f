//! What Plivo reports about a text or a call after it was accepted.

use serde::{Deserialize, Serialize};

use super::words::{AttemptStatus, FailureClass};
use crate::escalation::CallEnd;
use crate::phone::Carrier;

/// A delivery report of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextReport {
    /// In Plivo's queue.
    Queued,
    /// Handed to a carrier.
    Sent,
    /// On the handset, if the carrier's report is true.
    Delivered,
    /// The carrier did not deliver it.
    Undelivered {
        /// Plivo's code, as digits.
        error_code: Option<String>,
        /// What the code means.
        class: FailureClass,
    },
    /// Plivo did not hand it to a carrier.
    Failed {
        /// Plivo's code, as digits.
        error_code: Option<String>,
        /// What the code means.
        class: FailureClass,
    },
}

impl ReportFacts {
    /// Whether nothing was reported.
    pub(super) fn is_empty(&self) -> bool {
        self.carrier.is_none() && self.cost_u.is_none()
    }
}

impl TextReport {
    /// The attempt's status after this report.
    pub fn status(&self) -> AttemptStatus {
        match self {
            Self::Queued => AttemptStatus::Queued,
            Self::Sent => AttemptStatus::Sent,
            Self::Delivered => AttemptStatus::Delivered,
            Self::Undelivered { .. } => AttemptStatus::Undelivered,
            Self::Failed { .. } => AttemptStatus::Failed,
        }
    }

    /// Plivo's code, if the text failed with one.
    pub fn error_code(&self) -> Option<&str> {
        match self {
            Self::Queued | Self::Sent | Self::Delivered => None,
            Self::Undelivered { error_code, .. } | Self::Failed { error_code, .. } => error_code.as_deref(),
        }
    }

    /// What the failure means, if the text failed.
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Queued | Self::Sent | Self::Delivered => None,
            Self::Undelivered { class, .. } | Self::Failed { class, .. } => Some(*class),
        }
    }
}

/// A report of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallReport {
    /// The phone rings.
    Ringing,
    /// A person took the call.
    Answered,
    /// The call ended after it had been answered.
    Completed,
    /// The call ended and the code was not heard.
    Ended {
        /// How it ended.
        end: CallEnd,
        /// Plivo's hangup code as digits, or the name of a cause without one in snake case.
        cause: Option<String>,
    },
}

impl CallReport {
    /// The attempt's status after this report.
    pub fn status(&self) -> AttemptStatus {
        match self {
            Self::Ringing => AttemptStatus::Ringing,
            Self::Answered => AttemptStatus::Answered,
            Self::Completed => AttemptStatus::Completed,
            Self::Ended { end, .. } => match end {
                CallEnd::Busy => AttemptStatus::Busy,
                CallEnd::NoAnswer => AttemptStatus::NoAnswer,
                CallEnd::Rejected => AttemptStatus::Rejected,
                CallEnd::Machine => AttemptStatus::Machine,
                CallEnd::Failed => AttemptStatus::Failed,
            },
        }
    }

    /// Plivo's hangup cause or code, if there was one.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Ringing | Self::Answered | Self::Completed => None,
            Self::Ended { cause, .. } => cause.as_deref(),
        }
    }
}

/// The network and the price that a report carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFacts {
    /// The network of the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// What Plivo charged, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_u: Option<u64>,
}
