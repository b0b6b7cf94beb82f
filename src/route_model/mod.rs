//! How a verification is followed: what is seen of it teaches, and then the policy is asked anew.
//!
//! The service goes through here from `decide`, a replay through its player, so that both learn the same lessons at
//! the same moments and decide alike; `tests/live.rs` holds them to it. Nothing else that happens to a verification
//! (that a carrier took the text, what Plivo answers, other timers) may teach anything or have the policy asked.

pub mod advice;
pub mod curves;
pub mod estimates;
pub mod explain;
mod insight;
pub mod observer;
mod outlook;
pub mod planner;
mod prior;
pub mod stats;
#[cfg(test)]
mod tests;

pub use advice::{Advice, CostPreset, Costs, Next};
pub use curves::Lesson;
pub use estimates::Estimates;
pub use insight::{CALL_PRICE_U, Insight, Weighed};
pub use observer::{Observer, TTL_MS};

/// What has been learned of one verification's route, its country and the world, and what calls cost there.
pub trait RouteKnowledge {
    /// What may be expected.
    fn estimates(&self) -> Estimates;
    /// What a call that is taken costs, in micro-dollars.
    fn call_price_u(&self) -> u64;
    /// Learns at once.
    fn learn(&mut self, lessons: &[Lesson]);
}

/// What a verification that is followed may tell.
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
    /// How the call went is known.
    CallKnown,
    /// The code lives no longer and was not entered.
    Expired,
    /// It is over for another reason, which tells nothing.
    GivenUp,
    /// A moment has come for which [`Observer::wake_ms`] or the policy's plan asked.
    Time,
}

/// A text was submitted.
pub fn begin(learned: &mut impl RouteKnowledge, costs: &Costs) -> Observer {
    let (track, lessons) = planner::start(&learned.estimates(), learned.call_price_u(), costs);
    learned.learn(&lessons);
    track
}

/// Teaches what is seen at this age, and all that has been survived until then.
pub fn see(track: &mut Observer, news: Observation, age_ms: u32, learned: &mut impl RouteKnowledge) {
    let lessons = match news {
        Observation::Verified => track.verified(age_ms),
        Observation::Delivered => track.delivered(age_ms, &learned.estimates()),
        Observation::Lost => track.failed(age_ms),
        Observation::AskedAgain => track.resend(age_ms),
        Observation::CallKnown => track.call_known(age_ms, &learned.estimates()),
        Observation::Expired => track.end(age_ms),
        Observation::Time if age_ms >= TTL_MS => track.end(TTL_MS),
        Observation::GivenUp | Observation::Time => track.credit(age_ms),
    };
    learned.learn(&lessons);
}

/// Asks the policy, unless it was followed already.
pub fn ask(
    track: &Observer,
    news: Observation,
    age_ms: u32,
    learned: &impl RouteKnowledge,
    costs: &Costs,
) -> Option<Advice> {
    let asked = if news == Observation::Lost { planner::failed } else { planner::plan };
    (!track.is_called()).then(|| asked(&learned.estimates(), track, age_ms, learned.call_price_u(), costs))
}

/// The call was placed, whoever wanted it: from then on a code may come from it. Says whether it was the first.
pub fn called(
    track: &mut Observer,
    is_lost: bool,
    age_ms: u32,
    learned: &mut impl RouteKnowledge,
    costs: &Costs,
) -> bool {
    if track.is_called() {
        return false;
    }
    let estimates = learned.estimates();
    let decision = planner::plan(&estimates, track, age_ms, learned.call_price_u(), costs);
    let decision = Some(decision).filter(|d| !is_lost && d.next == Next::Call);
    let lessons = track.called(age_ms, &estimates, decision.as_ref());
    learned.learn(&lessons);
    true
}
