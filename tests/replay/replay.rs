//! `replay`: each rule of an outcome, the order of a player's events, the figures that every implementation reaches, and
//! the command.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use phlo_2fa::replay::player::{PlayReason, PlayedEvent, Player, PlayerRequest, RouteFacts};
use phlo_2fa::replay::{
    FinalReport, NEVER, PlayedCall, PlayedOutcome, PlayedPolicy, PolicyFigures, Trace, TraceColumn, TraceRow, generate,
    json, play, svg, table, write_decisions,
};
use phlo_2fa::route_model::{Costs, Teacher};
use phlo_2fa::verification::CostOverrides;
use proptest::prelude::*;
use serde_json::Value;
use strum::IntoEnumIterator;

// ---- the rules, as docs/replay.md numbers them

#[test]
fn rule_1_a_waiting_user_without_a_text_requests_a_resend_unless_the_call_comes_first() {
    let resend = [("arrive_ms", ""), ("resend_ms", "20000"), ("resend_arrive_ms", "3000")];
    let is_requested = |more: &[(&str, &str)], call| outcome(&[&resend[..], more].concat(), call).is_resend_requested;
    assert!(is_requested(&[], None));
    assert!(!is_requested(&[], at(20_000)), "a call in the same ms comes first");
    assert!(is_requested(&[], at(20_001)));
    assert!(!is_requested(&[("patience_ms", "20000")], None));
    assert!(is_requested(&[("patience_ms", "20001")], None));
    assert!(!is_requested(&[("arrive_ms", "20000")], None));
    assert!(is_requested(&[("arrive_ms", "20001")], None));
    assert!(!is_requested(&[("intent", "0")], None));
    assert!(!is_requested(&[("resend_ms", "600000"), ("patience_ms", "")], None));
    assert!(is_requested(&[("resend_ms", "599999"), ("patience_ms", "")], None));
}

#[test]
fn rule_2_the_text_that_arrives_first_counts() {
    let resend = [("arrive_ms", "30000"), ("resend_ms", "20000"), ("resend_arrive_ms", "3000")];
    assert_eq!(outcome(&resend, None).code_ms, 23_000);
    assert_eq!(outcome(&resend, at(10_000)).code_ms, 28_000, "the call came before the resend");
    assert_eq!(outcome(&[resend[1], resend[2], ("arrive_ms", "22000")], None).code_ms, 22_000);
    assert_eq!(outcome(&[resend[0], resend[1], ("resend_arrive_ms", "")], None).code_ms, 30_000);
}

#[test]
fn rule_3_a_text_verifies_a_user_who_still_waits_within_the_lifetime() {
    let verified = |more: &[(&str, &str)]| outcome(more, None).verified_ms;
    assert_eq!(verified(&[]), 9_000);
    assert_eq!(verified(&[("patience_ms", "5000")]), 9_000);
    assert_eq!(verified(&[("patience_ms", "4999")]), NEVER);
    assert_eq!(verified(&[("intent", "0")]), NEVER);
    assert_eq!(verified(&[("read_ms", "595000")]), 600_000);
    assert_eq!(verified(&[("read_ms", "595001")]), NEVER);
    assert_eq!(verified(&[("read_ms", "")]), NEVER);
    assert_eq!(verified(&[("arrive_ms", ""), ("patience_ms", "")]), NEVER);
}

#[test]
fn rule_4_no_call_is_placed_after_the_code_was_entered_or_the_lifetime_is_over() {
    assert!(outcome(&[], at(8_999)).is_placed);
    assert!(!outcome(&[], at(9_000)).is_placed);
    assert_eq!(outcome(&[], at(9_000)), outcome(&[], None));
    let lost = [("arrive_ms", "")];
    assert!(outcome(&lost, at(0)).is_placed);
    assert!(outcome(&lost, at(599_999)).is_placed);
    assert_eq!(outcome(&lost, at(600_000)), outcome(&lost, None));
    assert!(!outcome(&lost, None).is_placed);
}

#[test]
fn rule_5_a_call_reaches_a_user_who_still_waits_or_reads() {
    let lost = [("arrive_ms", "")];
    assert!(outcome(&lost, at(60_000)).is_verified());
    assert!(!outcome(&lost, at(60_001)).is_verified());
    // In hand at 50 s, before the user would have left: such a slow reader answers the call.
    let reads = [("arrive_ms", "50000"), ("patience_ms", "51000"), ("read_ms", "100000")];
    assert_eq!(outcome(&reads, at(52_000)).verified_ms, 73_000);
    // In hand at 52 s: the user had left.
    let left = [("arrive_ms", "52000"), ("patience_ms", "51000"), ("read_ms", "100000")];
    assert_eq!(outcome(&left, at(52_000)).verified_ms, NEVER);
}

#[test]
fn rule_6_a_ringing_phone_keeps_the_user() {
    let verified = |arrive: &str, result: &str| {
        let row = [("patience_ms", "40000"), ("arrive_ms", arrive), ("call_result", result), ("read_ms", "60000")];
        outcome(&row, at(40_000)).verified_ms
    };
    assert_eq!(verified("50000", "noanswer"), 110_000, "until the ringing ends");
    assert_eq!(verified("50001", "noanswer"), NEVER);
    assert_eq!(verified("58000", "answered"), 61_000, "by the call, heard at 58 s");
    let verified_unheard = |arrive: &str| {
        let row = [("patience_ms", "40000"), ("arrive_ms", arrive), ("call_type_ms", "")];
        outcome(&row, at(40_000)).verified_ms
    };
    assert_eq!(verified_unheard("58000"), 62_000, "until the code was heard, though it was never entered");
    assert_eq!(verified_unheard("58001"), NEVER);
}

#[test]
fn rule_7_the_entered_code_hangs_up_the_call() {
    // Verified by text at 9 s, called at 2 s.
    let called = |ring: &str| outcome(&[("call_ring_ms", ring)], at(2_000));
    assert!(called("7000").is_hung_up && !called("7000").is_billed);
    assert!(!called("6999").is_hung_up && called("6999").is_billed);
    assert_eq!(called("7000").code_ms, 5_000);
}

