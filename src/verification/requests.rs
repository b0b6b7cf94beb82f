//! How often Plivo is asked for one verification, and when its requests are made again.
//!
//! A request that Plivo answered with 429 or 5xx is made again after a pause. At most [`REQUESTS_MAX`] requests are made
//! for a verification, and the pauses grow so that the last one comes two minutes after the first.
//!
//! A request that cannot be made now waits, and does not count: the account's rate has no room, or the circuit breaker
//! is open (`pacing`). The timers of its attempt begin with its first request. A request that would come too late for
//! its code is given up, so that the customer sees the end while the person still waits.

use std::time::Duration;

use super::decide::Transition;
use super::effect::{Effect, Owed};
use super::id::AttemptIndex;
use super::state::Verification;
use super::timeline::Note;
use super::trigger::RefusalScope;
use super::words::{AttemptStatus, Channel, Via};
use crate::time::Timestamp;

/// The requests to Plivo for one verification, however Plivo answers. An operator may allow more attempts than that.
pub const REQUESTS_MAX: usize = 6;

/// How long a replica keeps a waiting request to itself. Then any replica may take it over.
const WAITING_LEASE: Duration = Duration::from_secs(30);

/// A code that lives no longer than this is no use to a person who is still waiting for it.
const USEFUL_LIFE: Duration = Duration::from_secs(10);

/// Plivo's status for an account over its rate limit (plivo.com/docs/voice/concepts/account-limits).
const RATE_LIMITED: u16 = 429;
const UNAVAILABLE: u16 = 503;

impl Verification {
    /// The requests that were made to Plivo, without those that wait.
    pub fn requests_made(&self) -> usize {
        let made = |a: &super::Attempt| {
            let is_answered = a.status != AttemptStatus::Triggering && !self.details.is_test;
            usize::from(a.failed_requests) + usize::from(is_answered)
        };
        self.attempts.iter().map(made).sum()
    }

    /// Whether all texts wait for their first request to Plivo, so that no timer of them runs yet.
    pub(super) fn is_text_waiting(&self) -> bool {
        let waits = |attempt: AttemptIndex| {
            let effect = Effect::Trigger { attempt };
            self.owed.iter().any(|owed| !owed.in_flight && owed.effect == effect)
        };
        let mut texts = self.indexes().zip(&self.attempts).filter(|(_, a)| a.channel == Channel::Sms).peekable();
        texts.peek().is_some() && texts.all(|(attempt, a)| a.waits && a.failed_requests == 0 && waits(attempt))
    }

    /// The latest moment at which sending the code still makes sense; `None` after the end.
    pub(super) fn last_useful_moment(&self) -> Option<Timestamp> {
        let expires_at = self.pending()?.expires_at;
        Some(expires_at - USEFUL_LIFE.min(expires_at.since(self.created_at) / 4))
    }
}

