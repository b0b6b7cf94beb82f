//! A store that records which values are written; everything else is the memory store's.

use async_trait::async_trait;

use super::*;
use crate::store::{Memory, SwapOutcome};

/// A memory store that records every attempt to write a value.
#[derive(Default)]
pub(super) struct RecordingStore {
    pub(super) memory: Memory,
    writes: Mutex<Vec<String>>,
    /// Delay between reading several values and returning them, as a slow network has it.
    delay: Duration,
    /// Delay between a write and its answer.
    write_delay: Duration,
}

impl RecordingStore {
    pub(super) fn with_delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    pub(super) fn with_write_delay(write_delay: Duration) -> Self {
        Self { write_delay, ..Self::default() }
    }

    /// The names of the written values, in the order of the attempts.
    pub(super) fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }
}

#[async_trait]
impl Values for RecordingStore {
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let found = self.memory.values(names).await;
        if names.len() > 1 {
            tokio::time::sleep(self.delay).await;
        }
        found
    }
    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError> {
        self.writes.lock().unwrap().push(name.to_owned());
        let outcome = self.memory.compare_and_swap(name, before, after, ttl).await;
        tokio::time::sleep(self.write_delay).await;
        outcome
    }
}