#[test]
fn rule_8_an_answer_is_billed_whether_by_a_person_or_a_machine() {
    for (result, is_billed) in
        [("answered", true), ("voicemail", true), ("busy", false), ("noanswer", false), ("failed", false)]
    {
        assert_eq!(outcome(&[("arrive_ms", ""), ("call_result", result)], at(20_000)).is_billed, is_billed, "{result}");
        assert_eq!(
            outcome(&[("arrive_ms", ""), ("call_result", result)], at(20_000)).is_verified(),
            result == "answered",
            "{result}"
        );
    }
    assert!(!outcome(&[("arrive_ms", "")], None).is_billed);
}

#[test]
fn rule_9_a_heard_code_is_entered_within_the_lifetime() {
    let late = [("arrive_ms", ""), ("patience_ms", "")];
    assert_eq!(outcome(&late, at(20_000)).verified_ms, 41_000);
    assert_eq!(outcome(&late, at(579_000)).verified_ms, 600_000);
    let too_late = outcome(&late, at(579_001));
    assert_eq!((too_late.verified_ms, too_late.code_ms), (NEVER, 597_001));
    assert!(too_late.is_billed);
    let unwilling = outcome(&[("arrive_ms", ""), ("intent", "0")], at(20_000));
    assert!(unwilling.is_billed && !unwilling.is_verified());
}

#[test]
fn rule_10_the_code_that_is_entered_first_verifies() {
    // The call verifies at 26 s.
    let verified = |read: &str| outcome(&[("read_ms", read)], at(5_000)).verified_ms;
    assert_eq!((verified("15000"), verified("21000"), verified("90000")), (20_000, 26_000, 26_000));
}

#[test]
fn rule_11_a_code_is_in_hand_when_it_arrives_before_the_user_leaves_or_is_heard() {
    assert_eq!(outcome(&[], None).code_ms, 5_000);
    assert_eq!(outcome(&[("arrive_ms", "60000")], None).code_ms, 60_000);
    assert_eq!(outcome(&[("arrive_ms", "60001")], None).code_ms, NEVER);
    assert_eq!(outcome(&[("arrive_ms", "59000")], at(20_000)).code_ms, 38_000);
    assert_eq!(outcome(&[("intent", "0")], None).code_ms, NEVER);
}

#[test]
fn rule_12_a_user_waits_for_a_code_until_leaving() {
    let wait = |more: &[(&str, &str)], call| outcome(more, call).wait_ms;
    assert_eq!(wait(&[], None), 5_000);
    assert_eq!(wait(&[("arrive_ms", "")], None), 60_000);
    assert_eq!(wait(&[("arrive_ms", ""), ("patience_ms", "")], None), 600_000);
    assert_eq!(wait(&[("arrive_ms", ""), ("call_result", "noanswer")], at(55_000)), 65_000);
    assert_eq!(wait(&[("intent", "0")], None), 0);
}

#[test]
fn rule_13_a_call_is_wasted_when_the_text_would_have_verified_within_30_s() {
    let verified_at_50 = [("arrive_ms", "46000")];
    assert!(outcome(&verified_at_50, at(20_000)).is_wasted);
    assert!(!outcome(&verified_at_50, at(19_999)).is_wasted);
    assert!(!outcome(&verified_at_50, at(50_000)).is_wasted, "no call was placed");
    // Without the call the resend would have verified at 27 s.
    let second = [("arrive_ms", ""), ("resend_ms", "20000"), ("resend_arrive_ms", "3000")];
    let instead = outcome(&second, at(10_000));
    assert!(instead.is_wasted && !instead.is_resend_requested);
    assert!(outcome(&[("intent", "0")], at(20_000)).is_unwanted);
    assert!(!outcome(&[("intent", "0")], None).is_unwanted);
}

#[test]
fn the_cost_of_a_verification_is_the_sum_of_its_parts() {
    let priced = |more: &[(&str, &str)], call, costs: Costs| {
        let row = one(more);
        PlayedOutcome::of(&row, call).control_u(&row, &costs)
    };
    let control = |more: &[(&str, &str)], call| priced(more, call, Costs::BALANCED);
    assert_eq!(control(&[], None), 5_000, "five seconds");
    assert_eq!(control(&[("arrive_ms", "")], None), 60_000 + 500_000, "a minute, and a lost user");
    assert_eq!(control(&[("arrive_ms", "")], at(20_000)), 12_000 + 38_000);
    assert_eq!(control(&[("arrive_ms", "8000")], at(2_000)), 50_000 + 8_000, "hung up, and a nuisance");
    assert_eq!(control(&[("intent", "0")], at(2_000)), 12_000 + 50_000);
    let second = [("arrive_ms", ""), ("resend_ms", "20000"), ("resend_arrive_ms", "3000")];
    assert_eq!(control(&second, None), 8_000 + 23_000);
    let dear = Costs { call: Some(30_000.0), wait: 0.25, lost: 1e6, nuisance: 70_000.0 };
    assert_eq!(priced(&[("arrive_ms", "")], None, dear), 15_000 + 1_000_000);
    assert_eq!(priced(&[("intent", "0")], at(2_000), dear), 30_000 + 70_000);
    assert_eq!(priced(&[("arrive_ms", "5001")], None, dear), 1_250, "rounded to a micro-dollar");
}

// ---- figures that every implementation reaches

/// verified_pct, c_med, c_p90, c_p95, c_mean, v_med, v_p95, calls_k, wasted_k, unwanted_k, ctrl_pv, cost_pv
const CHECK_VALUES: [(&str, [f64; 12]); 4] = [
    (
        "fixed:30",
        [96.1553, 6.9200, 44.8548, 53.5302, 33.7952, 17.1400, 51.6750, 237.7667, 82.5667, 56.7000, 0.0445, 0.1136],
    ),
    (
        "fixed+fail:30",
        [96.2614, 6.9200, 42.4852, 52.7480, 33.0215, 17.1570, 51.0050, 238.9333, 83.6667, 56.7000, 0.0437, 0.1128],
    ),
    ("fail", [91.9396, 6.9200, 42.0046, 600.0000, 57.1596, 16.7110, 39.7593, 19.4000, 1.9333, 1.3667, 0.0632, 0.1355]),
    ("never", [90.8901, 6.9200, 57.3548, 600.0000, 63.0753, 16.5940, 38.9120, 0.0000, 0.0000, 0.0000, 0.0698, 0.1429]),
];

