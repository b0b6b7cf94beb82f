//! Wiring: from settings to a running service, and its graceful stop.
//!
//! Every task of a service is started here and awaited here, so that none ends unnoticed.

mod parts;
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
use backon::{ExponentialBuilder, Retryable};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::parts::Wired;
pub use self::secrets::Secrets;
use crate::config::{Config, Countries};
use crate::engine::{Clock, Engine, timers};
use crate::http::{self, Connections, Shared};
use crate::learner;
use crate::phone;
use crate::sandbox::Sandbox;
use crate::store::Store;

/// How long requests in flight may take after a stop has begun, and then effects. Together they fit in the ten seconds
/// that an orchestrator gives.
const REQUESTS_END: Duration = Duration::from_secs(5);
const EFFECTS_END: Duration = Duration::from_secs(3);
/// How long effects may take to record that they were cut off.
const CLOSING_END: Duration = Duration::from_secs(1);

/// What differs between the service, the demo and a test.
#[derive(Default)]
pub struct Options {
    /// Replaces the store that `REDIS_URL` names.
    pub store: Option<Arc<dyn Store>>,
    /// Replaces the store's clock.
    pub clock: Option<Clock>,
    /// The demo's local Plivo, whose handsets are served beside the page.
    pub sandbox: Option<Sandbox>,
}

/// A running service.
pub struct Application {
    /// Applies events; for tests.
    pub engine: Engine,
    /// The state of the HTTP handlers; for tests.
    pub shared: Data<Shared>,
    /// Effects and other detached tasks; for tests.
    pub tasks: TaskTracker,
    closing: CancellationToken,
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    timers: JoinHandle<()>,
    learner: JoinHandle<()>,
    stop: CancellationToken,
    sandbox: Option<Sandbox>,
}

impl Application {
    /// Starts to serve on `listener`, inside the current runtime.
    ///
    /// The store may be unreachable: `/readyz` answers 503 until it answers.
    ///
    /// # Errors
    /// When a setting is wrong in a way that only its user can find, or the listener cannot be used.
    pub fn start(config: &Config, listener: TcpListener, options: Options) -> anyhow::Result<Self> {
        // With `*` only the source number's plan is loaded now: all of them take seconds.
        let listed = match &config.countries {
            Countries::Only(listed) => Some(listed),
            Countries::All => None,
        };
        phone::warm_up(listed.into_iter().flatten().chain([config.plivo_number.country()]));
        let address = listener.local_addr()?;
        let Wired { shared, tasks, closing } = Wired::new(config, options.store, options.clock)?;
        let shared = Data::new(shared);
        let (data, sandbox) = (shared.clone(), options.sandbox.clone());
        let with_legacy = config.legacy_routes;
        let app = move || {
            let (data, sandbox) = (data.clone(), sandbox.clone());
            // Called on each thread that serves requests.
            data.store.serve_this_thread();
            App::new().app_data(data).wrap(from_fn(http::observe)).configure(move |app| {
                if let Some(sandbox) = &sandbox {
                    app.configure(sandbox.configure_control());
                }
                http::routes(app, sandbox.is_some(), with_legacy);
            })
        };
        let workers = std::thread::available_parallelism().map_or(2, NonZero::get);
        let trusted = config.trusted_proxies.clone();
        let connections = Arc::new(Connections::new(workers, config.connections_per_peer, trusted));
        let places = connections.places_per_worker();
        let watched = Arc::clone(&connections);
        let server = HttpServer::new(app)
            .workers(workers)
            .max_connections(places)
            .on_connect(move |io, data| watched.watch(io, data))
            .client_request_timeout(http::HEAD_MAX)
            .keep_alive(http::KEEP_ALIVE)
            .shutdown_timeout(REQUESTS_END.as_secs())
            .disable_signals()
            .listen(listener)?
            .run();
        let stop = CancellationToken::new();
        let timers = tokio::spawn(timers::run(shared.engine.clone(), stop.clone()));
        let learner = tokio::spawn(learner::run(Arc::clone(&shared.learner), stop.clone()));
        tokio::spawn(warn_about_store(Arc::clone(&shared.store)));
        let stopping = stop.clone();
        tokio::spawn(async move { stopping.run_until_cancelled(connections.close_idle()).await });
        let handle = server.handle();
        let serving = tokio::spawn(server);
        info!(event = "started", %address, version = env!("CARGO_PKG_VERSION"));
        Ok(Self {
            engine: shared.engine.clone(),
            shared,
            tasks,
            closing,
            address,
            server: handle,
            serving,
            timers,
            learner,
            stop,
            sandbox: options.sandbox,
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets the secrets be replaced while the service runs. `config` is what it was started with.
    pub fn secrets(&self, config: Config) -> Secrets {
        Secrets::in_force(config, self.shared.clone())
    }

    /// Serves until `stopped`, then lets requests and effects end. Timers stay in the store for other replicas.
    ///
    /// # Errors
    /// When a task of the service ends by itself.
    pub async fn run_until(mut self, stopped: impl Future<Output = ()>) -> anyhow::Result<()> {
        tokio::select! {
            ended = &mut self.serving => {
                ended.context("the HTTP server panicked")?.context("the HTTP server failed")?;
                anyhow::bail!("the HTTP server ended by itself");
            }
            ended = &mut self.timers => {
                ended.context("the timers panicked")?;
                anyhow::bail!("the timers ended by themselves");
            }
            ended = &mut self.learner => {
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
        self.tasks.close();
        if tokio::time::timeout(EFFECTS_END, self.tasks.wait()).await.is_err() {
            warn!("requests to Plivo are still in flight; they count as unanswered");
            self.closing.cancel();
            if tokio::time::timeout(CLOSING_END, self.tasks.wait()).await.is_err() {
                warn!("not every outcome could be recorded; what is owed stays in the store");
            }
        }
        self.timers.abort();
        // It flushes what it has learned, within a second.
        let _ = self.learner.await;
        info!(event = "stopped");
        Ok(())
    }
}

/// Waits until the store answers, then logs what is wrong with its configuration.
async fn warn_about_store(store: Arc<dyn Store>) {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .without_max_times();
    let unanswered = |_: &_, _| warn!("the store does not answer; waiting for it");
    let _ = (|| store.ping()).retry(pauses).notify(unanswered).await;
    for warning in store.warnings().await {
        warn!(event = "store_setting", "{warning}");
    }
}
