//! Every setting: read once (envy), checked once, secrets hidden in `Debug`.
//!
//! The environment is passed in, after whoever calls has loaded a `.env` file and left out what is not
//! UTF-8 (`std::env::vars` panics on it), so nothing here depends on the process it runs in; only files
//! named by `<NAME>_FILE` are opened. A check collects every fault before it gives up: one line each, with
//! the variable, what is wrong and an example, and never a value, since the wrong value of one variable
//! is often the secret of another.
//!
//! [`Config::demo`] fills in what a demo needs and then goes through the same checks as [`Config::serve`].

mod check;
mod demo;
mod export;
mod limits;
mod raw;
mod risks;
mod sending;
mod types;
mod variables;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{SecretSlice, SecretString};
use strum::VariantNames;

pub use check::{ConfigErrors, Fault, is_loopback};
pub use demo::local_url;
pub use export::ExportConfig;
pub use types::{ApiKey, Blocked, Countries, LogFormat, Network, TestNumbers};
pub use variables::VARIABLES;

use crate::escalation::Policy;
use crate::guard::{Guard, GuessRules, QuietHours};
use crate::phone::{PhoneNumber, SpecialRange};
use crate::plivo::Senders;
use crate::plivo::language::Languages;
use crate::store::redis::CaCertificates;
use crate::verification::rules::Worth;
use check::Faults;
use raw::Raw;

/// What `serve` and `demo` run with.
///
/// A list that may be rotated has the one to use first; all of them are accepted.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PLIVO_AUTH_ID`. Required: the user name towards Plivo, and part of every path.
    pub plivo_auth_id: String,
    /// `PLIVO_AUTH_TOKEN`. Required, never empty: the first authenticates us, all verify signatures.
    pub plivo_auth_tokens: Vec<SecretString>,
    /// `PLIVO_MAIN_AUTH_TOKEN`. None by default: a main account signs `Ma-` with its own token.
    pub plivo_main_auth_tokens: Vec<SecretString>,
    /// `PLIVO_NUMBER`. Required: where texts and calls come from.
    pub plivo_number: PhoneNumber,
    /// `PHLO_ID`. None by default: the Message and Call APIs are then used directly.
    pub phlo_id: Option<String>,
    /// `PLIVO_API_URL`, without a trailing slash. Plivo's own by default; another one for simulators.
    pub plivo_api_url: String,
    /// `PLIVO_PHLO_URL`, the same for the PHLO runner, which is another host at Plivo.
    pub plivo_phlo_url: String,
    /// `PLIVO_TIMEOUT`. 12 s: a run executes its first node before it answers, which may take 10.
    pub plivo_timeout: Duration,
    /// `PLIVO_WAIT`. 5 s: about as long as a person looks at a spinner.
    pub plivo_wait: Duration,
    /// Neither origin was set in a demo: the caller runs a local Plivo and points both at it.
    pub plivo_embedded: bool,
    /// `PUBLIC_URL` as it was written, without a trailing slash: Plivo signs exactly this text.
    pub public_url: String,
    /// `CALLBACK_SECRET`. None by default: refs alone then authenticate what Plivo does not sign.
    pub callback_secrets: Vec<SecretString>,
    /// `API_KEYS`. Required, never empty. A demo also has the app `demo`, last.
    pub api_keys: Vec<ApiKey>,
    /// `SECRET_KEY`, decoded. Required, at least 32 bytes: lost, it takes the open verifications along.
    pub secret_key: SecretSlice<u8>,
    /// `SECRET_KEY_PREVIOUS`, decoded. None by default.
    pub secret_key_previous: Option<SecretSlice<u8>>,
    /// `REDIS_URL`. A secret, as it may hold a password. `redis://127.0.0.1:6379` by default.
    pub redis_url: SecretString,
    /// `REDIS_CA_FILE`, read. None by default: the public authorities and those of the system are trusted.
    pub redis_ca: Option<CaCertificates>,
    /// `REDIS_POOL_SIZE`. 16: each is in use for well under a millisecond at a time.
    pub redis_pool_size: usize,
    /// `BIND`. `127.0.0.1:8080`: to be seen by others is a decision, not a default.
    pub bind: SocketAddr,
    /// `TRUSTED_PROXIES`. None by default: anybody can write `X-Forwarded-For`.
    pub trusted_proxies: Vec<Network>,
    /// `CODE_LENGTH`. 6 (6 to 9): what NIST SP 800-63B takes as the least.
    pub code_length: u8,
    /// `CODE_TTL`. 300 s (at most 600, the same standard's limit).
    pub code_ttl: Duration,
    /// `MAX_CHECKS`. 5 (at most 10): five guesses at a million codes.
    pub max_checks: u32,
    /// `MAX_ATTEMPTS`. 5 (at most 20): a text, a call, its repetition and two more that were asked for.
    pub max_attempts: u32,
    /// `RESEND_COOLDOWN`. 30 s: most texts that arrive at all have arrived by then.
    pub resend_cooldown: Duration,
    /// `RETENTION`. A day.
    pub retention: Duration,
    /// `ESCALATION`. `adaptive`: as the number's route has been doing, and at once when the text is known to be lost.
    pub escalation: Policy,
    /// `COST_CALL`, `COST_WAIT`, `COST_LOST`, `COST_NUISANCE`. As the policy's mood has it, and a call as Plivo bills
    /// it, where they are not set.
    pub worth: Worth,
    /// `COUNTRIES`. The source number's country: fraud is mostly somewhere else.
    pub countries: Countries,
    /// `COUNTRIES_CALL`. As `COUNTRIES`; calls cost more, so it can be made narrower.
    pub countries_call: Countries,
    /// `BLOCKED_RANGES`. Those that somebody else earns with.
    pub blocked: Blocked,
    /// `GUARD`, `LIMIT_…`, `DAILY_BUDGET`. Wide enough for a shop, too narrow to earn money with.
    pub guard: Guard,
    /// `LIMIT_GUESSES`. NIST SP 800-63B's hundred a day, and a fifth of it in an hour.
    pub limit_guesses: GuessRules,
    /// `QUIET_HOURS`. None by default: who signs in at night wants the code at night.
    pub quiet_hours: Option<QuietHours>,
    /// `BRAND`. None by default: the text then names nobody.
    pub brand: Option<String>,
    /// `TEMPLATES`. None by default: 55 languages are built in.
    pub languages: Languages,
    /// `SENDERS`. None by default: everything comes from `PLIVO_NUMBER`.
    pub senders: Senders,
    /// `DLT_ENTITY_ID`. None by default; India's carriers drop what comes without.
    pub dlt_entity_id: Option<String>,
    /// `DLT_TEMPLATE_ID`. None by default, as above.
    pub dlt_template_id: Option<String>,
    /// `VOICE_CONFIRM`. Off: machine detection keeps codes from most mailboxes, a key press from all of them.
    pub voice_confirm: bool,
    /// `TEST_NUMBERS`. None by default.
    pub test_numbers: TestNumbers,
    /// `LEGACY_ROUTES`. Off: they are open to whoever reaches the port, and hold numbers and codes in URLs.
    pub legacy_routes: bool,
    /// `LOG_FORMAT`. `None`: pretty on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
    warnings: Vec<String>,
}

