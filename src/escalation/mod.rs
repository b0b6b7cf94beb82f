//! The one question this service exists for: when, if ever, should we call?
//!
//! A [`Policy`] answers it from what is known of the texts so far (a [`Situation`]) and nothing else: no clock, no
//! store. The policy is asked again after every event. The fixed policies compute their answer here; the adaptive
//! policy's last plan comes in with the situation, because `route_model` computes it from what the route has taught.
//! [`repeat_after`] says how often a call is repeated.

mod policy;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

pub use policy::{ParsePolicyError, Policy};

use crate::time::Timestamp;

/// Why a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The carrier reported a permanent failure to deliver the text.
    Undelivered,
    /// Plivo reported a permanent failure to hand the text to a carrier.
    Failed,
    /// The number cannot receive texts.
    Landline,
    /// Plivo never accepted the text.
    RejectedByPlivo,
    /// Requested through the API, or the verification's channel is `call`.
    Requested,
    /// No report after `queued`.
    StuckQueued,
    /// No final report.
    NoReport,
    /// Reported as delivered, but no code was entered.
    DeliveredUnverified,
    /// By what the route has taught, the call comes earlier than the prior alone would place it.
    RouteUnreliable,
}

impl Reason {
    /// Every reason.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What is known of the newest text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Requested or sent, without a final report.
    Unreported,
    /// In Plivo's queue.
    Queued,
    /// Reported as delivered, which may be untrue.
    Delivered,
    /// Failed in a way that may pass (class T): the timer continues.
    Faltering(Reason),
    /// It will not arrive (class P, or never accepted).
    Lost(Reason),
}

impl Text {
    /// The reason of a call that a timer brings, not a report.
    pub fn timer_reason(self) -> Reason {
        match self {
            Self::Unreported => Reason::NoReport,
            Self::Queued => Reason::StuckQueued,
            Self::Delivered => Reason::DeliveredUnverified,
            Self::Faltering(reason) | Self::Lost(reason) => reason,
        }
    }
}

/// Everything that a policy may know of one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// The first request to Plivo.
    pub first_request_at: Timestamp,
    /// What is known of the newest text.
    pub text: Text,
    /// The adaptive policy's last plan.
    pub planned: Plan,
}

/// A policy's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Call at this time, for this reason, if nothing changes. A time that has passed means now.
    CallAt(Timestamp, Reason),
    /// Nothing known now leads to a call.
    Never,
}

/// A call without news for this long counts as not answered.
pub const CALL_SILENCE: Duration = Duration::from_secs(60);

/// The pause before a call is repeated.
const REPEAT_PAUSE: Duration = Duration::from_secs(20);

/// How a call ended without the code being heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// The line was busy.
    Busy,
    /// No person answered.
    NoAnswer,
    /// The person or the network refused it.
    Rejected,
    /// A machine answered; no code was spoken.
    Machine,
    /// It could not be placed.
    Failed,
}

/// The pause after which a call is repeated; `None` if it is not.
///
/// A call is repeated once, and only after an end that another try may avoid.
pub fn repeat_after(end: CallEnd, is_repeat: bool) -> Option<Duration> {
    match end {
        CallEnd::Busy | CallEnd::NoAnswer if !is_repeat => Some(REPEAT_PAUSE),
        CallEnd::Busy | CallEnd::NoAnswer | CallEnd::Rejected | CallEnd::Machine | CallEnd::Failed => None,
    }
}