#[test]
fn static_policies_reach_the_figures_of_the_page() {
    let (trace, costs) = (training(), Costs { nuisance: 20_000.0, ..Costs::BALANCED });
    assert_eq!((trace.rows.len(), trace.notes.as_slice()), (30_000, &[][..]));
    for (policy, expected) in CHECK_VALUES {
        let s = summary_at(&trace, policy, &costs);
        let figures = [
            s.verified_pct,
            s.c_med,
            s.c_p90,
            s.c_p95,
            s.c_mean,
            s.v_med,
            s.v_p95,
            s.calls_k,
            s.wasted_k,
            s.unwanted_k,
            s.ctrl_pv,
            s.cost_pv,
        ];
        assert_eq!(figures.map(|figure| format!("{figure:.4}")), expected.map(|figure| format!("{figure:.4}")));
    }
}

#[test]
fn a_played_timer_calls_as_the_formula_says() {
    let trace = training();
    for (policy, timer_ms, fails) in [
        ("fixed:5", Some(5_000), false),
        ("fixed:30", Some(30_000), false),
        ("fixed:600", None, false),
        ("fixed+fail:20", Some(20_000), true),
        ("fixed+fail:90", Some(90_000), true),
        ("fail", None, true),
        ("never", None, false),
    ] {
        let calls = played(&trace, policy);
        for (row, call) in trace.rows.iter().zip(&calls) {
            let failed_ms = (fails && row.report == Some(FinalReport::Failed)).then_some(row.dlr_ms);
            let expected_ms = timer_ms.into_iter().chain(failed_ms).min();
            let outcome = PlayedOutcome::of(row, expected_ms);
            assert_eq!(PlayedOutcome::of(row, call.map(|call| call.age_ms)), outcome, "{policy} {row:?}");
            assert_eq!(call.is_some(), outcome.is_placed, "{policy} {row:?}");
        }
    }
}

/// Times that are equal far more often than in a real trace.
fn edge() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just(String::new()),
        8 => prop::sample::select(vec![0u32, 1, 2, 5, 10, 15, 20, 30, 45, 599, 600, 601]).prop_map(|s| (s * 1000).to_string()),
    ]
}

proptest! {
    #[test]
    fn a_played_timer_calls_as_the_formula_says_at_every_edge(
        times in prop::collection::vec(edge(), 9),
        failed_ms in edge(),
        is_answered: bool,
        timer in prop::sample::select(vec![1u64, 5, 10, 15, 20, 30, 60, 599, 600]),
    ) {
        let names = ["arrive_ms", "read_ms", "patience_ms", "resend_ms", "resend_arrive_ms", "call_ring_ms",
                     "call_hear_ms", "call_type_ms", "sent_ms"];
        let mut row: Vec<(&str, &str)> = names.into_iter().zip(times.iter().map(String::as_str)).collect();
        row.push(("dlr_ms", &failed_ms));
        row.push(("dlr_status", if failed_ms.is_empty() { "" } else { "failed" }));
        row.push(("call_result", if is_answered { "answered" } else { "noanswer" }));
        let trace = rows(&[&row]);
        let row = &trace.rows[0];
        for (policy, expected_ms) in [
            (format!("fixed:{timer}"), at(timer * 1000)),
            (format!("fixed+fail:{timer}"), at(row.dlr_ms.min(timer * 1000))),
            ("fail".to_owned(), at(row.dlr_ms)),
        ] {
            let call = played(&trace, &policy)[0];
            prop_assert_eq!(PlayedOutcome::of(row, call.map(|call| call.age_ms)), PlayedOutcome::of(row, expected_ms), "{}", policy);
        }
    }
}

#[test]
fn the_decisions_file_has_the_reason_of_each_call() {
    let trace = rows(&[
        &[("id", "1"), ("arrive_ms", "")],
        &[("id", "2"), ("arrive_ms", ""), ("dlr_ms", "7000"), ("dlr_status", "undelivered")],
        &[("id", "3")],
        &[("id", "4"), ("arrive_ms", ""), ("dlr_ms", "7000"), ("dlr_status", "delivered")],
    ]);
    let file = |policy| decisions(&trace, &played(&trace, policy));
    let both = "id,escalate_at_s,reason\n1,20.000,hazard\n2,7.000,failed\n3,never,never\n4,20.000,hazard\n";
    assert_eq!(file("fixed+fail:20"), both);
    assert_eq!(file("fail"), "id,escalate_at_s,reason\n1,never,never\n2,7.000,failed\n3,never,never\n4,never,never\n");
    // As in the service: the set timer fired, and the text was known to be lost.
    assert!(file("fixed:20").contains("\n2,20.000,failed\n"));
}

#[test]
fn the_reaction_to_an_outage_ends_with_the_first_of_five_early_calls() {
    // Forty rows of a dead route: ten calls after 40 s, then calls after 10 s.
    let mut text = HEADER.to_owned();
    for id in 0..60u64 {
        let (start, regime) = ((id * 1000).to_string(), if (10..50).contains(&id) { "dead" } else { "ok" });
        let id = id.to_string();
        text += &line(&[("id", &id), ("t0_ms", &start), ("arrive_ms", ""), ("regime", regime)]);
    }
    let trace = Trace::parse(&text).unwrap();
    let late_until =
        |last: usize| -> Vec<Option<u64>> { (0..60).map(|n| Some(if n < last { 40_000 } else { 10_000 })).collect() };
    let react = |last| PolicyFigures::of("any", &trace, &late_until(last), &Costs::BALANCED).react_msgs;
    // The median of five is early when three of them are.
    assert_eq!(react(20), vec![9]);
    assert_eq!(react(0), vec![1]);
    let outage = &PolicyFigures::of("any", &trace, &late_until(20), &Costs::BALANCED).outages[0];
    assert_eq!((outage.rows, outage.calls, outage.regime.as_str(), outage.t0_ms), (40, 40, "dead", 10_000));
    assert_eq!(
        PolicyFigures::of("any", &trace, &[None; 60], &Costs::BALANCED).react_msgs,
        Vec::<usize>::new(),
        "an outage without calls is not counted"
    );
}

