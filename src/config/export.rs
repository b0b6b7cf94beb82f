//! The settings of `export`: the Redis that holds the records, the keys that open them, and the apps that own them.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::faults::{Checked, ConfigErrors, Faults};
use super::read::RawSettings;
use super::{check, fresh};
use crate::store::redis::CaCertificates;

/// `export` reads these alone: any other setting may be missing or wrong.
const NEEDED: &[&str] = &["REDIS_URL", "REDIS_CA_FILE", "SECRET_KEY", "SECRET_KEY_PREVIOUS", "API_KEYS"];

/// The app of verifications that were created through the legacy routes.
const LEGACY_APP: &str = "legacy";

/// The settings of `export`.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// `REDIS_URL`, but never `memory://`.
    pub redis_url: SecretString,
    /// `REDIS_CA_FILE`, read.
    pub redis_ca: Option<CaCertificates>,
    /// `SECRET_KEY`, decoded.
    pub secret_key: SecretSlice<u8>,
    /// `SECRET_KEY_PREVIOUS`, decoded.
    pub secret_key_previous: Option<SecretSlice<u8>>,
    /// The apps in `API_KEYS` and that of the legacy routes, or the one that the caller names.
    pub apps: Vec<String>,
}

impl ExportConfig {
    /// Reads the settings. With an `app`, `API_KEYS` is not needed.
    ///
    /// # Errors
    /// Every fault in the settings that are needed.
    pub fn read(env: impl IntoIterator<Item = (String, String)>, app: Option<&str>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let is_needed =
            |name: &str| NEEDED.contains(&name) || NEEDED.contains(&name.strip_suffix("_FILE").unwrap_or(name));
        let raw = RawSettings::read(env.into_iter().filter(|(name, _)| is_needed(name)), &mut faults);
        let redis_url = faults.defaulted("REDIS_URL", raw.redis_url, reachable_url);
        let redis_ca = faults.optional("REDIS_CA_FILE", raw.redis_ca_file, check::ca_file, "");
        let secret_key = faults.required("SECRET_KEY", raw.secret_key, check::key, &fresh::key());
        let secret_key_previous = faults.optional("SECRET_KEY_PREVIOUS", raw.secret_key_previous, check::key, "");
        let apps = match app {
            Some(app) => Some(vec![app.to_owned()]),
            None => faults.required("API_KEYS", raw.api_keys, apps, &format!("shop:{}", fresh::token())),
        };
        let config = redis_url.zip(secret_key).zip(apps);
        let config = config.map(|((redis_url, secret_key), apps)| Self {
            redis_url,
            redis_ca,
            secret_key,
            secret_key_previous,
            apps,
        });
        faults.unless_any(config)
    }
}

fn reachable_url(text: &str) -> Checked<SecretString> {
    let url = check::redis_url(text)?;
    if url.expose_secret().starts_with("memory:") {
        return Err(
            "is memory://: that store lives in the serving process, and no other process can read it".to_owned()
        );
    }
    Ok(url)
}

/// The apps in `API_KEYS` and the legacy app. Secrets are not used, so a demo's short ones will do.
fn apps(text: &str) -> Checked<Vec<String>> {
    let names: BTreeSet<String> = check::api_keys(text, true)?.into_iter().map(|key| key.app).collect();
    Ok(names.into_iter().filter(|name| name != LEGACY_APP).chain([LEGACY_APP.to_owned()]).collect())
}
