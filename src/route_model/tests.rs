//! What must hold of the adaptive policy: its numbers on a system that knows nothing yet, what it makes of outages and
//! fakes, and properties over anything that may have been learned.

use proptest::collection::vec;
use proptest::prelude::*;

use super::advice::{Advice, AdviceReason, Costs, Next};
use super::curves::{BUCKETS, Check, Curve, Key, Lesson, Level};
use super::estimates::Estimates;
use super::explain::{RouteSummary, explain};
use super::observer::{Observer, TTL_MS};
use super::outlook::Outlook;
use super::planner::{failed, plan, start};
use super::stats::RouteStats;
use super::{Insight, RouteKnowledge, Weighed};
use crate::phone::Carrier;

const PRICE: u64 = 25_000;
const COUNTRY: [u8; 2] = *b"US";
const ROUTE: u32 = 310_150;

fn nothing_learned() -> Insight {
    Insight::new(Key::of(COUNTRY, ROUTE).map(|key| (key, None)).to_vec(), PRICE)
}

fn decide(estimates: &Estimates, track: &Observer, age_ms: u32) -> Advice {
    plan(estimates, track, age_ms, PRICE, &Costs::BALANCED)
}

fn call_at(decision: Advice) -> Option<u32> {
    match decision.next {
        Next::Call => Some(decision.age_ms),
        Next::WakeAt(at) => Some(at),
        Next::Never => None,
    }
}

/// A verification of which `delivered` is reported at 5 s.
fn reported(estimates: &Estimates) -> Observer {
    let mut track = Observer::start(estimates, None).0;
    track.delivered(5_000, estimates);
    track
}

/// Learns whole verifications, one after the other: when reported, when verified, when called.
fn teach(book: &mut Insight, reported_ms: Option<u32>, verified_ms: Option<u32>, called_ms: Option<u32>) {
    let estimates = book.estimates();
    let (mut track, mut lessons) = start(&estimates, PRICE, &Costs::BALANCED);
    lessons.extend(reported_ms.into_iter().flat_map(|at| track.delivered(at, &estimates)));
    if let Some(at) = called_ms {
        let decision = decide(&estimates, &track, at);
        lessons.extend(track.called(at, &estimates, Some(&decision)));
    }
    lessons.extend(verified_ms.into_iter().flat_map(|at| track.verified(at)));
    lessons.extend(track.end(TTL_MS));
    book.learn(&lessons);
}

#[test]
fn the_prior_gives_the_probabilities_that_it_was_made_from() {
    let estimates = Estimates::prior();
    let at = |age_ms| decide(&estimates, &Observer::default(), age_ms);
    assert!((at(10_000).text - 0.773).abs() < 0.001, "{:?}", at(10_000));
    assert!((at(20_000).text - 0.6363).abs() < 0.0005, "{:?}", at(20_000));
    let needless = Outlook::silent(&estimates).points(20_000)[0].needless;
    assert!((needless - 0.457).abs() < 0.03, "{needless}");
}

#[test]
fn a_system_that_knows_nothing_waits_about_as_long_as_an_expert_would() {
    let estimates = Estimates::prior();
    let silent = |price| call_at(plan(&estimates, &Observer::default(), 0, price, &Costs::BALANCED));
    assert_eq!(silent(10_000), Some(10_000));
    assert_eq!(silent(25_000), Some(14_000));
    assert_eq!(silent(160_000), Some(26_000));
    assert_eq!(call_at(decide(&estimates, &reported(&estimates), 5_000)), Some(25_000));
}

#[test]
fn the_presets_lie_apart() {
    let at = |costs| call_at(plan(&Estimates::prior(), &Observer::default(), 0, PRICE, &costs)).unwrap();
    assert!(at(Costs::EAGER) < at(Costs::BALANCED));
    assert!(at(Costs::BALANCED) < at(Costs::THRIFTY));
}

