//! [`KeyLock`]: within this process, one change of a verification at a time.
//!
//! The store resolves conflicts, but under contention each optimistic round commits one change, and the others retry
//! until their clients time out. The lock is for speed only: a caller that waits too long goes ahead, and a commit
//! detects what another replica has changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::EngineError;
use crate::store::{OutageCause, StoreError};
use crate::verification::VerificationId;

/// The longest wait for the lock: about as long as a client waits for an answer.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest wait of a reader.
const READ_WAIT_MAX: Duration = Duration::from_millis(100);

/// One queue for each verification that is being changed.
#[derive(Default)]
pub(super) struct KeyLock(Mutex<HashMap<VerificationId, Arc<Semaphore>>>);

/// The lock of one verification, held until dropped.
pub(super) struct KeyGuard<'a> {
    locks: &'a KeyLock,
    id: VerificationId,
    queue: Option<Arc<Semaphore>>,
    held: Option<OwnedSemaphorePermit>,
}

/// The store failed for the caller that held the lock before.
#[derive(Debug)]
pub(super) struct StoreFailed;

impl From<StoreFailed> for EngineError {
    fn from(_: StoreFailed) -> Self {
        StoreError::Unavailable(OutageCause::PredecessorFailed).into()
    }
}

impl KeyLock {
    /// Waits for the lock, at most [`WAIT_MAX`]. After that the guard is returned without holding it.
    ///
    /// # Errors
    /// When the store failed for the holder: each waiter would wait for the store in turn.
    pub(super) async fn acquire(&self, id: VerificationId) -> Result<KeyGuard<'_>, StoreFailed> {
        let queue = Arc::clone(self.queues().entry(id).or_insert_with(|| Arc::new(Semaphore::new(1))));
        let mut guard = KeyGuard { locks: self, id, queue: Some(Arc::clone(&queue)), held: None };
        guard.held = match tokio::time::timeout(WAIT_MAX, queue.acquire_owned()).await {
            Ok(Ok(permit)) => Some(permit),
            Ok(Err(_)) => return Err(StoreFailed),
            Err(_) => None,
        };
        Ok(guard)
    }

    /// Waits for a change that holds the lock now, but not long: a reader may see the state before it. Rarely there is
    /// one, so this costs one look-up.
    pub(super) async fn wait_briefly(&self, id: VerificationId) {
        let is_held = self.queues().contains_key(&id);
        if is_held {
            let _ = tokio::time::timeout(READ_WAIT_MAX, self.acquire(id)).await;
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<VerificationId, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyGuard<'_> {
    /// Fails every caller that waits for this lock.
    pub(super) fn store_failed(&self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

impl Drop for KeyGuard<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut queues = self.locks.queues();
        self.queue = None;
        // No caller can join while the map is locked, so a queue that only the map refers to is empty.
        if queues.get(&self.id).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [VerificationId; 2] = [VerificationId::new(0, 1), VerificationId::new(0, 2)];

    #[tokio::test]
    async fn one_caller_at_a_time_holds_the_lock_of_an_id() {
        let locks = KeyLock::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        assert!(first.held.is_some() && locks.acquire(IDS[1]).await.unwrap().held.is_some());
        let (second, ()) = tokio::join!(locks.acquire(IDS[0]), async { drop(first) });
        assert!(second.unwrap().held.is_some());
        assert!(locks.queues().is_empty());
    }

    #[tokio::test]
    async fn a_failed_store_fails_every_waiting_caller() {
        let locks = KeyLock::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        let (second, third, ()) =
            tokio::join!(locks.acquire(IDS[0]), locks.acquire(IDS[0]), async { first.store_failed() });
        assert!(second.is_err() && third.is_err());
        drop(first);
        assert!(locks.acquire(IDS[0]).await.unwrap().held.is_some(), "the next caller queues as usual");
        assert!(locks.queues().is_empty());
    }

    #[tokio::test]
    async fn a_canceled_wait_leaves_no_queue_behind() {
        let locks = KeyLock::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(1), locks.acquire(IDS[0])).await.is_err());
        drop(first);
        assert!(locks.queues().is_empty());
    }
}
