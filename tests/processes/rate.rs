//! The rate that Plivo allows an account, shared out by two replicas.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client;
use crate::support::redis_server::RedisServer;
use crate::world::{Plivo, Service, get_json, plivo_listener, until};

/// Requests to Plivo, each with its number and status.
async fn requests(plivo: &Plivo) -> Vec<(String, u64)> {
    let log = get_json(&client(), &format!("{}/log", plivo.url)).await;
    let sent = log.as_array().unwrap().iter().filter(|entry| entry["to"].is_string());
    sent.map(|entry| (entry["to"].as_str().unwrap().to_owned(), entry["status"].as_u64().unwrap_or(0))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_waited_for_an_outage_are_sent_once_each_and_within_the_rate() {
    const TEXTS: usize = 36;
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let redis_url = redis.url();
    let mut settings = vec![
        ("REDIS_URL", &*redis_url),
        ("PLIVO_API_URL", &plivo_url),
        ("PLIVO_PHLO_URL", &plivo_url),
        ("ESCALATION", "never"),
        // Plivo allows a third more, because no test may depend on the time that a request takes.
        ("PLIVO_RATE", "12/1s"),
    ];
    let first = Service::start(&settings).await;
    let public_url = first.url.clone();
    settings.push(("PUBLIC_URL", &public_url));
    let second = Service::start(&settings).await;
    let plivo = Plivo::serve(listener, &public_url, 50.0);
    let replicas = [first, second];
    for replica in &replicas {
        replica.until_ready().await;
    }

    plivo.outage(json!({ "seconds": 600, "status": 503 })).await;
    let to = |n: usize| format!("+1415{}0100", 220 + n);
    let created = join_all((0..TEXTS).map(async |n| replicas[n % 2].create(&to(n), json!({})).await)).await;
    for created in &created {
        assert_eq!(
            (created.status, &created.body["attempts"][0]["status"]),
            (201, &json!("triggering")),
            "{created:?}"
        );
    }

    plivo.outage(json!({ "seconds": 600, "kind": "rate", "limit": 16, "window": 1 })).await;
    plivo.outage(json!({ "seconds": 0 })).await;
    let is_texted = async |n: usize| plivo.handset(&to(n)).await["messages"][0].is_object();
    until("texted", async || {
        for n in 0..TEXTS {
            if !is_texted(n).await {
                return false;
            }
        }
        true
    })
    .await;
    let all = requests(&plivo).await;
    let accepted = all.iter().filter(|(_, status)| (200..300).contains(status)).count();
    assert_eq!(accepted, TEXTS, "each text is sent once");
    assert!(all.iter().all(|(_, status)| *status != 429), "the rate is kept, not discovered");
    for n in 0..TEXTS {
        let of = all.iter().filter(|(number, _)| *number == to(n).trim_start_matches('+')).count();
        assert!((1..=6).contains(&of), "{of} requests for {}", to(n));
    }
    let state: Value = replicas[1].get("/v1/verifications?limit=1").await.body;
    assert_eq!(state["verifications"][0]["attempts"][0]["error_code"], Value::Null);
}
