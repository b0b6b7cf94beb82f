//! [`Memory`]: the embedded back end. One process, lost on restart, and otherwise the same refusals.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    AttemptRef, Claimed, Commit, Cursor, NumberKey, Outcome, PARKED_MAX, PARKED_TTL, Parked, Store, StoreError, Stored,
    Swap,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

/// Everything in one process, behind one lock that is never held across an await.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: HashMap<VerificationId, Record>,
    newest: HashMap<NumberKey, VerificationId>,
    due: BTreeSet<(Timestamp, VerificationId)>,
    lists: HashMap<String, BTreeSet<Cursor>>,
    links: HashMap<String, (AttemptRef, Timestamp)>,
    parked: HashMap<String, (Vec<Parked>, Timestamp)>,
    memos: HashMap<String, (Vec<u8>, Timestamp)>,
    /// What expires when, so that forgetting costs as much as remembering did.
    expiries: BTreeSet<(Timestamp, Expiring)>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Expiring {
    Record(VerificationId),
    Link(String),
    Parked(String),
    Memo(String),
}

struct Record {
    stored: Stored,
    app: String,
    number: NumberKey,
    created_at: Timestamp,
    due: Option<Timestamp>,
    gone_at: Timestamp,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(clock());
        state
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the store whose time it is")]
fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl State {
    fn forget(&mut self, now: Timestamp) {
        while let Some((at, what)) = self.expiries.first().cloned()
            && at <= now
        {
            self.expiries.pop_first();
            match what {
                Expiring::Record(id) if self.records.get(&id).is_some_and(|r| r.gone_at <= now) => self.remove(id),
                Expiring::Link(id) if self.links.get(&id).is_some_and(|(_, gone)| *gone <= now) => {
                    self.links.remove(&id);
                }
                Expiring::Parked(id) if self.parked.get(&id).is_some_and(|(_, gone)| *gone <= now) => {
                    self.parked.remove(&id);
                }
                Expiring::Memo(name) if self.memos.get(&name).is_some_and(|(_, gone)| *gone <= now) => {
                    self.memos.remove(&name);
                }
                // It has been written again since, with a later end.
                Expiring::Record(_) | Expiring::Link(_) | Expiring::Parked(_) | Expiring::Memo(_) => {}
            }
        }
    }

    fn remove(&mut self, id: VerificationId) {
        let Some(record) = self.records.remove(&id) else { return };
        if let Some(due) = record.due {
            self.due.remove(&(due, id));
        }
        if self.newest.get(&record.number) == Some(&id) {
            self.newest.remove(&record.number);
        }
        if let Some(list) = self.lists.get_mut(&record.app) {
            list.remove(&Cursor { created_at: record.created_at, id });
        }
    }

    fn set_due(&mut self, id: VerificationId, due: Option<Timestamp>) {
        let Some(record) = self.records.get_mut(&id) else { return };
        if let Some(old) = std::mem::replace(&mut record.due, due) {
            self.due.remove(&(old, id));
        }
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }
}

#[async_trait]
impl Store for Memory {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(clock())
    }

    async fn load(&self, id: VerificationId) -> Result<Option<Stored>, StoreError> {
        Ok(self.state().records.get(&id).map(|r| r.stored.clone()))
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, Stored)>, StoreError> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| Some((*id, state.records.get(id)?.stored.clone()))).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError> {
        let mut state = self.state();
        let revision = commit.expected + 1;
        let current = state.records.get(&commit.id).map(|r| &r.stored);
        if current.is_some_and(|c| c.revision == revision && c.sealed == commit.sealed) {
            return Ok(Outcome::Committed(revision));
        }
        let is_stale = current.map_or(0, |c| c.revision) != commit.expected;
        let is_late = commit.expected == 0 && state.newest.get(&commit.number).copied() != commit.previous;
        if is_stale || is_late {
            return Ok(Outcome::Conflict);
        }
        let gone_at = clock() + commit.keep;
        let stored = Stored { revision, sealed: commit.sealed.clone() };
        if let Some(record) = state.records.get_mut(&commit.id) {
            let was = std::mem::replace(&mut record.gone_at, gone_at);
            record.stored = stored;
            state.expiries.remove(&(was, Expiring::Record(commit.id)));
        } else {
            let Commit { app, number, created_at, .. } = commit.clone();
            state.newest.insert(number, commit.id);
            state.lists.entry(app.clone()).or_default().insert(Cursor { created_at, id: commit.id });
            state.records.insert(commit.id, Record { stored, app, number, created_at, due: None, gone_at });
        }
        state.set_due(commit.id, commit.due);
        state.expiries.insert((gone_at, Expiring::Record(commit.id)));
        Ok(Outcome::Committed(revision))
    }

    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        Ok(self.state().newest.get(&number).copied())
    }

    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        let state = self.state();
        let Some(list) = state.lists.get(app) else { return Ok(Vec::new()) };
        let older = list.iter().rev().skip_while(|c| before.is_some_and(|b| **c >= b));
        Ok(older.filter(|c| shard.is_none_or(|s| c.id.shard() == s)).take(limit).copied().collect())
    }

    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        let mut state = self.state();
        let ids: Vec<_> = state.due.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, id)| *id).collect();
        for id in &ids {
            state.set_due(*id, Some(now + lease));
        }
        Ok(Claimed { ids, next: state.due.first().map(|(at, _)| *at) })
    }

    async fn link(&self, provider_id: &str, to: AttemptRef, keep: Duration) -> Result<Vec<Parked>, StoreError> {
        let mut state = self.state();
        let gone_at = clock() + keep;
        state.links.insert(provider_id.to_owned(), (to, gone_at));
        state.expiries.insert((gone_at, Expiring::Link(provider_id.to_owned())));
        Ok(state.parked.get(provider_id).map(|(reports, _)| reports.clone()).unwrap_or_default())
    }

    async fn find_or_park(&self, provider_id: &str, report: &Parked) -> Result<Option<AttemptRef>, StoreError> {
        let mut state = self.state();
        if let Some((found, _)) = state.links.get(provider_id) {
            return Ok(Some(*found));
        }
        let gone_at = clock() + PARKED_TTL;
        let (reports, until) = state.parked.entry(provider_id.to_owned()).or_insert((Vec::new(), gone_at));
        let was = std::mem::replace(until, gone_at);
        if reports.len() < PARKED_MAX && !reports.contains(report) {
            reports.push(report.clone());
        }
        state.expiries.remove(&(was, Expiring::Parked(provider_id.to_owned())));
        state.expiries.insert((gone_at, Expiring::Parked(provider_id.to_owned())));
        Ok(None)
    }

    async fn unpark(&self, provider_id: &str) -> Result<(), StoreError> {
        self.state().parked.remove(provider_id);
        Ok(())
    }

    async fn memos(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let state = self.state();
        Ok(names.iter().map(|name| state.memos.get(name).map(|(memo, _)| memo.clone())).collect())
    }

    async fn swap_memo(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        let mut state = self.state();
        let there = state.memos.get(name).map(|(memo, _)| memo.as_slice());
        if there != before && there != Some(after) {
            return Ok(Swap::Changed(there.map(<[u8]>::to_vec)));
        }
        let gone_at = clock() + keep;
        if let Some((_, was)) = state.memos.insert(name.to_owned(), (after.to_vec(), gone_at)) {
            state.expiries.remove(&(was, Expiring::Memo(name.to_owned())));
        }
        state.expiries.insert((gone_at, Expiring::Memo(name.to_owned())));
        Ok(Swap::Written)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