#[test]
fn a_replay_of_one_seed_gives_the_same_bytes() {
    let file = |seed| {
        let trace = generate(seed, 3_000);
        let calls = played(&trace, "fixed+fail:25");
        (decisions(&trace, &calls), json(&[summary(&trace, "fixed+fail:25")]).unwrap())
    };
    assert_eq!(file(7), file(7));
    assert_ne!(file(7), file(8));
}

/// Counts the events of another player.
struct Counted<'a> {
    inner: Box<dyn Player>,
    events: &'a mut usize,
}

impl Player for Counted<'_> {
    fn on_event(&mut self, id: u64, facts: &RouteFacts, event: PlayedEvent, at_ms: u64, age_ms: u64) -> PlayerRequest {
        *self.events += 1;
        self.inner.on_event(id, facts, event, at_ms, age_ms)
    }
}

#[test]
fn twenty_thousand_rows_give_at_most_eight_events_each() {
    for (policy, rows, most) in [
        ("never", 20_000, 5),
        ("fail", 20_000, 5),
        ("fixed:30", 20_000, 5),
        ("fixed+fail:30", 20_000, 5),
        ("adaptive", 20_000, 8),
        // These differ from `adaptive` in their costs alone.
        ("adaptive:thrifty", 2_000, 8),
        ("adaptive:eager", 2_000, 8),
    ] {
        let (trace, mut events) = (generate(1, rows), 0);
        let inner = policy.parse::<PlayedPolicy>().expect("a name").player(&CostOverrides::default());
        let calls = play(&trace, &mut Counted { inner, events: &mut events });
        assert_eq!(calls.len(), rows);
        // Each event takes one decision, a start two.
        assert!(events <= rows * most, "{policy}: {} a row", events as f64 / rows as f64);
    }
}

// ---- the events of a player

#[test]
fn events_at_equal_times_come_in_the_order_of_the_page() {
    // At 9 s: the code entered, the report, `sent`; the third row also has a resend.
    let trace = rows(&[
        &[
            ("id", "3"),
            ("arrive_ms", ""),
            ("sent_ms", "9000"),
            ("dlr_ms", "9000"),
            ("dlr_status", "failed"),
            ("resend_ms", "9000"),
            ("resend_arrive_ms", "1000"),
        ],
        &[("id", "2"), ("sent_ms", "9000"), ("dlr_ms", "9000"), ("dlr_status", "delivered")],
        &[("id", "1"), ("sent_ms", "9000"), ("dlr_ms", "9000"), ("dlr_status", "delivered"), ("read_ms", "4001")],
    ]);
    let mut script = Script::default();
    script.request(1, 0, PlayedEvent::Started, PlayerRequest::WakeAt { age_ms: 9_000 });
    script.request(3, 0, PlayedEvent::Started, PlayerRequest::WakeAt { age_ms: 9_000 });
    play(&trace, &mut script);
    let at_9: Vec<(u64, PlayedEvent)> =
        script.events.iter().filter(|(_, _, age)| *age == 9_000).map(|(id, event, _)| (*id, *event)).collect();
    let expected = [
        (1, PlayedEvent::Delivered),
        (1, PlayedEvent::Sent),
        (1, PlayedEvent::Timer),
        (2, PlayedEvent::Verified),
        (3, PlayedEvent::Failed),
        (3, PlayedEvent::Sent),
        (3, PlayedEvent::ResendRequested),
        (3, PlayedEvent::Timer),
    ];
    assert_eq!(at_9, expected);
}

#[test]
fn the_call_result_comes_before_a_timer_and_after_the_code() {
    let trace = rows(&[&[("arrive_ms", "26000"), ("call_result", "busy")]]);
    let mut script = Script::default();
    script.request(1, 0, PlayedEvent::Started, PlayerRequest::WakeAt { age_ms: 15_000 });
    script.request(1, 15_000, PlayedEvent::Timer, PlayerRequest::Call { reason: PlayReason::Hazard, wake_ms: None });
    script.request(1, 25_000, PlayedEvent::CallKnown { is_answered: false }, PlayerRequest::WakeAt { age_ms: 25_000 });
    play(&trace, &mut script);
    let known = PlayedEvent::CallKnown { is_answered: false };
    assert_eq!(
        script.of(1)[2..],
        [(15_000, PlayedEvent::Timer), (25_000, known), (25_000, PlayedEvent::Timer), (30_000, PlayedEvent::Verified)]
    );

    // The code is entered in the ms of the result: the call is hung up and has none.
    let trace = rows(&[&[("arrive_ms", "21000")]]);
    let mut script = Script::default();
    script.request(1, 0, PlayedEvent::Started, PlayerRequest::WakeAt { age_ms: 15_000 });
    script.request(1, 15_000, PlayedEvent::Timer, PlayerRequest::Call { reason: PlayReason::Hazard, wake_ms: None });
    play(&trace, &mut script);
    assert_eq!(script.of(1).last(), Some(&(25_000, PlayedEvent::Verified)));
}

#[test]
fn a_request_for_a_call_replaces_the_timer() {
    let row = [("arrive_ms", ""), ("call_result", "noanswer")];
    let woken = |wake_ms| {
        let trace = rows(&[&row]);
        let mut script = Script::default();
        script.request(1, 0, PlayedEvent::Started, PlayerRequest::WakeAt { age_ms: 20_000 });
        script.request(1, 500, PlayedEvent::Sent, PlayerRequest::Call { reason: PlayReason::Hazard, wake_ms });
        play(&trace, &mut script);
        let timers =
            script.of(1).into_iter().filter(|(age_ms, event)| *event == PlayedEvent::Timer && *age_ms < 600_000);
        timers.map(|(age_ms, _)| age_ms).collect::<Vec<_>>()
    };
    assert_eq!(woken(Some(15_500)), [15_500]);
    assert_eq!(woken(None), Vec::<u64>::new());
}

