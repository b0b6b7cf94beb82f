//! What an observer expects: of a test that is due, and of a call that was placed.

use serde::{Deserialize, Serialize};

use super::curves::RouteTest;
use super::lesson::Lesson;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScheduledTest {
    pub(super) test: RouteTest,
    pub(super) at_ms: u32,
    pub(super) p: f32,
    /// Probability of a first event by the time of censoring, if none had come by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) p_when_censored: Option<f32>,
}

/// What was expected when the call was placed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CallForecast {
    pub(super) text: f32,
    pub(super) saves: f32,
    pub(super) no_intent_gain: f32,
    /// Whether the call was placed only because delivery reports of this route are distrusted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_distrust: bool,
}

impl CallForecast {
    /// If every person wanted the code, `text + (1 - text) * saves` of such calls would end verified.
    /// People without intent make up the difference.
    pub(super) fn lesson(self, is_verified: bool) -> Lesson {
        let expected = self.text + (1.0 - self.text) * self.saves;
        let missing = expected - f32::from(u8::from(is_verified));
        Lesson::Called {
            share: self.no_intent_gain * missing,
            weight: self.no_intent_gain * self.no_intent_gain * self.saves,
        }
    }
}

impl ScheduledTest {
    pub(super) fn lesson(self, hit: bool) -> Lesson {
        Lesson::Tested { test: self.test, hit, p: self.p, at_s: 0 }
    }
}
