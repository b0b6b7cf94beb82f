//! What is read, which faults are reported, and what is warned about.

use std::collections::BTreeSet;

use super::*;
use crate::config::read::RawSettings;
use crate::config::variables::IN_FILES;
use crate::config::{Countries, VARIABLES};
use crate::phone::Country;

#[test]
fn a_service_needs_only_the_required_settings() {
    let config = serve(&[]).unwrap();
    assert_eq!(config.plivo_auth_id, "MAEXAMPLE0000000000X");
    assert_eq!(config.public_url, "https://otp.example.com/2fa");
    assert_eq!(config.plivo_api_url, "https://api.plivo.com");
    assert_eq!(config.plivo_phlo_url, "https://phlorunner.plivo.com");
    assert_eq!(config.redis_url.expose_secret(), "redis://127.0.0.1:6379");
    assert_eq!((config.redis_pool_size, config.bind.to_string().as_str()), (16, "127.0.0.1:8080"));
    assert_eq!(config.connections_per_peer, 1024);
    assert_eq!((config.code_length, config.max_checks, config.max_attempts), (6, 5, 5));
    let seconds = [config.code_ttl, config.resend_cooldown, config.retention, config.plivo_timeout, config.plivo_wait];
    assert_eq!(seconds.map(|d| d.as_secs()), [300, 30, 86_400, 12, 5]);
    assert_eq!(config.escalation.to_string(), "adaptive");
    let us = Countries::Only([Country::parse("US").unwrap()].into());
    assert_eq!((&config.countries, &config.countries_call), (&us, &us));
    assert_eq!((config.log_format, config.brand.as_deref()), (None, None));
    assert!(!config.plivo_is_local() && !config.plivo_embedded);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn every_variable_in_the_table_is_read_and_no_other() {
    let fields = serde_json::to_value(RawSettings::default()).unwrap();
    let fields: BTreeSet<String> = fields.as_object().unwrap().keys().map(|field| field.to_uppercase()).collect();
    assert_eq!(fields, VARIABLES.iter().map(|(name, ..)| (*name).to_owned()).collect());
    assert!(IN_FILES.iter().all(|name| fields.contains(*name)));
}

#[test]
fn an_empty_value_is_unset_and_case_matters() {
    let config = serve(&[("CODE_LENGTH", ""), ("BRAND", "  "), ("bind", "nonsense"), ("Code_Length", "9")]).unwrap();
    assert_eq!((config.code_length, config.brand), (6, None));
    assert_eq!(faults(&[("PLIVO_AUTH_TOKEN", "")]), ["PLIVO_AUTH_TOKEN"]);
}

#[test]
fn a_secret_may_be_in_a_file() {
    let file = File::with("token-from-file\n");
    let config = serve(&[("PLIVO_AUTH_TOKEN", ""), ("PLIVO_AUTH_TOKEN_FILE", file.path())]).unwrap();
    assert_eq!(exposed(&config.plivo_auth_tokens), ["token-from-file"]);
    assert_eq!(config.warnings(), Vec::<String>::new());

    // Between two rotations there is no previous key.
    let empty = File::with("\n");
    assert!(serve(&[("SECRET_KEY_PREVIOUS_FILE", empty.path())]).unwrap().secret_key_previous.is_none());

    let both = serve(&[("PLIVO_AUTH_TOKEN_FILE", file.path())]).unwrap_err();
    assert_eq!(both.0[0].variable, "PLIVO_AUTH_TOKEN_FILE");
    for (name, path) in [("SECRET_KEY", "/nonexistent/secret-value"), ("API_KEYS", File::with("\n").path())] {
        let unread = serve(&[(name, ""), (&format!("{name}_FILE"), path)]).unwrap_err();
        assert_eq!(unread.0.len(), 1, "{unread}");
        assert_eq!(unread.0[0].variable, format!("{name}_FILE"));
        assert!(!unread.to_string().contains("secret-value"));
    }
}

#[test]
fn debug_shows_no_secret_and_no_number() {
    let config = serve(&[
        ("PLIVO_AUTH_TOKEN", "hidden-1,hidden-2"),
        ("PLIVO_MAIN_AUTH_TOKEN", "hidden-3"),
        ("CALLBACK_SECRET", "hidden-4"),
        ("API_KEYS", "shop:hidden-5-and-long-enough"),
        ("REDIS_URL", "redis://:hidden-6@redis:6379"),
        ("SECRET_KEY_PREVIOUS", KEY),
        ("TEST_NUMBERS", "+14155550100:987654"),
        ("SENDERS", "GB=+14155550100"),
    ])
    .unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hidden") && !shown.contains("4155550100") && !shown.contains("987654"), "{shown}");
    assert!(!shown.contains("115, 101, 97") && !shown.contains("c2Vh"), "{shown}");
}

#[test]
fn risky_and_unknown_settings_are_warned_about_and_accepted() {
    let warned = |set: &[(&str, &str)]| serve(set).unwrap().warnings().join("\n");
    assert!(warned(&[("CALLBACK_SECRET", "")]).contains("CALLBACK_SECRET is not set"));
    assert!(warned(&[("CALLBACK_SECRET", "short")]).contains("shorter than 20"));
    assert!(warned(&[("REDIS_URL", "memory://")]).contains("lost on restart"));
    assert!(warned(&[("PUBLIC_URL", "http://127.0.0.1:8080")]).contains("cannot reach"));
    assert!(warned(&[("PUBLIC_URL", "http://otp.example.com")]).contains("is http"));
    assert!(warned(&[("PLIVO_API_URL", "http://plivo:8081")]).contains("auth token are sent unencrypted"));
    assert!(warned(&[("PLIVO_AUTH_ID", "MA1")]).contains("PLIVO_AUTH_ID"));
    assert!(warned(&[("CODE_TTL", "5")]).contains("CODE_TTL"));
    assert!(
        warned(&[("LIMIT_NUMBR", "5/10m")])
            .contains("LIMIT_NUMBR is set, but is no setting: did you mean LIMIT_NUMBER?")
    );
    assert!(warned(&[("CODE_LENGHT", "8"), ("ESCALTION", "fail")]).contains("did you mean CODE_LENGTH?"));
    assert!(warned(&[("BRAND", "Łódź")]).contains("Ł (U+0141), ź (U+017A)"));
    assert!(!warned(&[("BRAND", "Levi’s – Café\u{a0}1")]).contains("BRAND"));
    assert!(warned(&[("PLIVO_AUTHTOKEN", "hidden")]).contains("PLIVO_AUTHTOKEN is set"));
    assert!(!warned(&[("PLIVO_AUTHTOKEN", "hidden"), ("PATH", "/bin")]).contains("hidden"));
    let authority = File::with(&rcgen::generate_simple_self_signed(["redis".to_owned()]).unwrap().cert.pem());
    let without_tls = [("REDIS_CA_FILE", authority.path()), ("REDIS_URL", "redis://redis")];
    assert!(warned(&without_tls).contains("REDIS_CA_FILE has no effect"));
    assert!(!warned(&[without_tls[0], ("REDIS_URL", "rediss://redis")]).contains("REDIS_CA_FILE"));
}
