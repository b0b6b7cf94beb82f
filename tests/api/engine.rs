//! The engine between a decision and its effects: a client that disconnects meanwhile loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Setup, TestApp};
use async_trait::async_trait;
use futures_util::future::join_all;
use phlo_2fa::engine::{Creation, Target};
use phlo_2fa::guard::Guesses;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::Insight;
use phlo_2fa::store::{
    Claimed, Commit, CommitOutcome, Counters, Cursor, Erasure, ErasureOutcome, Increment, IncrementOutcome, Links,
    Memory, NonceClaim, NumberKey, PendingReport, Records, ReportTarget, Store, StoreError, StoredRecord, SwapOutcome,
    Values,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{
    AttemptIndex, AttemptRef, CallReport, Channel, Code, Context, Details, Effect, Event, Mode, ReportFacts, Request,
    Rules, TextReport, TriggerOutcome, Verification, VerificationId, decide, open,
};
use tokio::sync::{Notify, Semaphore};

/// The embedded store, whose answer to a commit can be held back, and which counts.
struct Held {
    memory: Memory,
    holds: AtomicBool,
    /// Holds the next commit back, and then answers that the record may be stale.
    is_stale: AtomicBool,
    committed: Notify,
    answers: Semaphore,
    conflicts: AtomicUsize,
}

impl Held {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::default(),
            holds: AtomicBool::new(false),
            is_stale: AtomicBool::new(false),
            committed: Notify::new(),
            answers: Semaphore::new(0),
            conflicts: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Records for Held {
    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        if self.is_stale.swap(false, Ordering::SeqCst) {
            self.committed.notify_one();
            let _answer = self.answers.acquire().await;
            return Ok(CommitOutcome::PossiblyStale);
        }
        let outcome = self.memory.commit(commit).await?;
        if outcome == CommitOutcome::Conflict {
            self.conflicts.fetch_add(1, Ordering::SeqCst);
        }
        if self.holds.swap(false, Ordering::SeqCst) {
            self.committed.notify_one();
            let _answer = self.answers.acquire().await;
        }
        Ok(outcome)
    }

    async fn load(&self, id: VerificationId) -> Result<Option<StoredRecord>, StoreError> {
        let stored = self.memory.load(id).await;
        // As long as a network takes, so that concurrent changes load the same revision.
        tokio::time::sleep(Duration::from_millis(5)).await;
        stored
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, StoredRecord)>, StoreError> {
        self.memory.load_many(ids).await
    }
    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        self.memory.newest(number).await
    }
    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        self.memory.guesses(number).await
    }
    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError> {
        self.memory.erase(erasure).await
    }
    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        self.memory.list(app, shard, before, limit).await
    }
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.memory.claim_due(now, lease, limit).await
    }
}

#[async_trait]
impl Counters for Held {
    async fn increment(
        &self,
        increments: &[Increment],
        unless_in_use: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<IncrementOutcome, StoreError> {
        self.memory.increment(increments, unless_in_use, now).await
    }
}

#[async_trait]
impl Links for Held {
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError> {
        self.memory.link(provider_id, to, ttl).await
    }
    async fn find_or_keep(&self, provider_id: &str, report: &PendingReport) -> Result<Option<AttemptRef>, StoreError> {
        self.memory.find_or_keep(provider_id, report).await
    }
    async fn claim_then_find_or_keep(
        &self,
        nonce: &NonceClaim,
        provider_id: &str,
        report: &PendingReport,
    ) -> Result<ReportTarget, StoreError> {
        self.memory.claim_then_find_or_keep(nonce, provider_id, report).await
    }
    async fn forget_pending(&self, provider_id: &str) -> Result<(), StoreError> {
        self.memory.forget_pending(provider_id).await
    }
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        self.memory.unlink(provider_id, of).await
    }
}

#[async_trait]
impl Values for Held {
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.memory.values(names).await
    }
    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError> {
        self.memory.compare_and_swap(name, before, after, ttl).await
    }
}

#[async_trait]
impl Store for Held {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.memory.now().await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.memory.ping().await
    }
}

fn creation(to: &str) -> Creation {
    Creation {
        app: "demo".into(),
        code: None,
        code_length: None,
        to: PhoneNumber::parse(to).unwrap(),
        mode: Mode::Auto,
        policy: None,
        ttl: None,
        calls_allowed: true,
        details: Details::default(),
    }
}

