//! [`Turns`]: within this process, one change of a verification at a time.
//!
//! The store would sort them out, but each round of a thousand at once lets one through and turns the others
//! back, who all load and decide again. This is for speed only: whoever waits too long goes ahead, and what
//! another replica does meanwhile is met by the commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::verification::VerificationId;

/// A store that is away lets everybody wait for itself; not for each other as well.
const WAIT_MAX: Duration = Duration::from_millis(500);

type Queue = Arc<tokio::sync::Mutex<()>>;

/// Who is at which verification.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<VerificationId, Queue>>);

/// Somebody's turn, until dropped.
pub struct Turn<'a> {
    turns: &'a Turns,
    id: VerificationId,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for one's turn, but not for ever.
    pub async fn take(&self, id: VerificationId) -> Turn<'_> {
        let mut turn = Turn { turns: self, id, held: None };
        let queue = Arc::clone(self.queues().entry(id).or_default());
        turn.held = tokio::time::timeout(WAIT_MAX, queue.lock_owned()).await.ok();
        turn
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<VerificationId, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut queues = self.turns.queues();
        // Under the lock nobody joins: the queue that only the map knows of is empty.
        if queues.get(&self.id).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nobody_waits_for_ever() {
        let (turns, id) = (Turns::default(), VerificationId::new(0, rand::random()));
        let first = turns.take(id).await;
        let other = turns.take(VerificationId::new(0, rand::random())).await;
        assert!(first.held.is_some() && other.held.is_some());
        let second = turns.take(id).await;
        assert!(second.held.is_none(), "it goes ahead all the same");
        drop(first);
        assert!(turns.take(id).await.held.is_some());
        drop((second, other));
        assert!(turns.queues().is_empty());
    }

    #[tokio::test]
    async fn whoever_leaves_the_queue_leaves_nothing_behind() {
        let (turns, id) = (Turns::default(), VerificationId::new(0, rand::random()));
        let first = turns.take(id).await;
        assert!(tokio::time::timeout(Duration::from_millis(1), turns.take(id)).await.is_err());
        drop(first);
        assert!(turns.queues().is_empty());
    }
}
