//! [`Places`]: how much of one kind is done at a time, so that one app or one token cannot use up what all share.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::verification::VerificationId;

/// How many streams one process serves: each reads the store twice a second.
const STREAMS_MAX: usize = 4000;
/// How many of them may be of one app, so that others have room.
const STREAMS_PER_APP_MAX: usize = STREAMS_MAX / 2;
/// How many of them may follow one verification, so that one `client_token` cannot use up all of them.
const STREAMS_PER_VERIFICATION_MAX: usize = 8;
/// How many lists an app may read at a time: each asks Redis for up to a hundred records, and a search for more.
const LISTS_PER_APP_MAX: usize = 8;

/// Places, some for each key.
#[derive(Clone)]
pub struct Places<K: Eq + Hash> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    of_each: usize,
    of_all: usize,
}

/// A place, until it is dropped.
pub struct Place<K: Clone + Eq + Hash> {
    places: Places<K>,
    key: K,
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// So many places for each key, and for all keys together.
    pub fn new(of_each: usize, of_all: usize) -> Self {
        Self { taken: Arc::default(), of_each, of_all }
    }

    /// Takes a place; `None` when all are taken.
    pub fn take(&self, key: K) -> Option<Place<K>> {
        let mut taken = self.taken();
        let (all, of_key) = (taken.values().sum::<usize>(), taken.get(&key).copied().unwrap_or(0));
        if all >= self.of_all || of_key >= self.of_each {
            return None;
        }
        taken.insert(key.clone(), of_key + 1);
        Some(Place { places: self.clone(), key })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places<String> {
    /// The places for lists, by app.
    pub fn for_lists() -> Self {
        Self::new(LISTS_PER_APP_MAX, usize::MAX)
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.key)),
        }
    }
}

/// The places for streams, by app and by verification.
#[derive(Clone)]
pub struct StreamPlaces {
    of_apps: Places<String>,
    of_verifications: Places<VerificationId>,
}

/// The place of one stream, until it is dropped.
pub struct StreamPlace {
    _of_app: Place<String>,
    of_verification: Place<VerificationId>,
}

impl Default for StreamPlaces {
    fn default() -> Self {
        Self {
            of_apps: Places::new(STREAMS_PER_APP_MAX, STREAMS_MAX),
            of_verifications: Places::new(STREAMS_PER_VERIFICATION_MAX, usize::MAX),
        }
    }
}

impl StreamPlaces {
    /// Takes a place for a stream; `None` when all are taken.
    pub fn follow(&self, app: &str, id: VerificationId) -> Option<StreamPlace> {
        let of_verification = self.of_verifications.take(id)?;
        Some(StreamPlace { _of_app: self.of_apps.take(app.to_owned())?, of_verification })
    }
}

impl StreamPlace {
    /// The verification that the stream follows.
    pub fn id(&self) -> VerificationId {
        self.of_verification.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_places_and_all_have_theirs_and_both_are_given_back() {
        let places = Places::new(2, 3);
        let of_one = [places.take("one"), places.take("one")];
        assert!(of_one.iter().all(Option::is_some) && places.take("one").is_none());
        let of_other = places.take("other");
        assert!(of_other.is_some() && places.take("third").is_none());
        drop(of_one);
        assert!(places.take("one").is_some());
    }

    #[test]
    fn one_app_leaves_streams_for_others() {
        let (streams, id) = (StreamPlaces::default(), |n: usize| VerificationId::new(0, n as u128));
        let taken: Vec<_> = (0..STREAMS_MAX).filter_map(|n| streams.follow("shop", id(n))).collect();
        assert_eq!(taken.len(), STREAMS_PER_APP_MAX);
        assert!(streams.follow("bank", id(STREAMS_MAX)).is_some());
        drop(taken);
        assert!(streams.follow("shop", id(1)).is_some());
    }
}
