//! What a change teaches about the route, and the call that the adaptive policy plans from it. A phase of `decide`.
//!
//! An observer watches the first text, whatever the policy, because other verifications learn from it. This file says
//! which change is an observation; `route_model` says what follows from one, for the service and for a replay alike.
//! The caller learns the lessons after the commit.

use super::attempt::Attempt;
use super::decide::Transition;
use super::state::{AdaptivePlan, Verification};
use super::words::{AttemptStatus, Channel, Ending, Status};
use crate::escalation::{Policy, Reason, Text};
use crate::route_model::{
    self, Advice, AdviceSummary, CostPreset, Costs, Estimates, Lesson, Next, Observation, Observer, RouteKnowledge,
    TTL_MS, Teacher,
};

impl Transition<'_> {
    /// Starts to observe a verification that begins with a text.
    pub(super) fn begin_observation(&mut self) {
        let is_text = self.v.attempts.first().is_some_and(|a| a.channel == Channel::Sms);
        if !is_text || self.v.details.is_test {
            return;
        }
        let costs = self.costs();
        let (observer, advice) = route_model::begin(self, &costs);
        self.plan(observer, |_, _| Some(advice));
    }

    /// Learns from the change since `before`, and plans the call anew.
    pub(super) fn observe(&mut self, before: &Verification) {
        let Some(mut observer) = before.observer().cloned() else { return };
        // Plivo was not asked yet: nothing is known, and the plan moves with the first request.
        if self.v.is_text_waiting() && !self.v.is_final() {
            return;
        }
        let Some(observation) = self.observation(before) else { return self.update_timer_reason() };
        let age_ms = self.age_ms();
        route_model::see(&mut observer, observation, age_ms, self);
        self.plan(observer, |this, observer| this.advice(observer, observation));
    }

    /// Tells the observer about a call that was placed for any reason: from now on a code may come from the call.
    pub(super) fn observe_placed_call(&mut self, before: &Verification) {
        if self.v.attempts_on(Channel::Call).count() == before.attempts_on(Channel::Call).count() {
            return;
        }
        let Some(mut observer) = self.v.observer().cloned() else { return };
        let (age_ms, costs) = (self.age_ms(), self.costs());
        let is_lost = matches!(self.v.text(), Some(Text::Lost(_)));
        if route_model::called(&mut observer, is_lost, age_ms, self, &costs) {
            self.plan(observer, |this, observer| this.advice(observer, Observation::Time));
        }
    }

    /// The observation that the change since `before` is, if any. Plivo's answers and timers of calls are not observations.
    fn observation(&self, before: &Verification) -> Option<Observation> {
        let is_new = |holds: fn(&Verification) -> bool| holds(&self.v) && !holds(before);
        let texts = |v: &Verification| v.attempts_on(Channel::Sms).count();
        let timers = before.pending().map(|p| [p.observe_at, p.planned.map(|plan| plan.at)]).unwrap_or_default();
        if is_new(|v| v.status() == Status::Verified) {
            Some(Observation::Verified)
        } else if is_new(|v| v.attempts_on(Channel::Sms).any(|a| a.status == AttemptStatus::Delivered)) {
            Some(Observation::Delivered)
        } else if is_new(|v| matches!(v.text(), Some(Text::Lost(_)))) {
            Some(Observation::Lost)
        } else if texts(&self.v) > texts(before) {
            Some(Observation::AskedAgain)
        } else if is_new(|v| v.attempts.iter().any(is_call_known)) {
            Some(Observation::CallKnown)
        } else if is_new(|v| v.ended().is_some_and(|ended| ended.how == Ending::Expired)) {
            Some(Observation::Expired)
        } else if is_new(Verification::is_final) {
            Some(Observation::GivenUp)
        } else {
            // Another network has other expectations.
            let carrier_changed = self.v.carrier() != before.carrier();
            (carrier_changed || timers.into_iter().flatten().any(|at| at <= self.now)).then_some(Observation::Time)
        }
    }

    fn advice(&self, observer: &Observer, observation: Observation) -> Option<Advice> {
        route_model::ask(observer, observation, self.age_ms(), self, &self.costs())
    }

    /// Stores the observer, and what the adaptive policy plans from its advice.
    fn plan(&mut self, observer: Observer, advice: impl FnOnce(&Self, &Observer) -> Option<Advice>) {
        let start = self.v.attempts.first().map_or(self.v.created_at, |first| first.at);
        let at = |age_ms: u32| start + std::time::Duration::from_millis(age_ms.into());
        let planned = match self.v.policy {
            Policy::Adaptive(_) if !self.v.is_final() => advice(self, &observer).and_then(|advice| {
                let at = match advice.next {
                    Next::Call => self.now,
                    Next::WakeAt(age_ms) => at(age_ms),
                    Next::Never => return None,
                };
                let is_early = advice.is_route_unreliable;
                let reason = if is_early { Reason::RouteUnreliable } else { self.timer_reason() };
                Some(AdaptivePlan { at, reason, weighed: AdviceSummary::of(&advice, self.v.carrier()) })
            }),
            _ => None,
        };
        let now = self.now;
        let Some(pending) = self.v.pending_mut() else { return };
        // The end of the observation is learned with the next event, or when the code expires: no wake is spent on it.
        pending.observe_at = observer.wake_ms().filter(|at| *at < TTL_MS).map(at).filter(|at| *at > now);
        pending.planned = planned;
        pending.observer = Some(observer);
    }

    /// Keeps the reason of a planned call up to date: the text it waits for may have been reported since.
    fn update_timer_reason(&mut self) {
        let reason = self.timer_reason();
        let planned = self.v.pending_mut().and_then(|pending| pending.planned.as_mut());
        if let Some(plan) = planned.filter(|plan| plan.reason != Reason::RouteUnreliable) {
            plan.reason = reason;
        }
    }

    fn timer_reason(&self) -> Reason {
        self.v.text().unwrap_or(Text::Unreported).timer_reason()
    }

    pub(super) fn costs(&self) -> Costs {
        let preset = match self.v.policy {
            Policy::Adaptive(preset) => preset,
            Policy::Fixed(_) | Policy::FixedOrFail(_) | Policy::Fail | Policy::Never => CostPreset::default(),
        };
        self.rules.cost_overrides.costs(preset)
    }

    /// Milliseconds since Plivo was first asked.
    fn age_ms(&self) -> u32 {
        let first = self.v.attempts.first().map_or(self.v.created_at, |first| first.at);
        u32::try_from(self.now.since(first).as_millis()).unwrap_or(TTL_MS).min(TTL_MS)
    }
}

impl RouteKnowledge for Transition<'_> {
    fn estimates(&self) -> Estimates {
        if self.lessons.is_empty() {
            return self.context.insight.estimates();
        }
        // Rarely: the snapshot is copied only where this change has taught a lesson and plans anew.
        let mut insight = self.context.insight.clone();
        insight.learn(&self.lessons);
        insight.estimates()
    }

    fn call_price_u(&self) -> u64 {
        self.context.insight.call_price_u
    }

    fn teacher(&self) -> Teacher {
        self.context.insight.teacher()
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        if !self.teaches() {
            return;
        }
        let now_s = u32::try_from(self.now.as_millis() / 1000).unwrap_or(u32::MAX);
        self.lessons.extend(lessons.iter().map(|lesson| lesson.at_s(now_s)));
    }
}

/// Whether the result of a call is known.
fn is_call_known(a: &Attempt) -> bool {
    a.channel == Channel::Call && (a.status == AttemptStatus::Answered || a.answered || a.call_end().is_some())
}
