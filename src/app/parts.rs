//! From settings to the parts of a service. Nothing runs yet, and nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{AppConfig, Config};
use crate::engine::{Clock, Engine, Parts};
use crate::http::{self, AnswerQuota, ApiKeys, CallbackSecrets, Places, Readiness, Shared, StreamPlaces, WriteCheck};
use crate::keyring::Keyring;
use crate::learner::Learner;
use crate::metrics::Metrics;
use crate::pacing::Pacer;
use crate::plivo::signature::Tokens;
use crate::plivo::{self, Plivo};
use crate::store::redis::Redis;
use crate::store::{Memory, Store};
use crate::verification::Rules;
use crate::webhook::{WebhookSettings, Webhooks};

/// How long the lease of an effect outlasts the timeout of its request to Plivo.
const LEASE_MARGIN: Duration = Duration::from_secs(3);

/// What the wiring runs and stops: the state of the handlers, and the engine's detached tasks.
pub(super) struct Wired {
    pub(super) shared: Shared,
    pub(super) tasks: TaskTracker,
    pub(super) rests: TaskTracker,
    pub(super) closing: CancellationToken,
}

impl Wired {
    /// Builds the engine, and hands its parts to the HTTP handlers as well.
    ///
    /// # Errors
    /// When a setting is wrong in a way that only its user can find.
    pub(super) fn new(config: &Config, store: Option<Arc<dyn Store>>, clock: Option<Clock>) -> anyhow::Result<Self> {
        let store = match store {
            Some(store) => store,
            None => configured_store(config)?,
        };
        let clock = clock.unwrap_or_else(|| Clock::of(Arc::clone(&store)));
        let keyring = Arc::new(Keyring::new(&config.secret_key, config.secret_key_previous.as_slice()));
        let plivo = Arc::new(Plivo::new(plivo_settings(config)?, Arc::clone(&keyring)).context("the HTTP client")?);
        let webhooks = Arc::new(Webhooks::new(webhook_settings(config)).context("the HTTP client of webhooks")?);
        let pacer = Arc::new(Pacer::new(store.clone(), &config.plivo_auth_id, config.plivo_rate));
        let learner = Arc::new(Learner::new(store.clone(), Arc::clone(&keyring)));
        let (metrics, rules) = (Arc::new(Metrics::default()), Arc::new(rules(config)?));
        let (tasks, rests, closing) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            plivo: Arc::clone(&plivo),
            webhooks: Arc::clone(&webhooks),
            render: http::renderer(Arc::clone(&rules)),
            pacer,
            clock: clock.clone(),
            keys: Arc::clone(&keyring),
            rules: Arc::clone(&rules),
            guard: config.guard.clone(),
            retention: config.retention,
            metrics: Arc::clone(&metrics),
            runtime: Handle::current(),
            tasks: tasks.clone(),
            rests: rests.clone(),
            closing: closing.clone(),
            learner: Arc::clone(&learner),
        });
        let shared = Shared {
            engine,
            store,
            keyring,
            clock,
            metrics,
            rules,
            learner,
            plivo,
            webhooks,
            api_keys: ApiKeys::new(&config.api_keys),
            apps: config.apps.clone(),
            countries: config.countries.clone(),
            countries_call: config.countries_call.clone(),
            blocked: config.blocked.clone(),
            test_numbers: config.test_numbers.clone(),
            plivo_wait: config.plivo_wait,
            signing_tokens: ArcSwap::from_pointee(signing_tokens(config)),
            public_url: config.public_url.clone(),
            callback_secrets: CallbackSecrets::new(config.callback_secrets.clone()),
            trusted_proxies: config.trusted_proxies.clone(),
            answer_quota: AnswerQuota::new(config.limit_idempotency.clone()),
            writes: WriteCheck::default(),
            readiness: Readiness::default(),
            streams: StreamPlaces::default(),
            lists: Places::for_lists(),
        };
        Ok(Self { shared, tasks, rests, closing })
    }
}

/// The tokens that callbacks may be signed with.
pub(super) fn signing_tokens(config: &Config) -> Tokens {
    Tokens::new(config.plivo_auth_tokens.clone(), config.plivo_main_auth_tokens.clone())
}

fn configured_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if config.redis_url.expose_secret().starts_with("memory:") {
        return Ok(Arc::new(Memory::default()));
    }
    Ok(Arc::new(
        Redis::connect(&config.redis_url, config.redis_ca.as_ref(), config.redis_pool_size).context("REDIS_URL")?,
    ))
}

fn plivo_settings(config: &Config) -> anyhow::Result<plivo::Settings> {
    Ok(plivo::Settings {
        auth_id: config.plivo_auth_id.clone(),
        auth_token: config.plivo_auth_tokens.first().cloned().context("PLIVO_AUTH_TOKEN is empty")?,
        from: config.plivo_number.clone(),
        senders: config.senders.clone(),
        dlt: plivo::Dlt { entity_id: config.dlt_entity_id.clone(), template_id: config.dlt_template_id.clone() },
        phlo_id: config.phlo_id.clone(),
        phlo_url: config.plivo_phlo_url.clone(),
        api_url: config.plivo_api_url.clone(),
        public_url: config.public_url.clone(),
        timeout: config.plivo_timeout,
        proxy: config.plivo_proxy.clone(),
        brand: config.brand.clone(),
        apps: config.apps.iter().map(|(app, own)| (app.clone(), of_app(own))).collect(),
        voice_confirm: config.voice_confirm,
        languages: config.languages.clone(),
    })
}

fn of_app(own: &AppConfig) -> plivo::AppSettings {
    plivo::AppSettings { brand: own.brand.clone(), phlo_id: own.phlo_id.clone() }
}

fn webhook_settings(config: &Config) -> WebhookSettings {
    let url = |own: &AppConfig| own.webhook_url.clone().or_else(|| config.webhook_url.clone());
    WebhookSettings {
        urls: config.apps.iter().filter_map(|(app, own)| Some((app.clone(), url(own)?))).collect(),
        secrets: config.webhook_secrets.clone(),
        allow_private: config.webhook_allow_private,
    }
}

fn rules(config: &Config) -> anyhow::Result<Rules> {
    Ok(Rules {
        code_length: config.code_length,
        ttl: config.code_ttl,
        checks_max: u8::try_from(config.max_checks)?,
        attempts_max: u8::try_from(config.max_attempts)?,
        resend_cooldown: config.resend_cooldown,
        policy: config.escalation,
        cost_overrides: config.cost_overrides,
        voice_confirm: config.voice_confirm,
        guesses: config.limit_guesses.clone(),
        quiet_hours: config.quiet_hours,
        effect_lease: config.plivo_timeout + LEASE_MARGIN,
    })
}
