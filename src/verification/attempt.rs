//! [`Attempt`]: one text or call, questions about it, and the one way it moves: on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Facts, FailureClass};
use super::state::Channel;
use crate::escalation::{CALL_SILENCE, CallEnd, Reason, Text, repeat_after};
use crate::time::Timestamp;

/// Where one text or call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "Plivo's own words, explained in the contract")]
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
    /// As the API and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Triggering => "triggering",
            Self::Unknown => "unknown",
            Self::Triggered => "triggered",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Machine => "machine",
        }
    }

    /// How far along it is. A report never moves an attempt back, and nothing follows the last step:
    /// callbacks repeat and overtake each other.
    pub(super) fn step(self) -> u8 {
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
}

/// Which of Plivo's doors an attempt went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A run of the PHLO.
    Phlo,
    /// The Message API or the Call API.
    Api,
}

impl Via {
    /// As the API and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phlo => "phlo",
            Self::Api => "api",
        }
    }
}

/// No attempt has so many ids, whatever is told of it.
const IDS_MAX: usize = 8;

/// One text or call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Text or call.
    pub channel: Channel,
    /// Where it stands.
    pub status: AttemptStatus,
    /// When Plivo was first asked for it.
    pub at: Timestamp,
    /// When anything was last heard of it; while Plivo puts it off, when it is asked for again.
    pub heard_at: Timestamp,
    /// Why it was made, for a call.
    pub reason: Option<Reason>,
    /// Whether it repeats a call that was busy or not answered.
    pub is_repeat: bool,
    /// The door it went through.
    pub via: Option<Via>,
    /// Message or call UUID.
    pub provider_id: Option<String>,
    /// Other UUIDs that it was told of by, which find it too: of the call beside that of its request, of a second run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_ids: Vec<String>,
    /// Plivo's error code or hangup cause, as written.
    pub error_code: Option<String>,
    /// What its failure means.
    pub class: Option<FailureClass>,
    /// Plivo's HTTP status when it refused the attempt.
    pub refused: Option<u16>,
    /// Whether `NoAnswer` is our conclusion from silence, which a late callback may still correct.
    pub assumed: bool,
    /// Whether a call has been taken by somebody at some time.
    pub answered: bool,
    /// Where it went and what it cost, as far as Plivo has told.
    #[serde(default)]
    pub facts: Facts,
    /// Whether the PHLO could not run it this time round, so that the direct API is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_passed_on: bool,
    /// Whether the PHLO refused it, so that it is not asked again either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phlo_refuses: bool,
    /// Whether a call was taken back while it rang.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_back: bool,
}

impl Attempt {
    /// An attempt that is about to be asked for.
    pub(super) fn new(channel: Channel, reason: Option<Reason>, is_repeat: bool, now: Timestamp) -> Self {
        Self {
            channel,
            status: AttemptStatus::Triggering,
            at: now,
            heard_at: now,
            reason,
            is_repeat,
            via: None,
            provider_id: None,
            other_ids: Vec::new(),
            error_code: None,
            class: None,
            refused: None,
            assumed: false,
            answered: false,
            facts: Facts::default(),
            is_passed_on: false,
            phlo_refuses: false,
            taken_back: false,
        }
    }

    /// Is over and went well, without anybody having been asked: for a number that nothing is ever sent to.
    pub(super) fn pretend(&mut self) {
        (self.status, self.answered) = match self.channel {
            Channel::Sms => (AttemptStatus::Delivered, false),
            Channel::Call => (AttemptStatus::Completed, true),
        };
    }

    /// Moves it on, never back. Says whether it moved.
    pub(super) fn advance(&mut self, to: AttemptStatus) -> bool {
        let step = if self.assumed { AttemptStatus::Unknown.step() } else { self.status.step() };
        let moves = to.step() > step && self.refused.is_none();
        if moves {
            (self.status, self.assumed) = (to, false);
        }
        moves
    }

