//! Records, due times, lists and the index of numbers in memory.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;

use super::expiring::ExpiringMap;
use super::{Memory, clock};
use crate::keyring::NumberKey;
use crate::store::error::StoreError;
use crate::store::records::{
    Claimed, Commit, CommitMode, CommitOutcome, Cursor, Erasure, ErasureOutcome, Records, StoredRecord, tombstone_id,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

#[derive(Default)]
pub(super) struct RecordTable {
    entries: ExpiringMap<VerificationId, Entry>,
    newest: ExpiringMap<NumberKey, Newest>,
    due: BTreeSet<(Timestamp, VerificationId)>,
    lists: HashMap<String, BTreeSet<Cursor>>,
}

struct Entry {
    stored: StoredRecord,
    app: String,
    created_at: Timestamp,
    due: Option<Timestamp>,
}

struct Newest {
    id: VerificationId,
    guesses: Vec<u8>,
}

impl RecordTable {
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.newest.expire(now);
        while let Some((id, entry)) = self.entries.pop_expired(now) {
            self.drop_from_indexes(id, &entry);
        }
    }

    pub(super) fn newest(&self, number: NumberKey) -> Option<VerificationId> {
        self.newest.get(&number).map(|newest| newest.id)
    }

    fn remove(&mut self, id: VerificationId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.drop_from_indexes(id, &entry);
        }
    }

    fn drop_from_indexes(&mut self, id: VerificationId, entry: &Entry) {
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        if let Some(list) = self.lists.get_mut(&entry.app) {
            list.remove(&Cursor { created_at: entry.created_at, id });
        }
    }

    /// The answer to a commit that is made already, or that does not fit the records.
    fn answer(&self, commit: &Commit) -> Option<CommitOutcome> {
        let current = self.entries.get(&commit.id).map(|entry| &entry.stored);
        if current.is_some_and(|stored| stored.revision == commit.revision() && stored.sealed == commit.sealed) {
            return Some(CommitOutcome::Committed);
        }
        match commit.mode {
            CommitMode::Create { previous } => {
                let named = self.newest(commit.number);
                (current.is_some() || named != previous).then_some(CommitOutcome::NumberInUse(named))
            }
            // `accept_stale` has no effect: a process has no replica that could lack a commit.
            CommitMode::Update { expected, .. } => {
                (current.map(StoredRecord::version) != Some(expected)).then(|| CommitOutcome::Changed(current.cloned()))
            }
        }
    }

    fn write(&mut self, commit: &Commit) {
        let Commit { id, app, created_at, due, .. } = commit.clone();
        let stored = StoredRecord { revision: commit.revision(), sealed: commit.sealed.clone() };
        self.set_due(id, due);
        let entry = match self.entries.remove(&id) {
            Some(known) => Entry { stored, due, ..known },
            None => {
                self.lists.entry(app.clone()).or_default().insert(Cursor { created_at, id });
                Entry { stored, app, created_at, due }
            }
        };
        let gone_at = clock() + commit.ttl;
        self.entries.insert(id, entry, gone_at);
        let is_creation = matches!(commit.mode, CommitMode::Create { .. });
        let guesses = commit.guesses.clone().or(is_creation.then(Vec::new));
        if let Some(guesses) = guesses.filter(|_| is_creation || self.newest(commit.number) == Some(id)) {
            let guesses_ttl = if guesses.is_empty() { Duration::ZERO } else { commit.guesses_ttl };
            self.newest.insert(commit.number, Newest { id, guesses }, gone_at.max(clock() + guesses_ttl));
        }
    }

    fn erase(&mut self, erasure: &Erasure) -> ErasureOutcome {
        let current = self.entries.get(&erasure.id).map(|entry| entry.stored.revision);
        if current.is_some_and(|revision| revision != erasure.expected) {
            return ErasureOutcome::Changed;
        }
        for number in &erasure.numbers {
            if self.newest(*number) == Some(erasure.id) {
                let tombstone = Newest { id: tombstone_id(erasure.id), guesses: erasure.guesses.clone() };
                self.newest.insert(*number, tombstone, clock() + erasure.index_ttl);
            }
        }
        self.remove(erasure.id);
        if current.is_some() { ErasureOutcome::Erased } else { ErasureOutcome::Absent }
    }

    fn set_due(&mut self, id: VerificationId, due: Option<Timestamp>) {
        let old = self.entries.get_mut(&id).and_then(|entry| std::mem::replace(&mut entry.due, due));
        if let Some(old) = old {
            self.due.remove(&(old, id));
        }
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }
}

#[async_trait]
impl Records for Memory {
    async fn load(&self, id: VerificationId) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.state().records.entries.get(&id).map(|entry| entry.stored.clone()))
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, StoredRecord)>, StoreError> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| Some((*id, state.records.entries.get(id)?.stored.clone()))).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        let mut state = self.state();
        let refused = state.records.answer(commit).or_else(|| {
            let over = state.counters.first_over_limit(&commit.increments, commit.now);
            over.map(|(index, wait)| CommitOutcome::OverLimit { index, wait }).or_else(|| state.pending(commit))
        });
        if let Some(outcome) = refused {
            return Ok(outcome);
        }
        state.counters.add_all(&commit.increments, commit.now);
        state.link_all(commit);
        state.records.write(commit);
        Ok(CommitOutcome::Committed)
    }

    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError> {
        Ok(self.state().records.erase(erasure))
    }

    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        Ok(self.state().records.newest(number))
    }

    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        Ok(self.state().records.newest.get(&number).map(|newest| newest.guesses.clone()).unwrap_or_default())
    }

    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        let state = self.state();
        let Some(list) = state.records.lists.get(app) else { return Ok(Vec::new()) };
        let older = list.iter().rev().skip_while(|c| before.is_some_and(|b| **c >= b));
        Ok(older.filter(|c| shard.is_none_or(|s| c.id.shard() == s)).take(limit).copied().collect())
    }

    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        let records = &mut self.state().records;
        let ids: Vec<_> = records.due.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, id)| *id).collect();
        let mut claimed = Claimed::default();
        for id in ids {
            records.set_due(id, Some(now + lease));
            claimed.records.extend(records.entries.get(&id).map(|entry| (id, entry.stored.clone())));
        }
        claimed.next = records.due.first().map(|(at, _)| *at);
        Ok(claimed)
    }
}
