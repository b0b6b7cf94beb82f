//! [`ExpiringMap`]: a map whose entries end at a moment of their own.
//!
//! By hand, because cache crates evict lazily or by size, and a test of this store must see an entry end on time.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::time::Timestamp;

/// A map that also sorts its keys by expiry, so that removing an expired entry costs as much as inserting it.
pub(super) struct ExpiringMap<K, V> {
    entries: HashMap<K, (V, Timestamp)>,
    ends: BTreeSet<(Timestamp, K)>,
}

impl<K, V> Default for ExpiringMap<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), ends: BTreeSet::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord, V> ExpiringMap<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(value, _)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(value, _)| value)
    }

    /// When the entry ends.
    pub(super) fn end(&self, key: &K) -> Option<Timestamp> {
        self.entries.get(key).map(|(_, end)| *end)
    }

    pub(super) fn insert(&mut self, key: K, value: V, end: Timestamp) {
        if let Some((_, old_end)) = self.entries.insert(key.clone(), (value, end)) {
            self.ends.remove(&(old_end, key.clone()));
        }
        self.ends.insert((end, key));
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (value, end) = self.entries.remove(key)?;
        self.ends.remove(&(end, key.clone()));
        Some(value)
    }

    /// Removes one entry that has ended at `now`.
    pub(super) fn pop_expired(&mut self, now: Timestamp) -> Option<(K, V)> {
        if self.ends.first()?.0 > now {
            return None;
        }
        let (_, key) = self.ends.pop_first()?;
        let (value, _) = self.entries.remove(&key)?;
        Some((key, value))
    }

    /// Removes every entry that has ended at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self.pop_expired(now).is_some() {}
    }
}
