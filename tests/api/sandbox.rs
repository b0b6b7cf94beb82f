//! Every scenario number, end to end: the API's answers, the handset, and the requests to Plivo.
//!
//! Each scenario runs on the embedded store, a real Redis and a real cluster, through a PHLO and through the Message and Call APIs.
//! The service's clock stands still until a test advances it.

use std::time::Duration;

use crate::support::redis_server::RedisServer;
use crate::support::{Answer, Setup, TestApp};
use serde_json::{Value, json};

/// Defines a test of each scenario on each store, and one without a PHLO unless it is `phlo_only`.
macro_rules! scenarios {
    ($($(#[$only:ident])? async fn $name:ident($app:ident: TestApp = $setup:expr) $body:block)+) => {$(
        mod $name {
            use super::*;

            async fn scenario($app: TestApp) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_memory() {
                scenario(TestApp::spawn_with($setup).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_redis() {
                scenarios!(@on RedisServer::start(), $setup);
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_a_cluster() {
                scenarios!(@on RedisServer::start_cluster(), $setup);
            }

            scenarios!(@direct $($only)? $setup);
        }
    )+};
    (@on $redis:expr, $setup:expr) => {
        let redis = $redis;
        let mut setup: Setup = $setup;
        setup.env.push(("REDIS_URL", redis.url()));
        scenario(TestApp::spawn_with(setup).await).await;
    };
    (@direct phlo_only $setup:expr) => {};
    (@direct $setup:expr) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn without_a_phlo() {
            let mut setup: Setup = $setup;
            setup.env.push(("PHLO_ID", String::new()));
            scenario(TestApp::spawn_with(setup).await).await;
        }
    };
}

fn default_setup() -> Setup {
    Setup::default()
}

/// Times requests to Plivo out after one second, while the answer of 0113 takes three.
fn short_timeout() -> Setup {
    Setup { env: vec![("PLIVO_TIMEOUT", "1".into())], speed: 10.0, ..Setup::default() }
}

/// As [`short_timeout`], and the flow's reports go to a closed port.
fn short_timeout_without_reports() -> Setup {
    Setup { canvas_url: Some("http://127.0.0.1:9".into()), ..short_timeout() }
}

scenarios! {
    async fn s0100_a_delivered_text_verifies(app: TestApp = default_setup()) {
        let id = create(&app, "0100").await;
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(attempt_lines(&v), ["sms delivered"]);
        assert_eq!(next_call(&v), Some((35.0, "delivered_unverified")));
        let code = app.texted_code("0100").await;
        assert_verifies(&app, &id, &code, "sms").await;
        app.advance(120.0).await;
        assert_requests(&app, "0100", &["sms ok"]).await;
        assert_handset(&app, "0100", 1, &[]).await;
        assert!(escalations(&app, &id).await.is_empty());
        assert_ended(&app, &id, "verified").await;
    }

    async fn s0101_an_undelivered_text_escalates(app: TestApp = default_setup()) {
        let id = create(&app, "0101").await;
        let v = wait_for_call(&app, &id, 1).await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 30", "call completed undelivered"]);
        assert_eq!(escalations(&app, &id).await, [escalation("undelivered", false, 0)]);
        assert_requests(&app, "0101", &["sms ok", "call ok"]).await;
        assert_handset(&app, "0101", 0, &["completed"]).await;
        let code = app.spoken_code("0101").await;
        assert_verifies(&app, &id, &code, "call").await;
        assert_ended(&app, &id, "verified").await;
    }

    async fn s0101_without_calls_an_undelivered_text_ends_the_verification(app: TestApp = default_setup()) {
        let created = app.post("/v1/verifications", json!({ "to": "+14155550101", "channel": "sms" })).await;
        assert_eq!((created.status, &created.body["next"]), (201, &Value::Null), "{created:?}");
        let id = created.id();
        let v = app.until(id, "final", |v| v["status"] != "pending").await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 30"]);
        assert_undeliverable(&app, id, "0101", &["sms ok"]).await;
        assert_handset(&app, "0101", 0, &[]).await;
    }

    async fn s0100_a_requested_call_speaks_another_language(app: TestApp = default_setup()) {
        let call = json!({ "to": "+14155550100", "channel": "call", "locale": "fr" });
        let created = app.post("/v1/verifications", call).await;
        let v = app.until(created.id(), "called", |v| v["attempts"][0]["status"] == "completed").await;
        assert_eq!((attempt_lines(&v), next_call(&v)), (vec!["call completed requested".to_owned()], None));
        let code = app.spoken_code("0100").await;
        assert_verifies(&app, created.id(), &code, "call").await;
    }

    async fn s0102_a_failed_text_escalates(app: TestApp = default_setup()) {
        let id = create(&app, "0102").await;
        let v = wait_for_call(&app, &id, 1).await;
        assert_eq!(attempt_lines(&v), ["sms failed 300", "call completed failed"]);
        assert_eq!(escalations(&app, &id).await, [escalation("failed", false, 0)]);
        assert_requests(&app, "0102", &["sms ok", "call ok"]).await;
        assert_handset(&app, "0102", 0, &["completed"]).await;
        let code = app.spoken_code("0102").await;
        assert_verifies(&app, &id, &code, "call").await;
    }

    async fn s0103_a_text_without_a_report_escalates_by_timer(app: TestApp = default_setup()) {
        assert_called_by_timer(&app, "0103", "sent", "no_report").await;
    }

    async fn s0104_a_text_that_stays_queued_escalates_by_timer(app: TestApp = default_setup()) {
        assert_called_by_timer(&app, "0104", "queued", "stuck_queued").await;
    }

    async fn s0105_a_false_delivery_report_escalates_by_timer(app: TestApp = default_setup()) {
        assert_called_by_timer(&app, "0105", "delivered", "delivered_unverified").await;
    }

    async fn s0106_a_landline_is_called(app: TestApp = default_setup()) {
        let id = create(&app, "0106").await;
        let v = wait_for_call(&app, &id, 1).await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 50", "call completed landline"]);
        assert_eq!(escalations(&app, &id).await, [escalation("landline", false, 0)]);
        assert_requests(&app, "0106", &["sms ok", "call ok"]).await;
        assert_handset(&app, "0106", 0, &["completed"]).await;
        let code = app.spoken_code("0106").await;
        assert_verifies(&app, &id, &code, "call").await;
    }

    async fn s0107_a_busy_call_is_repeated_once(app: TestApp = default_setup()) {
        let id = create(&app, "0107").await;
        let v = app.until(&id, "busy", |v| v["attempts"][1]["status"] == "busy").await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 30", "call busy undelivered"]);
        // The flow reports a name and the hangup callback a number, and they come in any order.
        assert_eq!(v["attempts"][1]["error_code"], "3010", "{v}");
        assert_eq!(next_call(&v), Some((20.0, "undelivered")));
        app.advance(19.0).await;
        assert_requests(&app, "0107", &["sms ok", "call ok"]).await;
        app.advance(1.0).await;
        let v = wait_for_call(&app, &id, 2).await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 30", "call busy undelivered", "call completed undelivered"]);
        let expected = [escalation("undelivered", false, 0), escalation("undelivered", true, 20_000)];
        assert_eq!(escalations(&app, &id).await, expected);
        assert_requests(&app, "0107", &["sms ok", "call ok", "call ok"]).await;
        assert_handset(&app, "0107", 0, &["busy", "completed"]).await;
        let code = app.spoken_code("0107").await;
        assert_verifies(&app, &id, &code, "call").await;
    }

    async fn s0108_two_unanswered_calls_end_the_verification(app: TestApp = default_setup()) {
        let id = create(&app, "0108").await;
        let v = app.until(&id, "not answered", |v| v["attempts"][1]["status"] == "no_answer").await;
        assert_eq!((v["status"].as_str(), next_call(&v)), (Some("pending"), Some((20.0, "undelivered"))));
        assert_eq!(v["attempts"][1]["error_code"], "3000", "{v}");
        app.advance(20.0).await;
        let v = app.until(&id, "final", |v| v["status"] != "pending").await;
        let unanswered = "call no_answer undelivered";
        assert_eq!(attempt_lines(&v), ["sms undelivered 30", unanswered, unanswered]);
        assert_undeliverable(&app, &id, "0108", &["sms ok", "call ok", "call ok"]).await;
        let expected = [escalation("undelivered", false, 0), escalation("undelivered", true, 20_000)];
        assert_eq!(escalations(&app, &id).await, expected);
        assert_handset(&app, "0108", 0, &["no_answer", "no_answer"]).await;
    }

    async fn s0109_voicemail_ends_the_verification(app: TestApp = default_setup()) {
        let id = create(&app, "0109").await;
        let v = app.until(&id, "final", |v| v["status"] != "pending").await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 30", "call machine undelivered"]);
        assert_undeliverable(&app, &id, "0109", &["sms ok", "call ok"]).await;
        let handset = assert_handset(&app, "0109", 0, &["machine"]).await;
        assert_eq!(handset["calls"][0]["code"], Value::Null);
    }

    #[phlo_only]
    async fn s0110_a_failed_node_escalates(app: TestApp = default_setup()) {
        let id = create(&app, "0110").await;
        let v = wait_for_call(&app, &id, 1).await;
        assert_eq!(attempt_lines(&v), ["sms failed", "call completed rejected_by_plivo"]);
        assert_eq!(escalations(&app, &id).await, [escalation("rejected_by_plivo", false, 0)]);
        // The run's answer and the flow's report both name the refusal; the timeline has it once.
        assert_eq!(timeline(&app, &id).await.iter().filter(|entry| entry["event"] == "refused").count(), 1);
        assert_requests(&app, "0110", &["sms ok", "call ok"]).await;
        assert_handset(&app, "0110", 0, &["completed"]).await;
        let code = app.spoken_code("0110").await;
        assert_verifies(&app, &id, &code, "call").await;
    }

    async fn s0111_a_rate_limited_text_is_retried(app: TestApp = default_setup()) {
        let answer = app.create("0111").await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("triggering")), "{answer:?}");
        let id = answer.id();
        // After the PHLO's 429 the direct API is tried at once; its 429 defers the text.
        for times in 1..=if app.has_phlo { 1 } else { 2 } {
            wait_until_deferred(&app, id, times).await;
            app.advance(1.0).await;
        }
        let v = app.until(id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(attempt_lines(&v), ["sms delivered"]);
        // The timer counts from the first request.
        assert_eq!(next_call(&v), Some((35.0, "delivered_unverified")));
        let is_failure = |entry: &Value| entry["event"] == "deferred" || entry["event"] == "passed_on";
        let deferred = timeline(&app, id).await.into_iter().filter(is_failure);
        assert_eq!(deferred.map(|entry| entry["provider_status"].clone()).collect::<Vec<_>>(), [429, 429]);
        app.advance(30.0).await;
        assert_requests(&app, "0111", &["sms 429", "sms 429", "sms ok"]).await;
        assert_handset(&app, "0111", 1, &[]).await;
        let code = app.texted_code("0111").await;
        assert_verifies(&app, id, &code, "sms").await;
    }

    async fn s0112_a_text_is_retried_after_server_errors(app: TestApp = default_setup()) {
        let answer = app.create("0112").await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("triggering")), "{answer:?}");
        let id = answer.id();
        // The first request is answered 500; so is the second, unless this machine takes more than 0.6 s for it.
        wait_until_deferred(&app, id, 1).await;
        app.advance(0.5).await;
        wait_for_requests(&app, "0112", 2).await;
        // One minute of the local Plivo's time.
        tokio::time::sleep(Duration::from_millis(600)).await;
        app.advance(1.0).await;
        let v = app.until(id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(attempt_lines(&v), ["sms delivered"]);
        app.advance(30.0).await;
        let requests = requests(&app, "0112").await;
        let (last, failed) = requests.split_last().unwrap();
        assert!((1..=2).contains(&failed.len()) && failed.iter().all(|r| r == "sms 500"), "{requests:?}");
        assert_eq!(last, "sms ok");
        // A request answered 500 sent nothing: one text, and no call.
        assert_handset(&app, "0112", 1, &[]).await;
        let code = app.texted_code("0112").await;
        assert_verifies(&app, id, &code, "sms").await;
    }

    async fn s0112_a_call_is_not_retried_after_a_server_error(app: TestApp = default_setup()) {
        let answer = app.post("/v1/verifications", json!({ "to": "+14155550112", "channel": "call" })).await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("unknown")), "{answer:?}");
        let id = answer.id();
        // The call may ring already, so only a minute without callbacks leads to its one repeat.
        app.advance(59.0).await;
        assert_requests(&app, "0112", &["call 500"]).await;
        app.advance(1.0).await;
        let v = app.until(id, "not answered", |v| v["attempts"][0]["status"] == "no_answer").await;
        assert_eq!(next_call(&v), Some((80.0, "requested")));
        tokio::time::sleep(Duration::from_millis(600)).await;
        app.advance(20.0).await;
        let v = app.until(id, "called", |v| v["attempts"][1]["status"] == "completed").await;
        assert_eq!(attempt_lines(&v), ["call no_answer requested", "call completed requested"]);
        assert_requests(&app, "0112", &["call 500", "call ok"]).await;
        let code = app.spoken_code("0112").await;
        assert_verifies(&app, id, &code, "call").await;
    }

    async fn s0113_a_hanging_answer_sends_one_text(app: TestApp = short_timeout()) {
        let id = create(&app, "0113").await;
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        // The request has timed out by now, because the creation waits for it.
        assert_eq!(timeline(&app, &id).await.iter().filter(|entry| entry["event"] == "timed_out").count(), 1);
        assert_eq!(attempt_lines(&v), ["sms delivered"]);
        assert_eq!(next_call(&v), Some((35.0, "delivered_unverified")));
        app.advance(34.0).await;
        assert_requests(&app, "0113", &["sms ok"]).await;
        assert_handset(&app, "0113", 1, &[]).await;
        let code = app.texted_code("0113").await;
        assert_verifies(&app, &id, &code, "sms").await;
    }

    #[phlo_only]
    async fn s0113_without_reports_a_hanging_answer_escalates_by_timer(app: TestApp = short_timeout_without_reports()) {
        let answer = app.create("0113").await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("unknown")), "{answer:?}");
        assert_eq!(next_call(&answer.body), Some((35.0, "no_report")));
        let id = answer.id();
        app.advance(34.0).await;
        assert_requests(&app, "0113", &["sms ok"]).await;
        app.advance(1.0).await;
        let code = app.spoken_code("0113").await;
        assert_eq!(escalations(&app, id).await, [escalation("no_report", false, 35_000)]);
        assert_requests(&app, "0113", &["sms ok", "call ok"]).await;
        // Plivo's list of messages said that the text was sent. No report says that the call was answered.
        assert_eq!(app.texted_code("0113").await, code);
        assert_verifies(&app, id, &code, "sms").await;
    }

    async fn s0114_doubled_callbacks_out_of_order_deliver_once(app: TestApp = default_setup()) {
        let id = create(&app, "0114").await;
        wait_for_callbacks(&app, 6).await;
        let v = app.read(&id).await;
        assert_eq!(attempt_lines(&v), ["sms delivered"]);
        let reports = timeline(&app, &id).await.into_iter().filter(|entry| entry["event"] == "text_reported");
        let statuses: Vec<_> = reports.map(|entry| entry["status"].clone()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == "delivered").count(), 1, "{statuses:?}");
        assert_eq!(statuses.last(), Some(&json!("delivered")));
        assert_requests(&app, "0114", &["sms ok"]).await;
        assert_handset(&app, "0114", 1, &[]).await;
        let code = app.texted_code("0114").await;
        assert_verifies(&app, &id, &code, "sms").await;
    }

    async fn s0115_a_text_delivered_after_success_is_only_recorded(app: TestApp = default_setup()) {
        let id = create(&app, "0115").await;
        app.until(&id, "sent", |v| v["attempts"][0]["status"] == "sent").await;
        app.advance(35.0).await;
        let code = app.spoken_code("0115").await;
        assert_eq!(escalations(&app, &id).await, [escalation("no_report", false, 35_000)]);
        // The service knows that the call was answered before the code is spoken.
        assert_verifies(&app, &id, &code, "call").await;
        assert_eq!(app.texted_code("0115").await, code, "one code for every attempt");
        // A late report is recorded and changes nothing else.
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(v["status"], "verified");
        app.advance(60.0).await;
        assert_requests(&app, "0115", &["sms ok", "call ok"]).await;
        assert_handset(&app, "0115", 1, &["completed"]).await;
        assert_ended(&app, &id, "verified").await;
    }

    async fn s0116_a_missing_geo_permission_ends_the_verification(app: TestApp = default_setup()) {
        let id = create(&app, "0116").await;
        let v = app.until(&id, "final", |v| v["status"] != "pending").await;
        assert_eq!(attempt_lines(&v), ["sms failed 450"]);
        assert_undeliverable(&app, &id, "0116", &["sms ok"]).await;
        assert_handset(&app, "0116", 0, &[]).await;
    }

    async fn s0117_an_opt_out_ends_the_verification(app: TestApp = default_setup()) {
        let id = create(&app, "0117").await;
        let v = app.until(&id, "final", |v| v["status"] != "pending").await;
        assert_eq!(attempt_lines(&v), ["sms undelivered 200"]);
        assert_undeliverable(&app, &id, "0117", &["sms ok"]).await;
        assert_handset(&app, "0117", 0, &[]).await;
    }

    async fn s0118_callbacks_before_the_answer_are_applied(app: TestApp = default_setup()) {
        let id = create(&app, "0118").await;
        wait_for_callbacks(&app, 3).await;
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(attempt_lines(&v), ["sms delivered"]);
        assert_eq!(next_call(&v), Some((35.0, "delivered_unverified")));
        assert!(v["attempts"][0]["provider_id"].is_string(), "{v}");
        assert_requests(&app, "0118", &["sms ok"]).await;
        assert_handset(&app, "0118", 1, &[]).await;
        let code = app.texted_code("0118").await;
        assert_verifies(&app, &id, &code, "sms").await;
    }
}

