//! The vocabulary of a verification: channels, statuses, and what a report can mean.
//!
//! These types only name things. Nothing here decides, and nothing here is imported from a file that does.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// How a code travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Channel {
    /// A text message.
    Sms,
    /// A voice call that reads the code out.
    Call,
}

impl Channel {
    /// The name in the API, in metrics, and in Plivo's `mode`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The channels that a creation asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// A text first, and a call when the text is not going to arrive.
    #[default]
    Auto,
    /// Texts only; a call is placed only on request.
    Sms,
    /// A call from the start.
    Call,
}

impl Mode {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The channel of the first attempt.
    pub fn first_channel(self) -> Channel {
        match self {
            Self::Auto | Self::Sms => Channel::Sms,
            Self::Call => Channel::Call,
        }
    }
}

/// The status of a verification. Every status but `Pending` is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// The code has not been entered yet.
    Pending,
    /// The right code was entered.
    Verified,
    /// The code's lifetime ended first.
    Expired,
    /// The customer canceled it.
    Canceled,
    /// Too many wrong codes were entered.
    MaxChecksReached,
    /// No channel can reach the number, or it must not be contacted.
    Undeliverable,
}

impl Status {
    /// Every status, in the order of the documentation.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Whether the status can no longer change.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    /// The name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How a verification or one of its sessions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The right code was entered.
    Verified,
    /// The code's lifetime ended first.
    Expired,
    /// Redis failed over, and acknowledged changes may be missing.
    LostInFailover,
    /// The customer canceled it.
    Canceled,
    /// Too many wrong codes were entered.
    MaxChecksReached,
    /// No channel can reach the number, or it must not be contacted.
    Undeliverable,
    /// The code was entered in another session. Only a session ends so.
    VerifiedElsewhere,
}

impl Ending {
    /// What ended it, where the status does not say.
    pub fn ended_by(self) -> Option<&'static str> {
        match self {
            Self::VerifiedElsewhere => Some("verified_elsewhere"),
            Self::LostInFailover => Some("storage_failover"),
            Self::Verified | Self::Expired | Self::Canceled | Self::MaxChecksReached | Self::Undeliverable => None,
        }
    }

    /// The status that a reader sees.
    pub fn status(self) -> Status {
        match self {
            Self::Verified => Status::Verified,
            Self::Expired | Self::LostInFailover => Status::Expired,
            Self::Canceled | Self::VerifiedElsewhere => Status::Canceled,
            Self::MaxChecksReached => Status::MaxChecksReached,
            Self::Undeliverable => Status::Undeliverable,
        }
    }
}

/// The status of one text or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "Plivo's own words, explained in the API's documentation")]
pub enum AttemptStatus {
    Triggering,
    Unknown,
    Triggered,
    Queued,
    Sent,
    Delivered,
    Undelivered,
    Failed,
    Ringing,
    Answered,
    Completed,
    NoAnswer,
    Busy,
    Rejected,
    Machine,
}

impl AttemptStatus {
    /// The name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The rank of a status: an attempt only moves to a higher one.
    ///
    /// Callbacks repeat and overtake each other, so a report of a lower rank is out of date.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Triggering => 0,
            Self::Unknown => 1,
            Self::Triggered => 2,
            Self::Queued => 3,
            Self::Sent | Self::Ringing => 4,
            Self::Answered => 5,
            Self::Delivered
            | Self::Undelivered
            | Self::Failed
            | Self::Completed
            | Self::NoAnswer
            | Self::Busy
            | Self::Rejected
            | Self::Machine => 6,
        }
    }

    /// Whether Plivo is known to have taken the attempt: a later answer "refused" is about another run of it.
    pub(super) fn is_known_to_plivo(self) -> bool {
        self.rank() > Self::Unknown.rank()
    }
}

/// The part of Plivo that took an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Via {
    /// A run of the PHLO.
    Phlo,
    /// The Message API or the Call API.
    Api,
}

impl Via {
    /// The name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What the failure of a text means for the next step (`plivo::outcome` maps Plivo's codes to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// P: no text will arrive; a call may.
    Permanent,
    /// T: the text may still arrive; the timer continues.
    Transient,
    /// S: the number must not be contacted by any channel.
    Stop,
}

/// What became of a code that is checked elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Feedback {
    /// It was entered.
    Converted,
    /// It was not entered.
    NotConverted,
}

impl Feedback {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What the customer's page reports about the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// The person is typing a code, so the phone should not ring now.
    Typing,
    /// The person has the text.
    Received,
    /// The person has no text and wants a call now.
    NotReceived,
}
