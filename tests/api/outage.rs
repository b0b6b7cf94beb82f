//! The store is unreachable: every route answers 503 soon, and nothing is lost or approved meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use phlo_2fa::store::{
    Claimed, Commit, CommitOutcome, Counters, Cursor, Erasure, ErasureOutcome, Increment, IncrementOutcome, Links,
    Memory, NonceClaim, NumberKey, OutageCause, PendingReport, Records, ReportTarget, ServerRefusal, Store, StoreError,
    StoredRecord, SwapOutcome, Values,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{AttemptRef, VerificationId};
use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, CALLBACK_SECRET, Setup, TestApp};

/// Sends every request that needs the store.
async fn all(app: &TestApp, reference: &str) -> Vec<(String, Answer, Duration)> {
    let id = format!("vrf_{}", "0".repeat(34));
    let requests = [
        ("POST", "/v1/verifications".to_owned(), json!({ "to": "+14155550100" })),
        ("GET", "/v1/verifications".to_owned(), Value::Null),
        ("GET", format!("/v1/verifications/{id}"), Value::Null),
        ("GET", format!("/v1/verifications/{id}/timeline"), Value::Null),
        ("GET", format!("/v1/verifications/{id}/stream"), Value::Null),
        ("POST", "/v1/verifications/search".to_owned(), json!({ "to": "+14155550100" })),
        ("POST", format!("/v1/verifications/{id}/checks"), json!({ "code": "000000" })),
        ("POST", format!("/v1/verifications/{id}/attempts"), json!({ "channel": "sms" })),
        ("POST", format!("/v1/verifications/{id}/cancel"), json!({})),
        ("POST", format!("/v1/verifications/{id}/activity"), json!({ "kind": "typing" })),
        ("POST", "/v1/erasures".to_owned(), json!({ "to": "+14155550100" })),
        ("POST", "/v1/checks".to_owned(), json!({ "to": "+14155550100", "code": "000000" })),
        ("POST", format!("/plivo/{CALLBACK_SECRET}/message"), json!({ "MessageUUID": "m", "Status": "delivered" })),
        ("POST", format!("/plivo/{CALLBACK_SECRET}/call"), json!({ "CallUUID": "c", "CallStatus": "ringing" })),
        ("POST", format!("/plivo/{CALLBACK_SECRET}/phlo"), json!({ "ref": reference, "event": "sms_sent" })),
    ];
    join_all(requests.into_iter().map(|(method, path, body)| async move {
        let request = app.request(method, &path);
        let before = Instant::now();
        let answer = app.send(if body.is_null() { request } else { request.json(&body) }).await;
        (format!("{method} {path}"), answer, before.elapsed())
    }))
    .await
}

