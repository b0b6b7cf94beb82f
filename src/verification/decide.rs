//! Every transition of a verification: [`open`] creates one, [`decide`] changes one, and nothing else does.
//!
//! `decide` names its phases in order. Each phase is a method of [`Transition`]: the customer's events are in
//! `on_customer.rs`, Plivo's in `on_provider.rs`, what the change teaches in `observe.rs`, and what follows from it, with
//! new attempts, in `conclude.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::code::Code;
use super::decision::{Answer, Decision, Refusal};
use super::details::Details;
use super::effect::{Effect, Owed};
use super::event::Event;
use super::id::{SessionIndex, VerificationId};
use super::rules::{Context, LIFETIME_MAX, Rules};
use super::session::Session;
use super::state::{Pending, State, Verification};
use super::telling::Told;
use super::timeline::{ENTRIES_MAX, Entry, Note};
use super::words::{Ending, Mode};
use crate::escalation::Policy;
use crate::guard::Guesses;
use crate::phone::{Carrier, PhoneNumber};
use crate::route_model::Lesson;
use crate::time::Timestamp;

/// What a new verification is made of.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id.
    pub id: VerificationId,
    /// The app that owns it.
    pub app: String,
    /// The number.
    pub to: PhoneNumber,
    /// The channels.
    pub mode: Mode,
    /// When to call, if not by the rules' policy.
    pub policy: Option<Policy>,
    /// The life of the code, if not the rules'.
    pub ttl: Option<Duration>,
    /// Whether the number's country may be called.
    pub calls_allowed: bool,
    /// The network that similar numbers were in last.
    pub carrier_guess: Option<Carrier>,
    /// The code.
    pub code: Code,
    /// Recent wrong codes of the number.
    pub guesses: Guesses,
    /// The fields of the creation that concern what is sent.
    pub details: Details,
    /// The customer's own data.
    pub metadata: BTreeMap<String, String>,
    /// Whether the app has a receiver of webhooks.
    pub is_told: bool,
}

impl Request {
    /// A request that says nothing but app, number and code: a text, and a call if the text is not expected to arrive.
    pub fn new(id: VerificationId, app: &str, to: PhoneNumber, code: Code) -> Self {
        Self {
            id,
            app: app.to_owned(),
            to,
            mode: Mode::Auto,
            policy: None,
            ttl: None,
            calls_allowed: true,
            carrier_guess: None,
            code,
            guesses: Guesses::default(),
            details: Details::default(),
            metadata: BTreeMap::new(),
            is_told: false,
        }
    }
}

/// Creates a verification and decides on its first attempt.
pub fn open(request: Request, rules: &Rules, context: &Context<'_>) -> Decision {
    let (mode, policy) = (request.mode, request.policy.unwrap_or(rules.policy));
    let expires_at = context.now + request.ttl.unwrap_or(rules.ttl).min(LIFETIME_MAX);
    let verification = Verification {
        id: request.id,
        app: request.app,
        to: request.to,
        mode,
        policy,
        calls_allowed: request.calls_allowed,
        created_at: context.now,
        code_length: request.code.length(),
        state: State::Pending(Pending::new(request.code, expires_at)),
        sessions: vec![Session { metadata: request.metadata, ..Session::default() }],
        checks_max: rules.checks_max,
        guesses: request.guesses,
        attempts: Vec::new(),
        carrier_guess: request.carrier_guess,
        owed: Vec::new(),
        nonces: Default::default(),
        timeline: Vec::new(),
        details: request.details,
        feedback: None,
        told: request.is_told.then(Told::default),
    };
    let mut transition = Transition::new(verification, rules, context);
    transition.note(Note::Created { mode, policy });
    let (channel, reason) = transition.v.first_attempt();
    transition.trigger(channel, reason, false);
    transition.begin_observation();
    transition.defer_past_quiet_hours();
    transition.tell();
    transition.finish(Answer::Noted)
}

/// Decides what a batch of events does to a verification at one moment. Every transition starts here.
///
/// Any batch, except a repeated callback, also does what a tick does: what is due by now happens. The answer is that of
/// the last event.
///
/// Callbacks come in any order and more than once:
/// * A repeated one changes nothing ([`Answer::Repeated`]). One that reuses a nonce with other content is refused.
/// * One that comes after the end records its facts (status, price, network). It triggers nothing and changes no status
///   of the verification; at most a call that still rings is hung up.
/// * One that comes before Plivo has answered our request proves that Plivo was asked, so the request is not repeated.
///   The later answer cannot move the attempt back, unless it refuses the number or the account: that ends the
///   verification.
pub fn decide(before: &Verification, events: &[Event], rules: &Rules, context: &Context<'_>) -> Decision {
    // A callback whose nonce was used before changes nothing, whatever its content.
    if let Some(answer) = answer_if_used(before, events, context.now) {
        return Decision::unchanged(before, answer);
    }
    let mut transition = Transition::new(before.clone(), rules, context);
    // First, so that no event acts on an expired verification.
    transition.expire_if_overdue(events);
    // Facts are recorded, also after the end. A right code, the last wrong one, a cancel or a failover ends it here; what
    // follows from other facts is concluded below.
    let answer = transition.apply_all(events);
    // Lessons of this change for the route's statistics, and the new plan for the call. `conclude` acts on that plan.
    transition.observe(before);
    // Ends a verification that no channel can complete, places the due call, hangs up calls after the end, and
    // re-issues owed effects.
    transition.conclude();
    // After `conclude`, which may have placed a call: a code entered later may have come from the text or from the call.
    transition.observe_placed_call(before);
    // Only now is the planned call final.
    transition.defer_past_quiet_hours();
    // Last, because every phase may note what a receiver is told of.
    transition.tell();
    transition.finish(answer)
}

