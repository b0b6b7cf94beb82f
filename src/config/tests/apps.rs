//! `APP_<NAME>_…`.

use super::*;
use crate::config::AppConfig;
use crate::escalation::Policy;
use crate::phone::Country;

const KEYS: (&str, &str) = ("API_KEYS", "bank-2:abcdefghijklmnopqrstuv,shop:0123456789abcdef0123");

#[test]
fn an_app_has_settings_of_its_own_in_place_of_the_common_ones() {
    let config = serve(&[
        KEYS,
        ("APP_BANK_2_ESCALATION", "fixed:20"),
        ("APP_BANK_2_BRAND", "The Bank"),
        ("APP_BANK_2_COUNTRIES", "GB"),
        ("APP_BANK_2_PHLO_ID", "0f0f0f0f-0000-4000-8000-000000000000"),
        ("APP_BANK_2_LIMIT_APP", "20/1m"),
        ("APP_BANK_2_DAILY_BUDGET", "7"),
    ])
    .unwrap();
    let bank = &config.apps["bank-2"];
    assert_eq!((bank.brand.as_deref(), bank.escalation), (Some("The Bank"), "fixed:20".parse::<Policy>().ok()));
    assert!(bank.countries.as_ref().unwrap().allow(&Country::parse("GB").unwrap()));
    assert_eq!(bank.phlo_id.as_deref(), Some("0f0f0f0f-0000-4000-8000-000000000000"));
    assert_eq!(config.apps["shop"], AppConfig::default());
    let own = &config.guard.apps["bank-2"];
    assert_eq!((own.pair.any.to_string(), own.pair.call.to_string()), ("20/1m".into(), "4/1m".into()));
    assert_eq!((own.budget_u, config.guard.apps.get("shop")), (Some(7_000_000), None));
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn a_limit_on_calls_alone_leaves_the_common_limit() {
    let config = serve(&[KEYS, ("APP_SHOP_LIMIT_APP_CALL", "9/1m")]).unwrap();
    let own = &config.guard.apps["shop"].pair;
    assert_eq!((own.any.to_string(), own.call.to_string()), ("150/1m".into(), "9/1m".into()));
}

#[test]
fn a_receiver_needs_a_secret_to_sign_with() {
    let url = "https://shop.example/hook?of=2fa";
    assert_eq!(faults(&[("WEBHOOK_URL", url)]), ["WEBHOOK_SECRETS"]);
    assert_eq!(faults(&[KEYS, ("APP_SHOP_WEBHOOK_URL", url)]), ["WEBHOOK_SECRETS"]);
    let secret = ("WEBHOOK_SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
    let config = serve(&[KEYS, secret, ("APP_SHOP_WEBHOOK_URL", url)]).unwrap();
    assert_eq!((config.apps["shop"].webhook_url.as_deref(), config.webhook_secrets.len()), (Some(url), 2));
    assert_eq!((config.webhook_url, config.webhook_allow_private), (None, false));
    for wrong in ["shop.example", "ftp://shop.example", "https://a:b@shop.example", "https://shop.example/#x"] {
        assert_eq!(faults(&[secret, ("WEBHOOK_URL", wrong)]), ["WEBHOOK_URL"], "{wrong}");
    }
    for wrong in ["whsec_short", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ","] {
        assert_eq!(faults(&[("WEBHOOK_SECRETS", wrong)]), ["WEBHOOK_SECRETS"], "{wrong}");
    }
}

#[test]
fn a_wrong_value_is_a_fault_and_an_unknown_app_or_setting_a_warning() {
    assert_eq!(faults(&[KEYS, ("APP_SHOP_ESCALATION", "soon")]), ["APP_SHOP_ESCALATION"]);
    for unknown in ["APP_SHOPP_BRAND", "APP_SHOP_BRANDS", "APP_SHOP_CODE_TTL"] {
        let warnings = serve(&[KEYS, (unknown, "x")]).unwrap().warnings();
        assert!(warnings.iter().any(|warning| warning.starts_with(unknown)), "{unknown}: {warnings:?}");
    }
}
