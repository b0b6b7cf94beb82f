//! What the adaptive policy does before it has learned anything, after outages and with faked reports.

mod properties;
mod sentences;
mod teachers;

use super::advice::{Advice, AdviceReason, Costs, Next};
use super::curves::{Curve, Key, RouteTest};
use super::estimates::Estimates;
use super::explain::RouteSummary;
use super::insight::{Insight, RouteKnowledge};
use super::lesson::Lesson;
use super::observer::{Observer, TTL_MS};
use super::outlook::Outlook;
use super::planner::{plan, start};
use super::stats::RouteStats;
use super::teacher::Teacher;

const APP: u32 = 7;
const PRICE: u64 = 25_000;
const COUNTRY: [u8; 2] = *b"US";
const ROUTE: u32 = 310_150;

fn nothing_learned() -> Insight {
    Insight::new(
        Key::of(APP, COUNTRY, ROUTE).map(|key| (key, None)).to_vec(),
        PRICE,
        Teacher { app: APP, ..Teacher::default() },
    )
}

fn stats(insight: &Insight, key: Key) -> Option<&RouteStats> {
    insight.find(|of| *of == key)
}

fn decide(estimates: &Estimates, observer: &Observer, age_ms: u32) -> Advice {
    plan(estimates, observer, age_ms, PRICE, &Costs::BALANCED)
}

fn call_at(advice: Advice) -> Option<u32> {
    match advice.next {
        Next::Call => Some(advice.age_ms),
        Next::WakeAt(at) => Some(at),
        Next::Never => None,
    }
}

/// A verification whose text is reported as delivered at 5 s.
fn reported(estimates: &Estimates) -> Observer {
    let mut observer = Observer::start(estimates, None).0;
    observer.record_delivered(5_000, estimates);
    observer
}

/// Teaches one whole verification, by the ages of its events.
fn teach(insight: &mut Insight, reported_ms: Option<u32>, verified_ms: Option<u32>, called_ms: Option<u32>) {
    let estimates = insight.estimates();
    let (mut observer, mut lessons, _) = start(&estimates, PRICE, &Costs::BALANCED);
    lessons.extend(reported_ms.into_iter().flat_map(|at| observer.record_delivered(at, &estimates)));
    if let Some(at) = called_ms {
        let advice = decide(&estimates, &observer, at);
        lessons.extend(observer.record_call(at, &estimates, Some(&advice)));
    }
    lessons.extend(verified_ms.into_iter().flat_map(|at| observer.record_verified(at)));
    lessons.extend(observer.end(TTL_MS));
    lessons.push(Lesson::Lived(observer.life(insight.teacher(), verified_ms.unwrap_or(TTL_MS), verified_ms.is_some())));
    insight.learn(&lessons);
}

#[test]
fn the_prior_gives_the_probabilities_that_it_was_fitted_to() {
    let estimates = Estimates::prior();
    let at = |age_ms| decide(&estimates, &Observer::default(), age_ms);
    assert!((at(10_000).text - 0.773).abs() < 0.001, "{:?}", at(10_000));
    assert!((at(20_000).text - 0.6363).abs() < 0.0005, "{:?}", at(20_000));
    let needless = Outlook::silent(&estimates).points(20_000)[0].needless;
    assert!((needless - 0.457).abs() < 0.03, "{needless}");
}

#[test]
fn without_statistics_a_dearer_call_waits_longer() {
    let estimates = Estimates::prior();
    let silent = |price| call_at(plan(&estimates, &Observer::default(), 0, price, &Costs::BALANCED));
    let after_report = call_at(decide(&estimates, &reported(&estimates), 5_000));
    assert_eq!((silent(10_000), silent(25_000), silent(160_000)), (Some(20_000), Some(20_000), Some(30_000)));
    assert_eq!(after_report, Some(31_000));
    let mut observer = Observer::start(&estimates, None).0;
    observer.record_delivered(1_000, &estimates);
    assert_eq!(call_at(decide(&estimates, &observer, 1_000)), Some(30_000), "not sooner, however early the report");
}

#[test]
fn eager_calls_before_balanced_and_balanced_before_thrifty() {
    let at = |costs| call_at(plan(&Estimates::prior(), &Observer::default(), 0, PRICE, &costs)).unwrap();
    assert!(at(Costs::EAGER) < at(Costs::BALANCED));
    assert!(at(Costs::BALANCED) < at(Costs::THRIFTY));
}

