//! [`Redis`]: the back end that replicas share. One server, a cluster, or a master that sentinels name.
//!
//! On one server every change is one script (`lua/`). A cluster has one slot for each shard of verifications, and others for
//! counters, links and lists, so that a change there may take several scripts. All scripts except `increment.lua` are
//! idempotent. `keys.rs` names every key.

mod commit;
mod connection;
mod continuity;
mod counters;
mod dead_letters;
mod due;
mod error;
mod history;
mod keys;
mod links;
mod lists;
mod pool;
mod receipts;
mod records;
mod script;
mod sentinels;
mod setup;
mod tls;
mod topology;
mod url;
mod values;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::cmd;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::AbortOnDropHandle;

use self::due::DueShards;
use self::pool::{Command, Pool};
use self::receipts::Receipts;
use self::topology::Topology;
use self::url::RedisUrl;
use super::Store;
use super::error::StoreError;
use crate::time::Timestamp;

pub use self::setup::{Setup, SetupAdvice};
pub use self::tls::{CaCertificates, InvalidCa};
pub use self::url::InvalidUrl;

/// A store in Redis.
pub struct Redis {
    pool: Arc<Pool>,
    receipts: Arc<Receipts>,
    is_cluster: bool,
    due: DueShards,
    _observer: AbortOnDropHandle<()>,
}

impl Redis {
    /// Creates a store at `url` with at most `pool_size` connections, driven by the current runtime.
    ///
    /// It connects at the first request: the server may be down now, and later. Connections by `rediss://` trust the
    /// public authorities, the system's root certificates and `ca`.
    ///
    /// # Errors
    /// If the URL is not one of a Redis, or outside a runtime.
    pub fn connect(url: &SecretString, ca: Option<&CaCertificates>, pool_size: usize) -> Result<Self, InvalidUrl> {
        let url = RedisUrl::parse(url.expose_secret())?;
        let certificates = url.uses_tls().then(|| tls::trusted_certificates(ca));
        let topology = Topology::new(url, certificates)?;
        let is_cluster = topology.is_cluster();
        let (pool, receipts) = (Arc::new(Pool::new(topology, pool_size)?), Arc::new(Receipts::new(is_cluster)));
        let observer = tokio::spawn(observe(Arc::clone(&pool), Arc::clone(&receipts)));
        let observer = AbortOnDropHandle::new(observer);
        Ok(Self { pool, receipts, is_cluster, due: DueShards::default(), _observer: observer })
    }

    /// Checks that [`Self::connect`] accepts `url`.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_url(url: &SecretString) -> Result<(), InvalidUrl> {
        Topology::new(RedisUrl::parse(url.expose_secret())?, None).map(|_| ())
    }

    /// Reads how the server is set up, as far as the user may know.
    pub async fn setup(&self) -> Setup {
        Setup::read(&self.pool).await
    }
}

/// How often servers with replicas are observed.
const OBSERVE: Duration = Duration::from_secs(1);

async fn observe(pool: Arc<Pool>, receipts: Arc<Receipts>) {
    loop {
        tokio::time::sleep(OBSERVE).await;
        receipts.observe(&pool).await;
    }
}

/// The value that a probe writes.
const PROBE: &str = "probe";
/// How long it is kept.
const PROBE_TTL: Duration = Duration::from_secs(10);

#[async_trait]
impl Store for Redis {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        let (seconds, micros): (i64, i64) = self.pool.run(Command::AnyNode(&cmd("TIME"))).await?;
        Ok(Timestamp::from_millis(seconds * 1000 + micros / 1000))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let mut set = cmd("SET");
        set.arg(keys::value(PROBE)).arg("").arg("PX").arg(PROBE_TTL.as_millis() as u64);
        self.pool.run(Command::Keyed(&set)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.pool.run(Command::AnyNode(&cmd("PING"))).await
    }

    async fn warnings(&self) -> Vec<String> {
        self.setup().await.warnings()
    }

    fn serve_this_thread(&self) {
        self.pool.serve_this_thread();
    }

    fn pool(&self) -> Option<(usize, usize)> {
        Some(self.pool.status())
    }
}
