//! `GUARD`, `LIMIT_…`, `DAILY_BUDGET` and `BLOCKED_RANGES`.

use super::check::{Faults, Ruled};
use super::raw::Raw;
use crate::guard::{Guard, GuessRules, Limits, Pair};

/// What calls have of the limits of all attempts, where nothing is said.
const CALLS_SHARE: u64 = 5;
/// The prefix breaker, where nothing is said: so many times what a prefix may have, within so many of its windows.
const UNVERIFIED: (u64, u32) = (2, 6);

impl Raw {
    /// All limits; those that are not set are `self.limits_wider` times as wide as their defaults.
    pub(super) fn guard(&mut self, faults: &mut Faults) -> Option<Guard> {
        let wider = self.limits_wider.max(1);
        let number = [self.limit_number.take(), self.limit_number_call.take()];
        let prefix = [self.limit_prefix.take(), self.limit_prefix_call.take()];
        let country = [self.limit_country.take(), self.limit_country_call.take()];
        let app = [self.limit_app.take(), self.limit_app_call.take()];
        let ip = [self.limit_ip.take(), self.limit_ip_call.take()];
        let total = [self.limit_total.take(), self.limit_total_call.take()];
        let mut pair = |name: &str, [any, call]: [Option<String>; 2], call_default: Option<&str>| {
            let own_any = any.is_some();
            let any = limits(faults, name, any)?;
            let any = if own_any { any } else { any.times(wider) };
            let call = match (call, call_default) {
                (None, None) => any.clone().divided_by(CALLS_SHARE),
                (None, Some(default)) => default.parse::<Limits>().ok()?.times(wider),
                (Some(text), _) => faults.optional(&format!("{name}_CALL"), Some(text), rule, "3/10m,6/1d")?,
            };
            Some(Pair { any, call })
        };
        let number = pair("LIMIT_NUMBER", number, Some("3/10m,6/1d"));
        let prefix = pair("LIMIT_PREFIX", prefix, Some("5/10m"));
        let country = pair("LIMIT_COUNTRY", country, None);
        let app = pair("LIMIT_APP", app, None);
        let ip = pair("LIMIT_IP", ip, None);
        let total = pair("LIMIT_TOTAL", total, None);
        let unverified = match self.limit_unverified.take() {
            Some(text) => faults.optional("LIMIT_UNVERIFIED", Some(text), rule, "40/1h"),
            None => prefix.as_ref().map(|prefix| widened(&prefix.any)),
        };
        let is_monitor = faults.defaulted("GUARD", self.guard.take(), |text| match text {
            "enforce" => Ok(false),
            "monitor" => Ok(true),
            _ => Err("must be enforce or monitor".into()),
        });
        let is_set = self.daily_budget.is_some();
        let budget = faults.defaulted("DAILY_BUDGET", self.daily_budget.take(), |text| match text {
            "none" => Ok(None),
            _ => Some(text.parse().ok().filter(|dollars: &f64| (0.0..=1e9).contains(dollars)))
                .filter(Option::is_some)
                .ok_or_else(|| "must be US dollars, as 50, or none".into()),
        })?;
        let budget = budget.map(|dollars: f64| if is_set { dollars } else { dollars * wider as f64 });
        Some(Guard {
            is_monitor: is_monitor?,
            number: number?,
            prefix: prefix?,
            country: country?,
            app: app?,
            ip: ip?,
            total: total?,
            unverified: unverified?,
            budget_u: budget.map(|dollars| (dollars * 1e6) as u64),
        })
    }

    pub(super) fn guesses(&mut self, faults: &mut Faults) -> Option<GuessRules> {
        faults.defaulted("LIMIT_GUESSES", self.limit_guesses.take(), |text| {
            let limits = rule(text)?;
            GuessRules::new(limits).ok_or_else(|| "must not look back further than a day".into())
        })
    }
}

fn limits(faults: &mut Faults, name: &str, given: Option<String>) -> Option<Limits> {
    faults.defaulted(name, given, rule)
}

fn rule(text: &str) -> Ruled<Limits> {
    text.parse().map_err(|wrong: crate::guard::limit::InvalidLimits| wrong.to_string())
}

fn widened(prefix: &Limits) -> Limits {
    let mut limits = Limits(prefix.0.iter().take(1).copied().collect());
    for limit in &mut limits.0 {
        limit.max = limit.max.saturating_mul(UNVERIFIED.0);
        limit.window = (limit.window * UNVERIFIED.1).min(crate::guard::limit::WINDOW_MAX);
    }
    limits
}
