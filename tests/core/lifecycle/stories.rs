//! Single stories, each for one rule.

use std::time::Duration;

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::verification::timeline::Note;
use phlo_2fa::verification::{
    Activity, Answer, AttemptIndex, AttemptStatus, CallReport, Channel, Event, FailureClass, Mode, Refusal,
    RefusalScope, Rules, State, Status, TextReport, TriggerOutcome,
};

use crate::story::*;

const POLICY: &str = "fixed+fail:45";

/// An escalated call, triggered 5 s after the start, since the text is lost.
fn called() -> Story {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(5, undelivered(0, "30", FailureClass::Permanent));
    assert_eq!(story.effects, [trigger(1)]);
    story
}

// ---- crashes, deferrals, and late or repeated replies

#[test]
fn a_reported_call_is_not_placed_again_when_its_replica_dies() {
    let mut story = called();
    story.at(7, call(1, CallReport::Ringing));
    story.at(20, Event::Tick);
    assert_eq!(story.effects, []);
    story.at(21, ended(1, CallEnd::Rejected)).at(36, Event::Tick);
    assert_eq!((&story.effects[..], story.v.owed.len()), (&[][..], 0));
}

#[test]
fn a_text_that_was_refused_inside_the_flow_is_not_requested_again() {
    let mut story = Story::new(Mode::Sms, POLICY);
    story.at(0, Event::AttemptRequested(Channel::Call)).at(1, accepted(1));
    story.at(2, text_refused(0));
    story.at(15, Event::Tick);
    assert_eq!(story.effects, []);
    assert_eq!(story.v.attempts[0].status, AttemptStatus::Failed);
}

#[test]
fn a_refused_second_run_does_not_undo_the_accepted_first() {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(15, Event::Tick);
    assert_eq!(story.effects, [trigger(0)], "re-issued after the lease expired");
    story.at(16, accepted(0)).at(17, refused(0, 400, RefusalScope::Attempt));
    assert_eq!((story.attempts(), story.next()), (vec![AttemptStatus::Triggered], Some((45_000, Reason::NoReport))));
}

#[test]
fn an_answer_of_plivo_after_the_end_of_a_call_does_not_delay_the_repeat() {
    let mut story = called();
    story.at(7, ended(1, CallEnd::Busy)).at(12, accepted(1));
    assert_eq!(story.next(), Some((27_000, Reason::Undelivered)));
}

#[test]
fn a_call_that_plivo_defers_does_not_count_as_unanswered() {
    let mut story = called();
    story.at(6, deferred(1, 120)).at(70, Event::Tick);
    assert_eq!(story.v.attempts[1].status, AttemptStatus::Triggering);
    story.at(126, Event::Tick);
    assert_eq!(story.effects, [trigger(1)]);
    story.at(127, accepted(1)).at(187, Event::Tick);
    assert_eq!(story.v.attempts[1].status, AttemptStatus::NoAnswer, "silence counts from then on");
}

#[test]
fn a_repeated_deferral_does_not_release_the_retry_in_flight() {
    let mut story = called();
    story.at(6, deferred(1, 1)).at(7, Event::Tick);
    assert_eq!(story.effects, [trigger(1)]);
    story.at(8, deferred(1, 1)).at(9, Event::Tick);
    assert_eq!(story.effects, [], "the second request is still under way");
}

#[test]
fn later_rounds_skip_a_phlo_that_refused_and_retry_one_that_was_unavailable() {
    for (provider_status, refuses) in [(Some(400), true), (Some(429), false), (Some(503), false), (None, false)] {
        let mut story = Story::new(Mode::Auto, POLICY);
        story.at(1, triggered(0, TriggerOutcome::PassedOn { provider_status, round: 0 }));
        assert_eq!((&story.effects[..], story.v.attempts[0].is_passed_on), (&[trigger(0)][..], true));
        let retry_after = Duration::from_secs(5);
        story.at(2, triggered(0, TriggerOutcome::Deferred { provider_status: Some(429), retry_after, round: 1 }));
        assert_eq!(story.v.attempts[0].is_passed_on, refuses, "after {provider_status:?}");
    }
}

