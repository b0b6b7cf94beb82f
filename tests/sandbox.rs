//! Every scenario number, end to end: what the API tells, what the handset got, and what Plivo was asked for. Each
//! on the embedded store and on a real Redis, by a PHLO and by the Message and Call APIs. The service's clock stands still until a test moves it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "support/mod.rs"]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::redis_server::RedisServer;
use support::{Answer, Setup, TestApp};

/// One scenario, on both stores.
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
                let redis = RedisServer::start();
                let mut setup: Setup = $setup;
                setup.env.push(("REDIS_URL", redis.url()));
                scenario(TestApp::spawn_with(setup).await).await;
            }

            scenarios!(@direct $($only)? $setup);
        }
    )+};
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

fn usual() -> Setup {
    Setup::default()
}

/// Gives one request to Plivo a second, while the answer to 0113 takes three.
fn impatient() -> Setup {
    Setup { env: vec![("PLIVO_TIMEOUT", "1".into())], speed: 10.0, ..Setup::default() }
}

/// The same, and Plivo's reports get lost.
fn impatient_and_deaf() -> Setup {
    Setup { canvas_url: Some("http://127.0.0.1:9".into()), ..impatient() }
}

scenarios! {
    async fn s0100_delivered(app: TestApp = usual()) {
        let id = created(&app, "0100").await;
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(story(&v), ["sms delivered"]);
        assert_eq!(next(&v), Some((35.0, "delivered_unverified")));
        let code = app.texted_code("0100").await;
        verifies(&app, &id, &code, "sms").await;
        app.advance(120.0).await;
        asked(&app, "0100", &["sms ok"]).await;
        reached(&app, "0100", 1, &[]).await;
        assert!(decisions(&app, &id).await.is_empty());
        ended(&app, &id, "verified").await;
    }

    async fn s0101_undelivered(app: TestApp = usual()) {
        let id = created(&app, "0101").await;
        let v = until_called(&app, &id, 1).await;
        assert_eq!(story(&v), ["sms undelivered 30", "call completed undelivered"]);
        assert_eq!(decisions(&app, &id).await, [decision("undelivered", false, 0)]);
        asked(&app, "0101", &["sms ok", "call ok"]).await;
        reached(&app, "0101", 0, &["completed"]).await;
        let code = app.spoken_code("0101").await;
        verifies(&app, &id, &code, "call").await;
        ended(&app, &id, "verified").await;
    }

    async fn s0101_undelivered_and_calls_not_wanted(app: TestApp = usual()) {
        let created = app.post("/v1/verifications", json!({ "to": "+14155550101", "channel": "sms" })).await;
        assert_eq!((created.status, &created.body["next"]), (201, &Value::Null), "{created:?}");
        let id = created.id();
        let v = app.until(id, "over", |v| v["status"] != "pending").await;
        assert_eq!(story(&v), ["sms undelivered 30"]);
        gives_up(&app, id, "0101", &["sms ok"]).await;
        reached(&app, "0101", 0, &[]).await;
    }

    async fn s0100_called_in_another_language(app: TestApp = usual()) {
        let call = json!({ "to": "+14155550100", "channel": "call", "locale": "fr" });
        let created = app.post("/v1/verifications", call).await;
        let v = app.until(created.id(), "called", |v| v["attempts"][0]["status"] == "completed").await;
        assert_eq!((story(&v), next(&v)), (vec!["call completed requested".to_owned()], None));
        let code = app.spoken_code("0100").await;
        verifies(&app, created.id(), &code, "call").await;
    }

    async fn s0102_failed(app: TestApp = usual()) {
        let id = created(&app, "0102").await;
        let v = until_called(&app, &id, 1).await;
        assert_eq!(story(&v), ["sms failed 300", "call completed failed"]);
        assert_eq!(decisions(&app, &id).await, [decision("failed", false, 0)]);
        asked(&app, "0102", &["sms ok", "call ok"]).await;
        reached(&app, "0102", 0, &["completed"]).await;
        let code = app.spoken_code("0102").await;
        verifies(&app, &id, &code, "call").await;
    }

    async fn s0103_sent_then_silence(app: TestApp = usual()) {
        called_by_timer(&app, "0103", "sent", "no_report").await;
    }

    async fn s0104_queued_for_ever(app: TestApp = usual()) {
        called_by_timer(&app, "0104", "queued", "stuck_queued").await;
    }

    async fn s0105_delivered_they_say(app: TestApp = usual()) {
        called_by_timer(&app, "0105", "delivered", "delivered_unverified").await;
    }

    async fn s0106_landline(app: TestApp = usual()) {
        let id = created(&app, "0106").await;
        let v = until_called(&app, &id, 1).await;
        assert_eq!(story(&v), ["sms undelivered 50", "call completed landline"]);
        assert_eq!(decisions(&app, &id).await, [decision("landline", false, 0)]);
        asked(&app, "0106", &["sms ok", "call ok"]).await;
        reached(&app, "0106", 0, &["completed"]).await;
        let code = app.spoken_code("0106").await;
        verifies(&app, &id, &code, "call").await;
    }

    async fn s0107_busy_then_answered(app: TestApp = usual()) {
        let id = created(&app, "0107").await;
        let v = app.until(&id, "busy", |v| v["attempts"][1]["status"] == "busy").await;
        assert_eq!(story(&v), ["sms undelivered 30", "call busy undelivered"]);
        // The flow's own report and the hangup callback both tell it, in this or the other order.
        assert!(["USER_BUSY", "3010"].contains(&v["attempts"][1]["error_code"].as_str().unwrap()), "{v}");
        assert_eq!(next(&v), Some((20.0, "undelivered")));
        app.advance(19.0).await;
        asked(&app, "0107", &["sms ok", "call ok"]).await;
        app.advance(1.0).await;
        let v = until_called(&app, &id, 2).await;
        assert_eq!(story(&v), ["sms undelivered 30", "call busy undelivered", "call completed undelivered"]);
        let expected = [decision("undelivered", false, 0), decision("undelivered", true, 20_000)];
        assert_eq!(decisions(&app, &id).await, expected);
        asked(&app, "0107", &["sms ok", "call ok", "call ok"]).await;
        reached(&app, "0107", 0, &["busy", "completed"]).await;
        let code = app.spoken_code("0107").await;
        verifies(&app, &id, &code, "call").await;
    }

    async fn s0108_never_answered(app: TestApp = usual()) {
        let id = created(&app, "0108").await;
        let v = app.until(&id, "not answered", |v| v["attempts"][1]["status"] == "no_answer").await;
        assert_eq!((v["status"].as_str(), next(&v)), (Some("pending"), Some((20.0, "undelivered"))));
        assert!(["NO_ANSWER", "3000"].contains(&v["attempts"][1]["error_code"].as_str().unwrap()), "{v}");
        app.advance(20.0).await;
        let v = app.until(&id, "over", |v| v["status"] != "pending").await;
        assert_eq!(story(&v), ["sms undelivered 30", "call no_answer undelivered", "call no_answer undelivered"]);
        gives_up(&app, &id, "0108", &["sms ok", "call ok", "call ok"]).await;
        let expected = [decision("undelivered", false, 0), decision("undelivered", true, 20_000)];
        assert_eq!(decisions(&app, &id).await, expected);
        reached(&app, "0108", 0, &["no_answer", "no_answer"]).await;
    }

    async fn s0109_voicemail(app: TestApp = usual()) {
        let id = created(&app, "0109").await;
        let v = app.until(&id, "over", |v| v["status"] != "pending").await;
        assert_eq!(story(&v), ["sms undelivered 30", "call machine undelivered"]);
        gives_up(&app, &id, "0109", &["sms ok", "call ok"]).await;
        let handset = reached(&app, "0109", 0, &["machine"]).await;
        assert_eq!(handset["calls"][0]["code"], Value::Null);
    }

    #[phlo_only]
    async fn s0110_the_node_fails(app: TestApp = usual()) {
        let id = created(&app, "0110").await;
        let v = until_called(&app, &id, 1).await;
        assert_eq!(story(&v), ["sms failed", "call completed rejected_by_plivo"]);
        assert_eq!(decisions(&app, &id).await, [decision("rejected_by_plivo", false, 0)]);
        // The run's answer and the flow's own report both say so; it is told once.
        assert_eq!(timeline(&app, &id).await.iter().filter(|entry| entry["event"] == "refused").count(), 1);
        asked(&app, "0110", &["sms ok", "call ok"]).await;
        reached(&app, "0110", 0, &["completed"]).await;
        let code = app.spoken_code("0110").await;
        verifies(&app, &id, &code, "call").await;
    }

    async fn s0111_too_many_requests(app: TestApp = usual()) {
        let answer = app.create("0111").await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("triggering")), "{answer:?}");
        let id = answer.id();
        // The PHLO's 429 passes it on at once to the direct API, whose 429 puts it off.
        for times in 1..=if app.has_phlo { 1 } else { 2 } {
            until_deferred(&app, id, times).await;
            app.advance(1.0).await;
        }
        let v = app.until(id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(story(&v), ["sms delivered"]);
        // Its timer still counts from the first request.
        assert_eq!(next(&v), Some((35.0, "delivered_unverified")));
        let is_failure = |entry: &Value| entry["event"] == "deferred" || entry["event"] == "passed_on";
        let deferred = timeline(&app, id).await.into_iter().filter(is_failure);
        assert_eq!(deferred.map(|entry| entry["provider_status"].clone()).collect::<Vec<_>>(), [429, 429]);
        app.advance(30.0).await;
        asked(&app, "0111", &["sms 429", "sms 429", "sms ok"]).await;
        reached(&app, "0111", 1, &[]).await;
        let code = app.texted_code("0111").await;
        verifies(&app, id, &code, "sms").await;
    }

    async fn s0112_server_errors(app: TestApp = usual()) {
        let answer = app.create("0112").await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("triggering")), "{answer:?}");
        let id = answer.id();
        // The first is answered 500; the second is too, unless this machine takes more than 0.6 s for it.
        until_deferred(&app, id, 1).await;
        app.advance(0.5).await;
        asked_at_least(&app, "0112", 2).await;
        // Plivo's minute.
        tokio::time::sleep(Duration::from_millis(600)).await;
        app.advance(1.0).await;
        let v = app.until(id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(story(&v), ["sms delivered"]);
        app.advance(30.0).await;
        let requests = requests(&app, "0112").await;
        let (last, failed) = requests.split_last().unwrap();
        assert!((1..=2).contains(&failed.len()) && failed.iter().all(|r| r == "sms 500"), "{requests:?}");
        assert_eq!(last, "sms ok");
        // What was answered 500 was not sent: one text, and no call.
        reached(&app, "0112", 1, &[]).await;
        let code = app.texted_code("0112").await;
        verifies(&app, id, &code, "sms").await;
    }

    async fn s0112_server_errors_of_a_call(app: TestApp = usual()) {
        let answer = app.post("/v1/verifications", json!({ "to": "+14155550112", "channel": "call" })).await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("unknown")), "{answer:?}");
        let id = answer.id();
        // It may ring already, so it is not asked for again; only silence brings the one repeat.
        app.advance(59.0).await;
        asked(&app, "0112", &["call 500"]).await;
        app.advance(1.0).await;
        let v = app.until(id, "given up", |v| v["attempts"][0]["status"] == "no_answer").await;
        assert_eq!(next(&v), Some((80.0, "requested")));
        tokio::time::sleep(Duration::from_millis(600)).await;
        app.advance(20.0).await;
        let v = app.until(id, "called", |v| v["attempts"][1]["status"] == "completed").await;
        assert_eq!(story(&v), ["call no_answer requested", "call completed requested"]);
        asked(&app, "0112", &["call 500", "call ok"]).await;
        let code = app.spoken_code("0112").await;
        verifies(&app, id, &code, "call").await;
    }

    async fn s0113_the_answer_hangs(app: TestApp = impatient()) {
        let id = created(&app, "0113").await;
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        // That nothing was answered is known by now: the creation waited for it.
        assert_eq!(timeline(&app, &id).await.iter().filter(|entry| entry["event"] == "timed_out").count(), 1);
        assert_eq!((story(&v), next(&v)), (vec!["sms delivered".to_owned()], Some((35.0, "delivered_unverified"))));
        app.advance(34.0).await;
        asked(&app, "0113", &["sms ok"]).await;
        reached(&app, "0113", 1, &[]).await;
        let code = app.texted_code("0113").await;
        verifies(&app, &id, &code, "sms").await;
    }

    #[phlo_only]
    async fn s0113_the_answer_hangs_and_nothing_is_reported(app: TestApp = impatient_and_deaf()) {
        let answer = app.create("0113").await;
        assert_eq!((answer.status, &answer.body["attempts"][0]["status"]), (201, &json!("unknown")), "{answer:?}");
        assert_eq!(next(&answer.body), Some((35.0, "no_report")));
        let id = answer.id();
        app.advance(34.0).await;
        asked(&app, "0113", &["sms ok"]).await;
        app.advance(1.0).await;
        let code = app.spoken_code("0113").await;
        assert_eq!(decisions(&app, id).await, [decision("no_report", false, 35_000)]);
        asked(&app, "0113", &["sms ok", "call ok"]).await;
        // As far as is known no text was accepted, though it did arrive.
        assert_eq!(app.texted_code("0113").await, code);
        verifies(&app, id, &code, "call").await;
    }

    async fn s0114_callbacks_doubled_and_out_of_order(app: TestApp = usual()) {
        let id = created(&app, "0114").await;
        until_callbacks(&app, 6).await;
        let v = app.read(&id).await;
        assert_eq!(story(&v), ["sms delivered"]);
        let told = timeline(&app, &id).await.into_iter().filter(|entry| entry["event"] == "text_reported");
        let told: Vec<_> = told.map(|entry| entry["status"].clone()).collect();
        assert_eq!(told.iter().filter(|status| **status == "delivered").count(), 1, "{told:?}");
        assert_eq!(told.last(), Some(&json!("delivered")));
        asked(&app, "0114", &["sms ok"]).await;
        reached(&app, "0114", 1, &[]).await;
        let code = app.texted_code("0114").await;
        verifies(&app, &id, &code, "sms").await;
    }

    async fn s0115_delivered_late_after_the_call(app: TestApp = usual()) {
        let id = created(&app, "0115").await;
        app.until(&id, "sent", |v| v["attempts"][0]["status"] == "sent").await;
        app.advance(35.0).await;
        let code = app.spoken_code("0115").await;
        assert_eq!(decisions(&app, &id).await, [decision("no_report", false, 35_000)]);
        // Calls tell that they were answered before the code is spoken.
        verifies(&app, &id, &code, "call").await;
        assert_eq!(app.texted_code("0115").await, code, "one code for every attempt");
        // What comes late is still noted down, and changes nothing else.
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(v["status"], "verified");
        app.advance(60.0).await;
        asked(&app, "0115", &["sms ok", "call ok"]).await;
        reached(&app, "0115", 1, &["completed"]).await;
        ended(&app, &id, "verified").await;
    }

    async fn s0116_geo_permission(app: TestApp = usual()) {
        let id = created(&app, "0116").await;
        let v = app.until(&id, "over", |v| v["status"] != "pending").await;
        assert_eq!(story(&v), ["sms failed 450"]);
        gives_up(&app, &id, "0116", &["sms ok"]).await;
        reached(&app, "0116", 0, &[]).await;
    }

    async fn s0117_opted_out(app: TestApp = usual()) {
        let id = created(&app, "0117").await;
        let v = app.until(&id, "over", |v| v["status"] != "pending").await;
        assert_eq!(story(&v), ["sms undelivered 200"]);
        gives_up(&app, &id, "0117", &["sms ok"]).await;
        reached(&app, "0117", 0, &[]).await;
    }

    async fn s0118_callbacks_before_the_answer(app: TestApp = usual()) {
        let id = created(&app, "0118").await;
        until_callbacks(&app, 3).await;
        let v = app.until(&id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!((story(&v), next(&v)), (vec!["sms delivered".to_owned()], Some((35.0, "delivered_unverified"))));
        assert!(v["attempts"][0]["provider_id"].is_string(), "{v}");
        asked(&app, "0118", &["sms ok"]).await;
        reached(&app, "0118", 1, &[]).await;
        let code = app.texted_code("0118").await;
        verifies(&app, &id, &code, "sms").await;
    }
}

