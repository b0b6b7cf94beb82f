//! Every transition: [`open`] and [`decide`], with what Plivo tells taken down in `heard.rs`, what it teaches in
//! `watch.rs`, what follows from all of it in `settle.rs`, and nowhere else.

use std::time::Duration;

use super::effect::{Effect, Owed};
use super::event::{Activity, Event};
use super::rules::{Barred, LIFETIME_MAX, Rules, TYPING_PAUSE};
use super::state::{Channel, Details, Mode, Status, Verification};
use super::timeline::{ENTRIES_MAX, Entry, Note};
use super::{Code, VerificationId};
use crate::escalation::{Policy, Reason};
use crate::guard::{Guesses, Scope};
use crate::phone::{Carrier, PhoneNumber};
use crate::route_model::{Insight, Lesson};
use crate::time::Timestamp;

/// What one event does.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The state after it.
    pub after: Verification,
    /// What is to be done once that is committed. Each is owed in `after` already.
    pub effects: Vec<Effect>,
    /// What it teaches of the number's route, to be learned once that is committed.
    pub lessons: Vec<Lesson>,
    /// What whoever brought the event is told.
    pub answer: Answer,
}

/// What whoever brought an event is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken note of.
    Noted,
    /// The code was right.
    Correct,
    /// The code was wrong.
    Incorrect,
    /// This very callback came before and was taken then.
    Repeated {
        /// How long ago, to the second.
        after: Duration,
    },
    /// It cannot be done.
    Refused(Refusal),
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is all over.
    Final(Status),
    /// It was open when Redis failed over, and is no longer.
    Lost,
    /// The code does not have as many digits as this verification's; it was not counted.
    CodeLength(u8),
    /// A call is ringing or being spoken.
    CallInProgress,
    /// The last attempt on this channel is too recent.
    ResendCooldown {
        /// How long to wait.
        retry_after: Duration,
    },
    /// No further attempt can be asked for.
    MaxAttempts,
    /// The number's country may not be called, or the verification is for texts alone.
    ChannelNotAllowed,
    /// A limit is reached.
    RateLimited {
        /// Which.
        scope: Scope,
        /// How long until there is room.
        retry_after: Duration,
    },
    /// The nonce of this callback came with another body before.
    Replayed,
}

/// What a new verification is made of.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id.
    pub id: VerificationId,
    /// Whose it is.
    pub app: String,
    /// The number.
    pub to: PhoneNumber,
    /// Which channels.
    pub mode: Mode,
    /// When to call, if not by the rules' policy.
    pub policy: Option<Policy>,
    /// How long the code lives, if not as the rules say.
    pub ttl: Option<Duration>,
    /// Whether the number's country may be called.
    pub calls_allowed: bool,
    /// The network that numbers like this were in last.
    pub carrier_guess: Option<Carrier>,
    /// The code.
    pub code: Code,
    /// The wrong codes that were entered for this number before.
    pub guesses: Guesses,
    /// What else the customer said.
    pub details: Details,
}

/// Opens a verification and decides on its first attempt.
pub fn open(request: Request, rules: &Rules, now: Timestamp) -> Decision {
    let policy = request.policy.unwrap_or(rules.policy);
    let verification = Verification {
        id: request.id,
        app: request.app,
        to: request.to,
        mode: request.mode,
        policy,
        calls_allowed: request.calls_allowed,
        status: Status::Pending,
        created_at: now,
        expires_at: now + request.ttl.unwrap_or(rules.ttl).min(LIFETIME_MAX),
        ended_at: None,
        is_lost: false,
        code_length: request.code.length(),
        code: Some(request.code),
        checks_used: 0,
        checks_max: rules.checks_max,
        guesses: request.guesses,
        call_barred: false,
        attempts: Vec::new(),
        quiet_until: None,
        night_until: None,
        received: false,
        track: None,
        watch_at: None,
        worked_out: None,
        carrier_guess: request.carrier_guess,
        owed: Vec::new(),
        nonces: Default::default(),
        timeline: Vec::new(),
        details: request.details,
    };
    let mut draft = Draft::new(verification, rules, now);
    draft.note(Note::Created { mode: request.mode, policy });
    let (channel, reason) = draft.v.first_attempt();
    draft.trigger(channel, reason, false);
    draft.begin_to_watch();
    draft.mind_the_night();
    draft.done(Answer::Noted)
}

