//! `/v1/verifications`: create, join, read.

use std::time::Duration;

use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, Setup, TestApp, wrong};

#[tokio::test(flavor = "multi_thread")]
async fn a_texted_code_verifies_its_number_once() {
    let app = TestApp::spawn().await;
    let created = app.create("0100").await;
    assert_eq!(created.status, 201, "{created:?}");
    let code = app.texted_code("0100").await;
    let incorrect = app.check(created.id(), &wrong(&code)).await;
    assert_eq!((incorrect.status, incorrect.body["result"].as_str()), (200, Some("incorrect")));
    let verified = app.check(created.id(), &code).await;
    assert_eq!((verified.status, verified.body["result"].as_str()), (200, Some("verified")));
    assert_eq!(verified.body["channel"], "sms");
    let again = app.check(created.id(), &code).await;
    again.assert_problem(409, "already_verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_without_a_report_becomes_a_call_at_the_timer() {
    let app = TestApp::spawn().await;
    let created = create(&app, json!({ "to": "+14155550103", "escalation": "fixed+fail:35" })).await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.advance(34.0).await;
    assert_eq!(attempts(&app.read(created.id()).await), 1);
    app.advance(1.0).await;
    let code = app.spoken_code("0103").await;
    let v = app.read(created.id()).await;
    assert_eq!(v["attempts"][1]["reason"], "no_report");
    assert_eq!(app.check(created.id(), &code).await.body["channel"], "call");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_answers_with_the_verification_and_its_location() {
    let app = TestApp::spawn().await;
    let body = json!({
        "to": "+14155550103", "channel": "auto", "locale": "en-US", "code_length": 7, "ttl": 240,
        "escalation": "fixed+fail:50", "client_ip": "203.0.113.9", "app_hash": "FA+9qCX9VSu",
        "web_origin": "shop.example", "metadata": { "purpose": "signup", "名": "値" },
    });
    let created = create(&app, body).await;
    let v = &created.body;
    assert_eq!(created.header("location"), format!("/v1/verifications/{}", created.id()));
    assert!(!created.header("x-request-id").is_empty() && created.header("cache-control") == "no-store");
    assert!(created.id().starts_with("vrf_"));
    for (field, expected) in [
        ("status", json!("pending")),
        ("to", json!("+1••••••••03")),
        ("country", json!("US")),
        ("channel", json!("auto")),
        ("checks_remaining", json!(5)),
        ("resend_after", json!(30)),
        ("joined", json!(false)),
        ("metadata", json!({ "purpose": "signup", "名": "値" })),
    ] {
        assert_eq!(v[field], expected, "{field} of {v:#}");
    }
    assert_eq!(seconds(&v["created_at"], &v["expires_at"]), 240);
    assert!(v["client_token"].as_str().is_some_and(|token| token.len() > 40));
    let attempt = &v["attempts"][0];
    assert_eq!((attempts(v), attempt["channel"].as_str(), attempt["via"].as_str()), (1, Some("sms"), Some("phlo")));
    assert!(["triggered", "queued", "sent"].contains(&attempt["status"].as_str().unwrap()), "{v:#}");
    assert_eq!((&attempt["reason"], &attempt["error_code"]), (&Value::Null, &Value::Null));
    assert!(uuid::Uuid::try_parse(attempt["provider_id"].as_str().unwrap()).is_ok());
    assert_eq!(v["next"]["channel"], "call");
    assert_eq!(seconds(&attempt["at"], &v["next"]["at"]), 50);
    assert!(["no_report", "stuck_queued"].contains(&v["next"]["reason"].as_str().unwrap()));

    let read = app.read(created.id()).await;
    assert_eq!(read["metadata"], v["metadata"]);
    assert!(read.get("client_token").is_none() && read.get("joined").is_none(), "{read:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_number_is_required_and_null_counts_as_absent() {
    let app = TestApp::spawn().await;
    let nulls = json!({ "to": "+14155550100", "channel": null, "ttl": null, "metadata": null, "code": null });
    let created = create(&app, nulls).await;
    assert_eq!((&created.body["channel"], &created.body["checks_remaining"]), (&json!("auto"), &json!(5)));
    assert_eq!(seconds(&created.body["created_at"], &created.body["expires_at"]), 300);
    assert_eq!(app.texted_code("0100").await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_customers_own_code_is_sent_and_checked() {
    let app = TestApp::spawn().await;
    let created = create(&app, json!({ "to": "+14155550100", "code": "00000042" })).await;
    assert_eq!(app.texted_code("0100").await, "00000042");
    assert!(!app.read(created.id()).await.to_string().contains("00000042"));
    assert_eq!(app.check(created.id(), "00000042").await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_call_is_made_at_once() {
    let app = TestApp::spawn().await;
    for (channel, last_four) in [("call", "0100"), ("voice", "0102")] {
        let created = create(&app, json!({ "to": format!("+1415555{last_four}"), "channel": channel })).await;
        let attempt = &created.body["attempts"][0];
        assert_eq!((created.body["channel"].as_str(), attempt["channel"].as_str()), (Some("call"), Some("call")));
        assert_eq!(attempt["reason"], "requested");
        let code = app.spoken_code(last_four).await;
        assert_eq!(app.handset(last_four).await["messages"], json!([]));
        assert_eq!(app.check(created.id(), &code).await.body["channel"], "call");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_by_text_alone_never_escalates() {
    let app = TestApp::spawn().await;
    let silent = create(&app, json!({ "to": "+14155550103", "channel": "sms" })).await;
    assert_eq!(silent.body["next"], Value::Null);
    app.until(silent.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.advance(200.0).await;
    assert_eq!((attempts(&app.read(silent.id()).await), app.plivo_log("0103").await.len()), (1, 1));

    let lost = create(&app, json!({ "to": "+14155550101", "channel": "sms" })).await;
    let v = app.until(lost.id(), "undeliverable", |v| v["status"] == "undeliverable").await;
    assert_eq!((attempts(&v), &v["attempts"][0]["error_code"]), (1, &json!("30")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_may_set_its_own_policy_and_lifetime() {
    let app = TestApp::spawn().await;
    let never = create(&app, json!({ "to": "+14155550101", "escalation": "never", "ttl": 60 })).await;
    app.until(never.id(), "undelivered", |v| v["attempts"][0]["status"] == "undelivered").await;
    app.advance(59.0).await;
    let v = app.read(never.id()).await;
    assert_eq!((attempts(&v), &v["next"]), (1, &Value::Null), "{v:#}");
    app.advance(1.0).await;
    assert_eq!(app.read(never.id()).await["status"], "expired");

    let slow = create(&app, json!({ "to": "+14155550102", "escalation": "fixed:20" })).await;
    app.until(slow.id(), "failed", |v| v["attempts"][0]["status"] == "failed").await;
    assert_eq!(attempts(&app.read(slow.id()).await), 1);
    app.advance(20.0).await;
    let v = app.until(slow.id(), "called", |v| attempts(v) == 2).await;
    assert_eq!(v["attempts"][1]["reason"], "failed");

    let quick = create(&app, json!({ "to": "+14155550106", "escalation": "fail" })).await;
    let v = app.until(quick.id(), "called", |v| attempts(v) == 2).await;
    assert_eq!(v["attempts"][1]["reason"], "landline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_prefers_async_is_answered_at_once() {
    // A request that waits sees the timeout of Plivo, and the text as unknown.
    let app = Silent::spawn_with(vec![("PLIVO_WAIT", "60".into()), ("PLIVO_TIMEOUT", "3".into())]).await;
    for prefer in ["respond-async", "Respond-Async; wait=10", "return=minimal, respond-async"] {
        let body = json!({ "to": "+14155550103" });
        let created = app.send(app.request("POST", "/v1/verifications").header("Prefer", prefer).json(&body)).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.body["attempts"][0]["status"], "triggering", "{prefer}: {:#}", created.body);
        app.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_answer_of_plivo_delays_no_client_and_nothing_is_sent_twice() {
    let env = vec![("PLIVO_WAIT", "1".into()), ("PLIVO_TIMEOUT", "25".into())];
    let app = TestApp::spawn_with(Setup { env, speed: 1.0, ..Setup::default() }).await;
    let created = app.create("0113").await;
    assert_eq!(created.status, 201, "{created:?}");
    // `via` is known after Plivo's answer or its timeout; the creation waits for neither.
    assert_eq!(created.body["attempts"][0]["via"], Value::Null, "{created:?}");
    let v = app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    assert_eq!((attempts(&v), app.plivo_log("0113").await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_timeout_a_text_is_unknown_until_a_report_arrives() {
    let app = Silent::spawn_with(vec![("PLIVO_TIMEOUT", "1".into())]).await;
    let created = app.open(json!({ "escalation": "fixed+fail:40" })).await;
    assert_eq!(created.body["attempts"][0]["status"], "triggering");
    let v = app.until(created.id(), "unknown", |v| v["attempts"][0]["status"] == "unknown").await;
    assert_eq!((&v["status"], seconds(&v["attempts"][0]["at"], &v["next"]["at"])), (&json!("pending"), 40));
    let uuid = uuid::Uuid::new_v4().to_string();
    assert_eq!(app.flow_says(created.id(), 0, "sms_sent", json!({ "message_uuid": uuid })).await.status, 200);
    app.plivo_says("message", &[("MessageUUID", &uuid), ("Status", "delivered")]).await;
    let v = app.read(created.id()).await;
    assert_eq!((&v["attempts"][0]["status"], &v["attempts"][0]["provider_id"]), (&json!("delivered"), &json!(uuid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_momentary_failure_of_plivo_is_retried_after_the_answer() {
    let app = TestApp::spawn().await;
    for last_four in ["0111", "0112"] {
        let created = app.create(last_four).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.body["attempts"][0]["status"], "triggering", "{:#}", created.body);
        for _ in 0..200 {
            app.advance(0.5).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            if app.read(created.id()).await["attempts"][0]["status"] == "delivered" {
                break;
            }
        }
        app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(app.handset(last_four).await["messages"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wrong_credentials_the_problem_names_the_kept_verification() {
    let app = TestApp::spawn_with(Setup { plivo_token: Some("another"), ..Setup::default() }).await;
    for channel in ["auto", "sms", "call"] {
        let body = json!({ "to": "+14155550100", "channel": channel });
        let refused = app.post("/v1/verifications", body).await;
        refused.assert_problem(502, "rejected_by_plivo");
        assert_eq!(refused.body["provider_status"], 401);
        // Another number would not help.
        assert_eq!(refused.body["user_message"], "Something went wrong. Please try again.");
        let kept = app.read(refused.id()).await;
        assert_eq!((&kept["status"], &kept["next"]), (&json!("undeliverable"), &Value::Null));
        app.check(refused.id(), "000000").await.assert_problem(409, "verification_undeliverable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_text_escalates_if_allowed_and_is_a_problem_otherwise() {
    let app = TestApp::spawn().await;
    let created = app.create("0110").await;
    assert_eq!(created.status, 201, "{created:?}");
    let v = app.until(created.id(), "called", |v| attempts(v) == 2).await;
    assert_eq!(
        (&v["attempts"][0]["status"], &v["attempts"][1]["reason"]),
        (&json!("failed"), &json!("rejected_by_plivo"))
    );
    let code = app.spoken_code("0110").await;
    assert_eq!(app.check(created.id(), &code).await.body["channel"], "call");

    let refused = app.post("/v1/verifications", json!({ "to": "+14155550110", "channel": "sms" })).await;
    refused.assert_problem(502, "rejected_by_plivo");
    assert!(refused.body["provider_status"].is_number());
    assert_eq!(app.read(refused.id()).await["status"], "undeliverable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_creation_joins_the_open_one_and_within_the_cooldown_sends_nothing() {
    let app = TestApp::spawn().await;
    let first = create(&app, json!({ "to": "+14155550103", "metadata": { "a": "1" } })).await;
    app.until(first.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    let body = json!({ "to": "+14155550103", "ttl": 10, "metadata": { "a": "2" }, "escalation": "never" });
    let second = app.post("/v1/verifications", body).await;
    assert_eq!((second.status, &second.body["joined"]), (200, &json!(true)));
    assert_eq!(
        (&second.body["expires_at"], &second.body["metadata"]),
        (&first.body["expires_at"], &json!({ "a": "2" }))
    );
    assert!(second.body["next"].is_object());
    assert_eq!((attempts(&second.body), app.plivo_log("0103").await.len()), (1, 1));

    app.advance(30.0).await;
    let third = app.create("0103").await;
    assert_eq!((third.status, attempts(&third.body)), (200, 2));
    assert_eq!(app.plivo_log("0103").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joining_creation_sends_the_same_code() {
    let app = TestApp::spawn().await;
    create(&app, json!({ "to": "+14155550100", "escalation": "never" })).await;
    let code = app.texted_code("0100").await;
    app.advance(30.0).await;
    app.create("0100").await;
    let handset = app.until_handset("0100", "texted twice", |h| h["messages"][1]["code"].is_string()).await;
    assert_eq!(handset["messages"][1]["code"], code);
    let call = app.post("/v1/verifications", json!({ "to": "+14155550100", "channel": "call" })).await;
    assert_eq!((call.status, attempts(&call.body)), (200, 3));
    assert_eq!(call.body["attempts"][2]["reason"], "requested");
    assert_eq!(app.spoken_code("0100").await, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_joins_during_a_call_makes_no_call() {
    let app = Silent::spawn().await;
    let first = app.open(json!({ "channel": "call" })).await;
    app.flow_says(first.id(), 0, "call_answered", json!({})).await;
    app.advance(40.0).await;
    let second = app.post("/v1/verifications", json!({ "to": "+14155550103", "channel": "call" })).await;
    assert_eq!((second.status, attempts(&second.body)), (200, 1), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creations_at_once_one_creates_and_one_text_is_sent() {
    let app = TestApp::spawn().await;
    let answers = futures_util::future::join_all((0..16).map(|_| app.create("0100"))).await;
    let created: Vec<_> = answers.iter().filter(|a| a.status == 201).collect();
    assert_eq!(created.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|a| matches!(a.status, 200 | 201)), "{answers:?}");
    let ids: std::collections::BTreeSet<_> = answers.iter().map(|a| a.id()).collect();
    assert_eq!(ids.len(), 16, "each creation has an id of its own");
    assert_eq!(app.plivo_log("0100").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_stops_nothing() {
    use std::io::Write;
    let app = TestApp::spawn_with(Setup { speed: 5.0, ..Setup::default() }).await;
    let body = r#"{"to":"+14155550113"}"#;
    let mut caller = std::net::TcpStream::connect(app.url.trim_start_matches("http://")).unwrap();
    let head =
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo\r\nContent-Type: application/json";
    write!(caller, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    // Plivo has received the request and its answer hangs.
    while app.plivo_log("0113").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(caller);
    let code = app.texted_code("0113").await;
    let checked = app.post("/v1/checks", json!({ "to": "+14155550113", "code": code })).await;
    assert_eq!(checked.body["result"], "verified", "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_a_creation_starts_a_new_verification() {
    let app = TestApp::spawn().await;
    let first = app.create("0100").await;
    app.post(&format!("/v1/verifications/{}/cancel", first.id()), json!({})).await;
    let second = app.create("0100").await;
    assert_eq!((second.status, &second.body["joined"]), (201, &json!(false)));
    assert_ne!(second.id(), first.id());
    app.advance(300.0).await;
    let third = app.create("0100").await;
    assert_eq!(third.status, 201);
    assert_eq!(app.read(second.id()).await["status"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_countries_are_texted_and_called() {
    let setup = |countries: &str, call: &str| Setup {
        env: vec![("COUNTRIES", countries.into()), ("COUNTRIES_CALL", call.into())],
        ..Setup::default()
    };
    let app = TestApp::spawn_with(setup("GB,US", "GB")).await;
    let barred = app.post("/v1/verifications", json!({ "to": "+33612345678" })).await;
    barred.assert_problem(403, "country_not_allowed");
    assert!(!barred.body.to_string().contains("612345678"));
    app.post("/v1/verifications", json!({ "to": "+16135550100" })).await.assert_problem(403, "country_not_allowed");
    let call = json!({ "to": "+14155550100", "channel": "call" });
    app.post("/v1/verifications", call).await.assert_problem(403, "channel_not_allowed");
    assert!(app.whole_plivo_log().await.is_empty());

    let auto = app.create("0101").await;
    assert_eq!((auto.status, &auto.body["next"]), (201, &Value::Null), "{auto:?}");
    app.attempt(auto.id(), "call").await.assert_problem(403, "channel_not_allowed");
    let v = app.until(auto.id(), "undeliverable", |v| v["status"] == "undeliverable").await;
    assert_eq!(attempts(&v), 1);
}

/// Creates a verification and asserts 201.
async fn create(app: &TestApp, body: Value) -> Answer {
    let created = app.post("/v1/verifications", body).await;
    assert_eq!(created.status, 201, "{created:?}");
    created
}

fn attempts(v: &Value) -> usize {
    v["attempts"].as_array().unwrap().len()
}

fn seconds(from: &Value, to: &Value) -> i64 {
    let at = |v: &Value| v.as_str().unwrap_or_else(|| panic!("{v}")).parse::<jiff::Timestamp>().unwrap();
    at(to).as_second() - at(from).as_second()
}
