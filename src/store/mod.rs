//! The store: where verifications live between two events.
//!
//! Five small traits say what the store does: [`Records`], [`Counters`], [`Links`], [`Values`] and [`DeadLetters`]. Two back ends
//! implement them: [`Memory`], for one process and lost on restart, and [`redis`], which replicas share.
//! [`Store`] joins the traits, so that callers hold one `Arc<dyn Store>`.
//!
//! Records are sealed before they reach a back end ([`record`]), and keys hold numbers only as keyed hashes.
//! The store decides nothing about a verification, and it starts no timer.

mod counters;
mod dead_letters;
mod error;
mod links;
mod lists;
pub mod lives;
mod memory;
mod number_index;
pub mod record;
mod records;
pub mod redis;
mod values;

use async_trait::async_trait;

pub use self::counters::{Counters, Increment, IncrementOutcome};
pub use self::dead_letters::{DeadLetter, DeadLetters};
pub use self::error::{OutageCause, ServerRefusal, StoreError};
pub use self::links::{Links, NONCE_TTL, NewLink, NonceClaim, PENDING_MAX, PENDING_TTL, PendingReport, ReportTarget};
pub use self::lists::{Cursor, Listed, PageRequest};
pub use self::memory::Memory;
pub use self::number_index::{NumberIndex, PurposeKey};
pub use self::records::{
    Claimed, Commit, CommitMode, CommitOutcome, Erasure, ErasureOutcome, GuessesChange, Loaded, Records, Revision,
    StoredRecord, Version,
};
pub use self::values::{SwapOutcome, Values};
pub use crate::keyring::NumberKey;
use crate::time::Timestamp;
pub use crate::verification::AttemptRef;

/// A complete back end: the five traits and its state.
///
/// A method is one round trip and takes effect wholly or not at all, unless it says otherwise.
#[async_trait]
pub trait Store: Records + Counters + Links + Values + DeadLetters {
    /// Reads the clock of the store, which all replicas share.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Checks that the store answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Checks that the store takes writes, with one of its own: a server that is full, a replica, or without replicas
    /// answers and refuses them.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Describes for an operator what is wrong with the server's settings.
    async fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Prepares for many requests of the current thread, whose runtime is running.
    fn serve_this_thread(&self) {}

    /// Connections of the pool, if there is one: all of them, and those that are idle.
    fn pool(&self) -> Option<(usize, usize)> {
        None
    }
}
