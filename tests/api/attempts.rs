//! Attempts, cancel and activity of an open verification, and its timeline.

use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, TestApp};

fn attempts(v: &Value) -> usize {
    v["attempts"].as_array().unwrap().len()
}

async fn cancel(app: &TestApp, id: &str) -> Answer {
    app.send(app.request("POST", &format!("/v1/verifications/{id}/cancel"))).await
}

async fn activity(app: &TestApp, id: &str, kind: &str) -> Answer {
    app.post(&format!("/v1/verifications/{id}/activity"), json!({ "kind": kind })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_waits_for_the_cooldown_of_its_channel_alone() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "escalation": "never" })).await;
    let early = app.attempt(created.id(), "sms").await;
    early.assert_problem(429, "resend_cooldown");
    assert_eq!(early.header("retry-after"), "30");
    app.advance(12.5).await;
    let early = app.attempt(created.id(), "sms").await;
    assert_eq!(early.header("retry-after"), "18", "rounded up, or the retry would be too early again");
    assert_eq!(app.read(created.id()).await["resend_after"], 18);

    let call = app.attempt(created.id(), "call").await;
    assert_eq!((call.status, attempts(&call.body), &call.body["attempts"][1]["reason"]), (201, 2, &json!("requested")));
    app.advance(17.5).await;
    let text = app.attempt(created.id(), "sms").await;
    assert_eq!((text.status, attempts(&text.body), &text.body["attempts"][2]["channel"]), (201, 3, &json!("sms")));
    assert_eq!(text.body["resend_after"], 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_call_is_made_during_a_call() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "channel": "call" })).await;
    app.attempt(created.id(), "call").await.assert_problem(409, "call_in_progress");
    app.flow_says(created.id(), 0, "call_answered", json!({})).await;
    app.advance(31.0).await;
    app.attempt(created.id(), "voice").await.assert_problem(409, "call_in_progress");
    app.flow_says(created.id(), 0, "call_failed", json!({})).await;
    assert_eq!(attempts(&app.read(created.id()).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_has_a_limited_number_of_attempts() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "escalation": "never", "ttl": 600 })).await;
    for expected in 2..=5 {
        app.advance(31.0).await;
        assert_eq!(attempts(&app.attempt(created.id(), "sms").await.body), expected);
    }
    app.advance(31.0).await;
    app.attempt(created.id(), "sms").await.assert_problem(429, "max_attempts_reached");
    app.attempt(created.id(), "call").await.assert_problem(429, "max_attempts_reached");
    assert_eq!(app.read(created.id()).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_call_speaks_the_code_of_the_text() {
    let app = TestApp::spawn().await;
    let created = app.create("0100").await;
    let texted = app.texted_code("0100").await;
    assert_eq!(app.attempt(created.id(), "call").await.status, 201);
    assert_eq!(app.spoken_code("0100").await, texted);
    assert_eq!(app.check(created.id(), &texted).await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_verification_stays_canceled_and_nothing_more_is_sent() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "escalation": "fixed+fail:20", "code": "042917" })).await;
    let canceled = cancel(&app, created.id()).await;
    assert_eq!(
        (canceled.status, &canceled.body["status"], &canceled.body["next"]),
        (200, &json!("canceled"), &Value::Null)
    );
    assert_eq!(cancel(&app, created.id()).await.status, 200, "canceling is idempotent");
    app.advance(120.0).await;
    app.check(created.id(), "042917").await.assert_problem(409, "verification_canceled");
    app.attempt(created.id(), "sms").await.assert_problem(409, "verification_canceled");
    activity(&app, created.id(), "typing").await.assert_problem(409, "verification_canceled");
    assert_eq!(attempts(&app.read(created.id()).await), 1);

    let verified = app.open(json!({ "code": "042917" })).await;
    app.check(verified.id(), "042917").await;
    cancel(&app, verified.id()).await.assert_problem(409, "already_verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_made_within_ten_seconds_of_typing() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "escalation": "fixed:20" })).await;
    app.advance(18.0).await;
    assert_eq!(activity(&app, created.id(), "typing").await.status, 200);
    app.advance(9.0).await;
    assert_eq!(attempts(&app.read(created.id()).await), 1);
    assert_eq!(activity(&app, created.id(), "typing").await.status, 200);
    app.advance(9.9).await;
    assert_eq!(attempts(&app.read(created.id()).await), 1);
    app.advance(0.1).await;
    app.until(created.id(), "called", |v| attempts(v) == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_the_text_is_called_at_once() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "escalation": "fixed:600", "ttl": 300 })).await;
    let v = activity(&app, created.id(), "not_received").await;
    assert_eq!((v.status, attempts(&v.body), &v.body["attempts"][1]["channel"]), (200, 2, &json!("call")), "{v:?}");
    assert_eq!(activity(&app, created.id(), "received").await.status, 200);
    assert_eq!(attempts(&app.read(created.id()).await), 2);

    for kind in ["", "Typing", "typing ", "delivered"] {
        activity(&app, created.id(), kind).await.assert_problem(422, "invalid_parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_the_text_is_not_called() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "escalation": "fixed:20" })).await;
    let v = activity(&app, created.id(), "received").await;
    assert_eq!((v.status, &v.body["next"]), (200, &Value::Null));
    app.advance(100.0).await;
    assert_eq!(attempts(&app.read(created.id()).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_has_every_event_and_neither_code_nor_number() {
    let app = TestApp::spawn().await;
    let created = app.create("0107").await;
    app.until(created.id(), "busy", |v| v["attempts"][1]["status"] == "busy").await;
    app.advance(20.0).await;
    let code = app.spoken_code("0107").await;
    app.check(created.id(), &crate::support::wrong(&code)).await;
    activity(&app, created.id(), "typing").await;
    app.check(created.id(), &code).await;

    let timeline = app.get(&format!("/v1/verifications/{}/timeline", created.id())).await;
    assert_eq!((timeline.status, timeline.id()), (200, created.id()));
    let entries = timeline.body["entries"].as_array().unwrap();
    let mut last = "";
    for entry in entries {
        let at = entry["at"].as_str().unwrap();
        assert!(at >= last && at.parse::<jiff::Timestamp>().is_ok(), "{entry}");
        last = at;
        for word in ["event", "text"] {
            assert!(entry[word].as_str().is_some_and(|text| !text.is_empty()), "{entry}");
        }
    }
    let occurrences = |event: &str| entries.iter().filter(|e| e["event"] == event).count();
    assert_eq!(
        (occurrences("created"), occurrences("escalated"), occurrences("code_incorrect"), occurrences("ended")),
        (1, 2, 1, 1),
        "{entries:#?}"
    );
    let escalated = entries.iter().find(|e| e["event"] == "escalated").unwrap();
    assert_eq!(escalated["reason"], "undelivered");
    assert!(escalated["waited_ms"].is_number() && escalated["policy"].is_string());
    let text = timeline.body.to_string();
    assert!(!text.contains(&code) && !text.contains("4155550107") && !text.contains("client_token"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_stops_the_call_and_proves_nothing() {
    let app = Silent::spawn_with(vec![("APP_DEMO_CHECKS", "elsewhere".into())]).await;
    let id = app.open(json!({ "code": "042917" })).await.id().to_owned();
    let feedback = async |outcome: &str| {
        app.post(&format!("/v1/verifications/{id}/feedback"), json!({ "outcome": outcome })).await
    };
    feedback("perhaps").await.assert_problem(422, "invalid_parameter");
    let converted = feedback("converted").await;
    assert_eq!(
        (converted.status, &converted.body["status"], &converted.body["next"]),
        (200, &json!("pending"), &Value::Null)
    );
    app.advance(60.0).await;
    assert_eq!(attempts(&app.read(&id).await), 1, "no person is called who has entered the code");
    let timeline = app.get(&format!("/v1/verifications/{id}/timeline")).await.body;
    let entry = timeline["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "feedback").unwrap();
    assert_eq!(entry["outcome"], "converted");
    assert_eq!(app.check(&id, "042917").await.body["result"], "verified", "it can still be checked here");
    assert_eq!(feedback("not_converted").await.status, 200, "also after the end");
}
