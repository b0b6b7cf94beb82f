//! What Plivo does, taken down: the outcomes of requests and the reports. They move attempts on and end nothing by
//! themselves; `settle` draws the conclusions. Part of `decide`.

use std::time::Duration;

use super::attempt::{Attempt, AttemptStatus, Via};
use super::decide::{Answer, Draft};
use super::effect::{Effect, Owed};
use super::event::{CallReport, Facts, FailureClass, ProviderId, RefusalScope, TextReport, TriggerOutcome};
use super::rules::{HANG_UP_AGAIN, IDENTIFY_AFTER, IDENTIFY_TIMES};
use super::state::Channel;
use super::timeline::Note;
use crate::escalation::CallEnd;

impl Draft<'_> {
    pub(super) fn triggered(&mut self, attempt: u8, outcome: &TriggerOutcome) -> Answer {
        let now = self.now;
        let effect = Effect::Trigger { attempt };
        let Some(a) = self.v.attempts.get_mut(usize::from(attempt)) else { return Answer::Noted };
        let is_call = a.channel == Channel::Call;
        let news = match outcome {
            TriggerOutcome::Accepted { via, provider_id, run_id } => {
                a.via = Some(*via);
                if a.advance(AttemptStatus::Triggered) {
                    a.heard_at = now;
                }
                if let (None, None, Some(run_id)) = (&a.provider_id, provider_id, run_id) {
                    self.identify_later(attempt, run_id);
                }
                self.learn(attempt, provider_id.as_ref());
                Note::Accepted { attempt, via: *via }
            }
            TriggerOutcome::TimedOut { via } => {
                a.via = via.or(a.via);
                a.advance(AttemptStatus::Unknown);
                Note::TimedOut { attempt }
            }
            // A callback, or the answer to another run, was faster: it was sent after all, or is known to be
            // refused already.
            TriggerOutcome::Refused { via, scope: RefusalScope::Attempt | RefusalScope::Account, .. }
                if a.status.step() > AttemptStatus::Unknown.step() =>
            {
                a.via.get_or_insert(*via);
                self.strike_off(&effect);
                return Answer::Noted;
            }
            TriggerOutcome::Deferred { .. } | TriggerOutcome::PassedOn { .. }
                if a.status.step() > AttemptStatus::Unknown.step() =>
            {
                self.strike_off(&effect);
                return Answer::Noted;
            }
            TriggerOutcome::Refused { via, provider_status, scope } => {
                a.via = Some(*via);
                a.refuse(*provider_status, now);
                let stop = match scope {
                    RefusalScope::Attempt => false,
                    // Nothing more will be taken; what was taken before may still arrive.
                    RefusalScope::Account => !self.v.attempts.iter().any(Attempt::may_bring_the_code),
                    // Plivo permits countries for texts and for calls apart: where only calls are barred, a text that
                    // is in the person's hand is still good.
                    RefusalScope::Number if is_call => !self.v.attempts.iter().any(Attempt::may_bring_the_code),
                    RefusalScope::Number => true,
                };
                if let (Some(a), true) = (self.v.attempts.get_mut(usize::from(attempt)), stop) {
                    a.class = Some(FailureClass::Stop);
                }
                Note::Refused { attempt, provider_status: *provider_status, stop }
            }
            TriggerOutcome::PassedOn { provider_status, round } => {
                let Some(owed) = asked(&mut self.v.owed, attempt, *round) else { return Answer::Noted };
                a.is_passed_on = true;
                // What it does not take it will not take in a second either.
                a.phlo_refuses = provider_status.is_some_and(|status| status < 500 && status != 429);
                (owed.due, owed.in_flight) = (now, false);
                self.note(Note::PassedOn { attempt, provider_status: *provider_status });
                return Answer::Noted;
            }
            TriggerOutcome::Deferred { provider_status, retry_after, round } => {
                let retry_at = now + *retry_after;
                let Some(owed) = asked(&mut self.v.owed, attempt, *round) else { return Answer::Noted };
                // Nothing can be heard of it before it is asked for again, and then in the usual way.
                (a.heard_at, a.is_passed_on) = (retry_at, a.phlo_refuses);
                (owed.due, owed.in_flight) = (retry_at, false);
                self.note(Note::Deferred { attempt, provider_status: *provider_status, retry_at });
                return Answer::Noted;
            }
        };
        self.strike_off(&effect);
        self.note(news);
        Answer::Noted
    }

    pub(super) fn hung_up(&mut self, attempt: u8, is_done: bool) -> Answer {
        let effect = Effect::HangUp { attempt };
        match self.v.owed.iter_mut().find(|o| o.effect == effect) {
            // The phone may be ringing.
            Some(owed) if !is_done => (owed.due, owed.in_flight) = (self.now + HANG_UP_AGAIN, false),
            _ => self.strike_off(&effect),
        }
        Answer::Noted
    }

    /// Plivo asks what to say: whatever has been said of the call, it goes on.
    pub(super) fn call_goes_on(&mut self, attempt: u8, provider_id: Option<&ProviderId>) -> Answer {
        let now = self.now;
        let Some(a) = self.attempt_of(attempt, Channel::Call, provider_id) else { return Answer::Noted };
        if a.advance(AttemptStatus::Ringing) {
            a.heard_at = now;
            self.note(Note::CallReported { attempt, report: CallReport::Ringing });
        } else if a.is_call_under_way(now) {
            a.heard_at = now;
        }
        Answer::Noted
    }

    pub(super) fn identified(&mut self, attempt: u8, provider_id: Option<&ProviderId>) -> Answer {
        self.learn(attempt, provider_id);
        let is_of = |o: &Owed| matches!(o.effect, Effect::Identify { attempt: of, .. } if of == attempt);
        // The run may not have got that far; asked a few times over it never will.
        if let Some(owed) = self.v.owed.iter_mut().find(|o| is_of(o)).filter(|o| o.round < IDENTIFY_TIMES) {
            (owed.due, owed.in_flight) = (self.now + IDENTIFY_AFTER * u32::from(owed.round), false);
        } else {
            self.v.owed.retain(|o| !is_of(o));
        }
        Answer::Noted
    }

    pub(super) fn text_reported(
        &mut self,
        attempt: u8,
        report: &TextReport,
        provider_id: Option<&ProviderId>,
        facts: Facts,
    ) -> Answer {
        let now = self.now;
        let Some(a) = self.attempt_of(attempt, Channel::Sms, provider_id) else { return Answer::Noted };
        a.learn(facts);
        let (status, error_code, class) = (report.status(), report.error_code().map(str::to_owned), report.class());
        // A word to stop counts whenever it comes, also after a report that was final.
        let stops = class == Some(FailureClass::Stop) && a.class != class;
        if a.advance(status) || stops {
            (a.error_code, a.class, a.heard_at) = (error_code, class, now);
            self.note(Note::TextReported { attempt, report: report.clone() });
        }
        Answer::Noted
    }

    pub(super) fn text_refused(&mut self, attempt: u8) -> Answer {
        let now = self.now;
        let Some(a) = self.attempt_of(attempt, Channel::Sms, None) else { return Answer::Noted };
        // Once it has been queued there is something that was sent, whatever became of another run.
        if a.status.step() >= AttemptStatus::Queued.step() {
            return Answer::Noted;
        }
        // The run was accepted with 201; it is the node inside it that was refused.
        a.refuse(201, now);
        self.note(Note::Refused { attempt, provider_status: 201, stop: false });
        Answer::Noted
    }

    pub(super) fn call_reported(
        &mut self,
        attempt: u8,
        report: &CallReport,
        provider_id: Option<&ProviderId>,
        facts: Facts,
    ) -> Answer {
        let (now, asks_for_a_key) = (self.now, self.rules.voice_confirm);
        let Some(a) = self.attempt_of(attempt, Channel::Call, provider_id) else { return Answer::Noted };
        a.learn(facts);
        // A call that ends before a key was pressed has said nothing.
        let unheard = CallReport::Ended { end: CallEnd::NoAnswer, cause: None };
        let is_unheard = asks_for_a_key && a.via != Some(Via::Phlo) && !a.answered && *report == CallReport::Completed;
        let report = if is_unheard { &unheard } else { report };
        let (status, cause) = (report.status(), report.cause().map(str::to_owned));
        if a.advance(status) {
            (a.error_code, a.heard_at) = (cause, now);
            match status {
                AttemptStatus::Answered | AttemptStatus::Completed => a.answered = true,
                AttemptStatus::Machine => a.answered = false,
                _ => {}
            }
            self.note(Note::CallReported { attempt, report: report.clone() });
        }
        Answer::Noted
    }

    pub(super) fn linked(&mut self, provider_id: &str) -> Answer {
        self.v.owed.retain(|o| !matches!(&o.effect, Effect::Link { provider_id: id, .. } if id == provider_id));
        Answer::Noted
    }

    /// The attempt a report is about, if it is of that channel; learns its UUID. The report proves that Plivo
    /// was asked: if whoever asked has died, nobody must ask again.
    fn attempt_of(&mut self, attempt: u8, channel: Channel, provider_id: Option<&ProviderId>) -> Option<&mut Attempt> {
        self.v.attempts.get(usize::from(attempt)).filter(|a| a.channel == channel)?;
        self.strike_off(&Effect::Trigger { attempt });
        self.learn(attempt, provider_id);
        self.v.attempts.get_mut(usize::from(attempt))
    }

    /// Takes down Plivo's id of an attempt. A second run of it, after a crash, brings another, and both are linked.
    fn learn(&mut self, attempt: u8, provider_id: Option<&ProviderId>) {
        let (Some(a), Some(id)) = (self.v.attempts.get_mut(usize::from(attempt)), provider_id) else { return };
        a.identify(&id.uuid);
        self.v.owed.retain(|o| !matches!(o.effect, Effect::Identify { attempt: of, .. } if of == attempt));
        if !id.is_linked {
            self.owe(Effect::Link { provider_id: id.uuid.clone(), attempt }, Duration::from_secs(1));
        }
    }
}

/// The request that an outcome sets free to be made again, if it is the one under way: told twice, or late, it
/// must not set another free.
fn asked(owed: &mut [Owed], attempt: u8, round: u16) -> Option<&mut Owed> {
    owed.iter_mut().find(|o| o.effect == Effect::Trigger { attempt } && o.in_flight && o.round == round)
}
