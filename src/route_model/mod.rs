//! The statistics of routes: what texts on a route do, and when a call costs less than waiting.
//!
//! A caller needs four functions. [`begin`] starts to observe a text, [`see`] teaches an observation, [`ask`] returns
//! the adaptive policy's advice, and [`called`] records the call. The service goes through them from
//! `verification::decide` and a replay from its player, so both learn the same lessons and place the same calls;
//! `tests/replay/live.rs` compares them. Every other event (a text handed to the carrier, Plivo's answers, other timers)
//! neither teaches nor changes the advice.
//!
//! This module is pure: it has no clock, no randomness and no store. The learner shares what is learned.
//! `docs/escalation.md` explains the model and its figures.

mod advice;
mod allowance;
mod curves;
mod estimates;
mod evidence;
mod explain;
mod forecast;
mod insight;
mod lesson;
mod life;
mod observer;
mod outlook;
mod planner;
mod prior;
mod stats;
mod teacher;
#[cfg(test)]
mod tests;

pub use advice::{Advice, AdviceReason, AdviceSummary, CostPreset, Costs, Next};
pub use curves::{Curve, Key, Level, RouteTest};
pub use estimates::Estimates;
pub use evidence::RouteEvidence;
pub use explain::{RouteSummary, doubt, explain};
pub use insight::{CALL_PRICE_U, Insight, RouteKnowledge};
pub use lesson::{Lesson, Life};
pub use observer::{Observer, TTL_MS};
pub use stats::RouteStats;
pub use teacher::Teacher;

/// An event in the life of an observed verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The code was entered.
    Verified,
    /// The text was reported as delivered.
    Delivered,
    /// The text is known to be lost.
    Lost,
    /// The person asked for another text.
    AskedAgain,
    /// The result of the call is known.
    CallKnown,
    /// The code expired without being entered.
    Expired,
    /// The verification ended for a reason that teaches nothing.
    GivenUp,
    /// The time of [`Observer::wake_ms`] or of the advice has come.
    Time,
}

/// Starts to observe a text that has been submitted, with the adaptive policy's first advice.
pub fn begin(learned: &mut impl RouteKnowledge, costs: &Costs) -> (Observer, Advice) {
    let (estimates, teacher) = (learned.estimates(), learned.teacher());
    let (mut observer, mut lessons, advice) = planner::start(&estimates, learned.call_price_u(), costs);
    observer.is_muted = estimates.is_share_used_up(teacher);
    if !observer.is_muted {
        lessons.push(Lesson::TaughtBy(teacher));
        learned.learn(&lessons);
    }
    (observer, advice)
}

/// Teaches an observation made at this age, and the time survived until then.
pub fn see(observer: &mut Observer, observation: Observation, age_ms: u32, learned: &mut impl RouteKnowledge) {
    let was_closed = observer.is_closed();
    let mut lessons = match observation {
        // Whatever comes later says nothing about the text any more, however late the observer hears of it.
        _ if age_ms >= TTL_MS => observer.end(TTL_MS),
        Observation::Verified => observer.record_verified(age_ms),
        Observation::Delivered => observer.record_delivered(age_ms, &learned.estimates()),
        Observation::Lost => observer.record_lost(age_ms),
        Observation::AskedAgain => observer.record_resend(age_ms),
        Observation::CallKnown => observer.record_call_result(age_ms, &learned.estimates()),
        Observation::Expired => observer.end(age_ms),
        Observation::GivenUp | Observation::Time => observer.advance(age_ms),
    };
    let teacher = learned.teacher();
    let is_verified = observation == Observation::Verified && age_ms < TTL_MS;
    if observer.is_muted {
        lessons.clear();
    } else if is_verified && !was_closed {
        lessons.push(Lesson::Proved(teacher));
    }
    if observer.is_closed() && !was_closed {
        lessons.push(Lesson::Lived(observer.life(teacher, age_ms.min(TTL_MS), is_verified)));
    }
    learned.learn(&lessons);
}

/// Returns the adaptive policy's advice; `None` once a call has been placed.
pub fn ask(
    observer: &Observer,
    observation: Observation,
    age_ms: u32,
    learned: &impl RouteKnowledge,
    costs: &Costs,
) -> Option<Advice> {
    let plan = if observation == Observation::Lost { planner::plan_for_lost_text } else { planner::plan };
    (!observer.is_called()).then(|| plan(&learned.estimates(), observer, age_ms, learned.call_price_u(), costs))
}

/// Records that a call was placed, for whatever reason; returns whether it was the first.
///
/// From then on the code may come from the call.
pub fn called(
    observer: &mut Observer,
    is_lost: bool,
    age_ms: u32,
    learned: &mut impl RouteKnowledge,
    costs: &Costs,
) -> bool {
    if observer.is_called() {
        return false;
    }
    let estimates = learned.estimates();
    let advice = planner::plan(&estimates, observer, age_ms, learned.call_price_u(), costs);
    let advice = Some(advice).filter(|advice| !is_lost && advice.next == Next::Call);
    let lessons = observer.record_call(age_ms, &estimates, advice.as_ref());
    if !observer.is_muted {
        learned.learn(&lessons);
    }
    true
}