// The clock stands still in these tests, so no lease expires.

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_creation_is_committed_still_gets_its_text() {
    let store = Held::new();
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    store.holds.store(true, Ordering::SeqCst);
    let engine = app.engine.clone();
    let client = tokio::spawn(async move { engine.create(creation("+14155550100")).await.map(|_| ()) });
    store.committed.notified().await;
    client.abort();
    let _ = client.await;
    store.answers.add_permits(1);
    app.texted_code("0100").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_call_is_committed_still_gets_it() {
    let store = Held::new();
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    store.holds.store(true, Ordering::SeqCst);
    let (engine, id) = (app.engine.clone(), created.id().parse().unwrap());
    let client = tokio::spawn(async move {
        let events = vec![Event::AttemptRequested(Channel::Call)];
        engine.apply(Target::Proved(id), events).await.map(|_| ())
    });
    store.committed.notified().await;
    client.abort();
    let _ = client.await;
    store.answers.add_permits(1);
    app.spoken_code("0103").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_of_a_failover_that_another_replica_has_handled() {
    let store = Held::new();
    let replica = async || {
        let env = vec![("SECRET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned())];
        TestApp::spawn_with(Setup { store: Some(store.clone()), env, ..Setup::default() }).await
    };
    let (app, other) = (replica().await, replica().await);
    let created = app.create("0100").await;
    let code = app.texted_code("0100").await;
    app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    app.settled().await;
    store.is_stale.store(true, Ordering::SeqCst);
    let end = async {
        store.committed.notified().await;
        let id = created.id().parse().unwrap();
        other.engine.apply(Target::Proved(id), vec![Event::FailedOver]).await.map(|_| ()).unwrap();
        store.answers.add_permits(1);
    };
    let (answer, ()) = tokio::join!(app.check(created.id(), &code), end);
    answer.assert_problem(410, "verification_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_one_verification_cause_few_conflicts() {
    let store = Held::new();
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0100").await;
    app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    let wrong = crate::support::wrong(&app.texted_code("0100").await);
    let answers = join_all((0..50).map(|_| app.check(created.id(), &wrong)));
    let incorrect = answers.await.iter().filter(|answer| answer.body["result"] == "incorrect").count();
    assert_eq!(incorrect, 5);
    // Without the lock each of five rounds would conflict with all others: over 200 conflicts. With it a few may wait
    // too long for the lock.
    assert!(store.conflicts.load(Ordering::SeqCst) < 100, "{:?}", store.conflicts);
}

/// A verification whose first attempt is requested by a replica that has died since.
fn abandoned(mode: Mode, rules: &Rules, context: &Context<'_>) -> Verification {
    let request = Request {
        id: VerificationId::new(0, rand::random()),
        app: "demo".into(),
        to: PhoneNumber::parse("+14155550100").unwrap(),
        mode,
        policy: Some("never".parse().unwrap()),
        ttl: None,
        calls_allowed: true,
        carrier_guess: None,
        code: Code::parse("042917").unwrap(),
        guesses: Guesses::default(),
        details: Details::default(),
    };
    open(request, rules, context).after
}

#[test]
fn a_reported_attempt_is_not_requested_again() {
    const FIRST: AttemptIndex = AttemptIndex::FIRST;
    let (rules, insight, now) = (Rules::default(), Insight::default(), Timestamp::from_millis(1_000_000));
    let context = Context { now, insight: &insight, barred: &[] };
    let apply = |v: &Verification, event: &Event| decide(v, std::slice::from_ref(event), &rules, &context).after;
    let at_lease_end = |v: &Verification| {
        let now = v.owed.iter().map(|owed| owed.due).max().unwrap_or(now + rules.effect_lease);
        decide(v, &[Event::Tick], &rules, &Context { now, ..context })
    };

    let v = abandoned(Mode::Auto, &rules, &context);
    assert_eq!(at_lease_end(&v).effects, [Effect::Trigger { attempt: FIRST }]);
    let facts = ReportFacts::default();
    let report = Event::TextReported { attempt: FIRST, report: TextReport::Queued, provider_id: None, facts };
    let reported = apply(&v, &report);
    assert_eq!(at_lease_end(&reported).effects, []);
    assert!(at_lease_end(&reported).after.owed.is_empty());
    // The same when the request was deferred, as after a 500.
    let outcome =
        TriggerOutcome::Deferred { provider_status: Some(500), retry_after: Duration::from_secs(1), round: 0 };
    let deferred = apply(&v, &Event::Triggered { attempt: FIRST, outcome });
    assert_eq!(at_lease_end(&deferred).effects, [Effect::Trigger { attempt: FIRST }]);
    assert_eq!(at_lease_end(&apply(&deferred, &report)).effects, []);

    let v = abandoned(Mode::Call, &rules, &context);
    assert_eq!(at_lease_end(&v).effects, [Effect::Trigger { attempt: FIRST }]);
    let report = Event::CallReported { attempt: FIRST, report: CallReport::Ringing, provider_id: None, facts };
    assert_eq!(at_lease_end(&apply(&v, &report)).effects, []);
}
