//! What a decision costs: `cargo bench --bench decide`. `docs/escalation.md` has the figures beside their goals.
#![allow(clippy::expect_used, reason = "a bench that cannot begin has nothing to measure")]

use std::time::Duration;

use divan::{Bencher, black_box};
use phlo_2fa::phone::{Carrier, PhoneNumber};
use phlo_2fa::replay::{Named, generate, play};
use phlo_2fa::route_model::Costs;
use phlo_2fa::route_model::Insight;
use phlo_2fa::route_model::RouteKnowledge;
use phlo_2fa::route_model::curves::Key;
use phlo_2fa::route_model::planner::{plan, start};
use phlo_2fa::route_model::stats::RouteStats;
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::event::{Facts, TextReport};
use phlo_2fa::verification::state::Details;
use phlo_2fa::verification::{Code, Event, Mode, Request, Rules, Verification, VerificationId, decide, open};

const PRICE_U: u64 = 25_000;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn main() {
    divan::main();
}

/// A route that a few hundred verifications have taught, each by a report and a code.
fn taught() -> Insight {
    let number = number();
    let keys = Insight::keys(number.country(), Carrier::from_code(310_260));
    let mut insight = Insight::new(keys.into_iter().map(|key: Key| (key, None)).collect(), PRICE_U);
    for nth in 0..300 {
        let estimates = insight.estimates();
        let (mut track, lessons) = start(&estimates, PRICE_U, &Costs::BALANCED);
        insight.learn(&lessons);
        insight.learn(&track.delivered(3_000 + nth * 17 % 5_000, &estimates));
        insight.learn(&track.verified(9_000 + nth * 31 % 20_000));
    }
    insight
}

fn node() -> RouteStats {
    let insight = taught();
    let lesson = start(&insight.estimates(), PRICE_U, &Costs::BALANCED).1;
    let mut node = RouteStats::new(Key::Route(310_260).level());
    (0..300).flat_map(|_| &lesson).for_each(|lesson| node.apply(*lesson));
    node
}

fn number() -> PhoneNumber {
    PhoneNumber::parse("+14155550112").expect("a number")
}

/// The decision alone: of a silent text at its start, and of one that was reported 5 s ago.
#[divan::bench(args = [false, true])]
fn plan_one(bencher: Bencher, is_reported: bool) {
    let estimates = taught().estimates();
    let (mut track, _) = start(&estimates, PRICE_U, &Costs::BALANCED);
    let age_ms = if is_reported { 10_000 } else { 0 };
    if is_reported {
        track.delivered(5_000, &estimates);
    }
    bencher.bench_local(|| plan(black_box(&estimates), black_box(&track), age_ms, PRICE_U, &Costs::BALANCED));
}

/// What is read off three nodes before it.
#[divan::bench]
fn estimates(bencher: Bencher) {
    let insight = taught();
    bencher.bench_local(|| black_box(&insight).estimates());
}

fn opened() -> (Verification, Rules) {
    let rules = Rules { insight: taught(), policy: "adaptive".parse().expect("a policy"), ..Rules::default() };
    let request = Request {
        id: VerificationId::new(7, 7),
        app: "shop".into(),
        to: number(),
        mode: Mode::Auto,
        policy: None,
        ttl: None,
        calls_allowed: true,
        carrier_guess: Carrier::from_code(310_260),
        code: Code::parse("042917").expect("a code"),
        guesses: Default::default(),
        details: Details::default(),
    };
    (open(request, &rules, START).after, rules)
}

/// One whole event, as a callback brings it: the text is delivered, which is learned, and the call is planned anew.
#[divan::bench]
fn decide_event(bencher: Bencher) {
    let (v, rules) = opened();
    let report = TextReport::Delivered;
    let event = Event::TextReported { attempt: 0, report, provider_id: None, facts: Facts::default() };
    let now = START + Duration::from_secs(5);
    bencher.bench_local(|| decide(black_box(&v), &event, &rules, now));
}

#[divan::bench]
fn node_to_bytes(bencher: Bencher) {
    let node = node();
    bencher.bench_local(|| black_box(&node).to_bytes());
}

#[divan::bench]
fn node_from_bytes(bencher: Bencher) {
    let bytes = node().to_bytes();
    bencher.bench_local(|| RouteStats::from_bytes(black_box(&bytes)));
}

/// The day that `replay` makes up, 20,000 rows.
#[divan::bench(args = ["never", "fixed+fail:30", "adaptive"], sample_count = 3, sample_size = 1)]
fn replay_20_000(bencher: Bencher, policy: &str) {
    let trace = generate(1, 20_000);
    let named: Named = policy.parse().expect("a policy");
    bencher.bench_local(|| play(&trace, named.player().as_mut()));
}
