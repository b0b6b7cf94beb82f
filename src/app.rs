//! Wiring: from settings to a running service, and its graceful stop.
//!
//! Every task of a service is started here and awaited here, so that none ends unnoticed.

mod parts;
mod secrets;

use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::pin::pin;
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
use crate::config::{Config, Countries, Summary};
use crate::engine::{Clock, Engine, room, timers};
use crate::http::{self, Connections, Shared};
use crate::learner;
use crate::phone;
use crate::sandbox::Sandbox;
use crate::store::Store;

/// How long requests in flight may take once the socket is closed, and then effects. With the usual `DRAIN_SECONDS` they fit
/// in the time that `docker-compose.yml` gives.
const REQUESTS_END: Duration = Duration::from_secs(5);
const EFFECTS_END: Duration = Duration::from_secs(3);
/// How long requests to Plivo may take meanwhile. Shorter, so that their outcomes are recorded before the requests end.
const PLIVO_END: Duration = Duration::from_secs(3);
/// How long each may take: effects to record that they were cut off, the timers to finish what they have claimed, and
/// parked requests to be handed back.
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
    rests: TaskTracker,
    closing: CancellationToken,
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    timers: JoinHandle<()>,
    room: JoinHandle<()>,
    learner: JoinHandle<()>,
    stop: CancellationToken,
    drain: Duration,
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
        let Wired { shared, tasks, rests, closing } = Wired::new(config, options.store, options.clock)?;
        let shared = Data::new(shared);
        let (data, sandbox) = (shared.clone(), options.sandbox.clone());
        let with_legacy = config.legacy_routes;
        let app = move || {
            let (data, sandbox) = (data.clone(), sandbox.clone());
            // Called on each thread that serves requests.
            data.store.serve_this_thread();
            data.plivo.serve_this_thread();
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
        let room = tokio::spawn(room::run(shared.engine.clone(), stop.clone()));
        let learner = tokio::spawn(learner::run(Arc::clone(&shared.learner), stop.clone()));
        tokio::spawn(warn_about_store(Arc::clone(&shared.store)));
        let stopping = stop.clone();
        tokio::spawn(async move { stopping.run_until_cancelled(connections.close_idle()).await });
        let handle = server.handle();
        let serving = tokio::spawn(server);
        let Summary { store, policy, countries, countries_call, plivo, off } = config.summary();
        info!(event = "started", %address, version = env!("CARGO_PKG_VERSION"), store, policy, countries, countries_call,
            plivo, off);
        Ok(Self {
            engine: shared.engine.clone(),
            shared,
            tasks,
            rests,
            closing,
            address,
            server: handle,
            serving,
            timers,
            room,
            learner,
            stop,
            drain: config.drain,
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

    /// Serves until `stopped`, then for `DRAIN_SECONDS` or until `hurried`, then lets requests and effects end.
    ///
    /// Meanwhile a load balancer notices that this replica is not ready. Timers stay in the store for other replicas.
    ///
    /// # Errors
    /// When a task of the service ends by itself.
    pub async fn run_until(
        mut self,
        stopped: impl Future<Output = ()>,
        hurried: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        tokio::select! {
            ended = &mut self.serving => {
                ended.context("the HTTP server panicked")?.context("the HTTP server failed")?;
                anyhow::bail!("the HTTP server ended by itself");
            }
            ended = &mut self.timers => {
                ended.context("the timers panicked")?;
                anyhow::bail!("the timers ended by themselves");
            }
            ended = &mut self.room => {
                ended.context("the sharing of the rate panicked")?;
                anyhow::bail!("the sharing of the rate ended by itself");
            }
            ended = &mut self.learner => {
                ended.context("the learner panicked")?;
                anyhow::bail!("the learner ended by itself");
            }
            () = stopped => {}
        }
        info!(event = "draining", seconds = self.drain.as_secs());
        self.shared.readiness.withdraw();
        let _ = tokio::time::timeout(self.drain, hurried).await;
        info!(event = "stopping");
        self.shared.readiness.stop();
        if let Some(sandbox) = &self.sandbox {
            sandbox.close_streams();
        }
        self.stop.cancel();
        // The runtimes of requests end with the server, and what still runs in them would be cut off without an outcome.
        self.rests.close();
        let rests = tokio::time::timeout(PLIVO_END + CLOSING_END, self.rests.wait());
        let mut served = pin!(async {
            // What is not recorded by then stays owed.
            let _ = rests.await;
            self.server.stop(true).await;
        });
        if tokio::time::timeout(PLIVO_END, &mut served).await.is_err() {
            warn!("requests are still in flight; those to Plivo count as unanswered");
            self.closing.cancel();
            served.await;
        }
        self.tasks.close();
        if tokio::time::timeout(EFFECTS_END, self.tasks.wait()).await.is_err() {
            warn!("requests to Plivo are still in flight; they count as unanswered");
            self.closing.cancel();
            if tokio::time::timeout(CLOSING_END, self.tasks.wait()).await.is_err() {
                warn!("not every outcome could be recorded; what is owed stays in the store");
            }
        }
        // What they have claimed would have to wait for the end of its lease.
        if tokio::time::timeout(CLOSING_END, &mut self.timers).await.is_err() {
            self.timers.abort();
        }
        if tokio::time::timeout(CLOSING_END, self.engine.hand_back()).await.is_err() {
            warn!("not every parked request was handed back; other replicas make them when their leases end");
        }
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
    let unanswered = |_: &_, _| warn!(event = "store_unavailable", "the store does not answer; waiting for it");
    let _ = (|| store.ping()).retry(pauses).notify(unanswered).await;
    for warning in store.warnings().await {
        warn!(event = "store_setting", "{warning}");
    }
}
