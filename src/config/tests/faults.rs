//! What is said of faulty settings, and that the examples cure them.

use std::collections::BTreeSet;

use super::*;
use crate::config::{ConfigErrors, Fault, VARIABLES};

#[test]
fn every_missing_setting_is_named_at_once_with_an_example() {
    let errors = Config::serve([]).unwrap_err();
    let named: BTreeSet<&str> = errors.0.iter().map(|fault| fault.variable.as_str()).collect();
    let required = VARIABLES.iter().filter(|(_, default, _)| *default == "required").map(|(name, ..)| *name);
    assert_eq!(named, required.collect());
    assert_eq!(errors.to_string().lines().count(), errors.0.len());
    assert!(errors.to_string().contains("PLIVO_AUTH_ID is missing; for example PLIVO_AUTH_ID=MA"));
}

#[test]
fn each_wrong_value_is_one_fault_and_is_never_repeated() {
    let mut env = required();
    let wrong = wrong_values();
    env.extend(wrong.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let errors = Config::serve(env).unwrap_err();
    let named: Vec<&str> = errors.0.iter().map(|fault| fault.variable.as_str()).collect();
    assert_eq!(BTreeSet::from_iter(named.clone()), wrong.iter().map(|(name, _)| *name).collect(), "{errors}");
    assert_eq!(named.len(), VARIABLES.len(), "{errors}");
    assert!(!errors.to_string().contains("secret-value") && !errors.to_string().contains("secret value"));
}

/// The line that a fault ends in, as a person copies it.
fn pasteable(fault: &Fault) -> String {
    let shown = fault.to_string();
    let (_, line) = shown.split_once("; for example ").unwrap_or_else(|| panic!("no example: {shown}"));
    line.trim_start_matches("unset it: ").to_owned()
}

/// Pastes each line into the environment, alone, and looks for the fault.
fn assert_lines_cure(env: &[(String, String)]) -> usize {
    let ConfigErrors(faults) = Config::serve(env.to_vec()).unwrap_err();
    for fault in &faults {
        let line = pasteable(fault);
        let pasted: Vec<_> = dotenvy::from_read_iter(line.as_bytes()).map(Result::unwrap).collect();
        assert_eq!((pasted.len(), &pasted[0].0), (1, &fault.variable), "{line}");
        let left = Config::serve(env.iter().cloned().chain(pasted)).err().map_or(Vec::new(), |errors| errors.0);
        assert!(left.iter().all(|other| other.variable != fault.variable), "{line} leaves {left:?}");
    }
    faults.len()
}

#[test]
fn each_line_removes_its_fault_when_it_is_pasted() {
    assert_eq!(assert_lines_cure(&[]), 6);
    let wrong = |pairs: &[(&str, &str)]| [required(), super::pairs(pairs)].concat();
    assert_eq!(assert_lines_cure(&wrong(&wrong_values())), VARIABLES.len());
    let empty = File::with("");
    let more = [
        ("SECRET_KEY", ""),
        ("SECRET_KEY_FILE", "/nonexistent"),
        ("PLIVO_AUTH_TOKEN_FILE", "/etc/hostname"),
        ("TEMPLATES_FILE", empty.path()),
        ("WEBHOOK_URL", "https://shop.example"),
        ("APP_SHOP_COUNTRIES", "XX"),
        ("APP_SHOP_CHECKS", "maybe"),
        ("APP_SHOP_LIMIT_APP", "1"),
        ("APP_SHOP_DAILY_BUDGET", "free"),
    ];
    assert_eq!(assert_lines_cure(&wrong(&more)), more.len() - 1);
    let alike = [("API_KEYS", "a-b:0123456789abcdef0123,a_b:0123456789abcdef0124"), ("APP_A_B_BRAND", "Shop")];
    assert_eq!(assert_lines_cure(&wrong(&alike)), 1);
}

#[test]
fn all_lines_together_make_settings_that_are_accepted() {
    let ConfigErrors(faults) = Config::serve([]).unwrap_err();
    let file: Vec<String> = faults.iter().map(pasteable).collect();
    let env = dotenvy::from_read_iter(file.join("\n").as_bytes()).map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(Config::serve(env).unwrap().api_keys[0].app, "shop");
}

#[test]
fn a_secret_in_an_example_is_made_for_it() {
    let example = |name: &str| {
        let ConfigErrors(faults) = Config::serve([]).unwrap_err();
        faults.into_iter().find(|fault| fault.variable == name).unwrap().example
    };
    for name in ["SECRET_KEY", "API_KEYS"] {
        assert_ne!(example(name), example(name));
    }
}

/// A wrong value for every variable.
fn wrong_values() -> Vec<(&'static str, &'static str)> {
    let wrong = [
        ("PLIVO_AUTH_ID", "MA/secret-value"),
        ("PLIVO_AUTH_TOKEN", "secret value"),
        ("PLIVO_MAIN_AUTH_TOKEN", ","),
        ("PLIVO_NUMBER", "secret-value"),
        ("PHLO_ID", "secret/value"),
        ("PLIVO_API_URL", "https://h/secret-value"),
        ("PLIVO_PHLO_URL", "https://u:secret-value@h"),
        ("PLIVO_TIMEOUT", "0"),
        ("PLIVO_WAIT", "secret-value"),
        ("PLIVO_RATE", "300/2m"),
        ("DRAIN_SECONDS", "61"),
        ("PLIVO_PROXY", "secret-value"),
        ("PUBLIC_URL", "https://h/?secret-value"),
        ("CONNECTIONS_PER_PEER", "0"),
        ("CALLBACK_SECRET", "secret-value/"),
        ("API_KEYS", "secret-value"),
        ("SECRET_KEY", "secret-value"),
        ("SECRET_KEY_PREVIOUS", "c2VjcmV0LXZhbHVl"),
        ("REDIS_URL", "http://secret-value"),
        ("REDIS_CA_FILE", "/secret-value"),
        ("REDIS_POOL_SIZE", "+8"),
        ("BIND", "localhost:8080"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CODE_LENGTH", "5"),
        ("CODE_TTL", "601"),
        ("MAX_CHECKS", "11"),
        ("MAX_ATTEMPTS", "0"),
        ("RESEND_COOLDOWN", "30s"),
        ("RETENTION", "-1"),
        ("ESCALATION", "secret-value"),
        ("COST_CALL", "secret-value"),
        ("COST_WAIT", "-1"),
        ("COST_LOST", "1e9"),
        ("COST_NUISANCE", "$1"),
        ("COUNTRIES", "US,UK"),
        ("COUNTRIES_CALL", "secret-value"),
        ("BLOCKED_RANGES", "premium,secret-value"),
        ("GUARD", "off"),
        ("LIMIT_GUESSES", "100/2d"),
        ("DAILY_BUDGET", "secret-value"),
        ("QUIET_HOURS", "22:00"),
        ("BRAND", "secret-value\nsecret-value"),
        ("TEMPLATES", r#"{"en":{"text":"secret-value"}}"#),
        ("SENDERS", "GB=secret-value"),
        ("DLT_ENTITY_ID", "secret/value"),
        ("DLT_TEMPLATE_ID", "secret value"),
        ("VOICE_CONFIRM", "yes"),
        ("TEST_NUMBERS", "+15555550100:secret-value"),
        ("WEBHOOK_URL", "ftp://shop.example"),
        ("WEBHOOK_SECRETS", "whsec_c2hvcnQ="),
        ("WEBHOOK_ALLOW_PRIVATE", "maybe"),
        ("LEGACY_ROUTES", "1"),
        ("LOG_FORMAT", "secret-value"),
    ];
    let limits = VARIABLES.iter().map(|(name, ..)| *name).filter(|n| n.starts_with("LIMIT_") && *n != "LIMIT_GUESSES");
    wrong.into_iter().chain(limits.map(|name| (name, "secret-value"))).collect()
}
