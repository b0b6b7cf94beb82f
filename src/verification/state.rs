//! A verification as data. Nothing here changes anything; `due.rs` has the questions about what is planned.

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::code::Code;
use super::details::Details;
use super::effect::Owed;
use super::id::{AttemptIndex, VerificationId};
use super::nonces::UsedNonces;
use super::session::{self, Session};
use super::telling::Told;
use super::timeline::{Entry, Note};
use super::words::{Channel, Ending, Feedback, Mode, Status};
use crate::escalation::{Policy, Reason};
use crate::guard::Guesses;
use crate::phone::{Carrier, PhoneNumber};
use crate::route_model::{AdviceSummary, Observer};
use crate::time::Timestamp;

/// One number being proved, by one session or by several that share what is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The id of its first session, which begins with the shard. Not serialized: the key of a record has it.
    #[serde(skip)]
    pub id: VerificationId,
    /// The app (API key name) that owns it.
    pub app: String,
    /// The number.
    pub to: PhoneNumber,
    /// The channels that were asked for.
    pub mode: Mode,
    /// When to call.
    pub policy: Policy,
    /// Whether the number's country may be called.
    pub calls_allowed: bool,
    /// The creation.
    pub created_at: Timestamp,
    /// Pending or ended, with the data that exists only then.
    pub state: State,
    /// Digits of the code, known after the code is gone.
    pub code_length: u8,
    /// The creations that share it, oldest first. Never empty.
    #[serde(default = "session::only_one", skip_serializing_if = "session::is_only_one")]
    pub sessions: Vec<Session>,
    /// Wrong codes that end a session.
    pub checks_max: u8,
    /// Recent wrong codes of the number, over all its verifications.
    #[serde(default, skip_serializing_if = "Guesses::is_empty")]
    pub guesses: Guesses,
    /// Texts and calls, oldest first.
    pub attempts: Vec<Attempt>,
    /// The network that similar numbers were in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_guess: Option<Carrier>,
    /// Effects that are not known to be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
    /// The nonces of signed callbacks.
    #[serde(default, skip_serializing_if = "UsedNonces::is_empty")]
    pub nonces: UsedNonces,
    /// Every event and decision.
    pub timeline: Vec<Entry>,
    /// The other fields of the creation.
    pub details: Details,
    /// What the customer says became of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// How far the app's receiver has been told; `None` if the app had none at the creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// Where a verification stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a box would cost an allocation in each decision")]
pub enum State {
    /// The code can be entered.
    Pending(Pending),
    /// Final.
    Ended(Ended),
}

/// What exists only until the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// The code.
    pub code: Code,
    /// When the code stops being valid.
    pub expires_at: Timestamp,
    /// The end of the quiet hours that the planned call falls into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours_until: Option<Timestamp>,
    /// A limit refused the call that was due, so no call is made unless requested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub call_barred: bool,
    /// What the first text has taught so far; `None` if the verification began with a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observer: Option<Observer>,
    /// When the observer has something to learn from silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe_at: Option<Timestamp>,
    /// The call that the adaptive policy planned when it was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<AdaptivePlan>,
}

impl Pending {
    /// A state in which nothing but the code and its lifetime is known.
    pub fn new(code: Code, expires_at: Timestamp) -> Self {
        Self {
            code,
            expires_at,
            quiet_hours_until: None,
            call_barred: false,
            observer: None,
            observe_at: None,
            planned: None,
        }
    }
}

/// What exists only after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it ended.
    pub at: Timestamp,
    /// How it ended.
    pub how: Ending,
    /// When the code would have stopped being valid.
    pub expires_at: Timestamp,
}

/// When the adaptive policy would call, why, and the figures behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdaptivePlan {
    /// When, if nothing changes. The policy is asked again at this time.
    pub at: Timestamp,
    /// The call's reason.
    pub reason: Reason,
    /// The figures.
    pub weighed: AdviceSummary,
}

impl Verification {
    /// The status of the whole, as last committed. It is pending as long as one of its sessions is.
    pub fn status(&self) -> Status {
        match &self.state {
            State::Pending(_) => Status::Pending,
            State::Ended(ended) => ended.how.status(),
        }
    }

    /// Whether it has ended.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// What exists only until the end.
    pub fn pending(&self) -> Option<&Pending> {
        match &self.state {
            State::Pending(pending) => Some(pending),
            State::Ended(_) => None,
        }
    }

    pub(super) fn pending_mut(&mut self) -> Option<&mut Pending> {
        match &mut self.state {
            State::Pending(pending) => Some(pending),
            State::Ended(_) => None,
        }
    }

    /// What exists only after the end.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Pending(_) => None,
            State::Ended(ended) => Some(ended),
        }
    }

    /// When the timeline first says so.
    pub fn first_noted(&self, is_meant: impl Fn(&Note) -> bool) -> Option<Timestamp> {
        self.timeline.iter().find(|entry| is_meant(&entry.note)).map(|entry| entry.at)
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended().map(|ended| ended.at)
    }

    /// When the code stops being valid, or would have.
    pub fn expires_at(&self) -> Timestamp {
        match &self.state {
            State::Pending(pending) => pending.expires_at,
            State::Ended(ended) => ended.expires_at,
        }
    }

    /// Whether it was ended because Redis failed over.
    pub fn lost_in_failover(&self) -> bool {
        self.ended().is_some_and(|ended| ended.how == Ending::LostInFailover)
    }

    /// The observer of the first text, while there is one.
    pub fn observer(&self) -> Option<&Observer> {
        self.pending()?.observer.as_ref()
    }

    /// One attempt.
    pub fn attempt(&self, index: AttemptIndex) -> Option<&Attempt> {
        self.attempts.get(index.position())
    }

    pub(super) fn attempt_mut(&mut self, index: AttemptIndex) -> Option<&mut Attempt> {
        self.attempts.get_mut(index.position())
    }

    /// The indexes of all attempts, oldest first.
    pub fn indexes(&self) -> impl Iterator<Item = AttemptIndex> + use<> {
        (0..self.attempts.len()).map_while(AttemptIndex::from_position)
    }

    /// The newest attempt on a channel.
    pub fn newest(&self, channel: Channel) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| a.channel == channel)
    }

    /// The attempts on a channel, oldest first.
    pub fn attempts_on(&self, channel: Channel) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.iter().filter(move |a| a.channel == channel)
    }

    /// The network of the number, as reported, or else as guessed from similar numbers.
    pub fn carrier(&self) -> Option<Carrier> {
        let reported = self.attempts.iter().rev().find_map(|a| a.facts.carrier);
        reported.or(self.carrier_guess)
    }

    /// The channel that a success is attributed to: a call if one was answered or no text was accepted.
    pub fn verified_by(&self) -> Channel {
        let call_answered = self.attempts.iter().any(|a| a.answered);
        let text_accepted = self.attempts_on(Channel::Sms).any(Attempt::was_accepted);
        if call_answered || !text_accepted { Channel::Call } else { Channel::Sms }
    }
}
