//! A verification as a sequence of events, each at its second, and the decision that each brings.
//!
//! It uses `open` and `decide` alone: no engine, no store, no HTTP.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::LazyLock;
use std::time::Duration;

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::guard::Guesses;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::{
    self, CALL_PRICE_U, Costs, Estimates, Insight, Key, Lesson, Observation, RouteKnowledge, TTL_MS,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::Via;
use phlo_2fa::verification::event::{CallReport, Facts, FailureClass, RefusalScope, TextReport, TriggerOutcome};
use phlo_2fa::verification::state::Details;
use phlo_2fa::verification::{
    Answer, AttemptStatus, Code, Decision, Effect, Event, Mode, Request, Rules, Seen, Status, Verification,
    VerificationId, decide, open,
};

/// A number that may be a mobile. Shared, because parsing one is slow.
pub static NUMBER: LazyLock<PhoneNumber> = LazyLock::new(|| PhoneNumber::parse("+14155550112").unwrap());

/// The time of every creation.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The right code of every verification.
pub const RIGHT: &str = "042917";

/// One verification and the decision on its last event.
#[derive(Clone, Debug)]
pub struct Story {
    pub v: Verification,
    pub rules: Rules,
    pub now: Timestamp,
    pub effects: Vec<Effect>,
    pub lessons: Vec<Lesson>,
    pub answer: Answer,
}

impl Story {
    /// Creates a verification under the default rules and a policy.
    pub fn new(mode: Mode, policy: &str) -> Self {
        Self::with(Rules::default(), |request| {
            request.mode = mode;
            request.policy = Some(policy.parse().unwrap());
        })
    }

    /// Creates a verification from a changed request.
    pub fn with(rules: Rules, change: impl FnOnce(&mut Request)) -> Self {
        let mut request = Request {
            id: VerificationId::new(7, 7),
            app: "shop".into(),
            to: NUMBER.clone(),
            mode: Mode::Auto,
            policy: None,
            ttl: None,
            calls_allowed: true,
            carrier_guess: None,
            code: code(RIGHT),
            guesses: Guesses::default(),
            details: Details::default(),
        };
        change(&mut request);
        let Decision { after, effects, lessons, answer } = open(request, &rules, START);
        Self { v: after, rules, now: START, effects, lessons, answer }
    }

    /// Decides an event `seconds` after the creation.
    pub fn at(&mut self, seconds: u64, event: Event) -> &mut Self {
        self.at_ms(seconds * 1000, event)
    }

    /// Decides an event `ms` milliseconds after the creation.
    pub fn at_ms(&mut self, ms: u64, event: Event) -> &mut Self {
        self.now = START + Duration::from_millis(ms);
        let Decision { after, effects, lessons, answer } = decide(&self.v, &event, &self.rules, self.now);
        (self.v, self.effects, self.lessons, self.answer) = (after, effects, lessons, answer);
        self
    }

    /// The status of each attempt.
    pub fn attempts(&self) -> Vec<AttemptStatus> {
        self.v.attempts.iter().map(|a| a.status).collect()
    }

    /// The next planned call, in milliseconds after the creation, and its reason.
    pub fn next(&self) -> Option<(u64, Reason)> {
        self.v.next_call().map(|call| (ms_after_start(call.at), call.reason))
    }

    /// The status of the verification.
    pub fn status(&self) -> Status {
        self.v.status
    }
}

pub fn ms_after_start(at: Timestamp) -> u64 {
    u64::try_from(at.since(START).as_millis()).unwrap()
}

pub fn code(digits: &str) -> Code {
    Code::parse(digits).unwrap()
}

pub fn submit(digits: &str) -> Event {
    Event::CodeSubmitted(code(digits))
}

pub fn accepted(attempt: u8) -> Event {
    triggered(attempt, TriggerOutcome::Accepted { via: Via::Phlo, provider_id: None, run_id: None })
}

pub fn refused(attempt: u8, provider_status: u16, scope: RefusalScope) -> Event {
    triggered(attempt, TriggerOutcome::Refused { via: Via::Phlo, provider_status, scope })
}

pub fn timed_out(attempt: u8) -> Event {
    triggered(attempt, TriggerOutcome::TimedOut { via: Some(Via::Phlo) })
}

pub fn deferred(attempt: u8, seconds: u64) -> Event {
    let retry_after = Duration::from_secs(seconds);
    triggered(attempt, TriggerOutcome::Deferred { provider_status: Some(503), retry_after, round: 0 })
}

pub fn triggered(attempt: u8, outcome: TriggerOutcome) -> Event {
    Event::Triggered { attempt, outcome }
}

pub fn text(attempt: u8, report: TextReport) -> Event {
    Event::TextReported { attempt, report, provider_id: None, facts: Facts::default() }
}

pub fn undelivered(attempt: u8, error_code: &str, class: FailureClass) -> Event {
    text(attempt, TextReport::Undelivered { error_code: Some(error_code.into()), class })
}

pub fn failed(attempt: u8, error_code: &str, class: FailureClass) -> Event {
    text(attempt, TextReport::Failed { error_code: Some(error_code.into()), class })
}

pub fn call(attempt: u8, report: CallReport) -> Event {
    Event::CallReported { attempt, report, provider_id: None, facts: Facts::default() }
}

pub fn ended(attempt: u8, end: CallEnd) -> Event {
    call(attempt, CallReport::Ended { end, cause: None })
}

pub fn signed(nonce: u64, words: u64, also: Option<u64>, told: Vec<Event>) -> Event {
    // A verification keeps the upper half of each hash.
    let [nonce, words] = [nonce, words].map(|n| n << 32);
    Event::Signed { seen: Seen { nonce, told: words, also: also.map(|n| n << 32) }, told }
}

/// The insight into a route whose texts were delivered within 7 s, and one in five of those not verified.
pub static USUAL_ROUTE: LazyLock<Insight> = LazyLock::new(usual);

/// The insight into a route that delivered as usual until its last ten texts, which were lost without a report.
pub static BAD_ROUTE: LazyLock<Insight> = LazyLock::new(|| {
    let mut route = usual();
    (0..10).for_each(|_| teach(&mut route, None, Some(33_000), Some(8_000)));
    route
});

/// The insight into a route that reports texts as delivered, of which half are not verified.
pub static FAKE_ROUTE: LazyLock<Insight> = LazyLock::new(|| {
    let mut route = nothing_learned();
    (0..300).for_each(|i| teach(&mut route, Some(5_000), (i % 2 == 0).then_some(14_000), None));
    route
});

const COUNTRY: [u8; 2] = *b"US";
const ROUTE: u32 = 310_150;

fn usual() -> Insight {
    let mut route = nothing_learned();
    (0..300).for_each(|i| teach(&mut route, Some(3_000 + i % 5 * 1_000), (i % 5 > 0).then_some(15_000), None));
    route
}

/// Teaches one verification whose text was reported, whose code was entered and whose call was placed at these ages.
fn teach(route: &mut Insight, reported_ms: Option<u32>, verified_ms: Option<u32>, called_ms: Option<u32>) {
    let mut taught = Taught { estimates: route.estimates(), lessons: Vec::new() };
    let costs = Costs::BALANCED;
    let mut observer = route_model::begin(&mut taught, &costs);
    if let Some(at) = reported_ms {
        route_model::see(&mut observer, Observation::Delivered, at, &mut taught);
    }
    if let Some(at) = called_ms {
        // As if for a lost text: such a call says nothing about its own advice.
        route_model::called(&mut observer, true, at, &mut taught, &costs);
    }
    if let Some(at) = verified_ms {
        route_model::see(&mut observer, Observation::Verified, at, &mut taught);
    }
    route_model::see(&mut observer, Observation::Time, TTL_MS, &mut taught);
    route.learn(&taught.lessons);
}

/// What one verification has taught, on estimates that stay as they were at its start.
struct Taught {
    estimates: Estimates,
    lessons: Vec<Lesson>,
}

impl RouteKnowledge for Taught {
    fn estimates(&self) -> Estimates {
        self.estimates.clone()
    }

    fn call_price_u(&self) -> u64 {
        CALL_PRICE_U
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        self.lessons.extend(lessons);
    }
}

fn nothing_learned() -> Insight {
    Insight::new(Key::of(COUNTRY, ROUTE).map(|key| (key, None)).into(), CALL_PRICE_U)
}
