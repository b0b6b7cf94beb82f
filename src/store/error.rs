//! [`StoreError`]: why the store did not do what it was asked.
//!
//! A cause keeps no text of the server or of the client library, since that may repeat keys, addresses or passwords.

use strum::{Display, EnumString};

/// Why the store did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is unreachable or refuses the request now; a retry may succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(OutageCause),
    /// The stored bytes cannot be read: another key sealed them, or they are damaged.
    #[error("a record cannot be read: {0}")]
    Unreadable(&'static str),
}

impl From<OutageCause> for StoreError {
    fn from(cause: OutageCause) -> Self {
        Self::Unavailable(cause)
    }
}

/// Why the store is unavailable. Displays as half a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Display)]
pub enum OutageCause {
    /// The answer did not come within the time limit.
    #[strum(to_string = "no answer in time")]
    Timeout,
    /// The pool had no connection within the time limit.
    #[strum(to_string = "no connection in time")]
    PoolExhausted,
    /// No server listens at the address.
    #[strum(to_string = "connection refused")]
    ConnectionRefused,
    /// TLS failed: no trusted authority has signed the server's certificate for this host.
    #[strum(to_string = "the server's certificate is not trusted")]
    UntrustedCertificate,
    /// The connection broke.
    #[strum(to_string = "connection lost")]
    ConnectionLost,
    /// The server rejected the login while the connection was set up.
    #[strum(to_string = "authentication failed")]
    LoginFailed,
    /// The server answered with an error.
    #[strum(to_string = "{0}")]
    Refused(ServerRefusal),
    /// The process is stopping and starts no more work.
    #[strum(to_string = "the process is stopping")]
    Stopping,
    /// The request before this one, on the same verification, found the store unavailable.
    #[strum(to_string = "the request before this one got no answer")]
    PredecessorFailed,
    /// The client library failed; this is its name for that class of error.
    #[strum(to_string = "{0}")]
    Client(String),
}

/// The error code of a Redis server: the first word of its error. Displays as that word.
///
/// Source: redis.io, "Redis serialization protocol specification", simple errors; `src/server.c` of Redis 7.0.
#[derive(Clone, Debug, PartialEq, Eq, Display, EnumString)]
pub enum ServerRefusal {
    /// A password is required.
    #[strum(serialize = "NOAUTH")]
    LoginRequired,
    /// User name or password is wrong.
    #[strum(serialize = "WRONGPASS")]
    WrongPassword,
    /// The ACL of the user forbids the command or the key.
    #[strum(serialize = "NOPERM")]
    NotPermitted,
    /// A general error; older servers report with it a command that the ACL forbids inside a script.
    #[strum(serialize = "ERR")]
    General,
    /// The server is still loading its data.
    #[strum(serialize = "LOADING")]
    Loading,
    /// `maxmemory` is reached.
    #[strum(serialize = "OOM")]
    OutOfMemory,
    /// The server cannot write to its disk.
    #[strum(serialize = "MISCONF")]
    DiskFailed,
    /// The server is a replica.
    #[strum(serialize = "READONLY")]
    ReadOnly,
    /// Fewer replicas are connected than `min-replicas-to-write` requires.
    #[strum(serialize = "NOREPLICAS")]
    NoReplicas,
    /// Not every slot of the cluster has a primary.
    #[strum(serialize = "CLUSTERDOWN")]
    ClusterDown,
    /// Another code.
    #[strum(default)]
    Other(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_displays_as_it_was_parsed() {
        for code in ["NOAUTH", "LOADING", "OOM", "READONLY", "CLUSTERDOWN", "TRYAGAIN"] {
            let refusal: ServerRefusal = code.parse().unwrap();
            assert_eq!(refusal.to_string(), code);
            assert_eq!(OutageCause::Refused(refusal).to_string(), code);
        }
        assert_eq!("READONLY".parse(), Ok(ServerRefusal::ReadOnly));
        assert_eq!(StoreError::from(OutageCause::Timeout).to_string(), "the store is unavailable: no answer in time");
    }
}