/// Says what one event does to a verification at one moment.
pub fn decide(before: &Verification, event: &Event, rules: &Rules, now: Timestamp) -> Decision {
    let mut draft = Draft::new(before.clone(), rules, now);
    let events = match event {
        Event::Signed { seen, told } => {
            if let Some(answer) = draft.v.nonces.answer_again(*seen, draft.age()) {
                return draft.done(answer);
            }
            let age = draft.age();
            draft.v.nonces.remember(*seen, age);
            told
        }
        event => std::slice::from_ref(event),
    };
    // What is lost is not over in the usual way, even if nobody looked before its time was up.
    if before.status == Status::Pending && now >= before.expires_at && *event != Event::Lost {
        draft.end(Status::Expired);
    }
    // All that a callback tells is taken down before anything follows from it: its events are of one moment.
    let answer = events.iter().fold(Answer::Noted, |_, event| draft.apply(event));
    draft.watch(before);
    draft.mind_the_night();
    draft.settle();
    draft.watch_calls(before);
    draft.mind_the_night();
    draft.done(answer)
}

/// The state while it is being decided on.
pub(super) struct Draft<'a> {
    pub(super) v: Verification,
    pub(super) effects: Vec<Effect>,
    /// What has been learned, these lessons included.
    pub(super) insight: Insight,
    pub(super) lessons: Vec<Lesson>,
    pub(super) rules: &'a Rules,
    pub(super) now: Timestamp,
}

impl<'a> Draft<'a> {
    fn new(v: Verification, rules: &'a Rules, now: Timestamp) -> Self {
        Self { v, effects: Vec::new(), insight: rules.insight.clone(), lessons: Vec::new(), rules, now }
    }

    fn done(self, answer: Answer) -> Decision {
        Decision { after: self.v, effects: self.effects, lessons: self.lessons, answer }
    }

    /// Takes one event down. What follows from it is concluded afterwards.
    fn apply(&mut self, event: &Event) -> Answer {
        match (self.v.status, event) {
            // Facts about attempts are taken down for as long as the record is kept. They end nothing by
            // themselves: `settle` draws the conclusions, and only while the verification is pending.
            (_, Event::Triggered { attempt, outcome }) => self.triggered(*attempt, outcome),
            (_, Event::TextReported { attempt, report, provider_id, facts }) => {
                self.text_reported(*attempt, report, provider_id.as_ref(), *facts)
            }
            (_, Event::TextRefused { attempt }) => self.text_refused(*attempt),
            (_, Event::CallReported { attempt, report, provider_id, facts }) => {
                self.call_reported(*attempt, report, provider_id.as_ref(), *facts)
            }
            (_, Event::HungUp { attempt, is_done }) => self.hung_up(*attempt, *is_done),
            (_, Event::CallGoesOn { attempt, provider_id }) => self.call_goes_on(*attempt, provider_id.as_ref()),
            (_, Event::Identified { attempt, provider_id }) => self.identified(*attempt, provider_id.as_ref()),
            (_, Event::Linked { provider_id }) => self.linked(provider_id),
            (Status::Pending, Event::Lost) => self.lose(),
            (_, Event::Lost | Event::Tick) => Answer::Noted,
            (_, Event::Signed { told, .. }) => told.iter().fold(Answer::Noted, |_, event| self.apply(event)),

            (Status::Pending, Event::CodeSubmitted(code)) => self.check(code),
            (Status::Pending, Event::AttemptRequested(channel)) => self.request(*channel),
            // A code that is public, or is no longer meant to be, must not serve for the other kind.
            (Status::Pending, Event::Joined { is_test, .. }) if *is_test != self.v.details.is_test => {
                self.end(Status::Canceled);
                Answer::Refused(Refusal::Final(Status::Canceled))
            }
            (Status::Pending, Event::Joined { channel, .. }) => self.join(*channel),
            (Status::Pending, Event::Activity(kind)) => self.activity(*kind),
            (Status::Pending | Status::Canceled, Event::Cancel) => self.end(Status::Canceled),

            (
                status,
                Event::CodeSubmitted(_)
                | Event::AttemptRequested(_)
                | Event::Joined { .. }
                | Event::Cancel
                | Event::Activity(_),
            ) => Answer::Refused(if self.v.is_lost { Refusal::Lost } else { Refusal::Final(status) }),
        }
    }

    /// In whole seconds, as nonces are kept with it.
    fn age(&self) -> u16 {
        u16::try_from(self.now.since(self.v.created_at).as_secs()).unwrap_or(u16::MAX)
    }

    pub(super) fn note(&mut self, note: Note) {
        // What anybody can repeat at will is kept so far; of the rest there are few, and logs and metrics are
        // told from here.
        let is_repeatable =
            matches!(note, Note::Joined | Note::Activity { .. } | Note::Deferred { .. } | Note::PassedOn { .. });
        if !is_repeatable || self.v.timeline.len() < ENTRIES_MAX {
            self.v.timeline.push(Entry { at: self.now, note });
        }
    }

