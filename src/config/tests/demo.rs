//! The settings of a demo and of the local Plivo.

use super::*;
use crate::config::{Countries, SimulatorConfig};

#[test]
fn a_demo_uses_no_phlo_when_its_id_is_set_empty() {
    let demo = |set: &[(&str, &str)]| Config::demo(pairs(set)).unwrap().phlo_id;
    assert!(demo(&[]).is_some());
    assert_eq!(demo(&[("PHLO_ID", "")]), None);
}

#[test]
fn a_demo_needs_no_settings_and_sends_nothing() {
    let demo = Config::demo([]).unwrap();
    assert!(demo.plivo_embedded && demo.plivo_is_local());
    assert_eq!((demo.plivo_auth_id.as_str(), exposed(&demo.plivo_auth_tokens)), ("MADEMO00000000000000", vec!["demo"]));
    assert_eq!((demo.plivo_number.e164(), demo.redis_url.expose_secret()), ("+14155550100", "memory://"));
    assert_eq!((&demo.countries, demo.public_url.as_str()), (&Countries::All, "http://127.0.0.1:8080"));
    assert_eq!((demo.api_keys[0].app.as_str(), demo.api_keys[0].secret.expose_secret()), ("demo", "demo"));
    assert_eq!(demo.warnings(), Vec::<String>::new());
    let other = Config::demo([]).unwrap();
    assert_ne!(demo.secret_key.expose_secret(), other.secret_key.expose_secret());
    assert_ne!(exposed(&demo.callback_secrets), exposed(&other.callback_secrets));
}

#[test]
fn a_demo_uses_the_settings_that_are_set() {
    let demo = |set: &[(&str, &str)]| Config::demo(pairs(set));
    let open = demo(&[("BIND", "0.0.0.0:9000"), ("REDIS_URL", "redis://redis"), ("API_KEYS", "shop:s")]).unwrap();
    assert_eq!((open.public_url.as_str(), open.redis_url.expose_secret()), ("http://127.0.0.1:9000", "redis://redis"));
    assert_eq!(open.api_keys.iter().map(|key| key.app.as_str()).collect::<Vec<_>>(), ["shop", "demo"]);

    let elsewhere = demo(&[("PLIVO_API_URL", "https://plivo.example")]).unwrap();
    assert_eq!(elsewhere.plivo_phlo_url, "https://plivo.example");
    assert!(!elsewhere.plivo_embedded && elsewhere.countries != Countries::All);
    assert!(elsewhere.api_keys[0].secret.expose_secret().len() > 20);

    let errors = demo(&[("BIND", "here"), ("CODE_TTL", "900")]).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
}

#[test]
fn a_simulator_listens_next_to_the_service() {
    let alone = SimulatorConfig::read([]).unwrap();
    assert_eq!((alone.bind.port(), alone.public_url.as_str()), (8081, "http://127.0.0.1:8080"));
    assert_eq!((alone.auth_id.as_str(), exposed(&alone.auth_tokens)), ("MADEMO00000000000000", vec!["demo"]));
    assert!(alone.callback_secrets.is_empty());
    let errors = SimulatorConfig::read(pairs(&[("PUBLIC_URL", "here"), ("BIND", "8081")])).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
}
