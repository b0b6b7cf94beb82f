//! One verification in a test, with the decision about its last event. Every change goes through `open` and `decide`.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use phlo_2fa::escalation::{CallEnd, Reason};
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::{
    self, CALL_PRICE_U, Costs, Estimates, Insight, Key, Lesson, Observation, RouteKnowledge, TTL_MS, Teacher,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{
    Answer, AttemptIndex, AttemptStatus, Barred, CallReport, CallbackNonce, Channel, Code, Context, Decision, Effect,
    Event, FailureClass, Join, Lookup, Mode, NewSession, RefusalScope, ReportFacts, Request, Rules, SessionIndex,
    Status, TextReport, TriggerOutcome, Verification, VerificationId, Via, decide, open,
};

/// A number that may be a mobile. Reading one is slow.
pub static NUMBER: LazyLock<PhoneNumber> = LazyLock::new(|| PhoneNumber::parse("+14155550112").unwrap());

/// When every story begins.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The right code of every story.
pub const RIGHT: &str = "042917";

/// One verification and the last decision about it.
#[derive(Clone, Debug)]
pub struct Story {
    pub v: Verification,
    pub rules: Rules,
    pub insight: Insight,
    pub barred: Vec<Barred>,
    /// Whose the customer's requests are.
    pub session: SessionIndex,
    pub now: Timestamp,
    pub effects: Vec<Effect>,
    pub lessons: Vec<Lesson>,
    pub answer: Answer,
}

/// One event, or the events of one callback.
pub trait IntoEvents {
    fn into_events(self) -> Vec<Event>;
}

impl IntoEvents for Event {
    fn into_events(self) -> Vec<Event> {
        vec![self]
    }
}

impl IntoEvents for Vec<Event> {
    fn into_events(self) -> Vec<Event> {
        self
    }
}

impl Story {
    /// Opens one under the default rules and a policy.
    pub fn new(mode: Mode, policy: &str) -> Self {
        Self::with(Rules::default(), |request| {
            request.mode = mode;
            request.policy = Some(policy.parse().unwrap());
        })
    }

    /// Opens one on a route of which nothing is known, after changing the request.
    pub fn with(rules: Rules, change: impl FnOnce(&mut Request)) -> Self {
        Self::on_route(Insight::default(), rules, change)
    }

    /// Opens one on a route, after changing the request.
    pub fn on_route(insight: Insight, rules: Rules, change: impl FnOnce(&mut Request)) -> Self {
        let mut request = Request::new(VerificationId::new(7, 7), "shop", NUMBER.clone(), code(RIGHT));
        change(&mut request);
        let session = SessionIndex::FIRST;
        let context = Context { now: START, insight: &insight, barred: &[], session };
        let Decision { after, effects, lessons, answer } = open(request, &rules, &context);
        Self { v: after, rules, insight, barred: Vec::new(), session, now: START, effects, lessons, answer }
    }

    /// Applies one event, or those of one callback, at a second after the start.
    pub fn at(&mut self, second: u64, events: impl IntoEvents) -> &mut Self {
        self.at_ms(second * 1000, events)
    }

    /// The same, to the millisecond.
    pub fn at_ms(&mut self, ms: u64, events: impl IntoEvents) -> &mut Self {
        self.now = START + Duration::from_millis(ms);
        let context = Context { now: self.now, insight: &self.insight, barred: &self.barred, session: self.session };
        let Decision { after, effects, lessons, answer } =
            decide(&self.v, &events.into_events(), &self.rules, &context);
        (self.v, self.effects, self.lessons, self.answer) = (after, effects, lessons, answer);
        self
    }

    /// The statuses of all attempts.
    pub fn attempts(&self) -> Vec<AttemptStatus> {
        self.v.attempts.iter().map(|a| a.status).collect()
    }

    /// Why the next call is planned, and how many milliseconds after the start.
    pub fn next(&self) -> Option<(u64, Reason)> {
        self.v.next_call().map(|call| (ms_after_start(call.at), call.reason))
    }

    /// The status, as last decided.
    pub fn status(&self) -> Status {
        self.v.status()
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

pub fn not_sent(attempt: u8) -> Event {
    Event::LookedUp { attempt: index(attempt), lookup: Lookup::NotSent }
}

pub fn deferred(attempt: u8, seconds: u64) -> Event {
    let retry_after = Duration::from_secs(seconds);
    triggered(attempt, TriggerOutcome::Deferred { provider_status: Some(503), retry_after, round: 0 })
}

pub fn waiting(attempt: u8, seconds: u64) -> Event {
    triggered(attempt, TriggerOutcome::Waiting { expected: Duration::from_secs(seconds), round: 0 })
}

pub fn triggered(attempt: u8, outcome: TriggerOutcome) -> Event {
    Event::Triggered { attempt: index(attempt), outcome }
}

pub fn text(attempt: u8, report: TextReport) -> Event {
    Event::TextReported { attempt: index(attempt), report, provider_id: None, facts: ReportFacts::default() }
}

pub fn undelivered(attempt: u8, error_code: &str, class: FailureClass) -> Event {
    text(attempt, TextReport::Undelivered { error_code: Some(error_code.into()), class })
}

pub fn failed(attempt: u8, error_code: &str, class: FailureClass) -> Event {
    text(attempt, TextReport::Failed { error_code: Some(error_code.into()), class })
}

pub fn text_refused(attempt: u8) -> Event {
    Event::TextRefused { attempt: index(attempt) }
}

pub fn call(attempt: u8, report: CallReport) -> Event {
    Event::CallReported { attempt: index(attempt), report, provider_id: None, facts: ReportFacts::default() }
}

pub fn ended(attempt: u8, end: CallEnd) -> Event {
    call(attempt, CallReport::Ended { end, cause: None })
}

pub fn call_continues(attempt: u8) -> Event {
    Event::CallContinues { attempt: index(attempt), provider_id: None }
}

/// A signed callback with its nonce, a hash of its content, its V2 nonce if it has one, and the events that it reports.
pub fn signed(nonce: u64, content: u64, v2_nonce: Option<u64>, events: Vec<Event>) -> Vec<Event> {
    // A verification keeps the upper half of each hash.
    let [nonce, content] = [nonce, content].map(|n| n << 32);
    let callback = CallbackNonce { nonce, content, v2_nonce: v2_nonce.map(|n| n << 32) };
    [vec![Event::SignedCallback(callback)], events].concat()
}

/// Another creation for the number and purpose.
pub fn joined(channel: Channel, is_test: bool) -> Event {
    // Never the same twice, because a second join of a session changes nothing. Tests of one process run at once.
    static NEXT: AtomicU32 = AtomicU32::new(1_000);
    Event::Joined(join(NEXT.fetch_add(1, Ordering::Relaxed), channel, is_test))
}

/// A creation whose session has this number for its id.
pub fn join(id: u32, channel: Channel, is_test: bool) -> Join {
    let session = NewSession { id: VerificationId::new(7, u128::from(id)), metadata: BTreeMap::new() };
    Join { channel, is_test, code: None, session: Some(session) }
}

/// The effect that requests an attempt from Plivo.
pub fn trigger(attempt: u8) -> Effect {
    Effect::Trigger { attempt: index(attempt) }
}

/// The attempt at a position.
pub fn index(position: u8) -> AttemptIndex {
    AttemptIndex::new(position)
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
    let (mut observer, _) = route_model::begin(&mut taught, &costs);
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

/// The lessons of one verification, on the estimates of its start.
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

    fn teacher(&self) -> Teacher {
        Teacher::default()
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        self.lessons.extend(lessons);
    }
}

fn nothing_learned() -> Insight {
    Insight::new(Key::of(0, COUNTRY, ROUTE).map(|key| (key, None)).into(), CALL_PRICE_U, Teacher::default())
}