/// What `simulate-plivo` runs with. `PUBLIC_URL` and `CALLBACK_SECRET` are what one would type on the
/// canvas: where the flow reports to.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// `BIND`. `127.0.0.1:8081`: beside the service.
    pub bind: SocketAddr,
    /// `PLIVO_AUTH_ID`. `MADEMO00000000000000`; no other is let in.
    pub auth_id: String,
    /// `PLIVO_AUTH_TOKEN`. `demo`; the first signs.
    pub auth_tokens: Vec<SecretString>,
    /// `PUBLIC_URL`. `http://127.0.0.1:8080`.
    pub public_url: String,
    /// `CALLBACK_SECRET`. None by default; the first is sent.
    pub callback_secrets: Vec<SecretString>,
    /// `LOG_FORMAT`, as in [`Config`].
    pub log_format: Option<LogFormat>,
}

impl Config {
    /// The settings of the real service.
    ///
    /// # Errors
    /// Every fault there is, not only the first.
    pub fn serve(env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let raw = Raw::read(env, &mut faults);
        let unread = raw.unread_warnings();
        let config = Self::check(raw, &mut faults);
        let mut config = faults.unless_any(config)?;
        config.warnings = config.risks();
        config.warnings.extend(unread);
        Ok(config)
    }

    /// The settings of `demo`, which needs none: a local Plivo, the embedded store, the app `demo`.
    ///
    /// An account id and token that are set are those the local Plivo takes: only `PLIVO_API_URL` and
    /// `PLIVO_PHLO_URL` lead elsewhere. If they lead to another machine, texts may cost money: the secret
    /// of the app is then random instead of `demo`, and the countries are not `*`.
    ///
    /// # Errors
    /// Every fault of what was set.
    pub fn demo(env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut faults = Faults::default();
        let mut raw = Raw::read(env, &mut faults);
        let unread = raw.unread_warnings();
        let embedded = raw.plivo_api_url.is_none() && raw.plivo_phlo_url.is_none();
        raw.fill_in_for_demo();
        let config = Self::check(raw, &mut faults);
        let mut config = faults.unless_any(config)?;
        config.plivo_embedded = embedded;
        config.warnings = unread;
        Ok(config)
    }

