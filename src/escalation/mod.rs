//! The one question this service exists for: when, if ever, should we call?
//!
//! A [`Policy`] answers it from what is known of the texts so far (a [`Situation`]) and nothing else: no
//! clock, no store. The same question is asked after every event, so an answer never has to be
//! remembered or revoked. How often a call is repeated is answered here too ([`repeat_after`]).

mod policy;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use policy::{ParsePolicyError, Policy};

use crate::time::Timestamp;

/// Why a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The carrier said the text was not delivered, for good.
    Undelivered,
    /// Plivo could not hand the text to a carrier, for good.
    Failed,
    /// The number cannot take a text.
    Landline,
    /// Plivo never accepted the text.
    RejectedByPlivo,
    /// Asked for through the API, or the verification's channel is `call`.
    Requested,
    /// Nothing was heard after `queued`.
    StuckQueued,
    /// No final report came.
    NoReport,
    /// Reported as delivered, and yet no code was entered.
    DeliveredUnverified,
    /// The route has been doing badly, so the call comes earlier than it would have.
    RouteUnreliable,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Undelivered,
        Self::Failed,
        Self::Landline,
        Self::RejectedByPlivo,
        Self::Requested,
        Self::StuckQueued,
        Self::NoReport,
        Self::DeliveredUnverified,
        Self::RouteUnreliable,
    ];

    /// As the API and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Landline => "landline",
            Self::RejectedByPlivo => "rejected_by_plivo",
            Self::Requested => "requested",
            Self::StuckQueued => "stuck_queued",
            Self::NoReport => "no_report",
            Self::DeliveredUnverified => "delivered_unverified",
            Self::RouteUnreliable => "route_unreliable",
        }
    }
}

/// What is known of the newest text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Being sent, or sent, and no final report.
    Unreported,
    /// Plivo has it in its queue.
    Queued,
    /// Reported as delivered, which may be untrue.
    Delivered,
    /// It failed in a way that may pass (class T): the timer goes on.
    Faltering(Reason),
    /// It will not arrive (class P, or never accepted).
    Lost(Reason),
}

impl Text {
    /// The reason a call gets when a timer, not a report, brings it.
    pub fn timer_reason(self) -> Reason {
        match self {
            Self::Unreported => Reason::NoReport,
            Self::Queued => Reason::StuckQueued,
            Self::Delivered => Reason::DeliveredUnverified,
            Self::Faltering(reason) | Self::Lost(reason) => reason,
        }
    }
}

/// All that a policy may know of one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// When Plivo was first asked to send a text.
    pub first_request_at: Timestamp,
    /// What is known of the newest text.
    pub text: Text,
    /// What the adaptive policy worked out when it was last asked.
    pub worked_out: Plan,
}

/// A policy's answer. A moment that has passed means now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Call at this moment, for this reason, if nothing changes.
    CallAt(Timestamp, Reason),
    /// Nothing known now would make us call.
    Never,
}

/// A call that nothing is heard of for this long counts as not answered.
pub const CALL_SILENCE: Duration = Duration::from_secs(60);

/// How a call ended without the code being heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// The line was busy.
    Busy,
    /// It rang and nobody took it.
    NoAnswer,
    /// A person or the network refused it.
    Rejected,
    /// A machine answered; no code was spoken.
    Machine,
    /// It could not be placed.
    Failed,
}

/// How long after such an end the call is repeated, if it is: once, and only where the next try may meet
/// somebody.
pub fn repeat_after(end: CallEnd, is_repeat: bool) -> Option<Duration> {
    match end {
        CallEnd::Busy | CallEnd::NoAnswer if !is_repeat => Some(Duration::from_secs(20)),
        CallEnd::Busy | CallEnd::NoAnswer | CallEnd::Rejected | CallEnd::Machine | CallEnd::Failed => None,
    }
}