/// Asserts that a text stays at `status` until the timer ends and the call is placed.
async fn assert_called_by_timer(app: &TestApp, last_four: &str, status: &str, reason: &'static str) {
    let id = create(app, last_four).await;
    let v = app.until(&id, status, |v| v["attempts"][0]["status"] == status).await;
    assert_eq!(next_call(&v), Some((35.0, reason)));
    app.advance(34.0).await;
    assert_requests(app, last_four, &["sms ok"]).await;
    app.advance(1.0).await;
    let v = wait_for_call(app, &id, 1).await;
    assert_eq!(attempt_lines(&v), [format!("sms {status}"), format!("call completed {reason}")]);
    assert_eq!(escalations(app, &id).await, [escalation(reason, false, 35_000)]);
    assert_requests(app, last_four, &["sms ok", "call ok"]).await;
    assert_handset(app, last_four, 0, &["completed"]).await;
    let code = app.spoken_code(last_four).await;
    assert_verifies(app, &id, &code, "call").await;
    assert_ended(app, &id, "verified").await;
}

async fn create(app: &TestApp, last_four: &str) -> String {
    let answer = app.create(last_four).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.id().to_owned()
}

/// One line for each attempt: channel, status, reason, and a text's error code.
fn attempt_lines(v: &Value) -> Vec<String> {
    let line = |a: &Value| {
        let code = if a["channel"] == "sms" { &a["error_code"] } else { &Value::Null };
        let words = [&a["channel"], &a["status"], &a["reason"], code];
        words.into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    };
    v["attempts"].as_array().unwrap().iter().map(line).collect()
}