#[test]
fn a_silent_outage_is_answered_within_ten_messages_and_its_end_too() {
    let mut book = nothing_learned();
    (0..300).for_each(|i| teach(&mut book, Some(3_000 + i % 5 * 1000), Some(12_000 + i % 7 * 1000), None));
    let plan_now = |book: &Insight| call_at(decide(&book.estimates(), &Observer::default(), 0)).unwrap();
    let usual = plan_now(&book);
    assert!(usual >= 12_000, "{usual}");
    for _ in 0..10 {
        let at = plan_now(&book).min(20_000);
        teach(&mut book, None, Some(at + 25_000), Some(at));
    }
    assert!(plan_now(&book) <= 8_000, "{}", plan_now(&book));
    let route = book.stats(Key::Route(ROUTE)).unwrap();
    assert!(route.doubt(Check::FirstEvent) > 0.9);
    let standing = RouteSummary::new(Some(route), &book.estimates(), PRICE, &Costs::BALANCED);
    assert!(standing.to_string().contains("alarm: less news"), "{standing}");
    (0..10).for_each(|_| teach(&mut book, Some(3_000), Some(12_000), None));
    assert!(book.stats(Key::Route(ROUTE)).unwrap().doubt(Check::FirstEvent) < 0.1);
}

#[test]
fn a_report_is_believed_as_far_as_codes_follow() {
    let book = |verifies: fn(u32) -> bool| {
        let mut book = nothing_learned();
        (0..300).for_each(|i| teach(&mut book, Some(5_000), verifies(i).then_some(14_000), None));
        book
    };
    let plan_now = |book: &Insight| {
        let estimates = book.estimates();
        call_at(decide(&estimates, &reported(&estimates), 5_000))
    };
    assert_eq!(plan_now(&book(|i| i % 50 != 0)), None);
    let fakes = book(|i| i % 2 == 0);
    assert!(plan_now(&fakes).unwrap() <= 25_000);
    let estimates = fakes.estimates();
    let standing = RouteSummary::new(fakes.stats(Key::Route(ROUTE)), &estimates, PRICE, &Costs::BALANCED);
    assert!(standing.to_string().contains("50 % of those never enter the code"), "{standing}");
}

#[test]
fn calls_that_nobody_needed_teach_that_some_people_never_answer() {
    let calls = |saved: fn(u32) -> bool| {
        let mut book = nothing_learned();
        for i in 0..200 {
            let wanted = i % 10 != 0;
            let verified = if wanted { Some(14_000) } else { saved(i).then_some(60_000) };
            teach(&mut book, Some(5_000), verified, (!wanted).then_some(35_000));
        }
        book.estimates()
    };
    let (none, all) = (calls(|_| false), calls(|_| true));
    let need = |estimates: &Estimates| decide(estimates, &reported(estimates), 35_000).need;
    assert!(need(&none) < need(&all) / 2.0, "{} {}", need(&none), need(&all));
}

#[test]
fn a_route_leans_on_its_country_and_the_world_until_it_knows_better() {
    let mut book = nothing_learned();
    (0..500).for_each(|_| teach(&mut book, Some(3_000), Some(9_000), None));
    let [world, country, route] = Key::of(COUNTRY, ROUTE).map(|key| book.stats(key));
    let reported = |country, route| Estimates::new(world, country, route).hazard(Curve::Delivered)[1];
    let prior = Estimates::prior().hazard(Curve::Delivered)[1];
    let (own, sibling, stranger) = (reported(country, route), reported(country, None), reported(None, None));
    assert!(own > sibling && sibling > stranger && stranger > prior, "{own} {sibling} {stranger} {prior}");
}

#[test]
fn a_call_that_only_the_route_explains_says_so() {
    let mut book = nothing_learned();
    (0..100).for_each(|_| teach(&mut book, None, None, Some(20_000)));
    let early = decide(&book.estimates(), &Observer::default(), 8_000);
    assert_eq!((early.next, early.is_route_unreliable), (Next::Call, true));
    let late = decide(&Estimates::prior(), &Observer::default(), 20_000);
    assert_eq!((late.next, late.is_route_unreliable), (Next::Call, false));
}

#[test]
fn who_asks_again_is_there_and_is_called_when_the_second_text_fails_too() {
    let estimates = Estimates::prior();
    let mut track = Observer::start(&estimates, None).0;
    track.resend(10_000);
    let decision = decide(&estimates, &track, 10_000);
    assert_eq!(decision.no_intent, 0.0);
    let at = call_at(decision).unwrap();
    assert_eq!(decide(&estimates, &track, at).kind, AdviceReason::Resend);
}

