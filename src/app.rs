//! Wiring: settings in, a running service out; and the way it stops.

mod secrets;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context;
use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::Config;
use crate::engine::timers::{self, Alarm};
use crate::engine::{Clock, Engine, Parts, Turns};
use crate::http::{self, ApiKeys, CallbackSecrets, Connections, Followers, Readiness, Shared};
use crate::keyring::Keyring;
use crate::learner::{self, Learner};
use crate::metrics::Metrics;
use crate::phone;
use crate::plivo::{self, Plivo};
use crate::sandbox::Sandbox;
use crate::store::redis::Redis;
use crate::store::{Memory, Store};
use crate::verification::Rules;

pub use secrets::Secrets;

/// How long requests under way may take once a stop has begun, and then effects. Both fit in the ten seconds
/// that an orchestrator gives.
const REQUESTS_END: Duration = Duration::from_secs(5);
const EFFECTS_END: Duration = Duration::from_secs(3);
/// How long it may take to write down what was cut off then.
const CLOSING_END: Duration = Duration::from_secs(1);

/// What differs between the service, the demo and a test.
#[derive(Default)]
pub struct Options {
    /// A store other than the one `REDIS_URL` names.
    pub store: Option<Arc<dyn Store>>,
    /// A clock other than the store's.
    pub clock: Option<Clock>,
    /// The demo's local Plivo: its handsets are served beside the page.
    pub sandbox: Option<Sandbox>,
}

/// A service that runs.
pub struct Application {
    /// Applies events; for tests.
    pub engine: Engine,
    address: SocketAddr,
    shared: Data<Shared>,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    escalating: JoinHandle<()>,
    learning: JoinHandle<()>,
    stop: CancellationToken,
    sandbox: Option<Sandbox>,
}

