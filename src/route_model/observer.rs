//! [`Observer`]: what one verification must remember of itself so that it teaches everything once.
//!
//! It is told each event with its age and gives back the [`Lesson`]s. Callbacks may come twice or late; what was
//! taught already is not taught again. It does not decide anything and knows neither route nor clock.

use serde::{Deserialize, Serialize};

use super::advice::Advice;
use super::curves::{BUCKETS, Check, Curve, Lesson, bucket_of, edge_ms};
use super::estimates::Estimates;
use super::prior;

/// How long after it was placed a call may still be ringing with nobody influenced by it. Watching unanswered calls
/// for longer than answered ones would tell something about the people, and the curves would be wrong.
pub const CALL_TELLS_MS: u32 = 15_000;

/// When a verification's text is watched no longer.
pub const TTL_MS: u32 = edge_ms(BUCKETS);

/// What has been seen of a verification, and how far it has been taught.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observer {
    /// When `delivered` was reported.
    pub(super) reported_ms: Option<u32>,
    /// When the person asked for the text again.
    pub(super) resent_ms: Option<u32>,
    /// When the call was placed.
    called_ms: Option<u32>,
    bet: Option<Bet>,
    /// A code may have come from the call, so that it says nothing of the text.
    is_call_known: bool,
    is_closed: bool,
    /// The bucket of the state's clock up to which survival has been taught, and the same since the resend.
    taught: u8,
    taught_resent: u8,
    check: Option<PendingCheck>,
    /// Waits longer than planned, to see what would have come.
    pub(super) is_probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct PendingCheck {
    check: Check,
    at_ms: u32,
    p: f32,
    /// How likely news had been by the time at which the call may have brought the code, if there was none.
    #[serde(default)]
    missed_p: Option<f32>,
}

/// What was expected of a call when it was placed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Bet {
    text: f32,
    saves: f32,
    gain: f32,
}

impl Observer {
    /// The text was submitted; `planned_ms` is when the call would be placed if nothing happened.
    pub fn start(estimates: &Estimates, planned_ms: Option<u32>) -> (Self, Vec<Lesson>) {
        let is_early = planned_ms.is_some_and(|at| at < prior::EARLY_MS);
        let mut lessons = vec![Lesson::Started];
        if is_early {
            lessons.push(Lesson::Early);
        }
        let (at_ms, p) = estimates.news_check();
        let check = Some(PendingCheck { check: Check::FirstEvent, at_ms, p, missed_p: None });
        (Self { check, is_probe: is_early && estimates.owes_probe, ..Self::default() }, lessons)
    }

    /// `delivered` was reported.
    pub fn delivered(&mut self, age_ms: u32, estimates: &Estimates) -> Vec<Lesson> {
        let mut lessons = self.credit(age_ms);
        if self.is_closed || self.reported_ms.is_some() {
            return lessons;
        }
        let bucket = bucket_of(age_ms) as u8;
        if !self.is_call_known {
            lessons.push(Lesson::Survived { curve: Curve::Verified, from: bucket, to: bucket + 1 });
        }
        lessons.push(Lesson::Happened { curve: Curve::Delivered, bucket });
        lessons.extend(self.check.take().map(|c| c.made(true)));
        self.reported_ms = Some(age_ms);
        self.taught = 0;
        if !self.is_call_known {
            let (after_ms, p) = estimates.belief_check();
            self.check = Some(PendingCheck { check: Check::Conversion, at_ms: age_ms + after_ms, p, missed_p: None });
        }
        lessons
    }

