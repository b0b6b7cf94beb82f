//! [`Topology`]: how connections to one server, a cluster or the master of sentinels are opened.
//!
//! deadpool-redis' manager opens those to one server. Its managers for Cluster and Sentinel accept neither timeouts
//! nor certificates, and the latter holds a lock while it connects, so that one hanging master makes all wait. The
//! clients of redis-rs, which those managers wrap, are therefore used directly.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::Manager as _;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cluster::{ClusterClient, ClusterClientBuilder};
use deadpool_redis::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsCertificates,
    TlsMode,
};

use super::connection::Link;
use super::url::{EXAMPLES, InvalidUrl, RedisUrl, tcp_settings};

/// How long it may take to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
/// The same for one node of a cluster. A node that hangs must not delay the use of the others.
const CLUSTER_CONNECT_TIMEOUT: Duration = Duration::from_millis(350);
/// How long an answer may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(650);
/// How long an answer of a cluster may take, with redirections and retries.
const CLUSTER_RESPONSE_TIMEOUT: Duration = Duration::from_millis(800);

pub(super) enum Topology {
    Standalone(deadpool_redis::Manager),
    Cluster(ClusterClient),
    Sentinel(Sentinels),
}

/// The sentinels of one master.
pub(super) struct Sentinels {
    pub(super) addresses: Vec<ConnectionAddr>,
    master: ConnectionInfo,
    pub(super) name: String,
    tls: Option<TlsCertificates>,
    /// The sentinel that has last announced another master: it is asked first.
    announcer: AtomicUsize,
}

/// No sentinel has announced another master yet.
const NO_ANNOUNCER: usize = usize::MAX;

impl Topology {
    /// Prepares connections to what `url` names; with TLS they trust `certificates`, or the public authorities.
    pub(super) fn new(url: RedisUrl, certificates: Option<TlsCertificates>) -> Result<Self, InvalidUrl> {
        match url {
            RedisUrl::Standalone(node) => {
                let node = match certificates {
                    Some(certificates) => with_certificates(node, certificates).map_err(|_| EXAMPLES)?,
                    None => node,
                };
                let manager = deadpool_redis::Manager::new_with_config(node, connection_config());
                manager.map(Self::Standalone).map_err(|_| EXAMPLES)
            }
            RedisUrl::Cluster(nodes) => {
                let mut builder = ClusterClientBuilder::new(nodes)
                    .tcp_settings(tcp_settings())
                    .connection_timeout(CLUSTER_CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .overall_response_timeout(Some(CLUSTER_RESPONSE_TIMEOUT))
                    .retries(3)
                    .min_retry_wait(10)
                    .max_retry_wait(100);
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates);
                }
                builder.build().map(Self::Cluster).map_err(|_| EXAMPLES)
            }
            RedisUrl::Sentinel { sentinels, master, name } => {
                let addresses = sentinels.iter().map(|sentinel| sentinel.addr().clone()).collect();
                let announcer = AtomicUsize::new(NO_ANNOUNCER);
                Ok(Self::Sentinel(Sentinels { addresses, master, name, tls: certificates, announcer }))
            }
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) fn has_sentinels(&self) -> bool {
        matches!(self, Self::Sentinel(_))
    }

    /// Opens a connection. `turn` counts openings: it selects the first sentinel to ask, so that a dead one is not
    /// always asked first.
    pub(super) async fn open(&self, turn: usize) -> RedisResult<Link> {
        match self {
            Self::Standalone(manager) => manager.create().await.map(Link::Standalone),
            Self::Cluster(client) => client.get_async_connection().await.map(Link::Cluster),
            Self::Sentinel(sentinels) => sentinels.open(turn).await.map(Link::Standalone),
        }
    }
}

impl Sentinels {
    async fn open(&self, turn: usize) -> RedisResult<MultiplexedConnection> {
        let mut addresses = self.addresses.clone();
        let announcer = self.announcer.load(Ordering::Acquire);
        let first = if announcer == NO_ANNOUNCER { turn } else { announcer };
        addresses.rotate_left(first % self.addresses.len().max(1));
        let mut client = sentinel_client(addresses, &self.master, &self.name, self.tls.as_ref())?.build()?;
        client.get_async_connection_with_config(&connection_config()).await
    }

    /// The client of one sentinel.
    pub(super) fn client(&self, index: usize) -> RedisResult<Client> {
        let address = self.addresses[index].clone().into_connection_info()?.set_tcp_settings(tcp_settings());
        match &self.tls {
            Some(certificates) => Client::build_with_tls(address, certificates.clone()),
            None => Client::open(address),
        }
    }

    /// A sentinel has announced another master.
    pub(super) fn note_announcer(&self, index: usize) {
        self.announcer.store(index, Ordering::Release);
    }
}

fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

fn with_certificates(node: ConnectionInfo, certificates: TlsCertificates) -> RedisResult<ConnectionInfo> {
    Ok(Client::build_with_tls(node, certificates)?.get_connection_info().clone())
}

fn sentinel_client(
    sentinels: Vec<ConnectionAddr>,
    master: &ConnectionInfo,
    name: &str,
    certificates: Option<&TlsCertificates>,
) -> RedisResult<SentinelClientBuilder> {
    let settings = master.redis_settings();
    let mut builder = SentinelClientBuilder::new(sentinels, name, SentinelServerType::Master)?
        .set_client_to_redis_tcp_settings(tcp_settings())
        .set_client_to_redis_db(settings.db());
    if matches!(master.addr(), ConnectionAddr::TcpTls { .. }) {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates.clone());
    }
    if let Some(username) = settings.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    Ok(builder)
}
