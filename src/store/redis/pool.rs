//! [`Pool`]: a deadpool of connections that are shared, and recycled without a PING.
//!
//! deadpool-redis' managers PING at each check-out, and offer no other way (deadpool issue 307). That costs a round
//! trip: measured 33 µs on one server, 26 µs behind Sentinel and 81 µs in a cluster, where a GET takes 25 µs. In a
//! cluster the PING goes to every primary, so that one paused primary of three made every check-out fail after 3.5 s.
//! [`Opener`] therefore recycles without a command: a connection is judged by the errors of real requests.
//!
//! A connection is checked out only to be cloned. Requests then share its socket and its system calls, and none waits
//! for a free connection.
//!
//! A thread that serves requests has connections of its own ([`PerThread`]).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, PoolError, QueueMode, RecycleError, RecycleResult};
use deadpool_redis::redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value, from_redis_value};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::connection::Connection;
use super::error::{has_no_replicas, outage_cause};
use super::history::Server;
use super::script::{Call, is_unknown_script};
use super::sentinels;
use super::topology::Topology;
use super::url::InvalidUrl;
use crate::per_thread::PerThread;
use crate::store::error::{OutageCause, StoreError};

/// How long a request waits for a connection of the pool.
const POOL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long one request may take in all, with a retry.
///
/// An API request notices within a second that Redis is away, although it may look up a learned route first.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(850);
/// How long the replicas have to receive a commit. Shorter than redis-rs waits for an answer.
const PATIENCE: Duration = Duration::from_millis(400);
/// The same once one of them has been missed.
const PATIENCE_IF_SHORT: Duration = Duration::from_millis(50);
/// How often connections are opened anew, to ask the sentinels, while a server refuses writes.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// One request to Redis.
pub(super) enum Command<'a> {
    /// A command that goes to the node of its keys.
    Keyed(&'a Cmd),
    /// A command without keys, for any one node.
    AnyNode(&'a Cmd),
    /// A script, which is loaded where it is missing.
    Script(Call),
    /// A script that depends on the history which its server writes; `None` if the connection does not know it.
    InHistory(&'a (dyn Fn(Option<Server>) -> Call + Sync)),
    /// A script that writes `key`, and the number of replicas that have received it. Waits for `replicas` of them, or for a
    /// moment only if some are known to be missing.
    Received { key: &'a str, call: &'a Call, replicas: usize, is_short: bool },
}

impl Command<'_> {
    async fn run_on(&self, connection: &mut Connection) -> RedisResult<Value> {
        match self {
            Self::Keyed(cmd) => cmd.query_async(connection).await,
            Self::AnyNode(cmd) => connection.run_on_any_node(cmd).await,
            Self::Script(call) => call.run_on(connection).await,
            Self::InHistory(script) => {
                let server = connection.server().await?;
                script(server).run_on(connection).await
            }
            Self::Received { key, call, replicas, is_short } => {
                let patience = if *is_short { PATIENCE_IF_SHORT } else { PATIENCE };
                let mut pipeline = Pipeline::new();
                pipeline.add_command(call.command().clone());
                if *replicas > 0 {
                    pipeline.cmd("WAIT").arg(*replicas).arg(patience.as_millis() as u64);
                }
                let answer = match connection.run_together(key, &pipeline).await {
                    Err(error) if is_unknown_script(&error) => {
                        call.load_on(connection).await?;
                        connection.run_together(key, &pipeline).await?
                    }
                    answer => answer?,
                };
                Ok(answer)
            }
        }
    }
}

/// Opens connections on the runtime that created the pool.
///
/// A task of that runtime drives the connection.
struct Opener {
    topology: Arc<Topology>,
    runtime: Handle,
    epoch: Arc<AtomicU64>,
    opened: AtomicUsize,
}

impl Manager for Opener {
    type Type = Connection;
    type Error = RedisError;

    async fn create(&self) -> Result<Connection, RedisError> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let turn = self.opened.fetch_add(1, Ordering::Relaxed);
        let topology = Arc::clone(&self.topology);
        let opening = self.runtime.spawn(async move { topology.open(turn).await });
        let link = opening.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::NotConnected))??;
        let has_sentinels = self.topology.has_sentinels();
        Ok(Connection::new(link, epoch, Arc::clone(&self.epoch), has_sentinels))
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<RedisError> {
        if connection.is_usable() { Ok(()) } else { Err(RecycleError::message("the connection is lost")) }
    }
}

type Connections = deadpool::managed::Pool<Opener>;

