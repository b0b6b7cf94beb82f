//! How a verification is followed: what is seen of it teaches, and then the policy is asked anew.
//!
//! The service goes through here from `decide`, a replay through its player, so that both learn the same lessons at
//! the same moments and decide alike; `tests/live.rs` holds them to it. Nothing else that happens to a verification
//! (that a carrier took the text, what Plivo answers, other timers) may teach anything or have the policy asked.

use super::adaptive::{self, Costs, Decision, Next};
use super::estimates::Estimates;
use super::hazard::Lesson;
use super::track::{TTL_MS, Track};

/// What has been learned of one verification's route, its country and the world, and what calls cost there.
pub trait Learned {
    /// What may be expected.
    fn estimates(&self) -> Estimates;
    /// What a call that is taken costs, in micro-dollars.
    fn call_price_u(&self) -> u64;
    /// Learns at once.
    fn learn(&mut self, lessons: &[Lesson]);
}

/// What a verification that is followed may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
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
    /// A moment has come for which [`Track::wake_ms`] or the policy's plan asked.
    Time,
}

/// A text was submitted.
pub fn begin(learned: &mut impl Learned, costs: &Costs) -> Track {
    let (track, lessons) = adaptive::start(&learned.estimates(), learned.call_price_u(), costs);
    learned.learn(&lessons);
    track
}

/// Teaches what is seen at this age, and all that has been survived until then.
pub fn see(track: &mut Track, news: News, age_ms: u32, learned: &mut impl Learned) {
    let lessons = match news {
        News::Verified => track.verified(age_ms),
        News::Delivered => track.delivered(age_ms, &learned.estimates()),
        News::Lost => track.failed(age_ms),
        News::AskedAgain => track.resend(age_ms),
        News::CallKnown => track.call_known(age_ms, &learned.estimates()),
        News::Expired => track.end(age_ms),
        News::Time if age_ms >= TTL_MS => track.end(TTL_MS),
        News::GivenUp | News::Time => track.credit(age_ms),
    };
    learned.learn(&lessons);
}

/// Asks the policy, unless it was followed already.
pub fn ask(track: &Track, news: News, age_ms: u32, learned: &impl Learned, costs: &Costs) -> Option<Decision> {
    let asked = if news == News::Lost { adaptive::failed } else { adaptive::plan };
    (!track.is_called()).then(|| asked(&learned.estimates(), track, age_ms, learned.call_price_u(), costs))
}

/// The call was placed, whoever wanted it: from then on a code may come from it. Says whether it was the first.
pub fn called(track: &mut Track, is_lost: bool, age_ms: u32, learned: &mut impl Learned, costs: &Costs) -> bool {
    if track.is_called() {
        return false;
    }
    let estimates = learned.estimates();
    let decision = adaptive::plan(&estimates, track, age_ms, learned.call_price_u(), costs);
    let decision = Some(decision).filter(|d| !is_lost && d.next == Next::Call);
    let lessons = track.called(age_ms, &estimates, decision.as_ref());
    learned.learn(&lessons);
    true
}
