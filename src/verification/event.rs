//! All that can happen to a verification.
//!
//! Provider facts arrive already read: `plivo::callback` and `plivo::phlo` turn Plivo's words into these.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::{AttemptStatus, Via};
use super::code::Code;
use super::nonces::Seen;
use super::state::Channel;
use crate::escalation::CallEnd;
use crate::phone::Carrier;

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

impl TextReport {
    /// The status it brings a text to.
    pub fn status(&self) -> AttemptStatus {
        match self {
            Self::Queued => AttemptStatus::Queued,
            Self::Sent => AttemptStatus::Sent,
            Self::Delivered => AttemptStatus::Delivered,
            Self::Undelivered { .. } => AttemptStatus::Undelivered,
            Self::Failed { .. } => AttemptStatus::Failed,
        }
    }

    /// Plivo's code, where the text failed with one.
    pub fn error_code(&self) -> Option<&str> {
        match self {
            Self::Queued | Self::Sent | Self::Delivered => None,
            Self::Undelivered { error_code, .. } | Self::Failed { error_code, .. } => error_code.as_deref(),
        }
    }

    /// What its failure means, where it failed.
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Queued | Self::Sent | Self::Delivered => None,
            Self::Undelivered { class, .. } | Self::Failed { class, .. } => Some(*class),
        }
    }
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

impl CallReport {
    /// The status it brings a call to.
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

    /// Plivo's hangup cause or code, where there was one.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Ringing | Self::Answered | Self::Completed => None,
            Self::Ended { cause, .. } => cause.as_deref(),
        }
    }
}

/// Plivo's code for a number that cannot take texts (`plivo/wire.md` 3.3).
pub(super) const LANDLINE: &str = "50";

/// What the person at the customer's page is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// A code is being typed: this is no moment to ring.
    Typing,
    /// The text is there.
    Received,
    /// The text is not there, says the person: call now.
    NotReceived,
}

/// What a report tells besides: where the text or call went, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// What Plivo took for it, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_u: Option<u64>,
}

/// Plivo's id of a text or call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderId {
    /// Message or call UUID.
    pub uuid: String,
    /// Whether callbacks that carry nothing else find the attempt by it already; if not, that is owed.
    pub is_linked: bool,
}

/// What came of asking Plivo for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerOutcome {
    /// Plivo took it.
    Accepted {
        /// The door.
        via: Via,
        /// Message or call UUID, where the answer told it.
        provider_id: Option<ProviderId>,
        /// The run of the PHLO, which can be asked for the UUID where the answer did not tell it.
        run_id: Option<String>,
    },
    /// The PHLO could not run it: the direct API is asked at once.
    PassedOn {
        /// The PHLO's HTTP status, where there was one.
        provider_status: Option<u16>,
        /// The round of the owed trigger that was asked in.
        round: u16,
    },
    /// Plivo said no, for good.
    Refused {
        /// The door.
        via: Via,
        /// Its HTTP status.
        provider_status: u16,
        /// Which hope that takes.
        scope: RefusalScope,
    },
    /// Perhaps sent: it is not asked again.
    TimedOut {
        /// The door, where it is known.
        via: Option<Via>,
    },
    /// Certainly not sent, or harmless to send twice: it is asked again after `retry_after`.
    Deferred {
        /// Its HTTP status, where there was one.
        provider_status: Option<u16>,
        /// The pause.
        retry_after: Duration,
        /// The round of the owed trigger that was asked in.
        round: u16,
    },
}

/// How much a refusal refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalScope {
    /// This attempt; another channel may do.
    Attempt,
    /// Whatever we ask of this account: credentials, credit, an unknown PHLO.
    Account,
    /// This number must not be contacted (class S).
    Number,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A code was submitted, of the right length and of digits.
    CodeSubmitted(Code),
    /// The customer gives up.
    Cancel,
    /// The customer asks for another text or a call.
    AttemptRequested(Channel),
    /// Another creation for the same number joins this one.
    Joined {
        /// What it asks for.
        channel: Channel,
        /// Whether the number is one of `TEST_NUMBERS` by now.
        is_test: bool,
    },
    /// The customer's page tells what the person does.
    Activity(Activity),
    /// What came of a trigger.
    Triggered {
        /// Index of the attempt.
        attempt: u8,
        /// How it went.
        outcome: TriggerOutcome,
    },
    /// Plivo was asked to take a call back.
    HungUp {
        /// Index of the attempt.
        attempt: u8,
        /// Whether it was, or cannot be any more; else Plivo could not be asked.
        is_done: bool,
    },
    /// Plivo asks what to say on a call.
    CallGoesOn {
        /// Index of the attempt.
        attempt: u8,
        /// Call UUID.
        provider_id: Option<ProviderId>,
    },
    /// What a run of the PHLO made, if it tells.
    Identified {
        /// Index of the attempt.
        attempt: u8,
        /// Message or call UUID.
        provider_id: Option<ProviderId>,
    },
    /// A link that was owed is made.
    Linked {
        /// Message or call UUID.
        provider_id: String,
    },
    /// A text's report, and the UUID it carried.
    TextReported {
        /// Index of the attempt.
        attempt: u8,
        /// What it says.
        report: TextReport,
        /// Message UUID.
        provider_id: Option<ProviderId>,
        /// What else it tells.
        facts: Facts,
    },
    /// A flow's word that its node could not send.
    TextRefused {
        /// Index of the attempt.
        attempt: u8,
    },
    /// A call's report, and the UUID it carried.
    CallReported {
        /// Index of the attempt.
        attempt: u8,
        /// What it says.
        report: CallReport,
        /// Call UUID.
        provider_id: Option<ProviderId>,
        /// What else it tells.
        facts: Facts,
    },
    /// A callback whose signature has a nonce: what it tells counts once.
    Signed {
        /// What it is known by.
        seen: Seen,
        /// All that follows from it, in order; nothing where its words are unknown.
        told: Vec<Event>,
    },
    /// Redis failed over, and what callers have been told since may be missing: guesses, or that the code was used.
    Lost,
    /// Time has passed.
    Tick,
}

impl Event {
    /// The network that it says the number is in.
    pub fn carrier(&self) -> Option<Carrier> {
        let (Self::TextReported { facts, .. } | Self::CallReported { facts, .. }) = self else { return None };
        facts.carrier
    }

    /// Plivo's ids of the texts and calls that it tells of.
    pub fn provider_ids(&self) -> Vec<&str> {
        let told = match self {
            Self::Triggered { outcome: TriggerOutcome::Accepted { provider_id, .. }, .. }
            | Self::CallGoesOn { provider_id, .. }
            | Self::Identified { provider_id, .. }
            | Self::TextReported { provider_id, .. }
            | Self::CallReported { provider_id, .. } => provider_id,
            Self::Linked { provider_id } => return vec![provider_id],
            Self::Signed { told, .. } => return told.iter().flat_map(Self::provider_ids).collect(),
            Self::CodeSubmitted(_)
            | Self::Cancel
            | Self::AttemptRequested(_)
            | Self::Joined { .. }
            | Self::Activity(_)
            | Self::Triggered { .. }
            | Self::HungUp { .. }
            | Self::TextRefused { .. }
            | Self::Lost
            | Self::Tick => &None,
        };
        told.iter().map(|id| id.uuid.as_str()).collect()
    }
}
