//! Records, due times, lists and the index of numbers in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use async_trait::async_trait;

use super::expiring::ExpiringMap;
use super::{Memory, clock};
use crate::keyring::NumberKey;
use crate::store::error::StoreError;
use crate::store::lists::{Cursor, Listed, PageRequest};
use crate::store::number_index::{NumberIndex, tombstone_id};
use crate::store::records::{
    Claimed, Commit, CommitMode, CommitOutcome, Erasure, ErasureOutcome, Loaded, Records, StoredRecord,
};
use crate::time::Timestamp;
use crate::verification::{Status, VerificationId};

#[derive(Default)]
pub(super) struct RecordTable {
    entries: ExpiringMap<VerificationId, Entry>,
    numbers: ExpiringMap<NumberKey, NumberIndex>,
    aliases: ExpiringMap<VerificationId, VerificationId>,
    verified: ExpiringMap<NumberKey, ()>,
    due: BTreeSet<(Timestamp, VerificationId)>,
    lists: HashMap<String, BTreeMap<Cursor, Status>>,
}

struct Entry {
    stored: StoredRecord,
    app: String,
    due: Option<Timestamp>,
    /// Its places in the list of the app, one for each session.
    listed: Vec<Cursor>,
}

impl RecordTable {
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.numbers.expire(now);
        self.aliases.expire(now);
        self.verified.expire(now);
        while let Some((id, entry)) = self.entries.pop_expired(now) {
            self.drop_from_indexes(id, &entry);
        }
    }

    fn number_index(&self, number: NumberKey) -> NumberIndex {
        self.numbers.get(&number).cloned().unwrap_or_default()
    }

    fn load(&self, session: VerificationId) -> Option<Loaded> {
        let id = self.aliases.get(&session).copied().unwrap_or(session);
        self.entries.get(&id).map(|entry| Loaded { session, id, stored: entry.stored.clone() })
    }

    fn drop_from_indexes(&mut self, id: VerificationId, entry: &Entry) {
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        if let Some(list) = self.lists.get_mut(&entry.app) {
            entry.listed.iter().for_each(|cursor| _ = list.remove(cursor));
        }
    }

    /// The answer to a commit that is made already, or that does not fit the records.
    fn answer(&self, commit: &Commit) -> Option<CommitOutcome> {
        let current = self.entries.get(&commit.id).map(|entry| &entry.stored);
        if current.is_some_and(|stored| stored.revision == commit.revision() && stored.sealed == commit.sealed) {
            return Some(CommitOutcome::Committed);
        }
        let held = self.numbers.get(&commit.number).map_or(&[][..], |index| &index.guesses);
        let has_same_guesses = commit.guesses.as_ref().is_none_or(|change| change.expected == held);
        match commit.mode {
            CommitMode::Create { previous } => {
                let index = self.number_index(commit.number);
                let is_expected = index.newest_for(commit.purpose) == previous && has_same_guesses;
                (current.is_some() || !is_expected).then_some(CommitOutcome::NumberInUse(index))
            }
            // `accept_stale` has no effect: a process has no replica that could lack a commit.
            CommitMode::Update { expected, .. } => {
                if current.map(StoredRecord::version) != Some(expected) {
                    return Some(CommitOutcome::Changed(current.cloned()));
                }
                (!has_same_guesses).then(|| CommitOutcome::GuessesChanged(self.number_index(commit.number).guesses))
            }
        }
    }

    fn write(&mut self, commit: &Commit) {
        let Commit { id, app, due, .. } = commit.clone();
        let stored = StoredRecord { revision: commit.revision(), sealed: commit.sealed.clone() };
        self.set_due(id, due);
        let mut entry = match self.entries.remove(&id) {
            Some(known) => Entry { stored, due, ..known },
            None => Entry { stored, app, due, listed: Vec::new() },
        };
        if let Some(cursor) = commit.listed() {
            self.lists.entry(entry.app.clone()).or_default().insert(cursor, commit.status);
            entry.listed.push(cursor);
        }
        if let Some(list) = self.lists.get_mut(&entry.app) {
            for (ended, status) in &commit.ended {
                list.entry(*ended).and_modify(|known| *known = *status);
            }
        }
        self.entries.insert(id, entry, clock() + commit.ttl);
        if let Some(ttl) = commit.verified_ttl {
            self.verified.insert(commit.number, (), clock() + ttl);
        }
        if let Some(session) = commit.session {
            self.aliases.insert(session.id, id, clock() + commit.longest_ttl);
        }
        let is_creation = matches!(commit.mode, CommitMode::Create { .. });
        if is_creation || commit.guesses.is_some() || commit.index_ttl.is_some() {
            let kept_until = self.numbers.end(&commit.number);
            let mut index = self.number_index(commit.number);
            if is_creation {
                index.name(commit.purpose, id);
            }
            if let Some(change) = &commit.guesses {
                index.guesses.clone_from(&change.after);
            }
            let needed_until = commit.index_ttl.map(|ttl| clock() + ttl);
            if let Some(until) = kept_until.max(needed_until) {
                self.numbers.insert(commit.number, index, until);
            }
        }
    }

    fn erase(&mut self, erasure: &Erasure) -> ErasureOutcome {
        let current = self.entries.get(&erasure.id).map(|entry| entry.stored.revision);
        if current.is_some_and(|revision| revision != erasure.expected) {
            return ErasureOutcome::Changed;
        }
        for number in &erasure.numbers {
            let mut index = self.number_index(*number);
            if let Some((_, named)) = index.newest.iter_mut().find(|(_, id)| *id == erasure.id) {
                *named = tombstone_id(erasure.id);
                let ttl = if index.guesses.is_empty() { erasure.index_ttl } else { erasure.guesses_ttl };
                self.numbers.insert(*number, index, clock() + ttl);
            }
        }
        if let Some(entry) = self.entries.remove(&erasure.id) {
            self.drop_from_indexes(erasure.id, &entry);
        }
        erasure.joined.iter().for_each(|session| _ = self.aliases.remove(session));
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
    async fn load(&self, id: VerificationId) -> Result<Option<Loaded>, StoreError> {
        Ok(self.state().records.load(id))
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<Loaded>, StoreError> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| state.records.load(*id)).collect())
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

    async fn number_index(&self, number: NumberKey) -> Result<NumberIndex, StoreError> {
        Ok(self.state().records.number_index(number))
    }

    async fn is_verified(&self, number: NumberKey) -> Result<bool, StoreError> {
        Ok(self.state().records.verified.get(&number).is_some())
    }

    async fn forget_verified(&self, numbers: &[NumberKey]) -> Result<(), StoreError> {
        let records = &mut self.state().records;
        numbers.iter().for_each(|number| _ = records.verified.remove(number));
        Ok(())
    }

    async fn list(&self, query: &PageRequest<'_>) -> Result<Listed, StoreError> {
        let state = self.state();
        let Some(list) = state.records.lists.get(query.app) else { return Ok(Listed::default()) };
        let end = query.before.map_or(Bound::Unbounded, Bound::Excluded);
        let late_enough = list.range((Bound::Unbounded, end)).rev();
        let late_enough =
            late_enough.take_while(|(entry, _)| query.since.is_none_or(|since| entry.created_at >= since));
        let is_asked_for = |(entry, status): &(&Cursor, &Status)| {
            query.statuses.contains(*status) && (query.shards.is_empty() || query.shards.contains(&entry.id.shard()))
        };
        let mut asked_for = late_enough.filter(is_asked_for).map(|(entry, _)| *entry);
        let entries: Vec<_> = asked_for.by_ref().take(query.limit).collect();
        let next = asked_for.next().and(entries.last().copied());
        Ok(Listed { entries, next })
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
