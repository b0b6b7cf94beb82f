//! Which API an attempt uses, and what may be repeated: the contract's "What may be repeated" for each API.

use serde_json::{Value, json};

use crate::stub::{Says, Stub};
use crate::support::CALLBACK_SECRET;

const WELL: u16 = 0;

fn env() -> Vec<(&'static str, String)> {
    vec![("PLIVO_TIMEOUT", "1".into())]
}

/// Creates a verification by `channel` and returns the attempt's status and API, or the problem.
async fn outcome(app: &Stub, channel: &str) -> String {
    let answer = app.post("/v1/verifications", json!({ "to": "+14155550103", "channel": channel })).await;
    match answer.status {
        201 => {
            let attempt = &answer.body["attempts"][0];
            format!("{} {}", attempt["status"].as_str().unwrap(), attempt["via"].as_str().unwrap_or("-"))
        }
        status => format!("{status} {}", answer.code()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_answer_is_not_read_to_its_end() {
    let app = Stub::direct(vec![]).await;
    let huge = |status| Says::Status(status, json!({ "message_uuid": ["m1"], "x": "x".repeat(300 * 1024) }));
    let largest = Says::Status(202, json!({ "message_uuid": ["m1"], "x": "x".repeat(200 * 1024) }));
    for (answer, expected) in [(huge(202), "unknown"), (largest, "triggered"), (huge(400), "failed")] {
        app.says("message", &[answer]);
        let created = app.open(json!({ "channel": "auto", "to": "+14155550103", "purpose": expected })).await;
        assert_eq!(created.body["attempts"][0]["status"], expected, "{created:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_phlo_rejects_goes_to_the_direct_api_once() {
    let failed = json!({ "message": "stopped. next node uuid not found with output state: failed" });
    for (channel, status, apis, expected) in [
        ("sms", WELL, &["phlo"][..], "triggered phlo"),
        ("sms", 400, &["phlo", "message"], "triggered api"),
        ("sms", 403, &["phlo", "message"], "triggered api"),
        ("sms", 404, &["phlo", "message"], "triggered api"),
        ("sms", 422, &["phlo", "message"], "triggered api"),
        ("sms", 429, &["phlo", "message"], "triggered api"),
        ("sms", 500, &["phlo", "message"], "triggered api"),
        ("sms", 502, &["phlo", "message"], "triggered api"),
        ("sms", 503, &["phlo", "message"], "triggered api"),
        ("sms", 504, &["phlo", "message"], "triggered api"),
        ("sms", 401, &["phlo"], "502 rejected_by_plivo"),
        ("sms", 201, &["phlo"], "502 rejected_by_plivo"),
        ("sms", 1, &["phlo"], "unknown phlo"),
        ("call", WELL, &["phlo"], "triggered phlo"),
        ("call", 400, &["phlo", "call"], "triggered api"),
        ("call", 404, &["phlo", "call"], "triggered api"),
        ("call", 429, &["phlo", "call"], "triggered api"),
        ("call", 503, &["phlo", "call"], "triggered api"),
        // The phone may be ringing.
        ("call", 500, &["phlo"], "unknown phlo"),
        ("call", 502, &["phlo"], "unknown phlo"),
        ("call", 504, &["phlo"], "unknown phlo"),
        ("call", 401, &["phlo"], "502 rejected_by_plivo"),
        ("call", 1, &["phlo"], "unknown phlo"),
    ] {
        let app = Stub::spawn(env()).await;
        match status {
            WELL => {}
            1 => app.says("phlo", &[Says::Nothing]),
            201 => app.says("phlo", &[Says::Status(201, failed.clone())]),
            status => app.answers("phlo", status),
        }
        assert_eq!(outcome(&app, channel).await, expected, "{channel} {status}");
        assert_eq!(app.requested(), apis, "{channel} {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_direct_api_is_final_or_retried() {
    for (channel, status, expected) in [
        ("sms", WELL, "triggered api"),
        ("sms", 400, "502 rejected_by_plivo"),
        ("sms", 401, "502 rejected_by_plivo"),
        ("sms", 403, "502 rejected_by_plivo"),
        ("sms", 404, "502 rejected_by_plivo"),
        ("sms", 429, "triggering -"),
        ("sms", 500, "triggering -"),
        ("sms", 502, "triggering -"),
        ("sms", 503, "triggering -"),
        ("sms", 504, "triggering -"),
        ("sms", 1, "unknown api"),
        ("call", WELL, "triggered api"),
        ("call", 400, "502 rejected_by_plivo"),
        ("call", 429, "triggering -"),
        ("call", 503, "triggering -"),
        ("call", 500, "unknown api"),
        ("call", 502, "unknown api"),
        ("call", 1, "unknown api"),
    ] {
        let app = Stub::direct(env()).await;
        let api = if channel == "sms" { "message" } else { "call" };
        match status {
            WELL => {}
            1 => app.says(api, &[Says::Nothing]),
            status => app.answers(api, status),
        }
        assert_eq!(outcome(&app, channel).await, expected, "{channel} {status}");
        assert_eq!(app.requested(), [api], "{channel} {status}");
        let is_put_off = expected == "triggering -";
        // A text is looked up. Without an answer it is not requested again.
        let is_looked_up = (channel, status) == ("sms", 1);
        app.answers("list", 500);
        app.settled().await;
        app.advance(5.0).await;
        let further = if is_put_off { vec![api] } else { vec!["list"; usize::from(is_looked_up)] };
        app.until_asked(1 + further.len()).await;
        app.settled().await;
        assert_eq!(app.requested()[1..], further, "{channel} {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_text_becomes_a_call_unless_the_account_is_refused() {
    for (status, expected, apis) in [
        (400, "201", &["message", "call"][..]),
        (403, "201", &["message", "call"]),
        (404, "201", &["message", "call"]),
        (401, "502 rejected_by_plivo", &["message"]),
        (402, "502 rejected_by_plivo", &["message"]),
    ] {
        let app = Stub::direct(env()).await;
        app.answers("message", status);
        let answer = app.post("/v1/verifications", json!({ "to": "+14155550103" })).await;
        match answer.status {
            201 => assert_eq!(answer.body["attempts"][1]["reason"], "rejected_by_plivo", "{status}: {answer:?}"),
            result => assert_eq!(format!("{result} {}", answer.code()), expected, "{status}"),
        }
        assert!(expected.starts_with(&answer.status.to_string()), "{status}: {answer:?}");
        assert_eq!(app.requested(), apis, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_phlo_and_direct_api_fail_both_are_retried() {
    let app = Stub::spawn(env()).await;
    app.answers("phlo", 503);
    app.answers("message", 503);
    let created = app.open(json!({ "escalation": "never" })).await;
    assert_eq!(created.body["attempts"][0]["status"], "triggering");
    assert_eq!(app.requested(), ["phlo", "message"]);
    app.advance(15.0).await;
    app.until_asked(3).await;
    app.settled().await;
    app.says("message", &[Says::Well]);
    for _ in 0..6000 {
        if app.read(created.id()).await["attempts"][0]["status"] == "triggered" {
            break;
        }
        app.settled().await;
        app.advance(15.0).await;
    }
    let v = app.read(created.id()).await;
    assert_eq!((&v["attempts"][0]["via"], v["attempts"].as_array().unwrap().len()), (&json!("api"), 1));
    let apis = app.requested();
    assert!(apis.chunks(2).all(|pair| pair == ["phlo", "message"]), "{apis:?}");
    let entries = app.get(&format!("/v1/verifications/{}/timeline", created.id())).await.body;
    let events: Vec<_> = entries["entries"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(events[..4], ["created", "attempt_decided", "passed_on", "deferred"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_refused_by_phlo_and_direct_api_becomes_a_call_if_allowed() {
    let app = Stub::spawn(env()).await;
    app.answers("phlo", 404);
    app.answers("message", 400);
    let created = app.open(json!({})).await;
    let v = app.until(created.id(), "called", |v| v["attempts"][1]["status"] == "triggered").await;
    assert_eq!(v["attempts"][1]["reason"], "rejected_by_plivo");
    assert_eq!(app.requested(), ["phlo", "message", "phlo", "call"]);
    let barred = json!({ "error": "Geo permission to this country is not enabled" });
    app.says("message", &[Says::Status(403, barred)]);
    let answer = app.post("/v1/verifications", json!({ "to": "+14155550104" })).await;
    answer.assert_problem(502, "rejected_by_plivo");
    assert_eq!(app.requested()[4..], ["phlo", "message"], "a country that Plivo bars is not called either");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_answer_is_skipped() {
    let app = Stub::spawn(env()).await;
    app.says("phlo", &[Says::Nothing]);
    for number in 0..5 {
        let to = format!("+1415555{:04}", 200 + number);
        let created = app.post("/v1/verifications", json!({ "to": to, "escalation": "never" })).await;
        assert_eq!(created.body["attempts"][0]["status"], "unknown", "{created:?}");
    }
    let created = app.open(json!({})).await;
    assert_eq!(created.body["attempts"][0]["via"], "api");
    assert_eq!(app.requested()[5..], ["message"], "the PHLO is skipped");

    // With the direct API unresponsive as well, no API is left.
    let app = Stub::direct(vec![("PLIVO_TIMEOUT", "1".into()), ("PLIVO_WAIT", "60".into())]).await;
    app.answers("message", 503);
    for number in 0..5 {
        app.open(json!({ "to": format!("+1415555{:04}", 300 + number) })).await;
    }
    let created = app.open(json!({})).await;
    assert_eq!(created.body["attempts"][0]["status"], "triggering");
    assert_eq!(app.requested().len(), 5);
    let called = app.open(json!({ "to": "+14155550104", "channel": "call" })).await;
    assert_eq!(called.body["attempts"][0]["status"], "triggered", "calls have their own breaker");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_refusal_nor_a_429_opens_the_breaker() {
    let app = Stub::direct(env()).await;
    for status in [429, 400] {
        app.answers("message", status);
        for number in 0..7 {
            let to = format!("+1415555{:04}", 400 + number + status);
            app.post("/v1/verifications", json!({ "to": to, "escalation": "never" })).await;
        }
    }
    assert_eq!(app.requested().len(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_uuid_is_read_later_and_early_reports_count() {
    let app = Stub::spawn(env()).await;
    let created = app.open(json!({ "escalation": "fixed+fail:60" })).await;
    assert_eq!(created.body["attempts"][0]["provider_id"], Value::Null);
    let path = format!("/plivo/{CALLBACK_SECRET}/message");
    let uuid = "8b1f0001-75ab-4f0e-8cb1-aa7d3a1c9d10";
    let early = app.plivo_posts(&path, &[("MessageUUID", uuid), ("Status", "delivered")]).await;
    assert_eq!(early.status, 200);
    assert_eq!(app.read(created.id()).await["attempts"][0]["status"], "triggered");
    app.advance(1.0).await;
    assert_eq!(app.requested(), ["phlo"], "the flow's node has time to report first");
    // The first read of the run finds no UUID yet.
    let found = json!({ "message_uuids": [uuid], "call_uuids": [] });
    app.says("run", &[Says::Well, Says::Status(200, found)]);
    app.advance(1.0).await;
    app.until_asked(2).await;
    for _ in 0..6000 {
        app.settled().await;
        if app.requested().len() == 3 {
            break;
        }
        app.advance(1.0).await;
    }
    let v = app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    assert_eq!(v["attempts"][0]["provider_id"], uuid);
    app.advance(20.0).await;
    assert_eq!(app.requested(), ["phlo", "run", "run"], "a known UUID is not looked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_never_names_a_uuid_is_read_four_times() {
    let app = Stub::spawn(env()).await;
    let created = app.open(json!({ "escalation": "never" })).await;
    for _ in 0..30 {
        app.settled().await;
        app.advance(9.0).await;
        app.settled().await;
    }
    assert_eq!(app.read(created.id()).await["status"], "pending");
    let runs = app.requested().into_iter().filter(|api| *api == "run").count();
    assert_eq!(runs, 4);
    // The run of a flow whose node has reported is not read at all.
    let app = Stub::spawn(env()).await;
    let created = app.open(json!({})).await;
    let reference = app.last("phlo").body["ref"].as_str().unwrap().to_owned();
    let report = json!({ "ref": reference, "event": "sms_sent", "message_uuid": "8b1f0001" });
    app.send(app.keyless("POST", "/plivo/phlo").bearer_auth(CALLBACK_SECRET).json(&report)).await;
    app.advance(5.0).await;
    assert_eq!(app.read(created.id()).await["attempts"][0]["provider_id"], "8b1f0001");
    assert_eq!(app.requested(), ["phlo"]);
}
