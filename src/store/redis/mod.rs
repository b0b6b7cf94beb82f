//! [`Redis`]: the back end that replicas share. One server, a cluster, or a master that sentinels name.
//!
//! On one server every change is one script (`lua/`). A cluster has one slot for each shard of verifications, and others for
//! counters, links and lists, so that a change there may take several scripts. All scripts except `increment.lua` are
//! idempotent. `keys.rs` names every key.

mod commit;
mod connection;
mod counters;
mod due;
mod error;
mod history;
mod keys;
mod links;
mod lists;
mod pool;
mod records;
mod script;
mod setup;
mod tls;
mod topology;
mod url;
mod values;

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::cmd;
use secrecy::{ExposeSecret, SecretString};

use self::due::DueShards;
use self::pool::{Command, Pool};
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
    pool: Pool,
    is_cluster: bool,
    due: DueShards,
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
        Ok(Self { pool: Pool::new(topology, pool_size)?, is_cluster, due: DueShards::default() })
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