impl Transition<'_> {
    /// Frees the request to be made again at once, by the direct API.
    pub(super) fn passed_on(&mut self, attempt: AttemptIndex, provider_status: Option<u16>, round: u16) {
        let now = self.now;
        if in_flight(&mut self.v.owed, attempt, round).is_none() {
            return;
        }
        self.count_request(attempt, provider_status);
        if self.is_budget_spent(attempt) {
            return self.give_up(attempt, provider_status, RefusalScope::Attempt);
        }
        let Some(owed) = in_flight(&mut self.v.owed, attempt, round) else { return };
        (owed.due, owed.in_flight) = (now, false);
        if let Some(a) = self.v.attempt_mut(attempt) {
            a.is_passed_on = true;
            // A refusal stands for later rounds; 429 and 5xx may pass.
            a.phlo_refuses = provider_status.is_some_and(|status| status < 500 && status != RATE_LIMITED);
        }
        self.note(Note::PassedOn { attempt, provider_status });
    }

    /// Frees the request to be made again after a pause.
    pub(super) fn deferred(
        &mut self,
        attempt: AttemptIndex,
        provider_status: Option<u16>,
        retry_after: Duration,
        round: u16,
    ) {
        let retry_at = self.now + retry_after;
        if in_flight(&mut self.v.owed, attempt, round).is_none() {
            return;
        }
        self.count_request(attempt, provider_status);
        if self.is_budget_spent(attempt) {
            return self.give_up(attempt, provider_status, RefusalScope::Attempt);
        }
        if self.v.last_useful_moment().is_some_and(|last| retry_at > last) {
            return self.give_up(attempt, provider_status, RefusalScope::Account);
        }
        let Some(owed) = in_flight(&mut self.v.owed, attempt, round) else { return };
        (owed.due, owed.in_flight) = (retry_at, false);
        if let Some(a) = self.v.attempt_mut(attempt) {
            // There is no news before the next request. PHLO and direct API take turns, unless the PHLO refused it.
            (a.heard_at, a.is_passed_on) = (retry_at, a.phlo_refuses || !a.is_passed_on);
        }
        self.note(Note::Deferred { attempt, provider_status, retry_at });
    }

    /// Records that the request could not be made yet. `expected` is how long it has to wait, where that is known.
    pub(super) fn waiting(&mut self, attempt: AttemptIndex, expected: Duration, round: u16) {
        let (now, last) = (self.now, self.v.last_useful_moment());
        if in_flight(&mut self.v.owed, attempt, round).is_none() {
            return;
        }
        if last.is_some_and(|last| now >= last || now + expected > last) {
            return self.give_up(attempt, Some(RATE_LIMITED), RefusalScope::Account);
        }
        let retry_at = last.map_or(now + WAITING_LEASE, |last| last.min(now + WAITING_LEASE));
        let Some(owed) = in_flight(&mut self.v.owed, attempt, round) else { return };
        (owed.due, owed.in_flight) = (retry_at, false);
        let Some(a) = self.v.attempt_mut(attempt) else { return };
        a.heard_at = retry_at;
        if !std::mem::replace(&mut a.waits, true) {
            self.note(Note::Deferred { attempt, provider_status: None, retry_at });
        }
    }

    /// Records that a waiting request may be made now.
    pub(super) fn admitted(&mut self, attempt: AttemptIndex) {
        let now = self.now;
        let waits = |owed: &&mut Owed| owed.effect == Effect::Trigger { attempt } && !owed.in_flight;
        if let Some(owed) = self.v.owed.iter_mut().find(waits) {
            owed.due = owed.due.min(now);
        }
    }

    /// Ends the lease of a request that this replica has not made.
    pub(super) fn handed_back(&mut self, attempt: AttemptIndex) {
        // Not due at once: this replica would issue it again.
        let soon = self.now + Duration::from_millis(1);
        let effect = Effect::Trigger { attempt };
        if let Some(owed) = self.v.owed.iter_mut().find(|owed| owed.effect == effect) {
            (owed.due, owed.in_flight) = (owed.due.min(soon), false);
            self.v.attempt_mut(attempt).into_iter().for_each(|a| a.waits = true);
        }
    }

    /// Gives up repeated requests that are due, where other attempts have used up the verification's requests meanwhile.
    pub(super) fn give_up_spent_requests(&mut self) {
        let now = self.now;
        let triggers = |v: &Verification, is_wanted: &dyn Fn(&Owed) -> bool| -> Vec<AttemptIndex> {
            let wanted = v.owed.iter().filter(|owed| is_wanted(owed)).map(|owed| &owed.effect);
            wanted
                .filter_map(|effect| if let Effect::Trigger { attempt } = effect { Some(*attempt) } else { None })
                .collect()
        };
        let under_way = triggers(&self.v, &|owed| owed.in_flight).len();
        for attempt in triggers(&self.v, &|owed| !owed.in_flight && owed.due <= now) {
            let has_failed = self.v.attempt(attempt).is_some_and(|a| a.failed_requests > 0);
            if has_failed && self.v.requests_made() + under_way >= REQUESTS_MAX {
                self.give_up(attempt, Some(UNAVAILABLE), RefusalScope::Attempt);
            }
        }
    }

    /// Begins the timers of an attempt whose first request has waited.
    pub(super) fn begin_after_wait(&mut self, attempt: AttemptIndex) {
        let now = self.now;
        let Some(a) = self.v.attempt_mut(attempt).filter(|a| a.waits && a.failed_requests == 0) else { return };
        let waited = now.since(a.at);
        (a.at, a.heard_at) = (now, now);
        if attempt != AttemptIndex::FIRST {
            return;
        }
        // What is planned counts from the first request.
        let Some(pending) = self.v.pending_mut() else { return };
        pending.observe_at = pending.observe_at.map(|at| at + waited);
        if let Some(plan) = &mut pending.planned {
            plan.at = plan.at + waited;
        }
    }

    /// Counts a request that Plivo answered. One that found no connection did not reach Plivo.
    fn count_request(&mut self, attempt: AttemptIndex, provider_status: Option<u16>) {
        if let (Some(a), Some(_)) = (self.v.attempt_mut(attempt), provider_status) {
            a.failed_requests = a.failed_requests.saturating_add(1);
        }
    }

    /// Whether no further request may be made for the attempt. A text leaves one request to the call that may follow.
    pub(super) fn is_budget_spent(&self, attempt: AttemptIndex) -> bool {
        let is_text = self.v.attempt(attempt).is_some_and(|a| a.channel == Channel::Sms);
        let is_call_to_come = is_text && self.v.calls_allowed && self.v.newest(Channel::Call).is_none();
        self.v.requests_made() + usize::from(is_call_to_come) >= REQUESTS_MAX
    }

    /// Gives up an attempt that has no request left, because Plivo answered earlier ones with 429 or 5xx.
    pub(super) fn give_up_without_request(&mut self, attempt: AttemptIndex) -> bool {
        let has_failed = self.v.attempts.iter().any(|a| a.failed_requests > 0);
        let is_spent = has_failed && self.v.requests_made() >= REQUESTS_MAX.max(self.rules.attempts_max.into());
        if is_spent {
            self.give_up(attempt, Some(UNAVAILABLE), RefusalScope::Attempt);
        }
        is_spent
    }

    fn give_up(&mut self, attempt: AttemptIndex, provider_status: Option<u16>, scope: RefusalScope) {
        self.remove_owed(&Effect::Trigger { attempt });
        if let Some(a) = self.v.attempt_mut(attempt) {
            // The request that is refused is counted by the status that follows.
            a.failed_requests = a.failed_requests.saturating_sub(u8::from(provider_status.is_some()));
        }
        let note = self.refused(attempt, Via::Api, provider_status.unwrap_or(UNAVAILABLE), scope);
        self.note(note);
    }
}

/// The request under way that an outcome belongs to. A repeated or late outcome must not free a newer request.
fn in_flight(owed: &mut [Owed], attempt: AttemptIndex, round: u16) -> Option<&mut Owed> {
    owed.iter_mut().find(|owed| owed.effect == Effect::Trigger { attempt } && owed.in_flight && owed.round == round)
}
