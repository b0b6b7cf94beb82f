//! Strategies: any verification, and any events that can happen to it.

use std::time::Duration;

use phlo_2fa::escalation::CallEnd;
use phlo_2fa::guard::{QuietHours, Scope};
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::Insight;
use phlo_2fa::verification::{
    Activity, AttemptIndex, Barred, CallReport, Channel, Event, FailureClass, Lookup, Mode, ProviderId, RefusalScope,
    ReportFacts, Rules, TextReport, TriggerOutcome, Via,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::story::{BAD_ROUTE, FAKE_ROUTE, RIGHT, Story, USUAL_ROUTE, index, joined, signed, submit};

/// The events of one moment.
#[derive(Clone, Debug)]
pub struct Step {
    /// Milliseconds after the step before.
    pub pause: u64,
    /// Attempts that the limits refuse at that moment.
    pub barred: Vec<Barred>,
    /// One event, or those of one signed callback.
    pub events: Vec<Event>,
}

pub fn story() -> impl Strategy<Value = Story> {
    let mode = prop_oneof![4 => Just(Mode::Auto), 1 => Just(Mode::Sms), 1 => Just(Mode::Call)];
    let policy = prop_oneof![
        4 => Just("fixed+fail:45"),
        1 => Just("fixed:45"),
        1 => Just("fail"),
        1 => Just("never"),
        2 => Just("adaptive"),
        1 => Just("adaptive:thrifty"),
        1 => Just("adaptive:eager"),
    ];
    // Reading a number is slow, and these stay the same.
    let number = |e164| Just(PhoneNumber::parse(e164).unwrap());
    let number = prop_oneof![9 => number("+14155550112"), 1 => number("+442079460000")];
    let ttl = prop_oneof![3 => Just(300), 1 => 1..=600u64];
    let calls_allowed = prop::bool::weighted(0.9);
    ((mode, policy, number, ttl, calls_allowed), setting()).prop_map(
        |((mode, policy, number, ttl, calls_allowed), (rules, insight))| {
            Story::on_route(insight, rules, |request| {
                request.mode = mode;
                request.policy = Some(policy.parse().unwrap());
                request.to = number;
                request.ttl = Some(Duration::from_secs(ttl));
                // A creation by call in a country that may not be called does not come this far.
                request.calls_allowed = calls_allowed || mode == Mode::Call;
            })
        },
    )
}

/// Rules, and the insight into the route.
fn setting() -> impl Strategy<Value = (Rules, Insight)> {
    let insight = prop_oneof![
        1 => Just(Insight::default()),
        1 => Just(USUAL_ROUTE.clone()),
        2 => Just(BAD_ROUTE.clone()),
        1 => Just(FAKE_ROUTE.clone()),
    ];
    // Every story begins at midnight for the one number, and at 8 in the morning for the other.
    let hours = |hours| Just(Some(QuietHours::parse(hours).unwrap()));
    let quiet_hours = prop_oneof![
        4 => Just(None),
        1 => hours("22:00-07:00"),
        1 => hours("22:00-00:01"),
        1 => hours("00:02-08:01"),
    ];
    (1..=5u8, insight, quiet_hours, any::<bool>()).prop_map(|(checks_max, insight, quiet_hours, voice_confirm)| {
        (Rules { checks_max, quiet_hours, voice_confirm, ..Rules::default() }, insight)
    })
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![1 => Just(0), 3 => 0..3_000u64, 3 => 0..30_000u64, 1 => 0..90_000u64];
    let step = (pause, barred(), events()).prop_map(|(pause, barred, events)| Step { pause, barred, events });
    vec(step, 0..40)
}

fn barred() -> impl Strategy<Value = Vec<Barred>> {
    let bar = |channel| Barred { channel, scope: Scope::Number, retry_after: Duration::from_secs(60) };
    prop_oneof![
        9 => Just(Vec::new()),
        1 => Just(vec![bar(Channel::Call)]),
        1 => Just(vec![bar(Channel::Sms)]),
        1 => Just(vec![bar(Channel::Sms), bar(Channel::Call)]),
    ]
}

/// A single event, or a signed callback with those that it reports.
///
/// The order and the weights belong to the seeds in `properties.regressions`.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = |event| vec![event];
    let channel = || prop_oneof![Just(Channel::Sms), Just(Channel::Call)];
    let activity = prop_oneof![Just(Activity::Typing), Just(Activity::Received), Just(Activity::NotReceived)];
    prop_oneof![
        5 => report().prop_map(one),
        2 => signed_callback(),
        4 => outcome().prop_map(one),
        4 => Just(vec![Event::Tick]),
        1 => prop_oneof![1 => Just(RIGHT), 4 => Just("000000"), 1 => Just("0429")].prop_map(submit).prop_map(one),
        1 => channel().prop_map(Event::AttemptRequested).prop_map(one),
        1 => channel().prop_map(|channel| vec![joined(channel, false)]),
        1 => activity.prop_map(Event::Activity).prop_map(one),
        1 => uuid().prop_map(|provider_id| vec![Event::Linked { provider_id }]),
        1 => (attempt(), any::<bool>()).prop_map(|(attempt, is_done)| vec![Event::HungUp { attempt, is_done }]),
        1 => call_continues().prop_map(one),
        1 => (attempt(), prop::option::of(provider_id()))
            .prop_map(|(attempt, provider_id)| vec![Event::Identified { attempt, provider_id }]),
        1 => (attempt(), lookup()).prop_map(|(attempt, lookup)| vec![Event::LookedUp { attempt, lookup }]),
        1 => prop::bool::weighted(0.2).prop_map(move |cancels| one(if cancels { Event::Cancel } else { Event::Tick })),
        1 => prop::bool::weighted(0.1)
            .prop_map(move |fails_over| one(if fails_over { Event::FailedOver } else { Event::Tick })),
    ]
}