#[test]
fn a_text_that_is_still_deferred_is_not_requested_again() {
    let mut story = Story::new(Mode::Auto, "never");
    story.at(1, deferred(0, 120)).at(40, Event::AttemptRequested(Channel::Sms));
    assert!(matches!(story.answer, Answer::Refused(Refusal::ResendCooldown { .. })), "{:?}", story.answer);
    story.at(121, Event::Tick).at(122, accepted(0)).at(123, Event::AttemptRequested(Channel::Sms));
    assert_eq!(story.effects, [trigger(1)]);
}

#[test]
fn joining_a_landlines_verification_sends_no_text() {
    let mut story = Story::with(Rules::default(), |request| request.to = PhoneNumber::parse("+442079460000").unwrap());
    assert_eq!(story.v.attempts[0].channel, Channel::Call);
    let joined = joined(Channel::Sms, false);
    story.at(1, accepted(0)).at(2, joined.clone());
    assert_eq!((story.answer, &story.effects[..]), (Answer::Noted, &[][..]));
    story.at(3, ended(0, CallEnd::Rejected));
    let mut again = Story::with(Rules::default(), |request| request.to = PhoneNumber::parse("+442079460000").unwrap());
    again.at(1, accepted(0)).at(20, call(0, CallReport::Completed)).at(60, joined);
    assert_eq!(again.v.attempts.iter().map(|a| a.channel).collect::<Vec<_>>(), [Channel::Call, Channel::Call]);
}

#[test]
fn a_country_that_may_not_be_called_ends_nothing_while_a_text_is_alive() {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(3, text(0, TextReport::Delivered)).at(45, Event::Tick);
    assert_eq!(story.effects, [trigger(1)]);
    story.at(46, refused(1, 403, RefusalScope::Number));
    assert_eq!(story.status(), Status::Pending);
    story.at(50, submit(RIGHT));
    assert_eq!(story.status(), Status::Verified);
    let mut lost = called();
    lost.at(6, refused(1, 403, RefusalScope::Number));
    assert_eq!(lost.status(), Status::Undeliverable);
}

#[test]
fn a_number_that_becomes_a_test_number_needs_a_new_verification() {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(2, joined(Channel::Sms, true));
    assert_eq!((story.answer, story.status()), (Answer::Refused(Refusal::Final(Status::Canceled)), Status::Canceled));
}

#[test]
fn a_person_without_a_text_is_called_however_many_texts_were_requested() {
    let rules = Rules { attempts_max: 1, ..Rules::default() };
    let mut story = Story::with(rules, |_| {});
    story.at(40, Event::AttemptRequested(Channel::Sms));
    assert_eq!(story.answer, Answer::Refused(Refusal::MaxAttempts));
    story.at(41, Event::Activity(Activity::NotReceived));
    assert_eq!(story.answer, Answer::Noted);
    assert_eq!(story.v.attempts[1].channel, Channel::Call);
}

#[test]
fn a_call_assumed_unanswered_and_then_accepted_is_no_longer_an_assumption() {
    let mut story = called();
    story.at(65, Event::Tick);
    assert_eq!(story.v.attempts[1].status, AttemptStatus::NoAnswer);
    story.at(66, accepted(1));
    assert_eq!((story.v.attempts[1].status, story.v.attempts[1].assumed), (AttemptStatus::Triggered, false));
}

// ---- undeliverable or not

#[test]
fn credit_that_runs_out_for_a_call_leaves_the_delivered_text_its_chance() {
    for scope in [RefusalScope::Attempt, RefusalScope::Account] {
        let mut story = Story::new(Mode::Auto, POLICY);
        story.at(1, accepted(0)).at(3, text(0, TextReport::Delivered));
        story.at(35, Event::AttemptRequested(Channel::Call)).at(36, refused(1, 402, scope));
        assert_eq!(story.status(), Status::Pending, "{scope:?}");
        story.at(40, submit(RIGHT));
        assert_eq!(story.answer, Answer::Correct);
    }
    // The same at the first attempt leaves nothing: a call would be refused as well.
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, refused(0, 402, RefusalScope::Account));
    assert_eq!(story.status(), Status::Undeliverable);
}

