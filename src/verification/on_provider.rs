//! Records results of requests to Plivo, and Plivo's reports. A phase of `decide`.
//!
//! Facts move attempts on and end nothing by themselves: `conclude` draws the conclusions.

use std::time::Duration;

use super::attempt::Attempt;
use super::decide::Transition;
use super::effect::{Effect, Owed};
use super::id::AttemptIndex;
use super::report::{CallReport, ReportFacts, TextReport};
use super::rules::{HANG_UP_RETRY, IDENTIFY_AFTER, IDENTIFY_TIMES};
use super::timeline::Note;
use super::trigger::{ProviderId, RefusalScope, TriggerOutcome};
use super::words::{AttemptStatus, Channel, FailureClass, Via};
use crate::escalation::CallEnd;

/// The lease of mapping a UUID, which is one write to the store.
const LINK_LEASE: Duration = Duration::from_secs(1);

impl Transition<'_> {
    /// Records the result of a request to Plivo.
    pub(super) fn triggered(&mut self, attempt: AttemptIndex, outcome: &TriggerOutcome) {
        let Some(a) = self.v.attempt(attempt) else { return };
        let is_known = a.status.is_known_to_plivo();
        let note = match outcome {
            // A callback, or the answer to another run, came first: the attempt was sent, or is known to be refused.
            TriggerOutcome::Deferred { .. } | TriggerOutcome::PassedOn { .. } | TriggerOutcome::Waiting { .. }
                if is_known =>
            {
                None
            }
            TriggerOutcome::Refused { via, scope: RefusalScope::Attempt | RefusalScope::Account, .. } if is_known => {
                if let Some(a) = self.v.attempt_mut(attempt) {
                    a.via.get_or_insert(*via);
                }
                None
            }
            TriggerOutcome::Accepted { via, provider_id, run_id } => {
                Some(self.accepted(attempt, *via, provider_id.as_ref(), run_id.as_deref()))
            }
            TriggerOutcome::TimedOut { via } => {
                if let Some(a) = self.v.attempt_mut(attempt) {
                    a.via = via.or(a.via);
                    a.advance(AttemptStatus::Unknown);
                }
                self.look_up_later(attempt);
                Some(Note::TimedOut { attempt })
            }
            TriggerOutcome::Refused { via, provider_status, scope } => {
                Some(self.refused(attempt, *via, *provider_status, *scope))
            }
            // These keep the trigger owed.
            TriggerOutcome::PassedOn { provider_status, round } => {
                return self.passed_on(attempt, *provider_status, *round);
            }
            TriggerOutcome::Deferred { provider_status, retry_after, round } => {
                return self.deferred(attempt, *provider_status, *retry_after, *round);
            }
            TriggerOutcome::Waiting { expected, round } => return self.waiting(attempt, *expected, *round),
        };
        self.remove_owed(&Effect::Trigger { attempt });
        if let Some(note) = note {
            self.note(note);
        }
    }

    fn accepted(
        &mut self,
        attempt: AttemptIndex,
        via: Via,
        provider_id: Option<&ProviderId>,
        run_id: Option<&str>,
    ) -> Note {
        let now = self.now;
        if let Some(a) = self.v.attempt_mut(attempt) {
            a.via = Some(via);
            if a.advance(AttemptStatus::Triggered) {
                a.heard_at = now;
            }
            if let (None, None, Some(run_id)) = (&a.provider_id, provider_id, run_id) {
                self.identify_later(attempt, run_id);
            }
        }
        self.identify(attempt, provider_id);
        Note::Accepted { attempt, via }
    }

    pub(super) fn refused(
        &mut self,
        attempt: AttemptIndex,
        via: Via,
        provider_status: u16,
        scope: RefusalScope,
    ) -> Note {
        let now = self.now;
        let mut is_call = false;
        if let Some(a) = self.v.attempt_mut(attempt) {
            a.via = Some(via);
            a.refuse(provider_status, now);
            is_call = a.channel == Channel::Call;
        }
        let has_hope = self.v.attempts.iter().any(Attempt::may_bring_the_code);
        let stop = match scope {
            RefusalScope::Attempt => false,
            // Plivo will accept nothing more; what it accepted before may still arrive.
            RefusalScope::Account => !has_hope,
            // Plivo permits countries for texts and for calls separately: if it bars only calls, a text that the person
            // has received still works.
            RefusalScope::Number if is_call => !has_hope,
            RefusalScope::Number => true,
        };
        if let (Some(a), true) = (self.v.attempt_mut(attempt), stop) {
            a.class = Some(FailureClass::Stop);
        }
        Note::Refused { attempt, provider_status, stop }
    }

    /// Records that Plivo was asked to hang up.
    pub(super) fn hung_up(&mut self, attempt: AttemptIndex, is_done: bool) {
        let effect = Effect::HangUp { attempt };
        match self.v.owed.iter_mut().find(|owed| owed.effect == effect) {
            // The phone may be ringing.
            Some(owed) if !is_done => (owed.due, owed.in_flight) = (self.now + HANG_UP_RETRY, false),
            _ => self.remove_owed(&effect),
        }
    }

    /// Records that Plivo fetched what to say: the call continues, whatever was reported before.
    pub(super) fn call_continues(&mut self, attempt: AttemptIndex, provider_id: Option<&ProviderId>) {
        let now = self.now;
        let Some(a) = self.reported_attempt(attempt, Channel::Call, provider_id) else { return };
        if a.advance(AttemptStatus::Ringing) {
            a.heard_at = now;
            self.note(Note::CallReported { attempt, report: CallReport::Ringing });
        } else if a.is_call_under_way(now) {
            a.heard_at = now;
        }
    }

    /// Records what a PHLO's run created, or asks again later, a few times.
    pub(super) fn identified(&mut self, attempt: AttemptIndex, provider_id: Option<&ProviderId>) {
        self.identify(attempt, provider_id);
        let is_it = |owed: &Owed| matches!(owed.effect, Effect::Identify { attempt: of, .. } if of == attempt);
        if let Some(owed) = self.v.owed.iter_mut().find(|owed| is_it(owed)).filter(|owed| owed.round < IDENTIFY_TIMES) {
            (owed.due, owed.in_flight) = (self.now + IDENTIFY_AFTER * u32::from(owed.round), false);
        } else {
            self.v.owed.retain(|owed| !is_it(owed));
        }
    }

    /// Records a delivery report.
    pub(super) fn text_reported(
        &mut self,
        attempt: AttemptIndex,
        report: &TextReport,
        provider_id: Option<&ProviderId>,
        facts: ReportFacts,
    ) {
        let now = self.now;
        let Some(a) = self.reported_attempt(attempt, Channel::Sms, provider_id) else { return };
        a.record_facts(facts);
        let (status, error_code, class) = (report.status(), report.error_code().map(str::to_owned), report.class());
        // A stop-class failure is recorded even after a final report.
        let stops = class == Some(FailureClass::Stop) && a.class != class;
        if a.advance(status) || stops {
            (a.error_code, a.class, a.heard_at) = (error_code, class, now);
            self.note(Note::TextReported { attempt, report: report.clone() });
        }
    }

    /// Records that the PHLO's SMS node failed.
    pub(super) fn text_refused(&mut self, attempt: AttemptIndex) {
        // What the PHLO runner answered with: it accepted the run, and a node inside it was refused.
        const RUN_ACCEPTED: u16 = 201;
        let now = self.now;
        let Some(a) = self.reported_attempt(attempt, Channel::Sms, None) else { return };
        // A queued text was sent, whatever became of another run.
        if a.status.rank() >= AttemptStatus::Queued.rank() {
            return;
        }
        a.refuse(RUN_ACCEPTED, now);
        self.note(Note::Refused { attempt, provider_status: RUN_ACCEPTED, stop: false });
    }

    /// Records a report of a call.
    pub(super) fn call_reported(
        &mut self,
        attempt: AttemptIndex,
        report: &CallReport,
        provider_id: Option<&ProviderId>,
        facts: ReportFacts,
    ) {
        let (now, voice_confirm) = (self.now, self.rules.voice_confirm);
        let Some(a) = self.reported_attempt(attempt, Channel::Call, provider_id) else { return };
        a.record_facts(facts);
        // With `VOICE_CONFIRM`, a call that ends before a key was pressed has not spoken the code.
        let unheard = CallReport::Ended { end: CallEnd::NoAnswer, cause: None };
        let is_unheard = voice_confirm && a.via != Some(Via::Phlo) && !a.answered && *report == CallReport::Completed;
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
    }

    /// Records that a UUID is mapped to its attempt.
    pub(super) fn linked(&mut self, provider_id: &str) {
        self.v.owed.retain(|owed| !matches!(&owed.effect, Effect::Link { provider_id: id, .. } if id == provider_id));
    }

    /// The attempt of a report, if the report fits its channel.
    ///
    /// The report proves that Plivo was asked: the request is not repeated, even if the replica that made it has died.
    fn reported_attempt(
        &mut self,
        attempt: AttemptIndex,
        channel: Channel,
        provider_id: Option<&ProviderId>,
    ) -> Option<&mut Attempt> {
        self.v.attempt(attempt).filter(|a| a.channel == channel)?;
        self.remove_owed(&Effect::Trigger { attempt });
        self.identify(attempt, provider_id);
        self.v.attempt_mut(attempt)
    }

    /// Adds Plivo's UUID to an attempt. A second run, after a crash, brings another; both are mapped.
    pub(super) fn identify(&mut self, attempt: AttemptIndex, provider_id: Option<&ProviderId>) {
        let (Some(a), Some(id)) = (self.v.attempt_mut(attempt), provider_id) else { return };
        a.identify(&id.uuid);
        self.v.owed.retain(|owed| !matches!(owed.effect, Effect::Identify { attempt: of, .. } if of == attempt));
        if !id.is_linked {
            self.owe(Effect::Link { provider_id: id.uuid.clone(), attempt }, LINK_LEASE);
        }
    }

    /// Plans to ask a run what it created. Some runs say so in their answer, others by a node a moment later.
    fn identify_later(&mut self, attempt: AttemptIndex, run_id: &str) {
        let effect = Effect::Identify { attempt, run_id: run_id.to_owned() };
        if self.v.owed.iter().all(|owed| owed.effect != effect) {
            let due = self.now + IDENTIFY_AFTER;
            self.v.owed.push(Owed { effect, due, in_flight: false, round: 0, taken_over: false });
        }
    }
}
