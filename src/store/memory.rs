//! [`Memory`]: the embedded back end. One process, lost on restart, and otherwise the same refusals.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    AttemptRef, Claimed, Commit, Count, Cursor, Erased, Erasure, NumberKey, Outcome, PARKED_MAX, PARKED_TTL, Parked,
    Store, StoreError, Stored, Swap, Taken, nobody,
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
    newest: HashMap<NumberKey, Newest>,
    counts: HashMap<String, (Steps, Timestamp)>,
    due: BTreeSet<(Timestamp, VerificationId)>,
    lists: HashMap<String, BTreeSet<Cursor>>,
    links: HashMap<String, (AttemptRef, Timestamp)>,
    parked: HashMap<String, (Vec<Parked>, Timestamp)>,
    memos: HashMap<String, (Vec<u8>, Timestamp)>,
    /// What expires when, so that forgetting costs as much as remembering did.
    expiries: BTreeSet<(Timestamp, Expiring)>,
}

/// By window in seconds and step.
type Steps = BTreeMap<(u64, u64), i64>;

struct Newest {
    id: VerificationId,
    guesses: Vec<u8>,
    gone_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Expiring {
    Newest(NumberKey),
    Count(String),
    Record(VerificationId),
    Link(String),
    Parked(String),
    Memo(String),
}

struct Record {
    stored: Stored,
    app: String,
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
                Expiring::Newest(number) if self.newest.get(&number).is_some_and(|n| n.gone_at <= now) => {
                    self.newest.remove(&number);
                }
                Expiring::Count(name) if self.counts.get(&name).is_some_and(|(_, gone)| *gone <= now) => {
                    self.counts.remove(&name);
                }
                // It has been written again since, with a later end.
                Expiring::Newest(_)
                | Expiring::Count(_)
                | Expiring::Record(_)
                | Expiring::Link(_)
                | Expiring::Parked(_)
                | Expiring::Memo(_) => {}
            }
        }
    }

    fn remove(&mut self, id: VerificationId) {
        let Some(record) = self.records.remove(&id) else { return };
        self.expiries.remove(&(record.gone_at, Expiring::Record(id)));
        if let Some(due) = record.due {
            self.due.remove(&(due, id));
        }
        if let Some(list) = self.lists.get_mut(&record.app) {
            list.remove(&Cursor { created_at: record.created_at, id });
        }
    }

    /// Its newest verification owns the number's index, with the wrong codes in it.
    fn remember_number(&mut self, commit: &Commit, record_gone_at: Timestamp) {
        let Some(newest) = self.newest.get_mut(&commit.number).filter(|n| n.id == commit.id) else { return };
        let kept = if commit.guesses.is_empty() { Duration::ZERO } else { commit.keep_guesses };
        let gone_at = record_gone_at.max(clock() + kept);
        let was = std::mem::replace(&mut newest.gone_at, gone_at);
        newest.guesses.clone_from(&commit.guesses);
        self.expiries.remove(&(was, Expiring::Newest(commit.number)));
        self.expiries.insert((gone_at, Expiring::Newest(commit.number)));
    }

    /// It named a verification that is erased.
    fn clear_number(&mut self, number: NumberKey, erasure: &Erasure) {
        let Some(newest) = self.newest.get_mut(&number).filter(|n| n.id == erasure.id) else { return };
        let gone_at = clock() + erasure.keep;
        let was =
            std::mem::replace(newest, Newest { id: nobody(erasure.id), guesses: erasure.guesses.clone(), gone_at });
        self.expiries.remove(&(was.gone_at, Expiring::Newest(number)));
        self.expiries.insert((gone_at, Expiring::Newest(number)));
    }

    fn count(&mut self, count: &Count, now: Timestamp) {
        let longest = count.limits.0.iter().map(|limit| limit.window).max().unwrap_or_default();
        let gone_at = clock() + longest + longest / 10;
        let (steps, until) = self.counts.entry(count.name.clone()).or_insert((Steps::new(), gone_at));
        let was = std::mem::replace(until, gone_at);
        for limit in &count.limits.0 {
            let window = limit.window.as_secs();
            *steps.entry((window, limit.step(now))).or_insert(0) += count.amount;
            steps.retain(|(of, step), _| *of != window || *step >= limit.first_step(now));
        }
        self.expiries.remove(&(was, Expiring::Count(count.name.clone())));
        self.expiries.insert((gone_at, Expiring::Count(count.name.clone())));
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
        let is_late = commit.expected == 0 && state.newest.get(&commit.number).map(|n| n.id) != commit.previous;
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
            state.newest.insert(number, Newest { id: commit.id, guesses: Vec::new(), gone_at });
            state.lists.entry(app.clone()).or_default().insert(Cursor { created_at, id: commit.id });
            state.records.insert(commit.id, Record { stored, app, created_at, due: None, gone_at });
        }
        state.remember_number(commit, gone_at);
        state.set_due(commit.id, commit.due);
        state.expiries.insert((gone_at, Expiring::Record(commit.id)));
        Ok(Outcome::Committed(revision))
    }

    async fn erase(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        let mut state = self.state();
        let current = state.records.get(&erasure.id).map(|r| r.stored.revision);
        if current.is_some_and(|revision| revision != erasure.expected) {
            return Ok(Erased::Changed);
        }
        for number in &erasure.numbers {
            state.clear_number(*number, erasure);
        }
        state.remove(erasure.id);
        Ok(if current.is_some() { Erased::Gone } else { Erased::Absent })
    }

    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        Ok(self.state().newest.get(&number).map(|n| n.id))
    }

    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        Ok(self.state().newest.get(&number).map(|n| n.guesses.clone()).unwrap_or_default())
    }

    async fn take(&self, counts: &[Count], unless: Option<NumberKey>, now: Timestamp) -> Result<Taken, StoreError> {
        let mut state = self.state();
        if let Some(found) = unless.and_then(|number| state.newest.get(&number)) {
            return Ok(Taken::Found(found.id));
        }
        for (which, count) in counts.iter().enumerate() {
            let held = state.counts.get(&count.name).map(|(steps, _)| steps);
            let wait = count.wait(now, |window| {
                let steps = held.into_iter().flat_map(move |steps| steps.range((window, 0)..=(window, u64::MAX)));
                steps.map(|((_, step), amount)| (*step, *amount))
            });
            if let Some(wait) = wait {
                return Ok(Taken::Full { which, wait });
            }
        }
        for count in counts {
            state.count(count, now);
        }
        Ok(Taken::All)
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
        if state.links.get(provider_id).is_some_and(|(known, _)| known.id != to.id) {
            return Ok(Vec::new());
        }
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

    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.links.get(provider_id).is_some_and(|(known, _)| known.id != of) {
            return Ok(());
        }
        if let Some((_, gone_at)) = state.links.remove(provider_id) {
            state.expiries.remove(&(gone_at, Expiring::Link(provider_id.to_owned())));
        }
        if let Some((_, gone_at)) = state.parked.remove(provider_id) {
            state.expiries.remove(&(gone_at, Expiring::Parked(provider_id.to_owned())));
        }
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
