//! Settings that `serve` accepts and warns about at start.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Config, check};
use crate::plivo::units::septets;

impl Config {
    fn has_phlo(&self) -> bool {
        self.phlo_id.is_some() || self.apps.values().any(|app| app.phlo_id.is_some())
    }

    fn webhook_urls(&self) -> impl Iterator<Item = &String> {
        self.webhook_url.iter().chain(self.apps.values().filter_map(|app| app.webhook_url.as_ref()))
    }

    /// A warning about a brand that cannot be folded to GSM-7, with the characters.
    pub(super) fn brand_warning(&self) -> Option<String> {
        let brand = self.brand.as_deref().filter(|brand| septets(brand).is_none())?;
        let outside = brand.chars().filter(|c| septets(c.encode_utf8(&mut [0; 4])).is_none());
        let named: BTreeSet<String> = outside.map(|c| format!("{c} (U+{:04X})", u32::from(c))).collect();
        let named = named.into_iter().collect::<Vec<_>>().join(", ");
        Some(format!(
            "BRAND has characters outside GSM-7, which shorten an SMS from 160 to 70 characters: {named}. It is left out of \
             longer texts"
        ))
    }

    /// One warning for each risky setting.
    pub(super) fn risks(&self) -> Vec<String> {
        let real = !self.plivo_is_local();
        let main_or_sub = self.plivo_auth_id.starts_with("MA") || self.plivo_auth_id.starts_with("SA");
        let short = self.callback_secrets.iter().any(|secret| secret.expose_secret().len() < 20);
        let clear = [&self.plivo_api_url, &self.plivo_phlo_url]
            .iter()
            .any(|url| url.starts_with("http:") && !check::is_loopback(url));
        let reachable = !check::is_loopback(&self.public_url);
        [
            (
                self.has_phlo() && self.callback_secrets.is_empty(),
                "CALLBACK_SECRET is not set: Plivo does not sign a PHLO's reports, so refs alone prove their origin",
            ),
            (short, "CALLBACK_SECRET is shorter than 20 characters, so it can be guessed"),
            (
                self.redis_url.expose_secret().starts_with("memory:"),
                "REDIS_URL is memory: every verification is lost on restart, and only one process can run",
            ),
            (
                self.redis_ca.is_some() && !self.redis_url.expose_secret().starts_with("rediss"),
                "REDIS_CA_FILE has no effect: REDIS_URL does not begin with rediss",
            ),
            // Auth ids are 20 characters, MA… or SA…; the SDKs refuse others. Source: plivo-python.
            (
                self.plivo_auth_id.len() != 20 || !main_or_sub,
                "PLIVO_AUTH_ID does not look like an auth id: those have 20 characters and begin with MA or SA",
            ),
            (clear, "PLIVO_API_URL or PLIVO_PHLO_URL is http: codes and the auth token are sent unencrypted"),
            (real && !reachable, "PUBLIC_URL is this machine: Plivo cannot reach it, so no report will arrive"),
            (
                real && reachable && self.public_url.starts_with("http:"),
                "PUBLIC_URL is http: refs and the callback secret are sent unencrypted",
            ),
            (
                self.webhook_urls().any(|url| url.starts_with("http:") && !check::is_loopback(url)),
                "WEBHOOK_URL is http: events are sent unencrypted",
            ),
            (
                self.legacy_routes,
                "LEGACY_ROUTES is true: any client that reaches this port can request texts and calls to COUNTRIES without a \
                 key, and URLs contain numbers and codes, which proxies log",
            ),
            (self.code_ttl < Duration::from_secs(30), "CODE_TTL is under 30 s: most users need longer to receive and type a code"),
        ]
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, text)| text.to_owned())
        .collect()
    }
}