    /// Takes down an id of Plivo's. The first is shown, all of them find it.
    pub(super) fn identify(&mut self, uuid: &str) {
        let first = self.provider_id.get_or_insert_with(|| uuid.to_owned());
        let is_known = first == uuid || self.other_ids.iter().any(|other| other == uuid);
        if !is_known && self.other_ids.len() < IDS_MAX {
            self.other_ids.push(uuid.to_owned());
        }
    }

    /// Takes down where it went and what it cost; a later report knows better.
    pub(super) fn learn(&mut self, facts: Facts) {
        self.facts.carrier = facts.carrier.or(self.facts.carrier);
        self.facts.cost_u = facts.cost_u.or(self.facts.cost_u);
    }

    /// Plivo refused it, and so no other of its kind will do.
    pub(super) fn refuse(&mut self, provider_status: u16, now: Timestamp) {
        if self.advance(AttemptStatus::Failed) {
            (self.refused, self.class, self.heard_at) = (Some(provider_status), Some(FailureClass::Permanent), now);
        }
    }

    /// Whether Plivo took it, as far as is known.
    pub fn was_accepted(&self) -> bool {
        self.refused.is_none() && !matches!(self.status, AttemptStatus::Triggering | AttemptStatus::Unknown)
    }

    /// Whether a call rings or is spoken, or is about to be. A flow may never say that an answered call
    /// has ended, so some time after the answer it is taken to be over.
    pub fn is_call_under_way(&self, now: Timestamp) -> bool {
        let spoken = self.status == AttemptStatus::Answered && now < self.heard_at + CALL_SILENCE;
        self.channel == Channel::Call && (spoken || self.status.step() < AttemptStatus::Answered.step())
    }

    /// Whether a call may be ringing now, or about to.
    pub(super) fn may_ring(&self, now: Timestamp) -> bool {
        self.call_silent_at().is_some_and(|at| now < at)
    }

    /// When silence about a call is taken for nobody answering.
    pub(super) fn call_silent_at(&self) -> Option<Timestamp> {
        let waits = self.channel == Channel::Call && self.status.step() < AttemptStatus::Answered.step();
        waits.then(|| self.heard_at + CALL_SILENCE)
    }

    /// What is known of a text, in the words of the escalation policies.
    pub(super) fn text(&self) -> Text {
        let reason = match self.status {
            _ if self.refused.is_some() => Reason::RejectedByPlivo,
            _ if self.error_code.as_deref() == Some(super::event::LANDLINE) => Reason::Landline,
            AttemptStatus::Failed => Reason::Failed,
            _ => Reason::Undelivered,
        };
        match (self.status, self.class) {
            (_, Some(FailureClass::Permanent | FailureClass::Stop)) => Text::Lost(reason),
            (_, Some(FailureClass::Transient)) => Text::Faltering(reason),
            (AttemptStatus::Queued, None) => Text::Queued,
            (AttemptStatus::Delivered, None) => Text::Delivered,
            (_, None) => Text::Unreported,
        }
    }

    /// Whether the code may be on its way, in the person's hand or ear.
    pub(super) fn may_bring_the_code(&self) -> bool {
        match self.channel {
            Channel::Sms => !matches!(self.text(), Text::Lost(_)),
            Channel::Call => self.call_end().is_none(),
        }
    }

    /// How long after its end a call is repeated, if it is.
    pub(super) fn pause_before_repeat(&self) -> Option<Duration> {
        repeat_after(self.call_end()?, self.is_repeat)
    }

    /// How a call ended, if it ended without the code being heard.
    pub(super) fn call_end(&self) -> Option<CallEnd> {
        match self.status {
            _ if self.channel == Channel::Sms => None,
            AttemptStatus::Busy => Some(CallEnd::Busy),
            AttemptStatus::NoAnswer => Some(CallEnd::NoAnswer),
            AttemptStatus::Rejected => Some(CallEnd::Rejected),
            AttemptStatus::Machine => Some(CallEnd::Machine),
            AttemptStatus::Failed => Some(CallEnd::Failed),
            _ => None,
        }
    }
}
