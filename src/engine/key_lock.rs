//! [`KeyLock`]: within this process, one change of a verification at a time.
//!
//! The store resolves conflicts, but under contention each optimistic round commits one change, and the others retry
//! until their clients time out. The lock is for speed only: a caller that waits too long goes ahead, and a commit
//! detects what another replica has changed.
//!
//! What the store tells the holder, it tells all callers that were waiting when the holder asked ([`KeyGuard::share`]).
//! So a thousand guesses at one verification that has ended cost one exchange, and not one each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::EngineError;
use crate::store::{OutageCause, StoreError};
use crate::verification::VerificationId;

/// The longest wait for the lock: about as long as a client waits for an answer.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest wait of a reader.
const READ_WAIT_MAX: Duration = Duration::from_millis(100);

/// Holders in a row for whom the store fails before their successors are failed as well. One slow answer is no outage.
const FAILURES_MAX: u32 = 2;

/// One queue for each verification that is being changed. `T` is what the store tells of one.
pub(super) struct KeyLock<T>(Mutex<HashMap<VerificationId, Arc<Queue<T>>>>);

struct Queue<T> {
    turn: Arc<Semaphore>,
    failures: AtomicU32,
    /// What the store told a holder last, and when that holder asked.
    told: Mutex<Option<(Instant, T)>>,
}

/// The lock of one verification, held until dropped.
pub(super) struct KeyGuard<'a, T> {
    locks: &'a KeyLock<T>,
    id: VerificationId,
    /// When the caller began to wait.
    arrived_at: Instant,
    queue: Option<Arc<Queue<T>>>,
    held: Option<OwnedSemaphorePermit>,
}

/// The store failed for the callers that held the lock before.
#[derive(Debug)]
pub(super) struct StoreFailed;

impl From<StoreFailed> for EngineError {
    fn from(_: StoreFailed) -> Self {
        StoreError::Unavailable(OutageCause::PredecessorFailed).into()
    }
}

impl<T> Default for KeyLock<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), failures: AtomicU32::new(0), told: Mutex::new(None) }
    }

    fn told(&self) -> MutexGuard<'_, Option<(Instant, T)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> KeyLock<T> {
    /// Waits for the lock, at most [`WAIT_MAX`]. After that the guard is returned without holding it.
    ///
    /// # Errors
    /// When the store failed for [`FAILURES_MAX`] holders in a row: each waiter would wait for the store in turn.
    pub(super) async fn acquire(&self, id: VerificationId) -> Result<KeyGuard<'_, T>, StoreFailed> {
        let arrived_at = Instant::now();
        let queue = Arc::clone(self.queues().entry(id).or_insert_with(|| Arc::new(Queue::new())));
        let turn = Arc::clone(&queue.turn);
        let mut guard = KeyGuard { locks: self, id, arrived_at, queue: Some(queue), held: None };
        guard.held = match tokio::time::timeout(WAIT_MAX, turn.acquire_owned()).await {
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

    fn queues(&self) -> MutexGuard<'_, HashMap<VerificationId, Arc<Queue<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> KeyGuard<'_, T> {
    /// Records that the store failed for this caller. After the next such caller every caller that waits fails.
    pub(super) fn store_failed(&self) {
        if let Some(queue) = &self.queue
            && queue.failures.fetch_add(1, Ordering::AcqRel) + 1 >= FAILURES_MAX
        {
            queue.turn.close();
        }
    }

    /// Tells the callers that were waiting at `asked_at` what the store has said since.
    pub(super) fn share(&self, asked_at: Instant, told: T) {
        if let Some(queue) = &self.queue {
            queue.failures.store(0, Ordering::Release);
            *queue.told() = Some((asked_at, told));
        }
    }
}

impl<T: Clone> KeyGuard<'_, T> {
    /// What the store has said since this caller began to wait: as good as an answer of its own.
    pub(super) fn shared(&self) -> Option<T> {
        let told = self.queue.as_ref()?.told();
        told.as_ref().filter(|(asked_at, _)| *asked_at >= self.arrived_at).map(|(_, told)| told.clone())
    }
}

impl<T> Drop for KeyGuard<'_, T> {
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
        let locks = KeyLock::<u8>::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        assert!(first.held.is_some() && locks.acquire(IDS[1]).await.unwrap().held.is_some());
        let (second, ()) = tokio::join!(locks.acquire(IDS[0]), async { drop(first) });
        assert!(second.unwrap().held.is_some());
        assert!(locks.queues().is_empty());
    }

    #[tokio::test]
    async fn a_store_that_fails_twice_fails_every_waiting_caller() {
        let locks = KeyLock::<u8>::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        let fail = async |lock: Result<KeyGuard<'_, u8>, StoreFailed>| lock.map(|lock| lock.store_failed());
        let (second, third, fourth, ()) = tokio::join!(
            async { fail(locks.acquire(IDS[0]).await).await },
            async { fail(locks.acquire(IDS[0]).await).await },
            async { fail(locks.acquire(IDS[0]).await).await },
            async { fail(Ok(first)).await.unwrap() },
        );
        assert!(second.is_ok(), "one failure is no outage");
        assert!(third.is_err() && fourth.is_err());
        assert!(locks.acquire(IDS[0]).await.unwrap().held.is_some(), "the next caller queues as usual");
        assert!(locks.queues().is_empty());
    }

    #[tokio::test]
    async fn what_the_store_says_is_told_to_those_who_were_waiting_when_it_was_asked() {
        let locks = KeyLock::<u8>::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        assert_eq!(first.shared(), None);
        let asked_at = Instant::now() + Duration::from_millis(1);
        let (waiting, late) = (locks.acquire(IDS[0]), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            locks.acquire(IDS[0]).await
        });
        let (waiting, late, ()) =
            tokio::join!(async { waiting.await.unwrap().shared() }, async { late.await.unwrap().shared() }, async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                first.share(asked_at, 7);
                drop(first);
            },);
        assert_eq!((waiting, late), (Some(7), None));
    }

    #[tokio::test]
    async fn a_canceled_wait_leaves_no_queue_behind() {
        let locks = KeyLock::<u8>::default();
        let first = locks.acquire(IDS[0]).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(1), locks.acquire(IDS[0])).await.is_err());
        drop(first);
        assert!(locks.queues().is_empty());
    }
}
