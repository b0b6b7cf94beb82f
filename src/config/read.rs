//! [`RawSettings`]: the environment as text, with `<NAME>_FILE` resolved and empty values treated as unset.
//!
//! Every field is an optional text, and nothing is checked yet. envy's own errors would be of little use: it stops at the
//! first, names fields instead of variables, and prints the value of a number that it cannot parse.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::faults::Faults;
use super::unread;
use super::variables::{APP_PREFIX, IN_FILES, VARIABLES};

#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct RawSettings {
    pub(super) plivo_auth_id: Option<String>,
    pub(super) plivo_auth_token: Option<String>,
    pub(super) plivo_main_auth_token: Option<String>,
    pub(super) plivo_number: Option<String>,
    pub(super) phlo_id: Option<String>,
    pub(super) plivo_api_url: Option<String>,
    pub(super) plivo_phlo_url: Option<String>,
    pub(super) plivo_timeout: Option<String>,
    pub(super) plivo_wait: Option<String>,
    pub(super) plivo_rate: Option<String>,
    pub(super) plivo_proxy: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) callback_secret: Option<String>,
    pub(super) api_keys: Option<String>,
    pub(super) secret_key: Option<String>,
    pub(super) secret_key_previous: Option<String>,
    pub(super) redis_url: Option<String>,
    pub(super) redis_ca_file: Option<String>,
    pub(super) redis_pool_size: Option<String>,
    pub(super) bind: Option<String>,
    pub(super) trusted_proxies: Option<String>,
    pub(super) connections_per_peer: Option<String>,
    pub(super) drain_seconds: Option<String>,
    pub(super) code_length: Option<String>,
    pub(super) code_ttl: Option<String>,
    pub(super) max_checks: Option<String>,
    pub(super) max_attempts: Option<String>,
    pub(super) resend_cooldown: Option<String>,
    pub(super) retention: Option<String>,
    pub(super) escalation: Option<String>,
    pub(super) cost_call: Option<String>,
    pub(super) cost_wait: Option<String>,
    pub(super) cost_lost: Option<String>,
    pub(super) cost_nuisance: Option<String>,
    pub(super) countries: Option<String>,
    pub(super) countries_call: Option<String>,
    pub(super) blocked_ranges: Option<String>,
    pub(super) guard: Option<String>,
    pub(super) limit_number: Option<String>,
    pub(super) limit_number_call: Option<String>,
    pub(super) limit_prefix: Option<String>,
    pub(super) limit_prefix_call: Option<String>,
    pub(super) limit_country: Option<String>,
    pub(super) limit_country_call: Option<String>,
    pub(super) limit_app: Option<String>,
    pub(super) limit_app_call: Option<String>,
    pub(super) limit_ip: Option<String>,
    pub(super) limit_ip_call: Option<String>,
    pub(super) limit_total: Option<String>,
    pub(super) limit_total_call: Option<String>,
    pub(super) limit_unverified: Option<String>,
    pub(super) limit_guesses: Option<String>,
    pub(super) limit_idempotency: Option<String>,
    pub(super) daily_budget: Option<String>,
    pub(super) quiet_hours: Option<String>,
    pub(super) brand: Option<String>,
    pub(super) templates: Option<String>,
    pub(super) senders: Option<String>,
    pub(super) dlt_entity_id: Option<String>,
    pub(super) dlt_template_id: Option<String>,
    pub(super) voice_confirm: Option<String>,
    pub(super) test_numbers: Option<String>,
    pub(super) webhook_url: Option<String>,
    pub(super) webhook_secrets: Option<String>,
    pub(super) webhook_allow_private: Option<String>,
    pub(super) legacy_routes: Option<String>,
    pub(super) log_format: Option<String>,
    /// Warnings about variables that are set and look like settings, but are not read.
    #[serde(skip)]
    pub(super) unread: Vec<String>,
    /// The variables of single apps.
    #[serde(skip)]
    pub(super) of_apps: BTreeMap<String, String>,
    /// Factor on the default limits.
    #[serde(skip)]
    pub(super) limits_factor: u64,
    /// Whether `PHLO_ID` is set and empty: a demo then uses no PHLO.
    #[serde(skip)]
    pub(super) no_phlo: bool,
}

impl RawSettings {
    pub(super) fn read(env: impl IntoIterator<Item = (String, String)>, faults: &mut Faults) -> Self {
        // The last value of a repeated name counts, even an empty one.
        let mut given: BTreeMap<String, String> =
            env.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect();
        let no_phlo = given.get("PHLO_ID").is_some_and(String::is_empty);
        given.retain(|_, value| !value.is_empty());
        // Only known names go to envy: it ignores case, and would fail on `Bind` beside `BIND`.
        let mut known: BTreeMap<String, String> = VARIABLES
            .iter()
            .filter_map(|(name, ..)| given.get_key_value(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for name in IN_FILES {
            let file = format!("{name}_FILE");
            let Some(path) = given.get(&file) else { continue };
            if known.contains_key(*name) {
                faults.add(&file, &format!("is set together with {name}: set only one of them"), "");
                continue;
            }
            // The path is not shown: it may be a secret that was set here by mistake.
            match std::fs::read_to_string(path).map(|text| text.trim().to_owned()) {
                // Between rotations this file is empty.
                Ok(text) if text.is_empty() && *name == "SECRET_KEY_PREVIOUS" => {}
                Ok(text) if text.is_empty() => faults.add(&file, "is the path of an empty file", ""),
                Ok(text) => {
                    known.insert((*name).to_owned(), text);
                }
                Err(error) => {
                    faults.add(&file, &format!("is the path of a file that cannot be read ({})", error.kind()), "");
                }
            }
        }
        let mut raw: Self = envy::from_iter(known).unwrap_or_else(|error| {
            faults.add("environment", &format!("cannot be read: {error}"), "");
            Self::default()
        });
        raw.no_phlo = no_phlo;
        raw.of_apps = given
            .iter()
            .filter(|(name, _)| name.starts_with(APP_PREFIX))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        raw.unread = unread::warnings(given.keys().map(String::as_str));
        raw
    }
}