#[test]
fn an_answered_call_keeps_the_verification_open_when_a_second_one_is_rejected() {
    let mut story = called();
    story.at(6, accepted(1)).at(8, call(1, CallReport::Answered)).at(20, call(1, CallReport::Completed));
    story.at(40, Event::AttemptRequested(Channel::Call)).at(45, ended(2, CallEnd::Rejected));
    assert_eq!(story.status(), Status::Pending);
    story.at(50, submit(RIGHT));
    assert_eq!((story.answer, story.v.verified_by()), (Answer::Correct, Channel::Call));
}

#[test]
fn typing_shortly_before_the_expiry_does_not_end_it() {
    let mut story = called();
    let State::Pending(pending) = &mut story.v.state else { panic!("it has ended") };
    pending.expires_at = START + Duration::from_secs(130);
    story.at(105, ended(1, CallEnd::Busy)).at(121, Event::Activity(Activity::Typing));
    assert_eq!((story.status(), story.next()), (Status::Pending, None));
    story.at(129, submit(RIGHT));
    assert_eq!(story.answer, Answer::Correct);
}

#[test]
fn a_report_of_class_s_ends_it_whatever_was_reported_before() {
    for before in [
        text(0, TextReport::Delivered),
        undelivered(0, "20", FailureClass::Transient),
        undelivered(0, "30", FailureClass::Permanent),
    ] {
        let mut story = Story::new(Mode::Auto, "fixed:45");
        story.at(1, accepted(0)).at(3, before.clone()).at(9, undelivered(0, "200", FailureClass::Stop));
        assert_eq!(story.status(), Status::Undeliverable, "{before:?}");
        story.at(45, Event::Tick);
        assert_eq!((&story.effects[..], story.v.attempts.len()), (&[][..], 1));
    }
}

#[test]
fn class_s_during_a_call_ends_it_and_the_call_is_not_repeated() {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(45, Event::Tick).at(46, accepted(1));
    story.at(50, failed(0, "452", FailureClass::Stop)).at(55, ended(1, CallEnd::Busy)).at(80, Event::Tick);
    assert_eq!((story.status(), story.v.attempts.len()), (Status::Undeliverable, 2));
}

#[test]
fn a_refused_text_leads_to_a_call_at_once_at_the_timer_or_on_request() {
    let refuse = |mode, policy: &str| {
        let mut story = Story::new(mode, policy);
        story.at(1, refused(0, 400, RefusalScope::Attempt));
        story
    };
    let story = refuse(Mode::Auto, POLICY);
    assert_eq!(story.v.attempts[1].reason, Some(Reason::RejectedByPlivo));
    let mut story = refuse(Mode::Auto, "fixed:45");
    assert_eq!((story.status(), story.next()), (Status::Pending, Some((45_000, Reason::RejectedByPlivo))));
    story.at(45, Event::Tick);
    assert_eq!(story.effects, [trigger(1)]);
    let mut story = refuse(Mode::Auto, "never");
    assert_eq!((story.status(), story.next()), (Status::Pending, None));
    story.at(2, Event::AttemptRequested(Channel::Call));
    assert_eq!(story.v.attempts[1].reason, Some(Reason::Requested));
    assert_eq!(refuse(Mode::Sms, POLICY).status(), Status::Undeliverable);
    assert_eq!(refuse(Mode::Call, POLICY).status(), Status::Undeliverable);
}

