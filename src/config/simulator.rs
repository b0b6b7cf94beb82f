//! [`SimulatorConfig`]: the settings of `simulate-plivo`.

use std::net::SocketAddr;

use secrecy::SecretString;

use super::faults::{ConfigErrors, Faults};
use super::read::RawSettings;
use super::types::LogFormat;
use super::{check, demo, fresh};

/// The settings of `simulate-plivo`.
///
/// `PUBLIC_URL` and `CALLBACK_SECRET` stand for the values on the canvas: the flow reports to them.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// `BIND`. `127.0.0.1:8081`: next to the service's port.
    pub bind: SocketAddr,
    /// `PLIVO_AUTH_ID`. `MADEMO00000000000000`; requests with another are refused.
    pub auth_id: String,
    /// `PLIVO_AUTH_TOKEN`. `demo`; the first signs.
    pub auth_tokens: Vec<SecretString>,
    /// `PUBLIC_URL`. `http://127.0.0.1:8080`.
    pub public_url: String,
    /// `CALLBACK_SECRET`. None by default; the first is sent.
    pub callback_secrets: Vec<SecretString>,
    /// `LOG_FORMAT`, as in [`Config`](super::Config).
    pub log_format: Option<LogFormat>,
}

impl SimulatorConfig {
    /// Reads the settings. None is required.
    ///
    /// # Errors
    /// All faults in the settings that are set.
    pub fn read(env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let mut raw = RawSettings::read(env, &mut faults);
        raw.fill_in_demo_account();
        raw.bind.get_or_insert_with(|| "127.0.0.1:8081".into());
        raw.public_url.get_or_insert_with(|| "http://127.0.0.1:8080".into());
        let config = Self::check(raw, &mut faults);
        faults.unless_any(config)
    }

    fn check(raw: RawSettings, faults: &mut Faults) -> Option<Self> {
        let bind = faults.required("BIND", raw.bind, check::bind, "127.0.0.1:8081");
        let auth_id = faults.required("PLIVO_AUTH_ID", raw.plivo_auth_id, check::word, demo::AUTH_ID);
        let auth_tokens = faults.required("PLIVO_AUTH_TOKEN", raw.plivo_auth_token, check::secrets, "demo");
        let public_url = faults.required("PUBLIC_URL", raw.public_url, check::public_url, "http://127.0.0.1:8080");
        let callback_secrets =
            faults.optional("CALLBACK_SECRET", raw.callback_secret, check::path_secrets, &fresh::token());
        let log_format = faults.optional("LOG_FORMAT", raw.log_format, check::log_format, "json");
        Some(Self {
            bind: bind?,
            auth_id: auth_id?,
            auth_tokens: auth_tokens?,
            public_url: public_url?,
            callback_secrets: callback_secrets.unwrap_or_default(),
            log_format,
        })
    }
}
