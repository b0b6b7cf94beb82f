//! The engine between a decision and its effects: a client that disconnects meanwhile loses nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::faulty_store::FaultyStore;
use crate::support::{Setup, TestApp};
use futures_util::future::join_all;
use phlo_2fa::engine::{Creation, Target};
use phlo_2fa::guard::Guesses;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::Insight;
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{
    AttemptIndex, CallReport, Channel, Code, Context, Details, Effect, Event, Mode, ReportFacts, Request, Rules,
    TextReport, TriggerOutcome, Verification, VerificationId, decide, open,
};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_client_learns_of_a_failover_that_another_replica_has_handled() {
    let store = Arc::new(FaultyStore::default());
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
