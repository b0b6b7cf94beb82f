//! [`Verification`] and [`Attempt`]: the data, and questions about it. Nothing here changes anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::code::Code;
use super::effect::Owed;
use super::nonces::Nonces;
use super::timeline::Entry;
use crate::escalation::{Plan, Policy, Reason, Situation, Text};
use crate::guard::Guesses;
use crate::phone::{Carrier, PhoneNumber};
use crate::route_model::{AdviceSummary, Observer};
use crate::time::Timestamp;

/// How a code travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A text.
    Sms,
    /// A voice call that reads it out.
    Call,
}

impl Channel {
    /// As the API, the metrics and Plivo's `mode` write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Call => "call",
        }
    }
}

/// What the customer asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A text first, and a call when the text is not going to make it.
    #[default]
    Auto,
    /// Texts alone; a call only when asked for.
    Sms,
    /// A call from the start.
    Call,
}

impl Mode {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Sms => "sms",
            Self::Call => "call",
        }
    }

    /// The channel its first attempt takes.
    pub fn first_channel(self) -> Channel {
        match self {
            Self::Auto | Self::Sms => Channel::Sms,
            Self::Call => Channel::Call,
        }
    }
}

/// Where a verification stands. All but `Pending` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waiting for the code.
    Pending,
    /// The code was entered.
    Verified,
    /// Its time ran out.
    Expired,
    /// The customer gave it up.
    Canceled,
    /// Too many wrong codes.
    MaxChecksReached,
    /// No channel can reach the number, or it must not be contacted.
    Undeliverable,
}

impl Status {
    /// Every status, in the order they are documented.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Verified, Self::Expired, Self::Canceled, Self::MaxChecksReached, Self::Undeliverable];

    /// Whether nothing more can change it.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    /// As the API and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::MaxChecksReached => "max_checks_reached",
            Self::Undeliverable => "undeliverable",
        }
    }
}

/// A call that is planned and can still be forestalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCall {
    /// When it is due.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// Whether it repeats the last one.
    pub is_repeat: bool,
}

/// When the adaptive policy would call, why, and what that was weighed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkedOut {
    /// When, if nothing changes; asked again then.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// On what.
    pub weighed: AdviceSummary,
}

/// What the customer may say about a creation besides number and channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// BCP 47 tag of the person's language.
    pub locale: String,
    /// The customer's own words, given back unread.
    pub metadata: BTreeMap<String, String>,
    /// The person's address, as the customer saw it.
    pub client_ip: Option<std::net::IpAddr>,
    /// Android's SMS Retriever hash, the last line of the text.
    pub app_hash: Option<String>,
    /// The site a browser may fill the code in for (WebOTP).
    pub web_origin: Option<String>,
    /// Whether the number is one of `TEST_NUMBERS`: nothing is ever sent to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_test: bool,
}

/// One number being proved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Its name in the API, which begins with its shard.
    pub id: super::VerificationId,
    /// The app (API key name) it belongs to.
    pub app: String,
    /// The number.
    pub to: PhoneNumber,
    /// What was asked for.
    pub mode: Mode,
    /// When to call.
    pub policy: Policy,
    /// Whether the number's country may be called.
    pub calls_allowed: bool,
    /// Where it stands.
    pub status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its code stops being good.
    pub expires_at: Timestamp,
    /// When it became final.
    pub ended_at: Option<Timestamp>,
    /// Whether it expired before its time, as a fail-over of Redis may have lost guesses, or that the code was used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_lost: bool,
    /// The code; gone once final.
    pub code: Option<Code>,
    /// Digits of the code, known after it is gone.
    pub code_length: u8,
    /// Wrong codes so far.
    pub checks_used: u8,
    /// Wrong codes it takes.
    pub checks_max: u8,
    /// Wrong codes of its number lately, those of earlier verifications among them.
    #[serde(default, skip_serializing_if = "Guesses::is_empty")]
    pub guesses: Guesses,
    /// Whether the guard refused a call that was due, so that none is made unless asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub call_barred: bool,
    /// Texts and calls, oldest first.
    pub attempts: Vec<Attempt>,
    /// Nobody is rung before this, since somebody is typing.
    pub quiet_until: Option<Timestamp>,
    /// Where a call that is planned falls into the night at the number's place: when that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub night_until: Option<Timestamp>,
    /// The person has the text in hand, so no call is made unless asked for.
    pub received: bool,
    /// What its text has taught so far; none where there is none to watch, or no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Observer>,
    /// When to look at that again, besides all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_at: Option<Timestamp>,
    /// What the adaptive policy worked out when it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked_out: Option<WorkedOut>,
    /// The network that numbers like this were in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_guess: Option<Carrier>,
    /// What is owed to the world and not done yet.
    pub owed: Vec<Owed>,
    /// What signed callbacks have brought.
    #[serde(default, skip_serializing_if = "Nonces::is_empty")]
    pub nonces: Nonces,
    /// All that happened.
    pub timeline: Vec<Entry>,
    /// What else the customer said.
    pub details: Details,
}