    /// The code was entered.
    pub fn verified(&mut self, age_ms: u32) -> Vec<Lesson> {
        let mut lessons = self.credit(age_ms);
        if self.is_closed {
            return lessons;
        }
        self.is_closed = true;
        lessons.extend(self.bet.map(|bet| bet.ended(true)));
        let bucket = bucket_of(age_ms) as u8;
        let curve = match self.reported_ms {
            None => {
                lessons.push(Lesson::Survived { curve: Curve::Delivered, from: bucket, to: bucket + 1 });
                Lesson::Happened { curve: Curve::Verified, bucket }
            }
            Some(at) => Lesson::Happened {
                curve: Curve::VerifiedAfterDelivered,
                bucket: bucket_of(age_ms.saturating_sub(at)) as u8,
            },
        };
        let check = self.check.take();
        if !self.is_call_known {
            lessons.push(curve);
            lessons.extend(check.map(|c| c.made(true)));
            if let Some(at) = self.resent_ms {
                let bucket = bucket_of(age_ms.saturating_sub(at)) as u8;
                lessons.push(Lesson::Happened { curve: Curve::VerifiedAfterResend, bucket });
            }
        } else if let Some((check, p)) = check.and_then(|c| Some((c.check, c.missed_p?))) {
            // Who takes a call at once has entered its code before the check was due: until then there was no news.
            lessons.push(Lesson::Checked { check, hit: false, p });
        }
        lessons
    }

    /// The text is known to be lost: nothing more can be learned from it.
    pub fn failed(&mut self, age_ms: u32) -> Vec<Lesson> {
        let lessons = self.credit(age_ms);
        if self.reported_ms.is_none() {
            self.is_closed = true;
            self.check = None;
        }
        lessons
    }

    /// The person asked for the text again.
    pub fn resend(&mut self, age_ms: u32) -> Vec<Lesson> {
        let lessons = self.credit(age_ms);
        if !self.is_closed && self.resent_ms.is_none() {
            self.resent_ms = Some(age_ms);
        }
        lessons
    }

    /// The call was placed.
    pub fn called(&mut self, age_ms: u32, estimates: &Estimates, decision: Option<&Advice>) -> Vec<Lesson> {
        let lessons = self.credit(age_ms);
        if !self.is_closed && self.called_ms.is_none() {
            self.called_ms = Some(age_ms);
            // Only where a report says that the text came is it clear enough what a call that nobody answers to means.
            let reported = decision.filter(|d| d.reported_ms_ago.is_some() && self.resent_ms.is_none());
            self.bet =
                reported.map(|d| Bet { text: d.text as f32, saves: d.saves as f32, gain: d.no_intent_gain as f32 });
            // The check must be made before the call brings the code.
            let until = age_ms + CALL_TELLS_MS;
            if let Some(check) = self.check.as_mut().filter(|c| c.check == Check::FirstEvent && c.at_ms > until) {
                (check.at_ms, check.p) = (until, estimates.news_by(until));
            }
        }
        lessons
    }

    /// It is known how the call went.
    pub fn call_known(&mut self, age_ms: u32, estimates: &Estimates) -> Vec<Lesson> {
        let lessons = self.credit(age_ms);
        if self.called_ms.is_some() && !self.is_call_known {
            self.forget_code();
            if let Some(check) = &mut self.check {
                check.missed_p = Some(estimates.news_by(age_ms));
            }
        }
        lessons
    }

    /// Time has passed: teaches what has been survived by now. Every other event does this first.
    pub fn credit(&mut self, now_ms: u32) -> Vec<Lesson> {
        let mut lessons = Vec::new();
        if self.is_closed {
            return lessons;
        }
        if let Some(told_ms) = self.told_ms().filter(|at| *at <= now_ms) {
            self.survive(told_ms, &mut lessons);
            self.forget_code();
        }
        self.survive(now_ms, &mut lessons);
        lessons
    }

    /// The verification's time is over, and the code was not entered.
    pub fn end(&mut self, age_ms: u32) -> Vec<Lesson> {
        let mut lessons = self.credit(age_ms);
        if !self.is_closed {
            lessons.extend(self.bet.map(|bet| bet.ended(false)));
        }
        self.is_closed = true;
        lessons
    }

