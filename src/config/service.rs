//! [`Config`]: the settings of `serve` and `demo`, each with the reason for its default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{SecretSlice, SecretString};

use super::apps::AppConfig;
use super::check;
use super::faults::{ConfigErrors, Faults};
use super::read::RawSettings;
use super::types::{ApiKey, BlockedNumbers, Countries, LogFormat, TestNumbers};
use crate::escalation::Policy;
use crate::guard::{Guard, GuessRules, Limits, QuietHours};
use crate::phone::PhoneNumber;
use crate::plivo::language::Languages;
use crate::plivo::{Proxy, Rate, Senders};
use crate::store::redis::CaCertificates;
use crate::verification::CostOverrides;
use crate::webhook::WebhookSecret;

/// The settings of `serve` and `demo`.
///
/// In a list that supports rotation the first entry is used, and all entries are accepted.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PLIVO_AUTH_ID`. Required: the user name at Plivo, and part of every path.
    pub plivo_auth_id: String,
    /// `PLIVO_AUTH_TOKEN`. Required, never empty: the first authenticates requests, all verify signatures.
    pub plivo_auth_tokens: Vec<SecretString>,
    /// `PLIVO_MAIN_AUTH_TOKEN`. None by default: a main account signs the `Ma-` headers with its own token.
    pub plivo_main_auth_tokens: Vec<SecretString>,
    /// `PLIVO_NUMBER`. Required: the source of texts and calls.
    pub plivo_number: PhoneNumber,
    /// `PHLO_ID`. None by default: the Message and Call APIs are then used directly.
    pub phlo_id: Option<String>,
    /// `PLIVO_API_URL`, without a trailing slash. Plivo's by default; another one for simulators.
    pub plivo_api_url: String,
    /// `PLIVO_PHLO_URL`, likewise: the PHLO runner is another host at Plivo.
    pub plivo_phlo_url: String,
    /// `PLIVO_TIMEOUT`. 12 s: a run executes its first node before it answers, which may take 10 s.
    pub plivo_timeout: Duration,
    /// `PLIVO_WAIT`. 5 s: about as long as a user watches a spinner.
    pub plivo_wait: Duration,
    /// `PLIVO_RATE`. 300 in 5 s: what Plivo allows an account (plivo.com/docs/voice/concepts/account-limits).
    pub plivo_rate: Rate,
    /// Whether a demo has to run a local Plivo, because neither origin is set.
    pub plivo_embedded: bool,
    /// `PLIVO_PROXY`. None by default, whatever the environment says: codes and credentials pass through a proxy.
    pub plivo_proxy: Proxy,
    /// `PUBLIC_URL` as written, without a trailing slash: Plivo signs exactly this text.
    pub public_url: String,
    /// `CALLBACK_SECRET`. None by default: refs alone then authenticate unsigned callbacks.
    pub callback_secrets: Vec<SecretString>,
    /// `API_KEYS`. Required, never empty. A demo also has the app `demo`, last.
    pub api_keys: Vec<ApiKey>,
    /// `SECRET_KEY`, decoded. Required, at least 32 bytes: without it open verifications are unreadable.
    pub secret_key: SecretSlice<u8>,
    /// `SECRET_KEY_PREVIOUS`, decoded. None by default.
    pub secret_key_previous: Option<SecretSlice<u8>>,
    /// `REDIS_URL`. `redis://127.0.0.1:6379` by default. Secret, because it may contain a password.
    pub redis_url: SecretString,
    /// `REDIS_CA_FILE`, read. None by default: the public authorities and those of the system are trusted.
    pub redis_ca: Option<CaCertificates>,
    /// `REDIS_POOL_SIZE`. 16: each connection is used for well under a millisecond at a time.
    pub redis_pool_size: usize,
    /// `BIND`. `127.0.0.1:8080`: exposing the service to a network is the operator's decision.
    pub bind: SocketAddr,
    /// `TRUSTED_PROXIES`. None by default: any client can send `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpNet>,
    /// `CONNECTIONS_PER_PEER`. 1024: a quarter of all, and more than a client behind a shared address needs.
    pub connections_per_peer: usize,
    /// `DRAIN_SECONDS`. 5 s: two periods of a usual readiness probe.
    pub drain: Duration,
    /// `CODE_LENGTH`. 6 (6 to 9): the minimum of NIST SP 800-63B.
    pub code_length: u8,
    /// `CODE_TTL`. 300 s (at most 600, the same standard's limit).
    pub code_ttl: Duration,
    /// `MAX_CHECKS`. 5 (at most 10): five guesses at a million codes.
    pub max_checks: u32,
    /// `MAX_ATTEMPTS`. 5 (at most 20): a text, a call, its repetition and two that the user requests.
    pub max_attempts: u32,
    /// `RESEND_COOLDOWN`. 30 s: most texts that arrive at all have arrived by then.
    pub resend_cooldown: Duration,
    /// `RETENTION`. A day.
    pub retention: Duration,
    /// `ESCALATION`. `adaptive`: by the record of the number's route, and at once when the text is reported lost.
    pub escalation: Policy,
    /// `COST_CALL`, `COST_WAIT`, `COST_LOST`, `COST_NUISANCE`. By default the preset of the policy, and Plivo's price of
    /// a call.
    pub cost_overrides: CostOverrides,
    /// `COUNTRIES`. The source number's country: most fraud targets other countries.
    pub countries: Countries,
    /// `COUNTRIES_CALL`. As `COUNTRIES`; may be narrower, because calls cost more.
    pub countries_call: Countries,
    /// `BLOCKED_RANGES`. The ranges whose owners earn from traffic, and those without users.
    pub blocked: BlockedNumbers,
    /// `GUARD`, `LIMIT_…`, `DAILY_BUDGET`. Wide enough for a shop, too narrow for profitable fraud.
    pub guard: Guard,
    /// `APP_<NAME>_…`, by app. Nothing by default.
    pub apps: BTreeMap<String, AppConfig>,
    /// `LIMIT_GUESSES`. NIST SP 800-63B's hundred a day, and a fifth of that per hour.
    pub limit_guesses: GuessRules,
    /// `LIMIT_IDEMPOTENCY`. As many a day as `LIMIT_APP` allows attempts, and some more.
    pub limit_idempotency: Limits,
    /// `QUIET_HOURS`. None by default: a user who signs in at night needs the code at night.
    pub quiet_hours: Option<QuietHours>,
    /// `BRAND`. None by default: texts then contain no name.
    pub brand: Option<String>,
    /// `TEMPLATES`. None by default: 55 languages are built in.
    pub languages: Languages,
    /// `SENDERS`. None by default: `PLIVO_NUMBER` sends everything.
    pub senders: Senders,
    /// `DLT_ENTITY_ID`. None by default; India's carriers drop texts without it.
    pub dlt_entity_id: Option<String>,
    /// `DLT_TEMPLATE_ID`. None by default, as above.
    pub dlt_template_id: Option<String>,
    /// `VOICE_CONFIRM`. Off: machine detection protects codes from most mailboxes, a key press from all.
    pub voice_confirm: bool,
    /// `TEST_NUMBERS`. None by default.
    pub test_numbers: TestNumbers,
    /// `WEBHOOK_URL`. None by default: back ends can also ask for the state.
    pub webhook_url: Option<String>,
    /// `WEBHOOK_SECRETS`. Required once a URL is set: an unsigned message proves nothing.
    pub webhook_secrets: Vec<WebhookSecret>,
    /// `WEBHOOK_ALLOW_PRIVATE`. Off: a URL must not reach what only this machine can reach.
    pub webhook_allow_private: bool,
    /// `LEGACY_ROUTES`. Off: these routes need no key, and their URLs contain numbers and codes.
    pub legacy_routes: bool,
    /// `LOG_FORMAT`. `None`: pretty on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
    pub(super) warnings: Vec<String>,
}

