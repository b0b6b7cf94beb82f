//! From errors of redis-rs to [`OutageCause`].

use std::error::Error;
use std::io;
use std::sync::Arc;

use deadpool_redis::redis::{ErrorKind, RedisError};

use crate::store::error::{OutageCause, ServerRefusal};

/// Classifies an error, without the text of the server: that may repeat keys, addresses or passwords.
pub(super) fn outage_cause(error: &RedisError) -> OutageCause {
    if error.is_timeout() {
        OutageCause::Timeout
    } else if error.is_connection_refusal() {
        OutageCause::ConnectionRefused
    } else if is_untrusted_certificate(error) {
        OutageCause::UntrustedCertificate
    } else if error.is_io_error() {
        OutageCause::ConnectionLost
    } else if let Some(refusal) = refusal(error) {
        OutageCause::Refused(refusal)
    } else if error.kind() == ErrorKind::AuthenticationFailed {
        OutageCause::LoginFailed
    } else {
        OutageCause::Client(error.category().to_owned())
    }
}

/// Whether the server is a replica now. Before Redis 7 the error of a script shows it only in its text.
pub(super) fn is_read_only(error: &RedisError) -> bool {
    error.code() == Some("READONLY") || error.detail().is_some_and(|detail| detail.contains("READONLY "))
}

/// Whether the server lacks the replicas that `min-replicas-to-write` requires.
pub(super) fn has_no_replicas(error: &RedisError) -> bool {
    error.code() == Some("NOREPLICAS") || error.detail().is_some_and(|detail| detail.contains("NOREPLICAS "))
}

fn refusal(error: &RedisError) -> Option<ServerRefusal> {
    let code = error.code().filter(|code| code.len() <= 16 && code.bytes().all(|b| b.is_ascii_uppercase()))?;
    code.parse().ok()
}

fn is_untrusted_certificate(error: &RedisError) -> bool {
    // redis-rs shares its sources in an `Arc`, and rustls' error is inside an `io::Error`.
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    let tls = io.and_then(io::Error::get_ref).and_then(|tls| tls.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}
