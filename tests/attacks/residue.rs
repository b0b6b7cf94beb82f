//! What is left when an attack is over: nothing of anybody's secrets, and nothing for ever.

use crate::fleet::Fleet;
use crate::search::Needles;
use crate::support::client;
use crate::world::{API_KEY, AUTH_TOKEN, CALLBACK_SECRET, NUMBER, SECRET_KEY};

/// What no attack may bring to light; the attack adds what it used.
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

/// Looks through what the services have logged, counted and stored.
pub async fn is_clean(fleet: &Fleet, needles: &Needles) {
    let everlasting = fleet.redis.everlasting();
    assert!(everlasting.is_empty(), "without an end: {everlasting:?}");
    let (mut logs, mut metrics) = (String::new(), String::new());
    for service in &fleet.services {
        logs += &format!("{}{}", service.process.log(), service.process.said());
        metrics += &client().get(format!("{}/metrics", service.url)).send().await.unwrap().text().await.unwrap();
    }
    for (place, text, witness) in [
        ("a log", logs, "\"level\""),
        ("the metrics", metrics, "phlo2fa_"),
        ("Redis", fleet.redis.everything(), "phlo2fa:{"),
    ] {
        assert!(text.contains(witness), "{place} is not what it should be");
        let found = needles.find(&text);
        assert!(found.is_empty(), "in {place}: {found:#?}");
        // Whatever is looked for would have been found.
        let planted = needles.all().take(20).fold(text, |text, needle| format!("{text}\n\"{needle}\""));
        assert!(!needles.find(&planted).is_empty(), "in {place}");
    }
}