/// The planned call: seconds after the creation, and the reason.
fn next_call(v: &Value) -> Option<(f64, &str)> {
    let next = v["next"].as_object()?;
    assert_eq!(next["channel"], "call");
    let at = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let after = at(&next["at"]).duration_since(at(&v["created_at"]));
    Some((after.as_secs_f64(), next["reason"].as_str().unwrap()))
}

async fn timeline(app: &TestApp, id: &str) -> Vec<Value> {
    let answer = app.get(&format!("/v1/verifications/{id}/timeline")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["entries"].as_array().unwrap().clone()
}

/// One escalation of the timeline; `waited_ms` counts from the first request.
fn escalation(reason: &str, is_repeat: bool, waited_ms: u64) -> Value {
    json!({ "reason": reason, "is_repeat": is_repeat, "waited_ms": waited_ms, "policy": "fixed+fail:35" })
}

/// The escalations of a timeline.
async fn escalations(app: &TestApp, id: &str) -> Vec<Value> {
    let fields = |e: Value| json!({ "reason": e["reason"], "is_repeat": e["is_repeat"], "waited_ms": e["waited_ms"], "policy": e["policy"] });
    timeline(app, id).await.into_iter().filter(|entry| entry["event"] == "escalated").map(fields).collect()
}

async fn wait_until_deferred(app: &TestApp, id: &str, times: usize) {
    for _ in 0..6000 {
        let entries = timeline(app, id).await;
        if entries.iter().filter(|entry| entry["event"] == "deferred").count() == times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not deferred {times} times: {:#?}", timeline(app, id).await);
}

/// Waits until the attempt at index `nth`, a call, is completed.
async fn wait_for_call(app: &TestApp, id: &str, nth: usize) -> Value {
    app.until(id, "called", |v| v["attempts"][nth]["status"] == "completed").await
}

/// Waits until the service has counted `wanted` callbacks about texts.
async fn wait_for_callbacks(app: &TestApp, wanted: u64) {
    for _ in 0..6000 {
        let text = app.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
        let counts = text.lines().filter(|line| line.starts_with("phlo2fa_callbacks_total{kind=\"message\""));
        if counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("fewer or more than {wanted} callbacks");
}

/// One line for each request to Plivo about a number: the medium and the answer.
async fn requests(app: &TestApp, last_four: &str) -> Vec<String> {
    let log = app.plivo_log(last_four).await;
    let line = |entry: &Value| {
        let medium = match (entry["what"].as_str().unwrap(), entry["mode"].as_str()) {
            ("phlo", Some(mode)) => mode,
            ("message", None) => "sms",
            ("call", None) => "call",
            other => panic!("{other:?}"),
        };
        let status =
            if matches!(entry["status"].as_u64(), Some(200..=299)) { "ok" } else { &entry["status"].to_string() };
        format!("{medium} {status}")
    };
    log.iter().map(line).collect()
}

async fn assert_requests(app: &TestApp, last_four: &str, expected: &[&str]) {
    // A report can come before the answer, whose status is null until then.
    for _ in 0..6000 {
        if !requests(app, last_four).await.iter().any(|request| request.ends_with("null")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(requests(app, last_four).await, expected);
}

async fn wait_for_requests(app: &TestApp, last_four: &str, times: usize) {
    for _ in 0..6000 {
        if requests(app, last_four).await.len() >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not requested {times} times: {:?}", requests(app, last_four).await);
}

/// Asserts that the handset gets this many texts, and calls that end like this.
async fn assert_handset(app: &TestApp, last_four: &str, texts: usize, calls: &[&str]) -> Value {
    let statuses = |h: &Value| h["calls"].as_array().unwrap().iter().map(|c| c["status"].clone()).collect::<Vec<_>>();
    let matches = |h: &Value| h["messages"].as_array().unwrap().len() == texts && statuses(h) == calls;
    app.until_handset(last_four, &format!("{texts} texts and calls {calls:?}"), matches).await
}

/// Asserts that the code verifies once, by `channel`.
async fn assert_verifies(app: &TestApp, id: &str, code: &str, channel: &str) {
    let Answer { status, body, .. } = app.check(id, code).await;
    assert_eq!((status, &body["result"], &body["status"]), (200, &json!("verified"), &json!("verified")), "{body}");
    assert_eq!(body["channel"], channel, "{body}");
    let v = app.read(id).await;
    assert_eq!((&v["status"], &v["next"]), (&json!("verified"), &Value::Null));
    let again = app.check(id, code).await;
    assert_eq!((again.status, again.code()), (409, "already_verified"));
}

/// Asserts that the verification is undeliverable, and that no request follows in two minutes.
async fn assert_undeliverable(app: &TestApp, id: &str, last_four: &str, expected: &[&str]) {
    let v = app.read(id).await;
    assert_eq!((&v["status"], &v["next"]), (&json!("undeliverable"), &Value::Null), "{v}");
    let check = app.check(id, "000000").await;
    assert_eq!((check.status, check.code()), (409, "verification_undeliverable"));
    app.advance(120.0).await;
    assert_requests(app, last_four, expected).await;
    assert_ended(app, id, "undeliverable").await;
}

/// Asserts that the timeline has one end, with `status`.
async fn assert_ended(app: &TestApp, id: &str, status: &str) {
    let endings: Vec<_> = timeline(app, id).await.into_iter().filter(|entry| entry["event"] == "ended").collect();
    assert_eq!(endings.len(), 1, "{endings:?}");
    assert_eq!(endings[0]["status"], status);
    assert_eq!(app.read(id).await["status"], status);
}
