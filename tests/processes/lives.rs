//! What is left in Redis when a verification is gone.

use std::time::Duration;

use phlo_2fa::store::lives::{AtMost, KeyLife};
use serde_json::json;

use crate::support::redis_server::RedisServer;
use crate::world::{Plivo, Service, plivo_listener, until};

#[tokio::test(flavor = "multi_thread")]
async fn after_the_life_of_a_verification_only_the_keys_remain_that_the_table_names() {
    const RETENTION: Duration = Duration::from_secs(1);
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let redis_url = redis.url();
    let service = Service::start(&[
        ("REDIS_URL", &*redis_url),
        ("PLIVO_API_URL", &plivo_url),
        ("PLIVO_PHLO_URL", &plivo_url),
        ("RETENTION", "1"),
    ])
    .await;
    service.until_ready().await;
    let plivo = Plivo::serve(listener, &service.url, 50.0);
    let to = "+14155550101";
    let body = json!({ "to": to, "code": "042917", "purpose": "signin" });
    let created = service.try_send_once(Some("a-key"), "POST", "/v1/verifications", body).await.unwrap();
    assert_eq!(created.status, 201, "{created:?}");
    // The text is lost, so there is a call as well; one wrong code.
    until("called", async || plivo.handset(to).await["calls"][0].is_object()).await;
    service.check(created.id(), "000000").await;
    assert_eq!(service.check(created.id(), "042917").await.body["result"], "verified");

    let keys = || redis.command(&["KEYS", "*"]).lines().map(str::to_owned).collect::<Vec<_>>();
    until("gone", async || !keys().iter().any(|key| key.contains("}:v:"))).await;
    let left = keys();
    for key in &left {
        let life = KeyLife::of(key).unwrap_or_else(|| panic!("{key} is of no kind in the table"));
        let at_most = match life.at_most {
            AtMost::Record => panic!("{key} outlives the verification"),
            AtMost::Retention(more) => RETENTION + more,
            AtMost::Fixed(life) => life,
        };
        let lives: i64 = redis.command(&["PTTL", key]).parse().unwrap();
        // It may have expired meanwhile.
        assert!(lives == -2 || (lives >= 0 && lives.unsigned_abs() <= at_most.as_millis() as u64), "{key}: {lives} ms");
    }
    for kind in ["{*}:link", "{*}:n:*", "{i:*}:value", "{*}:ok:*", "{*}:count"] {
        assert!(left.iter().any(|key| KeyLife::of(key).is_some_and(|life| life.key == kind)), "no {kind} in {left:?}");
    }
}
