//! A service whose Redis is not up yet, or restarts.

use serde_json::json;

use crate::support::redis_server::RedisServer;
use crate::world::{Plivo, Service, plivo_listener, until};

async fn assert_verifies(service: &Service, plivo: &Plivo, to: &str) {
    service.until_ready().await;
    let created = service.create(to, json!({})).await;
    let code = plivo.texted_code(to).await;
    let verified = service.check(created.id(), &code).await;
    assert_eq!(verified.body["result"], "verified", "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_without_redis_waits_for_it() {
    let mut redis = RedisServer::start();
    redis.kill();
    let (listener, plivo_url) = plivo_listener();
    let mut service =
        Service::start(&[("REDIS_URL", &redis.url()), ("PLIVO_API_URL", &plivo_url), ("PLIVO_PHLO_URL", &plivo_url)])
            .await;
    let plivo = Plivo::serve(listener, &service.url, 50.0);
    assert_eq!(service.status("/livez").await, Some(200));
    assert_eq!(service.status("/readyz").await, Some(503));
    let refused = service.send("POST", "/v1/verifications", json!({ "to": "+14155550100" })).await;
    assert_eq!((refused.status, refused.code()), (503, "storage_unavailable"));
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");

    redis.restart();
    assert_verifies(&service, &plivo, "+14155550100").await;
    assert!(service.process.ended().is_none());
    // The refused creation sent nothing.
    assert_eq!(plivo.requests("+14155550100").await, ["sms"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_reconnects_to_a_restarted_redis() {
    let mut redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let mut service =
        Service::start(&[("REDIS_URL", &redis.url()), ("PLIVO_API_URL", &plivo_url), ("PLIVO_PHLO_URL", &plivo_url)])
            .await;
    let plivo = Plivo::serve(listener, &service.url, 50.0);
    assert_verifies(&service, &plivo, "+14155550100").await;
    redis.kill();
    until("not ready", async || service.status("/readyz").await == Some(503)).await;
    assert_eq!(service.status("/livez").await, Some(200));
    until("the timers notice", async || service.process.log().contains("the timers cannot reach the store")).await;
    redis.restart();
    assert_verifies(&service, &plivo, "+14155560100").await;
    // Timers run again too.
    let created = service.create("+14155560103", json!({ "escalation": "fixed+fail:1" })).await;
    service.until(created.id(), "called", |v| v["attempts"][1]["status"] == "completed").await;
    assert!(service.process.ended().is_none());
    assert!(service.process.log().contains("\"event\":\"store_available\""), "{}", service.process.log());
}