    fn check(&mut self, submitted: &Code) -> Answer {
        if submitted.length() != self.v.code_length {
            return Answer::Refused(Refusal::CodeLength(self.v.code_length));
        }
        let guesses = &mut self.v.guesses;
        if let Some(retry_after) = guesses.wait(&self.rules.guesses, self.now).filter(|_| !self.v.details.is_test) {
            return Answer::Refused(Refusal::RateLimited { scope: Scope::Guesses, retry_after });
        }
        if self.v.code.as_ref().is_some_and(|code| code.matches(submitted)) {
            self.v.guesses.clear(self.now);
            self.end(Status::Verified);
            return Answer::Correct;
        }
        self.v.guesses.add(&self.rules.guesses, self.now);
        self.v.checks_used = self.v.checks_used.saturating_add(1);
        let checks_remaining = self.v.checks_remaining();
        self.note(Note::CodeIncorrect { checks_remaining });
        if checks_remaining == 0 {
            self.end(Status::MaxChecksReached);
        }
        Answer::Incorrect
    }

    fn request(&mut self, channel: Channel) -> Answer {
        if let Err(refusal) = self.may_request(channel) {
            return Answer::Refused(refusal);
        }
        match channel {
            Channel::Sms => self.trigger(Channel::Sms, None, false),
            Channel::Call => self.call_as_requested(),
        }
        Answer::Noted
    }

    /// Whoever wants to be called has no text in hand, whatever was said before.
    fn call_as_requested(&mut self) {
        (self.v.received, self.v.call_barred) = (false, false);
        self.trigger(Channel::Call, Some(Reason::Requested), false);
    }

    fn may_request(&self, channel: Channel) -> Result<(), Refusal> {
        if channel == Channel::Call && !self.v.calls_allowed {
            return Err(Refusal::ChannelNotAllowed);
        }
        if channel == Channel::Call && self.v.attempts.iter().any(|a| a.is_call_under_way(self.now)) {
            return Err(Refusal::CallInProgress);
        }
        let again_at = self.v.newest(channel).map(|a| a.at + self.rules.resend_cooldown);
        if let Some(at) = again_at.filter(|at| *at > self.now) {
            return Err(Refusal::ResendCooldown { retry_after: at.since(self.now) });
        }
        if self.v.attempts.len() >= usize::from(self.rules.attempts_max) {
            return Err(Refusal::MaxAttempts);
        }
        // One that Plivo has put off will be sent yet: more of them would all arrive at once.
        if self.v.owed.iter().any(|o| self.is_put_off(o, channel)) {
            return Err(Refusal::ResendCooldown {
                retry_after: self.rules.resend_cooldown.max(Duration::from_secs(1)),
            });
        }
        self.barred(channel).map_or(Ok(()), Err)
    }

    /// What the guard says.
    fn barred(&self, channel: Channel) -> Option<Refusal> {
        let Barred { scope, retry_after, .. } = self.rules.bar(channel)?;
        Some(Refusal::RateLimited { scope, retry_after })
    }

    fn is_put_off(&self, owed: &Owed, channel: Channel) -> bool {
        let Effect::Trigger { attempt } = owed.effect else { return false };
        !owed.in_flight && self.v.attempts.get(usize::from(attempt)).is_some_and(|a| a.channel == channel)
    }

    fn join(&mut self, channel: Channel) -> Answer {
        // A number that is called instead of texted is so again; nobody is texted while a phone rings.
        let is_auto = channel == Channel::Sms && self.v.mode == Mode::Auto;
        let channel = if is_auto { self.v.first_attempt().0 } else { channel };
        let is_called = self.v.attempts.iter().any(|a| a.is_call_under_way(self.now));
        match if is_called { Answer::Noted } else { self.request(channel) } {
            // What is on its way serves this one as well.
            Answer::Refused(Refusal::CallInProgress | Refusal::ResendCooldown { .. }) => {}
            refused @ Answer::Refused(_) => return refused,
            Answer::Noted | Answer::Correct | Answer::Incorrect | Answer::Repeated { .. } => {}
        }
        self.note(Note::Joined);
        Answer::Noted
    }

    fn activity(&mut self, kind: Activity) -> Answer {
        match kind {
            Activity::Typing => {
                let is_quiet = self.v.quiet_until.is_some_and(|until| until > self.now);
                self.v.quiet_until = Some(self.now + TYPING_PAUSE);
                if is_quiet {
                    return Answer::Noted;
                }
            }
            Activity::Received => self.v.received = true,
            Activity::NotReceived if self.v.mode == Mode::Sms => return Answer::Refused(Refusal::ChannelNotAllowed),
            Activity::NotReceived => match self.may_request(Channel::Call) {
                Err(Refusal::CallInProgress) => {}
                // Escalation has its one call however many texts were asked for.
                Err(Refusal::MaxAttempts) if self.v.newest(Channel::Call).is_none() => match self.barred(Channel::Call)
                {
                    Some(refusal) => return Answer::Refused(refusal),
                    None => self.call_as_requested(),
                },
                Err(refusal) => return Answer::Refused(refusal),
                Ok(()) => self.call_as_requested(),
            },
        }
        self.note(Note::Activity { kind });
        Answer::Noted
    }
}