async fn assert_every_route_fails_within_a_second(redis_url: String) {
    let env = vec![("REDIS_URL", redis_url)];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let to = AttemptRef {
        id: format!("vrf_{}", "0".repeat(34)).parse().unwrap(),
        attempt: phlo_2fa::verification::AttemptIndex::FIRST,
    };
    let reference = phlo_2fa::plivo::reference::issue(&app.keyring, to, phlo_2fa::plivo::reference::Purpose::Phlo);
    // No request waits for the store twice: all together take about as long as one, even on a slow machine.
    let alone = Instant::now();
    app.get("/v1/verifications").await.assert_problem(503, "storage_unavailable");
    let most = (alone.elapsed() * 7 / 4).max(Duration::from_millis(1500));
    for (request, answer, took) in all(&app, &reference).await {
        assert_eq!(answer.status, 503, "{request}: {answer:?}");
        answer.assert_problem(503, "storage_unavailable");
        assert!(took < most, "{request}: {took:?} of {most:?}");
        assert!(!answer.body.to_string().contains("127.0.0.1"), "{answer:?}");
    }
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status, ready.header("retry-after")), (503, "1"));
    assert_eq!((app.get("/livez").await.status, app.get("/metrics").await.status), (200, 200));
    app.send(app.keyless("POST", "/plivo/message")).await.assert_problem(401, "invalid_signature");
    app.send(app.keyless("GET", "/v1/verifications")).await.assert_problem(401, "unauthenticated");
    assert!(app.whole_plivo_log().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_every_route_fails_within_a_second() {
    assert_every_route_fails_within_a_second("redis://127.0.0.1:1".into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_hanging_redis_every_route_fails_within_a_second() {
    let silence = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert_every_route_fails_within_a_second(format!("redis://{}", silence.local_addr().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_store_loses_nothing() {
    let store = Arc::new(Fragile::default());
    let setup = Setup { store: Some(store.clone()), ..Setup::default() };
    let app = TestApp::spawn_with(setup).await;
    let created =
        app.post("/v1/verifications", json!({ "to": "+14155550103", "code": "042917", "escalation": "never" })).await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    let before = app.read(created.id()).await;
    let uuid = before["attempts"][0]["provider_id"].as_str().unwrap().to_owned();

    store.away.store(true, Ordering::SeqCst);
    app.check(created.id(), "042917").await.assert_problem(503, "storage_unavailable");
    app.create("0100").await.assert_problem(503, "storage_unavailable");
    let report = || {
        let form = [("MessageUUID", uuid.as_str()), ("Status", "delivered")];
        app.send(app.keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/message")).form(&form))
    };
    report().await.assert_problem(503, "storage_unavailable");

    store.away.store(false, Ordering::SeqCst);
    assert_eq!(app.read(created.id()).await, before);
    assert_eq!(report().await.status, 200);
    assert_eq!(app.read(created.id()).await["attempts"][0]["status"], "delivered");
    assert_eq!(app.check(created.id(), "042917").await.body["result"], "verified");
    assert!(app.plivo_log("0100").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_query_or_body_needs_no_store() {
    let app = Silent::spawn_with(vec![("REDIS_URL", "redis://127.0.0.1:1".to_owned())]).await;
    app.post("/v1/verifications", json!({ "to": "x" })).await.assert_problem(422, "invalid_number");
    app.get("/v1/verifications/x").await.assert_problem(404, "verification_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timed_out_request_is_counted_under_its_route() {
    let store = Arc::new(Fragile::default());
    let env = vec![("PLIVO_WAIT", "0".into())];
    let app = TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550103", "code": "042917" })).await;
    store.is_slow.store(true, Ordering::SeqCst);
    app.check(created.id(), "042917").await.assert_problem(503, "storage_unavailable");
    store.is_slow.store(false, Ordering::SeqCst);
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let counted = "{method=\"POST\",route=\"/v1/verifications/{id}/checks\",status=\"503\"} 1";
    assert!(metrics.lines().any(|line| line.contains("_count{") && line.ends_with(counted)), "{metrics}");
}

/// A store that fails on demand.
#[derive(Default)]
pub(crate) struct Fragile {
    pub(crate) memory: Memory,
    pub(crate) away: AtomicBool,
    /// Commits fail; everything else works.
    pub(crate) takes_no_commit: AtomicBool,
    /// Commits are made, but answered only after this is false again.
    pub(crate) is_slow: AtomicBool,
    /// The next value to be replaced expires first.
    pub(crate) loses_a_value: AtomicBool,
    /// The number of requests so far.
    pub(crate) asked: AtomicUsize,
}

impl Fragile {
    fn there(&self) -> Result<&Memory, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let away = self.away.load(Ordering::SeqCst);
        if away { Err(StoreError::Unavailable(OutageCause::ConnectionLost)) } else { Ok(&self.memory) }
    }
}

#[async_trait]
impl Records for Fragile {
    async fn load(&self, id: VerificationId) -> Result<Option<StoredRecord>, StoreError> {
        self.there()?.load(id).await
    }
    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        if self.takes_no_commit.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable(OutageCause::Refused(ServerRefusal::OutOfMemory)));
        }
        let outcome = self.there()?.commit(commit).await;
        while self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        outcome
    }
    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, StoredRecord)>, StoreError> {
        self.there()?.load_many(ids).await
    }
    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        self.there()?.newest(number).await
    }
    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        self.there()?.guesses(number).await
    }
    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError> {
        self.there()?.erase(erasure).await
    }
    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        self.there()?.list(app, shard, before, limit).await
    }
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.there()?.claim_due(now, lease, limit).await
    }
}

#[async_trait]
impl Counters for Fragile {
    async fn increment(
        &self,
        increments: &[Increment],
        unless_in_use: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<IncrementOutcome, StoreError> {
        self.there()?.increment(increments, unless_in_use, now).await
    }
}

#[async_trait]
impl Links for Fragile {
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError> {
        self.there()?.link(provider_id, to, ttl).await
    }
    async fn find_or_keep(&self, provider_id: &str, report: &PendingReport) -> Result<Option<AttemptRef>, StoreError> {
        self.there()?.find_or_keep(provider_id, report).await
    }
    async fn claim_then_find_or_keep(
        &self,
        nonce: &NonceClaim,
        provider_id: &str,
        report: &PendingReport,
    ) -> Result<ReportTarget, StoreError> {
        self.there()?.claim_then_find_or_keep(nonce, provider_id, report).await
    }
    async fn forget_pending(&self, provider_id: &str) -> Result<(), StoreError> {
        self.there()?.forget_pending(provider_id).await
    }
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        self.there()?.unlink(provider_id, of).await
    }
}

#[async_trait]
impl Values for Fragile {
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.there()?.values(names).await
    }
    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError> {
        let memory = self.there()?;
        if before.is_some() && self.loses_a_value.swap(false, Ordering::SeqCst) {
            memory.compare_and_swap(name, before, b"lost", Duration::from_millis(1)).await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        memory.compare_and_swap(name, before, after, ttl).await
    }
}

#[async_trait]
impl Store for Fragile {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.there()?.now().await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.there()?.ping().await
    }
}
