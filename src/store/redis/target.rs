//! [`Target`]: what a `REDIS_URL` names, and how to reach it.

use std::fmt;
use std::time::Duration;

use deadpool_redis::redis::cluster::{ClusterClient, ClusterClientBuilder};
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult, TlsMode,
};

use super::conn::Link;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_millis(1000);
/// How long one to a node of a cluster may take: a node that hangs must not keep the others from being used.
const CLUSTER_CONNECT: Duration = Duration::from_millis(350);
/// How long an answer may take.
const RESPONSE: Duration = Duration::from_millis(650);
/// How long an answer of a cluster may take, with redirections and repetitions.
const CLUSTER_RESPONSE: Duration = Duration::from_millis(800);

/// Why a URL names no Redis. Never repeats the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(pub(super) &'static str);

const EXAMPLES: InvalidUrl = InvalidUrl(
    "is not redis://[login@]host[:port][/db], rediss://… (TLS), redis+cluster://host,host \
     or redis+sentinel://host,host/master",
);

/// One server, a cluster, or whatever the sentinels call the master.
pub(super) enum Target {
    Standalone(Client),
    Cluster(ClusterClient),
    Sentinel { sentinels: Vec<ConnectionInfo>, node: ConnectionInfo, master: String },
}

/// What it is, not where: an address stands beside a password.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone(_) => "Standalone",
            Self::Cluster(_) => "Cluster",
            Self::Sentinel { .. } => "Sentinel",
        })
    }
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(EXAMPLES)?;
        let (scheme, topology) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!(scheme, "redis" | "rediss") {
            return Err(EXAMPLES);
        }
        match topology {
            "" => Ok(Self::Standalone(Client::open(node(url)?).map_err(|_| EXAMPLES)?)),
            "cluster" => {
                let (login, hosts, path) = split(rest);
                if !path.is_empty() {
                    return Err(InvalidUrl("a cluster has no database number"));
                }
                let nodes =
                    hosts.map(|host| node(&format!("{scheme}://{login}{host}"))).collect::<Result<Vec<_>, _>>()?;
                let builder = ClusterClientBuilder::new(nodes)
                    .tcp_settings(tcp())
                    .connection_timeout(CLUSTER_CONNECT)
                    .response_timeout(RESPONSE)
                    .overall_response_timeout(Some(CLUSTER_RESPONSE))
                    .retries(3)
                    .min_retry_wait(10)
                    .max_retry_wait(100);
                Ok(Self::Cluster(builder.build().map_err(|_| EXAMPLES)?))
            }
            "sentinel" => {
                let (login, hosts, path) = split(rest);
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err(InvalidUrl("names no master: redis+sentinel://host,host/master"));
                }
                let sentinels = hosts.map(|host| node(&format!("{scheme}://{host}"))).collect::<Result<Vec<_>, _>>()?;
                let node = node(&format!("{scheme}://{login}master/{db}"))?;
                Ok(Self::Sentinel { sentinels, node, master: master.to_owned() })
            }
            _ => Err(EXAMPLES),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// A new connection. `turn` says which sentinel to begin with, so that one that is gone is not asked first
    /// forever.
    pub(super) async fn open(&self, turn: usize) -> RedisResult<Link> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(RESPONSE));
        match self {
            Self::Standalone(client) => {
                client.get_multiplexed_async_connection_with_config(&config).await.map(Link::Standalone)
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Link::Cluster),
            Self::Sentinel { sentinels, node, master } => {
                let mut hosts: Vec<_> = sentinels.iter().map(|s| s.addr().clone()).collect();
                let first = turn % hosts.len().max(1);
                hosts.rotate_left(first);
                let settings = node.redis_settings();
                let mut builder = SentinelClientBuilder::new(hosts, master, SentinelServerType::Master)?
                    .set_client_to_redis_tcp_settings(tcp())
                    .set_client_to_redis_db(settings.db());
                if matches!(node.addr(), ConnectionAddr::TcpTls { .. }) {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                }
                if let Some(username) = settings.username() {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = settings.password() {
                    builder = builder.set_client_to_redis_password(password);
                }
                builder.build()?.get_async_connection_with_config(&config).await.map(Link::Standalone)
            }
        }
    }
}

/// Small commands, many on one connection: none waits for the acknowledgement of another.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn node(url: &str) -> Result<ConnectionInfo, InvalidUrl> {
    Ok(url.into_connection_info().map_err(|_| EXAMPLES)?.set_tcp_settings(tcp()))
}

/// `user:password@` or nothing, the hosts, the path without its slash.
fn split(rest: &str) -> (&str, impl Iterator<Item = &str>, &str) {
    let at = rest.rfind('@').map_or(0, |at| at + 1);
    let (login, rest) = rest.split_at(at);
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    (login, hosts.split(',').map(str::trim), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_topology() {
        for (url, topology) in [
            ("redis://127.0.0.1:6379", "Standalone"),
            ("redis://user:p%40ss@host/3", "Standalone"),
            ("rediss://host", "Standalone"),
            ("redis+cluster://h1:7000,h2:7001", "Cluster"),
            ("rediss+cluster://:secret@h1,h2", "Cluster"),
            ("redis+sentinel://u:p@h1:26379,h2:26379/mymaster", "Sentinel"),
            ("redis+sentinel://h1/mymaster/2", "Sentinel"),
        ] {
            assert_eq!(format!("{:?}", Target::parse(url).unwrap()), topology, "{url}");
        }
    }

    #[test]
    fn what_names_none_is_refused_without_being_repeated() {
        for url in [
            "",
            "localhost:6379",
            "http://hunter2@host",
            "redis://",
            "redis://:hunter2@host/notanumber",
            "redis+cluster://:hunter2@",
            "redis+cluster://:hunter2@h1,h2/1",
            "redis+sentinel://:hunter2@h1",
            "redis+ring://:hunter2@h1",
        ] {
            let fault = Target::parse(url).expect_err(url).to_string();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }
}