    /// The settings of `simulate-plivo`, which needs none either.
    ///
    /// # Errors
    /// Every fault of what was set.
    pub fn simulate(env: impl IntoIterator<Item = (String, String)>) -> Result<SimulatorConfig, ConfigErrors> {
        let mut faults = Faults::default();
        let mut raw = Raw::read(env, &mut faults);
        raw.fill_in_demo_account();
        raw.bind.get_or_insert_with(|| "127.0.0.1:8081".into());
        raw.public_url.get_or_insert_with(|| "http://127.0.0.1:8080".into());
        let config = SimulatorConfig::check(raw, &mut faults);
        faults.unless_any(config)
    }

    /// What an operator should hear at start although it stops nothing.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// Whether both origins of Plivo are this machine, so that nothing is really sent.
    pub fn plivo_is_local(&self) -> bool {
        check::is_loopback(&self.plivo_api_url) && check::is_loopback(&self.plivo_phlo_url)
    }

    /// Takes every field before any `?`, so that all faults are found.
    fn check(mut raw: Raw, faults: &mut Faults) -> Option<Self> {
        let (guard, limit_guesses) = (raw.guard(faults), raw.guesses(faults));
        let plivo_auth_id = faults.required("PLIVO_AUTH_ID", raw.plivo_auth_id, check::word, "MAXXXXXXXXXXXXXXXXXX");
        let plivo_auth_tokens = faults.required("PLIVO_AUTH_TOKEN", raw.plivo_auth_token, check::secrets, "<token>");
        let plivo_main_auth_tokens =
            faults.optional("PLIVO_MAIN_AUTH_TOKEN", raw.plivo_main_auth_token, check::secrets, "<token>");
        let plivo_number = faults.required("PLIVO_NUMBER", raw.plivo_number, check::number, "+14155550100");
        let phlo_id = faults.optional("PHLO_ID", raw.phlo_id, check::word, check::PHLO_ID_EXAMPLE);
        let plivo_api_url = faults.defaulted("PLIVO_API_URL", raw.plivo_api_url, check::origin);
        let plivo_phlo_url = faults.defaulted("PLIVO_PHLO_URL", raw.plivo_phlo_url, check::origin);
        let plivo_timeout = faults.seconds("PLIVO_TIMEOUT", raw.plivo_timeout, 1..=40);
        let plivo_wait = faults.seconds("PLIVO_WAIT", raw.plivo_wait, 0..=60);
        let public_url = faults.required("PUBLIC_URL", raw.public_url, check::public_url, "https://otp.example.com");
        let callback_secrets =
            faults.optional("CALLBACK_SECRET", raw.callback_secret, check::path_secrets, "$(openssl rand -hex 24)");
        let local = [&plivo_api_url, &plivo_phlo_url].iter().all(|url| url.as_deref().is_some_and(check::is_loopback));
        let api_keys = faults.required(
            "API_KEYS",
            raw.api_keys,
            |text| check::api_keys(text, local),
            "shop:$(openssl rand -hex 24)",
        );
        let key_example = "$(openssl rand -base64 32)";
        let secret_key = faults.required("SECRET_KEY", raw.secret_key, check::key, key_example);
        let secret_key_previous =
            faults.optional("SECRET_KEY_PREVIOUS", raw.secret_key_previous, check::key, key_example);
        let redis_url = faults.defaulted("REDIS_URL", raw.redis_url, check::redis_url);
        let redis_ca = faults.optional("REDIS_CA_FILE", raw.redis_ca_file, check::ca_file, "/etc/ssl/redis-ca.pem");
        let redis_pool_size = faults.count("REDIS_POOL_SIZE", raw.redis_pool_size, 1..=1024);
        let bind = faults.defaulted("BIND", raw.bind, check::bind);
        let trusted_proxies =
            faults.optional("TRUSTED_PROXIES", raw.trusted_proxies, check::networks, "10.0.0.0/8,192.0.2.7");
        let code_length = faults.count("CODE_LENGTH", raw.code_length, 6..=9);
        let code_ttl = faults.seconds("CODE_TTL", raw.code_ttl, 1..=600);
        let max_checks = faults.count("MAX_CHECKS", raw.max_checks, 1..=10);
        let max_attempts = faults.count("MAX_ATTEMPTS", raw.max_attempts, 1..=20);
        let resend_cooldown = faults.seconds("RESEND_COOLDOWN", raw.resend_cooldown, 0..=600);
        let retention = faults.seconds("RETENTION", raw.retention, 1..=2_592_000);
        let escalation = faults.defaulted("ESCALATION", raw.escalation, check::escalation);
        let dollars = |faults: &mut Faults, name: &str, given, example| {
            faults.optional(name, given, sending::dollars, example).map(|dollars: f64| dollars * 1e6)
        };
        let worth = Worth {
            call: dollars(faults, "COST_CALL", raw.cost_call, "0.025"),
            wait: dollars(faults, "COST_WAIT", raw.cost_wait, "0.001").map(|a_second| a_second / 1e3),
            lost: dollars(faults, "COST_LOST", raw.cost_lost, "0.50"),
            nuisance: dollars(faults, "COST_NUISANCE", raw.cost_nuisance, "0.02"),
        };
        let own = || plivo_number.as_ref().map(|number| Countries::Only([number.country().clone()].into()));
        let countries = faults.optional("COUNTRIES", raw.countries, check::countries, "US,CA").or_else(own);
        let countries_call = faults.optional("COUNTRIES_CALL", raw.countries_call, check::countries, "US,CA");
        let blocked = faults.defaulted("BLOCKED_RANGES", raw.blocked_ranges, |text| {
            let ranges = SpecialRange::VARIANTS.join(", ");
            text.parse()
                .map_err(|()| format!("must hold {ranges}, or prefixes such as +1900, separated by commas; or be none"))
        });
        let quiet_hours = faults.optional("QUIET_HOURS", raw.quiet_hours, QuietHours::parse, "22:00-07:00");
        let brand = faults.optional("BRAND", raw.brand, check::brand, "Example Shop");
        let languages = match &raw.templates {
            None => Some(Languages::built_in()),
            Some(json) => Languages::with_overrides(json)
                .map_err(|wrong| {
                    wrong
                        .iter()
                        .for_each(|why| faults.add("TEMPLATES", &format!("is wrong: {why}"), sending::TEMPLATES));
                })
                .ok(),
        };
        let senders = faults.optional("SENDERS", raw.senders, sending::senders, "IN=PLIVOX,GB=+447400123456");
        let dlt_entity_id = faults.optional("DLT_ENTITY_ID", raw.dlt_entity_id, check::word, "1234567890123456789");
        let dlt_template_id =
            faults.optional("DLT_TEMPLATE_ID", raw.dlt_template_id, check::word, "1234567890123456789");
        let voice_confirm = faults.defaulted("VOICE_CONFIRM", raw.voice_confirm, sending::flag);
        let test_numbers =
            faults.optional("TEST_NUMBERS", raw.test_numbers, sending::test_numbers, "+15555550100:000000");
        let legacy_routes = faults.defaulted("LEGACY_ROUTES", raw.legacy_routes, sending::flag);
        let log_format = faults.optional("LOG_FORMAT", raw.log_format, check::log_format, "json");
        Some(Self {
            plivo_auth_id: plivo_auth_id?,
            plivo_auth_tokens: plivo_auth_tokens?,
            plivo_main_auth_tokens: plivo_main_auth_tokens.unwrap_or_default(),
            plivo_number: plivo_number?,
            phlo_id,
            plivo_api_url: plivo_api_url?,
            plivo_phlo_url: plivo_phlo_url?,
            plivo_timeout: plivo_timeout?,
            plivo_wait: plivo_wait?,
            plivo_embedded: false,
            public_url: public_url?,
            callback_secrets: callback_secrets.unwrap_or_default(),
            api_keys: api_keys?,
            secret_key: secret_key?,
            secret_key_previous,
            redis_url: redis_url?,
            redis_ca,
            redis_pool_size: redis_pool_size?,
            bind: bind?,
            trusted_proxies: trusted_proxies.unwrap_or_default(),
            code_length: code_length?,
            code_ttl: code_ttl?,
            max_checks: max_checks?,
            max_attempts: max_attempts?,
            resend_cooldown: resend_cooldown?,
            retention: retention?,
            escalation: escalation?,
            worth,
            countries_call: countries_call.or_else(|| countries.clone())?,
            countries: countries?,
            blocked: blocked?,
            guard: guard?,
            limit_guesses: limit_guesses?,
            quiet_hours,
            brand,
            languages: languages?,
            senders: senders.unwrap_or_default(),
            dlt_entity_id,
            dlt_template_id,
            voice_confirm: voice_confirm?,
            test_numbers: test_numbers.unwrap_or_default(),
            legacy_routes: legacy_routes?,
            log_format,
            warnings: Vec::new(),
        })
    }
}

impl SimulatorConfig {
    fn check(raw: Raw, faults: &mut Faults) -> Option<Self> {
        let bind = faults.required("BIND", raw.bind, check::bind, "127.0.0.1:8081");
        let auth_id = faults.required("PLIVO_AUTH_ID", raw.plivo_auth_id, check::word, demo::AUTH_ID);
        let auth_tokens = faults.required("PLIVO_AUTH_TOKEN", raw.plivo_auth_token, check::secrets, "demo");
        let public_url = faults.required("PUBLIC_URL", raw.public_url, check::public_url, "http://127.0.0.1:8080");
        let callback_secrets =
            faults.optional("CALLBACK_SECRET", raw.callback_secret, check::path_secrets, "$(openssl rand -hex 24)");
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
