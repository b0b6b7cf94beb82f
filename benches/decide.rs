//! What a decision costs: `cargo bench --bench decide`. `docs/escalation.md` has the figures beside their goals.
#![allow(clippy::expect_used, reason = "a bench without its input has nothing to measure")]

use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use phlo_2fa::phone::{Carrier, PhoneNumber};
use phlo_2fa::replay::{PlayedPolicy, generate, play};
use phlo_2fa::route_model::{
    Costs, Estimates, Insight, Lesson, Level, Observation, RouteKnowledge, RouteStats, Teacher, ask, begin, see,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{
    AttemptIndex, Code, Context, CostOverrides, Details, Event, FailureClass, Mode, ReportFacts, Request, Rules,
    SessionIndex, TextReport, Verification, VerificationId, decide, open,
};

const PRICE_U: u64 = 25_000;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Teaches 300 verifications, each with a report and a code.
fn teach(learned: &mut impl RouteKnowledge) {
    for nth in 0..300 {
        let (mut observer, _) = begin(learned, &Costs::BALANCED);
        see(&mut observer, Observation::Delivered, 3_000 + nth * 17 % 5_000, learned);
        see(&mut observer, Observation::Verified, 9_000 + nth * 31 % 20_000, learned);
    }
}

fn taught_insight() -> Insight {
    let keys = Insight::keys(0, number().country(), Carrier::from_code(310_260));
    let mut insight = Insight::new(keys.into_iter().map(|key| (key, None)).collect(), PRICE_U, Teacher::default());
    teach(&mut insight);
    insight
}

fn taught_stats() -> RouteStats {
    let mut learned = OneRoute(RouteStats::new(Level::AppRoute));
    teach(&mut learned);
    learned.0
}

struct OneRoute(RouteStats);

impl RouteKnowledge for OneRoute {
    fn estimates(&self) -> Estimates {
        Estimates::new([None; 3], Some(&self.0))
    }

    fn call_price_u(&self) -> u64 {
        PRICE_U
    }

    fn teacher(&self) -> Teacher {
        Teacher::default()
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        lessons.iter().for_each(|lesson| self.0.apply(*lesson));
    }
}

/// Estimates that are computed once, so that only the decision is timed.
struct Prepared(Estimates);

impl RouteKnowledge for Prepared {
    fn estimates(&self) -> Estimates {
        self.0.clone()
    }

    fn call_price_u(&self) -> u64 {
        PRICE_U
    }

    fn teacher(&self) -> Teacher {
        Teacher::default()
    }

    fn learn(&mut self, _: &[Lesson]) {}
}

fn number() -> PhoneNumber {
    PhoneNumber::parse("+14155550112").expect("a number")
}

/// The decision alone: for a silent text at its start, and for one that was reported 5 s ago.
#[divan::bench(args = [false, true])]
fn plan_one(bencher: Bencher, is_reported: bool) {
    let mut learned = Prepared(taught_insight().estimates());
    let (mut observer, _) = begin(&mut learned, &Costs::BALANCED);
    let age_ms = if is_reported { 10_000 } else { 0 };
    if is_reported {
        see(&mut observer, Observation::Delivered, 5_000, &mut learned);
    }
    bencher.bench_local(|| ask(black_box(&observer), Observation::Time, age_ms, black_box(&learned), &Costs::BALANCED));
}

/// The estimates that a decision reads, from three levels of statistics.
#[divan::bench]
fn estimates(bencher: Bencher) {
    let insight = taught_insight();
    bencher.bench_local(|| black_box(&insight).estimates());
}

fn opened(rules: &Rules, insight: &Insight) -> Verification {
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
        metadata: Default::default(),
        is_told: false,
    };
    open(request, rules, &Context { now: START, insight, barred: &[], session: SessionIndex::FIRST }).after
}

/// One whole event of an open verification, 5 s after its start, with its allocations.
#[divan::bench(args = ["tick", "sent", "delivered", "lost", "wrong code", "right code"])]
fn decide_event(bencher: Bencher, event: &str) {
    let (insight, rules) =
        (taught_insight(), Rules { policy: "adaptive".parse().expect("a policy"), ..Rules::default() });
    let v = opened(&rules, &insight);
    let reported = |report| Event::TextReported {
        attempt: AttemptIndex::FIRST,
        report,
        provider_id: None,
        facts: ReportFacts::default(),
    };
    let event = match event {
        "tick" => Event::Tick,
        "sent" => reported(TextReport::Sent),
        "delivered" => reported(TextReport::Delivered),
        "lost" => reported(TextReport::Failed { error_code: Some("300".into()), class: FailureClass::Permanent }),
        "wrong code" => Event::CodeSubmitted(Code::parse("111111").expect("a code")),
        _ => Event::CodeSubmitted(Code::parse("042917").expect("a code")),
    };
    let context =
        Context { now: START + Duration::from_secs(5), insight: &insight, barred: &[], session: SessionIndex::FIRST };
    bencher.bench_local(|| decide(black_box(&v), std::slice::from_ref(&event), &rules, &context));
}

#[divan::bench]
fn stats_to_bytes(bencher: Bencher) {
    let stats = taught_stats();
    bencher.bench_local(|| black_box(&stats).to_bytes());
}

#[divan::bench]
fn stats_from_bytes(bencher: Bencher) {
    let bytes = taught_stats().to_bytes();
    bencher.bench_local(|| RouteStats::from_bytes(black_box(&bytes)));
}

/// The generated day of `replay`, 20,000 rows.
#[divan::bench(args = ["never", "fixed+fail:30", "adaptive"], sample_count = 3, sample_size = 1)]
fn replay_20_000(bencher: Bencher, policy: &str) {
    let trace = generate(1, 20_000);
    let named: PlayedPolicy = policy.parse().expect("a policy");
    bencher.bench_local(|| play(&trace, named.player(&CostOverrides::default()).as_mut()));
}
