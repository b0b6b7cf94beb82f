//! Replicas that die between a commit and its effects, and replicas that share one timer.

use serde_json::json;

use crate::support::redis_server::RedisServer;
use crate::world::{Plivo, Service, plivo_listener, until};

/// Attempts at a kill within the right moment, before the test fails.
const TRIES: usize = 20;

/// Numbers of the scenario that the last four digits choose.
fn numbers(last_four: &'static str) -> impl Iterator<Item = String> {
    (520..1000).map(move |exchange| format!("+1415{exchange}{last_four}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_process_was_killed_is_placed_once_by_the_next() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let mut service =
        Service::start(&[("REDIS_URL", &redis.url()), ("PLIVO_API_URL", &plivo_url), ("PLIVO_PHLO_URL", &plivo_url)])
            .await;
    let plivo = Plivo::serve(listener, &service.url, 50.0);
    for to in numbers("0103").take(TRIES) {
        service.until_ready().await;
        let created = service.create(&to, json!({ "escalation": "fixed+fail:3" })).await;
        service.process.kill();
        let due = created.body["next"]["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let was_in_time = jiff::Timestamp::now() < due;
        if was_in_time {
            assert_eq!(plivo.requests(&to).await, ["sms"]);
        }
        service.start_again().await;
        if !was_in_time {
            continue;
        }
        let v = service.until(created.id(), "called", |v| v["attempts"][1]["status"] == "completed").await;
        assert_eq!(v["attempts"][1]["reason"], "no_report");
        let handset = plivo.handset(&to).await;
        let code = handset["calls"][0]["code"].as_str().unwrap();
        let verified = service.check(created.id(), code).await;
        assert_eq!((verified.status, &verified.body["channel"]), (200, &json!("call")), "{verified:?}");
        assert_eq!(plivo.requests(&to).await, ["sms", "call"]);
        return;
    }
    panic!("in {TRIES} tries no process was killed before its call was due");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_replicas_places_each_call() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let (redis_url, settings) = (redis.url(), [("PLIVO_API_URL", plivo_url.as_str()), ("PLIVO_PHLO_URL", &plivo_url)]);
    let settings = [settings[0], settings[1], ("REDIS_URL", redis_url.as_str())];
    let first = Service::start(&settings).await;
    let second = Service::start(&[settings.as_slice(), &[("PUBLIC_URL", first.url.as_str())]].concat()).await;
    let plivo = Plivo::serve(listener, &first.url, 50.0);
    first.until_ready().await;
    second.until_ready().await;
    let mut created = Vec::new();
    for (n, to) in numbers("0103").take(20).enumerate() {
        let by = if n % 2 == 0 { &first } else { &second };
        let answer = by.create(&to, json!({ "escalation": "fixed+fail:3" })).await;
        created.push((to, answer.id().to_owned()));
    }
    for (to, id) in &created {
        let v = second.until(id, "called", |v| v["attempts"][1]["status"] == "completed").await;
        assert_eq!(v["attempts"].as_array().unwrap().len(), 2, "{v}");
        assert_eq!(plivo.requests(to).await, ["sms", "call"], "{to}");
    }
    for (to, _) in &created {
        assert_eq!(plivo.requests(to).await, ["sms", "call"], "{to}, a little later");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_process_was_killed_is_repeated_once() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let mut service = Service::start(&[
        ("REDIS_URL", &redis.url()),
        ("PLIVO_API_URL", &plivo_url),
        ("PLIVO_PHLO_URL", &plivo_url),
        ("PLIVO_TIMEOUT", "3"),
        ("PLIVO_WAIT", "0"),
        ("ESCALATION", "never"),
    ])
    .await;
    // Plivo sends the text at once, but the service gets no answer and no report.
    let plivo = Plivo::serve(listener, "http://127.0.0.1:9", 2.0);
    for to in numbers("0113").take(TRIES) {
        service.until_ready().await;
        let created = service.create(&to, json!({})).await;
        let id = created.id();
        plivo.until_requested(&to, 1).await;
        service.process.kill();
        service.start_again().await;
        service.until_ready().await;
        if service.has_happened(id, "timed_out").await {
            // The kill came after the timeout, when no effect was owed any more.
            continue;
        }
        plivo.until_requested(&to, 2).await;
        assert!(service.has_happened(id, "taken_over").await);
        // After a second kill the request is not sent a third time.
        service.process.kill();
        service.start_again().await;
        service.until_ready().await;
        let v = service.until(id, "given up", |v| v["attempts"][0]["status"] == "unknown").await;
        assert_eq!((v["status"].as_str(), v["attempts"].as_array().unwrap().len()), (Some("pending"), 1));
        assert_eq!(plivo.requests(&to).await, ["sms", "sms"]);
        // Both texts have the same code, so either verifies.
        let handset = plivo.until_handset(&to, "texted twice", |h| h["messages"][1]["code"].is_string()).await;
        assert_eq!(handset["messages"][0]["code"], handset["messages"][1]["code"]);
        let verified = service.check(id, handset["messages"][0]["code"].as_str().unwrap()).await;
        assert_eq!(verified.body["result"], "verified", "{verified:?}");
        until("nothing is due", async || service.read(id).await["next"].is_null()).await;
        return;
    }
    panic!("in {TRIES} tries no process was killed while it waited for Plivo's answer");
}