/// A text that stays at `status` for as long as the timer lasts, and then the call.
async fn called_by_timer(app: &TestApp, last_four: &str, status: &str, reason: &'static str) {
    let id = created(app, last_four).await;
    let v = app.until(&id, status, |v| v["attempts"][0]["status"] == status).await;
    assert_eq!(next(&v), Some((35.0, reason)));
    app.advance(34.0).await;
    asked(app, last_four, &["sms ok"]).await;
    app.advance(1.0).await;
    let v = until_called(app, &id, 1).await;
    assert_eq!(story(&v), [format!("sms {status}"), format!("call completed {reason}")]);
    assert_eq!(decisions(app, &id).await, [decision(reason, false, 35_000)]);
    asked(app, last_four, &["sms ok", "call ok"]).await;
    reached(app, last_four, 0, &["completed"]).await;
    let code = app.spoken_code(last_four).await;
    verifies(app, &id, &code, "call").await;
    ended(app, &id, "verified").await;
}

async fn created(app: &TestApp, last_four: &str) -> String {
    let answer = app.create(last_four).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.id().to_owned()
}

/// Each attempt in a line: channel, status, reason, and a text's error code (a call has two reporters, who name its
/// cause each in their own way).
fn story(v: &Value) -> Vec<String> {
    let line = |a: &Value| {
        let code = if a["channel"] == "sms" { &a["error_code"] } else { &Value::Null };
        let words = [&a["channel"], &a["status"], &a["reason"], code];
        words.into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
    };
    v["attempts"].as_array().unwrap().iter().map(line).collect()
}

