//! Cases between two features: joins, replays, outages and calls that coincide.

use std::sync::Arc;

use phlo_2fa::plivo::signature;
use phlo_2fa::store::{Memory, Store};
use serde_json::{Value, json};

use crate::stub::{Says, Stub};
use crate::support::{Setup, TestApp};

const OWN: &str = "8675309";

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_text_stays_valid_if_its_country_cannot_be_called() {
    let app = Stub::direct(Vec::new()).await;
    let id = app.open(json!({ "code": OWN, "escalation": "fixed+fail:35" })).await.id().to_owned();
    let path = app.callback("message", "url");
    app.plivo_posts(&path, &[("MessageUUID", "m1"), ("Status", "delivered")]).await;
    app.says("call", &[Says::Status(403, json!({"error":"Geo permission to this country is not enabled for voice"}))]);
    app.advance(36.0).await;
    app.until_asked(2).await;
    app.settled().await;
    let v = app.read(&id).await;
    let check = app.check(&id, OWN).await;
    assert_eq!((v["status"].as_str().unwrap(), check.status), ("pending", 200), "{v:#} {check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_press_without_a_signature_over_it_is_ignored() {
    let app = Stub::direct(vec![("VOICE_CONFIRM", "true".into())]).await;
    app.open(json!({ "channel": "call", "code": OWN })).await;
    let path = app.callback("call", "answer_url");
    let url = format!("{}{path}", app.url);
    let sig = signature::sign("demo", &signature::v2_payload(&url, "n1"));
    let ask = async |params: &[(&str, &str)]| {
        let r = app.keyless("POST", &path).form(params);
        r.header("X-Plivo-Signature-V2", &sig)
            .header("X-Plivo-Signature-V2-Nonce", "n1")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    };
    assert!(!ask(&[("CallUUID", "c1")]).await.contains("say-as"));
    assert!(
        !ask(&[("CallUUID", "c1"), ("Digits", "1")]).await.contains("say-as"),
        "a used nonce with another body counted as a key press"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_number_that_became_a_test_number() {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let key = vec![("SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned())];
    let a = TestApp::spawn_with(Setup { env: key.clone(), store: Some(store.clone()), ..Setup::default() }).await;
    a.create("0103").await;
    a.settled().await;
    let mut env = key;
    env.push(("TEST_NUMBERS", "+14155550103:000000".into()));
    let b = TestApp::spawn_with(Setup { env, store: Some(store), ..Setup::default() }).await;
    b.clock.advance(std::time::Duration::from_secs(31));
    let joined = b.create("0103").await;
    b.settled().await;
    assert_eq!((joined.status, &joined.body["test"]), (201, &json!(true)), "{joined:?}");
    assert!(b.plivo_log("0103").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_a_test_number_has_no_fixed_code() {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let key = vec![("SECRET_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned())];
    let mut env = key.clone();
    env.push(("TEST_NUMBERS", "+14155550103:000000".into()));
    let a = TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await;
    a.create("0103").await;
    let b = TestApp::spawn_with(Setup { env: key, store: Some(store), ..Setup::default() }).await;
    let joined = b.create("0103").await;
    let check = b.check(joined.id(), "000000").await;
    assert_ne!(check.body["result"], "verified", "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_call_is_unanswered_whichever_report_comes_first() {
    let app = Stub::direct(vec![
        ("VOICE_CONFIRM", "true".into()),
        ("PLIVO_WAIT", "0".into()),
        ("PLIVO_TIMEOUT", "12".into()),
    ])
    .await;
    app.says("call", &[Says::Nothing]);
    let id = app.open(json!({ "channel": "call", "code": OWN })).await.id().to_owned();
    app.until_asked(1).await;
    let (answer, report) = (app.callback("call", "answer_url"), app.callback("call", "hangup_url"));
    app.plivo_fetches(&answer, &[("CallUUID", "c1"), ("Event", "StartApp")]).await;
    let ended = [("CallUUID", "c1"), ("CallStatus", "completed"), ("HangupCauseCode", "4010"), ("Duration", "20")];
    app.plivo_posts(&report, &ended).await;
    assert_eq!(app.read(&id).await["attempts"][0]["status"], "no_answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_while_a_landline_is_called_sends_no_text_to_it() {
    let app = Stub::direct(Vec::new()).await;
    let to = "+442079460000";
    let v = app.open(json!({ "to": to })).await;
    assert_eq!(v.body["attempts"][0]["reason"], "landline", "{v:?}");
    let again = app.post("/v1/verifications", json!({ "to": to })).await;
    assert_eq!(again.status, 200);
    app.settled().await;
    assert_eq!(app.requested(), ["call"], "a text was sent to a landline while it rings");
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_during_a_call_sends_nothing() {
    let app = Stub::direct(Vec::new()).await;
    app.open(json!({ "channel": "call" })).await;
    let again = app.post("/v1/verifications", json!({ "to": "+14155550103" })).await;
    assert_eq!(again.status, 200);
    app.settled().await;
    assert_eq!(app.requested(), ["call"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_to_a_hang_up_is_retried_soon() {
    let app = Stub::direct(Vec::new()).await;
    let id = app.open(json!({ "channel": "call", "code": OWN })).await.id().to_owned();
    app.says("hangup", &[Says::Status(429, Value::Null), Says::Well]);
    app.check(&id, OWN).await;
    app.until_asked(2).await;
    app.settled().await;
    for _ in 0..10 {
        app.advance(1.0).await;
        app.settled().await;
    }
    // The phone rings for 30 s. The timer that finds it due may be woken after the last look.
    app.until_asked(3).await;
    assert_eq!(app.requested().len(), 3, "{:?}", app.requested());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phlo_that_refused_for_good_is_not_asked_again() {
    let app = Stub::spawn(vec![("PLIVO_TIMEOUT", "1".into())]).await;
    app.answers("phlo", 404);
    app.says("message", &[Says::Status(429, Value::Null), Says::Well]);
    app.open(json!({ "escalation": "never" })).await;
    app.settled().await;
    app.advance(5.0).await;
    app.until_asked(3).await;
    app.settled().await;
    assert_eq!(app.requested().iter().filter(|d| **d == "phlo").count(), 1, "{:?}", app.requested());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_of_the_phlo_runner_leads_to_the_direct_api() {
    let app = Stub::spawn(vec![]).await;
    app.answers("phlo", 308);
    let a = app.post("/v1/verifications", json!({ "to": "+14155550103", "channel": "sms" })).await;
    assert_eq!(app.requested(), ["phlo", "message"], "{} {}", a.status, a.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_key_is_not_silent() {
    let app = Stub::direct(vec![("VOICE_CONFIRM", "true".into()), ("CODE_TTL", "600".into())]).await;
    let id = app.open(json!({ "channel": "call", "code": OWN })).await.id().to_owned();
    let report = app.callback("call", "hangup_url");
    app.plivo_posts(&report, &[("CallUUID", "c1"), ("CallStatus", "busy"), ("HangupCauseCode", "3010")]).await;
    app.advance(20.0).await;
    app.until_asked(2).await;
    app.settled().await;
    let (answer, report) = (app.callback("call", "answer_url"), app.callback("call", "ring_url"));
    app.advance(3.0).await;
    app.plivo_posts(&report, &[("CallUUID", "c2"), ("CallStatus", "ringing"), ("Event", "Ring")]).await;
    // The call is answered after machine detection.
    app.advance(32.0).await;
    app.plivo_fetches(&answer, &[("CallUUID", "c2"), ("Event", "StartApp")]).await;
    // The question is repeated.
    app.advance(29.0).await;
    let v = app.read(&id).await;
    let (_, _, xml) = app.plivo_fetches(&answer, &[("CallUUID", "c2"), ("Digits", "1")]).await;
    assert!(xml.contains("say-as"), "a callback arrived 29 s ago: {} {}", v["status"], v["attempts"][1]["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_breaker_rejects_is_not_counted() {
    let app = Stub::direct(vec![("PLIVO_TIMEOUT", "1".into())]).await;
    app.answers("message", 503);
    for n in 0..9 {
        app.open(json!({ "to": format!("+1415555{:04}", 200 + n), "escalation": "never" })).await;
    }
    app.settled().await;
    let page = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let line = page.lines().find(|l| l.starts_with("phlo2fa_plivo_request_duration_seconds_count")).unwrap().to_owned();
    assert!(
        line.ends_with(&format!(" {}", app.requested().len())),
        "{} requests, counted {line}",
        app.requested().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_call_is_made_while_the_first_still_speaks() {
    let app = Stub::direct(vec![]).await;
    let id = app.open(json!({ "channel": "call", "code": OWN })).await.id().to_owned();
    let answer = app.callback("call", "answer_url");
    app.plivo_fetches(&answer, &[("CallUUID", "c1"), ("Event", "StartApp")]).await;
    app.advance(40.0).await;
    let (_, _, xml) = app.plivo_fetches(&answer, &[("CallUUID", "c1"), ("Digits", "1")]).await;
    assert!(xml.contains("say-as"));
    app.advance(22.0).await;
    let r = app.attempt(&id, "call").await;
    assert_eq!(r.status, 409, "its call reported 22 s ago that it speaks: {} {:?}", r.status, app.requested());
}

#[tokio::test(flavor = "multi_thread")]
async fn resends_during_an_outage_do_not_pile_up() {
    let app = Stub::direct(vec![("PLIVO_TIMEOUT", "1".into())]).await;
    app.says("message", &[Says::Status(429, Value::Null)]);
    let id = app.open(json!({ "code": OWN, "escalation": "never" })).await.id().to_owned();
    for _ in 0..3 {
        app.settled().await;
        app.advance(31.0).await;
        app.settled().await;
        app.attempt(&id, "sms").await;
    }
    app.settled().await;
    app.says("message", &[Says::Well]);
    let before = app.requested().len();
    app.advance(111.0).await;
    app.settled().await;
    app.advance(1.0).await;
    app.settled().await;
    assert_eq!(app.requested().len() - before, 1, "one text is sent after the outage");
}
