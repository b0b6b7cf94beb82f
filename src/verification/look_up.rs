//! A text that Plivo may have sent: the list of sent messages says whether it was. A phase of `decide`.
//!
//! A request that timed out, or whose connection was reset, may have been acted on. Plivo has no idempotency key, so it is
//! not repeated blindly. The text is looked up a moment later, before the timer of its call runs out: one that the list
//! has is known by its UUID from then on; one that the list lacks is sent again, once. Without an answer everything stays
//! as it is, and the timer decides. Calls are not looked up: they ring at once or never.

use std::time::Duration;

use super::decide::Transition;
use super::effect::{Effect, Owed};
use super::id::AttemptIndex;
use super::timeline::Note;
use super::trigger::{Lookup, ProviderId};
use super::words::{AttemptStatus, Channel, Via};

/// The pause before a text is looked up, and before it is looked up again. Plivo lists a text that it accepts at once;
/// a request that it has received may still be worked on.
const LOOK_UP_AFTER: Duration = Duration::from_secs(3);

/// The number of times a text is looked up while there is no answer.
const LOOK_UP_TIMES: u16 = 3;

impl Transition<'_> {
    /// Plans to look up a text whose request was not answered. One that was sent again is not looked up again.
    pub(super) fn look_up_later(&mut self, attempt: AttemptIndex) {
        let is_meant = self.v.attempt(attempt).is_some_and(|a| a.channel == Channel::Sms && !a.sent_again);
        let effect = Effect::LookUp { attempt };
        if is_meant && self.is_in_doubt(attempt) && self.v.owed.iter().all(|owed| owed.effect != effect) {
            let due = self.now + LOOK_UP_AFTER;
            self.v.owed.push(Owed { effect, due, in_flight: false, round: 0, taken_over: false });
        }
    }

    /// Whether a text may have been sent, and its code is still of use.
    pub(super) fn is_in_doubt(&self, attempt: AttemptIndex) -> bool {
        let is_unknown = self.v.attempt(attempt).is_some_and(|a| a.status == AttemptStatus::Unknown);
        is_unknown && self.v.last_useful_moment().is_some_and(|last| self.now < last)
    }

    /// Records what the list of sent messages says.
    pub(super) fn looked_up(&mut self, attempt: AttemptIndex, lookup: &Lookup) {
        let (now, effect) = (self.now, Effect::LookUp { attempt });
        let Some(owed) = self.v.owed.iter_mut().find(|owed| owed.effect == effect) else { return };
        if *lookup == Lookup::Unanswered && owed.round < LOOK_UP_TIMES {
            (owed.due, owed.in_flight) = (now + LOOK_UP_AFTER, false);
            return;
        }
        self.remove_owed(&effect);
        match lookup {
            Lookup::Sent(provider_id) => self.found(attempt, provider_id),
            Lookup::NotSent if self.is_in_doubt(attempt) && !self.is_budget_spent(attempt) => self.send_again(attempt),
            Lookup::NotSent | Lookup::Unanswered => {}
        }
    }

    fn found(&mut self, attempt: AttemptIndex, provider_id: &ProviderId) {
        let now = self.now;
        let Some(a) = self.v.attempt_mut(attempt) else { return };
        if a.advance(AttemptStatus::Triggered) {
            a.heard_at = now;
            let via = a.via.unwrap_or(Via::Api);
            self.note(Note::Accepted { attempt, via });
        }
        self.identify(attempt, Some(provider_id));
    }

    /// Owes the request again. Its timer goes on, because it counts from the first request.
    fn send_again(&mut self, attempt: AttemptIndex) {
        let Some(a) = self.v.attempt_mut(attempt) else { return };
        // The direct API may answer where a run of the PHLO does not.
        a.is_passed_on |= a.via == Some(Via::Phlo);
        (a.sent_again, a.failed_requests) = (true, a.failed_requests.saturating_add(1));
        self.note(Note::NotSent { attempt });
        let effect = Effect::Trigger { attempt };
        self.owe(effect.clone(), self.rules.trigger_lease(Channel::Sms));
        self.effects.push(effect);
    }
}
