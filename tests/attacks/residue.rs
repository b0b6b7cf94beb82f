//! What is left after an attack: no secret in logs, metrics or Redis, and no key without an expiry.

use crate::fleet::Fleet;
use crate::search::Needles;
use crate::support::client;
use crate::world::{API_KEY, AUTH_TOKEN, CALLBACK_SECRET, NUMBER, SECRET_KEY};

/// The secrets of the deployment; each attack adds those that it uses.
pub fn needles() -> Needles {
    let mut needles = Needles::default();
    for (what, secret) in [
        ("the API key", API_KEY),
        ("the auth token", AUTH_TOKEN),
        ("the callback secret", CALLBACK_SECRET),
        ("the secret key", SECRET_KEY.trim_end_matches('=')),
    ] {
        needles.secret(what, secret);
    }
    needles.number(NUMBER);
    needles
}

/// Searches the logs, the metrics and Redis for the needles.
pub async fn assert_clean(fleet: &Fleet, needles: &Needles) {
    let everlasting = fleet.redis.everlasting();
    assert!(everlasting.is_empty(), "keys without an expiry: {everlasting:?}");
    let (mut logs, mut metrics) = (String::new(), String::new());
    for service in &fleet.services {
        logs += &format!("{}{}", service.process.log(), service.process.output());
        metrics += &client().get(format!("{}/metrics", service.url)).send().await.unwrap().text().await.unwrap();
    }
    for (place, text, witness) in [
        ("a log", logs, "\"level\""),
        ("the metrics", metrics, "phlo2fa_"),
        ("Redis", fleet.redis.everything(), "phlo2fa:{"),
    ] {
        assert!(text.contains(witness), "{place} lacks {witness}");
        let found = needles.find(&text);
        assert!(found.is_empty(), "in {place}: {found:#?}");
        // The search would find the needles.
        let planted = needles.all().take(20).fold(text, |text, needle| format!("{text}\n\"{needle}\""));
        assert!(!needles.find(&planted).is_empty(), "the search finds nothing planted in {place}");
    }
}
