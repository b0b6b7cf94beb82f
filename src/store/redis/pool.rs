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
//! A thread that serves requests has connections of its own, driven by its own runtime. With those of another thread each
//! answer would wake two threads, which costs more than all else in a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, PoolError, QueueMode, RecycleError, RecycleResult};
use deadpool_redis::redis::{Cmd, FromRedisValue, RedisError, RedisResult, Value, from_redis_value};
use thread_local::ThreadLocal;
use tokio::runtime::Handle;

use super::connection::Connection;
use super::error::outage_cause;
use super::history::History;
use super::script::Call;
use super::topology::Topology;
use super::url::InvalidUrl;
use crate::store::error::{OutageCause, StoreError};

/// How long a request waits for a connection of the pool.
const POOL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long one request may take in all, with a retry.
///
/// An API request notices within a second that Redis is away, although it may look up a learned route first.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(850);

/// One request to Redis.
pub(super) enum Command<'a> {
    /// A command that goes to the node of its keys.
    Keyed(&'a Cmd),
    /// A command without keys, for any one node.
    AnyNode(&'a Cmd),
    /// A script, which is loaded where it is missing.
    Script(Call),
    /// A script that depends on the history which its server writes; `None` if the connection does not know it.
    InHistory(&'a (dyn Fn(Option<History>) -> Call + Sync)),
}

impl Command<'_> {
    async fn run_on(&self, connection: &mut Connection) -> RedisResult<Value> {
        match self {
            Self::Keyed(cmd) => cmd.query_async(connection).await,
            Self::AnyNode(cmd) => connection.run_on_any_node(cmd).await,
            Self::Script(call) => call.run_on(connection).await,
            Self::InHistory(script) => {
                let history = connection.history().await?;
                script(history).run_on(connection).await
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
        Ok(Connection::new(link, epoch, Arc::clone(&self.epoch)))
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<RedisError> {
        if connection.is_usable() { Ok(()) } else { Err(RecycleError::message("the connection is lost")) }
    }
}

type Connections = deadpool::managed::Pool<Opener>;

pub(super) struct Pool {
    topology: Arc<Topology>,
    /// The connections that are driven by the runtime which created the pool.
    shared: Connections,
    /// Those of threads that have connections of their own.
    of_threads: ThreadLocal<OfThread>,
    /// How many losses of connections there were. One for all threads: what breaks a connection breaks all.
    epoch: Arc<AtomicU64>,
}

struct OfThread {
    /// Slots of a `ThreadLocal` are used again by later threads.
    thread: ThreadId,
    connections: Connections,
}

/// Connections of one thread: one, and another where a request waits for it to be replaced.
const OF_THREAD: usize = 2;

const NO_RUNTIME: InvalidUrl = InvalidUrl("needs a running runtime");

impl Pool {
    pub(super) fn new(topology: Topology, size: usize) -> Result<Self, InvalidUrl> {
        let topology = Arc::new(topology);
        let epoch = Arc::default();
        let shared = connections(&topology, &epoch, size)?;
        Ok(Self { topology, shared, of_threads: ThreadLocal::new(), epoch })
    }

    /// Gives the current thread connections of its own, which the current runtime drives.
    pub(super) fn serve_this_thread(&self) {
        self.of_threads
            .get_or_try(|| {
                connections(&self.topology, &self.epoch, OF_THREAD)
                    .map(|connections| OfThread { thread: thread::current().id(), connections })
            })
            .ok();
    }

    fn connections(&self) -> &Connections {
        let own = self.of_threads.get().filter(|own| own.thread == thread::current().id());
        own.map_or(&self.shared, |own| &own.connections)
    }

    /// Connections in all, and idle ones.
    pub(super) fn status(&self) -> (usize, usize) {
        let all = self.of_threads.iter().map(|own| &own.connections).chain([&self.shared]);
        all.map(deadpool::managed::Pool::status)
            .fold((0, 0), |(size, available), status| (size + status.size, available + status.available))
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
            let mut connection = self.connection().await?;
            let answers_before = connection.answers();
            match command.run_on(&mut connection).await {
                Ok(answer) => {
                    connection.count_answer();
                    return Ok(answer);
                }
                Err(error) if connection.handle_error(&error, answers_before) && !is_retry => is_retry = true,
                Err(error) => return Err(outage_cause(&error)),
            }
        }
    }

    async fn connection(&self) -> Result<Connection, OutageCause> {
        match self.connections().get().await {
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
