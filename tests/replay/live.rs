//! The live service and the replay decide alike.
//!
//! Both get the same events of the same verifications. They call at the same moments and learn the same statistics of
//! every route, to the last bit. The service gets its events through the engine, and its own timers wake it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Setup, TestApp};
use flate2::read::GzDecoder;
use phlo_2fa::engine::{Creation, Target};
use phlo_2fa::escalation::CallEnd;
use phlo_2fa::learner::Learner;
use phlo_2fa::phone::{Carrier, PhoneNumber};
use phlo_2fa::replay::adaptive::AdaptivePlayer;
use phlo_2fa::replay::player::{PlayReason, PlayedEvent, Player, PlayerRequest, RouteFacts};
use phlo_2fa::replay::{FinalReport, PlayedCall, PlayedPolicy, Trace, TraceRow, play};
use phlo_2fa::route_model::{Costs, Key, RouteStats};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{
    AttemptIndex, CallReport, Channel, Code, CostOverrides, Details, Event, FailureClass, Mode, ReportFacts,
    TextReport, Verification, VerificationId,
};

const CODE: &str = "8675309";
/// The price of a call before any was billed, in the service and in the rows.
const CALL_PRICE_U: u64 = 25_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_service_calls_when_the_replay_says_in_every_row_and_learns_the_same() {
    let env = vec![
        ("ESCALATION", "adaptive".into()),
        ("CODE_TTL", "600".into()),
        ("RESEND_COOLDOWN", "0".into()),
        ("MAX_ATTEMPTS", "20".into()),
        ("LOG_FORMAT", "json".into()),
        // Its credits come in batches of a quarter of a second, and the test waits for all work after each event.
        ("LIMIT_UNVERIFIED", "none".into()),
    ];
    // The local Plivo accepts every request, and its reports go to an address that does not answer.
    let nowhere = Some("http://127.0.0.1:9".into());
    let app = TestApp::spawn_with(Setup { env, speed: 1000.0, canvas_url: nowhere, ..Setup::default() }).await;
    let start = app.clock.now().await.unwrap();
    let learner = Arc::clone(&app.learner);
    let mut trace = rows(1000);
    for row in &mut trace.rows {
        row.teacher = learner.teacher("demo", learner.prefix_hash(&number(row.route, row.id)), None);
    }
    let mut policy = AdaptivePlayer::new(Costs::BALANCED).starting_at(u64::try_from(start.as_millis()).unwrap());
    let replayed = play(&trace, &mut policy);
    let named = "adaptive".parse::<PlayedPolicy>().unwrap();
    assert_eq!(replayed, play(&trace, named.player(&CostOverrides::default()).as_mut()));
    let service_learner = Arc::clone(&learner);
    let live = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Handle::current();
        let (open, called) = (HashMap::new(), HashSet::new());
        let mut service = Service { app, learner: service_learner, start, runtime, open, called };
        play(&trace, &mut service)
    });
    let live = live.await.unwrap();
    let ages = |calls: &[Option<PlayedCall>]| calls.iter().map(|call| call.map(|call| call.age_ms)).collect::<Vec<_>>();
    let (replayed, live) = (ages(&replayed), ages(&live));
    let differing: Vec<_> = replayed.iter().zip(&live).enumerate().filter(|(_, (a, b))| a != b).collect();
    assert!(replayed.iter().filter(|call| call.is_some()).count() > 100);
    assert!(differing.is_empty(), "{} of {}: {:?}", differing.len(), live.len(), &differing[..differing.len().min(9)]);
    let learned: BTreeMap<Key, RouteStats> =
        learner.all_stats().await.unwrap().into_iter().map(|(key, _, node)| (key, node)).collect();
    let expected: BTreeMap<Key, RouteStats> = policy.book().nodes().map(|(key, node)| (key, node.clone())).collect();
    assert_eq!(learned.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let other: Vec<_> = expected.iter().filter(|(key, node)| learned[key] != **node).collect();
    let other: Vec<_> = other.into_iter().map(|(key, node)| (key, node, &learned[key])).collect();
    assert!(other.is_empty(), "route, replayed, learned: {other:#?}");
}

/// The live service as a player.
struct Service {
    app: TestApp,
    learner: Arc<Learner>,
    start: Timestamp,
    runtime: tokio::runtime::Handle,
    open: HashMap<u64, VerificationId>,
    called: HashSet<u64>,
}

impl Player for Service {
    fn on_event(&mut self, id: u64, facts: &RouteFacts, event: PlayedEvent, at_ms: u64, age_ms: u64) -> PlayerRequest {
        let runtime = self.runtime.clone();
        runtime.block_on(self.apply(id, facts, event, at_ms, age_ms))
    }
}

