//! [`Conn`]: one connection to any topology, through which one script runs in all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use deadpool_redis::redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};

/// What a connection is made of. A clone shares the socket; answers find whoever asked, and an answer that
/// nobody waits for any more is thrown away, never given to another.
#[derive(Clone)]
pub(super) enum Link {
    Standalone(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A link, and what decides whether it stays in the pool.
#[derive(Clone)]
pub(super) struct Conn {
    link: Link,
    /// Connections of before the last loss are not trusted: what cut one has cut them all.
    epoch: u64,
    current: Arc<AtomicU64>,
    is_broken: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl Conn {
    pub(super) fn new(link: Link, epoch: u64, current: Arc<AtomicU64>) -> Self {
        Self { link, epoch, current, is_broken: Arc::default(), answers: Arc::default() }
    }

    pub(super) fn is_usable(&self) -> bool {
        self.epoch == self.current.load(Ordering::Acquire) && !self.is_broken.load(Ordering::Acquire)
    }

    /// How many answers have come through this connection, whoever asked.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    pub(super) fn has_answered(&self) {
        self.answers.fetch_add(1, Ordering::AcqRel);
    }

    /// Draws the consequences of an error: which connections the pool forgets, and whether to ask again at
    /// once. `before` is how many answers there had been when the question was asked.
    pub(super) fn judge(&self, error: &RedisError, before: u64) -> bool {
        if error.is_timeout() {
            // One node of a cluster that hangs is no reason to leave the others. But a connection through which
            // nothing has come meanwhile is dead, or is one of redis-rs to a cluster whose slots it waits to
            // learn while a repair that it does not drive holds the lock: that one never comes back.
            self.is_broken.fetch_or(self.answers() == before, Ordering::AcqRel);
            return false;
        }
        // A cluster's connection mends itself and has asked again already.
        let is_lost = matches!(self.link, Link::Standalone(_))
            && (error.is_unrecoverable_error() || error.is_io_error() || is_read_only(error));
        if is_lost {
            let _ = self.current.compare_exchange(self.epoch, self.epoch + 1, Ordering::AcqRel, Ordering::Acquire);
        }
        is_lost
    }

    /// Asks one node, any, what concerns no key.
    pub(super) async fn ask_node(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match &mut self.link {
            Link::Standalone(_) => cmd.query_async(self).await,
            Link::Cluster(cluster) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
                cluster.route_command(cmd.clone(), any).await?.extract_error()
            }
        }
    }
}

/// A server that was the primary. Before Redis 7 the script's own error hides the code in its text.
fn is_read_only(error: &RedisError) -> bool {
    error.code() == Some("READONLY") || error.detail().is_some_and(|d| d.contains("READONLY "))
}

impl ConnectionLike for Conn {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.link {
            Link::Standalone(conn) => conn.req_packed_command(cmd),
            Link::Cluster(conn) => conn.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.link {
            Link::Standalone(conn) => conn.req_packed_commands(pipeline, offset, count),
            Link::Cluster(conn) => conn.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.link {
            Link::Standalone(conn) => conn.get_db(),
            Link::Cluster(conn) => conn.get_db(),
        }
    }
}
