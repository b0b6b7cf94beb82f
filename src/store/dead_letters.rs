//! [`DeadLetters`]: the webhooks that no receiver has taken, by app.
//!
//! A list finds them; the records hold them. An entry is added before its record says so and outlives a replay, so a reader
//! asks the record too.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;
use crate::time::Timestamp;
use crate::verification::WebhookId;

/// A webhook that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetter {
    /// When it was given up.
    pub at: Timestamp,
    /// Its id.
    pub id: WebhookId,
}

/// The lists of given-up webhooks.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Adds an entry to an app's list, or gives it a new time, and removes those that are older than `ttl`.
    async fn add_dead_letter(&self, app: &str, letter: DeadLetter, ttl: Duration) -> Result<(), StoreError>;

    /// Reads some entries of an app's list, newest first, all of them older than `before`.
    async fn dead_letters(
        &self,
        app: &str,
        before: Option<DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
}
