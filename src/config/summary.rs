//! [`Summary`]: what the first log line says of the settings. It has no secret and no number.

use secrecy::ExposeSecret;

use super::{Config, Countries};

/// The settings that decide what a service does, in a word each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The scheme of the store's URL, such as `redis+cluster`; `memory` is lost on restart.
    pub store: String,
    /// When calls are made, as `replay` names it.
    pub policy: String,
    /// The countries that may be texted; `*` for all.
    pub countries: String,
    /// The countries that may be called.
    pub countries_call: String,
    /// `phlo`, `api` or, if nothing is really sent, either with `(local Plivo)`.
    pub plivo: String,
    /// Optional parts that are off, with commas; empty if none is.
    pub off: String,
}

impl Config {
    /// What the settings amount to.
    pub fn summary(&self) -> Summary {
        let way = if self.phlo_id.is_some() { "phlo" } else { "api" };
        let parts = [
            ("limits", self.guard.is_monitor),
            ("brand", self.brand.is_none()),
            ("callback secret", self.callback_secrets.is_empty()),
            ("quiet hours", self.quiet_hours.is_none()),
            ("test numbers", self.test_numbers.0.is_empty()),
            ("voice confirmation", !self.voice_confirm),
            ("legacy routes", !self.legacy_routes),
        ];
        let off: Vec<&str> = parts.iter().filter(|(_, is_off)| *is_off).map(|(name, _)| *name).collect();
        Summary {
            store: self.redis_url.expose_secret().split(':').next().unwrap_or_default().to_owned(),
            policy: self.escalation.to_string(),
            countries: listed(&self.countries),
            countries_call: listed(&self.countries_call),
            plivo: if self.plivo_is_local() { format!("{way} (local Plivo)") } else { way.to_owned() },
            off: off.join(", "),
        }
    }
}

fn listed(countries: &Countries) -> String {
    match countries {
        Countries::All => "*".to_owned(),
        Countries::Only(listed) => listed.iter().map(|country| country.as_str()).collect::<Vec<_>>().join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_the_demo_says_that_nothing_is_sent_or_kept() {
        let summary = Config::demo([("QUIET_HOURS".to_owned(), "22:00-07:00".to_owned())]).unwrap().summary();
        assert_eq!((summary.store.as_str(), summary.countries.as_str()), ("memory", "*"));
        assert_eq!(summary.policy, "adaptive");
        assert!(!summary.off.contains("quiet hours") && summary.off.contains("legacy routes"), "{summary:?}");
    }

    #[test]
    fn a_password_of_the_store_is_not_in_the_summary() {
        let env = [("REDIS_URL".to_owned(), "redis+cluster://user:hunter2secret@h1,h2".to_owned())];
        let summary = Config::demo(env).unwrap().summary();
        assert_eq!(summary.store, "redis+cluster");
        assert!(!format!("{summary:?}").contains("hunter2secret"));
    }
}
