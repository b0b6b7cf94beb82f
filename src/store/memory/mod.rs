//! [`Memory`]: the embedded back end. It serves one process, loses everything on restart, and refuses what Redis would.
//!
//! Everything is behind one lock that is never held across an await, so that each method is atomic.

mod counters;
mod dead_letters;
mod expiring;
mod links;
mod records;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::counters::CounterTable;
use self::expiring::ExpiringMap;
use self::records::RecordTable;
use super::dead_letters::DeadLetter;
use super::error::StoreError;
use super::links::PendingReport;
use super::{AttemptRef, Store};
use crate::time::Timestamp;

/// A store inside this process.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: RecordTable,
    counters: CounterTable,
    links: ExpiringMap<String, AttemptRef>,
    pending: ExpiringMap<String, Vec<PendingReport>>,
    values: ExpiringMap<String, Vec<u8>>,
    dead_letters: BTreeMap<String, BTreeSet<DeadLetter>>,
}

impl Memory {
    /// Everything that has not expired.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock();
        state.records.expire(now);
        state.counters.expire(now);
        state.links.expire(now);
        state.pending.expire(now);
        state.values.expire(now);
        state
    }
}

#[expect(clippy::disallowed_methods, reason = "this store's clock is the one that all others follow")]
fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Store for Memory {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(clock())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
