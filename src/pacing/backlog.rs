//! [`Backlog`]: the requests that wait in one process, the oldest verification first.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::time::Timestamp;
use crate::verification::{AttemptIndex, AttemptRef, VerificationId};

/// Requests that are listed at most. Further ones are owed in the store alone, and come again when their lease ends.
const PARKED_MAX: usize = 50_000;
/// How long granted requests are looked back at, to tell how long a parked one has to wait.
const LOOK_BACK: Duration = Duration::from_secs(30);
/// Grants that tell it. Fewer would come too irregularly.
const GRANTS_MIN: u64 = 20;
/// The age up to which a parked verification counts as new: it was parked at the end of an outage, or after a 429.
pub(super) const NEW: Duration = Duration::from_secs(3);
/// The age up to which a verification goes before the oldest, the newest first: a person looks at a screen and waits.
const YOUNG: Duration = Duration::from_secs(30);

/// A request that waits: the oldest verification first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parked {
    /// When its verification was created.
    pub created_at: Timestamp,
    /// The attempt.
    pub attempt: AttemptRef,
}

/// Parked requests, and how fast they were granted lately.
#[derive(Default)]
pub(super) struct Backlog {
    parked: BTreeSet<Parked>,
    /// Requests that failed before the hold, or during it.
    failed: BTreeSet<Parked>,
    /// The parked requests that all replicas had been granted at each exchange since when some wait all the time.
    grants: VecDeque<(Instant, u64)>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.parked.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn park(&mut self, parked: Parked) {
        if self.parked.len() < PARKED_MAX {
            self.parked.insert(parked);
        }
    }

    /// Notes a request that failed, in case the API fails for all.
    pub(super) fn note_failed(&mut self, parked: Parked) {
        if self.failed.len() < PARKED_MAX {
            self.failed.insert(parked);
        }
    }

    /// Lets the failed requests follow, because the API answers again.
    pub(super) fn park_failed(&mut self) {
        self.parked.append(&mut self.failed);
    }

    pub(super) fn forget_failed(&mut self) {
        self.failed.clear();
    }

    /// How many new verifications wait, up to `most`.
    pub(super) fn count_new(&self, at: Timestamp, most: u32) -> u32 {
        let most_usize = usize::try_from(most).unwrap_or(usize::MAX);
        u32::try_from(self.parked.range(first_since(at, NEW)..).take(most_usize).count()).unwrap_or(most)
    }

    /// Takes new verifications, the oldest of them first.
    pub(super) fn take_new(&mut self, count: u32, at: Timestamp) -> Vec<Parked> {
        let new = self.parked.range(first_since(at, NEW)..);
        let taken: Vec<_> = new.take(usize::try_from(count).unwrap_or(usize::MAX)).copied().collect();
        taken.iter().for_each(|parked| _ = self.parked.remove(parked));
        taken
    }

    /// Takes the oldest request.
    pub(super) fn pop(&mut self) -> Option<Parked> {
        self.parked.pop_first()
    }

    /// Takes the newest of the young, then the oldest.
    pub(super) fn take(&mut self, count: u32, at: Timestamp) -> Vec<Parked> {
        let young = first_since(at, YOUNG);
        let mut one = || match self.parked.last() {
            Some(last) if *last >= young => self.parked.pop_last(),
            _ => self.parked.pop_first(),
        };
        (0..count).map_while(|_| one()).collect()
    }

    /// Notes how many parked requests all replicas were ever granted. `is_steady`: whether only the rate bounds them.
    pub(super) fn note_grants(&mut self, so_far: u64, now: Instant, is_steady: bool) {
        if !is_steady || self.parked.is_empty() || self.grants.back().is_some_and(|(_, before)| so_far < *before) {
            self.grants.clear();
        }
        self.grants.push_back((now, so_far));
        while self.grants.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= LOOK_BACK) {
            self.grants.pop_front();
        }
    }

    pub(super) fn take_all(&mut self) -> Vec<Parked> {
        self.failed.clear();
        std::mem::take(&mut self.parked).into_iter().collect()
    }

    /// How long a parked request has to wait by the grants of the last seconds; zero where that is not known.
    ///
    /// All replicas list the same requests once their leases have ended, so the grants of all count.
    pub(super) fn expected_wait(&self, parked: Parked) -> Duration {
        let (Some((first, before)), Some((last, after))) = (self.grants.front(), self.grants.back()) else {
            return Duration::ZERO;
        };
        let (time, granted) = (last.saturating_duration_since(*first), after - before);
        if time < LOOK_BACK || granted < GRANTS_MIN {
            return Duration::ZERO;
        }
        time.mul_f64(self.parked.range(..parked).count() as f64 / granted as f64)
    }
}

/// The place in the order where those begin that are younger than `age`.
fn first_since(at: Timestamp, age: Duration) -> Parked {
    let attempt = AttemptRef { id: VerificationId::new(0, 0), attempt: AttemptIndex::FIRST };
    Parked { created_at: at - age + Duration::from_millis(1), attempt }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(n: u8) -> Parked {
        let attempt = AttemptRef { id: VerificationId::new(n, n.into()), attempt: AttemptIndex::FIRST };
        Parked { created_at: Timestamp::from_millis(n.into()), attempt }
    }

    #[test]
    fn the_grants_of_half_a_minute_tell_how_long_a_request_has_to_wait() {
        let (mut backlog, start) = (Backlog::default(), Instant::now());
        let at = |second| start + Duration::from_secs(second);
        (0..200).for_each(|n| backlog.park(parked(n)));
        for second in 0..=30 {
            assert_eq!(backlog.expected_wait(parked(199)), Duration::ZERO, "it is not known yet");
            backlog.note_grants(second * 3, at(second), true);
        }
        // Three a second, of which another replica takes two.
        backlog.take(49, Timestamp::from_millis(1_000_000));
        assert_eq!(backlog.expected_wait(parked(199)), Duration::from_secs(50));
        backlog.note_grants(93, at(31), false);
        assert_eq!(backlog.expected_wait(parked(199)), Duration::ZERO);
    }
}
