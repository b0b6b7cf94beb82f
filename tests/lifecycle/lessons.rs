//! What a verification teaches, and what it does not.

use std::time::Duration;

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::route_model::Lesson;
use phlo_2fa::verification::event::TextReport;
use phlo_2fa::verification::{Event, Mode, Status, decide};

use crate::story::*;

#[test]
fn a_code_that_expires_teaches_that_its_call_was_in_vain() {
    let mut story = Story::new(Mode::Auto, "adaptive");
    story.at(1, accepted(0)).at(5, text(0, TextReport::Delivered));
    let (ms, reason) = story.next().unwrap();
    assert_eq!(reason, Reason::DeliveredUnverified);
    story.at_ms(ms, Event::Tick).at_ms(ms + 1, accepted(1)).at_ms(ms + 30_000, ended(1, CallEnd::Rejected));
    let decided = decide(&story.v, &Event::Tick, &story.rules, story.v.expires_at);
    assert_eq!(decided.after.status, Status::Expired);
    let called: Vec<_> = decided.lessons.iter().filter(|l| matches!(l, Lesson::Called { .. })).collect();
    assert!(matches!(called[..], [Lesson::Called { share, .. }] if *share > 0.0), "{:?}", decided.lessons);
}

#[test]
fn what_plivo_answers_and_that_a_carrier_took_the_text_teaches_nothing_and_has_nothing_planned_anew() {
    let mut story = Story::new(Mode::Auto, "adaptive");
    let planned = story.v.worked_out;
    for (second, event) in [(3, accepted(0)), (4, text(0, TextReport::Sent)), (7, Event::Tick)] {
        let decided = decide(&story.v, &event, &story.rules, START + Duration::from_secs(second));
        assert_eq!(decided.lessons, []);
        story.at(second, event);
        assert_eq!(story.v.worked_out, planned);
    }
}