impl Service {
    async fn apply(
        &mut self,
        id: u64,
        facts: &RouteFacts,
        played: PlayedEvent,
        at_ms: u64,
        age_ms: u64,
    ) -> PlayerRequest {
        let engine = &self.app.engine;
        let now = self.app.clock.now().await.unwrap();
        self.app.clock.advance((self.start + Duration::from_millis(at_ms)).since(now));
        let carrier = Carrier::from_code(facts.route);
        if played == PlayedEvent::Started {
            let to = number(facts.route, id);
            // Two numbers of the prefix report its network.
            self.learner.note_carrier(&number(facts.route, id + 1), carrier.unwrap());
            self.learner.note_carrier(&to, carrier.unwrap());
            let created = engine.create(creation(to)).await.unwrap();
            self.open.insert(id, created.applied.verification.id);
        }
        let v = engine.read(Target::Proved(self.open[&id])).await.unwrap().verification;
        let facts = ReportFacts { carrier, cost_u: None };
        let text = |report| Event::TextReported { attempt: AttemptIndex::FIRST, report, provider_id: None, facts };
        let lost = TextReport::Undelivered { error_code: Some("30".into()), class: FailureClass::Permanent };
        let event = match played {
            PlayedEvent::Started => None,
            PlayedEvent::Verified => Some(Event::CodeSubmitted(Code::parse(CODE).unwrap())),
            PlayedEvent::Delivered => Some(text(TextReport::Delivered)),
            PlayedEvent::Failed => Some(text(lost)),
            PlayedEvent::Sent => Some(text(TextReport::Sent)),
            PlayedEvent::ResendRequested => Some(Event::AttemptRequested(Channel::Sms)),
            PlayedEvent::CallKnown { is_answered } => call(&v).map(|attempt| {
                let ended = CallReport::Ended { end: CallEnd::Rejected, cause: None };
                let report = if is_answered { CallReport::Answered } else { ended };
                Event::CallReported { attempt, report, provider_id: None, facts: ReportFacts::default() }
            }),
            PlayedEvent::Timer => Some(Event::Tick),
        };
        if let Some(event) = event {
            engine.apply(Target::Proved(v.id), vec![event]).await.unwrap();
        }
        self.app.settled().await;
        let v = engine.read(Target::Proved(v.id)).await.unwrap().verification;
        let after = |at: Timestamp| {
            age_ms + u64::try_from(at.since(self.start + Duration::from_millis(at_ms)).as_millis()).unwrap()
        };
        let due = v.due().filter(|_| !v.is_final()).map(after);
        // The service's own timers may have been faster than this tick.
        if call(&v).is_some() && self.called.insert(id) {
            return PlayerRequest::Call { reason: PlayReason::Hazard, wake_ms: due };
        }
        due.map_or(PlayerRequest::Nothing, |age_ms| PlayerRequest::WakeAt { age_ms })
    }
}

fn call(v: &Verification) -> Option<AttemptIndex> {
    v.indexes().zip(&v.attempts).find(|(_, a)| a.channel == Channel::Call).map(|(attempt, _)| attempt)
}

/// A number with its network's own prefix, because the service assumes one network per prefix; never a scenario number.
fn number(route: u32, id: u64) -> PhoneNumber {
    PhoneNumber::parse(&format!(
        "+1{}{:07}",
        212 + u64::from(route == 0),
        2_000_000 + u64::from(route % 300) * 10_000 + 5_000 + id
    ))
    .unwrap()
}

fn creation(to: PhoneNumber) -> Creation {
    Creation {
        app: "demo".into(),
        code: Code::parse(CODE),
        code_length: None,
        to,
        mode: Mode::Auto,
        policy: None,
        ttl: None,
        calls_allowed: true,
        details: Details::default(),
        metadata: Default::default(),
        is_resend: false,
        seed: None,
    }
}

/// The first rows of the training trace, with one country and one price of a call.
fn rows(many: usize) -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces-train.csv.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut trace = Trace::parse(&text).unwrap();
    // After a resend the service does not call when the first text fails, because the second may arrive. A trace has
    // one report only.
    trace.rows.retain(|row| row.report != Some(FinalReport::Failed) || row.resend_ms > row.dlr_ms);
    trace.rows.truncate(many);
    trace.rows.iter_mut().for_each(|row: &mut TraceRow| (row.cc, row.call_price_u) = (*b"US", CALL_PRICE_U));
    trace
}