pub(super) struct Pool {
    topology: Arc<Topology>,
    /// The connections of the runtime that created the pool, and of threads that have their own.
    connections: PerThread<Connections>,
    /// The connection on which WAIT blocks no other request.
    waiting: Connections,
    /// How many losses of connections there were. One for all threads: what breaks a connection breaks all.
    epoch: Arc<AtomicU64>,
    /// When the sentinels were last to be asked again.
    asked_at: Mutex<Option<Instant>>,
    /// The subscriptions to the sentinels.
    _subscriptions: Vec<AbortOnDropHandle<()>>,
}

/// Connections of one thread: one, and another where a request waits for it to be replaced.
const OF_THREAD: usize = 2;

const NO_RUNTIME: InvalidUrl = InvalidUrl("needs a running runtime");

impl Pool {
    pub(super) fn new(topology: Topology, size: usize) -> Result<Self, InvalidUrl> {
        let topology = Arc::new(topology);
        let epoch = Arc::default();
        let shared = connections(&topology, &epoch, size)?;
        let waiting = connections(&topology, &epoch, 1)?;
        let runtime = Handle::try_current().map_err(|_| NO_RUNTIME)?;
        let subscriptions = sentinels::subscribe(&topology, &epoch, &runtime);
        let (connections, asked_at) = (PerThread::new(shared), Mutex::default());
        Ok(Self { topology, connections, waiting, epoch, asked_at, _subscriptions: subscriptions })
    }

    /// Gives the current thread connections of its own, which the current runtime drives.
    pub(super) fn serve_this_thread(&self) {
        self.connections.serve_this_thread(|| connections(&self.topology, &self.epoch, OF_THREAD)).ok();
    }

    pub(super) fn has_sentinels(&self) -> bool {
        self.topology.has_sentinels()
    }

    /// Connections in all, and idle ones.
    pub(super) fn status(&self) -> (usize, usize) {
        let all = self.connections.iter().map(deadpool::managed::Pool::status);
        all.fold((0, 0), |(size, available), status| (size + status.size, available + status.available))
    }

    /// Opens the connections anew behind sentinels, which may name another server now. At most every [`ASK_AGAIN`].
    pub(super) fn ask_sentinels_again(&self) {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        if self.topology.has_sentinels() && asked_at.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
            *asked_at = Some(Instant::now());
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Runs one request. If the connection is lost it is retried once, so that it may run twice.
    pub(super) async fn run<T: FromRedisValue>(&self, command: Command<'_>) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.run_with_retry(&command)).await;
        let answer = answer.map_err(|_| OutageCause::Timeout)??;
        from_redis_value(answer).map_err(|_| StoreError::Unreadable("is not what this service writes"))
    }

    async fn run_with_retry(&self, command: &Command<'_>) -> Result<Value, OutageCause> {
        let mut is_retry = false;
        loop {
            let mut connection = self.connection(command).await?;
            let answers_before = connection.answers();
            match command.run_on(&mut connection).await {
                Ok(answer) => {
                    connection.count_answer();
                    return Ok(answer);
                }
                Err(error) if connection.handle_error(&error, answers_before) && !is_retry => is_retry = true,
                Err(error) => {
                    // A replica that it lacks may have been promoted.
                    if has_no_replicas(&error) {
                        self.ask_sentinels_again();
                    }
                    return Err(outage_cause(&error));
                }
            }
        }
    }

    async fn connection(&self, command: &Command<'_>) -> Result<Connection, OutageCause> {
        let is_waiting = matches!(command, Command::Received { .. });
        match if is_waiting { &self.waiting } else { self.connections.get() }.get().await {
            Ok(pooled) => Ok(Connection::clone(&pooled)),
            Err(PoolError::Backend(error)) => Err(outage_cause(&error)),
            Err(_) => Err(OutageCause::PoolExhausted),
        }
    }
}

/// A pool of connections that the current runtime drives.
fn connections(topology: &Arc<Topology>, epoch: &Arc<AtomicU64>, size: usize) -> Result<Connections, InvalidUrl> {
    let runtime = Handle::try_current().map_err(|_| NO_RUNTIME)?;
    let opener =
        Opener { topology: Arc::clone(topology), runtime, epoch: Arc::clone(epoch), opened: AtomicUsize::new(0) };
    deadpool::managed::Pool::builder(opener)
        .max_size(size.max(1))
        .queue_mode(QueueMode::Lifo)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(Some(POOL_TIMEOUT))
        .build()
        .map_err(|_| NO_RUNTIME)
}