#[test]
fn a_call_is_told_in_words_and_numbers() {
    let carrier = Carrier::from_code(310_150);
    let call = decide(&Estimates::prior(), &Observer::default(), 16_000);
    let told = Weighed { samples: [900, 80, 30], ..Weighed::of(&call, carrier) };
    let numbers =
        Weighed { soon: 36, text: 300, need: 600, wait_cost_u: Some(9_100), call_cost_u: Some(8_000), ..told };
    assert_eq!(
        explain(&numbers),
        "Called at 16 s: of the codes still missing at 16 s on 310-150, 4 % would have come within 10 s, 33 % at all; \
         waiting on would cost 0.9 cents, calling 0.8 (from 30 verifications there, 80 in the country, 900 in all)."
    );
    let reported = Weighed { reported_ms_ago: Some(12_000), carrier: None, ..numbers };
    assert!(explain(&reported).contains("missing 12 s after a report of delivery on networks like this, 4 %"));
    let lost = failed(&Estimates::prior(), &Observer::default(), 3_000, PRICE, &Costs::BALANCED);
    let start = "Called at 3 s: the text is known to be lost, so nothing comes of waiting on 310-150 (from 0";
    assert!(explain(&Weighed::of(&lost, carrier)).starts_with(start), "{}", explain(&Weighed::of(&lost, carrier)));
    let late = Weighed::of(&decide(&Estimates::prior(), &Observer::default(), 110_000), carrier);
    assert!(explain(&late).contains("no news for 110 s on 310-150"), "{}", explain(&late));
    assert!(explain(&late).contains("calling costs "), "{}", explain(&late));
}

