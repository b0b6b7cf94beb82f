//! A store that records which memos are written; everything else is the memory store's.

use async_trait::async_trait;

use super::*;
use crate::store::{
    Claimed, Commit, Count, Cursor, Erased, Erasure, Memory, NumberKey, Outcome, Parked, Stored, Swap, Taken,
};
use crate::time::Timestamp;
use crate::verification::{AttemptRef, VerificationId};

/// A memory store that records every attempt to write a memo.
#[derive(Default)]
pub(super) struct Memos {
    pub(super) memory: Memory,
    writes: Mutex<Vec<String>>,
    /// Delay between reading several memos and returning them, as a slow network has it.
    delay: Duration,
}

impl Memos {
    pub(super) fn with_delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// The names of the memos, in the order of the attempts.
    pub(super) fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }
}

#[async_trait]
impl Store for Memos {
    async fn memos(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let found = self.memory.memos(names).await;
        if names.len() > 1 {
            tokio::time::sleep(self.delay).await;
        }
        found
    }
    async fn swap_memo(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.writes.lock().unwrap().push(name.to_owned());
        self.memory.swap_memo(name, before, after, keep).await
    }
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.memory.now().await
    }
    async fn load(&self, id: VerificationId) -> Result<Option<Stored>, StoreError> {
        self.memory.load(id).await
    }
    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, Stored)>, StoreError> {
        self.memory.load_many(ids).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError> {
        self.memory.commit(commit).await
    }
    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        self.memory.newest(number).await
    }
    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        self.memory.guesses(number).await
    }
    async fn take(&self, counts: &[Count], unless: Option<NumberKey>, now: Timestamp) -> Result<Taken, StoreError> {
        self.memory.take(counts, unless, now).await
    }
    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        self.memory.list(app, shard, before, limit).await
    }
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.memory.claim_due(now, lease, limit).await
    }
    async fn link(&self, provider_id: &str, to: AttemptRef, keep: Duration) -> Result<Vec<Parked>, StoreError> {
        self.memory.link(provider_id, to, keep).await
    }
    async fn find_or_park(&self, provider_id: &str, report: &Parked) -> Result<Option<AttemptRef>, StoreError> {
        self.memory.find_or_park(provider_id, report).await
    }
    async fn unpark(&self, provider_id: &str) -> Result<(), StoreError> {
        self.memory.unpark(provider_id).await
    }
    async fn erase(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        self.memory.erase(erasure).await
    }
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        self.memory.unlink(provider_id, of).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.memory.ping().await
    }
}
