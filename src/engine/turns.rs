//! [`Turns`]: within this process, one change of a verification at a time.
//!
//! The store would sort them out, but each round of a thousand at once lets one through and turns the others
//! back, who all load and decide again, until its answers come too late. This is for speed only: whoever waits
//! too long goes ahead, and what another replica does meanwhile is met by the commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::StoreError;
use crate::verification::VerificationId;

/// About as long as somebody waits for an answer.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Who has waited longer than this for somebody whom the store did not answer has waited for the store: asking it
/// again would be a second wait of the same length, and "within a second" would be two.
const PATIENCE: Duration = Duration::from_millis(250);

/// Who is at which verification.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<VerificationId, Arc<Semaphore>>>);

/// Somebody's turn, until dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    id: VerificationId,
    queue: Option<Arc<Semaphore>>,
    held: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for one's turn, but not for ever.
    ///
    /// # Errors
    /// When the store has kept somebody else waiting meanwhile, and did not answer.
    pub async fn take(&self, id: VerificationId) -> Result<Turn<'_>, StoreError> {
        let since = Instant::now();
        let queue = Arc::clone(self.queues().entry(id).or_insert_with(|| Arc::new(Semaphore::new(1))));
        let mut turn = Turn { turns: self, id, queue: Some(Arc::clone(&queue)), held: None };
        match tokio::time::timeout(WAIT_MAX, queue.acquire_owned()).await {
            Ok(Ok(held)) => turn.held = Some(held),
            Ok(Err(_)) if since.elapsed() > PATIENCE => {
                return Err(StoreError::Unavailable("no answer to the change before this one".to_owned()));
            }
            Ok(Err(_)) | Err(_) => {}
        }
        Ok(turn)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<VerificationId, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Sends everybody who waits ahead: a store that is away is waited for side by side, not one by one.
    pub fn send_all_ahead(&self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut queues = self.turns.queues();
        self.queue = None;
        // Under the lock nobody joins: the queue that only the map knows of is empty.
        if queues.get(&self.id).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> VerificationId {
        VerificationId::new(0, n)
    }

    #[tokio::test]
    async fn one_at_a_time_of_each() {
        let (turns, id, other) = (Turns::default(), id(1), id(2));
        let first = turns.take(id).await.unwrap();
        assert!(first.held.is_some() && turns.take(other).await.unwrap().held.is_some());
        let (second, ()) = tokio::join!(turns.take(id), async { drop(first) });
        let second = second.unwrap();
        assert!(second.held.is_some());
        drop(second);
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn when_the_store_is_away_nobody_waits() {
        let (turns, id) = (Turns::default(), id(1));
        let (first, start) = (turns.take(id).await.unwrap(), Instant::now());
        let (second, ()) = tokio::join!(turns.take(id), async { first.send_all_ahead() });
        let second = second.unwrap();
        let third = turns.take(id).await.unwrap();
        assert!(second.held.is_none() && third.held.is_none() && start.elapsed() < WAIT_MAX);
        drop((first, second, third));
        assert!(turns.take(id).await.unwrap().held.is_some(), "and then in turns again");
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_twice_for_a_store_that_is_away() {
        let (turns, id) = (Turns::default(), id(1));
        let first = turns.take(id).await.unwrap();
        let hang = async {
            tokio::time::sleep(PATIENCE + Duration::from_millis(50)).await;
            first.send_all_ahead();
        };
        let (second, ()) = tokio::join!(turns.take(id), hang);
        assert!(second.is_err());
        drop(first);
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_leaves_nothing_behind() {
        let (turns, id) = (Turns::default(), id(1));
        let first = turns.take(id).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(1), turns.take(id)).await.is_err());
        drop(first);
        assert!(turns.queues().is_empty());
    }
}
