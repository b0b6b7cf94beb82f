//! [`RedisUrl`]: what a `REDIS_URL` names.

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

/// Why a URL is not one of a Redis. Never repeats the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(pub(super) &'static str);

pub(super) const EXAMPLES: InvalidUrl = InvalidUrl(
    "is not redis://[login@]host[:port][/db], rediss://… (TLS), redis+cluster://host,host \
     or redis+sentinel://host,host/master",
);

/// The nodes of one topology, with login and database.
pub(super) enum RedisUrl {
    Standalone(ConnectionInfo),
    Cluster(Vec<ConnectionInfo>),
    /// `master` holds login, database and TLS of the server that the sentinels call `name`; its address is not used.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        master: ConnectionInfo,
        name: String,
    },
}

impl RedisUrl {
    pub(super) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(EXAMPLES)?;
        let (scheme, topology) = scheme.split_once('+').unwrap_or((scheme, ""));
        if !matches!(scheme, "redis" | "rediss") {
            return Err(EXAMPLES);
        }
        match topology {
            "" => Ok(Self::Standalone(node(url)?)),
            "cluster" => {
                let (login, hosts, path) = split(rest);
                if !path.is_empty() {
                    return Err(InvalidUrl("a cluster has no database number"));
                }
                let nodes = hosts.map(|host| node(&format!("{scheme}://{login}{host}")));
                Ok(Self::Cluster(nodes.collect::<Result<_, _>>()?))
            }
            "sentinel" => {
                let (login, hosts, path) = split(rest);
                let (name, db) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err(InvalidUrl("names no master: redis+sentinel://host,host/master"));
                }
                let sentinels = hosts.map(|host| node(&format!("{scheme}://{host}"))).collect::<Result<_, _>>()?;
                let master = node(&format!("{scheme}://{login}master/{db}"))?;
                Ok(Self::Sentinel { sentinels, master, name: name.to_owned() })
            }
            _ => Err(EXAMPLES),
        }
    }

    pub(super) fn uses_tls(&self) -> bool {
        let node = match self {
            Self::Standalone(node) | Self::Sentinel { master: node, .. } => Some(node),
            Self::Cluster(nodes) => nodes.first(),
        };
        node.is_some_and(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }))
    }
}

/// Many small commands share a connection, so none should wait for the acknowledgement of another.
pub(super) fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn node(url: &str) -> Result<ConnectionInfo, InvalidUrl> {
    Ok(url.into_connection_info().map_err(|_| EXAMPLES)?.set_tcp_settings(tcp_settings()))
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

    fn topology(url: &RedisUrl) -> &'static str {
        match url {
            RedisUrl::Standalone(_) => "standalone",
            RedisUrl::Cluster(_) => "cluster",
            RedisUrl::Sentinel { .. } => "sentinel",
        }
    }

    #[test]
    fn a_url_names_a_topology() {
        for (url, expected, uses_tls) in [
            ("redis://127.0.0.1:6379", "standalone", false),
            ("redis://user:p%40ss@host/3", "standalone", false),
            ("rediss://host", "standalone", true),
            ("redis+cluster://h1:7000,h2:7001", "cluster", false),
            ("rediss+cluster://:secret@h1,h2", "cluster", true),
            ("redis+sentinel://u:p@h1:26379,h2:26379/mymaster", "sentinel", false),
            ("rediss+sentinel://h1/mymaster/2", "sentinel", true),
        ] {
            let parsed = RedisUrl::parse(url).unwrap();
            assert_eq!((topology(&parsed), parsed.uses_tls()), (expected, uses_tls), "{url}");
        }
    }

    #[test]
    fn an_invalid_url_is_refused_without_being_repeated() {
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
            let Err(error) = RedisUrl::parse(url) else { panic!("{url} is accepted") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