#[test]
fn after_its_call_a_player_gets_events_but_no_second_call() {
    let row = [
        ("arrive_ms", ""),
        ("dlr_ms", "30000"),
        ("dlr_status", "failed"),
        ("call_result", "noanswer"),
        ("resend_ms", "20000"),
        ("resend_arrive_ms", ""),
    ];
    let trace = rows(&[&row]);
    let mut script = Script::default();
    script.request(1, 500, PlayedEvent::Sent, PlayerRequest::Call { reason: PlayReason::Max, wake_ms: None });
    script.request(1, 30_000, PlayedEvent::Failed, PlayerRequest::Call { reason: PlayReason::Failed, wake_ms: None });
    let calls = play(&trace, &mut script);
    assert_eq!(calls, [Some(PlayedCall { age_ms: 500, reason: PlayReason::Max })]);
    let expected = [
        (0, PlayedEvent::Started),
        (500, PlayedEvent::Sent),
        (10_500, PlayedEvent::CallKnown { is_answered: false }),
        (30_000, PlayedEvent::Failed),
        (600_000, PlayedEvent::Timer),
    ];
    assert_eq!(script.of(1), expected, "a call before 20 s replaces the resend");
}

#[test]
fn the_entered_code_is_the_last_event_and_a_call_may_bring_it_forward() {
    let row = [("arrive_ms", "50000"), ("dlr_ms", "51000"), ("dlr_status", "delivered")];
    let trace = rows(&[&row]);
    let mut script = Script::default();
    play(&trace, &mut script);
    let all = [
        (0, PlayedEvent::Started),
        (500, PlayedEvent::Sent),
        (51_000, PlayedEvent::Delivered),
        (54_000, PlayedEvent::Verified),
    ];
    assert_eq!(script.of(1), all);

    let mut script = Script::default();
    script.request(1, 500, PlayedEvent::Sent, PlayerRequest::Call { reason: PlayReason::Hazard, wake_ms: None });
    play(&trace, &mut script);
    let called = [(10_500, PlayedEvent::CallKnown { is_answered: true }), (21_500, PlayedEvent::Verified)];
    assert_eq!(script.of(1)[2..], called);
}

#[test]
fn a_call_in_answer_to_a_resend_replaces_it() {
    let trace = rows(&[&[("arrive_ms", ""), ("resend_ms", "20000"), ("resend_arrive_ms", "3000")]]);
    let mut script = Script::default();
    script.request(
        1,
        20_000,
        PlayedEvent::ResendRequested,
        PlayerRequest::Call { reason: PlayReason::Resend, wake_ms: None },
    );
    let calls = play(&trace, &mut script);
    assert_eq!(decisions(&trace, &calls), "id,escalate_at_s,reason\n1,20.000,resend\n");
    assert!(!PlayedOutcome::of(&trace.rows[0], at(20_000)).is_resend_requested);
    assert_eq!(script.of(1).last(), Some(&(41_000, PlayedEvent::Verified)), "by the call, not by a second text");
}

#[test]
fn a_timer_replaces_a_resend_and_a_code_in_the_same_ms() {
    let second = [("arrive_ms", ""), ("resend_ms", "20000"), ("resend_arrive_ms", "0"), ("read_ms", "0")];
    let trace = rows(&[&second]);
    let call = PlayedCall { age_ms: 20_000, reason: PlayReason::Hazard };
    assert_eq!(played(&trace, "fixed:20"), [Some(call)]);
    assert!(PlayedOutcome::of(&trace.rows[0], at(20_000)).is_placed);
    assert_eq!(played(&trace, "fixed:21"), [None]);
    assert_eq!(PlayedOutcome::of(&trace.rows[0], at(21_000)).verified_ms, 20_000);
}

#[test]
fn a_later_timer_replaces_the_earlier_and_none_repeats_at_its_own_age() {
    let trace = rows(&[&[("arrive_ms", "")]]);
    let mut script = Script::default();
    script.request(1, 0, PlayedEvent::Started, PlayerRequest::WakeAt { age_ms: 400 });
    script.request(1, 400, PlayedEvent::Timer, PlayerRequest::WakeAt { age_ms: 3 });
    script.request(1, 401, PlayedEvent::Timer, PlayerRequest::WakeAt { age_ms: 800 });
    script.request(1, 500, PlayedEvent::Sent, PlayerRequest::WakeAt { age_ms: 700_000 });
    play(&trace, &mut script);
    let expected = [
        (0, PlayedEvent::Started),
        (400, PlayedEvent::Timer),
        (401, PlayedEvent::Timer),
        (500, PlayedEvent::Sent),
        (600_000, PlayedEvent::Timer),
    ];
    assert_eq!(script.of(1), expected);
}

#[test]
fn a_player_gets_the_facts_of_the_route_and_the_time_of_the_trace() {
    struct Recorder(Vec<(RouteFacts, u64, u64)>);
    impl Player for Recorder {
        fn on_event(&mut self, _: u64, facts: &RouteFacts, _: PlayedEvent, at_ms: u64, age_ms: u64) -> PlayerRequest {
            self.0.push((*facts, at_ms, age_ms));
            PlayerRequest::Nothing
        }
    }
    let mut recorder = Recorder(Vec::new());
    play(&rows(&[&[("t0_ms", "70000"), ("cc", "XQ")]]), &mut recorder);
    let facts = RouteFacts {
        country: *b"XQ",
        route: 310_260,
        call_price_u: 12_000,
        sms_price_u: 8_000,
        teacher: Teacher::default(),
    };
    assert_eq!(recorder.0, [(facts, 70_000, 0), (facts, 70_500, 500), (facts, 79_000, 9_000)]);
}

// ---- reading a trace

