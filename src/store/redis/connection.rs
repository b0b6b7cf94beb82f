//! [`Connection`]: one connection to any topology, through which each command runs in all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use deadpool_redis::redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use tokio::sync::OnceCell;

use super::error::is_read_only;
use super::history::{self, Server};

/// The connection of redis-rs. A clone shares the socket.
///
/// Each answer reaches the caller that asked; the answer to a caller that has gone away is dropped.
#[derive(Clone)]
pub(super) enum Link {
    Standalone(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A link, and the state that decides whether it stays in the pool. Clones share that state.
#[derive(Clone)]
pub(super) struct Connection {
    link: Link,
    /// How many losses the pool had seen when this was opened. An older connection is not trusted: an event that breaks
    /// one connection, such as a restart, breaks all of them.
    epoch: u64,
    current_epoch: Arc<AtomicU64>,
    is_broken: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    server: Arc<OnceCell<Server>>,
    /// Sentinels watch the server.
    has_sentinels: bool,
}

impl Connection {
    pub(super) fn new(link: Link, epoch: u64, current_epoch: Arc<AtomicU64>, has_sentinels: bool) -> Self {
        let (is_broken, answers, server) = Default::default();
        Self { link, epoch, current_epoch, is_broken, answers, server, has_sentinels }
    }

    /// The history that the server writes and its kind, asked for once; `None` in a cluster, where the connections to the nodes are
    /// redis-rs' own.
    ///
    /// It holds as long as the connection. A server that is promoted was a replica before: then it has no history that is
    /// remembered here, and refuses each write with READONLY, which removes all connections from the pool. A primary that
    /// is demoted and promoted again between two writes goes unnoticed, unless it closes its connections, as Sentinel
    /// makes it do.
    pub(super) async fn server(&self) -> RedisResult<Option<Server>> {
        match &self.link {
            Link::Standalone(link) => {
                let server = *self.server.get_or_try_init(|| history::read(link.clone())).await?;
                Ok(Some(if self.has_sentinels { server.with_replicas() } else { server }))
            }
            Link::Cluster(_) => Ok(None),
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.epoch == self.current_epoch.load(Ordering::Acquire) && !self.is_broken.load(Ordering::Acquire)
    }

    /// How many answers this connection has delivered, to all callers.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    pub(super) fn count_answer(&self) {
        self.answers.fetch_add(1, Ordering::AcqRel);
    }

    /// Decides from an error which connections leave the pool, and returns whether to retry at once.
    ///
    /// `answers_before` is [`Self::answers`] at the time of the request.
    pub(super) fn handle_error(&self, error: &RedisError, answers_before: u64) -> bool {
        if error.is_timeout() {
            // A cluster with one hanging node still answers for the others, so it stays. A connection that has
            // delivered nothing meanwhile leaves: its peer is dead, or it is a cluster connection of redis-rs that waits
            // for the slot map while the refresh is driven by a caller that has gone away; that one never recovers.
            self.is_broken.fetch_or(self.answers() == answers_before, Ordering::AcqRel);
            return false;
        }
        // A cluster connection reconnects and retries by itself.
        let is_lost = matches!(self.link, Link::Standalone(_))
            && (error.is_unrecoverable_error() || error.is_io_error() || is_read_only(error));
        if is_lost {
            let _ =
                self.current_epoch.compare_exchange(self.epoch, self.epoch + 1, Ordering::AcqRel, Ordering::Acquire);
        }
        is_lost
    }

    /// Runs commands together on the node that holds `key`.
    pub(super) async fn run_together(&mut self, key: &str, pipeline: &Pipeline) -> RedisResult<Value> {
        let answers = match &mut self.link {
            Link::Standalone(link) => link.req_packed_commands(pipeline, 0, pipeline.len()).await?,
            Link::Cluster(link) => {
                let node = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                link.route_pipeline(pipeline.clone(), 0, pipeline.len(), node).await?
            }
        };
        answers.into_iter().map(Value::extract_error).collect::<RedisResult<Vec<_>>>().map(Value::Array)
    }

    /// Runs a command without keys on one node. By default redis-rs sends such commands to every primary.
    pub(super) async fn run_on_any_node(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match &mut self.link {
            Link::Standalone(_) => cmd.query_async(self).await,
            Link::Cluster(cluster) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                cluster.route_command(cmd.clone(), any).await?.extract_error()
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.link {
            Link::Standalone(link) => link.req_packed_command(cmd),
            Link::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.link {
            Link::Standalone(link) => link.req_packed_commands(pipeline, offset, count),
            Link::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.link {
            Link::Standalone(link) => link.get_db(),
            Link::Cluster(link) => link.get_db(),
        }
    }
}
