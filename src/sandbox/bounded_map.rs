//! [`BoundedMap`]: a map that evicts its oldest entries, so that a simulator under load for days does not grow.
//!
//! By hand, because `lru` evicts by last use: a record that is read often would outlive newer ones, and lists show
//! the newest first.

use std::collections::{HashMap, VecDeque};

/// A map of at most `capacity` entries that evicts the first inserted one.
#[derive(Debug)]
pub(super) struct BoundedMap<V> {
    capacity: usize,
    insertion_order: VecDeque<String>,
    entries: HashMap<String, V>,
}

impl<V> BoundedMap<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, insertion_order: VecDeque::new(), entries: HashMap::new() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    /// Keys and values, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = (&str, &V)> {
        self.insertion_order.iter().rev().filter_map(|key| Some((key.as_str(), self.entries.get(key)?)))
    }

    /// Inserts or replaces; a replaced entry keeps its age.
    pub(super) fn insert(&mut self, key: &str, value: V) {
        if self.entries.contains_key(key) {
            self.entries.insert(key.to_owned(), value);
        } else {
            self.get_or_insert_with(key, || value);
        }
    }

    pub(super) fn get_or_insert_with(&mut self, key: &str, make: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(key) {
            while self.insertion_order.len() >= self.capacity.max(1) {
                if let Some(oldest) = self.insertion_order.pop_front() {
                    self.entries.remove(&oldest);
                }
            }
            self.insertion_order.push_back(key.to_owned());
        }
        self.entries.entry(key.to_owned()).or_insert_with(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_is_evicted_first() {
        let mut map = BoundedMap::new(2);
        map.insert("a", 1);
        map.insert("b", 2);
        map.insert("a", 3);
        map.insert("c", 4);
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (None, Some(&2), Some(&4)));
        assert_eq!(map.newest().collect::<Vec<_>>(), [("c", &4), ("b", &2)]);
    }
}
