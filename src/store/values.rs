//! [`Values`]: small values by name, apart from all verifications.
//!
//! Learned routes, answers to idempotency keys and nonces of callbacks. All of them may be lost.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;

/// The result of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwapOutcome {
    /// The store holds the new value.
    Written,
    /// The store holds this other value, or none; nothing changed.
    Changed(Option<Vec<u8>>),
}

/// Reads and swaps small values. A name contains no number, address or secret.
#[async_trait]
pub trait Values: Send + Sync + 'static {
    /// Reads several values, in the order of `names`; `None` where there is none.
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Writes `after` for `ttl` if the value is still `before`; `None` means that there is no value.
    ///
    /// If the store holds `after` already it answers `Written`, so that a retry is safe.
    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError>;
}
