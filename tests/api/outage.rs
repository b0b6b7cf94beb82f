//! The store is unreachable: every route answers 503 soon, and nothing is lost or approved meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use phlo_2fa::verification::AttemptRef;
use serde_json::{Value, json};

use crate::faulty_store::FaultyStore;
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
    // No request waits for the store twice: all together take about as long as one alone, before or after them.
    let alone = async || {
        let start = Instant::now();
        app.get("/v1/verifications").await.assert_problem(503, "storage_unavailable");
        start.elapsed()
    };
    // A request that waits twice does so each time; one that a busy machine holds up does not.
    let mut late = Vec::new();
    for _ in 0..5 {
        let before = alone().await;
        let answers = all(&app, &reference).await;
        let most = (before.max(alone().await) * 7 / 4).max(Duration::from_millis(1500));
        late.clear();
        for (request, answer, took) in answers {
            assert_eq!(answer.status, 503, "{request}: {answer:?}");
            answer.assert_problem(503, "storage_unavailable");
            assert!(!answer.body.to_string().contains("127.0.0.1"), "{answer:?}");
            late.extend((took >= most).then(|| format!("{request}: {took:?} of {most:?}")));
        }
        if late.is_empty() {
            break;
        }
    }
    assert!(late.is_empty(), "{late:?}");
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
    let store = Arc::new(FaultyStore::default());
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
    let store = Arc::new(FaultyStore::default());
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
