//! [`Lesson`]: what one moment of one verification teaches. The observer emits lessons and `RouteStats` adds them up.
//!
//! An app's own statistics of a route learn step by step. What apps share learns from [`Lesson::Lived`] alone.

use serde::{Deserialize, Serialize};

use super::curves::{Curve, Level, RouteTest};
use super::teacher::Teacher;

/// What one moment of one verification teaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Lesson {
    /// A verification began: older counts fade.
    Started,
    /// Nothing happened in the buckets `from..to`.
    Survived {
        /// The curve.
        curve: Curve,
        /// The first bucket.
        from: u8,
        /// The bucket after the last.
        to: u8,
    },
    /// The event happened in this bucket.
    Happened {
        /// The curve.
        curve: Curve,
        /// The bucket.
        bucket: u8,
    },
    /// A test was made.
    Tested {
        /// The test.
        test: RouteTest,
        /// Whether the expected event had come.
        hit: bool,
        /// The probability that it would have come by then.
        p: f32,
        /// When, in seconds since 1970; 0 until the caller of the observer has stamped it.
        at_s: u32,
    },
    /// A called verification ended: an observation of the share of people who never enter a code.
    Called {
        /// The observed share times its weight.
        share: f32,
        /// The weight.
        weight: f32,
    },
    /// A verification began with an early planned call; one in so many of these is a probe.
    EarlyCallPlanned,
    /// The verification that began comes from this teacher.
    TaughtBy(Teacher),
    /// The code of a verification of this teacher was entered.
    Proved(Teacher),
    /// A call was placed only because delivery reports of the route are distrusted.
    DistrustCalled,
    /// The code was entered after such a call.
    DistrustJustified,
    /// A verification ended: what all apps learn from it.
    Lived(Life),
}

impl Lesson {
    /// Whether statistics of this level learn from it: an app's from steps, what apps share from whole lives.
    pub fn is_for(&self, level: Level) -> bool {
        matches!(self, Self::Lived(_)) != (level == Level::AppRoute)
    }

    /// The same lesson, learned at this time.
    pub fn at_s(self, now_s: u32) -> Self {
        match self {
            Self::Tested { test, hit, p, .. } => Self::Tested { test, hit, p, at_s: now_s },
            other => other,
        }
    }
}

/// A verification that has ended; all times are ages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Whom it came from.
    pub teacher: Teacher,
    /// The delivery report.
    pub reported_ms: Option<u32>,
    /// The person asked for another text.
    pub resent_ms: Option<u32>,
    /// From then on the code may have come from a call.
    pub censored_ms: Option<u32>,
    /// The end of the observation.
    pub ended_ms: u32,
    /// Whether the code was entered.
    pub is_verified: bool,
}
