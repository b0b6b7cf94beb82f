//! [`Turns`]: within this process, one change of a verification at a time.
//!
//! The store would sort them out, but each round of a thousand at once lets one through and turns the others
//! back, who all load and decide again, until its answers come too late. This is for speed only: whoever waits
//! too long goes ahead, and what another replica does meanwhile is met by the commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::verification::VerificationId;

/// About as long as somebody waits for an answer.
const WAIT_MAX: Duration = Duration::from_secs(5);

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

/// The store failed whoever was before us.
#[derive(Debug)]
pub struct StoreIsAway;

impl Turns {
    /// Waits for one's turn, but not for ever.
    ///
    /// # Errors
    /// When the store failed meanwhile: waiting for it in turn would take as many times as long.
    pub async fn take(&self, id: VerificationId) -> Result<Turn<'_>, StoreIsAway> {
        let queue = Arc::clone(self.queues().entry(id).or_insert_with(|| Arc::new(Semaphore::new(1))));
        let mut turn = Turn { turns: self, id, queue: Some(Arc::clone(&queue)), held: None };
        turn.held = match tokio::time::timeout(WAIT_MAX, queue.acquire_owned()).await {
            Ok(Ok(permit)) => Some(permit),
            Ok(Err(_)) => return Err(StoreIsAway),
            Err(_) => None,
        };
        Ok(turn)
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<VerificationId, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Tells everybody who waits that the store is away.
    pub fn store_is_away(&self) {
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

    const IDS: [VerificationId; 2] = [VerificationId::new(0, 1), VerificationId::new(0, 2)];

    #[tokio::test]
    async fn one_at_a_time_of_each() {
        let turns = Turns::default();
        let first = turns.take(IDS[0]).await.unwrap();
        assert!(first.held.is_some() && turns.take(IDS[1]).await.unwrap().held.is_some());
        let (second, ()) = tokio::join!(turns.take(IDS[0]), async { drop(first) });
        assert!(second.unwrap().held.is_some());
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn when_the_store_is_away_nobody_waits_on() {
        let turns = Turns::default();
        let first = turns.take(IDS[0]).await.unwrap();
        let (second, third, ()) = tokio::join!(turns.take(IDS[0]), turns.take(IDS[0]), async { first.store_is_away() });
        assert!(second.is_err() && third.is_err());
        drop(first);
        assert!(turns.take(IDS[0]).await.unwrap().held.is_some(), "and then in turns again");
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take(IDS[0]).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(1), turns.take(IDS[0])).await.is_err());
        drop(first);
        assert!(turns.queues().is_empty());
    }
}
