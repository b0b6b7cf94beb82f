//! The lessons of a verification, and changes that teach nothing.

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::route_model::Lesson;
use phlo_2fa::verification::{Event, Feedback, Mode, Rules, Status, TextReport};

use crate::story::*;

#[test]
fn an_expired_code_teaches_that_its_call_was_in_vain() {
    let mut story = Story::new(Mode::Auto, "adaptive");
    story.at(1, accepted(0)).at(5, text(0, TextReport::Delivered));
    let (ms, reason) = story.next().unwrap();
    assert_eq!(reason, Reason::DeliveredUnverified);
    story.at_ms(ms, Event::Tick).at_ms(ms + 1, accepted(1)).at_ms(ms + 30_000, ended(1, CallEnd::Rejected));
    let expiry = ms_after_start(story.v.expires_at());
    story.at_ms(expiry, Event::Tick);
    assert_eq!(story.status(), Status::Expired);
    let called: Vec<_> = story.lessons.iter().filter(|l| matches!(l, Lesson::Called { .. })).collect();
    assert!(matches!(called[..], [Lesson::Called { share, .. }] if *share > 0.0), "{:?}", story.lessons);
}

#[test]
fn replies_of_plivo_and_reports_before_delivery_teach_nothing_and_keep_the_plan() {
    let mut story = Story::new(Mode::Auto, "adaptive");
    let planned = story.v.pending().unwrap().planned;
    assert!(planned.is_some());
    for (second, event) in [(3, accepted(0)), (4, text(0, TextReport::Sent)), (7, Event::Tick)] {
        story.at(second, event);
        assert_eq!((&story.lessons[..], story.v.pending().unwrap().planned), (&[][..], planned));
    }
}

/// A verification whose code the customer checks, with a text that was delivered.
fn checked_elsewhere() -> Story {
    let mut story = Story::with(Rules::default(), |request| {
        request.policy = "adaptive".parse().ok();
        request.details.is_checked_elsewhere = true;
    });
    assert_eq!(story.lessons, []);
    story.at(1, accepted(0)).at(5, text(0, TextReport::Delivered));
    assert_eq!(story.lessons, [], "what no code follows says nothing");
    story
}

#[test]
fn a_code_that_is_checked_elsewhere_teaches_by_feedback_alone() {
    let mut here = Story::new(Mode::Auto, "adaptive");
    let mut taught = here.lessons.clone();
    here.at(1, accepted(0)).at(5, text(0, TextReport::Delivered));
    taught.extend(here.lessons.clone());
    taught.extend(here.at(9, submit(RIGHT)).lessons.clone());

    let mut story = checked_elsewhere();
    story.at(9, Event::Feedback(Feedback::Converted));
    let kinds = |lessons: &[Lesson]| lessons.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    assert_eq!(kinds(&story.lessons), kinds(&taught), "the same as where the code is checked here");
    assert_eq!((story.status(), story.next()), (Status::Pending, None), "it proves nothing here, and needs no call");
    assert_eq!(story.at(12, Event::Feedback(Feedback::NotConverted)).lessons, [], "the first word counts");
    assert_eq!(story.at(300, Event::Tick).lessons, []);
}

#[test]
fn feedback_teaches_after_the_end_too() {
    let mut story = checked_elsewhere();
    let (ms, _) = story.next().unwrap();
    story.at_ms(ms, Event::Tick);
    let expiry = ms_after_start(story.v.expires_at());
    assert_eq!(story.at_ms(expiry, Event::Tick).lessons, []);
    assert_eq!(story.status(), Status::Expired);
    story.at_ms(expiry + 60_000, Event::Feedback(Feedback::NotConverted));
    let lived = story.lessons.iter().any(|lesson| matches!(lesson, Lesson::Lived { .. }));
    let called = story.lessons.iter().any(|lesson| matches!(lesson, Lesson::Called { .. }));
    assert!(lived && called, "{:?}", story.lessons);
}
