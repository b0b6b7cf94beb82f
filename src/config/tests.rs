use std::collections::BTreeSet;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::raw::IN_FILES;
use super::*;
use crate::phone::Country;
use crate::verification::Code;

const KEY: &str = "c2VhbHMtY29kZXMtYW5kLXNpZ25zLXJlZnMtYWxsLWRheQ";

#[test]
fn a_service_starts_with_what_is_required_and_has_defaults_for_the_rest() {
    let config = serve(&[]).unwrap();
    assert_eq!(config.plivo_auth_id, "MAEXAMPLE0000000000X");
    assert_eq!(config.public_url, "https://otp.example.com/2fa");
    assert_eq!(config.plivo_api_url, "https://api.plivo.com");
    assert_eq!(config.plivo_phlo_url, "https://phlorunner.plivo.com");
    assert_eq!(config.redis_url.expose_secret(), "redis://127.0.0.1:6379");
    assert_eq!((config.redis_pool_size, config.bind.to_string().as_str()), (16, "127.0.0.1:8080"));
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
fn everything_that_is_missing_is_named_at_once_with_an_example() {
    let errors = Config::serve([]).unwrap_err();
    let named: BTreeSet<&str> = errors.0.iter().map(|fault| fault.variable.as_str()).collect();
    let required = VARIABLES.iter().filter(|(_, default, _)| *default == "required").map(|(name, ..)| *name);
    assert_eq!(named, required.collect());
    assert_eq!(errors.to_string().lines().count(), errors.0.len());
    assert!(errors.to_string().contains("PLIVO_AUTH_ID is missing; for example PLIVO_AUTH_ID=MA"));
}

#[test]
fn each_wrong_value_is_one_fault_of_its_variable_and_is_never_repeated() {
    let mut env = required();
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
        ("PUBLIC_URL", "https://h/?secret-value"),
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
        ("LEGACY_ROUTES", "1"),
        ("LOG_FORMAT", "secret-value"),
    ];
    let limits = VARIABLES.iter().map(|(name, ..)| *name).filter(|n| n.starts_with("LIMIT_") && *n != "LIMIT_GUESSES");
    let wrong: Vec<_> = wrong.into_iter().chain(limits.map(|name| (name, "secret-value"))).collect();
    env.extend(wrong.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let errors = Config::serve(env).unwrap_err();
    let named: Vec<&str> = errors.0.iter().map(|fault| fault.variable.as_str()).collect();
    assert_eq!(BTreeSet::from_iter(named.clone()), wrong.iter().map(|(name, _)| *name).collect(), "{errors}");
    assert_eq!(named.len(), VARIABLES.len(), "{errors}");
    assert!(!errors.to_string().contains("secret-value") && !errors.to_string().contains("secret value"));
}

#[test]
fn every_variable_in_the_table_is_read_and_no_other() {
    let fields = serde_json::to_value(Raw::default()).unwrap();
    let fields: BTreeSet<String> = fields.as_object().unwrap().keys().map(|field| field.to_uppercase()).collect();
    assert_eq!(fields, VARIABLES.iter().map(|(name, ..)| (*name).to_owned()).collect());
    assert!(IN_FILES.iter().all(|name| fields.contains(*name)));
}

#[test]
fn empty_is_unset_and_case_counts() {
    let config = serve(&[("CODE_LENGTH", ""), ("BRAND", "  "), ("bind", "nonsense"), ("Code_Length", "9")]).unwrap();
    assert_eq!((config.code_length, config.brand), (6, None));
    assert_eq!(faults(&[("PLIVO_AUTH_TOKEN", "")]), ["PLIVO_AUTH_TOKEN"]);
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let file = File::with("token-from-file\n");
    let config = serve(&[("PLIVO_AUTH_TOKEN", ""), ("PLIVO_AUTH_TOKEN_FILE", file.path())]).unwrap();
    assert_eq!(exposed(&config.plivo_auth_tokens), ["token-from-file"]);
    assert_eq!(config.warnings(), Vec::<String>::new());

    // Between two rotations there is no key before.
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
fn a_test_number_need_not_exist_and_has_its_code() {
    let config = serve(&[("TEST_NUMBERS", "+15555550100:000000, +442079460000:1234")]).unwrap();
    let (number, code) = config.test_numbers.read("+15555550100").unwrap();
    assert_eq!((number.country().to_string(), number.to_string()), ("US".into(), "+1••••••••00".into()));
    assert!(code.is_some_and(|code| code.matches(&Code::parse("000000").unwrap())));
    assert!(config.test_numbers.read("+14155550100").unwrap().1.is_none());
    assert!(config.test_numbers.read("+15555550101").is_err());
    for wrong in ["15555550100:000000", "+15555550100", "+15555550100:12", "+9995555550100:1234", "+0:1234"] {
        assert_eq!(faults(&[("TEST_NUMBERS", wrong)]), ["TEST_NUMBERS"], "{wrong}");
    }
    assert_eq!(faults(&[("TEST_NUMBERS", "+15555550100:0000,+15555550100:1111")]), ["TEST_NUMBERS"]);
}

#[test]
fn a_demo_goes_without_a_phlo_when_told_so() {
    let demo = |set: &[(&str, &str)]| Config::demo(pairs(set)).unwrap().phlo_id;
    assert!(demo(&[]).is_some());
    assert_eq!(demo(&[("PHLO_ID", "")]), None);
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
fn lists_rotate() {
    let config = serve(&[
        ("PLIVO_AUTH_TOKEN", "new, old,,"),
        ("CALLBACK_SECRET", "a-secret-of-twenty-characters,another-one-of-that-length"),
        ("API_KEYS", "shop:0123456789abcdef0123, shop:another:with:colons-in-it,bank-2:abcdefghijklmnopqrstuv"),
    ])
    .unwrap();
    assert_eq!(exposed(&config.plivo_auth_tokens), ["new", "old"]);
    assert_eq!(config.callback_secrets.len(), 2);
    let apps: Vec<&str> = config.api_keys.iter().map(|key| key.app.as_str()).collect();
    assert_eq!(apps, ["shop", "shop", "bank-2"]);
    assert_eq!(config.api_keys[1].secret.expose_secret(), "another:with:colons-in-it");
}

#[test]
fn an_api_key_has_a_plain_name_and_a_long_secret_of_its_own() {
    for wrong in [
        "shop",
        ":0123456789abcdef0123",
        "Shop:0123456789abcdef0123",
        "shop:",
        "shop:0123456789 abcdef0123",
        "shop:short",
        "shop:0123456789abcdef0123,bank:0123456789abcdef0123",
        ",",
    ] {
        assert_eq!(faults(&[("API_KEYS", wrong)]), ["API_KEYS"], "{wrong}");
    }
    let local = [("PLIVO_API_URL", "http://127.0.0.1:8081"), ("PLIVO_PHLO_URL", "http://localhost:8081/")];
    let config = serve(&[&local[..], &[("API_KEYS", "shop:short,shop:short")]].concat()).unwrap();
    assert!(config.plivo_is_local());
    assert_eq!(config.api_keys.len(), 1);
    assert_eq!(config.plivo_phlo_url, "http://localhost:8081");
    assert_eq!(faults(&[local[0], ("API_KEYS", "shop:short")]), ["API_KEYS"]);
}

#[test]
fn a_key_is_base64_in_any_dress() {
    let standard = "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=";
    let bytes = |text| serve(&[("SECRET_KEY", text)]).unwrap().secret_key.expose_secret().to_vec();
    assert_eq!(bytes(standard).len(), 32);
    assert_eq!(bytes(&standard.replace('+', "-").replace('/', "_").replace('=', "")), bytes(standard));
    assert_eq!(faults(&[("SECRET_KEY", "c2hvcnQ=")]), ["SECRET_KEY"]);
}

#[test]
fn urls_are_kept_as_written_but_for_the_last_slash() {
    for (given, kept) in [
        ("https://Otp.example.com:443/a/b/", "https://Otp.example.com:443/a/b"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ] {
        assert_eq!(serve(&[("PUBLIC_URL", given)]).unwrap().public_url, kept);
    }
    for wrong in [
        "otp.example.com",
        "ftp://h",
        "HTTPS://h",
        "https://",
        "https://h/#x",
        "https://h/?",
        "https://u@h",
        "https://h/a%20b",
        "https://h/a;b",
        "https://[2001:db8::1]/",
        "https://bücher.example",
    ] {
        assert_eq!(faults(&[("PUBLIC_URL", wrong)]), ["PUBLIC_URL"], "{wrong}");
    }
}

#[test]
fn redis_may_be_one_a_cluster_watched_or_none() {
    for good in [
        "redis://127.0.0.1:6379/1",
        "rediss://user:p,w@redis.example:6380",
        "redis+cluster://a:7000,b:7000",
        "redis+sentinel://a,b/main",
        "memory://",
    ] {
        assert_eq!(serve(&[("REDIS_URL", good)]).unwrap().redis_url.expose_secret(), good);
    }
    for wrong in ["127.0.0.1:6379", "redis://", "redis+cluster://", "redis+sentinel://a,b", "memory://x", "redis:x"] {
        assert_eq!(faults(&[("REDIS_URL", wrong)]), ["REDIS_URL"], "{wrong}");
    }
}

#[test]
fn the_adaptive_policy_has_moods_and_what_things_are_worth_can_be_said() {
    let config = serve(&[("ESCALATION", "adaptive:eager"), ("COST_WAIT", "0.002"), ("COST_CALL", "0.03")]).unwrap();
    assert_eq!(config.escalation.to_string(), "adaptive:eager");
    let costs = config.worth.costs(crate::route_model::CostPreset::Balanced);
    assert_eq!((costs.call, costs.wait, costs.lost), (Some(30_000.0), 2.0, 500_000.0));
    assert_eq!(serve(&[("ESCALATION", "never")]).unwrap().escalation, Policy::Never);
}

#[test]
fn countries_are_listed_or_all() {
    let config = serve(&[("COUNTRIES", "*"), ("COUNTRIES_CALL", "de, FR")]).unwrap();
    let [de, us] = ["DE", "US"].map(|code| Country::parse(code).unwrap());
    assert!(config.countries.allow(&us) && config.countries_call.allow(&de) && !config.countries_call.allow(&us));
}

#[test]
fn a_proxy_is_trusted_by_address_or_by_network() {
    let proxies =
        serve(&[("TRUSTED_PROXIES", "10.1.0.0/16,192.0.2.7,2001:db8::/32,0.0.0.0/0")]).unwrap().trusted_proxies;
    let trusted = |i: usize, address: &str| proxies[i].contains(address.parse().unwrap());
    assert!(trusted(0, "10.1.255.1") && !trusted(0, "10.2.0.1") && trusted(0, "::ffff:10.1.2.3"));
    assert!(trusted(1, "192.0.2.7") && !trusted(1, "192.0.2.8"));
    assert!(trusted(2, "2001:db8:1::1") && !trusted(2, "2001:db9::1") && !trusted(2, "10.1.0.1"));
    assert!(trusted(3, "203.0.113.9") && !trusted(3, "2001:db8::1"));
}

#[test]
fn what_is_risky_or_not_read_is_said_and_stops_nothing() {
    let warned = |set: &[(&str, &str)]| serve(set).unwrap().warnings().join("\n");
    assert!(warned(&[("CALLBACK_SECRET", "")]).contains("CALLBACK_SECRET is not set"));
    assert!(warned(&[("CALLBACK_SECRET", "short")]).contains("shorter than 20"));
    assert!(warned(&[("REDIS_URL", "memory://")]).contains("lost on restart"));
    assert!(warned(&[("PUBLIC_URL", "http://127.0.0.1:8080")]).contains("cannot reach"));
    assert!(warned(&[("PUBLIC_URL", "http://otp.example.com")]).contains("is http"));
    assert!(warned(&[("PLIVO_API_URL", "http://plivo:8081")]).contains("auth token travel"));
    assert!(warned(&[("PLIVO_AUTH_ID", "MA1")]).contains("PLIVO_AUTH_ID"));
    assert!(warned(&[("CODE_TTL", "5")]).contains("CODE_TTL"));
    assert!(warned(&[("LIMIT_NUMBR", "5/10m")]).contains("LIMIT_NUMBR is set"));
    assert!(warned(&[("PLIVO_AUTHTOKEN", "hidden")]).contains("PLIVO_AUTHTOKEN is set"));
    assert!(!warned(&[("PLIVO_AUTHTOKEN", "hidden"), ("PATH", "/bin")]).contains("hidden"));
}

#[test]
fn a_demo_needs_nothing_and_sends_nothing() {
    let demo = Config::demo([]).unwrap();
    assert!(demo.plivo_embedded && demo.plivo_is_local());
    assert_eq!((demo.plivo_auth_id.as_str(), exposed(&demo.plivo_auth_tokens)), ("MADEMO00000000000000", vec!["demo"]));
    assert_eq!((demo.plivo_number.e164(), demo.redis_url.expose_secret()), ("+14155550100", "memory://"));
    assert_eq!((demo.countries, demo.public_url.as_str()), (Countries::All, "http://127.0.0.1:8080"));
    assert_eq!((demo.api_keys[0].app.as_str(), demo.api_keys[0].secret.expose_secret()), ("demo", "demo"));
    assert_eq!(demo.warnings, Vec::<String>::new());
    let other = Config::demo([]).unwrap();
    assert_ne!(demo.secret_key.expose_secret(), other.secret_key.expose_secret());
    assert_ne!(exposed(&demo.callback_secrets), exposed(&other.callback_secrets));
}

#[test]
fn a_demo_honours_what_is_set() {
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
fn a_simulator_stands_beside_the_service() {
    let alone = Config::simulate([]).unwrap();
    assert_eq!((alone.bind.port(), alone.public_url.as_str()), (8081, "http://127.0.0.1:8080"));
    assert_eq!((alone.auth_id.as_str(), exposed(&alone.auth_tokens)), ("MADEMO00000000000000", vec!["demo"]));
    assert!(alone.callback_secrets.is_empty());
    let errors = Config::simulate(pairs(&[("PUBLIC_URL", "here"), ("BIND", "8081")])).unwrap_err();
    assert_eq!(errors.0.len(), 2, "{errors}");
}

/// The required settings, and a callback secret so that nothing is warned about.
fn required() -> Vec<(String, String)> {
    pairs(&[
        ("PLIVO_AUTH_ID", "MAEXAMPLE0000000000X"),
        ("PLIVO_AUTH_TOKEN", "token"),
        ("PLIVO_NUMBER", "+14155550100"),
        ("PHLO_ID", "2b1c7f0e-0000-4000-8000-000000000001"),
        ("PUBLIC_URL", "https://otp.example.com/2fa/"),
        ("CALLBACK_SECRET", "a-secret-of-twenty-characters"),
        ("API_KEYS", "shop:0123456789abcdef0123"),
        ("SECRET_KEY", KEY),
    ])
}

fn serve(set: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::serve(required().into_iter().chain(pairs(set)))
}

fn faults(set: &[(&str, &str)]) -> Vec<String> {
    serve(set).unwrap_err().0.into_iter().map(|fault| fault.variable).collect()
}

fn pairs(set: &[(&str, &str)]) -> Vec<(String, String)> {
    set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn exposed(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(ExposeSecret::expose_secret).collect()
}

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn with(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("phlo-2fa-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
