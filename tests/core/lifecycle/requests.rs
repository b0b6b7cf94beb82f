//! How often a failing Plivo is asked for one verification, and what becomes of requests that wait.

use std::time::Duration;

use phlo_2fa::escalation::Reason;
use phlo_2fa::verification::{
    AttemptStatus, Channel, Effect, Event, Mode, REQUESTS_MAX, Status, TriggerOutcome, TriggerReply, TriggerRequest,
    Via, outcome_of,
};

use crate::story::*;

/// Lives a verification to its end while Plivo gives one answer; returns when each request was made.
fn requests_of(mode: Mode, policy: &str, via: Via, reply: &TriggerReply, asks_again: bool) -> Vec<u64> {
    let mut story = Story::new(mode, policy);
    let (mut second, mut made) = (0, Vec::new());
    let mut under_way = story.effects.clone();
    while !story.v.is_final() && second < 700 {
        while let Some(Effect::Trigger { attempt }) = under_way.pop() {
            made.push(second);
            let (a, owed) = (story.v.attempt(attempt).unwrap(), &story.v.owed);
            let round = owed.iter().find(|owed| owed.effect == Effect::Trigger { attempt }).unwrap().round;
            let via = if a.is_passed_on { Via::Api } else { via };
            let request = TriggerRequest { channel: a.channel, via, round, failed: a.failed_requests };
            let outcome = outcome_of(request, reply.clone(), 1.0);
            story.at(second, Event::Triggered { attempt, outcome });
            under_way.append(&mut story.effects);
        }
        second += 1;
        let event = match asks_again && second.is_multiple_of(31) {
            true => Event::AttemptRequested(Channel::Sms),
            false => Event::Tick,
        };
        story.at(second, event);
        under_way.append(&mut story.effects);
    }
    assert!(story.v.is_final(), "{:?}", story.v);
    made
}

#[test]
fn at_most_six_requests_are_made_however_plivo_answers() {
    let not_now = |status| TriggerReply::NotNow { status: Some(status), retry_after: None };
    let replies = [not_now(429), not_now(503), TriggerReply::Failed { status: 500 }];
    for reply in &replies {
        for (mode, policy) in [(Mode::Auto, "fixed+fail:45"), (Mode::Sms, "never"), (Mode::Call, "never")] {
            for via in [Via::Phlo, Via::Api] {
                for asks_again in [false, true] {
                    let made = requests_of(mode, policy, via, reply, asks_again);
                    assert!(made.len() <= REQUESTS_MAX, "{mode:?} {via:?} {asks_again} {reply:?}: {made:?}");
                }
            }
        }
        let made = requests_of(Mode::Sms, "never", Via::Api, reply, false);
        assert!(made.last().is_some_and(|last| *last > 120), "an outage of two minutes is outlived: {made:?}");
    }
}

#[test]
fn a_request_that_no_connection_carried_does_not_count() {
    let mut story = Story::new(Mode::Sms, "never");
    for second in [1, 20, 40, 60, 80, 100, 120, 140] {
        let round = story.v.owed[0].round;
        let retry_after = Duration::from_secs(5);
        story.at(second, triggered(0, TriggerOutcome::Deferred { provider_status: None, retry_after, round }));
        story.at(second + 5, Event::Tick);
        assert_eq!(story.effects, [trigger(0)]);
    }
    assert_eq!(story.v.requests_made(), 0);
}

#[test]
fn the_timer_of_a_text_that_waited_begins_with_its_first_request() {
    for policy in ["fixed+fail:45", "adaptive"] {
        let usual = Story::new(Mode::Auto, policy).next().unwrap();
        let mut story = Story::new(Mode::Auto, policy);
        story.at(0, waiting(0, 0));
        assert_eq!(story.next(), None, "no call for a text that Plivo was not asked for");
        story.at(100, Event::Admitted { attempt: index(0) });
        assert_eq!(story.effects, [trigger(0)]);
        assert_eq!(story.next(), Some((usual.0 + 100_000, Reason::NoReport)), "{policy}");
    }
}

#[test]
fn a_second_text_that_waits_does_not_delay_the_call_for_the_first() {
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(0, accepted(0)).at(40, Event::AttemptRequested(Channel::Sms));
    let planned = story.next().expect("a call for the first text");
    story.at(40, waiting(1, 100));
    assert_eq!(story.next(), Some(planned));
}

#[test]
fn a_waiting_request_is_made_once_it_is_admitted_and_by_any_replica_when_its_lease_ends() {
    let mut story = Story::new(Mode::Auto, "never");
    story.at(1, waiting(0, 0)).at(2, Event::Tick);
    assert_eq!(story.effects, []);
    story.at(31, Event::Tick);
    assert_eq!(story.effects, [trigger(0)]);
    story.at(32, Event::Admitted { attempt: index(0) });
    assert_eq!(story.effects, [], "it is under way");
    story.at(33, accepted(0)).at(34, Event::Admitted { attempt: index(0) });
    assert_eq!((&story.effects[..], story.attempts()), (&[][..], vec![AttemptStatus::Triggered]));
}

#[test]
fn a_text_that_would_come_too_late_ends_the_verification_while_the_person_waits() {
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(1, waiting(0, 280));
    assert_eq!(story.status(), Status::Pending);
    let mut story = Story::new(Mode::Auto, "fixed+fail:45");
    story.at(1, waiting(0, 295));
    assert_eq!((story.status(), story.attempts()), (Status::Undeliverable, vec![AttemptStatus::Failed]));
    // The code of a text that has arrived can still be typed.
    let mut story = Story::new(Mode::Auto, "never");
    story.at(1, accepted(0)).at(40, Event::AttemptRequested(Channel::Sms)).at(40, waiting(1, 290));
    assert_eq!(story.status(), Status::Pending);
}

#[test]
fn a_request_that_a_stopping_replica_has_not_made_is_due_at_once() {
    let mut story = Story::new(Mode::Auto, "never");
    story.at(1, Event::HandedBack { attempt: index(0) });
    assert_eq!(story.effects, []);
    story.at(2, Event::Tick);
    assert_eq!(story.effects, [trigger(0)]);
    assert!(!story.v.owed[0].taken_over, "nothing was sent");
}
