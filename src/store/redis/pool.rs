//! [`Pool`]: connections that live on one runtime, are shared, and are not pinged.
//!
//! deadpool-redis' own manager pings at every check-out, a second round trip each time, and in a cluster one
//! to every primary, so that one that is paused takes the whole pool down. Ours recycles without asking:
//! a connection is judged by how it answers. A connection is taken out only for as long as it takes to clone
//! it; commands of many requests then share its socket and so their system calls, and no request waits for a
//! free connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, PoolError, QueueMode, RecycleError, RecycleResult};
use deadpool_redis::redis::{Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value, from_redis_value};
use tokio::runtime::Handle;

use super::conn::Conn;
use super::target::{InvalidUrl, Target};
use crate::store::StoreError;

/// How long to wait for a connection of the pool.
const WAIT: Duration = Duration::from_millis(500);
/// How long one exchange may take in all, so that a Redis that is away is noticed within a second, even after what has
/// been learned was asked for in vain.
const BUDGET: Duration = Duration::from_millis(850);

/// One exchange.
pub(super) enum Ask<'a> {
    /// A command that goes where its keys are.
    Cmd(&'a Cmd),
    /// A command without keys, for any one node.
    Node(&'a Cmd),
    /// A script, loaded where it is missing.
    Script(ScriptInvocation<'a>),
}

impl Ask<'_> {
    async fn of(&self, conn: &mut Conn) -> RedisResult<Value> {
        match self {
            Self::Cmd(cmd) => cmd.query_async(conn).await,
            Self::Node(cmd) => conn.ask_node(cmd).await,
            Self::Script(script) => script.invoke_async(conn).await,
        }
    }
}

/// Makes connections on the runtime it was made on: actix' workers have runtimes of their own, which end
/// before it does, and a connection is driven by a task.
struct Opener {
    target: Arc<Target>,
    runtime: Handle,
    epoch: Arc<AtomicU64>,
    opened: AtomicUsize,
}

impl Manager for Opener {
    type Type = Conn;
    type Error = RedisError;

    async fn create(&self) -> Result<Conn, RedisError> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let turn = self.opened.fetch_add(1, Ordering::Relaxed);
        let target = Arc::clone(&self.target);
        let opening = self.runtime.spawn(async move { target.open(turn).await });
        let link = opening.await.map_err(|_| std::io::Error::from(std::io::ErrorKind::NotConnected))??;
        Ok(Conn::new(link, epoch, Arc::clone(&self.epoch)))
    }

    async fn recycle(&self, conn: &mut Conn, _: &Metrics) -> RecycleResult<RedisError> {
        if conn.is_usable() { Ok(()) } else { Err(RecycleError::message("it was lost")) }
    }
}

pub(super) struct Pool {
    connections: deadpool::managed::Pool<Opener>,
}

impl Pool {
    pub(super) fn new(target: Target, size: usize) -> Result<Self, InvalidUrl> {
        let runtime = Handle::try_current().map_err(|_| InvalidUrl("needs a running runtime"))?;
        let opener =
            Opener { target: Arc::new(target), runtime, epoch: Arc::default(), opened: AtomicUsize::default() };
        let connections = deadpool::managed::Pool::builder(opener)
            .max_size(size.max(1))
            .queue_mode(QueueMode::Lifo)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .build()
            .map_err(|_| InvalidUrl("needs a running runtime"))?;
        Ok(Self { connections })
    }

    /// Connections in all, and idle ones.
    pub(super) fn status(&self) -> (usize, usize) {
        let status = self.connections.status();
        (status.size, status.available)
    }

    /// One exchange. What was cut off is asked once more: everything we ask is safe to ask twice, but that counts may
    /// then count it twice.
    pub(super) async fn ask<T: FromRedisValue>(&self, what: Ask<'_>) -> Result<T, StoreError> {
        let answer = match tokio::time::timeout(BUDGET, self.exchange(&what)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(unavailable("no answer in time")),
        };
        from_redis_value(answer).map_err(|_| StoreError::Unreadable("is not what this service writes"))
    }

    async fn exchange(&self, what: &Ask<'_>) -> Result<Value, StoreError> {
        let mut is_second = false;
        loop {
            let mut conn = self.connection().await?;
            let before = conn.answers();
            match what.of(&mut conn).await {
                Ok(answer) => {
                    conn.has_answered();
                    return Ok(answer);
                }
                Err(error) if conn.judge(&error, before) && !is_second => is_second = true,
                Err(error) => return Err(explain(&error)),
            }
        }
    }

    async fn connection(&self) -> Result<Conn, StoreError> {
        match self.connections.get().await {
            Ok(pooled) => Ok(Conn::clone(&pooled)),
            Err(PoolError::Backend(error)) => Err(explain(&error)),
            Err(_) => Err(unavailable("no connection in time")),
        }
    }
}

/// What went wrong, without what the server said of it: that may repeat keys, addresses or passwords.
fn explain(error: &RedisError) -> StoreError {
    if error.is_timeout() {
        unavailable("no answer in time")
    } else if error.is_connection_refusal() {
        unavailable("connection refused")
    } else if error.is_io_error() {
        unavailable("connection lost")
    } else {
        // LOADING, READONLY, MOVED, CLUSTERDOWN, NOREPLICAS, OOM, WRONGPASS: the server's first word.
        let code = error.code().filter(|c| c.len() <= 16 && c.bytes().all(|b| b.is_ascii_uppercase()));
        unavailable(code.unwrap_or_else(|| error.category()))
    }
}

pub(super) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}
