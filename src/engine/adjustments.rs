//! Adjustments of counters that no request waits for: credits of successes, corrections of costs. They are added in
//! batches, so that a check costs no exchange of its own for them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug;

use super::Engine;
use super::advances::Charges;
use crate::store::{Increment, NumberKey, OutageCause, StoreError};

/// How long adjustments wait for each other. A killed process loses no more than these.
const BATCH: Duration = Duration::from_millis(250);
/// How long they wait after the store has failed.
const RETRY: Duration = Duration::from_secs(1);
/// Counters adjusted by one request.
const AT_ONCE: usize = 64;

/// The adjustments that are not in the store yet, by counter.
#[derive(Default)]
pub(super) struct Adjustments(Mutex<HashMap<String, Increment>>);

impl Adjustments {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Increment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one, and returns whether it is the first of a batch.
    fn add(&self, increment: Increment) -> bool {
        let mut waiting = self.waiting();
        let is_first = waiting.is_empty();
        match waiting.entry(increment.counter.clone()) {
            Entry::Occupied(mut same) => same.get_mut().amount += increment.amount,
            Entry::Vacant(free) => {
                free.insert(increment);
            }
        }
        is_first
    }
}

impl Engine {
    /// Adds to counters with the next batch.
    pub(super) fn adjust_later(&self, increments: impl Iterator<Item = Increment>) {
        let adjustments = &self.inner.adjustments;
        // Folded, not short-circuited: each must be added.
        if increments.fold(false, |is_first, increment| adjustments.add(increment) | is_first) {
            let engine = self.clone();
            self.spawn_detached(async move { engine.add_batches().await });
        }
    }

    async fn add_batches(&self) {
        let mut pause = BATCH;
        loop {
            let is_closing = tokio::select! {
                () = tokio::time::sleep(pause) => false,
                () = self.parts.closing.cancelled() => true,
            };
            if self.add_adjustments().await || is_closing {
                return;
            }
            pause = RETRY;
        }
    }

    /// Adds what waits now, and returns whether nothing is left.
    async fn add_adjustments(&self) -> bool {
        let waiting: Vec<Increment> =
            self.inner.adjustments.waiting().drain().map(|(_, increment)| increment).collect();
        let mut is_all = true;
        for some in waiting.chunks(AT_ONCE) {
            for left in self.add_or_return(some).await {
                self.inner.adjustments.add(left);
                is_all = false;
            }
        }
        is_all
    }

    /// Adds what waits for the counter of this charge: a credit may make room in a full counter.
    ///
    /// Returns whether the counter has changed.
    pub(super) async fn has_settled(&self, charges: &Charges, index: usize, number: NumberKey) -> bool {
        let increments = self.increments_of(charges, number);
        let counter = increments.get(index).map(|increment| &increment.counter);
        let Some(waiting) = counter.and_then(|counter| self.inner.adjustments.waiting().remove(counter)) else {
            return false;
        };
        let left = self.add_or_return(std::slice::from_ref(&waiting)).await;
        let is_added = left.is_empty();
        self.adjust_later(left.into_iter());
        is_added
    }

    /// Adds to counters, and returns what the store did not take, to be added later.
    async fn add_or_return(&self, increments: &[Increment]) -> Vec<Increment> {
        let added = match self.now().await {
            Ok(now) => self.parts.store.increment(increments, now).await.map(|_| ()),
            Err(error) => Err(error),
        };
        let Err(error) = added else { return Vec::new() };
        debug!(%error, "the counters of the limits could not be adjusted");
        // After a timeout they may have been added. To add a credit twice would widen a limit.
        let may_be_added = matches!(error, StoreError::Unavailable(OutageCause::Timeout));
        increments.iter().filter(|increment| !may_be_added || increment.amount > 0).cloned().collect()
    }
}
