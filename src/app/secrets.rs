//! Secrets are replaced without a restart: each `<NAME>_FILE` is read again, all settings are checked as at the
//! start, and only then do the new ones count. A file that is wrong leaves everything as it was, and so does a
//! `SECRET_KEY` beside which the one in force is not kept: two files are not written in one moment.
//!
//! What stands in the environment itself cannot change while a process lives. `REDIS_URL` counts at the next start:
//! connections that are open would go on under the old one.

use std::sync::Arc;

use actix_web::web::Data;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tracing::{error, info, warn};

use crate::config::{ApiKey, Config, ConfigErrors};
use crate::http::Shared;
use crate::plivo::signature::Tokens;

/// The secrets a service goes by.
pub struct Secrets {
    in_force: Config,
    shared: Data<Shared>,
}

/// What callbacks may be signed with.
pub(super) fn tokens(config: &Config) -> Tokens {
    Tokens::new(config.plivo_auth_tokens.clone(), config.plivo_main_auth_tokens.clone())
}

impl Secrets {
    pub(super) fn in_force(config: Config, shared: Data<Shared>) -> Self {
        Self { in_force: config, shared }
    }

    /// Reads them again. Logs which have changed, or what is wrong and that nothing has; never a value.
    pub fn reload(&mut self, env: impl IntoIterator<Item = (String, String)>) {
        let new = match Config::serve(env) {
            Ok(new) => new,
            Err(ConfigErrors(faults)) => {
                for fault in faults {
                    let (variable, problem) = (fault.variable, fault.problem);
                    error!(event = "secrets_refused", variable, problem, "all secrets stay as they were");
                }
                return;
            }
        };
        let old = &self.in_force;
        if !still_reads(&new, &old.secret_key) {
            let variable = "SECRET_KEY_PREVIOUS";
            let problem = "must be the SECRET_KEY in force when that is replaced, or open verifications cannot be read";
            error!(event = "secrets_refused", variable, problem, "all secrets stay as they were");
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
            self.shared.keys.replace(&new.api_keys);
        }
        if note("CALLBACK_SECRET", same(&old.callback_secrets, &new.callback_secrets)) {
            self.shared.callback_secrets.replace(new.callback_secrets.clone());
        }
        let is_current = old.secret_key.expose_secret() == new.secret_key.expose_secret();
        let (before, after) = (old.secret_key_previous.as_ref(), new.secret_key_previous.as_ref());
        let is_previous = before.map(ExposeSecret::expose_secret) == after.map(ExposeSecret::expose_secret);
        if note("SECRET_KEY", is_current) | note("SECRET_KEY_PREVIOUS", is_previous) {
            self.shared.engine.keys.replace(&new.secret_key, new.secret_key_previous.as_slice());
        }
        let is_signed_otherwise = note("PLIVO_AUTH_TOKEN", same(&old.plivo_auth_tokens, &new.plivo_auth_tokens))
            | note("PLIVO_MAIN_AUTH_TOKEN", same(&old.plivo_main_auth_tokens, &new.plivo_main_auth_tokens));
        if is_signed_otherwise {
            self.shared.tokens.store(Arc::new(tokens(&new)));
            if let Some(token) = new.plivo_auth_tokens.first() {
                self.shared.engine.plivo.replace_token(token.clone());
            }
        }
        if old.redis_url.expose_secret() != new.redis_url.expose_secret() {
            warn!(event = "secret_waits", variable = "REDIS_URL", "it counts at the next start");
        }
        info!(event = "secrets_reloaded", changed = changed.join(","));
        self.in_force = new;
    }
}

/// Whether what a key sealed can be read under these settings.
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
