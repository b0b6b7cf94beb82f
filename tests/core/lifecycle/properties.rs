//! Properties, each over any verification and any sequence of events.

use std::collections::HashMap;
use std::time::Duration;

use phlo_2fa::escalation::{Policy, Reason};
use phlo_2fa::route_model::RouteKnowledge;
use phlo_2fa::verification::{
    Activity, Answer, Attempt, AttemptIndex, AttemptStatus, Channel, Effect, Event, FailureClass, Join, Lookup, Mode,
    Pending, ProviderId, Refusal, State, Status, TriggerOutcome, Verification, Via,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::any::{Step, call_report, report, steps, story, text_report};
use crate::story::{self, *};

/// Seeds of cases that failed once; they run first. A new failure is written here, to be committed with its fix.
const FAILURES: FileFailurePersistence =
    FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/lifecycle/properties.regressions"));

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: Some(Box::new(FAILURES)), ..ProptestConfig::default() })]

    #[test]
    fn a_final_status_never_changes_and_nothing_is_triggered_after_it(story in story(), steps in steps()) {
        each_step(story, &steps, |before, _, story| {
            let after = &story.v;
            if after.is_final() {
                prop_assert_eq!(after.next_call(), None);
                prop_assert_eq!(triggers(&story.effects).count() + owed_triggers(after).count(), 0);
            }
            if before.is_final() {
                prop_assert_eq!(&before.state, &after.state);
                prop_assert_eq!(before.attempts.len(), after.attempts.len());
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_signed_callback_counts_once_and_its_nonce_for_its_own_content(
        story in story(), steps in steps(), reports in vec((report(), 0..4u64), 1..20),
    ) {
        let mut plain = play(story, &steps);
        let mut signed = plain.clone();
        let (mut now, mut known) = (ms_after_start(plain.now), HashMap::new());
        for (content, (report, nonce)) in (0u64..).zip(reports) {
            now += 1_000;
            // Different from the nonces of the steps.
            let nonce = nonce + 100;
            let before = signed.v.clone();
            signed.at_ms(now, story::signed(nonce, content, None, vec![report.clone()]));
            if let Some((known_content, _)) = known.get(&nonce) {
                prop_assert_ne!(*known_content, content);
                prop_assert_eq!((signed.answer, &signed.v), (Answer::Refused(Refusal::Replayed), &before));
                prop_assert!(signed.effects.is_empty());
            } else {
                plain.at_ms(now, report.clone());
                prop_assert_eq!((signed.answer, &signed.effects), (plain.answer, &plain.effects));
                known.insert(nonce, (content, report));
            }
            for (nonce, (content, report)) in &known {
                let before = signed.v.clone();
                signed.at_ms(now, story::signed(*nonce, *content, None, vec![Event::clone(report)]));
                let is_repeated = matches!(signed.answer, Answer::Repeated { .. });
                prop_assert!(is_repeated, "{:?}", signed.answer);
                prop_assert_eq!((&signed.v, signed.effects.len()), (&before, 0));
            }
            prop_assert_eq!(without_nonces(&signed.v), without_nonces(&plain.v));
        }
    }

    #[test]
    fn no_more_wrong_codes_are_compared_than_allowed_and_one_right_one(story in story(), steps in steps()) {
        let (mut wrong, mut right) = (0, 0);
        let checks_max = story.v.checks_max;
        each_step(story, &steps, |_, _, story| {
            wrong += u8::from(story.answer == Answer::Incorrect);
            right += u8::from(story.answer == Answer::Correct);
            prop_assert!(wrong <= checks_max && right <= 1);
            let session = story.session;
            prop_assert!(story.v.session(session).checks_used == wrong || story.v.lost_in_failover());
            prop_assert_eq!(story.status() == Status::Verified, right == 1);
            prop_assert_eq!(story.v.status_of(session) == Status::MaxChecksReached, wrong == checks_max);
            Ok(())
        })?;
    }

    #[test]
    fn escalation_places_one_call_and_one_repeat_and_others_need_a_request(
        story in story(), steps in steps(),
    ) {
        let mut typed = None;
        each_step(story, &steps, |before, events, story| {
            if story.answer == Answer::Noted && *events == [Event::Activity(Activity::Typing)] {
                typed = Some(story.now);
            }
            let escalated = story.v.attempts.iter().filter(|a| is_call(a) && !a.is_repeat && a.reason != Some(Reason::Requested));
            prop_assert!(escalated.count() <= 1);
            for (index, call) in story.v.attempts.iter().enumerate().skip(before.attempts.len()).filter(|(_, a)| is_call(a)) {
                let last = story.v.attempts[..index].iter().rfind(|a| is_call(a));
                let is_requested = matches!(events,
                    [Event::AttemptRequested(Channel::Call) | Event::Joined(Join { channel: Channel::Call, .. }) | Event::Activity(Activity::NotReceived)])
                    // A creation that joins the verification of a fixed line asks for a call.
                    || story.v.to.is_fixed_line() && matches!(events, [Event::Joined(_)]);
                if call.is_repeat {
                    let last = last.expect("a call that is repeated");
                    prop_assert!(matches!(last.status, AttemptStatus::Busy | AttemptStatus::NoAnswer) && !last.is_repeat);
                    prop_assert!(story.now >= last.heard_at + Duration::from_secs(20));
                    prop_assert_eq!(call.reason, last.reason);
                } else if call.reason == Some(Reason::Requested) {
                    prop_assert!(is_requested);
                } else {
                    prop_assert!(last.is_none() && story.v.mode == Mode::Auto);
                }
                prop_assert!(story.v.calls_allowed);
                let is_automatic = call.is_repeat || call.reason != Some(Reason::Requested);
                let is_typing = typed.is_some_and(|typed| story.now < typed + Duration::from_secs(10));
                // Where another session waits too, the call is deferred only once.
                let is_alone = before.open_sessions().count() == 1;
                prop_assert!(!is_automatic || !is_typing || !is_alone, "called during typing");
                let hours = story.rules.quiet_hours.filter(|_| call.reason != Some(Reason::Requested));
                prop_assert_eq!(hours.and_then(|hours| hours.until(&story.v.to, story.now)), None, "called in quiet hours");
            }
            for new in &story.v.attempts[before.attempts.len()..] {
                prop_assert!(story.barred.iter().all(|barred| barred.channel != new.channel), "placed over a limit");
            }
            if let ([Event::AttemptRequested(channel)], Answer::Noted) = (events, story.answer) {
                let new = story.v.attempts.get(before.attempts.len());
                prop_assert_eq!(new.map(|a| a.channel), Some(*channel), "a request is served during typing too");
            }
            Ok(())
        })?;
    }

    #[test]
    fn policies_and_modes_without_calls_place_no_call(story in story(), steps in steps()) {
        let never = story.v.mode == Mode::Sms || story.v.policy.to_string() == "never";
        each_step(story, &steps, |_, _, story| {
            let v = &story.v;
            let escalated = v.attempts.iter().find(|a| is_call(a) && !a.is_repeat && a.reason != Some(Reason::Requested));
            prop_assert!(!never || escalated.is_none());
            let Some(call) = escalated else { return Ok(()) };
            let is_by_timer = matches!(call.reason, Some(Reason::NoReport | Reason::StuckQueued | Reason::DeliveredUnverified));
            let after = call.at.since(START);
            match v.policy {
                Policy::Adaptive(_) if is_by_timer || call.reason == Some(Reason::RouteUnreliable) => {
                    prop_assert!(after >= Duration::from_secs(8), "called before the least wait of 8 s");
                }
                Policy::Adaptive(_) => {}
                Policy::Fixed(wait) => prop_assert!(after >= wait),
                Policy::FixedOrFail(wait) => prop_assert!(!is_by_timer || after >= wait),
                Policy::Fail | Policy::Never => {}
            }
            prop_assert!(matches!(v.policy, Policy::Adaptive(_)) || call.reason != Some(Reason::RouteUnreliable));
            prop_assert!(v.policy.to_string() != "fail" || !is_by_timer);
            Ok(())
        })?;
    }

    #[test]
    fn the_expiry_is_lifted_only_by_a_call_and_never_past_ten_minutes(story in story(), steps in steps()) {
        each_step(story, &steps, |before, _, story| {
            let calls = |v: &Verification| v.attempts.iter().filter(|a| is_call(a)).count();
            // A failover voids the code at once.
            prop_assert!(story.v.expires_at() >= before.expires_at() || story.v.lost_in_failover());
            prop_assert!(story.v.expires_at() <= START + Duration::from_secs(600));
            let is_kept = story.v.expires_at() <= before.expires_at();
            prop_assert!(is_kept || calls(&story.v) > calls(before));
            Ok(())
        })?;
    }

    #[test]
    fn a_code_works_until_right_before_the_expiry_and_not_at_it(story in story(), steps in steps()) {
        let mut story = play(story, &steps);
        if story.v.status_of(story.session) == Status::Pending {
            let expiry = ms_after_start(story.v.expires_at());
            let mut late = story.clone();
            prop_assert_eq!(story.at_ms(expiry - 1, submit(RIGHT)).answer, Answer::Correct);
            prop_assert_eq!(late.at_ms(expiry, submit(RIGHT)).answer, Answer::Refused(Refusal::Final(Status::Expired)));
        }
    }

    #[test]
    fn an_attempt_never_moves_back(story in story(), steps in steps()) {
        each_step(story, &steps, |before, _, story| {
            for (a, b) in before.attempts.iter().zip(&story.v.attempts) {
                // A status concluded from silence is corrected by any report.
                let from = if a.assumed { rank(AttemptStatus::Unknown) } else { rank(a.status) };
                prop_assert!(rank(b.status) > from || a.status == b.status, "{:?} -> {:?}", a, b);
                prop_assert!(!b.assumed || b.status == AttemptStatus::NoAnswer);
                prop_assert_eq!((a.channel, a.reason, a.is_repeat), (b.channel, b.reason, b.is_repeat));
                // The timers of an attempt begin with its first request, which may have to wait.
                prop_assert!(a.at == b.at || a.waits || b.waits);
            }
            Ok(())
        })?;
    }

    #[test]
    fn effects_are_owed_until_their_result_is_known_and_retried_at_most_once(story in story(), steps in steps()) {
        let mut requests: HashMap<AttemptIndex, usize> = triggers(&story.effects).map(|attempt| (attempt, 1)).collect();
        let mut deferrals: HashMap<AttemptIndex, usize> = HashMap::new();
        each_step(story, &steps, |_, events, story| {
            let v = &story.v;
            for effect in &story.effects {
                prop_assert_eq!(v.owed.iter().filter(|o| o.effect == *effect && o.due > story.now).count(), 1);
                prop_assert_eq!(story.effects.iter().filter(|e| *e == effect).count(), 1);
            }
            if !v.is_final() {
                let triggering = v.indexes().zip(&v.attempts).filter(|(_, a)| a.status == AttemptStatus::Triggering);
                // A text that is sent again stays unknown until Plivo answers.
                let owed = owed_triggers(v).filter(|i| v.attempt(*i).is_some_and(|a| a.status != AttemptStatus::Unknown));
                prop_assert_eq!(triggering.map(|(i, _)| i).collect::<Vec<_>>(), owed.collect::<Vec<_>>());
            }
            if let [
                Event::Triggered {
                    attempt,
                    outcome:
                        TriggerOutcome::Deferred { .. } | TriggerOutcome::PassedOn { .. } | TriggerOutcome::Waiting { .. },
                }
                | Event::HandedBack { attempt }
                | Event::LookedUp { attempt, lookup: Lookup::NotSent },
            ] = events
            {
                *deferrals.entry(*attempt).or_default() += 1;
            }
            for attempt in triggers(&story.effects) {
                *requests.entry(attempt).or_default() += 1;
                let most = 2 + deferrals.get(&attempt).copied().unwrap_or_default();
                prop_assert!(requests[&attempt] <= most, "{} requests for {attempt:?}", requests[&attempt]);
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_is_due_twice_and_a_second_tick_changes_nothing(story in story(), steps in steps()) {
        each_step(story, &steps, |before, _, story| {
            if is_replay(story.answer) {
                prop_assert_eq!((&story.v, &story.effects[..]), (before, &[][..]));
                return Ok(());
            }
            prop_assert!(story.v.due().is_none_or(|due| due > story.now), "{:?} is due at {:?}", story.v, story.v.due());
            prop_assert!(story.v.is_final() || story.v.due().is_some_and(|due| due <= story.v.expires_at()));
            let mut again = story.clone();
            // The caller learns the lessons before it decides again.
            again.insight.learn(&story.lessons);
            again.at_ms(ms_after_start(story.now), Event::Tick);
            prop_assert_eq!(without_timeline_and_plan(&again.v), without_timeline_and_plan(&story.v));
            prop_assert_eq!(again.v.next_call(), story.v.next_call());
            prop_assert_eq!(&again.effects, &[]);
            Ok(())
        })?;
    }

    #[test]
    fn without_events_it_places_its_planned_calls_and_ends_in_time_after_few_ticks(story in story(), steps in steps()) {
        let mut story = play(story, &steps);
        let mut ticks = 0;
        while story.status() == Status::Pending {
            let due = story.v.due().unwrap();
            let planned = story.v.next_call().filter(|call| call.at <= due);
            let before = story.v.attempts.len();
            story.at_ms(ms_after_start(due), Event::Tick);
            let made = story.v.attempts.get(before).map(|a| (a.at, a.reason, a.is_repeat));
            let is_barred = story.barred.iter().any(|barred| barred.channel == Channel::Call);
            let is_reconsidered = matches!(story.v.policy, Policy::Adaptive(_)) && planned.is_some_and(|call| !call.is_repeat);
            prop_assert_eq!(is_barred.then_some(made).flatten(), None);
            if is_reconsidered && made.is_none() && !is_call_barred(&story.v) {
                prop_assert!(story.v.next_call().is_none_or(|call| call.at > due), "the call was deferred");
            } else if is_barred {
                prop_assert!(planned.is_none() || is_call_barred(&story.v));
            } else if let (true, Some(call), Some((at, reason, _))) = (is_reconsidered, planned, made) {
                // Whether the call comes earlier than the prior would place it is decided anew when it is due.
                let is_by_route = reason == Some(Reason::RouteUnreliable) || call.reason == Reason::RouteUnreliable;
                prop_assert_eq!(at, call.at);
                prop_assert!(is_by_route || reason == Some(call.reason), "{:?} instead of {:?}", reason, call.reason);
            } else {
                prop_assert_eq!(made, planned.map(|call| (call.at, Some(call.reason), call.is_repeat)));
            }
            ticks += 1;
        }
        // Effects without a result are retried every 15 s, for at most ten minutes.
        prop_assert!(ticks < 150, "{ticks}");
        prop_assert!(story.v.ended_at().unwrap() <= story.v.expires_at().max(story.now));
    }

    #[test]
    fn a_repeated_report_counts_once(
        story in story(), steps in steps(), repeated in report(), later in prop_oneof![Just(0), 0..90_000u64],
    ) {
        let mut story = play(story, &steps);
        let now = ms_after_start(story.now);
        // An earlier callback may have left a call due. The tick creates its attempt, which the report may be about.
        story.at_ms(now, Event::Tick).at_ms(now, repeated.clone());
        let mut without = story.clone();
        story.at_ms(now + later, repeated);
        without.at_ms(now + later, Event::Tick);
        // A late report ends an assumed status, even if it repeats an older one.
        let is_assumed = without.v.attempts.iter().any(|a| a.assumed);
        prop_assert!(is_assumed || without_timeline_and_plan(&story.v) == without_timeline_and_plan(&without.v));
    }

    #[test]
    fn plivos_answer_and_a_report_may_overtake_each_other(
        texted in text_report(), called in call_report(), unlinked in any::<bool>(),
    ) {
        let outcome = |attempt| {
            let provider_id = Some(ProviderId { uuid: "u".to_owned(), is_linked: !unlinked });
            triggered(attempt, TriggerOutcome::Accepted { via: Via::Phlo, provider_id, run_id: None })
        };
        for (mode, reported) in [
            (Mode::Sms, text(0, texted.clone())), (Mode::Auto, text(0, texted)),
            (Mode::Auto, text_refused(0)), (Mode::Call, call(0, called)),
        ] {
            let (mut first, mut last) = (Story::new(mode, "fixed+fail:45"), Story::new(mode, "fixed+fail:45"));
            first.at(2, outcome(0)).at(2, reported.clone()).at(2, timed_out(0));
            last.at(2, timed_out(0)).at(2, reported).at(2, outcome(0));
            prop_assert_eq!(first.attempts(), last.attempts());
            prop_assert_eq!((first.status(), first.next()), (last.status(), last.next()));
        }
    }

    #[test]
    fn it_is_undeliverable_exactly_when_the_contract_says_so(story in story(), steps in steps()) {
        each_step(story, &steps, |before, _, story| {
            if !before.is_final() && matches!(story.status(), Status::Pending | Status::Undeliverable) {
                prop_assert_eq!(story.status() == Status::Undeliverable, is_hopeless(&story.v), "{:?}", story.v);
            }
            Ok(())
        })?;
    }
}

// ---- the contract, written independently of the code

/// Whether a class S report arrived, or every allowed channel has failed for good.
fn is_hopeless(v: &Verification) -> bool {
    use AttemptStatus::{Busy, Failed, Machine, NoAnswer, Rejected};
    let text_is_lost = |a: &Attempt| a.refused.is_some() || a.class == Some(FailureClass::Permanent);
    let call_is_lost = |a: &Attempt| match a.status {
        Failed | Rejected | Machine => true,
        Busy | NoAnswer => a.is_repeat || v.attempts.iter().rfind(|a| is_call(a)) != Some(a),
        _ => false,
    };
    let is_lost = |a: &Attempt| if is_call(a) { call_is_lost(a) } else { text_is_lost(a) };
    let may_be_called = v.mode != Mode::Sms && v.calls_allowed && !v.attempts.iter().any(is_call);
    let is_stopped = v.attempts.iter().any(|a| a.class == Some(FailureClass::Stop));
    is_stopped || (!may_be_called && v.attempts.iter().all(is_lost))
}

// ---- helpers

/// Applies the steps, and checks the story after each.
fn each_step(
    mut story: Story,
    steps: &[Step],
    mut check: impl FnMut(&Verification, &[Event], &Story) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut now = 0;
    for Step { pause, barred, events } in steps {
        now += pause;
        story.barred.clone_from(barred);
        let before = story.v.clone();
        story.at_ms(now, events.clone());
        check(&before, events, &story)?;
    }
    Ok(())
}

/// Applies the steps and returns the story at their end.
fn play(story: Story, steps: &[Step]) -> Story {
    let mut end = story.clone();
    each_step(story, steps, |_, _, story| {
        end = story.clone();
        Ok(())
    })
    .unwrap();
    end
}

fn without_nonces(v: &Verification) -> Verification {
    Verification { nonces: Default::default(), ..v.clone() }
}

/// Whether the callback's nonce was used before. Such a callback decides nothing, not even what is due.
fn is_replay(answer: Answer) -> bool {
    matches!(answer, Answer::Repeated { .. } | Answer::Refused(Refusal::Replayed))
}

/// Everything but the timeline, the observer and the plan that follows from it.
fn without_timeline_and_plan(v: &Verification) -> Verification {
    let state = match v.state.clone() {
        State::Pending(pending) => {
            State::Pending(Pending { observer: None, observe_at: None, planned: None, ..pending })
        }
        ended => ended,
    };
    Verification { state, timeline: Vec::new(), ..v.clone() }
}

fn is_call_barred(v: &Verification) -> bool {
    v.pending().is_some_and(|pending| pending.call_barred)
}

fn is_call(a: &Attempt) -> bool {
    a.channel == Channel::Call
}

fn triggers(effects: &[Effect]) -> impl Iterator<Item = AttemptIndex> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Trigger { attempt } => Some(*attempt),
        Effect::HangUp { .. }
        | Effect::Identify { .. }
        | Effect::LookUp { .. }
        | Effect::Link { .. }
        | Effect::Tell { .. } => None,
    })
}

fn owed_triggers(v: &Verification) -> impl Iterator<Item = AttemptIndex> {
    v.owed.iter().filter_map(|owed| match owed.effect {
        Effect::Trigger { attempt } => Some(attempt),
        Effect::HangUp { .. }
        | Effect::Identify { .. }
        | Effect::LookUp { .. }
        | Effect::Link { .. }
        | Effect::Tell { .. } => None,
    })
}

/// The order in which Plivo's statuses follow each other.
fn rank(status: AttemptStatus) -> u8 {
    use AttemptStatus::*;
    match status {
        Triggering => 0,
        Unknown => 1,
        Triggered => 2,
        Queued => 3,
        Sent | Ringing => 4,
        Answered => 5,
        Delivered | Undelivered | Failed | Completed | NoAnswer | Busy | Rejected | Machine => 6,
    }
}