#[test]
fn a_silent_outage_is_detected_within_ten_messages_and_so_is_its_end() {
    let mut insight = nothing_learned();
    (0..300).for_each(|i| teach(&mut insight, Some(3_000 + i % 5 * 1000), Some(12_000 + i % 7 * 1000), None));
    let plan_now = |insight: &Insight| call_at(decide(&insight.estimates(), &Observer::default(), 0)).unwrap();
    let usual = plan_now(&insight);
    assert!(usual >= 12_000, "{usual}");
    for _ in 0..10 {
        let at = plan_now(&insight).min(20_000);
        teach(&mut insight, None, Some(at + 25_000), Some(at));
    }
    assert!(plan_now(&insight) <= 8_000, "{}", plan_now(&insight));
    let route = stats(&insight, Key::AppRoute(APP, ROUTE)).unwrap();
    assert!(route.doubt(RouteTest::FirstEvent) > 0.9);
    let summary = RouteSummary::new(Some(route), &insight.estimates(), PRICE, &Costs::BALANCED);
    assert!(summary.to_string().contains("Alarm: fewer texts than usual have a report or a code."), "{summary}");
    (0..10).for_each(|_| teach(&mut insight, Some(3_000), Some(12_000), None));
    assert!(stats(&insight, Key::AppRoute(APP, ROUTE)).unwrap().doubt(RouteTest::FirstEvent) < 0.1);
}

#[test]
fn a_delivery_report_delays_the_call_only_where_codes_follow_reports() {
    let taught = |verifies: fn(u32) -> bool| {
        let mut insight = nothing_learned();
        (0..300).for_each(|i| teach(&mut insight, Some(5_000), verifies(i).then_some(14_000), None));
        insight
    };
    let plan_now = |insight: &Insight| {
        let estimates = insight.estimates();
        call_at(decide(&estimates, &reported(&estimates), 5_000))
    };
    assert_eq!(plan_now(&taught(|i| i % 50 != 0)), None);
    let fakes = taught(|i| i % 2 == 0);
    assert!(plan_now(&fakes).unwrap() <= 25_000);
    let estimates = fakes.estimates();
    let summary = RouteSummary::new(stats(&fakes, Key::AppRoute(APP, ROUTE)), &estimates, PRICE, &Costs::BALANCED);
    assert!(
        summary.to_string().contains("The code of 47 % of the texts reported as delivered is never entered."),
        "{summary}"
    );
}

#[test]
fn calls_in_vain_teach_that_some_people_never_enter_a_code() {
    let calls = |saved: fn(u32) -> bool| {
        let mut insight = nothing_learned();
        for i in 0..200 {
            let wanted = i % 10 != 0;
            let verified = if wanted { Some(14_000) } else { saved(i).then_some(60_000) };
            teach(&mut insight, Some(5_000), verified, (!wanted).then_some(35_000));
        }
        insight.estimates()
    };
    let (none, all) = (calls(|_| false), calls(|_| true));
    let need = |estimates: &Estimates| decide(estimates, &reported(estimates), 35_000).need;
    assert!(need(&none) < need(&all) / 2.0, "{} {}", need(&none), need(&all));
}

#[test]
fn a_route_with_few_counts_follows_its_country_and_the_world() {
    let mut insight = nothing_learned();
    (0..40).for_each(|_| teach(&mut insight, Some(3_000), Some(9_000), None));
    let [world, country, route, own] = Key::of(APP, COUNTRY, ROUTE).map(|key| stats(&insight, key));
    let reported = |country, route, own| Estimates::new([world, country, route], own).hazard(Curve::Delivered)[1];
    let falling = [
        reported(country, route, own),
        reported(country, route, None),
        reported(country, None, None),
        reported(None, None, None),
        Estimates::prior().hazard(Curve::Delivered)[1],
    ];
    assert!(falling.is_sorted_by(|wider, narrower| wider > narrower), "{falling:?}");
}

#[test]
fn a_call_before_the_prior_would_call_marks_the_route_unreliable() {
    let mut insight = nothing_learned();
    (0..100).for_each(|_| teach(&mut insight, None, None, Some(20_000)));
    let early = decide(&insight.estimates(), &Observer::default(), 8_000);
    assert_eq!((early.next, early.is_route_unreliable), (Next::Call, true));
    let late = decide(&Estimates::prior(), &Observer::default(), 20_000);
    assert_eq!((late.next, late.is_route_unreliable), (Next::Call, false));
}

#[test]
fn after_a_resend_the_person_has_intent_and_the_call_names_the_resend() {
    let estimates = Estimates::prior();
    let mut observer = Observer::start(&estimates, None).0;
    observer.record_resend(10_000);
    let advice = decide(&estimates, &observer, 10_000);
    assert_eq!(advice.no_intent, 0.0);
    let at = call_at(advice).unwrap();
    assert_eq!(decide(&estimates, &observer, at).kind, AdviceReason::Resend);
}

#[test]
fn one_in_24_early_plans_is_a_probe() {
    let mut insight = nothing_learned();
    (0..60).for_each(|_| teach(&mut insight, None, None, Some(6_000)));
    let mut probes = 0;
    for _ in 0..96 {
        let estimates = insight.estimates();
        let (observer, lessons, _) = start(&estimates, PRICE, &Costs::BALANCED);
        let advice = decide(&estimates, &observer, 0);
        assert_eq!(advice.is_probe, call_at(advice) == Some(30_000));
        probes += usize::from(advice.is_probe);
        lessons
            .into_iter()
            .filter(|lesson| *lesson == Lesson::EarlyCallPlanned)
            .for_each(|lesson| insight.learn(&[lesson]));
    }
    assert_eq!(probes, 4);
}
