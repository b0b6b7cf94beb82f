//! The engine between a decision and its effects: a client that disconnects meanwhile loses nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::faulty_store::FaultyStore;
use crate::support::{Setup, TestApp};
use futures_util::future::join_all;
use phlo_2fa::engine::{Creation, Target};
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::Insight;
use phlo_2fa::store::{Links, PendingReport};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{
    AttemptIndex, CallReport, Channel, Code, Context, Details, Effect, Event, Mode, ReportFacts, Request, Rules,
    SessionIndex, TextReport, TriggerOutcome, Verification, VerificationId, decide, open,
};
use serde_json::json;

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
        metadata: Default::default(),
        is_resend: false,
        seed: None,
    }
}

// The clock stands still in these tests, so no lease expires.

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_creation_is_committed_still_gets_its_text() {
    let store = Arc::new(FaultyStore::default());
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    store.holds_commit.store(true, Ordering::SeqCst);
    let engine = app.engine.clone();
    let client = tokio::spawn(async move { engine.create(creation("+14155550100")).await.map(|_| ()) });
    store.commit_held().await;
    client.abort();
    let _ = client.await;
    store.answer_commit();
    app.texted_code("0100").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_call_is_committed_still_gets_it() {
    let store = Arc::new(FaultyStore::default());
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    store.holds_commit.store(true, Ordering::SeqCst);
    let (engine, id) = (app.engine.clone(), created.id().parse().unwrap());
    let client = tokio::spawn(async move {
        let events = vec![Event::AttemptRequested(Channel::Call)];
        engine.apply(Target::Proved(id), events).await.map(|_| ())
    });
    store.commit_held().await;
    client.abort();
    let _ = client.await;
    store.answer_commit();
    app.spoken_code("0103").await;
}

/// Two services on one store.
async fn two_replicas(store: &Arc<FaultyStore>, env: &[(&'static str, &str)]) -> (TestApp, TestApp) {
    let replica = async || {
        let mut env: Vec<_> = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        env.push(("SECRET_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned()));
        TestApp::spawn_with(Setup { store: Some(store.clone()), env, ..Setup::default() }).await
    };
    (replica().await, replica().await)
}

/// A refused request changes nothing, so that no commit would show that what this process remembers is out of date.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_given_from_memory_alone() {
    let store = Arc::new(FaultyStore::default());
    let (app, other) = two_replicas(&store, &[]).await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.settled().await;
    app.attempt(created.id(), "sms").await.assert_problem(429, "resend_cooldown");
    assert_eq!(other.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await.status, 200);
    app.attempt(created.id(), "sms").await.assert_problem(409, "verification_canceled");
    app.check(created.id(), "000000").await.assert_problem(409, "verification_canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_be_made_with_its_commit_is_made_later() {
    let store = Arc::new(FaultyStore::default());
    store.refuses_a_link.store(true, Ordering::SeqCst);
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0103").await;
    app.settled().await;
    assert!(!store.refuses_a_link.load(Ordering::SeqCst), "the link was refused");
    // The reports, which name only the UUID, wait until the lease of the owed link expires.
    app.advance(2.0).await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    let uuid = app.read(created.id()).await["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
    let to = store.find_or_keep(&uuid, &PendingReport::Text(TextReport::Sent, ReportFacts::default())).await.unwrap();
    assert_eq!(to.map(|to| to.id.to_string()).as_deref(), Some(created.id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_that_the_store_did_not_take_is_added_later() {
    let store = Arc::new(FaultyStore::default());
    let (app, other) = two_replicas(&store, &[("LIMIT_UNVERIFIED", "2/1h")]).await;
    let to = |n: usize| json!({ "to": format!("+1415555300{n}"), "code": "042917", "channel": "sms" });
    let created = app.post("/v1/verifications", to(0)).await;
    app.settled().await;
    assert_eq!(app.check(created.id(), "042917").await.body["result"], "verified");
    store.away.store(true, Ordering::SeqCst);
    while store.increments_refused.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.away.store(false, Ordering::SeqCst);
    app.settled().await;
    // The other replica knows only what the store holds: one unverified text, and a credit of five for the success.
    for n in 1..=6 {
        assert_eq!(other.post("/v1/verifications", to(n)).await.status, 201, "{n}");
    }
    other.post("/v1/verifications", to(7)).await.assert_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_of_a_failover_that_another_replica_has_handled() {
    let store = Arc::new(FaultyStore::default());
    let (app, other) = two_replicas(&store, &[]).await;
    let created = app.create("0100").await;
    let code = app.texted_code("0100").await;
    app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    app.settled().await;
    store.is_stale.store(true, Ordering::SeqCst);
    let end = async {
        store.commit_held().await;
        let id = created.id().parse().unwrap();
        other.engine.apply(Target::Proved(id), vec![Event::FailedOver]).await.map(|_| ()).unwrap();
        store.answer_commit();
    };
    let (answer, ()) = tokio::join!(app.check(created.id(), &code), end);
    answer.assert_problem(410, "verification_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_of_one_verification_cause_few_conflicts() {
    let store = Arc::new(FaultyStore::default());
    store.loads_slowly.store(true, Ordering::SeqCst);
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
        mode,
        policy: Some("never".parse().unwrap()),
        ..Request::new(
            VerificationId::new(0, rand::random()),
            "demo",
            PhoneNumber::parse("+14155550100").unwrap(),
            Code::parse("042917").unwrap(),
        )
    };
    open(request, rules, context).after
}

#[test]
fn a_reported_attempt_is_not_requested_again() {
    const FIRST: AttemptIndex = AttemptIndex::FIRST;
    let (rules, insight, now) = (Rules::default(), Insight::default(), Timestamp::from_millis(1_000_000));
    let context = Context { now, insight: &insight, barred: &[], session: SessionIndex::FIRST };
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

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_was_lost_is_found_again_and_not_joined() {
    let app = TestApp::spawn().await;
    let create = async |seed: u128| {
        let seeded = Creation { seed: Some(seed), ..creation("+14155550103") };
        let created = app.engine.create(seeded).await.unwrap();
        (created.applied.verification.id_of(created.applied.session), created.joined)
    };
    let first = create(1).await;
    assert_eq!((create(1).await, first.1), (first, false));
    let second = create(2).await;
    assert!(second.1 && second.0 != first.0);
    assert_eq!(create(2).await, second);
    let found = app.engine.read(Target::Proved(first.0)).await.unwrap();
    assert_eq!(found.verification.sessions.len(), 2, "no session without an owner");
    // Long after, the same key begins another one.
    app.advance(700.0).await;
    let later = create(1).await;
    assert!(!later.1 && later.0 != first.0);
}
