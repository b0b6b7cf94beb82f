//! Checks every setting of `serve` and `demo`, and assembles the [`Config`].

use std::collections::BTreeMap;

use strum::VariantNames;

use super::apps::AppConfig;
use super::faults::Faults;
use super::read::RawSettings;
use super::types::Countries;
use super::{Config, check, fresh, sending};
use crate::guard::{Guard, QuietHours};
use crate::phone::SpecialRange;
use crate::plivo::language::Languages;
use crate::verification::CostOverrides;

impl Config {
    /// Checks every setting before it gives up, so that all faults are found.
    pub(super) fn assemble(mut raw: RawSettings, faults: &mut Faults) -> Option<Self> {
        let (guard, limit_guesses) = (raw.guard(faults), raw.guesses(faults));
        let plivo_auth_id = faults.required("PLIVO_AUTH_ID", raw.plivo_auth_id, check::word, "MAXXXXXXXXXXXXXXXXXX");
        let plivo_auth_tokens =
            faults.required("PLIVO_AUTH_TOKEN", raw.plivo_auth_token, check::secrets, "your-auth-token");
        let plivo_main_auth_tokens =
            faults.optional("PLIVO_MAIN_AUTH_TOKEN", raw.plivo_main_auth_token, check::secrets, "");
        let plivo_number = faults.required("PLIVO_NUMBER", raw.plivo_number, check::number, "+14155550100");
        let phlo_id = faults.optional("PHLO_ID", raw.phlo_id, check::word, check::PHLO_ID_EXAMPLE);
        let plivo_api_url = faults.defaulted("PLIVO_API_URL", raw.plivo_api_url, check::origin);
        let plivo_phlo_url = faults.defaulted("PLIVO_PHLO_URL", raw.plivo_phlo_url, check::origin);
        let plivo_timeout = faults.seconds("PLIVO_TIMEOUT", raw.plivo_timeout, 1..=40);
        let plivo_wait = faults.seconds("PLIVO_WAIT", raw.plivo_wait, 0..=60);
        let plivo_rate = faults.defaulted("PLIVO_RATE", raw.plivo_rate, super::limits::rate);
        let plivo_proxy = faults.optional("PLIVO_PROXY", raw.plivo_proxy, check::proxy, "http://proxy:3128");
        let public_url = faults.required("PUBLIC_URL", raw.public_url, check::public_url, "https://otp.example.com");
        let callback_secrets =
            faults.optional("CALLBACK_SECRET", raw.callback_secret, check::path_secrets, &fresh::token());
        let local = [&plivo_api_url, &plivo_phlo_url].iter().all(|url| url.as_deref().is_some_and(check::is_loopback));
        let api_keys = faults.required(
            "API_KEYS",
            raw.api_keys,
            |text| check::api_keys(text, local),
            &format!("shop:{}", fresh::token()),
        );
        let of_apps = std::mem::take(&mut raw.of_apps);
        let (apps, warnings) = super::apps::read(of_apps, api_keys.as_deref().unwrap_or_default(), faults);
        let secret_key = faults.required("SECRET_KEY", raw.secret_key, check::key, &fresh::key());
        let secret_key_previous = faults.optional("SECRET_KEY_PREVIOUS", raw.secret_key_previous, check::key, "");
        let redis_url = faults.defaulted("REDIS_URL", raw.redis_url, check::redis_url);
        let redis_ca = faults.optional("REDIS_CA_FILE", raw.redis_ca_file, check::ca_file, "");
        let connections_per_peer = faults.count("CONNECTIONS_PER_PEER", raw.connections_per_peer, 1..=4096);
        let redis_pool_size = faults.count("REDIS_POOL_SIZE", raw.redis_pool_size, 1..=1024);
        let bind = faults.defaulted("BIND", raw.bind, check::bind);
        let trusted_proxies =
            faults.optional("TRUSTED_PROXIES", raw.trusted_proxies, check::networks, "10.0.0.0/8,192.0.2.7");
        let drain = faults.seconds("DRAIN_SECONDS", raw.drain_seconds, 0..=60);
        let code_length = faults.count("CODE_LENGTH", raw.code_length, 6..=9);
        let code_ttl = faults.seconds("CODE_TTL", raw.code_ttl, 1..=600);
        let max_checks = faults.count("MAX_CHECKS", raw.max_checks, 1..=10);
        let max_attempts = faults.count("MAX_ATTEMPTS", raw.max_attempts, 1..=20);
        let resend_cooldown = faults.seconds("RESEND_COOLDOWN", raw.resend_cooldown, 0..=600);
        let retention = faults.seconds("RETENTION", raw.retention, 1..=2_592_000);
        let escalation = faults.defaulted("ESCALATION", raw.escalation, check::escalation);
        let dollars = |faults: &mut Faults, name: &str, given, example| {
            faults.optional(name, given, sending::dollars, example).map(|dollars: f64| dollars * 1e6)
        };
        let cost_overrides = CostOverrides {
            call: dollars(faults, "COST_CALL", raw.cost_call, "0.025"),
            wait: dollars(faults, "COST_WAIT", raw.cost_wait, "0.001").map(|a_second| a_second / 1e3),
            lost: dollars(faults, "COST_LOST", raw.cost_lost, "0.50"),
            nuisance: dollars(faults, "COST_NUISANCE", raw.cost_nuisance, "0.05"),
        };
        let own = || plivo_number.as_ref().map(|number| Countries::Only([number.country().clone()].into()));
        let countries = faults.optional("COUNTRIES", raw.countries, check::countries, "US,CA").or_else(own);
        let countries_call = faults.optional("COUNTRIES_CALL", raw.countries_call, check::countries, "US,CA");
        let blocked = faults.defaulted("BLOCKED_RANGES", raw.blocked_ranges, |text| {
            let ranges = SpecialRange::VARIANTS.join(", ");
            text.parse().map_err(|()| {
                format!("must list any of {ranges} and prefixes such as +1900, separated by commas; or be none")
            })
        });
        let limit_idempotency = faults.defaulted("LIMIT_IDEMPOTENCY", raw.limit_idempotency, super::limits::limits);
        let quiet_hours = faults.optional("QUIET_HOURS", raw.quiet_hours, QuietHours::parse, "22:00-07:00");
        let brand = faults.optional("BRAND", raw.brand, check::brand, "Example Shop");
        let languages = match &raw.templates {
            None => Some(Languages::built_in()),
            Some(json) => Languages::with_overrides(json)
                .map_err(|wrong| {
                    wrong
                        .iter()
                        .for_each(|why| faults.add("TEMPLATES", &format!("is wrong: {why}"), sending::TEMPLATES));
                })
                .ok(),
        };
        let senders = faults.optional("SENDERS", raw.senders, sending::senders, "IN=PLIVOX,GB=+447400123456");
        let dlt_entity_id = faults.optional("DLT_ENTITY_ID", raw.dlt_entity_id, check::word, "1234567890123456789");
        let dlt_template_id =
            faults.optional("DLT_TEMPLATE_ID", raw.dlt_template_id, check::word, "1234567890123456789");
        let voice_confirm = faults.defaulted("VOICE_CONFIRM", raw.voice_confirm, sending::flag);
        let test_numbers =
            faults.optional("TEST_NUMBERS", raw.test_numbers, sending::test_numbers, "+15555550100:000000");
        let webhook_url =
            faults.optional("WEBHOOK_URL", raw.webhook_url, check::webhook_url, check::WEBHOOK_URL_EXAMPLE);
        let webhook_allow_private = faults.defaulted("WEBHOOK_ALLOW_PRIVATE", raw.webhook_allow_private, sending::flag);
        let has_receiver = webhook_url.is_some() || apps.values().any(|app| app.webhook_url.is_some());
        let webhook_secrets = if has_receiver {
            faults.required("WEBHOOK_SECRETS", raw.webhook_secrets, check::webhook_secrets, &fresh::webhook_secret())
        } else {
            faults.optional("WEBHOOK_SECRETS", raw.webhook_secrets, check::webhook_secrets, &fresh::webhook_secret())
        };
        let legacy_routes = faults.defaulted("LEGACY_ROUTES", raw.legacy_routes, sending::flag);
        let log_format = faults.optional("LOG_FORMAT", raw.log_format, check::log_format, "json");
        Some(Self {
            plivo_auth_id: plivo_auth_id?,
            plivo_auth_tokens: plivo_auth_tokens?,
            plivo_main_auth_tokens: plivo_main_auth_tokens.unwrap_or_default(),
            plivo_number: plivo_number?,
            phlo_id,
            plivo_api_url: plivo_api_url?,
            plivo_phlo_url: plivo_phlo_url?,
            plivo_timeout: plivo_timeout?,
            plivo_wait: plivo_wait?,
            plivo_rate: plivo_rate?,
            plivo_proxy: plivo_proxy.unwrap_or_default(),
            plivo_embedded: false,
            public_url: public_url?,
            callback_secrets: callback_secrets.unwrap_or_default(),
            api_keys: api_keys?,
            secret_key: secret_key?,
            secret_key_previous,
            redis_url: redis_url?,
            redis_ca,
            redis_pool_size: redis_pool_size?,
            bind: bind?,
            trusted_proxies: trusted_proxies.unwrap_or_default(),
            connections_per_peer: connections_per_peer?,
            drain: drain?,
            code_length: code_length?,
            code_ttl: code_ttl?,
            max_checks: max_checks?,
            max_attempts: max_attempts?,
            resend_cooldown: resend_cooldown?,
            retention: retention?,
            escalation: escalation?,
            cost_overrides,
            countries_call: countries_call.or_else(|| countries.clone())?,
            countries: countries?,
            blocked: blocked?,
            guard: with_apps(guard?, &apps),
            apps,
            limit_guesses: limit_guesses?,
            limit_idempotency: limit_idempotency?,
            quiet_hours,
            brand,
            languages: languages?,
            senders: senders.unwrap_or_default(),
            dlt_entity_id,
            dlt_template_id,
            voice_confirm: voice_confirm?,
            test_numbers: test_numbers.unwrap_or_default(),
            webhook_url,
            webhook_secrets: webhook_secrets.unwrap_or_default(),
            webhook_allow_private: webhook_allow_private?,
            legacy_routes: legacy_routes?,
            log_format,
            warnings,
        })
    }
}

fn with_apps(mut guard: Guard, apps: &BTreeMap<String, AppConfig>) -> Guard {
    let own = apps.iter().filter_map(|(app, config)| Some((app.clone(), config.limits(&guard.app)?)));
    guard.apps = own.collect();
    guard
}
