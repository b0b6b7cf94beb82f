//! [`Recent`]: a map that forgets its oldest entries, so that a simulator left running for days under
//! load does not grow.

use std::collections::{HashMap, VecDeque};

/// At most `capacity` entries; the one that was put in first goes first.
#[derive(Debug)]
pub(super) struct Recent<V> {
    capacity: usize,
    order: VecDeque<String>,
    entries: HashMap<String, V>,
}

impl<V> Recent<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, order: VecDeque::new(), entries: HashMap::new() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        self.entries.get(key)
    }

    /// Keys and values, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = (&str, &V)> {
        self.order.iter().rev().filter_map(|key| Some((key.as_str(), self.entries.get(key)?)))
    }

    pub(super) fn insert(&mut self, key: &str, value: V) {
        if self.entries.contains_key(key) {
            self.entries.insert(key.to_owned(), value);
        } else {
            self.entry(key, || value);
        }
    }

    /// The entry under `key`, made first when there is none.
    pub(super) fn entry(&mut self, key: &str, make: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(key) {
            while self.order.len() >= self.capacity.max(1) {
                if let Some(oldest) = self.order.pop_front() {
                    self.entries.remove(&oldest);
                }
            }
            self.order.push_back(key.to_owned());
        }
        self.entries.entry(key.to_owned()).or_insert_with(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_is_forgotten_first() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        recent.insert("c", 4);
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (None, Some(&2), Some(&4)));
        assert_eq!(recent.newest().collect::<Vec<_>>(), [("c", &4), ("b", &2)]);
    }
}