/// A report, about attempts that exist and some that do not.
pub fn report() -> impl Strategy<Value = Event> {
    let provider_id = || prop::option::of(provider_id());
    prop_oneof![
        4 => (attempt(), text_report(), provider_id())
            .prop_map(|(attempt, report, provider_id)| Event::TextReported { attempt, report, provider_id, facts: ReportFacts::default() }),
        4 => (attempt(), call_report(), provider_id())
            .prop_map(|(attempt, report, provider_id)| Event::CallReported { attempt, report, provider_id, facts: ReportFacts::default() }),
        1 => attempt().prop_map(|attempt| Event::TextRefused { attempt }),
    ]
}

/// A callback with one of a few nonces, so that some are repeated, with the same or other content.
fn signed_callback() -> impl Strategy<Value = Vec<Event>> {
    let reported = prop_oneof![3 => report(), 1 => call_continues()];
    let callback = (0..6u64, 0..2u64, prop::option::weighted(0.2, 6..9u64), vec(reported, 0..3));
    callback.prop_map(|(nonce, content, v2_nonce, reported)| signed(nonce, content, v2_nonce, reported))
}

fn call_continues() -> impl Strategy<Value = Event> {
    (attempt(), prop::option::of(provider_id()))
        .prop_map(|(attempt, provider_id)| Event::CallContinues { attempt, provider_id })
}

pub fn text_report() -> impl Strategy<Value = TextReport> {
    use FailureClass::{Permanent, Stop, Transient};
    let failure = prop_oneof![
        4 => Just((Some("30".to_owned()), Permanent)),
        1 => Just((None, Permanent)),
        1 => Just((Some("50".to_owned()), Permanent)),
        3 => Just((Some("80".to_owned()), Transient)),
        1 => Just((Some("450".to_owned()), Stop)),
    ];
    prop_oneof![
        2 => Just(TextReport::Queued),
        2 => Just(TextReport::Sent),
        2 => Just(TextReport::Delivered),
        1 => failure.clone().prop_map(|(error_code, class)| TextReport::Undelivered { error_code, class }),
        1 => failure.prop_map(|(error_code, class)| TextReport::Failed { error_code, class }),
    ]
}

pub fn call_report() -> impl Strategy<Value = CallReport> {
    use CallEnd::{Busy, Failed, Machine, NoAnswer, Rejected};
    let end =
        prop_oneof![3 => Just(Busy), 3 => Just(NoAnswer), 1 => Just(Rejected), 1 => Just(Machine), 1 => Just(Failed)];
    prop_oneof![
        2 => Just(CallReport::Ringing),
        1 => Just(CallReport::Answered),
        1 => Just(CallReport::Completed),
        4 => end.prop_map(|end| CallReport::Ended { end, cause: None }),
    ]
}

fn outcome() -> impl Strategy<Value = Event> {
    let scope = prop_oneof![4 => Just(RefusalScope::Attempt), 1 => Just(RefusalScope::Account), 1 => Just(RefusalScope::Number)];
    let via = || prop_oneof![Just(Via::Phlo), Just(Via::Api)];
    let outcome = prop_oneof![
        6 => (via(), prop::option::of(provider_id()), prop::option::of(Just("run".to_owned())))
            .prop_map(|(via, provider_id, run_id)| TriggerOutcome::Accepted { via, provider_id, run_id }),
        2 => (0..3u16).prop_map(|round| TriggerOutcome::PassedOn { provider_status: Some(503), round }),
        1 => (via(), scope).prop_map(|(via, scope)| TriggerOutcome::Refused { via, provider_status: 400, scope }),
        1 => via().prop_map(|via| TriggerOutcome::TimedOut { via: Some(via) }),
        2 => (0..400u64, 0..3u16).prop_map(|(s, round)| TriggerOutcome::Waiting { expected: Duration::from_secs(s), round }),
        2 => (0..90_000u64, 0..3u16).prop_map(|(ms, round)| {
            TriggerOutcome::Deferred { provider_status: Some(503), retry_after: Duration::from_millis(ms), round }
        }),
    ];
    let triggered = (attempt(), outcome).prop_map(|(attempt, outcome)| Event::Triggered { attempt, outcome });
    prop_oneof![
        8 => triggered,
        1 => attempt().prop_map(|attempt| Event::Admitted { attempt }),
        1 => attempt().prop_map(|attempt| Event::HandedBack { attempt }),
    ]
}

fn attempt() -> impl Strategy<Value = AttemptIndex> {
    prop_oneof![4 => Just(0u8), 4 => Just(1), 2 => Just(2), 1 => 3..8u8].prop_map(index)
}

fn provider_id() -> impl Strategy<Value = ProviderId> {
    (uuid(), any::<bool>()).prop_map(|(uuid, is_linked)| ProviderId { uuid, is_linked })
}

fn lookup() -> impl Strategy<Value = Lookup> {
    prop_oneof![provider_id().prop_map(Lookup::Sent), Just(Lookup::NotSent), Just(Lookup::Unanswered)]
}

fn uuid() -> impl Strategy<Value = String> {
    prop_oneof![Just("u".to_owned()), Just("w".to_owned())]
}
