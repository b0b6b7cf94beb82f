//! The values that each setting accepts.

use std::net::IpAddr;

use super::*;
use crate::escalation::Policy;
use crate::phone::Country;
use crate::verification::Code;

#[test]
fn a_test_number_need_not_exist_and_has_a_fixed_code() {
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
fn lists_of_secrets_support_rotation() {
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
fn a_key_is_base64_in_either_alphabet_with_or_without_padding() {
    let standard = "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=";
    let bytes = |text| serve(&[("SECRET_KEY", text)]).unwrap().secret_key.expose_secret().to_vec();
    assert_eq!(bytes(standard).len(), 32);
    assert_eq!(bytes(&standard.replace('+', "-").replace('/', "_").replace('=', "")), bytes(standard));
    assert_eq!(faults(&[("SECRET_KEY", "c2hvcnQ=")]), ["SECRET_KEY"]);
}

#[test]
fn urls_are_kept_as_written_without_the_last_slash() {
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
fn redis_may_be_a_server_a_cluster_behind_sentinel_or_embedded() {
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
fn the_adaptive_policy_has_presets_and_costs_can_be_set() {
    let config = serve(&[("ESCALATION", "adaptive:eager"), ("COST_WAIT", "0.002"), ("COST_CALL", "0.03")]).unwrap();
    assert_eq!(config.escalation.to_string(), "adaptive:eager");
    let costs = config.cost_overrides.costs(crate::route_model::CostPreset::Balanced);
    assert_eq!((costs.call, costs.wait, costs.lost), (Some(30_000.0), 2.0, 500_000.0));
    assert_eq!(serve(&[("ESCALATION", "never")]).unwrap().escalation, Policy::Never);
}

#[test]
fn a_brand_is_folded_to_gsm_7_where_that_has_its_letters() {
    let brand = |text: &str| serve(&[("BRAND", text)]).unwrap().brand.unwrap();
    assert_eq!(brand("Levi’s – Café\u{a0}1"), "Levi's - Café 1");
    assert_eq!(brand("Ярмарка “x”"), "Ярмарка “x”");
}

#[test]
fn plivo_is_reached_through_a_proxy_only_if_the_settings_name_one() {
    let proxy = |text: &str| serve(&[("PLIVO_PROXY", text)]).map(|config| format!("{:?}", config.plivo_proxy));
    assert_eq!(proxy("").unwrap(), "None");
    assert_eq!(proxy("environment").unwrap(), "Environment");
    assert!(!proxy("http://user:hidden@proxy:3128").unwrap().contains("hidden"));
    for text in ["proxy:3128", "socks5://proxy:1080", "http://proxy:3128/path", "true"] {
        assert_eq!(faults(&[("PLIVO_PROXY", text)]), ["PLIVO_PROXY"], "{text}");
    }
}

#[test]
fn countries_are_a_list_or_all() {
    let config = serve(&[("COUNTRIES", "*"), ("COUNTRIES_CALL", "de, FR")]).unwrap();
    let [de, us] = ["DE", "US"].map(|code| Country::parse(code).unwrap());
    assert!(config.countries.allow(&us) && config.countries_call.allow(&de) && !config.countries_call.allow(&us));
}

#[test]
fn a_proxy_is_trusted_by_address_or_by_network() {
    let proxies =
        serve(&[("TRUSTED_PROXIES", "10.1.0.0/16,192.0.2.7,2001:db8::/32,0.0.0.0/0")]).unwrap().trusted_proxies;
    // The caller passes canonical addresses, as `http::client_ip` does.
    let trusted = |i: usize, text: &str| proxies[i].contains(&text.parse::<IpAddr>().unwrap().to_canonical());
    assert!(trusted(0, "10.1.255.1") && !trusted(0, "10.2.0.1") && trusted(0, "::ffff:10.1.2.3"));
    assert!(trusted(1, "192.0.2.7") && !trusted(1, "192.0.2.8"));
    assert!(trusted(2, "2001:db8:1::1") && !trusted(2, "2001:db9::1") && !trusted(2, "10.1.0.1"));
    assert!(trusted(3, "203.0.113.9") && !trusted(3, "2001:db8::1"));
}
