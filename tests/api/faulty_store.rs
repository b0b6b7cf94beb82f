//! [`FaultyStore`]: the embedded store, which fails, delays or counts on demand.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use phlo_2fa::store::{
    Claimed, Commit, CommitOutcome, Counters, DeadLetter, DeadLetters, Erasure, ErasureOutcome, Increment,
    IncrementOutcome, Links, Listed, Loaded, Memory, NonceClaim, NumberIndex, NumberKey, OutageCause, PageRequest,
    PendingReport, Records, ReportTarget, ServerRefusal, Store, StoreError, SwapOutcome, Values,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{AttemptRef, VerificationId};
use tokio::sync::Notify;

/// The embedded store, with faults that a test switches on.
#[derive(Default)]
pub(crate) struct FaultyStore {
    pub(crate) memory: Memory,
    pub(crate) away: AtomicBool,
    /// Commits fail; everything else works.
    pub(crate) takes_no_commit: AtomicBool,
    /// Commits are made, but answered only after this is false again.
    pub(crate) is_slow: AtomicBool,
    /// The next value to be replaced expires first.
    pub(crate) loses_a_value: AtomicBool,
    /// The next commit is made, but answered only after [`answer_commit`](Self::answer_commit).
    pub(crate) holds_commit: AtomicBool,
    /// The next commit is held too, but not made: the record may be stale.
    pub(crate) is_stale: AtomicBool,
    /// The next commit with a link is answered as if the link's node were away.
    pub(crate) refuses_a_link: AtomicBool,
    /// A load takes as long as over a network, so that concurrent changes load the same revision.
    pub(crate) loads_slowly: AtomicBool,
    /// The number of requests so far.
    pub(crate) asked: AtomicUsize,
    /// The number of refused requests to add to counters.
    pub(crate) increments_refused: AtomicUsize,
    /// The number of commits that met another revision.
    pub(crate) conflicts: AtomicUsize,
    commit_held: Notify,
    commit_answer: Notify,
}

impl FaultyStore {
    /// Waits until a commit is held.
    pub(crate) async fn commit_held(&self) {
        self.commit_held.notified().await;
    }

    /// Lets the held commit be answered.
    pub(crate) fn answer_commit(&self) {
        self.commit_answer.notify_one();
    }

    async fn hold_commit(&self) {
        self.commit_held.notify_one();
        self.commit_answer.notified().await;
    }

    fn there(&self) -> Result<&Memory, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let away = self.away.load(Ordering::SeqCst);
        if away { Err(StoreError::Unavailable(OutageCause::ConnectionLost)) } else { Ok(&self.memory) }
    }
}

#[async_trait]
impl Records for FaultyStore {
    async fn load(&self, id: VerificationId) -> Result<Option<Loaded>, StoreError> {
        let stored = self.there()?.load(id).await;
        if self.loads_slowly.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stored
    }
    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        if self.takes_no_commit.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable(OutageCause::Refused(ServerRefusal::OutOfMemory)));
        }
        if self.is_stale.swap(false, Ordering::SeqCst) {
            self.hold_commit().await;
            return Ok(CommitOutcome::PossiblyStale);
        }
        if !commit.links.is_empty() && self.refuses_a_link.swap(false, Ordering::SeqCst) {
            return Ok(CommitOutcome::LinksUnavailable);
        }
        let outcome = self.there()?.commit(commit).await;
        if let Ok(CommitOutcome::Changed(_)) = outcome {
            self.conflicts.fetch_add(1, Ordering::SeqCst);
        }
        if self.holds_commit.swap(false, Ordering::SeqCst) {
            self.hold_commit().await;
        }
        while self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        outcome
    }
    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<Loaded>, StoreError> {
        self.there()?.load_many(ids).await
    }
    async fn number_index(&self, number: NumberKey) -> Result<NumberIndex, StoreError> {
        self.there()?.number_index(number).await
    }
    async fn is_verified(&self, number: NumberKey) -> Result<bool, StoreError> {
        self.there()?.is_verified(number).await
    }
    async fn forget_verified(&self, numbers: &[NumberKey]) -> Result<(), StoreError> {
        self.there()?.forget_verified(numbers).await
    }
    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError> {
        self.there()?.erase(erasure).await
    }
    async fn list(&self, query: &PageRequest<'_>) -> Result<Listed, StoreError> {
        self.there()?.list(query).await
    }
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.there()?.claim_due(now, lease, limit).await
    }
}

#[async_trait]
impl Counters for FaultyStore {
    async fn increment(&self, increments: &[Increment], now: Timestamp) -> Result<IncrementOutcome, StoreError> {
        let there = self.there();
        self.increments_refused.fetch_add(usize::from(there.is_err()), Ordering::SeqCst);
        there?.increment(increments, now).await
    }
}

#[async_trait]
impl Links for FaultyStore {
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError> {
        self.there()?.link(provider_id, to, ttl).await
    }
    async fn find_or_keep(&self, provider_id: &str, report: &PendingReport) -> Result<Option<AttemptRef>, StoreError> {
        self.there()?.find_or_keep(provider_id, report).await
    }
    async fn claim_then_find_or_keep(
        &self,
        nonce: &NonceClaim,
        provider_id: &str,
        report: &PendingReport,
    ) -> Result<ReportTarget, StoreError> {
        self.there()?.claim_then_find_or_keep(nonce, provider_id, report).await
    }
    async fn linked(&self, provider_id: &str) -> Result<Option<AttemptRef>, StoreError> {
        self.there()?.linked(provider_id).await
    }
    async fn forget_pending(&self, provider_id: &str) -> Result<(), StoreError> {
        self.there()?.forget_pending(provider_id).await
    }
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        self.there()?.unlink(provider_id, of).await
    }
}

#[async_trait]
impl Values for FaultyStore {
    async fn values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.there()?.values(names).await
    }
    async fn compare_and_swap(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        ttl: Duration,
    ) -> Result<SwapOutcome, StoreError> {
        let memory = self.there()?;
        if before.is_some() && self.loses_a_value.swap(false, Ordering::SeqCst) {
            memory.compare_and_swap(name, before, b"lost", Duration::from_millis(1)).await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        memory.compare_and_swap(name, before, after, ttl).await
    }
}

#[async_trait]
impl DeadLetters for FaultyStore {
    async fn add_dead_letter(&self, app: &str, letter: DeadLetter, ttl: Duration) -> Result<(), StoreError> {
        self.there()?.add_dead_letter(app, letter, ttl).await
    }
    async fn dead_letters(
        &self,
        app: &str,
        before: Option<DeadLetter>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.there()?.dead_letters(app, before, limit).await
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.there()?.now().await
    }
    async fn probe(&self) -> Result<(), StoreError> {
        self.there()?.probe().await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.there()?.ping().await
    }
}
