//! What concerns Redis alone: keys, connections, permissions, outages, TLS and settings.

mod connections;
pub(crate) mod keys;
mod outages;
mod permissions;
mod setup;
mod tls;
