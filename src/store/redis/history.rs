//! What a server's replication says of its data. `history.lua` reads the same within a script.
//!
//! Redis replicates after it has answered, so a promoted replica may lack acknowledged writes. Each record therefore names the
//! history that it was last written in. Where the server now writes another one, `receipts.rs` asks whether anything can be
//! missing.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{ErrorKind, RedisResult, ServerErrorKind, cmd};

/// The name of a history: the first bytes of the replication id.
pub(super) type History = [u8; 4];

/// The history of a server that may not be asked; also that in the records of a server that is alone.
const OF_ONE_SERVER: History = [0, 0, 0, 1];

/// A replica whose last acknowledgement is older than this many seconds is left out. It sends one each second.
const LAG_MAX: u32 = 2;

/// A server, as far as its replication concerns records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// The history that it writes.
    pub(super) history: History,
    /// What it is.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has no replica, and was not promoted since it started.
    Alone,
    /// It has replicas, or has had some, or sentinels watch it.
    Replicated,
    /// It was promoted since it started.
    Promoted,
}

impl Server {
    /// A server that may not be asked, taken for one that is alone.
    pub(super) const UNKNOWN: Self = Self { history: OF_ONE_SERVER, kind: Kind::Alone };

    /// The same server, known to have had replicas.
    pub(super) fn with_replicas(self) -> Self {
        let is_known = self.history != OF_ONE_SERVER;
        let kind = if self.kind == Kind::Alone && is_known { Kind::Replicated } else { self.kind };
        Self { kind, ..self }
    }

    /// As the scripts read and write it.
    pub(super) fn to_bytes(self) -> [u8; 5] {
        let [a, b, c, d] = self.history;
        let kind = match self.kind {
            Kind::Alone => b'0',
            Kind::Replicated => b'1',
            Kind::Promoted => b'2',
        };
        [a, b, c, d, kind]
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (history, kind) = bytes.split_first_chunk()?;
        let kind = match kind {
            b"0" => Kind::Alone,
            b"1" => Kind::Replicated,
            b"2" => Kind::Promoted,
            _ => return None,
        };
        Some(Self { history: *history, kind })
    }
}

/// The section `replication` of INFO.
pub(super) struct Replication {
    pub(super) server: Server,
    /// The replicas that receive writes and acknowledge them.
    pub(super) in_sync: usize,
}

impl Replication {
    /// Reads the section. `None` without a replication id.
    pub(super) fn parse(info: &str) -> Option<Self> {
        let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let id = value("master_replid")?.get(..8)?;
        let history = u32::from_str_radix(id, 16).ok()?.to_be_bytes();
        let is_count = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        let kind = if value("second_repl_offset").is_some_and(is_count) {
            Kind::Promoted
        } else if value("connected_slaves").is_some_and(|count| count != "0") {
            Kind::Replicated
        } else {
            Kind::Alone
        };
        let in_sync = info.lines().filter(|line| is_in_sync(line)).count();
        Some(Self { server: Server { history, kind }, in_sync })
    }
}

/// Whether a line names a replica that keeps up: `slave0:ip=…,port=…,state=online,offset=…,lag=…`.
fn is_in_sync(line: &str) -> bool {
    let Some((_, fields)) = line.strip_prefix("slave").and_then(|rest| rest.split_once(':')) else { return false };
    let value = |name: &str| fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let lag = value("lag").and_then(|lag| lag.parse::<u32>().ok());
    value("state") == Some("online") && lag.is_some_and(|lag| lag <= LAG_MAX)
}

/// Asks a server.
pub(super) async fn read(mut connection: MultiplexedConnection) -> RedisResult<Server> {
    match cmd("INFO").arg("replication").query_async::<String>(&mut connection).await {
        // A replica takes no writes. Its connections leave the pool, as after READONLY: it may be promoted.
        Ok(info) if info.contains("role:slave") => {
            Err((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is a replica").into())
        }
        Ok(info) => Ok(Replication::parse(&info).map_or(Server::UNKNOWN, |replication| replication.server)),
        // INFO is not permitted, renamed or unknown.
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => Ok(Server::UNKNOWN),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(offset: &str, replicas: &[&str]) -> String {
        let count = replicas.len();
        let lines: Vec<_> = replicas.iter().enumerate().map(|(n, fields)| format!("slave{n}:{fields}\r\n")).collect();
        format!(
            "role:master\r\nconnected_slaves:{count}\r\n{}slave_repl_offset:7\r\nmaster_replid:0a1b2c3d4e5f\r\n\
             second_repl_offset:{offset}\r\n",
            lines.concat()
        )
    }

    #[test]
    fn a_server_is_alone_has_replicas_or_was_promoted() {
        let server = |offset, replicas: &[&str]| Replication::parse(&info(offset, replicas)).unwrap().server;
        let replica = ["ip=10.0.0.1,port=6379,state=online,offset=12,lag=0"];
        for (server, kind) in [
            (server("-1", &[]), Kind::Alone),
            (server("-1", &replica), Kind::Replicated),
            (server("107", &[]), Kind::Promoted),
        ] {
            assert_eq!(server, Server { history: [0x0a, 0x1b, 0x2c, 0x3d], kind });
            assert_eq!(Server::from_bytes(&server.to_bytes()), Some(server));
        }
        assert!(Replication::parse("").is_none());
        assert_eq!(Server::UNKNOWN.with_replicas(), Server::UNKNOWN);
    }

    #[test]
    fn a_replica_that_does_not_keep_up_is_left_out() {
        let in_sync = |state, lag| {
            let line = format!("ip=10.0.0.1,port=6379,state={state},offset=12,lag={lag}");
            Replication::parse(&info("-1", &[&line])).unwrap().in_sync
        };
        assert_eq!([("online", 0), ("online", 3), ("send_bulk", 0)].map(|(state, lag)| in_sync(state, lag)), [1, 0, 0]);
    }
}
