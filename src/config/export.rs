//! What `export` needs of the settings: where records lie, what opens them, and whose they are.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::check::{self, ConfigErrors, Faults, Ruled};
use super::raw::Raw;
use crate::store::redis::CaCertificates;

/// Everything else is none of its business, and may be missing or wrong.
const NEEDED: &[&str] = &["REDIS_URL", "REDIS_CA_FILE", "SECRET_KEY", "SECRET_KEY_PREVIOUS", "API_KEYS"];

/// The app that owns what came in by the legacy routes.
const LEGACY_APP: &str = "legacy";

/// What `export` runs with.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// `REDIS_URL`, which is not `memory://`: what another process holds cannot be read.
    pub redis_url: SecretString,
    /// `REDIS_CA_FILE`, read.
    pub redis_ca: Option<CaCertificates>,
    /// `SECRET_KEY`, decoded.
    pub secret_key: SecretSlice<u8>,
    /// `SECRET_KEY_PREVIOUS`, decoded.
    pub secret_key_previous: Option<SecretSlice<u8>>,
    /// The names in `API_KEYS`, and the legacy routes' own; or the one that was asked for.
    pub apps: Vec<String>,
}

impl ExportConfig {
    /// The settings of `export`. With an `app` named, `API_KEYS` is not needed.
    ///
    /// # Errors
    /// Every fault of what is needed.
    pub fn read(env: impl IntoIterator<Item = (String, String)>, app: Option<&str>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let is_needed =
            |name: &str| NEEDED.contains(&name) || NEEDED.contains(&name.strip_suffix("_FILE").unwrap_or(name));
        let raw = Raw::read(env.into_iter().filter(|(name, _)| is_needed(name)), &mut faults);
        let key_example = "$(openssl rand -base64 32)";
        let redis_url = faults.defaulted("REDIS_URL", raw.redis_url, reachable);
        let redis_ca = faults.optional("REDIS_CA_FILE", raw.redis_ca_file, check::ca_file, "/etc/ssl/redis-ca.pem");
        let secret_key = faults.required("SECRET_KEY", raw.secret_key, check::key, key_example);
        let secret_key_previous =
            faults.optional("SECRET_KEY_PREVIOUS", raw.secret_key_previous, check::key, key_example);
        let apps = match app {
            Some(app) => Some(vec![app.to_owned()]),
            None => faults.required("API_KEYS", raw.api_keys, apps, "shop:$(openssl rand -hex 24)"),
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

fn reachable(text: &str) -> Ruled<SecretString> {
    let url = check::redis_url(text)?;
    if url.expose_secret().starts_with("memory:") {
        return Err("is memory://: what that holds is inside the process that serves, and ends with it".to_owned());
    }
    Ok(url)
}

/// Names alone count here, so a secret may be as short as one of a demo.
fn apps(text: &str) -> Ruled<Vec<String>> {
    let names: BTreeSet<String> = check::api_keys(text, true)?.into_iter().map(|key| key.app).collect();
    Ok(names.into_iter().filter(|name| name != LEGACY_APP).chain([LEGACY_APP.to_owned()]).collect())
}