#[test]
fn a_country_that_may_not_be_called_leaves_the_text_alone() {
    let mut story = Story::with(Rules::default(), |request| request.calls_allowed = false);
    story.at(1, accepted(0));
    assert_eq!(story.next(), None);
    story.at(2, Event::AttemptRequested(Channel::Call));
    assert_eq!(story.answer, Answer::Refused(Refusal::ChannelNotAllowed));
    story.at(5, undelivered(0, "30", FailureClass::Permanent));
    assert_eq!(story.status(), Status::Undeliverable);
}

// ---- calls

#[test]
fn a_person_who_has_the_text_is_called_again_only_on_request() {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(45, Event::Tick).at(46, accepted(1)).at(50, ended(1, CallEnd::Busy));
    story.at(55, Event::Activity(Activity::Received));
    assert_eq!(story.next(), None);
    story.at(70, Event::Tick);
    assert_eq!(story.effects, []);
    story.at(80, Event::AttemptRequested(Channel::Call)).at(85, ended(2, CallEnd::Busy));
    assert_eq!(story.next(), Some((105_000, Reason::Requested)), "a requested call is repeated");
}

#[test]
fn a_fixed_line_is_called_at_once_and_texted_only_where_no_call_may_be_made() {
    let story = |policy: &str, calls_allowed| {
        Story::with(Rules::default(), |request| {
            request.to = PhoneNumber::parse("+442079460000").unwrap();
            request.policy = Some(policy.parse().unwrap());
            request.calls_allowed = calls_allowed;
        })
    };
    let at_once = story(POLICY, true);
    assert_eq!(at_once.effects, [trigger(0)]);
    let first = &at_once.v.attempts[0];
    assert_eq!((first.channel, first.reason), (Channel::Call, Some(Reason::Landline)));
    assert_eq!(story("fail", true).v.attempts[0].channel, Channel::Call);
    for texted in [story("never", true), story("fixed:45", true), story(POLICY, false)] {
        assert_eq!((texted.v.attempts[0].channel, texted.effects.len()), (Channel::Sms, 1));
    }
    assert_eq!(story("fixed:45", true).next(), Some((45_000, Reason::Landline)));
}

#[test]
fn a_call_at_the_timer_names_the_last_report_of_the_text() {
    use TextReport::{Delivered, Queued, Sent};
    let reports: [(&[Event], Reason); 6] = [
        (&[], Reason::NoReport),
        (&[timed_out(0)], Reason::NoReport),
        (&[accepted(0)], Reason::NoReport),
        (&[accepted(0), text(0, Queued)], Reason::StuckQueued),
        (&[accepted(0), text(0, Queued), text(0, Sent)], Reason::NoReport),
        (&[accepted(0), text(0, Delivered)], Reason::DeliveredUnverified),
    ];
    for (events, reason) in reports {
        let mut story = Story::new(Mode::Auto, POLICY);
        for event in events {
            story.at(1, event.clone());
        }
        story.at_ms(44_999, Event::Tick);
        assert_eq!(story.v.attempts.len(), 1, "{events:?}");
        story.at(45, Event::Tick);
        assert_eq!(story.v.attempts.get(1).and_then(|a| a.reason), Some(reason), "{events:?}");
    }
}

#[test]
fn a_call_is_repeated_once_with_its_reason_and_then_no_more() {
    let mut story = called();
    story.at(6, accepted(1)).at(9, ended(1, CallEnd::NoAnswer)).at_ms(28_999, Event::Tick);
    assert_eq!(story.effects, []);
    story.at(29, Event::Tick);
    let repeat = &story.v.attempts[2];
    assert_eq!((repeat.reason, repeat.is_repeat), (Some(Reason::Undelivered), true));
    story.at(30, accepted(2)).at(35, ended(2, CallEnd::NoAnswer));
    assert_eq!((story.status(), story.v.attempts.len()), (Status::Undeliverable, 3));
}

#[test]
fn a_silent_call_counts_as_unanswered_after_a_minute() {
    let mut story = called();
    story.at(6, accepted(1)).at_ms(65_999, Event::Tick);
    assert_eq!(story.v.attempts[1].status, AttemptStatus::Triggered);
    story.at(66, Event::Tick);
    assert_eq!((story.v.attempts[1].status, story.next().unwrap().0), (AttemptStatus::NoAnswer, 86_000));
}