    /// When to look again, besides events and the planned call: what is taught late is learned late.
    pub fn wake_ms(&self) -> Option<u32> {
        let check = self.check.map(|c| c.at_ms);
        (!self.is_closed).then(|| self.told_ms().into_iter().chain(check).min().unwrap_or(TTL_MS))
    }

    /// Whether a call has been placed.
    pub fn is_called(&self) -> bool {
        self.called_ms.is_some()
    }

    /// From when on a code may have come from the call, unless that is so already.
    fn told_ms(&self) -> Option<u32> {
        self.called_ms.filter(|_| !self.is_call_known).map(|at| at + CALL_TELLS_MS)
    }

    fn forget_code(&mut self) {
        self.is_call_known = true;
        self.check = self.check.filter(|c| c.check == Check::FirstEvent);
    }

    fn survive(&mut self, now_ms: u32, lessons: &mut Vec<Lesson>) {
        let mut survived = |curve, taught: u8, to: u8| {
            if taught < to {
                lessons.push(Lesson::Survived { curve, from: taught, to });
            }
        };
        let to = bucket_of(now_ms.saturating_sub(self.reported_ms.unwrap_or(0))) as u8;
        if self.reported_ms.is_none() {
            survived(Curve::Delivered, self.taught, to);
        }
        if !self.is_call_known {
            let curve = if self.reported_ms.is_none() { Curve::Verified } else { Curve::VerifiedAfterDelivered };
            survived(curve, self.taught, to);
        }
        self.taught = self.taught.max(to);
        if let Some(at) = self.resent_ms {
            let to = bucket_of(now_ms.saturating_sub(at)) as u8;
            if !self.is_call_known {
                survived(Curve::VerifiedAfterResend, self.taught_resent, to);
            }
            self.taught_resent = self.taught_resent.max(to);
        }
        if let Some(check) = self.check.filter(|c| c.at_ms <= now_ms) {
            lessons.push(check.made(false));
            self.check = None;
        }
    }
}

impl Bet {
    /// Had everybody wanted the code, `text + (1 - text) * saves` of such calls would have ended well; each person
    /// who did not want it is missing from that.
    fn ended(self, verified: bool) -> Lesson {
        let expected = self.text + (1.0 - self.text) * self.saves;
        let missing = expected - f32::from(u8::from(verified));
        Lesson::Called { share: self.gain * missing, weight: self.gain * self.gain * self.saves }
    }
}