impl Verification {
    /// The status a reader sees at `now`: a pending one whose time is up has expired, even if nobody has
    /// written that down yet.
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Pending && now >= self.expires_at { Status::Expired } else { self.status }
    }

    /// Wrong codes it still takes.
    pub fn checks_remaining(&self) -> u8 {
        self.checks_max.saturating_sub(self.checks_used)
    }

    /// The newest attempt on a channel.
    pub fn newest(&self, channel: Channel) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| a.channel == channel)
    }

    /// The network it is in, as reported or else as numbers like it were last.
    pub fn carrier(&self) -> Option<Carrier> {
        let reported = self.attempts.iter().rev().find_map(|a| a.facts.carrier);
        reported.or(self.carrier_guess)
    }

    /// The channel a success is put down to: a call if one had been answered or no text was accepted.
    pub fn verified_by(&self) -> Channel {
        let call_answered = self.attempts.iter().any(|a| a.answered);
        let text_accepted = self.attempts.iter().any(|a| a.channel == Channel::Sms && a.was_accepted());
        if call_answered || !text_accepted { Channel::Call } else { Channel::Sms }
    }

    /// The channel it begins with, and why if that is a call. A text to a fixed line is lost before it is
    /// sent, so where a lost text is called for at once, none is.
    pub(super) fn first_attempt(&self) -> (Channel, Option<Reason>) {
        let text = Text::Lost(Reason::Landline);
        let lost = Situation { first_request_at: self.created_at, text, worked_out: Plan::Never };
        let is_lost = self.mode == Mode::Auto && self.calls_allowed && self.to.is_fixed_line();
        match (self.mode.first_channel(), self.policy.when(&lost)) {
            (Channel::Call, _) => (Channel::Call, Some(Reason::Requested)),
            (Channel::Sms, Plan::CallAt(at, reason)) if is_lost && at <= self.created_at => {
                (Channel::Call, Some(reason))
            }
            (Channel::Sms, _) => (Channel::Sms, None),
        }
    }

    /// The next call, if nothing changes. At most one is ever made by escalation, and it is repeated at
    /// most once; a call that was asked for stands in for the escalation's own.
    pub fn next_call(&self) -> Option<PlannedCall> {
        let planned = self.planned_call()?;
        let night = self.night_until.filter(|_| planned.reason != Reason::Requested);
        let at = night.map_or(planned.at, |night| night.max(planned.at));
        (at < self.expires_at).then_some(PlannedCall { at, ..planned })
    }

    /// The next call, whatever hour it is at the number's place.
    pub(super) fn planned_call(&self) -> Option<PlannedCall> {
        if self.status.is_final() || !self.calls_allowed || self.received || self.call_barred {
            return None;
        }
        let planned = match self.newest(Channel::Call) {
            Some(call) => PlannedCall {
                at: call.heard_at + call.pause_before_repeat()?,
                reason: call.reason.unwrap_or(Reason::Requested),
                is_repeat: true,
            },
            None if self.mode == Mode::Sms || self.details.is_test => return None,
            None => {
                let first = self.attempts.iter().find(|a| a.channel == Channel::Sms)?;
                let worked_out = self.worked_out.map_or(Plan::Never, |w| Plan::CallAt(w.at, w.reason));
                let situation = Situation { first_request_at: first.at, text: self.text()?, worked_out };
                match self.policy.when(&situation) {
                    Plan::CallAt(at, reason) => PlannedCall { at, reason, is_repeat: false },
                    Plan::Never => return None,
                }
            }
        };
        let at = self.quiet_until.map_or(planned.at, |quiet| quiet.max(planned.at));
        (at < self.expires_at).then_some(PlannedCall { at, ..planned })
    }

    /// What is known of the texts: the newest counts, unless an older one is in the person's hand while it
    /// fails.
    pub(super) fn text(&self) -> Option<Text> {
        let mut texts = self.attempts.iter().rev().filter(|a| a.channel == Channel::Sms).map(Attempt::text);
        let newest = texts.next()?;
        match newest {
            Text::Unreported | Text::Queued if self.to.is_fixed_line() => Some(Text::Lost(Reason::Landline)),
            Text::Lost(_) | Text::Faltering(_) => Some(texts.find(|t| *t == Text::Delivered).unwrap_or(newest)),
            Text::Unreported | Text::Queued | Text::Delivered => Some(newest),
        }
    }

    /// When silence about a call under way is taken for nobody answering.
    pub(super) fn call_silent_at(&self) -> Option<Timestamp> {
        self.attempts.iter().filter_map(Attempt::call_silent_at).min()
    }

    /// Whether some channel may still bring the code, now or when asked for.
    pub(super) fn has_hope(&self) -> bool {
        let may_be_called = match self.newest(Channel::Call) {
            Some(call) => call.pause_before_repeat().is_some(),
            None => self.mode != Mode::Sms && self.calls_allowed,
        };
        may_be_called || self.attempts.iter().any(Attempt::may_bring_the_code)
    }

    /// When somebody must look at it again; `None` once nothing is left to do.
    pub fn due(&self) -> Option<Timestamp> {
        let owed = self.owed.iter().map(|o| o.due);
        if self.status.is_final() {
            return owed.min();
        }
        let timers = [Some(self.expires_at), self.next_call().map(|c| c.at), self.call_silent_at(), self.watch_at];
        owed.chain(timers.into_iter().flatten()).min()
    }
}
