//! The engine between a decision and its effects: whoever leaves meanwhile, loses nothing.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "these are tests")]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use phlo_2fa::engine::Creation;
use phlo_2fa::guard::Guesses;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::store::{
    AttemptRef, Claimed, Commit, CommitOutcome, Counters, Cursor, Erasure, ErasureOutcome, Increment, IncrementOutcome,
    Links, Memory, NonceClaim, NumberKey, PendingReport, Records, ReportTarget, Store, StoreError, StoredRecord,
    SwapOutcome, Values,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::event::{CallReport, Facts, TextReport, TriggerOutcome};
use phlo_2fa::verification::rules::Rules;
use phlo_2fa::verification::state::Details;
use phlo_2fa::verification::{Channel, Code, Effect, Event, Mode, Request, Verification, VerificationId, decide, open};
use support::{Setup, TestApp};
use tokio::sync::{Notify, Semaphore};

/// The embedded store, whose answer to a commit can be held back, and which counts.
struct Held {
    memory: Memory,
    holds: AtomicBool,
    committed: Notify,
    answers: Semaphore,
    conflicts: AtomicUsize,
}

impl Held {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::default(),
            holds: AtomicBool::new(false),
            committed: Notify::new(),
            answers: Semaphore::new(0),
            conflicts: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Records for Held {
    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
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
        // As long as a network takes: enough for all who are at it to have loaded.
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

/// The clock stands still in these: what is left to the end of a lease never happens.
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

/// As whoever stops a timer or asks for a call and leaves.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_a_call_is_committed_has_it_placed() {
    let store = Held::new();
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    store.holds.store(true, Ordering::SeqCst);
    let (engine, id) = (app.engine.clone(), created.id().parse().unwrap());
    let asker =
        tokio::spawn(async move { engine.apply(id, &Event::AttemptRequested(Channel::Call)).await.map(|_| ()) });
    store.committed.notified().await;
    asker.abort();
    let _ = asker.await;
    store.answers.add_permits(1);
    app.spoken_code("0103").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_of_one_verification_do_not_turn_each_other_back() {
    let store = Held::new();
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0100").await;
    app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    let wrong = support::wrong(&app.texted_code("0100").await);
    let answers = join_all((0..50).map(|_| app.check(created.id(), &wrong)));
    let incorrect = answers.await.iter().filter(|answer| answer.body["result"] == "incorrect").count();
    assert_eq!(incorrect, 5);
    // Each of five rounds would turn all others back, over two hundred times; some may have waited too long.
    assert!(store.conflicts.load(Ordering::SeqCst) < 100, "{:?}", store.conflicts);
}

/// A verification whose first attempt is being asked for, by somebody who is never heard of again.
fn abandoned(mode: Mode, rules: &Rules, now: Timestamp) -> Verification {
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
    open(request, rules, now).after
}

#[test]
fn what_a_report_proves_to_be_sent_is_not_asked_for_again() {
    let (rules, now) = (Rules::default(), Timestamp::from_millis(1_000_000));
    let lease_end = |v: &Verification| v.owed.iter().map(|owed| owed.due).max().unwrap_or(now + rules.effect_lease);
    let again = |v: &Verification| decide(v, &Event::Tick, &rules, lease_end(v)).effects;

    let v = abandoned(Mode::Auto, &rules, now);
    assert_eq!(again(&v), [Effect::Trigger { attempt: 0 }]);
    let report =
        Event::TextReported { attempt: 0, report: TextReport::Queued, provider_id: None, facts: Facts::default() };
    let reported = decide(&v, &report, &rules, now).after;
    assert_eq!(again(&reported), []);
    assert!(decide(&reported, &Event::Tick, &rules, lease_end(&reported)).after.owed.is_empty());
    // The same when it had been put off, as after a 500.
    let outcome =
        TriggerOutcome::Deferred { provider_status: Some(500), retry_after: Duration::from_secs(1), round: 0 };
    let deferred = decide(&v, &Event::Triggered { attempt: 0, outcome }, &rules, now).after;
    assert_eq!(again(&deferred), [Effect::Trigger { attempt: 0 }]);
    assert_eq!(again(&decide(&deferred, &report, &rules, now).after), []);

    let v = abandoned(Mode::Call, &rules, now);
    assert_eq!(again(&v), [Effect::Trigger { attempt: 0 }]);
    let report =
        Event::CallReported { attempt: 0, report: CallReport::Ringing, provider_id: None, facts: Facts::default() };
    assert_eq!(again(&decide(&v, &report, &rules, now).after), []);
}