impl Application {
    /// Starts serving on `listener`, inside the current runtime. The store may be away: it is waited for, and
    /// `/readyz` says so.
    ///
    /// # Errors
    /// When a setting that only shows itself here is wrong, or the listener cannot be used.
    pub fn start(config: &Config, listener: TcpListener, options: Options) -> anyhow::Result<Self> {
        // The number plans take a while to load: before the first caller, not during.
        phone::warm_up();
        let address = listener.local_addr()?;
        let engine = engine(config, options.store, options.clock)?;
        let shared = Data::new(shared(config, engine.clone()));
        let (data, sandbox) = (shared.clone(), options.sandbox.clone());
        let with_legacy = config.legacy_routes;
        let app = move || {
            let (data, sandbox) = (data.clone(), sandbox.clone());
            App::new().app_data(data).wrap(from_fn(http::observe)).configure(move |app| {
                if let Some(sandbox) = &sandbox {
                    app.configure(sandbox.configure_control());
                }
                http::routes(app, sandbox.is_some(), with_legacy);
            })
        };
        let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
        let connections = Arc::new(Connections::default());
        let watched = Arc::clone(&connections);
        let server = HttpServer::new(app)
            .workers(workers)
            .max_connections(Connections::for_each_of(workers))
            .on_connect(move |io, data| watched.watch(io, data))
            .client_request_timeout(http::HEAD_MAX)
            .keep_alive(http::KEEP_ALIVE)
            .shutdown_timeout(REQUESTS_END.as_secs())
            .disable_signals()
            .listen(listener)?
            .run();
        let stop = CancellationToken::new();
        let escalating = tokio::spawn(timers::run(engine.clone(), stop.clone()));
        let learning = tokio::spawn(learner::run(Arc::clone(&engine.learner), stop.clone()));
        tokio::spawn(warn_of_the_store(engine.clone()));
        let looking = stop.clone();
        tokio::spawn(async move { looking.run_until_cancelled(connections.look_after()).await });
        let handle = server.handle();
        let serving = tokio::spawn(server);
        info!(event = "started", %address, version = env!("CARGO_PKG_VERSION"));
        Ok(Self {
            engine,
            address,
            shared,
            server: handle,
            serving,
            escalating,
            learning,
            stop,
            sandbox: options.sandbox,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to replace the secrets it goes by while it runs. `config` is what it was started with.
    pub fn secrets(&self, config: Config) -> Secrets {
        Secrets::in_force(config, self.shared.clone())
    }

    /// Serves until `stopped`, then lets what is under way end. Timers stay in the store for others.
    ///
    /// # Errors
    /// When the server ends by itself.
    pub async fn run_until(mut self, stopped: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            ended = &mut self.serving => {
                ended.context("the HTTP server panicked")?.context("the HTTP server failed")?;
                anyhow::bail!("the HTTP server ended by itself");
            }
            ended = &mut self.escalating => {
                ended.context("the escalator panicked")?;
                anyhow::bail!("the escalator ended by itself");
            }
            ended = &mut self.learning => {
                ended.context("the learner panicked")?;
                anyhow::bail!("the learner ended by itself");
            }
            () = stopped => {}
        }
        info!(event = "stopping");
        self.shared.readiness.withdraw();
        if let Some(sandbox) = &self.sandbox {
            sandbox.close_streams();
        }
        self.stop.cancel();
        self.server.stop(true).await;
        let tasks = &self.engine.tasks;
        tasks.close();
        if tokio::time::timeout(EFFECTS_END, tasks.wait()).await.is_err() {
            warn!("requests to Plivo are still under way; they count as unanswered");
            self.engine.closing.cancel();
            if tokio::time::timeout(CLOSING_END, tasks.wait()).await.is_err() {
                warn!("not everything could be written down; what is owed stays in the store");
            }
        }
        self.escalating.abort();
        // It writes what it has, within a second.
        let _ = self.learning.await;
        info!(event = "stopped");
        Ok(())
    }
}

fn engine(config: &Config, store: Option<Arc<dyn Store>>, clock: Option<Clock>) -> anyhow::Result<Engine> {
    let store = match store {
        Some(store) => store,
        None if config.redis_url.expose_secret().starts_with("memory:") => Arc::new(Memory::default()),
        None => Arc::new(Redis::connect(&config.redis_url, config.redis_pool_size).context("REDIS_URL")?),
    };
    let settings = plivo::Settings {
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
        brand: config.brand.clone(),
        voice_confirm: config.voice_confirm,
        languages: config.languages.clone(),
    };
    let keys = Arc::new(Keyring::new(&config.secret_key, config.secret_key_previous.as_slice()));
    let plivo = Plivo::new(settings, Arc::clone(&keys)).context("the HTTP client")?;
    let rules = Rules {
        code_length: config.code_length,
        ttl: config.code_ttl,
        checks_max: u8::try_from(config.max_checks)?,
        attempts_max: u8::try_from(config.max_attempts)?,
        resend_cooldown: config.resend_cooldown,
        policy: config.escalation,
        worth: config.worth,
        insight: Default::default(),
        voice_confirm: config.voice_confirm,
        guesses: config.limit_guesses.clone(),
        quiet_hours: config.quiet_hours,
        barred: Vec::new(),
        effect_lease: config.plivo_timeout + Duration::from_secs(3),
    };
    Ok(Engine::new(Parts {
        clock: clock.unwrap_or_else(|| Clock::of(Arc::clone(&store))),
        learner: Arc::new(Learner::new(Arc::clone(&store), Arc::clone(&keys))),
        store,
        plivo,
        keys,
        rules,
        guard: config.guard.clone(),
        retention: config.retention,
        metrics: Arc::new(Metrics::default()),
        runtime: Handle::current(),
        tasks: TaskTracker::new(),
        closing: CancellationToken::new(),
        alarm: Alarm::default(),
        turns: Turns::default(),
    }))
}

fn shared(config: &Config, engine: Engine) -> Shared {
    Shared {
        engine,
        keys: ApiKeys::new(&config.api_keys),
        blocked: config.blocked.clone(),
        countries: config.countries.clone(),
        countries_call: config.countries_call.clone(),
        test_numbers: config.test_numbers.clone(),
        plivo_wait: config.plivo_wait,
        tokens: ArcSwap::from_pointee(secrets::tokens(config)),
        public_url: config.public_url.clone(),
        callback_secrets: CallbackSecrets::new(config.callback_secrets.clone()),
        trusted_proxies: config.trusted_proxies.clone(),
        readiness: Readiness::default(),
        followers: Followers::default(),
    }
}

/// Once the store answers, says what is wrong with how it is set up.
async fn warn_of_the_store(engine: Engine) {
    let mut pause = Duration::from_millis(500);
    while engine.store.ping().await.is_err() {
        warn!("the store does not answer; waiting for it");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
    for warning in engine.store.warnings().await {
        warn!(event = "store_setting", "{warning}");
    }
}
