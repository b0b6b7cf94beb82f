//! All that can happen to a verification.
//!
//! Provider facts arrive already read: `plivo::callback` and `plivo::phlo` turn Plivo's words into these.

use serde::{Deserialize, Serialize};

use crate::escalation::CallEnd;

/// What a failure of a text means for what to do next (`plivo::outcome` maps Plivo's codes to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// P: no text will get through; a call may.
    Permanent,
    /// T: it may still arrive; the timer goes on.
    Transient,
    /// S: do not contact this number by any channel.
    Stop,
}

/// What Plivo reported of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextReport {
    /// In Plivo's queue.
    Queued,
    /// Handed to a carrier.
    Sent,
    /// On the handset, if the carrier tells the truth.
    Delivered,
    /// The carrier said no.
    Undelivered {
        /// Plivo's code, as written.
        error_code: Option<String>,
        /// What it means.
        class: FailureClass,
    },
    /// Never handed to a carrier.
    Failed {
        /// Plivo's code, as written.
        error_code: Option<String>,
        /// What it means.
        class: FailureClass,
    },
}

/// What Plivo reported of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallReport {
    /// The phone rings.
    Ringing,
    /// Somebody took it.
    Answered,
    /// It is over and had been answered.
    Completed,
    /// It is over and the code was not heard.
    Ended {
        /// How.
        end: CallEnd,
        /// Plivo's hangup cause or code, as written.
        cause: Option<String>,
    },
}