/// The answer to a signed callback whose nonce was used before; `None` if the events must be applied.
fn answer_if_used(before: &Verification, events: &[Event], now: Timestamp) -> Option<Answer> {
    let callback = events.iter().find_map(|event| {
        let Event::SignedCallback(callback) = event else { return None };
        Some(*callback)
    })?;
    let (at_s, is_same) = before.nonces.find(callback)?;
    let after = Duration::from_secs(age_s(before, now).saturating_sub(at_s).into());
    Some(if is_same { Answer::Repeated { after } } else { Answer::Refused(Refusal::Replayed) })
}

/// Seconds since the creation: the time that is stored with a nonce.
fn age_s(v: &Verification, now: Timestamp) -> u16 {
    u16::try_from(now.since(v.created_at).as_secs()).unwrap_or(u16::MAX)
}

/// A verification on its way from one committed state to the next.
pub(super) struct Transition<'a> {
    pub(super) v: Verification,
    pub(super) effects: Vec<Effect>,
    pub(super) lessons: Vec<Lesson>,
    pub(super) rules: &'a Rules,
    pub(super) context: &'a Context<'a>,
    pub(super) now: Timestamp,
}

impl<'a> Transition<'a> {
    fn new(v: Verification, rules: &'a Rules, context: &'a Context<'a>) -> Self {
        Self { v, effects: Vec::new(), lessons: Vec::new(), rules, context, now: context.now }
    }

    fn finish(self, answer: Answer) -> Decision {
        Decision { after: self.v, effects: self.effects, lessons: self.lessons, answer }
    }

    /// Ends an expired verification. If this batch reports a failover, it ends as lost in the failover instead.
    fn expire_if_overdue(&mut self, events: &[Event]) {
        let is_overdue = self.v.pending().is_some_and(|pending| self.now >= pending.expires_at);
        if is_overdue && !events.contains(&Event::FailedOver) {
            self.end(Ending::Expired);
        }
    }

    fn apply_all(&mut self, events: &[Event]) -> Answer {
        events.iter().fold(Answer::Noted, |_, event| self.apply(event))
    }

    fn apply(&mut self, event: &Event) -> Answer {
        match event {
            // Facts about attempts are recorded for as long as the record is kept.
            Event::Triggered { attempt, outcome } => self.triggered(*attempt, outcome),
            Event::Admitted { attempt } => self.admitted(*attempt),
            Event::HandedBack { attempt } => self.handed_back(*attempt),
            Event::TextReported { attempt, report, provider_id, facts } => {
                self.text_reported(*attempt, report, provider_id.as_ref(), *facts)
            }
            Event::TextRefused { attempt } => self.text_refused(*attempt),
            Event::CallReported { attempt, report, provider_id, facts } => {
                self.call_reported(*attempt, report, provider_id.as_ref(), *facts)
            }
            Event::HungUp { attempt, is_done } => self.hung_up(*attempt, *is_done),
            Event::CallContinues { attempt, provider_id } => self.call_continues(*attempt, provider_id.as_ref()),
            Event::Identified { attempt, provider_id } => self.identified(*attempt, provider_id.as_ref()),
            Event::LookedUp { attempt, lookup } => self.looked_up(*attempt, lookup),
            Event::Linked { provider_id } => self.linked(provider_id),
            Event::Told { entry, round, outcome } => self.delivered(*entry, *round, *outcome),
            Event::SignedCallback(callback) => {
                let at_s = age_s(&self.v, self.now);
                self.v.nonces.remember(*callback, at_s);
            }
            Event::Replay { entry } => self.replay(*entry),
            Event::FailedOver => self.lose_in_failover(),
            Event::Tick => {}

            // Customer requests are refused after the end.
            Event::Cancel => return self.cancel(),
            Event::CodeSubmitted(code) => return self.while_open(|open| open.check(code)),
            Event::AttemptRequested(channel) => return self.while_open(|open| open.request(*channel)),
            Event::Activity(kind) => return self.while_open(|open| open.activity(*kind)),
            // Also after the end: a customer may know only then.
            Event::Feedback(feedback) => self.take_feedback(*feedback),
            Event::CancelAll => self.end(Ending::Canceled),
            // A new session does not ask whether another has ended, only whether there is something to share.
            Event::Joined(join) => {
                return match self.v.ended() {
                    None => self.join(join),
                    Some(ended) => Answer::Refused(ended.how.into()),
                };
            }
        }
        Answer::Noted
    }

    /// Notes what concerns all sessions, or the first.
    pub(super) fn note(&mut self, note: Note) {
        self.note_in(SessionIndex::FIRST, note);
    }

    pub(super) fn note_in(&mut self, session: SessionIndex, note: Note) {
        // Entries that a client can repeat at will are capped; the lifecycle bounds the others. Logs and metrics are
        // derived from these entries.
        let is_repeatable = matches!(note, Note::Activity { .. } | Note::Deferred { .. } | Note::PassedOn { .. });
        if !is_repeatable || self.v.timeline.len() < ENTRIES_MAX {
            self.v.timeline.push(Entry { at: self.now, note, session });
        }
    }

    /// Adds an effect to the outbox. The replica that commits this decision performs it; the lease begins now.
    pub(super) fn owe(&mut self, effect: Effect, lease: Duration) {
        if self.v.owed.iter().any(|owed| owed.effect == effect) {
            return;
        }
        let due = self.now + lease;
        self.v.owed.push(Owed { effect, due, in_flight: true, round: 0, taken_over: false });
    }

    /// Removes an effect that is done.
    pub(super) fn remove_owed(&mut self, effect: &Effect) {
        self.v.owed.retain(|owed| owed.effect != *effect);
    }
}