/// The next planned step: seconds after the creation, and the reason.
fn next(v: &Value) -> Option<(f64, &str)> {
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

/// One escalation: its reason, whether it repeats a call, and milliseconds since the first request.
fn decision(reason: &str, is_repeat: bool, waited_ms: u64) -> Value {
    json!({ "reason": reason, "is_repeat": is_repeat, "waited_ms": waited_ms, "policy": "fixed+fail:35" })
}

/// The escalations of a timeline.
async fn decisions(app: &TestApp, id: &str) -> Vec<Value> {
    let of = |e: Value| json!({ "reason": e["reason"], "is_repeat": e["is_repeat"], "waited_ms": e["waited_ms"], "policy": e["policy"] });
    timeline(app, id).await.into_iter().filter(|entry| entry["event"] == "escalated").map(of).collect()
}

async fn until_deferred(app: &TestApp, id: &str, times: usize) {
    for _ in 0..6000 {
        let entries = timeline(app, id).await;
        if entries.iter().filter(|entry| entry["event"] == "deferred").count() == times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not deferred {times} times: {:#?}", timeline(app, id).await);
}

/// Waits for the `nth` call of a verification with a text to have been spoken to its end.
async fn until_called(app: &TestApp, id: &str, nth: usize) -> Value {
    app.until(id, "called", |v| v["attempts"][nth]["status"] == "completed").await
}

/// Waits until so many reports of texts have been taken.
async fn until_callbacks(app: &TestApp, wanted: u64) {
    for _ in 0..6000 {
        let text = app.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
        let counts = text.lines().filter(|line| line.starts_with("phlo2fa_callbacks_total{kind=\"message\""));
        if counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not {wanted} callbacks");
}

/// The requests Plivo took for a number: what was asked for, and what it answered.
async fn requests(app: &TestApp, last_four: &str) -> Vec<String> {
    let log = app.plivo_log(last_four).await;
    let line = |entry: &Value| {
        let asked = match (entry["what"].as_str().unwrap(), entry["mode"].as_str()) {
            ("phlo", Some(mode)) => mode,
            ("message", None) => "sms",
            ("call", None) => "call",
            other => panic!("{other:?}"),
        };
        let status =
            if matches!(entry["status"].as_u64(), Some(200..=299)) { "ok" } else { &entry["status"].to_string() };
        format!("{asked} {status}")
    };
    log.iter().map(line).collect()
}

async fn asked(app: &TestApp, last_four: &str, expected: &[&str]) {
    // A report can overtake the answer, which stands as null until it is given.
    for _ in 0..6000 {
        if !requests(app, last_four).await.iter().any(|request| request.ends_with("null")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(requests(app, last_four).await, expected);
}

async fn asked_at_least(app: &TestApp, last_four: &str, times: usize) {
    for _ in 0..6000 {
        if requests(app, last_four).await.len() >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not asked {times} times: {:?}", requests(app, last_four).await);
}

/// What is on the handset: so many texts, and calls that ended so.
async fn reached(app: &TestApp, last_four: &str, texts: usize, calls: &[&str]) -> Value {
    let statuses = |h: &Value| h["calls"].as_array().unwrap().iter().map(|c| c["status"].clone()).collect::<Vec<_>>();
    let is_so = |h: &Value| h["messages"].as_array().unwrap().len() == texts && statuses(h) == calls;
    app.until_handset(last_four, &format!("reached by {texts} texts and calls {calls:?}"), is_so).await
}

/// The code is good, once, and put down to `channel`.
async fn verifies(app: &TestApp, id: &str, code: &str, channel: &str) {
    let Answer { status, body, .. } = app.check(id, code).await;
    assert_eq!((status, &body["result"], &body["status"]), (200, &json!("verified"), &json!("verified")), "{body}");
    assert_eq!(body["channel"], channel, "{body}");
    let v = app.read(id).await;
    assert_eq!((&v["status"], &v["next"]), (&json!("verified"), &Value::Null));
    let again = app.check(id, code).await;
    assert_eq!((again.status, again.code()), (409, "already_verified"));
}

/// It is over without success, and stays so: no further request, whatever time passes.
async fn gives_up(app: &TestApp, id: &str, last_four: &str, expected: &[&str]) {
    let v = app.read(id).await;
    assert_eq!((&v["status"], &v["next"]), (&json!("undeliverable"), &Value::Null), "{v}");
    let check = app.check(id, "000000").await;
    assert_eq!((check.status, check.code()), (409, "verification_undeliverable"));
    app.advance(120.0).await;
    asked(app, last_four, expected).await;
    ended(app, id, "undeliverable").await;
}

/// The timeline's last word on how it went.
async fn ended(app: &TestApp, id: &str, status: &str) {
    let endings: Vec<_> = timeline(app, id).await.into_iter().filter(|entry| entry["event"] == "ended").collect();
    assert_eq!(endings.len(), 1, "{endings:?}");
    assert_eq!(endings[0]["status"], status);
    assert_eq!(app.read(id).await["status"], status);
}
