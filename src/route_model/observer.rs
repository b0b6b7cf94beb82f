//! [`Observer`]: what one verification must remember so that it teaches every lesson once.
//!
//! Each recorded event returns its [`Lesson`]s. Callbacks may come twice or late; the observer repeats no lesson. It
//! decides nothing and knows neither the route nor the clock.

use serde::{Deserialize, Serialize};

use super::advice::Advice;
use super::curves::{BUCKETS, Curve, RouteTest, bucket_of, edge_ms};
use super::estimates::Estimates;
use super::forecast::{CallForecast, ScheduledTest};
use super::lesson::{Lesson, Life};
use super::prior;
use super::teacher::Teacher;

/// Time after which a call censors the text, even if its result is not known yet.
///
/// A call that still rings has told no code. Watching unanswered calls for longer than answered ones would select
/// people who never answer, and bias the hazards.
const CENSORED_AFTER_CALL_MS: u32 = 15_000;

/// Age at which a text is no longer observed.
pub const TTL_MS: u32 = edge_ms(BUCKETS);

/// What has been seen of a verification, and which lessons it has taught.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observer {
    /// Age at the delivery report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reported_ms: Option<u32>,
    /// Age at which the person asked for another text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resent_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    called_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<CallForecast>,
    /// Whether the code may have come from the call, so that it says nothing about the text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_censored: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_closed: bool,
    /// First bucket whose survival has not been taught, on the clock of the text or of its report.
    #[serde(skip_serializing_if = "is_zero")]
    untaught_bucket: u8,
    /// The same on the clock that the resend started.
    #[serde(skip_serializing_if = "is_zero")]
    untaught_bucket_after_resend: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<ScheduledTest>,
    /// Whether this verification waits longer than planned, to observe late texts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_probe: bool,
    /// When the code could first have come from the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    censored_ms: Option<u32>,
    /// Whether it teaches its app nothing, because its prefix or client has taught its share.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_muted: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(bucket: &u8) -> bool {
    *bucket == 0
}

impl Observer {
    /// Starts at the submission of the text; `planned_ms` is when the call is due if no event comes.
    pub(super) fn start(estimates: &Estimates, planned_ms: Option<u32>) -> (Self, Vec<Lesson>) {
        let is_early = planned_ms.is_some_and(|at| at < prior::EARLY_MS);
        let mut lessons = vec![Lesson::Started];
        if is_early {
            lessons.push(Lesson::EarlyCallPlanned);
        }
        let (at_ms, p) = estimates.first_event_test();
        let test = Some(ScheduledTest { test: RouteTest::FirstEvent, at_ms, p, p_when_censored: None });
        (Self { test, is_probe: is_early && estimates.is_next_early_plan_a_probe, ..Self::default() }, lessons)
    }

    /// `delivered` was reported.
    pub(super) fn record_delivered(&mut self, age_ms: u32, estimates: &Estimates) -> Vec<Lesson> {
        let mut lessons = self.advance(age_ms);
        if self.is_closed || self.reported_ms.is_some() {
            return lessons;
        }
        let bucket = bucket_of(age_ms) as u8;
        if !self.is_censored {
            lessons.push(Lesson::Survived { curve: Curve::Verified, from: bucket, to: bucket + 1 });
        }
        lessons.push(Lesson::Happened { curve: Curve::Delivered, bucket });
        lessons.extend(self.test.take().map(|test| test.lesson(true)));
        self.reported_ms = Some(age_ms);
        self.untaught_bucket = 0;
        if !self.is_censored {
            let (after_ms, p) = estimates.conversion_test();
            let at_ms = age_ms + after_ms;
            self.test = Some(ScheduledTest { test: RouteTest::Conversion, at_ms, p, p_when_censored: None });
        }
        lessons
    }

    /// The code was entered.
    pub(super) fn record_verified(&mut self, age_ms: u32) -> Vec<Lesson> {
        let mut lessons = self.advance(age_ms);
        if self.is_closed {
            return lessons;
        }
        self.is_closed = true;
        if let Some(forecast) = self.forecast {
            lessons.push(forecast.lesson(true));
            lessons.extend(forecast.is_distrust.then_some(Lesson::DistrustJustified));
        }
        let bucket = bucket_of(age_ms) as u8;
        let verified = match self.reported_ms {
            None => {
                lessons.push(Lesson::Survived { curve: Curve::Delivered, from: bucket, to: bucket + 1 });
                Lesson::Happened { curve: Curve::Verified, bucket }
            }
            Some(at) => Lesson::Happened {
                curve: Curve::VerifiedAfterDelivered,
                bucket: bucket_of(age_ms.saturating_sub(at)) as u8,
            },
        };
        let test = self.test.take();
        if !self.is_censored {
            lessons.push(verified);
            lessons.extend(test.map(|test| test.lesson(true)));
            if let Some(at) = self.resent_ms {
                let bucket = bucket_of(age_ms.saturating_sub(at)) as u8;
                lessons.push(Lesson::Happened { curve: Curve::VerifiedAfterResend, bucket });
            }
        } else if let Some((test, p)) = test.and_then(|c| Some((c.test, c.p_when_censored?))) {
            // The call brought the code before the test was due, and the text had had no event until the call.
            lessons.push(Lesson::Tested { test, hit: false, p, at_s: 0 });
        }
        lessons
    }

    /// The text is known to be lost: nothing more can be learned from it.
    pub(super) fn record_lost(&mut self, age_ms: u32) -> Vec<Lesson> {
        let lessons = self.advance(age_ms);
        if self.reported_ms.is_none() {
            self.is_closed = true;
            self.test = None;
        }
        lessons
    }

