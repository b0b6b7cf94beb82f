//! The lessons of a verification, and changes that teach nothing.

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::route_model::Lesson;
use phlo_2fa::verification::{Event, Mode, Status, TextReport};

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
