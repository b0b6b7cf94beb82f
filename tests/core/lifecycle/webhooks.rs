//! Webhooks: events are told in order, one at a time, until a receiver takes them or a day has passed.

use std::time::Duration;

use phlo_2fa::escalation::CallEnd;
use phlo_2fa::guard::Scope;
use phlo_2fa::verification::telling::{TELL_FOR, TELL_LEASE, UNTOLD_KEPT, retry_pause};
use phlo_2fa::verification::{
    Barred, Channel, DeliveryOutcome, Effect, Event, FailureClass, Mode, NewSession, Rules, SessionIndex, TextReport,
    Verification, VerificationId, WebhookEvent,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::any::{steps, story};
use crate::story::*;

const DAY: u64 = TELL_FOR.as_secs();

/// A story of an app with a receiver.
fn told(policy: &str) -> Story {
    Story::with(Rules::default(), |request| {
        request.mode = Mode::Auto;
        request.policy = Some(policy.parse().unwrap());
        request.is_told = true;
    })
}

fn taken(entry: u16) -> Event {
    Event::Told { entry, round: 0, outcome: DeliveryOutcome::Delivered }
}

fn refused(entry: u16, round: u16, seconds: u64) -> Event {
    let retry_after = Duration::from_secs(seconds);
    Event::Told { entry, round, outcome: DeliveryOutcome::Failed { retry_after } }
}

fn given_up(entry: u16, round: u16) -> Event {
    Event::Told { entry, round, outcome: DeliveryOutcome::GivenUp }
}

/// The entries whose delivery is to be performed now.
fn started(story: &Story) -> Vec<u16> {
    let tells = story.effects.iter().filter_map(|effect| match effect {
        Effect::Tell { entry } => Some(*entry),
        _ => None,
    });
    tells.collect()
}

/// The entries whose delivery is owed.
fn owed(v: &Verification) -> Vec<u16> {
    let tells = v.owed.iter().filter_map(|owed| match owed.effect {
        Effect::Tell { entry } => Some(entry),
        _ => None,
    });
    tells.collect()
}

fn event_of(v: &Verification, entry: u16) -> WebhookEvent {
    v.timeline[usize::from(entry)].note.webhook_event().unwrap()
}

/// Lets the receiver take everything that is owed, and returns what it was told, in order.
fn take_all(story: &mut Story, second: u64) -> Vec<&'static str> {
    let mut names = Vec::new();
    while let [entry] = owed(&story.v)[..] {
        names.push(event_of(&story.v, entry).as_str());
        story.at(second, taken(entry));
    }
    names
}

#[test]
fn a_text_that_fails_and_a_call_that_verifies_are_told_in_order() {
    let mut story = told("fixed+fail:45");
    assert!(owed(&story.v).is_empty());
    story.at(1, accepted(0)).at(2, text(0, TextReport::Queued));
    assert_eq!((started(&story).len(), owed(&story.v).len()), (1, 1));
    story.at(5, undelivered(0, "30", FailureClass::Permanent)).at(6, accepted(1)).at(9, ended(1, CallEnd::Busy));
    assert_eq!(owed(&story.v).len(), 1, "one at a time");
    story.at(10, submit(RIGHT));
    let names = take_all(&mut story, 11);
    let expected =
        ["attempt.updated", "attempt.updated", "escalation.executed", "attempt.updated", "verification.verified"];
    assert_eq!(names, expected);
    assert!(story.v.owed.is_empty() && story.v.due().is_none());
    assert_eq!(story.v.needed_for_webhooks_until(), None);
}

#[test]
fn the_next_event_starts_with_the_outcome_of_the_one_before() {
    let mut story = told("never");
    story.at(1, accepted(0)).at(2, text(0, TextReport::Sent)).at(3, submit(RIGHT));
    let [first] = owed(&story.v)[..] else { panic!("{:?}", story.v.owed) };
    story.at(4, taken(first));
    assert_eq!(started(&story), owed(&story.v));
    let [second] = owed(&story.v)[..] else { panic!("{:?}", story.v.owed) };
    assert_eq!(event_of(&story.v, second), WebhookEvent::Verified);
    story.at(5, taken(first));
    assert_eq!((started(&story).len(), owed(&story.v)), (0, vec![second]), "a repeated outcome changes nothing");
}

#[test]
fn a_call_that_a_limit_refuses_is_told_as_skipped() {
    let mut story = told("fail");
    story.barred = vec![Barred { channel: Channel::Call, scope: Scope::Number, retry_after: Duration::from_secs(60) }];
    story.at(1, accepted(0)).at(2, undelivered(0, "30", FailureClass::Permanent));
    assert_eq!(take_all(&mut story, 3), ["attempt.updated", "escalation.skipped"]);
}

#[test]
fn each_session_is_told_of_its_own_end() {
    let mut story = told("never");
    let session = NewSession { id: VerificationId::new(7, 99), metadata: Default::default() };
    let join = Event::Joined(phlo_2fa::verification::Join { session: Some(session), ..join(99, Channel::Sms, false) });
    story.at(1, accepted(0)).at(2, join);
    story.session = SessionIndex::new(1);
    story.at(3, submit(RIGHT));
    let ends: Vec<_> = story.v.timeline.iter().filter(|entry| entry.note.webhook_event().is_some()).collect();
    let ends: Vec<_> = ends.iter().map(|e| (e.session, e.note.webhook_event().unwrap())).collect();
    let expected = [(SessionIndex::FIRST, WebhookEvent::Canceled), (SessionIndex::new(1), WebhookEvent::Verified)];
    assert_eq!(ends, expected);
    assert_eq!(take_all(&mut story, 4), ["verification.canceled", "verification.verified"]);
}

