//! A text whose request was not answered: it is looked up before the call, and sent again if Plivo has not sent it.

use phlo_2fa::escalation::Reason;
use phlo_2fa::verification::{AttemptStatus, Effect, Event, Lookup, Mode, ProviderId, TextReport};

use crate::story::*;

const LOOK_UP: Effect = Effect::LookUp { attempt: phlo_2fa::verification::AttemptIndex::FIRST };

/// A verification whose text is being looked up 15 s after its creation.
fn looked_up() -> Story {
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(12, timed_out(0)).at(15, Event::Tick);
    assert_eq!(story.effects, [LOOK_UP]);
    story
}

fn says(lookup: Lookup) -> Event {
    Event::LookedUp { attempt: index(0), lookup }
}

#[test]
fn a_lost_text_is_sent_again_once_and_its_timer_goes_on() {
    let mut story = looked_up();
    assert_eq!(story.at(16, not_sent(0)).effects, [trigger(0)]);
    assert_eq!(story.next(), Some((45_000, Reason::NoReport)));
    assert_eq!(story.v.requests_made(), 2);
    // A second look says nothing new, because it is not asked for.
    assert!(story.at(17, not_sent(0)).effects.is_empty());
    story.at(28, timed_out(0));
    assert!(story.v.owed.is_empty(), "the second request is not looked up");
    assert_eq!(story.at(44, Event::Tick).effects, []);
    assert_eq!(story.at(45, Event::Tick).effects, [trigger(1)], "the call");
}

#[test]
fn a_repeated_request_that_plivo_takes_is_an_ordinary_text() {
    let mut story = looked_up();
    story.at(16, not_sent(0)).at(17, accepted(0)).at(18, text(0, TextReport::Delivered));
    assert_eq!(story.attempts(), [AttemptStatus::Delivered]);
    assert_eq!(story.v.requests_made(), 2);
    assert!(story.v.owed.is_empty());
}

#[test]
fn a_text_that_the_list_has_is_known_by_its_uuid_and_not_sent_again() {
    let mut story = looked_up();
    let found = ProviderId { uuid: "u".to_owned(), is_linked: true };
    assert!(story.at(16, says(Lookup::Sent(found))).effects.is_empty());
    assert_eq!(story.attempts(), [AttemptStatus::Triggered]);
    assert!(story.v.attempts[0].is_known_by("u") && story.v.owed.is_empty());
}

#[test]
fn without_an_answer_the_text_is_looked_up_three_times_and_the_timer_decides() {
    let mut story = looked_up();
    for second in [16, 19, 22] {
        story.at(second, says(Lookup::Unanswered));
        let is_last = second == 22;
        assert_eq!(story.at(second + 3, Event::Tick).effects, if is_last { vec![] } else { vec![LOOK_UP] });
    }
    assert_eq!(story.attempts(), [AttemptStatus::Unknown]);
    assert_eq!(story.next(), Some((45_000, Reason::NoReport)));
}

#[test]
fn a_report_or_the_end_makes_a_look_needless() {
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(12, timed_out(0)).at(13, text(0, TextReport::Sent));
    assert!(story.at(15, Event::Tick).effects.is_empty() && story.v.owed.is_empty());
    // A report may also come while the list is read.
    let mut story = looked_up();
    story.at(16, text(0, TextReport::Queued));
    assert!(story.at(16, not_sent(0)).effects.is_empty());
    let mut story = looked_up();
    assert!(story.at(16, submit(RIGHT)).at(16, not_sent(0)).effects.is_empty());
}

#[test]
fn a_call_and_a_text_whose_code_is_over_are_not_looked_up() {
    let mut story = Story::new(Mode::Call, "never");
    story.at(12, timed_out(0));
    assert!(story.v.owed.is_empty());
    let mut story = Story::new(Mode::Sms, "never");
    story.at(295, timed_out(0));
    assert!(story.v.owed.is_empty());
}
