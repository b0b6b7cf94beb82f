//! What becomes of the first text is watched: it teaches what such texts do, and the adaptive policy works out from
//! that when to call. Part of `decide`; what is taught is learned by whoever commits. Here it is told what is news;
//! what follows from news is in `route_model`, the same for a replay.

use super::attempt::{Attempt, AttemptStatus};
use super::decide::Draft;
use super::state::{Channel, Status, Verification, WorkedOut};
use crate::escalation::{Policy, Reason, Text};
use crate::route_model::{
    self, AdviceSummary, Costs, Estimates, Lesson, Next, Observation, Observer, RouteKnowledge, TTL_MS,
};

impl Draft<'_> {
    /// A verification that begins with a text is watched, whatever its policy: others learn from it.
    pub(super) fn begin_to_watch(&mut self) {
        let is_text = self.v.attempts.first().is_some_and(|a| a.channel == Channel::Sms);
        if !is_text || self.v.details.is_test {
            return;
        }
        let costs = self.costs();
        let track = route_model::begin(self, &costs);
        self.keep_watching(track, Observation::Time);
    }

    /// Teaches what has just been seen, and works out anew when to call.
    pub(super) fn watch(&mut self, before: &Verification) {
        let Some(mut track) = self.v.track.clone() else { return };
        let Some(news) = self.news(before) else { return self.word_anew() };
        let age_ms = self.age_ms();
        route_model::see(&mut track, news, age_ms, self);
        if !self.v.status.is_final() {
            self.keep_watching(track, news);
        }
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
        let Some(mut track) = self.v.track.clone() else { return };
        let (age_ms, costs) = (self.age_ms(), self.costs());
        let is_lost = matches!(self.v.text(), Some(Text::Lost(_)));
        if route_model::called(&mut track, is_lost, age_ms, self, &costs) {
            self.keep_watching(track, Observation::Time);
        }
    }

    /// What there is to be learned from, if anything. Answers of Plivo, timers of calls and the like are none of it.
    fn news(&self, before: &Verification) -> Option<Observation> {
        let is_new = |is: fn(&Verification) -> bool| is(&self.v) && !is(before);
        let timers = [before.watch_at, before.worked_out.map(|w| w.at)];
        if is_new(|v| v.status == Status::Verified) {
            Some(Observation::Verified)
        } else if is_new(|v| texts(v).any(|a| a.status == AttemptStatus::Delivered)) {
            Some(Observation::Delivered)
        } else if is_new(|v| matches!(v.text(), Some(Text::Lost(_)))) {
            Some(Observation::Lost)
        } else if texts(&self.v).count() > texts(before).count() {
            Some(Observation::AskedAgain)
        } else if is_new(|v| v.attempts.iter().any(is_known_call)) {
            Some(Observation::CallKnown)
        } else if is_new(|v| v.status == Status::Expired && !v.is_lost) {
            Some(Observation::Expired)
        } else if is_new(|v| v.status.is_final()) {
            Some(Observation::GivenUp)
        } else {
            // On another network other things are to be expected.
            let is_elsewhere = self.v.carrier() != before.carrier();
            (is_elsewhere || timers.into_iter().flatten().any(|at| at <= self.now)).then_some(Observation::Time)
        }
    }

    fn keep_watching(&mut self, track: Observer, news: Observation) {
        let start = self.v.attempts.first().map_or(self.v.created_at, |first| first.at);
        let at = |age_ms: u32| start + std::time::Duration::from_millis(age_ms.into());
        self.v.watch_at = track.wake_ms().map(at).filter(|at| *at > self.now);
        self.v.worked_out = None;
        if let Policy::Adaptive(_) = self.v.policy
            && let Some(decision) = route_model::ask(&track, news, self.age_ms(), self, &self.costs())
        {
            let when = match decision.next {
                Next::Call => Some(self.now),
                Next::WakeAt(age_ms) => Some(at(age_ms)),
                Next::Never => None,
            };
            let reason = if decision.is_route_unreliable { Reason::RouteUnreliable } else { self.timer_reason() };
            let weighed = AdviceSummary::of(&decision, self.v.carrier());
            self.v.worked_out = when.map(|at| WorkedOut { at, reason, weighed });
        }
        self.v.track = Some(track);
    }

    /// A planned call says what it has been waiting for, which may be another thing by now.
    fn word_anew(&mut self) {
        let reason = self.timer_reason();
        if let Some(worked_out) = self.v.worked_out.as_mut().filter(|w| w.reason != Reason::RouteUnreliable) {
            worked_out.reason = reason;
        }
    }

    fn timer_reason(&self) -> Reason {
        self.v.text().unwrap_or(Text::Unreported).timer_reason()
    }

    fn costs(&self) -> Costs {
        self.rules.worth.costs(self.mood())
    }

    fn mood(&self) -> crate::route_model::CostPreset {
        match self.v.policy {
            Policy::Adaptive(mood) => mood,
            Policy::Fixed(_) | Policy::FixedOrFail(_) | Policy::Fail | Policy::Never => Default::default(),
        }
    }

    /// Since Plivo was first asked.
    fn age_ms(&self) -> u32 {
        let first = self.v.attempts.first().map_or(self.v.created_at, |first| first.at);
        u32::try_from(self.now.since(first).as_millis()).unwrap_or(TTL_MS).min(TTL_MS)
    }
}

impl RouteKnowledge for Draft<'_> {
    fn estimates(&self) -> Estimates {
        self.insight.estimates()
    }

    fn call_price_u(&self) -> u64 {
        self.insight.call_price_u
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        self.insight.learn(lessons);
        self.lessons.extend(lessons);
    }
}

fn texts(v: &Verification) -> impl Iterator<Item = &Attempt> {
    v.attempts.iter().filter(|a| a.channel == Channel::Sms)
}

/// Whether it is known how a call went.
fn is_known_call(a: &Attempt) -> bool {
    a.channel == Channel::Call && (a.status == AttemptStatus::Answered || a.answered || a.call_end().is_some())
}
