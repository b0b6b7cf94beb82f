//! One text or call: its data, questions about it, and the one way it changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::report::ReportFacts;
use super::words::{AttemptStatus, Channel, FailureClass, Via};
use crate::escalation::{CALL_SILENCE, CallEnd, Reason, Text, repeat_after};
use crate::time::Timestamp;

/// Plivo's error code for a number that cannot receive texts (plivo.com/docs/messaging/troubleshooting/error-codes).
const LANDLINE: &str = "50";

/// The number of UUIDs kept beside the first. An attempt has fewer; the limit bounds what callbacks can add.
const OTHER_IDS_MAX: usize = 8;

/// One text or call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Text or call.
    pub channel: Channel,
    /// Where it stands.
    pub status: AttemptStatus,
    /// The first request to Plivo.
    pub at: Timestamp,
    /// The time of its last event. While a request is deferred: the time of the retry.
    pub heard_at: Timestamp,
    /// Why a call is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Whether it repeats a call that was busy or not answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_repeat: bool,
    /// The part of Plivo that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Message or call UUID, the first that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Further UUIDs that find it: the call's beside its request's, or those of a second run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_ids: Vec<String>,
    /// Plivo's error code or hangup code as digits, or the name of a hangup cause without one in snake case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What its failure means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    /// Plivo's HTTP status when it refused the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u16>,
    /// Whether `NoAnswer` is concluded from silence; a late callback may correct that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// Whether a person took the call at some time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// Network and price, as reported.
    #[serde(default, skip_serializing_if = "ReportFacts::is_empty")]
    pub facts: ReportFacts,
    /// Whether the PHLO could not run it in this round, so that the direct API is asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_passed_on: bool,
    /// Whether the PHLO refused it, so that later rounds do not ask the PHLO either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phlo_refuses: bool,
    /// The requests that Plivo answered without taking or refusing it: 429 and 5xx.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_requests: u8,
    /// Whether its first request could not be made at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Whether a request to hang up was decided on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hung_up: bool,
    /// Whether the request was repeated because Plivo has not sent the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sent_again: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl Attempt {
    /// An attempt that Plivo has not been asked for yet.
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
            facts: ReportFacts::default(),
            is_passed_on: false,
            phlo_refuses: false,
            failed_requests: 0,
            waits: false,
            sent_again: false,
            hung_up: false,
        }
    }

    /// Ends it as successful without a request to Plivo, for a test number.
    pub(super) fn complete_without_sending(&mut self) {
        (self.status, self.answered) = match self.channel {
            Channel::Sms => (AttemptStatus::Delivered, false),
            Channel::Call => (AttemptStatus::Completed, true),
        };
    }

    /// Moves it to a status of a higher rank, and returns whether it moved.
    pub(super) fn advance(&mut self, to: AttemptStatus) -> bool {
        let rank = if self.assumed { AttemptStatus::Unknown.rank() } else { self.status.rank() };
        let moves = to.rank() > rank && self.refused.is_none();
        if moves {
            (self.status, self.assumed) = (to, false);
        }
        moves
    }

    /// Adds a UUID. The API shows the first; all of them find the attempt.
    pub(super) fn identify(&mut self, uuid: &str) {
        let first = self.provider_id.get_or_insert_with(|| uuid.to_owned());
        let is_known = first == uuid || self.other_ids.iter().any(|other| other == uuid);
        if !is_known && self.other_ids.len() < OTHER_IDS_MAX {
            self.other_ids.push(uuid.to_owned());
        }
    }

    /// Whether one of its UUIDs is this one.
    pub fn is_known_by(&self, uuid: &str) -> bool {
        self.provider_id.iter().chain(&self.other_ids).any(|known| known == uuid)
    }

    /// Records network and price; a later report replaces an earlier one.
    pub(super) fn record_facts(&mut self, facts: ReportFacts) {
        self.facts.carrier = facts.carrier.or(self.facts.carrier);
        self.facts.cost_u = facts.cost_u.or(self.facts.cost_u);
    }

    /// Ends it as refused by Plivo.
    pub(super) fn refuse(&mut self, provider_status: u16, now: Timestamp) {
        if self.advance(AttemptStatus::Failed) {
            (self.refused, self.class, self.heard_at) = (Some(provider_status), Some(FailureClass::Permanent), now);
        }
    }

    /// Whether Plivo is known to have accepted it.
    pub fn was_accepted(&self) -> bool {
        self.refused.is_none() && self.status.is_known_to_plivo()
    }

    /// Whether a call rings or speaks, or is about to.
    ///
    /// A PHLO may never report the end of an answered call, so after [`CALL_SILENCE`] it counts as over.
    pub fn is_call_under_way(&self, now: Timestamp) -> bool {
        let speaks = self.status == AttemptStatus::Answered && now < self.heard_at + CALL_SILENCE;
        self.channel == Channel::Call && (speaks || self.status.rank() < AttemptStatus::Answered.rank())
    }

    /// Whether a call may be ringing now, or about to.
    pub(super) fn may_ring(&self, now: Timestamp) -> bool {
        self.call_silent_at().is_some_and(|at| now < at)
    }

    /// When silence about a call counts as no answer.
    pub(super) fn call_silent_at(&self) -> Option<Timestamp> {
        let waits = self.channel == Channel::Call && self.status.rank() < AttemptStatus::Answered.rank();
        waits.then(|| self.heard_at + CALL_SILENCE)
    }

    /// What is known of a text, in the words of the escalation policies.
    pub(super) fn text(&self) -> Text {
        let reason = match self.status {
            _ if self.refused.is_some() => Reason::RejectedByPlivo,
            _ if self.error_code.as_deref() == Some(LANDLINE) => Reason::Landline,
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

    /// Whether the code may be on its way, or with the person.
    pub(super) fn may_bring_the_code(&self) -> bool {
        match self.channel {
            Channel::Sms => !matches!(self.text(), Text::Lost(_)),
            Channel::Call => self.call_end().is_none(),
        }
    }

    /// The pause after its end before the call is repeated; `None` if it is not.
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