impl PendingCheck {
    fn made(self, hit: bool) -> Lesson {
        Lesson::Checked { check: self.check, hit, p: self.p }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Observer {
        Observer::start(&Estimates::prior(), Some(20_000)).0
    }

    fn survived(curve: Curve, from: u8, to: u8) -> Lesson {
        Lesson::Survived { curve, from, to }
    }

    fn happened(curve: Curve, bucket: u8) -> Lesson {
        Lesson::Happened { curve, bucket }
    }

    fn curves(lessons: &[Lesson]) -> Vec<Lesson> {
        lessons.iter().filter(|l| matches!(l, Lesson::Survived { .. } | Lesson::Happened { .. })).copied().collect()
    }

    #[test]
    fn a_code_without_a_report_is_an_event_among_all_that_were_silent() {
        let lessons = started().verified(9_000);
        assert_eq!(
            curves(&lessons),
            [
                survived(Curve::Delivered, 0, 4),
                survived(Curve::Verified, 0, 4),
                survived(Curve::Delivered, 4, 5),
                happened(Curve::Verified, 4)
            ]
        );
    }

    #[test]
    fn after_a_report_the_clock_starts_again() {
        let (mut track, estimates) = (started(), Estimates::prior());
        let lessons = track.delivered(5_000, &estimates);
        assert_eq!(curves(&lessons)[2..], [survived(Curve::Verified, 2, 3), happened(Curve::Delivered, 2)]);
        assert_eq!(
            curves(&track.verified(12_500)),
            [survived(Curve::VerifiedAfterDelivered, 0, 3), happened(Curve::VerifiedAfterDelivered, 3)]
        );
    }

    #[test]
    fn what_comes_twice_teaches_once() {
        let (mut track, estimates) = (started(), Estimates::prior());
        track.delivered(5_000, &estimates);
        assert_eq!(track.delivered(5_500, &estimates), []);
        track.resend(20_000);
        let once = track.clone();
        assert_eq!(track.resend(20_000), []);
        assert_eq!(track, once);
        track.verified(30_000);
        for lessons in
            [track.verified(31_000), track.delivered(32_000, &estimates), track.credit(60_000), track.end(TTL_MS)]
        {
            assert_eq!(lessons, []);
        }
    }

    #[test]
    fn crediting_in_steps_teaches_what_one_step_does() {
        let (mut steps, mut leap) = (started(), started());
        let mut seen = Vec::new();
        for age in (0..=600).map(|s| s * 1000) {
            for lesson in steps.credit(age) {
                if let Lesson::Survived { curve: Curve::Verified, from, to } = lesson {
                    seen.extend(from..to);
                }
            }
        }
        assert_eq!(seen, (0..29).collect::<Vec<u8>>());
        leap.credit(600_000);
        assert_eq!(steps, leap);
    }

    #[test]
    fn a_code_after_a_call_says_nothing_of_the_text() {
        let (mut track, estimates) = (started(), Estimates::prior());
        track.called(16_000, &estimates, None);
        let known = track.call_known(25_000, &estimates);
        assert_eq!(curves(&known), [survived(Curve::Delivered, 8, 11), survived(Curve::Verified, 8, 11)]);
        let verified = track.verified(40_000);
        assert_eq!(curves(&verified), [survived(Curve::Delivered, 11, 15), survived(Curve::Delivered, 15, 16)]);
    }

    #[test]
    fn an_unanswered_call_is_not_watched_for_longer_than_an_answered_one() {
        let (mut track, estimates) = (started(), Estimates::prior());
        track.called(10_000, &estimates, None);
        // The bucket that 25 s is in begins at 23 s.
        let until_then = track.credit(24_000);
        assert!(until_then.contains(&survived(Curve::Verified, 5, 11)), "{until_then:?}");
        assert_eq!(track.wake_ms(), Some(25_000));
        assert_eq!(curves(&track.call_known(45_000, &estimates)), [survived(Curve::Delivered, 11, 15)]);
    }

    #[test]
    fn a_text_known_to_be_lost_is_watched_no_longer() {
        let mut track = started();
        assert_eq!(curves(&track.failed(3_000)).len(), 2);
        assert_eq!(track.end(TTL_MS), []);
        assert_eq!(track.wake_ms(), None);
    }

    #[test]
    fn news_is_checked_once_and_before_a_call_can_bring_it() {
        let estimates = Estimates::prior();
        let hit = |lessons: &[Lesson]| {
            lessons.iter().find_map(|l| if let Lesson::Checked { hit, .. } = l { Some(*hit) } else { None })
        };
        assert_eq!(hit(&started().verified(9_000)), Some(true));
        let mut silent = started();
        let at = silent.wake_ms().unwrap();
        assert_eq!(hit(&silent.credit(at - 1)), None);
        assert_eq!(hit(&silent.credit(at)), Some(false));
        assert_eq!(hit(&silent.verified(at + 1)), None);
        let mut answered = started();
        answered.called(4_000, &estimates, None);
        assert_eq!(hit(&answered.call_known(9_000, &estimates)), None);
        assert_eq!(hit(&answered.verified(12_000)), Some(false));
        let mut called = started();
        called.called(4_000, &estimates, None);
        assert!(called.wake_ms().unwrap() <= 19_000);
        assert_eq!(hit(&called.verified(28_000)), Some(false));
    }
}
