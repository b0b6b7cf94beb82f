//! The settings `GUARD`, `LIMIT_…` and `DAILY_BUDGET`.

use std::collections::BTreeMap;

use super::faults::{Checked, Faults};
use super::read::RawSettings;
use crate::guard::{Guard, GuessRules, Limit, LimitPair, Limits};
use crate::plivo::{InvalidRate, Rate};

/// By default the limit on calls is this fraction of the limit on attempts.
pub(super) const CALLS_DIVISOR: u64 = 5;
/// The default of `LIMIT_UNVERIFIED`: factors on the maximum and the window of `LIMIT_PREFIX`.
const UNVERIFIED_FACTORS: (u64, u32) = (2, 6);

impl RawSettings {
    /// Checks all limits. The defaults of those that are not set are multiplied by `self.limits_factor`.
    pub(super) fn guard(&mut self, faults: &mut Faults) -> Option<Guard> {
        let factor = self.limits_factor.max(1);
        let number = [self.limit_number.take(), self.limit_number_call.take()];
        let prefix = [self.limit_prefix.take(), self.limit_prefix_call.take()];
        let country = [self.limit_country.take(), self.limit_country_call.take()];
        let app = [self.limit_app.take(), self.limit_app_call.take()];
        let ip = [self.limit_ip.take(), self.limit_ip_call.take()];
        let total = [self.limit_total.take(), self.limit_total_call.take()];
        let mut pair = |name: &str, [any, call]: [Option<String>; 2], call_default: Option<&str>| {
            let is_own = any.is_some();
            let any = faults.defaulted(name, any, limits).map(|any| if is_own { any } else { any.times(factor) });
            let call = match (call, call_default) {
                (None, None) => any.as_ref().map(|any| any.divided_by(CALLS_DIVISOR)),
                (None, Some(default)) => default.parse::<Limits>().ok().map(|call| call.times(factor)),
                (Some(text), _) => faults.optional(&format!("{name}_CALL"), Some(text), limits, "3/10m,6/1d"),
            };
            Some(LimitPair { any: any?, call: call? })
        };
        let number = pair("LIMIT_NUMBER", number, Some("3/10m,6/1d"));
        let prefix = pair("LIMIT_PREFIX", prefix, Some("5/10m"));
        let country = pair("LIMIT_COUNTRY", country, None);
        let app = pair("LIMIT_APP", app, None);
        let ip = pair("LIMIT_IP", ip, None);
        let total = pair("LIMIT_TOTAL", total, None);
        let unverified = match self.limit_unverified.take() {
            Some(text) => faults.optional("LIMIT_UNVERIFIED", Some(text), limits, "40/1h"),
            None => prefix.as_ref().map(|prefix| widened(&prefix.any)),
        };
        let is_monitor = faults.defaulted("GUARD", self.guard.take(), |text| match text {
            "enforce" => Ok(false),
            "monitor" => Ok(true),
            _ => Err("must be enforce or monitor".into()),
        });
        let is_set = self.daily_budget.is_some();
        let budget_u = faults.defaulted("DAILY_BUDGET", self.daily_budget.take(), budget_u)?;
        let budget_u = budget_u.map(|budget_u| if is_set { budget_u } else { budget_u.saturating_mul(factor) });
        Some(Guard {
            is_monitor: is_monitor?,
            number: number?,
            prefix: prefix?,
            country: country?,
            app: app?,
            ip: ip?,
            total: total?,
            unverified: unverified?,
            budget_u,
            apps: BTreeMap::new(),
        })
    }

    /// Checks the limit on wrong codes.
    pub(super) fn guesses(&mut self, faults: &mut Faults) -> Option<GuessRules> {
        faults.defaulted("LIMIT_GUESSES", self.limit_guesses.take(), |text| {
            let limits = self::limits(text)?;
            GuessRules::new(limits)
                .ok_or_else(|| "must allow at most 1000 within at most a day, and must not be none".into())
        })
    }
}

/// US dollars a day, in micro-dollars; `None` for no budget.
pub(super) fn budget_u(text: &str) -> Checked<Option<u64>> {
    if text == "none" {
        return Ok(None);
    }
    let dollars = text.parse().ok().filter(|dollars: &f64| (0.0..=1e9).contains(dollars));
    dollars.map(|dollars| Some((dollars * 1e6) as u64)).ok_or_else(|| "must be US dollars, such as 50, or none".into())
}

pub(super) fn limits(text: &str) -> Checked<Limits> {
    text.parse().map_err(|wrong: crate::guard::limit::InvalidLimits| wrong.to_string())
}

/// A rate of requests to Plivo.
pub(super) fn rate(text: &str) -> Checked<Rate> {
    text.parse().map_err(|wrong: InvalidRate| wrong.to_string())
}

fn widened(prefix: &Limits) -> Limits {
    let widened = |limit: &Limit| Limit {
        max: limit.max.saturating_mul(UNVERIFIED_FACTORS.0),
        window: (limit.window * UNVERIFIED_FACTORS.1).min(crate::guard::limit::WINDOW_MAX),
    };
    Limits(prefix.0.iter().take(1).map(widened).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn limits_are_as_documented_and_a_hundred_times_wider_in_a_demo() {
        let guard = Config::serve(set(&[])).unwrap().guard;
        let shown = |pair: &LimitPair| format!("{} {}", pair.any, pair.call);
        assert_eq!(shown(&guard.number), "5/10m,20/1d 3/10m,6/1d");
        assert_eq!(shown(&guard.prefix), "20/10m 5/10m");
        assert_eq!((shown(&guard.ip), shown(&guard.app)), ("20/10m 4/10m".into(), "150/1m 30/1m".into()));
        assert_eq!((shown(&guard.country), shown(&guard.total)), ("600/1m 120/1m".into(), "3000/1m 600/1m".into()));
        assert_eq!((guard.unverified.to_string(), guard.budget_u), ("40/1h".into(), Some(50_000_000)));
        assert!(!guard.is_monitor);
        let own = Config::serve(set(&[("LIMIT_IP", "10/1m"), ("LIMIT_TOTAL_CALL", "none"), ("DAILY_BUDGET", "0.5")]))
            .unwrap()
            .guard;
        assert_eq!((shown(&own.ip), shown(&own.total)), ("10/1m 2/1m".into(), "3000/1m none".into()));
        assert_eq!(own.budget_u, Some(500_000));
        let demo = Config::demo([("LIMIT_NUMBER".to_owned(), "5/10m".to_owned())]).unwrap().guard;
        assert_eq!(
            (shown(&demo.number), shown(&demo.prefix)),
            ("5/10m 300/10m,600/1d".into(), "2000/10m 500/10m".into())
        );
        let real = [("PLIVO_API_URL".to_owned(), "https://api.plivo.com".to_owned())];
        assert_eq!(shown(&Config::demo(real).unwrap().guard.prefix), "20/10m 5/10m", "where texts cost money");
    }

    fn set(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==";
        let required = [
            ("PLIVO_AUTH_ID", "MAXXXXXXXXXXXXXXXXXX"),
            ("PLIVO_AUTH_TOKEN", "token"),
            ("PLIVO_NUMBER", "+14155550100"),
            ("PUBLIC_URL", "https://otp.example.com"),
            ("API_KEYS", "shop:01234567890123456789"),
            ("SECRET_KEY", key),
        ];
        required.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}
