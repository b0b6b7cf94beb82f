//! What follows from a state, whatever event brought it there: the conclusions, the next attempt, what is owed,
//! the end. The second half of `decide`.

use std::time::Duration;

use super::attempt::{Attempt, AttemptStatus};
use super::decide::{Answer, Draft};
use super::effect::{Effect, Owed};
use super::event::FailureClass;
use super::rules::{Barred, IDENTIFY_AFTER, LIFETIME_AFTER_CALL, LIFETIME_MAX};
use super::state::{Channel, PlannedCall, Status};
use super::timeline::Note;
use crate::escalation::Reason;

impl Draft<'_> {
    /// Draws the conclusions from the state as it is now, whatever event brought it there.
    pub(super) fn settle(&mut self) {
        self.conclude_from_silence();
        if self.v.status == Status::Pending {
            let must_stop = self.v.attempts.iter().any(|a| a.class == Some(FailureClass::Stop));
            if must_stop || !self.v.has_hope() {
                self.end(Status::Undeliverable);
            }
        }
        if let Some(PlannedCall { at, reason, is_repeat }) = self.v.next_call()
            && at <= self.now
        {
            if let Some(Barred { scope, .. }) = self.rules.bar(Channel::Call) {
                self.v.call_barred = true;
                self.note(Note::CallBarred { reason, is_repeat, scope });
            } else {
                self.call(reason, is_repeat);
            }
        }
        if self.v.status.is_final() {
            self.take_calls_back();
        }
        self.take_up_what_is_owed();
    }

    /// Whether it will be night at the number's place when the next call is due. A call that was asked for, and its
    /// repetition, do not mind.
    pub(super) fn mind_the_night(&mut self) {
        let planned = self.v.planned_call().filter(|planned| planned.reason != Reason::Requested);
        let hours = self.rules.quiet_hours;
        let night = planned.zip(hours).and_then(|(planned, hours)| hours.until(&self.v.to, planned.at.max(self.now)));
        if night.is_some() && night != self.v.night_until {
            self.note(Note::Night { until: night.unwrap_or_default() });
        }
        self.v.night_until = night;
    }

    /// The call that is due.
    fn call(&mut self, reason: Reason, is_repeat: bool) {
        let weighed = self.v.worked_out.filter(|w| w.reason == reason && !is_repeat);
        if let (Some(w), Ok(attempt)) = (weighed, u8::try_from(self.v.attempts.len())) {
            self.note(Note::Weighed { attempt, weighed: w.weighed });
        }
        self.trigger(Channel::Call, Some(reason), is_repeat);
    }

    /// Nobody should pick up a phone for a code that is used, or of no use any more.
    fn take_calls_back(&mut self) {
        for attempt in 0..self.v.attempts.len() {
            let a = &mut self.v.attempts[attempt];
            if a.may_ring(self.now) && a.provider_id.is_some() && !a.taken_back {
                a.taken_back = true;
                let attempt = attempt as u8;
                self.note(Note::TakenBack { attempt });
                self.owe(Effect::HangUp { attempt }, self.rules.hang_up_lease());
                self.effects.push(Effect::HangUp { attempt });
            }
        }
    }

    /// Some runs tell what they made in their answer, others by a node of the flow a moment later.
    pub(super) fn identify_later(&mut self, attempt: u8, run_id: &str) {
        let effect = Effect::Identify { attempt, run_id: run_id.to_owned() };
        if self.v.owed.iter().all(|o| o.effect != effect) {
            let due = self.now + IDENTIFY_AFTER;
            self.v.owed.push(Owed { effect, due, in_flight: false, round: 0, taken_over: false });
        }
    }

    /// A call that nothing is heard of counts as not answered.
    fn conclude_from_silence(&mut self) {
        if self.v.status.is_final() || self.v.call_silent_at().is_none_or(|at| at > self.now) {
            return;
        }
        for attempt in 0..self.v.attempts.len() {
            let a = &mut self.v.attempts[attempt];
            if a.call_silent_at().is_some_and(|at| at <= self.now) {
                (a.status, a.assumed, a.heard_at) = (AttemptStatus::NoAnswer, true, self.now);
                let attempt = attempt as u8;
                self.strike_off(&Effect::Trigger { attempt });
                self.note(Note::CallSilent { attempt });
            }
        }
    }

    /// Does again what its doer left undone, and what was put off until now.
    fn take_up_what_is_owed(&mut self) {
        let (now, rules) = (self.now, self.rules);
        let mut notes = Vec::new();
        let attempts = &mut self.v.attempts;
        self.v.owed.retain_mut(|owed| {
            if owed.due > now || self.effects.contains(&owed.effect) {
                return true;
            }
            let channel = match owed.effect {
                Effect::Trigger { attempt } => attempts.get(usize::from(attempt)).map(|a| a.channel),
                // By now it rings no more.
                Effect::HangUp { attempt } if !attempts.get(usize::from(attempt)).is_some_and(|a| a.may_ring(now)) => {
                    return false;
                }
                Effect::HangUp { .. } | Effect::Identify { .. } | Effect::Link { .. } => None,
            };
            let lease = match (&owed.effect, channel) {
                (Effect::HangUp { .. }, _) => rules.hang_up_lease(),
                (_, Some(channel)) => rules.trigger_lease(channel),
                (_, None) => rules.effect_lease,
            };
            if let (Effect::Trigger { attempt }, true) = (&owed.effect, owed.in_flight) {
                // Once: it may have been sent before its doer died, and a second death is no accident.
                if owed.taken_over {
                    if let Some(a) = attempts.get_mut(usize::from(*attempt)) {
                        a.advance(AttemptStatus::Unknown);
                    }
                    notes.push(Note::TimedOut { attempt: *attempt });
                    return false;
                }
                owed.taken_over = true;
                notes.push(Note::TakenOver { attempt: *attempt });
            }
            (owed.due, owed.in_flight, owed.round) = (now + lease, true, owed.round.saturating_add(1));
            self.effects.push(owed.effect.clone());
            true
        });
        for note in notes {
            self.note(note);
        }
    }

    /// Decides on an attempt; the request to Plivo is owed from here on.
    pub(super) fn trigger(&mut self, channel: Channel, reason: Option<Reason>, is_repeat: bool) {
        let Ok(attempt) = u8::try_from(self.v.attempts.len()) else { return };
        let waited = self.v.attempts.first().map_or(Duration::ZERO, |first| self.now.since(first.at));
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let mut new = Attempt::new(channel, reason, is_repeat, self.now);
        if self.v.details.is_test {
            new.pretend();
        }
        self.v.attempts.push(new);
        // A creation that begins with a call keeps its own lifetime.
        if channel == Channel::Call && attempt > 0 {
            let lifted = (self.now + LIFETIME_AFTER_CALL).min(self.v.created_at + LIFETIME_MAX);
            self.v.expires_at = self.v.expires_at.max(lifted);
        }
        self.note(Note::AttemptDecided { attempt, channel, reason, is_repeat, waited_ms });
        if self.v.details.is_test {
            return;
        }
        let effect = Effect::Trigger { attempt };
        self.owe(effect.clone(), self.rules.trigger_lease(channel));
        self.effects.push(effect);
    }

    pub(super) fn owe(&mut self, effect: Effect, lease: Duration) {
        if self.v.owed.iter().any(|o| o.effect == effect) {
            return;
        }
        let due = self.now + lease;
        self.v.owed.push(Owed { effect, due, in_flight: true, round: 0, taken_over: false });
    }

    pub(super) fn strike_off(&mut self, effect: &Effect) {
        self.v.owed.retain(|o| o.effect != *effect);
    }

    /// Ends it as expired, since guesses may be missing, or that the code was used. All that it would have taken count
    /// as made, so that a fail-over gives none back.
    pub(super) fn lose(&mut self) -> Answer {
        let guesses = if self.v.details.is_test { 0 } else { self.v.checks_remaining() };
        for _ in 0..guesses {
            self.v.guesses.add(&self.rules.guesses, self.now);
        }
        self.v.is_lost = true;
        self.end(Status::Expired)
    }

    /// Ends it: the code goes, and so does every request to Plivo that has not been made yet.
    pub(super) fn end(&mut self, status: Status) -> Answer {
        if self.v.status.is_final() {
            return Answer::Noted;
        }
        self.v.status = status;
        self.v.ended_at = Some(self.now);
        self.v.code = None;
        let dropped: Vec<u8> = self
            .v
            .owed
            .iter()
            .filter(|o| !o.in_flight)
            .filter_map(|o| match o.effect {
                Effect::Trigger { attempt } => Some(attempt),
                Effect::HangUp { .. } | Effect::Identify { .. } | Effect::Link { .. } => None,
            })
            .collect();
        self.v.owed.retain(|o| !matches!(o.effect, Effect::Trigger { .. }));
        self.effects.retain(|e| !matches!(e, Effect::Trigger { .. }));
        for attempt in dropped {
            self.note(Note::Dropped { attempt });
        }
        self.note(Note::Ended { status });
        Answer::Noted
    }
}