#[test]
fn a_refused_delivery_is_repeated_after_its_pause_and_one_without_an_outcome_after_its_lease() {
    let mut story = told("never");
    story.at(1, accepted(0)).at(2, submit(RIGHT));
    let [entry] = owed(&story.v)[..] else { panic!("{:?}", story.v.owed) };
    story.at(3, refused(entry, 0, 4));
    assert_eq!((started(&story).len(), story.v.due().map(ms_after_start)), (0, Some(7_000)));
    assert!(started(story.at(6, Event::Tick)).is_empty());
    assert_eq!(started(story.at(7, Event::Tick)), [entry]);
    assert_eq!(story.v.owed[0].round, 1);
    story.at(8, refused(entry, 0, 1));
    assert!(story.v.owed[0].in_flight, "the outcome of an earlier round frees nothing");
    assert_eq!(started(story.at(7 + TELL_LEASE.as_secs(), Event::Tick)), [entry], "its replica has died");
    story.at(40, taken(entry));
    assert!(owed(&story.v).is_empty() && story.v.due().is_none());
}

#[test]
fn after_a_day_an_event_is_given_up_and_the_next_one_is_told() {
    let mut story = told("never");
    story.at(1, accepted(0)).at(2, text(0, TextReport::Sent)).at(3, submit(RIGHT));
    let [first] = owed(&story.v)[..] else { panic!("{:?}", story.v.owed) };
    let kept_until = story.v.needed_for_webhooks_until().unwrap();
    assert!(ms_after_start(kept_until) > (3 + DAY) * 1000);
    let is_given_up =
        |story: &Story, second, pause| story.v.is_given_up(first, START + Duration::from_secs(second), pause);
    let pause = Duration::from_secs(5);
    assert!(!is_given_up(&story, DAY - 9, pause), "there is time for one more");
    assert!(is_given_up(&story, DAY - 2, pause) && is_given_up(&story, DAY + 9, Duration::ZERO));
    story.at(DAY, Event::Tick).at(DAY + 1, given_up(first, 0));
    assert_eq!(owed(&story.v), [first], "the outcome of an earlier round");
    story.at(DAY + 1, given_up(first, 1));
    let failed = &story.v.told.as_ref().unwrap().failed;
    assert_eq!(failed.iter().map(|failed| failed.entry).collect::<Vec<_>>(), [first]);
    let [second] = owed(&story.v)[..] else { panic!("{:?}", story.v.owed) };
    assert_eq!(started(&story), [second]);
    story.at(DAY + 2, taken(second));
    let kept_until = story.v.needed_for_webhooks_until().map(ms_after_start);
    assert_eq!(kept_until, Some((DAY + 1) * 1000 + UNTOLD_KEPT.as_millis() as u64));
}

#[test]
fn pauses_are_short_for_twelve_failures_and_then_double_to_four_hours() {
    let pause = |round| retry_pause(round, 1.0).as_secs();
    assert_eq!([0, 1, 2, 3, 4, 5, 11].map(pause), [2, 4, 8, 16, 30, 30, 30]);
    assert_eq!([12, 13, 19, 20, 40, u16::MAX].map(pause), [60, 120, 7680, 14_400, 14_400, 14_400]);
    assert_eq!(retry_pause(0, 0.5), Duration::from_secs(1));
    // An outage of four minutes is over for its events half a minute after its end; a day costs few tries.
    assert_eq!((0..12).map(pause).sum::<u64>(), 270);
    let mut waited = 0;
    let tries = (0..).take_while(|round| (waited += pause(*round), waited <= TELL_FOR.as_secs()).1).count();
    assert_eq!(tries, 24);
}

proptest! {
    #[test]
    fn every_event_is_told_once_and_in_order(
        story in story(), steps in steps(), outcomes in vec((any::<bool>(), 0..5u64), 0..20),
    ) {
        let mut story = story;
        // As if the app had had a receiver from the start. Its first event, if any, comes with the next decision.
        story.v.told = Some(Default::default());
        let (mut now, mut outcomes, mut told) = (ms_after_start(story.now), outcomes.into_iter().cycle(), Vec::new());
        let mut settle = |story: &mut Story, now: u64, told: &mut Vec<u16>| {
            let Some(tell) = story.v.owed.iter().find(|owed| !owed.effect.is_awaited()).cloned() else { return };
            let Effect::Tell { entry } = tell.effect else { return };
            match outcomes.next() {
                Some((false, seconds)) if tell.in_flight => _ = story.at_ms(now, refused(entry, tell.round, seconds)),
                _ => {
                    told.push(entry);
                    story.at_ms(now, taken(entry));
                }
            }
        };
        for step in &steps {
            now += step.pause;
            story.barred = step.barred.clone();
            story.at_ms(now, step.events.clone());
            prop_assert!(owed(&story.v).len() <= 1, "one at a time");
            prop_assert_eq!(owed(&story.v).first().copied(), story.v.next_to_tell());
            settle(&mut story, now, &mut told);
        }
        story.at_ms(now, Event::Tick);
        while let [entry] = owed(&story.v)[..] {
            told.push(entry);
            story.at_ms(now, taken(entry));
        }
        let events = (0..).zip(&story.v.timeline).filter(|(_, entry)| entry.note.webhook_event().is_some());
        prop_assert_eq!(told, events.map(|(position, _)| position).collect::<Vec<u16>>());
    }

    #[test]
    fn an_app_without_a_receiver_is_owed_nothing(story in story(), steps in steps()) {
        let mut story = story;
        let mut now = ms_after_start(story.now);
        for step in &steps {
            now += step.pause;
            story.at_ms(now, step.events.clone());
            prop_assert!(owed(&story.v).is_empty() && started(&story).is_empty());
        }
    }
}
