//! What follows from a state, whatever event led to it: the end, the call that is due, effects to issue again.
//! A phase of `decide`.

use std::time::Duration;

use super::attempt::Attempt;
use super::decide::Transition;
use super::due::PlannedCall;
use super::effect::Effect;
use super::id::AttemptIndex;
use super::rules::{Barred, LIFETIME_AFTER_CALL, LIFETIME_MAX};
use super::telling::TELL_LEASE;
use super::timeline::Note;
use super::words::{AttemptStatus, Channel, Ending, FailureClass};
use crate::escalation::Reason;
use crate::time::Timestamp;

impl Transition<'_> {
    /// Draws the conclusions from the state as it is now.
    pub(super) fn conclude(&mut self) {
        self.conclude_from_silence();
        self.give_up_spent_requests();
        self.end_if_hopeless();
        self.place_due_call();
        self.hang_up_after_end();
        self.reissue_owed_effects();
    }

    /// Counts a call without news as not answered.
    fn conclude_from_silence(&mut self) {
        if self.v.is_final() {
            return;
        }
        for attempt in self.v.indexes() {
            let now = self.now;
            let Some(a) = self.v.attempt_mut(attempt) else { continue };
            if a.call_silent_at().is_some_and(|at| at <= now) {
                (a.status, a.assumed, a.heard_at) = (AttemptStatus::NoAnswer, true, now);
                self.remove_owed(&Effect::Trigger { attempt });
                self.note(Note::CallSilent { attempt });
            }
        }
    }

    /// Ends a verification that no channel can complete, or whose number must not be contacted.
    fn end_if_hopeless(&mut self) {
        let must_stop = self.v.attempts.iter().any(|a| a.class == Some(FailureClass::Stop));
        if must_stop || !self.v.has_hope() {
            self.end(Ending::Undeliverable);
        }
    }

    /// Places the planned call if it is due, or records the limit that bars it.
    fn place_due_call(&mut self) {
        let Some(PlannedCall { reason, is_repeat, .. }) = self.v.planned_call().filter(|call| self.is_due(call)) else {
            return;
        };
        if let Some(Barred { scope, .. }) = self.context.bar(Channel::Call) {
            if let Some(pending) = self.v.pending_mut() {
                pending.call_barred = true;
            }
            return self.note(Note::CallBarred { reason, is_repeat, scope });
        }
        let plan = self.v.pending().and_then(|pending| pending.planned);
        let next_attempt = AttemptIndex::from_position(self.v.attempts.len());
        if let (Some(plan), Some(attempt)) = (plan.filter(|plan| plan.reason == reason && !is_repeat), next_attempt) {
            self.note(Note::Weighed { attempt, weighed: plan.weighed });
        }
        self.trigger(Channel::Call, Some(reason), is_repeat);
    }

    fn is_due(&self, call: &PlannedCall) -> bool {
        call.at <= self.now && self.quiet_until(call).is_none()
    }

    /// The end of the quiet hours that a call falls into, at the number's place.
    fn quiet_until(&self, call: &PlannedCall) -> Option<Timestamp> {
        let hours = self.rules.quiet_hours.filter(|_| call.is_deferred_by_quiet_hours())?;
        hours.until(&self.v.to, call.at.max(self.now))
    }

    /// Defers the planned call to the end of the number's quiet hours.
    pub(super) fn defer_past_quiet_hours(&mut self) {
        let until = self.v.planned_call().and_then(|call| self.quiet_until(&call));
        let Some(pending) = self.v.pending_mut() else { return };
        let before = std::mem::replace(&mut pending.quiet_hours_until, until);
        if let Some(until) = until.filter(|until| Some(*until) != before) {
            self.note(Note::QuietHours { until });
        }
    }

    /// Hangs up every call that may still ring: no person should pick up a phone for a code that is used or void.
    fn hang_up_after_end(&mut self) {
        if !self.v.is_final() {
            return;
        }
        let now = self.now;
        for attempt in self.v.indexes() {
            let rings = |a: &&mut Attempt| a.may_ring(now) && a.provider_id.is_some() && !a.hung_up;
            let Some(a) = self.v.attempt_mut(attempt).filter(rings) else { continue };
            a.hung_up = true;
            self.note(Note::TakenBack { attempt });
            self.owe(Effect::HangUp { attempt }, self.rules.hang_up_lease());
            self.effects.push(Effect::HangUp { attempt });
        }
    }

    /// Issues effects again whose lease has expired or whose retry is due.
    fn reissue_owed_effects(&mut self) {
        let (now, rules) = (self.now, self.rules);
        let mut owed_effects = std::mem::take(&mut self.v.owed);
        owed_effects.retain_mut(|owed| {
            if owed.due > now || self.effects.contains(&owed.effect) {
                return true;
            }
            let lease = match owed.effect {
                Effect::Trigger { attempt } => {
                    if owed.in_flight {
                        // A dead replica may have sent it, so it is repeated once. If a second replica dies too, the request
                        // may be what kills them.
                        if owed.taken_over {
                            self.give_up_trigger(attempt);
                            return false;
                        }
                        owed.taken_over = true;
                        self.note(Note::TakenOver { attempt });
                    } else {
                        self.begin_after_wait(attempt);
                    }
                    self.v.attempt(attempt).map_or(rules.effect_lease, |a| rules.trigger_lease(a.channel))
                }
                // The call rings no more.
                Effect::HangUp { attempt } if !self.v.attempt(attempt).is_some_and(|a| a.may_ring(now)) => {
                    return false;
                }
                Effect::HangUp { .. } => rules.hang_up_lease(),
                // A report has come meanwhile, or the end.
                Effect::LookUp { attempt } if !self.is_in_doubt(attempt) => return false,
                Effect::LookUp { .. } | Effect::Identify { .. } | Effect::Link { .. } => rules.effect_lease,
                Effect::Tell { .. } => TELL_LEASE,
            };
            (owed.due, owed.in_flight, owed.round) = (now + lease, true, owed.round.saturating_add(1));
            self.effects.push(owed.effect.clone());
            true
        });
        self.v.owed = owed_effects;
    }

    /// Marks the attempt `unknown` after two replicas died during its request.
    fn give_up_trigger(&mut self, attempt: AttemptIndex) {
        if let Some(a) = self.v.attempt_mut(attempt) {
            a.advance(AttemptStatus::Unknown);
        }
        self.note(Note::TimedOut { attempt });
    }

    /// Decides on an attempt; from here on the request to Plivo is owed.
    pub(super) fn trigger(&mut self, channel: Channel, reason: Option<Reason>, is_repeat: bool) {
        let Some(attempt) = AttemptIndex::from_position(self.v.attempts.len()) else { return };
        let waited = self.v.attempts.first().map_or(Duration::ZERO, |first| self.now.since(first.at));
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let mut new = Attempt::new(channel, reason, is_repeat, self.now);
        if self.v.details.is_test {
            new.complete_without_sending();
        }
        self.v.attempts.push(new);
        // A verification that begins with a call keeps its own lifetime.
        if channel == Channel::Call && attempt != AttemptIndex::FIRST {
            self.extend_lifetime();
        }
        self.note(Note::AttemptDecided { attempt, channel, reason, is_repeat, waited_ms });
        if self.v.details.is_test || self.give_up_without_request(attempt) {
            return;
        }
        let effect = Effect::Trigger { attempt };
        self.owe(effect.clone(), self.rules.trigger_lease(channel));
        self.effects.push(effect);
    }

    /// Leaves time to hear and type a code that a call speaks.
    fn extend_lifetime(&mut self) {
        let (now, created_at) = (self.now, self.v.created_at);
        if let Some(pending) = self.v.pending_mut() {
            let extended = (now + LIFETIME_AFTER_CALL).min(created_at + LIFETIME_MAX);
            pending.expires_at = pending.expires_at.max(extended);
        }
    }

    /// Ends a verification whose record may lack acknowledged changes.
    ///
    /// All remaining guesses count as made, so that a failover gives none back. See [`Guesses::presume`] for how long.
    ///
    /// [`Guesses::presume`]: crate::guard::Guesses::presume
    pub(super) fn lose_in_failover(&mut self) {
        if self.v.is_final() {
            return;
        }
        let open: Vec<_> = self.v.open_sessions().collect();
        let mut left = 0;
        for session in open {
            let checks_max = self.v.checks_max;
            left += u16::from(self.v.checks_remaining(session));
            self.v.session_mut(session).into_iter().for_each(|session| session.checks_used = checks_max);
        }
        // Those of one session at most: a failover must not lock a number because many pages were open for it.
        let guesses = if self.v.details.is_test { 0 } else { left.min(u16::from(self.v.checks_max)) };
        self.v.guesses.presume(usize::from(guesses), &self.rules.guesses, self.now);
        self.end(Ending::LostInFailover);
    }
}