#[test]
fn a_route_is_told_in_words_and_numbers() {
    let told = |teach: &dyn Fn(&mut Insight)| {
        let mut book = nothing_learned();
        teach(&mut book);
        let (node, estimates) = (book.stats(Key::Route(ROUTE)), book.estimates());
        RouteSummary::new(node, &estimates, PRICE, &Costs::BALANCED).to_string()
    };
    let fake = told(&|book| {
        for n in 0..200 {
            let is_true = n % 10 < 3;
            teach(book, Some(4_000), is_true.then_some(12_000), (!is_true).then_some(40_000));
        }
    });
    let never: u32 = fake.split("reports delivery, but ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((60..=75).contains(&never) && fake.contains("of those never enter the code"), "{fake}");
    let missing = told(&|book| (0..200).for_each(|_| teach(book, None, Some(9_000), None)));
    assert!(missing.contains("reports are missing") && !missing.contains("never enter"), "{missing}");
    let good = told(&|book| (0..200).for_each(|_| teach(book, Some(4_000), Some(9_000), None)));
    for word in ["missing", "never enter", "alarm"] {
        assert!(!good.contains(word), "{good}");
    }
    assert!(told(&|_| ()).starts_with("not used yet"));
}

#[test]
fn an_early_route_is_probed_now_and_then() {
    let mut book = nothing_learned();
    (0..60).for_each(|_| teach(&mut book, None, None, Some(6_000)));
    let mut probes = 0;
    for _ in 0..96 {
        let estimates = book.estimates();
        let (track, lessons) = start(&estimates, PRICE, &Costs::BALANCED);
        let decision = decide(&estimates, &track, 0);
        assert_eq!(decision.is_probe, call_at(decision) == Some(30_000));
        probes += usize::from(decision.is_probe);
        lessons.into_iter().filter(|l| *l == Lesson::Early).for_each(|l| book.learn(&[l]));
    }
    assert_eq!(probes, 4);
}

// ---- properties

fn any_lesson() -> impl Strategy<Value = Lesson> {
    let curve = prop::sample::select(vec![
        Curve::Verified,
        Curve::Delivered,
        Curve::VerifiedAfterDelivered,
        Curve::VerifiedAfterResend,
    ]);
    let check = prop::sample::select(vec![Check::FirstEvent, Check::Conversion]);
    prop_oneof![
        2 => Just(Lesson::Started),
        6 => (curve.clone(), 0..=BUCKETS as u8).prop_map(|(curve, to)| Lesson::Survived { curve, from: 0, to }),
        6 => (curve, 0..BUCKETS as u8).prop_map(|(curve, bucket)| Lesson::Happened { curve, bucket }),
        2 => (check, any::<bool>(), 0.0..1.0_f32).prop_map(|(check, hit, p)| Lesson::Checked { check, hit, p }),
        1 => (-5.0..5.0_f32, 0.0..99.0_f32).prop_map(|(share, weight)| Lesson::Called { share, weight }),
        1 => Just(Lesson::Early),
    ]
}

fn taught(level: Level, lessons: &[Lesson]) -> RouteStats {
    let mut node = RouteStats::new(level);
    lessons.iter().for_each(|lesson| node.apply(*lesson));
    node
}

fn any_estimates() -> impl Strategy<Value = Estimates> {
    vec(any_lesson(), 0..400).prop_map(|lessons| {
        let [world, country, route] =
            [Level::World, Level::Country, Level::Route].map(|level| Some(taught(level, &lessons)));
        Estimates::new(world.as_ref(), country.as_ref(), route.as_ref())
    })
}

fn any_track() -> impl Strategy<Value = Observer> {
    (any::<bool>(), proptest::option::of(0..90_000_u32), proptest::option::of(0..90_000_u32)).prop_map(
        |(early, reported, resent)| {
            let estimates = Estimates::prior();
            let mut track = Observer::start(&estimates, Some(if early { 4_000 } else { 20_000 })).0;
            reported.into_iter().for_each(|at| drop(track.delivered(at, &estimates)));
            resent.into_iter().for_each(|at| drop(track.resend(at)));
            track
        },
    )
}

proptest! {
    #[test]
    fn nothing_learned_makes_a_plan_that_is_not_finite_too_early_or_too_late(
        estimates in any_estimates(), track in any_track(), age_ms in 0..600_000_u32, price in 0..500_000_u64,
    ) {
        let decision = plan(&estimates, &track, age_ms, price, &Costs::BALANCED);
        for share in [decision.text, decision.soon, decision.need, decision.no_intent] {
            prop_assert!((-1e-9..=1.0 + 1e-9).contains(&share), "{decision:?}");
        }
        prop_assert!(!decision.call_cost.is_nan() && !decision.wait_cost.is_nan());
        prop_assert!(decision.call_cost.is_finite() || decision.wait_cost.is_finite());
        match call_at(decision) {
            Some(at) => prop_assert!(at >= 8_000 && at >= age_ms),
            None => prop_assert!(track.reported_ms.is_some()),
        }
        if track.reported_ms.is_none_or(|at| at > age_ms) {
            prop_assert!(call_at(decision).is_some_and(|at| at <= 120_000.max(age_ms)), "{decision:?}");
        }
    }

    #[test]
    fn a_dearer_call_never_comes_earlier(
        estimates in any_estimates(), track in any_track(), price in 0..200_000_u64, more in 0..200_000_u64,
    ) {
        let at = |price| call_at(plan(&estimates, &track, 0, price, &Costs::BALANCED)).unwrap_or(u32::MAX);
        prop_assert!(at(price) <= at(price + more));
    }

    #[test]
    fn lessons_of_one_second_may_come_in_another_order(
        before in vec(any_lesson(), 0..300), (batch, shuffled) in vec(any_lesson(), 0..24).prop_flat_map(|batch| {
            (Just(batch.clone()), Just(batch).prop_shuffle())
        }),
    ) {
        let starts = batch.iter().filter(|l| **l == Lesson::Started).count();
        prop_assume!(starts <= 4);
        let of = |batch: &[Lesson]| {
            let route = taught(Level::Country, &[&before[..], batch].concat());
            Estimates::new(None, None, Some(&route))
        };
        let (one, other) = (of(&batch), of(&shuffled));
        for curve in [Curve::Verified, Curve::Delivered, Curve::VerifiedAfterDelivered, Curve::VerifiedAfterResend] {
            for (a, b) in one.hazard(curve).iter().zip(other.hazard(curve)) {
                prop_assert!((a - b).abs() < 0.005, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_packed_node_is_small_and_comes_back(lessons in vec(any_lesson(), 0..300)) {
        let node = taught(Level::Route, &lessons);
        let bytes = node.to_bytes();
        prop_assert!(bytes.len() <= 2048);
        prop_assert_eq!(RouteStats::from_bytes(&bytes), Some(node));
    }
}
