//! What concerns Redis alone: keys, connections, permissions, outages, TLS and settings.

mod connections;
mod failovers;
pub(crate) mod keys;
mod outages;
mod permissions;
mod setup;
mod tls;
