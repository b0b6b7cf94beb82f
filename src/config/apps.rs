//! `APP_<NAME>_…`: settings of one app, in place of the common ones.

use std::collections::BTreeMap;

use super::faults::{Checked, Faults};
use super::limits::{budget_u, limits};
use super::types::{ApiKey, Countries};
use super::variables::APP_PREFIX as PREFIX;
use super::{check, fresh};
use crate::escalation::Policy;
use crate::guard::{AppLimits, LimitPair, Limits};

/// The app of the legacy routes, which needs no key.
const LEGACY_APP: &str = "legacy";

/// What follows the app's name.
const SETTINGS: [&str; 10] = [
    "BRAND",
    "CHECKS",
    "COUNTRIES",
    "COUNTRIES_CALL",
    "DAILY_BUDGET",
    "ESCALATION",
    "LIMIT_APP",
    "LIMIT_APP_CALL",
    "PHLO_ID",
    "WEBHOOK_URL",
];

/// What one app has of its own; `None` where the common setting holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppConfig {
    /// `APP_<NAME>_BRAND`.
    pub brand: Option<String>,
    /// `APP_<NAME>_CHECKS=elsewhere`: the customer checks the codes, and routes learn from its feedback alone.
    pub is_checked_elsewhere: bool,
    /// `APP_<NAME>_COUNTRIES`.
    pub countries: Option<Countries>,
    /// `APP_<NAME>_COUNTRIES_CALL`.
    pub countries_call: Option<Countries>,
    /// `APP_<NAME>_ESCALATION`.
    pub escalation: Option<Policy>,
    /// `APP_<NAME>_PHLO_ID`.
    pub phlo_id: Option<String>,
    /// `APP_<NAME>_WEBHOOK_URL`.
    pub webhook_url: Option<String>,
    /// `APP_<NAME>_LIMIT_APP`, `APP_<NAME>_LIMIT_APP_CALL`.
    pub(super) limits: (Option<Limits>, Option<Limits>),
    /// `APP_<NAME>_DAILY_BUDGET`, in micro-dollars: within that of all apps.
    pub(super) budget_u: Option<u64>,
}

impl AppConfig {
    /// The limits of the app, where it has any of its own.
    pub(super) fn limits(&self, common: &LimitPair) -> Option<AppLimits> {
        let Self { limits: (any, call), budget_u, .. } = self;
        if any.is_none() && call.is_none() && budget_u.is_none() {
            return None;
        }
        let usual_call = any.as_ref().map_or(common.call.clone(), |any| any.divided_by(super::limits::CALLS_DIVISOR));
        let pair = LimitPair {
            any: any.clone().unwrap_or_else(|| common.any.clone()),
            call: call.clone().unwrap_or(usual_call),
        };
        Some(AppLimits { pair, budget_u: *budget_u })
    }
}

/// The name of an app in these variables.
fn in_variables(app: &str) -> String {
    app.to_ascii_uppercase().replace('-', "_")
}

/// Reads the settings of each app, and warns of variables that belong to none.
pub(super) fn read(
    mut given: BTreeMap<String, String>,
    keys: &[ApiKey],
    faults: &mut Faults,
) -> (BTreeMap<String, AppConfig>, Vec<String>) {
    let mut apps = BTreeMap::new();
    for app in keys.iter().map(|key| key.app.as_str()).chain([LEGACY_APP]) {
        if apps.contains_key(app) {
            continue;
        }
        let mut of_app = AppSettings { prefix: format!("{PREFIX}{}_", in_variables(app)), given: &given, faults };
        let config = of_app.read();
        apps.insert(app.to_owned(), config);
    }
    let mut names = BTreeMap::new();
    for app in apps.keys() {
        let prefix = format!("{PREFIX}{}_", in_variables(app));
        let is_used = given.keys().any(|name| name.starts_with(&prefix));
        if let Some(other) = names.insert(prefix.clone(), app).filter(|_| is_used) {
            let wrong = format!("has the apps {other} and {app}, for which {prefix} would be the same");
            let example = format!("shop:{},bank:{}", fresh::token(), fresh::token());
            faults.add("API_KEYS", &wrong, &example);
        }
    }
    for app in apps.keys() {
        let prefix = format!("{PREFIX}{}_", in_variables(app));
        SETTINGS.iter().for_each(|setting| _ = given.remove(&format!("{prefix}{setting}")));
    }
    let settings = SETTINGS.join(", ");
    let unread = given
        .keys()
        .map(|name| format!("{name} is set, but is no setting of an app in API_KEYS: APP_<NAME>_ takes {settings}"));
    (apps, unread.collect())
}

fn checks(text: &str) -> Checked<bool> {
    match text {
        "here" => Ok(false),
        "elsewhere" => Ok(true),
        _ => Err("must be here or elsewhere".into()),
    }
}

struct AppSettings<'a> {
    prefix: String,
    given: &'a BTreeMap<String, String>,
    faults: &'a mut Faults,
}

impl AppSettings<'_> {
    fn read(&mut self) -> AppConfig {
        AppConfig {
            brand: self.optional("BRAND", check::brand, "Example Shop"),
            is_checked_elsewhere: self.optional("CHECKS", checks, "elsewhere").unwrap_or_default(),
            countries: self.optional("COUNTRIES", check::countries, "US,CA"),
            countries_call: self.optional("COUNTRIES_CALL", check::countries, "US,CA"),
            escalation: self.optional("ESCALATION", check::escalation, "adaptive:thrifty"),
            phlo_id: self.optional("PHLO_ID", check::word, check::PHLO_ID_EXAMPLE),
            webhook_url: self.optional("WEBHOOK_URL", check::webhook_url, check::WEBHOOK_URL_EXAMPLE),
            limits: (self.optional("LIMIT_APP", limits, "150/1m"), self.optional("LIMIT_APP_CALL", limits, "30/1m")),
            budget_u: self.optional("DAILY_BUDGET", budget_u, "20").flatten(),
        }
    }

    fn optional<T>(&mut self, setting: &str, rule: impl FnOnce(&str) -> Checked<T>, example: &str) -> Option<T> {
        let name = format!("{}{setting}", self.prefix);
        self.faults.optional(&name, self.given.get(&name).cloned(), rule, example)
    }
}
