//! What the customer says became of a code that it checks itself. Part of a decision.
//!
//! Such a verification teaches nothing by itself: silence says only that no code is entered *here*. So its lessons are
//! dropped until the feedback comes, and then the life of the text is told again, as it was, with its real end.

use super::decide::Transition;
use super::report::TextReport;
use super::timeline::Note;
use super::words::{Channel, Feedback};
use crate::route_model::{self, Observation, TTL_MS};
use crate::time::Timestamp;

impl Transition<'_> {
    /// Records what became of the code. Only the first word counts.
    pub(super) fn take_feedback(&mut self, feedback: Feedback) {
        if self.v.feedback.is_some() {
            return;
        }
        self.v.feedback = Some(feedback);
        self.note_in(self.context.session, Note::Feedback { feedback });
        if feedback == Feedback::Converted {
            // Who has entered the code needs no call.
            let session = self.context.session;
            self.v.session_mut(session).into_iter().for_each(|session| session.has_text = true);
        }
        if self.v.details.is_checked_elsewhere && !self.v.details.is_test {
            self.tell_life(feedback);
        }
    }

    /// Whether the changes of this verification teach.
    pub(super) fn teaches(&self) -> bool {
        !self.v.details.is_checked_elsewhere || self.v.feedback.is_some()
    }

    /// Teaches the life of the first text, if the verification began with one.
    fn tell_life(&mut self, feedback: Feedback) {
        let Some(first) = self.v.attempts.first().filter(|a| a.channel == Channel::Sms) else { return };
        let (start, costs) = (first.at, self.costs());
        let age_ms = |at: Timestamp| u32::try_from(at.since(start).as_millis()).unwrap_or(TTL_MS).min(TTL_MS);
        let delivered =
            self.v.first_noted(|note| matches!(note, Note::TextReported { report: TextReport::Delivered, .. }));
        let called = self.v.first_noted(|note| matches!(note, Note::AttemptDecided { channel: Channel::Call, .. }));
        let end = match feedback {
            Feedback::Converted => (age_ms(self.now), Observation::Verified),
            Feedback::NotConverted => (TTL_MS, Observation::Expired),
        };
        // The observer that plans the call has taught nothing, and teaches nothing from now on.
        if let Some(pending) = self.v.pending_mut() {
            pending.observer = None;
            pending.observe_at = None;
        }
        let (mut observer, _) = route_model::begin(self, &costs);
        let mut steps: Vec<(u32, Option<Observation>)> =
            delivered.map(|at| (age_ms(at), Some(Observation::Delivered))).into_iter().collect();
        steps.extend(called.map(|at| (age_ms(at), None)));
        steps.sort_by_key(|(age_ms, _)| *age_ms);
        steps.push((end.0, Some(end.1)));
        for (age_ms, observation) in steps {
            match observation {
                Some(observation) => route_model::see(&mut observer, observation, age_ms, self),
                None => _ = route_model::called(&mut observer, false, age_ms, self, &costs),
            }
        }
    }
}