impl Config {
    /// Reads the settings of `serve`.
    ///
    /// # Errors
    /// All faults, not only the first.
    pub fn serve(env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let mut raw = RawSettings::read(env, &mut faults);
        let unread = std::mem::take(&mut raw.unread);
        let config = Self::assemble(raw, &mut faults);
        let mut config = faults.unless_any(config)?;
        config.warnings.extend(config.risks());
        config.warnings.extend(config.brand_warning());
        config.warnings.extend(unread);
        Ok(config)
    }

    /// Reads the settings of `demo`. It requires none: a local Plivo, the embedded store and the app `demo`.
    ///
    /// An auth id and token that are set become the local Plivo's. Only `PLIVO_API_URL` and `PLIVO_PHLO_URL` select another
    /// Plivo. On another machine its texts may cost money, so the app's secret is then random and `COUNTRIES` is not `*`.
    ///
    /// # Errors
    /// All faults in the settings that are set.
    pub fn demo(env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let mut raw = RawSettings::read(env, &mut faults);
        let unread = std::mem::take(&mut raw.unread);
        let embedded = raw.plivo_api_url.is_none() && raw.plivo_phlo_url.is_none();
        raw.fill_in_for_demo();
        let config = Self::assemble(raw, &mut faults);
        let mut config = faults.unless_any(config)?;
        config.plivo_embedded = embedded;
        config.warnings.extend(config.brand_warning().into_iter().chain(unread));
        Ok(config)
    }

    /// Warnings for the operator about settings that are allowed but risky or unknown.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// Whether both of Plivo's origins are on this machine, so that no message is really sent.
    pub fn plivo_is_local(&self) -> bool {
        check::is_loopback(&self.plivo_api_url) && check::is_loopback(&self.plivo_phlo_url)
    }
}