#[test]
fn a_fault_in_a_trace_is_reported_with_its_line_and_column() {
    let fault = |more: &[(&str, &str)]| {
        Trace::parse(&format!("{HEADER}{}{}", line(&[("id", "9")]), line(more))).unwrap_err().to_string()
    };
    for (more, expected) in [
        (("arrive_ms", "5s"), "line 3: arrive_ms is \"5s\", not an integer from 0 to 1000000000000"),
        (("arrive_ms", "-5"), "line 3: arrive_ms is \"-5\", not an integer from 0 to 1000000000000"),
        (("read_ms", "+5"), "line 3: read_ms is \"+5\", not an integer from 0 to 1000000000000"),
        (
            ("sms_price_u", "1000000000001"),
            "line 3: sms_price_u is \"1000000000001\", not an integer from 0 to 1000000000000",
        ),
        (("id", ""), "line 3: id is empty"),
        (("id", "9"), "line 3: id 9 appears twice"),
        (("cc", "USA"), "line 3: cc is \"USA\", not two letters"),
        (("route", "310-260"), "line 3: route is \"310-260\", not the digits of MCC and MNC"),
        (("intent", "yes"), "line 3: intent is \"yes\", not 0 or 1"),
        (("dlr_status", "delivered"), "line 3: dlr_status is set, but dlr_ms is empty"),
        (("dlr_ms", "4000"), "line 3: dlr_ms is set, but dlr_status is empty"),
        (("dlr_status", "sent"), "line 3: dlr_status is \"sent\", not delivered, undelivered or failed"),
        (
            ("call_result", "maybe"),
            "line 3: call_result is \"maybe\", not answered, voicemail, busy, noanswer or failed",
        ),
        (("regime", "ok,ok"), "line 3: 22 fields, but the header has 21"),
    ] {
        assert_eq!(fault(&[more]), expected);
    }
    let fault = |text: &str| Trace::parse(text).unwrap_err().to_string();
    assert_eq!(fault(""), "line 1: the header with the names of the columns is missing");
    assert_eq!(fault("id,t0_ms,cc\n"), "line 1: column route is missing");
    assert_eq!(fault("\nid,t0_ms,cc,route\n"), "line 1: the header with the names of the columns is missing");
    assert_eq!(fault("id,t0_ms,cc,route,cc\n"), "line 1: column cc appears twice");
    assert_eq!(
        fault("id,t0_ms,cc,route\n1,\"2\",US,\n"),
        "line 2: t0_ms is \"\\\"2\\\"\", not an integer from 0 to 1000000000000"
    );
    for line_end in ["\n", "\r\n"] {
        let text = ["id,t0_ms,cc,route", "", "1,2,US,", "", "", "3,x,US,"].join(line_end);
        assert_eq!(fault(&text), "line 6: t0_ms is \"x\", not an integer from 0 to 1000000000000");
        assert_eq!(fault(&(text + line_end)), "line 6: t0_ms is \"x\", not an integer from 0 to 1000000000000");
    }
}

