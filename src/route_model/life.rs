//! The lessons of a whole [`Life`], for what all apps share.
//!
//! The apps' own statistics learn step by step. What apps share learns from ended verifications alone, because only the
//! end tells whether the person entered the code.

use super::curves::{Curve, bucket_of};
use super::lesson::{Lesson, Life};

/// The lessons on curves that the observer would have taught step by step.
pub(super) fn lessons_of(life: &Life) -> Vec<Lesson> {
    let mut lessons = Vec::with_capacity(8);
    let reported = life.reported_ms.filter(|at| *at <= life.ended_ms);
    let silent_until = reported.unwrap_or(life.ended_ms);
    let observed_until = life.censored_ms.unwrap_or(u32::MAX).min(life.ended_ms);
    let is_observed = |at: u32| life.censored_ms.is_none_or(|censored| at < censored);
    let is_code_observed = life.is_verified && is_observed(life.ended_ms);
    // Silent, on the clock of the text.
    survive(&mut lessons, Curve::Delivered, silent_until);
    survive(&mut lessons, Curve::Verified, silent_until.min(observed_until));
    let bucket = bucket_of(silent_until) as u8;
    match reported {
        Some(at) => {
            if is_observed(at) {
                lessons.push(Lesson::Survived { curve: Curve::Verified, from: bucket, to: bucket + 1 });
            }
            lessons.push(Lesson::Happened { curve: Curve::Delivered, bucket });
            if is_observed(at) {
                let until = observed_until - at;
                survive(&mut lessons, Curve::VerifiedAfterDelivered, until);
                if is_code_observed {
                    happen(&mut lessons, Curve::VerifiedAfterDelivered, until);
                }
            }
        }
        None if life.is_verified => {
            lessons.push(Lesson::Survived { curve: Curve::Delivered, from: bucket, to: bucket + 1 });
            if is_code_observed {
                happen(&mut lessons, Curve::Verified, silent_until);
            }
        }
        None => {}
    }
    if let Some(at) = life.resent_ms.filter(|at| *at <= observed_until && is_observed(*at)) {
        survive(&mut lessons, Curve::VerifiedAfterResend, observed_until - at);
        if is_code_observed {
            happen(&mut lessons, Curve::VerifiedAfterResend, observed_until - at);
        }
    }
    lessons
}

fn survive(lessons: &mut Vec<Lesson>, curve: Curve, until_ms: u32) {
    let to = bucket_of(until_ms) as u8;
    if to > 0 {
        lessons.push(Lesson::Survived { curve, from: 0, to });
    }
}

fn happen(lessons: &mut Vec<Lesson>, curve: Curve, at_ms: u32) {
    lessons.push(Lesson::Happened { curve, bucket: bucket_of(at_ms) as u8 });
}