// ---- time

#[test]
fn a_call_lifts_the_expiry_and_never_past_ten_minutes() {
    let lifted = |ttl: u64, mode, second| {
        let mut story = Story::with(Rules::default(), |request| {
            (request.mode, request.policy) = (mode, Some("never".parse().unwrap()));
            request.ttl = Some(Duration::from_secs(ttl));
        });
        story.at(second, Event::AttemptRequested(Channel::Call));
        ms_after_start(story.v.expires_at()) / 1000
    };
    assert_eq!(lifted(60, Mode::Auto, 30), 150);
    assert_eq!(lifted(300, Mode::Sms, 30), 300);
    assert_eq!(lifted(600, Mode::Auto, 590), 600);
    // A creation's own ttl is kept where nothing escalates.
    assert_eq!(lifted(60, Mode::Call, 0), 60);
}

#[test]
fn joining_sends_nothing_during_a_cooldown_or_a_call_and_a_new_attempt_after_it() {
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(29, joined(Channel::Sms, false));
    assert_eq!((story.answer, &story.effects[..]), (Answer::Noted, &[][..]));
    story.at(30, joined(Channel::Sms, false));
    assert_eq!((story.answer, &story.effects[..]), (Answer::Noted, &[trigger(1)][..]));
    story.at(31, accepted(1)).at(31, joined(Channel::Call, false));
    assert_eq!(story.effects, [trigger(2)]);
    story.at(32, call(2, CallReport::Ringing)).at(62, joined(Channel::Call, false));
    assert_eq!((story.answer, &story.effects[..]), (Answer::Noted, &[][..]));
    story.at(62, joined(Channel::Sms, false));
    assert_eq!((story.answer, &story.effects[..]), (Answer::Noted, &[][..]), "no text while it rings");
    story.at(63, ended(2, CallEnd::Rejected));
    let max = Answer::Refused(Refusal::MaxAttempts);
    story
        .at(63, joined(Channel::Sms, false))
        .at(64, accepted(3))
        .at(94, joined(Channel::Sms, false))
        .at(95, accepted(4))
        .at(125, joined(Channel::Sms, false));
    assert_eq!(story.answer, max);
}

// ---- the timeline, and callbacks that report several events

#[test]
fn a_flood_of_creations_does_not_hide_the_call_and_the_end() {
    const CALL: AttemptIndex = AttemptIndex::new(1);
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0));
    for _ in 0..200 {
        story.at(2, joined(Channel::Sms, false));
    }
    story.at(45, Event::Tick).at(50, submit(RIGHT));
    let shown = story.v.timeline.iter().filter(|entry| entry.is_shown_to(story.session));
    let newest: Vec<_> = shown.rev().take(3).map(|entry| &entry.note).collect();
    assert!(
        matches!(newest[..], [Note::Ended { .. }, Note::AttemptDecided { attempt: CALL, .. }, Note::Accepted { .. }]),
        "{newest:?}"
    );
}

#[test]
fn a_later_event_of_the_same_callback_prevents_a_needless_call() {
    let stop = undelivered(0, "200", FailureClass::Stop);
    let mut story = Story::new(Mode::Auto, POLICY);
    story.at(1, accepted(0)).at(5, signed(1, 1, None, vec![undelivered(0, "30", FailureClass::Permanent), stop]));
    assert_eq!((story.status(), &story.effects[..], story.attempts().len()), (Status::Undeliverable, &[][..], 1));
}

#[test]
fn nothing_is_concluded_between_the_events_of_one_callback() {
    let mut story = called();
    story.at(6, accepted(1));
    // The call is silent for a minute, and the first event is about the text.
    story.at(66, signed(1, 1, None, vec![text(0, TextReport::Queued), call_continues(1)]));
    assert_eq!((story.attempts()[1], story.next()), (AttemptStatus::Ringing, None));
}
