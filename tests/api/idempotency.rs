//! `Idempotency-Key`: a repeated request has one effect and one answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::faulty_store::FaultyStore;
use crate::silent::Silent;
use crate::stub::{Says, Stub};
use crate::support::{Answer, Setup, TestApp, wrong};

const CREATE: &str = "/v1/verifications";

/// Sends a POST with a key.
async fn keyed(app: &TestApp, key: &str, path: &str, body: Value) -> Answer {
    app.send(app.request("POST", path).header("Idempotency-Key", key).json(&body)).await
}

/// Waits until the store has a verification.
async fn until_created(app: &TestApp) {
    while app.get(CREATE).await.body["verifications"] == json!([]) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asserts that `again` is the stored answer of `first`.
#[track_caller]
fn assert_again(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for name in ["location", "content-type", "cache-control"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_gets_the_same_answer_and_sends_nothing() {
    let app = Stub::direct(Vec::new()).await;
    let body = json!({ "to": "+14155550103", "metadata": { "purpose": "signup" } });
    let first = keyed(&app, "k-1", CREATE, body.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(first.header("location").ends_with(first.id()));
    app.advance(60.0).await;
    for _ in 0..3 {
        assert_again(&first, &keyed(&app, "k-1", CREATE, body.clone()).await);
    }
    app.until_asked(2).await;
    assert_eq!(app.requested(), ["message", "call"], "the second request is the escalation's");
    // Without a key, or with another one, the request is a new one.
    assert_eq!(keyed(&app, "k-2", CREATE, body.clone()).await.body["joined"], true);
    assert_eq!(app.post(CREATE, body).await.header("idempotent-replayed"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_request_of_one_app() {
    let app = Stub::direct(vec![("API_KEYS", "shop:the-secret-of-shop-000,bank:the-secret-of-bank-000".into())]).await;
    let by = |secret: &'static str, key: &'static str, path: &str, body: &Value| {
        let request = app.keyless("POST", path).bearer_auth(secret).header("Idempotency-Key", key).json(body);
        app.send(request)
    };
    let (shop, bank) = ("the-secret-of-shop-000", "the-secret-of-bank-000");
    let body = json!({ "to": "+14155550103" });
    let first = by(shop, "k", CREATE, &body).await;
    assert_eq!(first.status, 201, "{first:?}");
    by(shop, "k", CREATE, &json!({ "to": "+14155550104" })).await.assert_problem(422, "idempotency_mismatch");
    by(shop, "k", "/v1/verifications/search", &body).await.assert_problem(422, "idempotency_mismatch");
    by(shop, "k", &format!("{CREATE}?a=b"), &body).await.assert_problem(422, "invalid_parameter");
    let other = by(bank, "k", CREATE, &body).await;
    assert_eq!((other.status, other.id() == first.id(), app.requested().len()), (201, false, 2), "{other:?}");
    by("unknown", "k", CREATE, &body).await.assert_problem(401, "unauthenticated");
    assert_again(&first, &by(shop, "k", CREATE, &body).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_visible_ascii_and_given_once() {
    let app = Silent::spawn().await;
    let longest = "k".repeat(255);
    for (key, status) in [("", 422), ("a b", 422), ("\u{e9}", 422), (&*format!("{longest}k"), 422), (&longest, 201)] {
        let request = app.request("POST", CREATE).json(&json!({ "to": "+14155550103" }));
        let key = reqwest::header::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let answer = app.send(request.header("Idempotency-Key", &key)).await;
        assert_eq!(answer.status, status, "{key:?}: {answer:?}");
        if status == 422 {
            answer.assert_problem(422, "invalid_parameter");
            assert_eq!(answer.body["errors"][0]["pointer"], "/Idempotency-Key");
        }
    }
    let twice = app.request("POST", CREATE).header("Idempotency-Key", "a").header("Idempotency-Key", "a");
    app.send(twice.json(&json!({ "to": "+14155550103" }))).await.assert_problem(422, "invalid_parameter");
    let unauthenticated = app.keyless("POST", CREATE).header("Idempotency-Key", "");
    app.send(unauthenticated).await.assert_problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_has_one_effect_however_often_it_is_sent() {
    let app = Stub::direct(Vec::new()).await;
    let created = app.open(json!({ "code": "042917", "escalation": "never" })).await;
    let of = |what: &str| format!("{CREATE}/{}/{what}", created.id());
    let (guess, remaining) = (json!({ "code": wrong("042917") }), json!(4));
    let first = keyed(&app, "guess", &of("checks"), guess.clone()).await;
    assert_eq!(first.body["checks_remaining"], remaining);
    let checks = of("checks");
    for again in join_all((0..20).map(|_| keyed(&app, "guess", &checks, guess.clone()))).await {
        assert_again(&first, &again);
    }
    let by_number = json!({ "to": "+14155550103", "code": wrong("042917") });
    let first = keyed(&app, "by number", "/v1/checks", by_number.clone()).await;
    first.assert_problem(422, "invalid_parameter");
    let first = keyed(&app, "by-number", "/v1/checks", by_number.clone()).await;
    assert_again(&first, &keyed(&app, "by-number", "/v1/checks", by_number).await);
    assert_eq!(app.read(created.id()).await["checks_remaining"], 3, "each key counts as one check");

    let call = json!({ "channel": "call" });
    let first = keyed(&app, "call", &of("attempts"), call.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_again(&first, &keyed(&app, "call", &of("attempts"), call.clone()).await);
    assert_eq!(app.requested(), ["message", "call"]);
    // This refusal is about the moment, so it is not stored.
    for _ in 0..2 {
        let refused = keyed(&app, "another-call", &of("attempts"), call.clone()).await;
        refused.assert_problem(409, "call_in_progress");
        assert_eq!(refused.header("idempotent-replayed"), "");
    }

    let typing = json!({ "kind": "typing" });
    let first = keyed(&app, "typing", &of("activity"), typing.clone()).await;
    assert_again(&first, &keyed(&app, "typing", &of("activity"), typing).await);
    let cancel = || app.send(app.request("POST", &of("cancel")).header("Idempotency-Key", "cancel"));
    let first = cancel().await;
    assert_eq!(first.body["status"], "canceled");
    assert_again(&first, &cancel().await);
    // Any other refusal is stored like a success.
    let refused = keyed(&app, "another-call", &of("attempts"), call.clone()).await;
    refused.assert_problem(409, "verification_canceled");
    assert_again(&refused, &keyed(&app, "another-call", &of("attempts"), call).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repetitions_wait_for_the_first_and_get_its_answer() {
    let app = Stub::direct(vec![("PLIVO_WAIT", "20".into()), ("PLIVO_TIMEOUT", "2".into())]).await;
    app.says("message", &[Says::Nothing]);
    let body = json!({ "to": "+14155550103", "escalation": "never" });
    let answers = join_all((0..40).map(|_| keyed(&app, "k", CREATE, body.clone()))).await;
    let is_first = |answer: &&Answer| answer.header("idempotent-replayed").is_empty();
    let first: Vec<_> = answers.iter().filter(is_first).collect();
    assert_eq!((first.len(), first[0].status), (1, 201), "{first:?}");
    answers.iter().filter(|answer| !is_first(answer)).for_each(|answer| assert_again(first[0], answer));
    assert_eq!(app.requested(), ["message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_waits_for_a_limited_time() {
    let store = Arc::new(FaultyStore::default());
    let env = vec![("PLIVO_WAIT", "0".into())];
    let app = Arc::new(TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await);
    store.is_slow.store(true, Ordering::SeqCst);
    let body = json!({ "to": "+14155550103" });
    let first = {
        let (app, body) = (app.clone(), body.clone());
        tokio::spawn(async move { keyed(&app, "k", CREATE, body).await })
    };
    until_created(&app).await;
    let asked = Instant::now();
    // Longer than one renewal of the claim.
    for _ in 0..2 {
        let twin = keyed(&app, "k", CREATE, body.clone()).await;
        twin.assert_problem(409, "idempotency_in_progress");
        assert_eq!(twin.header("retry-after"), "1");
    }
    assert!(asked.elapsed() > Duration::from_secs(3), "{:?}", asked.elapsed());
    keyed(&app, "k", CREATE, json!({ "to": "+14155550104" })).await.assert_problem(422, "idempotency_mismatch");
    store.is_slow.store(false, Ordering::SeqCst);
    let first = first.await.unwrap();
    assert_eq!(first.status, 201);
    assert_again(&first, &keyed(&app, "k", CREATE, body).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_asks_for_a_retry_is_not_stored() {
    let store = Arc::new(FaultyStore::default());
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let body = json!({ "to": "+14155550103", "code": "042917" });
    for broken in [&store.takes_no_commit, &store.away] {
        broken.store(true, Ordering::SeqCst);
        keyed(&app, "k", CREATE, body.clone()).await.assert_problem(503, "storage_unavailable");
        broken.store(false, Ordering::SeqCst);
    }
    let created = keyed(&app, "k", CREATE, body.clone()).await;
    assert_eq!((created.status, created.header("idempotent-replayed")), (201, ""), "{created:?}");
    assert_again(&created, &keyed(&app, "k", CREATE, body).await);

    // A refusal about the moment and an unreadable request are not stored either.
    let attempts = format!("{CREATE}/{}/attempts", created.id());
    let text = json!({ "channel": "sms" });
    keyed(&app, "text", &attempts, text.clone()).await.assert_problem(429, "resend_cooldown");
    app.advance(31.0).await;
    assert_eq!(keyed(&app, "text", &attempts, text).await.status, 201);
    let checks = format!("{CREATE}/{}/checks", created.id());
    let broken = app.request("POST", &checks).header("Content-Type", "application/json");
    let broken = app.send(broken.header("Idempotency-Key", "check").body("{\"code\":")).await;
    broken.assert_problem(400, "malformed_request");
    assert_eq!(keyed(&app, "check", &checks, json!({ "code": "042917" })).await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_plivo_is_not_stored() {
    let app = Stub::direct(Vec::new()).await;
    app.answers("message", 400);
    let body = json!({ "to": "+14155550103", "channel": "sms" });
    keyed(&app, "k", CREATE, body.clone()).await.assert_problem(502, "rejected_by_plivo");
    app.says("message", &[Says::Well]);
    assert_eq!(keyed(&app, "k", CREATE, body).await.status, 201);
    assert_eq!(app.requested(), ["message", "message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_gets_the_answer_later() {
    let store = Arc::new(FaultyStore::default());
    let app = Arc::new(TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await);
    store.is_slow.store(true, Ordering::SeqCst);
    let body = json!({ "to": "+14155550100" });
    let hasty = {
        let (app, body) = (app.clone(), body.clone());
        tokio::spawn(async move { keyed(&app, "k", CREATE, body).await })
    };
    until_created(&app).await;
    hasty.abort();
    hasty.await.unwrap_err();
    // Long enough for the service to notice the disconnect.
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.is_slow.store(false, Ordering::SeqCst);
    let later = keyed(&app, "k", CREATE, body).await;
    assert_eq!((later.status, later.header("idempotent-replayed")), (201, "true"), "{later:?}");
    app.texted_code("0100").await;
    assert_eq!(app.plivo_log("0100").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unstored_answer_is_stored_once_the_store_is_back() {
    let store = Arc::new(FaultyStore::default());
    let app = Arc::new(TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await);
    let created = app.post(CREATE, json!({ "to": "+14155550103", "code": "042917" })).await;
    let checks = format!("{CREATE}/{}/checks", created.id());
    // No other commit may be under way: the store holds every answer from here on.
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.settled().await;
    store.is_slow.store(true, Ordering::SeqCst);
    let checking = {
        let (app, checks) = (app.clone(), checks.clone());
        tokio::spawn(async move { keyed(&app, "k", &checks, json!({ "code": "111111" })).await })
    };
    app.until(created.id(), "checked", |v| v["checks_remaining"] == 4).await;
    store.away.store(true, Ordering::SeqCst);
    // Meanwhile the claim may expire.
    store.loses_a_value.store(true, Ordering::SeqCst);
    store.is_slow.store(false, Ordering::SeqCst);
    let first = checking.await.unwrap();
    assert_eq!((first.status, &first.body["checks_remaining"]), (200, &json!(4)), "{first:?}");
    store.away.store(false, Ordering::SeqCst);
    assert_again(&first, &keyed(&app, "k", &checks, json!({ "code": "111111" })).await);
    assert_eq!(app.read(created.id()).await["checks_remaining"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_the_header_on_every_post_and_its_refusals() {
    let app = Silent::spawn().await;
    let document = app.send(app.keyless("GET", "/openapi.json")).await.body;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(post) = item.get("post") else { continue };
        let named = |p: &Value| p["name"] == "Idempotency-Key" && p["in"] == "header" && p["required"] != true;
        let is_named = post["parameters"].as_array().is_some_and(|all| all.iter().any(named));
        assert_eq!(is_named, path.starts_with("/v1/"), "{path}");
        if is_named {
            assert!(post["responses"]["409"].is_object() && post["responses"]["422"].is_object(), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_reads_and_to_rejected_requests_are_not_kept() {
    let app = TestApp::spawn().await;
    let keyed = async |path: &str, body: Value| {
        app.send(app.request("POST", path).header("Idempotency-Key", "one-key").json(&body)).await
    };
    let unknown = format!("/v1/verifications/vrf_{}/cancel", "0".repeat(34));
    for (path, body, status) in [
        ("/v1/verifications/search", json!({ "to": "+14155550100" }), 200),
        ("/v1/verifications", json!({ "to": "not a number" }), 422),
        (unknown.as_str(), json!({}), 404),
    ] {
        for _ in 0..2 {
            let answer = keyed(path, body.clone()).await;
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (status, ""), "{path}");
        }
    }
    assert_eq!(keyed("/v1/verifications", json!({ "to": "+14155550100" })).await.status, 201, "the key is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_app_cannot_fill_the_store_with_answers() {
    let env = vec![
        ("LIMIT_IDEMPOTENCY", "20/1d".to_owned()),
        ("API_KEYS", "shop:01234567890123456789,bank:98765432109876543210".to_owned()),
    ];
    let mut app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    app.key = "01234567890123456789".into();
    let id = app.create("0103").await.id().to_owned();
    let start = std::time::Instant::now();
    let keyed = async |app: &TestApp, path: &str, key: String, body: Value| {
        app.send(app.request("POST", path).header("Idempotency-Key", key).json(&body)).await
    };
    let path = format!("/v1/verifications/{id}/activity");
    let refused = loop {
        let key = format!("key-{}", start.elapsed().as_nanos());
        let answer = keyed(&app, &path, key, json!({ "kind": "received" })).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "nothing is refused");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    refused.assert_problem(429, "rate_limited");
    assert_eq!(refused.body["scope"], "idempotency");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 86_400);
    assert_eq!(app.attempt(&id, "call").await.status, 201, "without a key it goes on");
    app.key = "98765432109876543210".into();
    let other = keyed(&app, "/v1/verifications", "first".to_owned(), json!({ "to": "+14155550100" })).await;
    assert_eq!(other.status, 201, "another app goes on");
}