#[test]
fn the_page_explains_every_column() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/replay.md")).expect("the page");
    let missing =
        TraceColumn::iter().map(|column| column.to_string()).filter(|name| !page.contains(&format!("`{name}`")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn rows_may_come_in_any_order_with_either_line_end_and_unknown_columns() {
    let text = "route,id,t0_ms,cc,colour\r\n310260,2,50,US,red\r\n310260,1,70,US,\r\n\r\n310260,3,50,US,blue\r\n";
    let trace = Trace::parse(&format!("\u{feff}{text}")).unwrap();
    assert_eq!(trace.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [2, 3, 1]);
    assert_eq!(trace.notes[0], "column \"colour\" is unknown and was ignored");
}

#[test]
fn what_a_service_cannot_know_is_assumed_and_noted() {
    let mut text = "id,t0_ms,cc,route,sms_price_u,call_price_u,sent_ms,dlr_ms,dlr_status,read_ms\n".to_owned();
    for id in 0..2_000 {
        let report = ["3000,delivered", "9000,undelivered", ","][id % 3];
        text += &format!("{id},{},US,310260,8000,12000,500,{report},\n", id * 1000);
    }
    let trace = Trace::parse(&text).unwrap();
    let noted: Vec<&str> = trace.notes.iter().map(|note| note.split(' ').next().unwrap()).collect();
    let unknown = [
        "arrive_ms",
        "intent",
        "read_ms",
        "patience_ms",
        "resend_ms",
        "call_result",
        "call_ring_ms",
        "call_hear_ms",
        "call_type_ms",
    ];
    assert_eq!(noted, unknown);
    assert!(trace.notes[0].starts_with("arrive_ms is unknown; assumed: a text arrived when it was reported"));
    assert!(trace.rows.iter().step_by(3).all(|row| row.arrive_ms == 3_000));
    assert!(trace.rows.iter().skip(1).step_by(3).all(|row| row.arrive_ms == NEVER));
    let s = summary(&trace, "fixed+fail:30");
    assert!((70.0..95.0).contains(&s.verified_pct), "{s:?}");
    assert_eq!(trace, Trace::parse(&text).unwrap(), "the draws are the same every time");
    // With known reading times an empty `arrive_ms` means that the text never arrives.
    assert_eq!(rows(&[&[("arrive_ms", "")]]).rows[0].arrive_ms, NEVER);
    assert_eq!(rows(&[&[("arrive_ms", "")]]).notes, Vec::<String>::new());
}

// ---- the output

#[test]
fn the_table_has_a_line_per_policy() {
    let trace = generate(1, 4_000);
    let summaries: Vec<PolicyFigures> =
        ["never", "fixed:30", "fixed+fail:30"].map(|policy| summary(&trace, policy)).into();
    let table = table(&trace, &summaries);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let header =
        ["policy", "verified_pct", "c_med", "c_p90", "calls_k", "wasted_k", "unwanted_k", "ctrl_pv", "cost_pv"];
    assert_eq!(lines[2], header);
    assert_eq!(
        lines[3..6].iter().map(|line| (line[0], line.len())).collect::<Vec<_>>(),
        [("never", 9), ("fixed:30", 9), ("fixed+fail:30", 9)]
    );
    let widths: Vec<usize> = table.lines().skip(2).take(4).map(str::len).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
}

#[test]
fn a_plot_is_well_formed_and_names_every_policy() {
    let trace = generate(1, 2_000);
    let all = |names: &[&str]| names.iter().map(|name| summary(&trace, name)).collect::<Vec<_>>();
    let points = all(&["never", "fail", "fixed:30", "fixed+fail:30"]);
    let plot = svg(&points, &all(&["fixed:5", "fixed:30", "fixed:120"]));
    let document = roxmltree::Document::parse(&plot).unwrap();
    let texts: Vec<&str> = document.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
    for name in ["never", "fail", "fixed:30", "fixed+fail:30", "fixed:5", "fixed:120"] {
        assert_eq!(texts.iter().filter(|text| **text == name).count(), 1, "{name}: {texts:?}");
    }
    assert!(!plot.contains("NaN") && !plot.contains("inf") && !plot.contains("href"), "{plot}");
    let empty = svg(&[PolicyFigures::of("never", &rows(&[&[("intent", "0")]]), &[None], &Costs::BALANCED)], &[]);
    assert!(empty.contains("no verification succeeded"));
    assert!(roxmltree::Document::parse(&empty).is_ok());
}

#[test]
fn a_figure_without_a_denominator_is_null() {
    let trace = Trace::parse(HEADER).unwrap();
    let summary: Value = serde_json::from_str(&json(&[summary(&trace, "never")]).unwrap()).unwrap();
    assert_eq!(
        (&summary["rows"], &summary["verified_pct"], &summary["ctrl_pv"]),
        (&0.into(), &Value::Null, &Value::Null)
    );
}

// ---- the command

#[test]
fn the_command_needs_no_settings_and_generates_a_day() {
    let (code, out, said) = replay(&["--rows", "2000"]);
    assert_eq!((code, said.as_str()), (Some(0), "note: no --trace: a generated day of verifications, seed 1\n"));
    assert!(out.starts_with("2000 verifications on 7 routes in 2"), "{out}");
    for policy in ["never", "fail", "fixed:30", "fixed+fail:30"] {
        assert!(out.lines().any(|line| line.split_whitespace().next() == Some(policy)), "{out}");
    }
}

#[test]
fn the_command_writes_decisions_figures_and_a_plot() {
    let folder = Folder::new("written");
    let (trace, out, plot) = (folder.path("trace.csv"), folder.path("out.csv"), folder.path("plot.svg"));
    let rows = [line(&[("arrive_ms", "")]), line(&[("id", "2")]), line(&[("id", "3"), ("arrive_ms", "40000")])];
    std::fs::write(&trace, format!("{HEADER}{}", rows.concat())).unwrap();
    let (trace, out, plot) = (trace.to_str().unwrap(), out.to_str().unwrap(), plot.to_str().unwrap());
    let one = ["--trace", trace, "--policy", "fixed:26", "--summary", "--out", out, "--plot", plot];
    let (code, printed, said) = replay(&one);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let figures: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&figures["policy"], &figures["rows"]), (&"fixed:26".into(), &3.into()));
    for name in [
        "verified_pct",
        "c_med",
        "c_p90",
        "c_p95",
        "c_mean",
        "v_med",
        "v_p95",
        "calls_k",
        "wasted_k",
        "unwanted_k",
        "needless_k",
        "ctrl_pv",
        "cost_pv",
    ] {
        assert!(figures[name].is_f64(), "{name}: {printed}");
    }
    assert!(figures["react_msgs"].is_array());
    let first = std::fs::read_to_string(out).unwrap();
    assert_eq!(first, "id,escalate_at_s,reason\n1,26.000,hazard\n2,never,never\n3,26.000,hazard\n");
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg"));

    assert_eq!(replay(&one).1, printed);
    assert_eq!(std::fs::read_to_string(out).unwrap(), first);
    let (_, several, _) = replay(&["--trace", trace, "--policy", "never", "--policy", "fixed:26", "--summary"]);
    let several: Value = serde_json::from_str(&several).unwrap();
    assert_eq!((&several[0]["policy"], &several[1]), (&"never".into(), &figures));
}

#[test]
fn the_command_takes_other_costs_for_figures_and_policies() {
    let printed = |policy: &str, costs: &[&str]| -> Value {
        let usual = ["--rows", "3000", "--policy", policy, "--summary"];
        let (code, printed, said) = replay(&[&usual, costs].concat());
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str(&printed).unwrap()
    };
    let figure = |figures: &Value, name: &str| figures[name].as_f64().unwrap();
    let timer = |costs: &[&str]| figure(&printed("fixed:30", costs), "ctrl_pv");
    let all = ["--cost-call", "0.06", "--cost-wait", "0.002", "--cost-lost", "1", "--cost-nuisance", "0.1"];
    let dearer: Vec<f64> = all.chunks(2).map(timer).collect();
    let usual = printed("fixed:30", &[]);
    assert_eq!(usual, printed("fixed:30", &["--cost-wait", "0.001", "--cost-lost", "0.5", "--cost-nuisance", "0.05"]));
    assert!(dearer.iter().all(|cost| *cost > figure(&usual, "ctrl_pv")), "{dearer:?}");
    // Each part of a cost is counted once, so what each option adds is what they add together.
    let added = |cost: f64| cost - figure(&usual, "ctrl_pv");
    let sum: f64 = dearer.iter().map(|cost| added(*cost)).sum();
    assert!((added(timer(&all)) - sum).abs() < 1e-6, "{dearer:?}");
    let needless = figure(&usual, "wasted_k") + figure(&usual, "unwanted_k");
    assert!((figure(&usual, "needless_k") - needless).abs() < 1e-9, "a call is wasted or unwanted, not both");
    // The policy plans by the same costs.
    let calls = |nuisance| figure(&printed("adaptive", &["--cost-nuisance", nuisance]), "calls_k");
    assert!(calls("0.01") > calls("0.05") && calls("0.05") > calls("0.2"));
    for wrong in ["1e3", "1001", "inf", "cheap"] {
        let (code, _, said) = replay(&["--rows", "10", "--cost-lost", wrong]);
        assert!(code == Some(2) && said.contains("must be US dollars from 0 to 1000"), "{wrong}: {said}");
    }
}

