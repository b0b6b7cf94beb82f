//! Route statistics: learned from callbacks and codes, shared by replicas, shown by `GET /v1/routes`.

use std::sync::Arc;

use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::store::{Memory, Store};
use serde_json::{Value, json};

use crate::stub::Stub;
use crate::support::{Setup, TestApp};

const OWN: &str = "8675309";

fn env() -> Vec<(&'static str, String)> {
    vec![("ESCALATION", "adaptive".into()), ("PLIVO_TIMEOUT", "1".into())]
}

/// One verification on route 310-150, whose code is entered 6 s after the text.
async fn verified(app: &Stub, n: u32) {
    let to = format!("+1415555{:04}", 2000 + n);
    let created = app.open(json!({ "to": to, "code": OWN })).await;
    let path = app.callback("message", "url");
    let network = [("MCC", "310"), ("MNC", "150")];
    app.plivo_posts(&path, &[&[("MessageUUID", "m"), ("Status", "sent")], &network[..]].concat()).await;
    app.settled().await;
    app.clock.advance(std::time::Duration::from_secs(6));
    assert_eq!(app.check(created.id(), OWN).await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_shown_with_what_has_been_learned_of_them() {
    let app = Stub::direct(env()).await;
    let empty = app.get("/v1/routes").await;
    assert_eq!((empty.status, &empty.body["routes"], &empty.body["policy"]), (200, &json!([]), &json!("adaptive")));
    for n in 0..30 {
        verified(&app, n).await;
    }
    let shown = app.get("/v1/routes").await.body;
    let route = &shown["routes"][0];
    assert_eq!((&route["route"], &route["country"]), (&json!("310-150"), &json!("US")), "{shown:#}");
    assert!(route["verifications"].as_u64().unwrap() >= 28, "{route}");
    assert!(route["conversion"].as_f64().unwrap() > 0.8, "{route}");
    assert!(route["text"].as_str().unwrap().contains("Delivery reports are missing."), "{route}");
    for figure in ["reported", "converted_after_delivered", "median_first_event_s", "call_after_s"] {
        assert!(route[figure].is_f64(), "{figure}: {route}");
    }
    assert!(route.get("call_after_delivered_s").is_some(), "{route}");
    assert_eq!((&route["is_silent"], &route["reports_suspect"]), (&json!(false), &json!(false)), "{route}");
    assert_eq!(shown["countries"][0]["country"], "US");
    app.send(app.keyless("GET", "/v1/routes")).await.assert_problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_explains_a_call_by_its_expected_costs() {
    let app = Stub::direct(env()).await;
    let created = app.open(json!({})).await;
    assert_eq!(created.body["next"]["reason"], "no_report", "{created:?}");
    for _ in 0..40 {
        app.settled().await;
        app.advance(1.0).await;
    }
    let v = app.read(created.id()).await;
    assert_eq!(v["attempts"][1]["channel"], "call", "{v:#}");
    let timeline = app.get(&format!("/v1/verifications/{}/timeline", created.id())).await.body;
    let weighed = timeline["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "weighed");
    let weighed = weighed.unwrap_or_else(|| panic!("{timeline:#}"));
    assert!(weighed["text"].as_str().unwrap().contains(" s. Of the codes still missing at "), "{weighed}");
    let costs =
        [&weighed["weighed"]["call_cost_u"], &weighed["weighed"]["wait_cost_u"]].map(|cost| cost.as_u64().unwrap());
    assert!(costs[0] <= costs[1], "{weighed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_says_that_a_lost_text_is_called_for_at_once() {
    let env = vec![("ESCALATION", "adaptive".into())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let created = app.create("0101").await;
    app.until(created.id(), "called", |v| v["attempts"][1]["reason"] == "undelivered").await;
    let timeline = app.get(&format!("/v1/verifications/{}/timeline", created.id())).await.body;
    let weighed = timeline["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "weighed");
    let weighed = weighed.unwrap_or_else(|| panic!("{timeline:#}"));
    assert_eq!(weighed["weighed"]["kind"], "failed", "{weighed}");
    let start = "The text was reported lost, so the call was placed at once, after 0 s. Based on ";
    assert!(weighed["text"].as_str().unwrap().starts_with(start), "{weighed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_verification_reaches_another_replica_within_seconds() {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let replica = async || {
        let mut env = env();
        env.push(("SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into()));
        TestApp::spawn_with(Setup { env, store: Some(Arc::clone(&store)), ..Setup::default() }).await
    };
    let (first, second) = (replica().await, replica().await);
    for _ in 0..3 {
        let created = first.post("/v1/verifications", json!({ "to": "+14155550100", "code": OWN })).await;
        first.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(first.check(created.id(), OWN).await.body["result"], "verified");
    }
    // The first replica flushes in the background; the second reads the store on request.
    let is_shown = async || {
        let shown = second.get("/v1/routes").await.body;
        shown["routes"][0]["verifications"].as_u64().is_some_and(|n| n >= 2)
    };
    for _ in 0..1200 {
        if is_shown().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not shown after a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn route_statistics_survive_a_restart() {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let replica = async || {
        let mut env = env();
        env.push(("SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into()));
        TestApp::spawn_with(Setup { env, store: Some(Arc::clone(&store)), ..Setup::default() }).await
    };
    let first = replica().await;
    // Two numbers of a prefix must report a network before it is assumed of others.
    for last_four in ["0100", "0114"] {
        let created = first.create(last_four).await;
        first.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        first.settled().await;
        let code = first.texted_code(last_four).await;
        assert_eq!(first.check(created.id(), &code).await.body["result"], "verified");
    }
    first.learner.flush(true).await.unwrap();
    let before = first.get("/v1/routes").await.body;
    drop(first);
    let second = replica().await;
    let after = second.get("/v1/routes").await.body;
    assert_eq!(after["routes"], before["routes"]);
    // Another number of the prefix has a network before any report of its own.
    let neighbour = PhoneNumber::parse("+14155550109").unwrap();
    let guessed = second.learner.guess(&neighbour, second.learner.prefix_hash(&neighbour)).await;
    assert_eq!(guessed.map(|carrier| carrier.to_string()).as_deref(), before["routes"][0]["route"].as_str());
    assert!(!before["routes"].as_array().unwrap().is_empty(), "{before:#}");
    assert_ne!(after["world"], Value::Null);
}