    /// The person asked for another text.
    pub(super) fn record_resend(&mut self, age_ms: u32) -> Vec<Lesson> {
        let lessons = self.advance(age_ms);
        if !self.is_closed && self.resent_ms.is_none() {
            self.resent_ms = Some(age_ms);
        }
        lessons
    }

    /// The call was placed, on this advice if there was any.
    pub(super) fn record_call(&mut self, age_ms: u32, estimates: &Estimates, advice: Option<&Advice>) -> Vec<Lesson> {
        let mut lessons = self.advance(age_ms);
        if !self.is_closed && self.called_ms.is_none() {
            self.called_ms = Some(age_ms);
            // Without a delivery report, an unanswered call does not tell a late text from a person without intent.
            let reported = advice.filter(|advice| advice.reported_ms_ago.is_some() && self.resent_ms.is_none());
            self.forecast = reported.map(|advice| CallForecast {
                text: advice.text as f32,
                saves: advice.saves as f32,
                no_intent_gain: advice.no_intent_gain as f32,
                is_distrust: advice.is_route_unreliable,
            });
            lessons.extend(reported.filter(|advice| advice.is_route_unreliable).map(|_| Lesson::DistrustCalled));
            // The test must be made before the call can bring the code.
            let until = age_ms + CENSORED_AFTER_CALL_MS;
            if let Some(test) = self.test.as_mut().filter(|c| c.test == RouteTest::FirstEvent && c.at_ms > until) {
                (test.at_ms, test.p) = (until, estimates.first_event_by(until));
            }
        }
        lessons
    }

    /// The result of the call is known.
    pub(super) fn record_call_result(&mut self, age_ms: u32, estimates: &Estimates) -> Vec<Lesson> {
        let lessons = self.advance(age_ms);
        if self.called_ms.is_some() && !self.is_censored {
            self.censor(age_ms);
            if let Some(test) = &mut self.test {
                test.p_when_censored = Some(estimates.first_event_by(age_ms));
            }
        }
        lessons
    }

    /// Teaches the time survived until this age; every other event does this first.
    pub(super) fn advance(&mut self, now_ms: u32) -> Vec<Lesson> {
        let mut lessons = Vec::new();
        if self.is_closed {
            return lessons;
        }
        if let Some(censored_ms) = self.censoring_ms().filter(|at| *at <= now_ms) {
            self.survive(censored_ms, &mut lessons);
            self.censor(censored_ms);
        }
        self.survive(now_ms, &mut lessons);
        lessons
    }

    /// The verification expired and the code was not entered.
    pub(super) fn end(&mut self, age_ms: u32) -> Vec<Lesson> {
        let mut lessons = self.advance(age_ms);
        if !self.is_closed {
            lessons.extend(self.forecast.map(|forecast| forecast.lesson(false)));
        }
        self.is_closed = true;
        lessons
    }

    /// Age at which to call [`see`](super::see) with `Time`; `None` when nothing more can be learned.
    ///
    /// A caller that wakes it later only learns later.
    pub fn wake_ms(&self) -> Option<u32> {
        let test = self.test.map(|test| test.at_ms);
        (!self.is_closed).then(|| self.censoring_ms().into_iter().chain(test).min().unwrap_or(TTL_MS))
    }

    /// Whether nothing more is observed.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// What all apps learn from the verification, once it has ended at this age.
    pub(super) fn life(&self, teacher: Teacher, ended_ms: u32, is_verified: bool) -> Life {
        Life {
            teacher,
            reported_ms: self.reported_ms,
            resent_ms: self.resent_ms,
            censored_ms: self.censored_ms,
            ended_ms,
            is_verified,
        }
    }

    /// Whether a call has been placed.
    pub fn is_called(&self) -> bool {
        self.called_ms.is_some()
    }

    /// Age at which the call censors the text, unless it has already.
    fn censoring_ms(&self) -> Option<u32> {
        self.called_ms.filter(|_| !self.is_censored).map(|at| at + CENSORED_AFTER_CALL_MS)
    }

    fn censor(&mut self, age_ms: u32) {
        self.is_censored = true;
        self.censored_ms = Some(age_ms);
        self.test = self.test.filter(|test| test.test == RouteTest::FirstEvent);
    }

    fn survive(&mut self, now_ms: u32, lessons: &mut Vec<Lesson>) {
        let mut survived = |curve, from: u8, to: u8| {
            if from < to {
                lessons.push(Lesson::Survived { curve, from, to });
            }
        };
        let to = bucket_of(now_ms.saturating_sub(self.reported_ms.unwrap_or(0))) as u8;
        if self.reported_ms.is_none() {
            survived(Curve::Delivered, self.untaught_bucket, to);
        }
        if !self.is_censored {
            let curve = if self.reported_ms.is_none() { Curve::Verified } else { Curve::VerifiedAfterDelivered };
            survived(curve, self.untaught_bucket, to);
        }
        self.untaught_bucket = self.untaught_bucket.max(to);
        if let Some(at) = self.resent_ms {
            let to = bucket_of(now_ms.saturating_sub(at)) as u8;
            if !self.is_censored {
                survived(Curve::VerifiedAfterResend, self.untaught_bucket_after_resend, to);
            }
            self.untaught_bucket_after_resend = self.untaught_bucket_after_resend.max(to);
        }
        if let Some(test) = self.test.filter(|test| test.at_ms <= now_ms) {
            lessons.push(test.lesson(false));
            self.test = None;
        }
    }
}

#[cfg(test)]
mod tests;