#[test]
fn the_command_reports_faults_with_their_file() {
    let folder = Folder::new("wrong");
    let (trace, out) = (folder.path("trace.csv"), folder.path("out.csv"));
    std::fs::write(&trace, format!("{HEADER}{}", line(&[("cc", "1")]))).unwrap();
    let (trace, out) = (trace.to_str().unwrap(), out.to_str().unwrap());
    let wrong = |args: &[&str]| {
        let (code, printed, said) = replay(args);
        assert_eq!(printed, "");
        (code.unwrap(), said)
    };
    assert_eq!(wrong(&["--trace", trace]), (1, format!("{trace}, line 2: cc is \"1\", not two letters\n")));
    let (code, said) = wrong(&["--trace", "/nowhere/trace.csv"]);
    assert!(code == 1 && said.starts_with("/nowhere/trace.csv cannot be read: "), "{said}");
    let (code, said) = wrong(&["--policy", "never", "--policy", "fail", "--out", out]);
    assert!(code == 1 && said.starts_with("--out takes the decisions of one policy"), "{said}");
    let (code, said) = wrong(&["--rows", "10", "--policy", "never", "--out", "/nowhere/out.csv"]);
    assert!(code == 1 && said.starts_with("/nowhere/out.csv cannot be written: "), "{said}");
    let (code, said) = wrong(&["--policy", "sometimes"]);
    assert!(code == 2 && said.contains("must be adaptive, adaptive:thrifty"), "{said}");
    assert!(!Path::new(out).exists());
}

// ---- helpers

const HEADER: &str = "id,t0_ms,cc,route,sms_price_u,call_price_u,sent_ms,dlr_ms,dlr_status,dlr_code,arrive_ms,intent,\
                      read_ms,patience_ms,resend_ms,resend_arrive_ms,call_result,call_ring_ms,call_hear_ms,\
                      call_type_ms,regime\n";

/// The text is in hand at 5 s and its code entered at 9 s. The user waits a minute and would answer a call after 10 s,
/// hear the code 8 s later and enter it after 3 s more.
const USUAL: [(&str, &str); 21] = [
    ("id", "1"),
    ("t0_ms", "0"),
    ("cc", "US"),
    ("route", "310260"),
    ("sms_price_u", "8000"),
    ("call_price_u", "12000"),
    ("sent_ms", "500"),
    ("dlr_ms", ""),
    ("dlr_status", ""),
    ("dlr_code", ""),
    ("arrive_ms", "5000"),
    ("intent", "1"),
    ("read_ms", "4000"),
    ("patience_ms", "60000"),
    ("resend_ms", ""),
    ("resend_arrive_ms", ""),
    ("call_result", "answered"),
    ("call_ring_ms", "10000"),
    ("call_hear_ms", "8000"),
    ("call_type_ms", "3000"),
    ("regime", "ok"),
];

/// The usual row with some other values.
fn line(but: &[(&str, &str)]) -> String {
    let value = |(name, usual)| but.iter().rev().find(|(other, _)| *other == name).map_or(usual, |(_, value)| *value);
    USUAL.map(value).join(",") + "\n"
}

fn rows(but: &[&[(&str, &str)]]) -> Trace {
    let lines: String = but.iter().map(|but| line(but)).collect();
    // One more row fills every column, so that no column counts as unknown.
    let full = line(&[("id", "0"), ("intent", "0"), ("t0_ms", "9000000")]);
    let mut trace = Trace::parse(&format!("{HEADER}{lines}{full}")).expect("a trace");
    trace.rows.retain(|row| row.id != 0);
    trace
}

fn one(but: &[(&str, &str)]) -> TraceRow {
    rows(&[but]).rows.remove(0)
}

fn outcome(but: &[(&str, &str)], call: Option<u64>) -> PlayedOutcome {
    PlayedOutcome::of(&one(but), call)
}

fn at(age_ms: u64) -> Option<u64> {
    Some(age_ms)
}

fn training() -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces-train.csv.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).expect("the training trace")).read_to_string(&mut text).expect("gzip");
    Trace::parse(&text).expect("a trace")
}

fn decisions(trace: &Trace, calls: &[Option<PlayedCall>]) -> String {
    let mut file = Vec::new();
    write_decisions(&mut file, trace, calls).expect("memory can be written");
    String::from_utf8(file).expect("text")
}

fn played(trace: &Trace, policy: &str) -> Vec<Option<PlayedCall>> {
    play(trace, policy.parse::<PlayedPolicy>().expect("a name").player(&CostOverrides::default()).as_mut())
}

fn summary(trace: &Trace, policy: &str) -> PolicyFigures {
    summary_at(trace, policy, &Costs::BALANCED)
}

fn summary_at(trace: &Trace, policy: &str, costs: &Costs) -> PolicyFigures {
    let ages: Vec<Option<u64>> = played(trace, policy).iter().map(|call| call.map(|call| call.age_ms)).collect();
    PolicyFigures::of(policy, trace, &ages, costs)
}

/// Makes prepared requests and records its events.
#[derive(Default)]
struct Script {
    requests: BTreeMap<(u64, u64, String), PlayerRequest>,
    events: Vec<(u64, PlayedEvent, u64)>,
}

impl Script {
    fn request(&mut self, id: u64, age_ms: u64, when: PlayedEvent, request: PlayerRequest) {
        self.requests.insert((id, age_ms, format!("{when:?}")), request);
    }

    fn of(&self, id: u64) -> Vec<(u64, PlayedEvent)> {
        self.events.iter().filter(|(of, ..)| *of == id).map(|(_, event, age)| (*age, *event)).collect()
    }
}

impl Player for Script {
    fn on_event(&mut self, id: u64, _: &RouteFacts, event: PlayedEvent, _: u64, age_ms: u64) -> PlayerRequest {
        self.events.push((id, event, age_ms));
        self.requests.get(&(id, age_ms, format!("{event:?}"))).copied().unwrap_or(PlayerRequest::Nothing)
    }
}

/// Runs the program with an empty environment: exit code, standard output, standard error.
fn replay(args: &[&str]) -> (Option<i32>, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_phlo-2fa")).arg("replay").args(args).env_clear().output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A folder that is removed when its test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
