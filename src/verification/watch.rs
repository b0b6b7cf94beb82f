//! What becomes of the first text is watched: it teaches what such texts do, and the adaptive policy works out from
//! that when to call. Part of `decide`; what is taught is learned by whoever commits.

use super::attempt::{Attempt, AttemptStatus};
use super::decide::Draft;
use super::state::{Channel, Status, Verification, WorkedOut};
use crate::escalation::adaptive::{self, Decision, Next};
use crate::escalation::hazard::Lesson;
use crate::escalation::track::{TTL_MS, Track};
use crate::escalation::{Policy, Reason, Text, Weighed};

impl Draft<'_> {
    /// A verification that begins with a text is watched, whatever its policy: others learn from it.
    pub(super) fn begin_to_watch(&mut self) {
        let is_text = self.v.attempts.first().is_some_and(|a| a.channel == Channel::Sms);
        if !is_text || self.v.details.is_test {
            return;
        }
        let costs = self.rules.worth.costs(self.mood());
        let estimates = self.insight.estimates();
        let (track, lessons) = adaptive::start(&estimates, self.insight.call_price_u, &costs);
        self.teach(lessons);
        self.keep_watching(track);
    }

    /// Teaches what has just been seen, and works out anew when to call.
    pub(super) fn watch(&mut self, before: &Verification, is_report: bool) {
        let Some(mut track) = self.v.track.clone() else { return };
        let timers = [Some(before.expires_at), before.watch_at, before.worked_out.map(|w| w.at)];
        let is_due = timers.into_iter().flatten().any(|at| at <= self.now);
        let is_idle = !is_due && self.v == *before;
        // Timers of calls, effects and the like are none of its business.
        if is_idle && !is_report {
            return;
        }
        let age_ms = self.age_ms();
        let estimates = self.insight.estimates();
        let is_new = |is: fn(&Verification) -> bool| is(&self.v) && !is(before);
        let lessons = if is_new(|v| v.status == Status::Verified) {
            track.verified(age_ms)
        } else if is_new(|v| texts(v).any(|a| a.status == AttemptStatus::Delivered)) {
            track.delivered(age_ms, &estimates)
        } else if is_new(|v| matches!(v.text(), Some(Text::Lost(_)))) {
            track.failed(age_ms)
        } else if texts(&self.v).count() > texts(before).count() {
            track.resend(age_ms)
        } else if is_new(|v| v.attempts.iter().any(is_known_call)) {
            track.call_known(age_ms)
        } else if age_ms >= TTL_MS {
            track.end()
        } else {
            track.credit(age_ms)
        };
        // A report that says nothing new, and nothing has been survived meanwhile either.
        if is_idle && lessons.is_empty() {
            return;
        }
        self.teach(lessons);
        if self.v.status.is_final() {
            (self.v.track, self.v.watch_at) = (None, None);
            return;
        }
        self.keep_watching(track);
    }

    /// Notes that a call was placed, for whatever reason: from then on a code may come from it.
    pub(super) fn watch_calls(&mut self, before: &Verification) {
        if self.v.status.is_final() {
            (self.v.track, self.v.watch_at, self.v.worked_out) = (None, None, None);
            return;
        }
        let calls = |v: &Verification| v.attempts.iter().filter(|a| a.channel == Channel::Call).count();
        if calls(&self.v) == calls(before) {
            return;
        }
        let Some(mut track) = self.v.track.clone().filter(|track| !track.is_called()) else { return };
        let (age_ms, estimates) = (self.age_ms(), self.insight.estimates());
        let is_lost = matches!(self.v.text(), Some(Text::Lost(_)));
        let decision = (!is_lost).then(|| self.weigh(&track)).filter(|d| d.next == Next::Call);
        let lessons = track.called(age_ms, &estimates, decision.as_ref());
        self.teach(lessons);
        self.keep_watching(track);
    }

    fn keep_watching(&mut self, track: Track) {
        let start = self.v.attempts.first().map_or(self.v.created_at, |first| first.at);
        let at = |age_ms: u32| start + std::time::Duration::from_millis(age_ms.into());
        self.v.watch_at = track.wake_ms().map(at).filter(|at| *at > self.now);
        self.v.worked_out = None;
        if let (Policy::Adaptive(_), false) = (self.v.policy, track.is_called()) {
            let decision = self.weigh(&track);
            let when = match decision.next {
                Next::Call => Some(self.now),
                Next::WakeAt(age_ms) => Some(at(age_ms)),
                Next::Never => None,
            };
            let text = self.v.text().unwrap_or(Text::Unreported);
            let reason = if decision.is_route_unreliable { Reason::RouteUnreliable } else { text.timer_reason() };
            let weighed = Weighed::of(&decision, self.v.carrier());
            self.v.worked_out = when.map(|at| WorkedOut { at, reason, weighed });
        }
        self.v.track = Some(track);
    }

    fn weigh(&self, track: &Track) -> Decision {
        let costs = self.rules.worth.costs(self.mood());
        adaptive::plan(&self.insight.estimates(), track, self.age_ms(), self.insight.call_price_u, &costs)
    }

    fn mood(&self) -> crate::escalation::Mood {
        match self.v.policy {
            Policy::Adaptive(mood) => mood,
            Policy::Fixed(_) | Policy::FixedOrFail(_) | Policy::Fail | Policy::Never => Default::default(),
        }
    }

    fn teach(&mut self, lessons: Vec<Lesson>) {
        self.insight.learn(&lessons);
        self.lessons.extend(lessons);
    }

    /// Since Plivo was first asked.
    fn age_ms(&self) -> u32 {
        let first = self.v.attempts.first().map_or(self.v.created_at, |first| first.at);
        u32::try_from(self.now.since(first).as_millis()).unwrap_or(TTL_MS).min(TTL_MS)
    }
}

fn texts(v: &Verification) -> impl Iterator<Item = &Attempt> {
    v.attempts.iter().filter(|a| a.channel == Channel::Sms)
}

/// Whether it is known how a call went.
fn is_known_call(a: &Attempt) -> bool {
    a.channel == Channel::Call && (a.status == AttemptStatus::Answered || a.answered || a.call_end().is_some())
}
