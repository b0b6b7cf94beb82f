//! Many codes at once for one verification, through two replicas on one Redis.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::redis_server::RedisServer;
use crate::support::{Answer, wrong};
use crate::world::{Plivo, Service, plivo_listener};

const CHECKS: usize = 1000;
const MAX_CHECKS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn only_five_of_a_thousand_guesses_are_compared() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let (redis_url, max_checks) = (redis.url(), MAX_CHECKS.to_string());
    let settings = [
        ("REDIS_URL", redis_url.as_str()),
        ("PLIVO_API_URL", &plivo_url),
        ("PLIVO_PHLO_URL", &plivo_url),
        ("MAX_CHECKS", &max_checks),
        ("RUST_LOG", "warn"),
    ];
    let first = Service::start(&settings).await;
    let second = Service::start(&[settings.as_slice(), &[("PUBLIC_URL", first.url.as_str())]].concat()).await;
    let plivo = Plivo::serve(listener, &first.url, 50.0);
    first.until_ready().await;
    second.until_ready().await;

    // Only wrong codes: exactly `MAX_CHECKS` are compared, and then the right code is refused too.
    let id = first.create("+14155550100", json!({})).await.id().to_owned();
    let code = plivo.texted_code("+14155550100").await;
    let answers = all_at_once(&[&first, &second], &id, |_| wrong(&code)).await;
    let counts = count(&answers);
    assert_eq!(counts.get("incorrect"), Some(&MAX_CHECKS), "{counts:?}");
    assert_eq!(counts.get("max_checks_reached"), Some(&(CHECKS - MAX_CHECKS)), "{counts:?}");
    let late = second.check(&id, &code).await;
    assert_eq!((late.status, late.code()), (429, "max_checks_reached"));

    // A few right codes among them: at most one verifies, and none after `MAX_CHECKS` wrong ones.
    let id = first.create("+14155560100", json!({})).await.id().to_owned();
    let code = plivo.texted_code("+14155560100").await;
    let submitted = |n: usize| if n % 100 == 50 { code.clone() } else { wrong(&code) };
    let answers = all_at_once(&[&first, &second], &id, submitted).await;
    let counts = count(&answers);
    let count_of = |result: &str| counts.get(result).copied().unwrap_or_default();
    let status = second.read(&id).await["status"].as_str().unwrap().to_owned();
    match status.as_str() {
        "verified" => {
            assert!(count_of("verified") == 1 && count_of("incorrect") < MAX_CHECKS, "{counts:?}");
            assert_eq!(
                count_of("verified") + count_of("incorrect") + count_of("already_verified"),
                CHECKS,
                "{counts:?}"
            );
        }
        "max_checks_reached" => {
            assert!(count_of("verified") == 0 && count_of("incorrect") == MAX_CHECKS, "{counts:?}");
            assert_eq!(count_of("incorrect") + count_of("max_checks_reached"), CHECKS, "{counts:?}");
        }
        other => panic!("{other}: {counts:?}"),
    }
}

async fn all_at_once(services: &[&Service], id: &str, code: impl Fn(usize) -> String) -> Vec<Answer> {
    let check = |n: usize| {
        let (service, code) = (services[n % services.len()], code(n));
        async move { service.check(id, &code).await }
    };
    join_all((0..CHECKS).map(check)).await
}

/// The number of answers by result or problem code.
fn count(answers: &[Answer]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for answer in answers {
        let result = answer.body["result"].as_str().or(answer.body["code"].as_str());
        *counts.entry(result.unwrap_or_else(|| panic!("{answer:?}")).to_owned()).or_default() += 1;
    }
    counts
}
