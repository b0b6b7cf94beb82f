//! Replaces secrets without a restart.
//!
//! Each `<NAME>_FILE` is read again and all settings are checked as at the start. One wrong file leaves every secret as it
//! was, and so does a new `SECRET_KEY` without the old one beside it: two files are not written at the same moment.
//!
//! Settings in the environment itself cannot change while a process lives. A new `REDIS_URL` counts after the next start:
//! open connections would continue with the old one.

use std::sync::Arc;

use actix_web::web::Data;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tracing::{error, info, warn};

use super::parts::signing_tokens;
use crate::config::{ApiKey, Config, ConfigErrors};
use crate::http::Shared;

/// The secrets of a running service.
pub struct Secrets {
    in_force: Config,
    shared: Data<Shared>,
}

impl Secrets {
    pub(super) fn in_force(config: Config, shared: Data<Shared>) -> Self {
        Self { in_force: config, shared }
    }

    /// Reads them again. Logs the names of those that have changed, or every fault; never a value.
    pub fn reload(&mut self, env: impl IntoIterator<Item = (String, String)>) {
        let new = match Config::serve(env) {
            Ok(new) => new,
            Err(ConfigErrors(faults)) => {
                for fault in faults {
                    let (variable, problem) = (fault.variable, fault.problem);
                    error!(event = "secrets_refused", variable, problem, "the secrets are unchanged");
                }
                return;
            }
        };
        let old = &self.in_force;
        if !still_reads(&new, &old.secret_key) {
            let variable = "SECRET_KEY_PREVIOUS";
            let problem = "must be the SECRET_KEY in force when that is replaced, or open verifications cannot be read";
            error!(event = "secrets_refused", variable, problem, "the secrets are unchanged");
            return;
        }
        let mut changed = Vec::new();
        let mut note = |name: &'static str, is_same: bool| {
            if !is_same {
                changed.push(name);
            }
            !is_same
        };
        if note("API_KEYS", same_keys(&old.api_keys, &new.api_keys)) {
            self.shared.api_keys.replace(&new.api_keys);
        }
        if note("CALLBACK_SECRET", same(&old.callback_secrets, &new.callback_secrets)) {
            self.shared.callback_secrets.replace(new.callback_secrets.clone());
        }
        let is_current = old.secret_key.expose_secret() == new.secret_key.expose_secret();
        let (before, after) = (old.secret_key_previous.as_ref(), new.secret_key_previous.as_ref());
        let is_previous = before.map(ExposeSecret::expose_secret) == after.map(ExposeSecret::expose_secret);
        if note("SECRET_KEY", is_current) | note("SECRET_KEY_PREVIOUS", is_previous) {
            self.shared.keyring.replace(&new.secret_key, new.secret_key_previous.as_slice());
        }
        let has_new_token = note("PLIVO_AUTH_TOKEN", same(&old.plivo_auth_tokens, &new.plivo_auth_tokens))
            | note("PLIVO_MAIN_AUTH_TOKEN", same(&old.plivo_main_auth_tokens, &new.plivo_main_auth_tokens));
        if has_new_token {
            self.shared.signing_tokens.store(Arc::new(signing_tokens(&new)));
            if let Some(token) = new.plivo_auth_tokens.first() {
                self.shared.plivo.replace_token(token.clone());
            }
        }
        let (webhook, new_webhook) = (&old.webhook_secrets, &new.webhook_secrets);
        let is_same = webhook.len() == new_webhook.len() && webhook.iter().zip(new_webhook).all(|(a, b)| a.is_same(b));
        if note("WEBHOOK_SECRETS", is_same) {
            self.shared.webhooks.replace_secrets(new.webhook_secrets.clone());
        }
        if old.redis_url.expose_secret() != new.redis_url.expose_secret() {
            warn!(event = "secret_waits", variable = "REDIS_URL", "the new value counts after the next start");
        }
        if old.redis_ca != new.redis_ca {
            warn!(event = "secret_waits", variable = "REDIS_CA_FILE", "the new value counts after the next start");
        }
        info!(event = "secrets_reloaded", changed = changed.join(","));
        self.in_force = new;
    }
}

/// Whether records that this key sealed can be read under the new settings.
fn still_reads(config: &Config, sealed_with: &SecretSlice<u8>) -> bool {
    let mut keys = std::iter::once(&config.secret_key).chain(&config.secret_key_previous);
    keys.any(|key| key.expose_secret() == sealed_with.expose_secret())
}

fn same(one: &[SecretString], other: &[SecretString]) -> bool {
    one.iter().map(ExposeSecret::expose_secret).eq(other.iter().map(ExposeSecret::expose_secret))
}

fn same_keys(one: &[ApiKey], other: &[ApiKey]) -> bool {
    fn read(key: &ApiKey) -> (&str, &str) {
        (key.app.as_str(), key.secret.expose_secret())
    }
    one.iter().map(read).eq(other.iter().map(read))
}
