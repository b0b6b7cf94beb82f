//! [`Guesses`]: the recent wrong codes for a number, over all its verifications.
//!
//! They are stored in the record of the number's newest verification and in the index of the number. A check therefore
//! stays one commit, and a new verification gives no new guesses (NIST SP 800-63B-4, 3.2.2: at most 100).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::{Limit, Limits};
use crate::time::Timestamp;

/// How long a guess is kept at most.
pub const REMEMBERED: Duration = Duration::from_secs(86_400);

/// How long guesses that were only presumed bar a number of which no other guess is known.
pub const PRESUMED_BARS: Duration = Duration::from_secs(60);

/// Stands before the presumed guesses in the bytes. No time that is stored is so late.
const PRESUMED_FOLLOW: u32 = u32::MAX;

/// The largest limit that is accepted, because no more guesses are kept.
pub const GUESSES_MAX: u64 = 1000;

/// The limits of `LIMIT_GUESSES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuessRules(Limits);

impl GuessRules {
    /// Accepts limits up to [`GUESSES_MAX`] with windows up to [`REMEMBERED`].
    ///
    /// `None` for anything else, and for no limit: a client could try all codes of six digits.
    pub fn new(limits: Limits) -> Option<Self> {
        let fits = |limit: &Limit| limit.window <= REMEMBERED && limit.max <= GUESSES_MAX;
        (!limits.0.is_empty() && limits.0.iter().all(fits)).then_some(Self(limits))
    }

    /// How long a guess counts: the longest window.
    pub fn remembered(&self) -> Duration {
        self.0.0.iter().map(|limit| limit.window).max().unwrap_or_default()
    }

    /// The largest of the limits: older guesses are never looked at.
    fn kept_max(&self) -> usize {
        self.0.0.iter().map(|limit| usize::try_from(limit.max).unwrap_or(usize::MAX)).max().unwrap_or(0)
    }
}

impl Default for GuessRules {
    /// `20/1h,100/1d`: the day is NIST's, the hour a fifth of it.
    fn default() -> Self {
        let hours = |max, hours: u64| Limit { max, window: Duration::from_secs(hours * 3600) };
        Self(Limits([hours(20, 1), hours(100, 24)].into()))
    }
}

/// The times of wrong codes, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guesses {
    /// Whole seconds since 1970.
    #[serde(default, rename = "g", skip_serializing_if = "Vec::is_empty")]
    at: Vec<u32>,
    /// The last success. Windows under a day ignore guesses up to it.
    #[serde(default, rename = "c", skip_serializing_if = "is_zero")]
    cleared: u32,
    /// The times of guesses that a failover of Redis may have lost, oldest first. They count as made. Without any guess that
    /// is known, they bar the number for [`PRESUMED_BARS`] only: failovers alone must not lock a person out.
    #[serde(default, rename = "p", skip_serializing_if = "Vec::is_empty")]
    presumed: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Guesses {
    /// Whether no guess is kept.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty() && self.presumed.is_empty()
    }

    /// The time until another guess is allowed; `None` when it is allowed now.
    pub fn wait(&self, rules: &GuessRules, now: Timestamp) -> Option<Duration> {
        let waits = rules.0.0.iter().filter_map(|limit| {
            let window = u32::try_from(limit.window.as_secs()).unwrap_or(u32::MAX);
            let from = seconds(now).saturating_sub(window);
            let is_short = limit.window < REMEMBERED;
            let counts = |at: &&u32| **at > from && !(is_short && **at <= self.cleared);
            let mut counted: Vec<u32> = self.at.iter().chain(&self.presumed).filter(counts).copied().collect();
            counted.sort_unstable();
            let max = usize::try_from(limit.max).unwrap_or(usize::MAX);
            if counted.len() < max {
                return None;
            }
            // A guess fits again when all but `max - 1` have left the window.
            let free_at = counted.get(counted.len() - max).copied().unwrap_or(seconds(now));
            let at = Timestamp::from_millis((i64::from(free_at) + i64::from(window)) * 1000);
            if self.at.iter().any(|at| counts(&at)) {
                return Some(at.since(now).max(Duration::from_secs(1)));
            }
            let last = counted.last().copied().unwrap_or_default();
            let at = at.min(Timestamp::from_millis(i64::from(last) * 1000) + PRESUMED_BARS);
            Some(at.since(now)).filter(|wait| !wait.is_zero())
        });
        waits.max()
    }

    /// The time after which no limit counts any of them.
    pub fn end(&self) -> Option<Timestamp> {
        let last = self.at.iter().chain(&self.presumed).max()?;
        Some(Timestamp::from_millis(i64::from(*last) * 1000) + REMEMBERED)
    }

    /// Records a wrong code at `now`.
    pub fn add(&mut self, rules: &GuessRules, now: Timestamp) {
        self.at.push(seconds(now));
        self.forget(now);
        drop_excess(&mut self.at, rules);
    }

    /// Records `count` wrong codes that may have been entered by `now`.
    pub fn presume(&mut self, count: usize, rules: &GuessRules, now: Timestamp) {
        self.presumed.extend(std::iter::repeat_n(seconds(now), count));
        self.forget(now);
        drop_excess(&mut self.presumed, rules);
    }

    /// Records a success: windows shorter than a day start again at zero, a window of a day does not.
    pub fn clear(&mut self, now: Timestamp) {
        self.cleared = if self.is_empty() { 0 } else { seconds(now) };
    }

    /// Adds the guesses of another list; a guess that both hold counts once.
    ///
    /// Used when a number is found under two keys, where one list was copied from the other.
    pub fn merge(&mut self, other: &Self) {
        merge_times(&mut self.at, &other.at);
        merge_times(&mut self.presumed, &other.presumed);
        self.cleared = self.cleared.max(other.cleared);
        self.clear_if_none();
    }

    /// Removes guesses that no limit counts any more.
    pub fn forget(&mut self, now: Timestamp) {
        let from = seconds(now).saturating_sub(REMEMBERED.as_secs() as u32);
        self.at.retain(|at| *at > from);
        self.presumed.retain(|at| *at > from);
        self.clear_if_none();
    }

    fn clear_if_none(&mut self) {
        if self.is_empty() {
            self.cleared = 0;
        }
    }

    /// Four bytes per entry; empty when there is none.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mark = (!self.presumed.is_empty()).then_some(&PRESUMED_FOLLOW);
        let words = std::iter::once(&self.cleared).chain(&self.at).chain(mark).chain(&self.presumed);
        words.flat_map(|word| word.to_be_bytes()).collect()
    }

    /// The reverse of [`Self::to_bytes`]. Bytes that are not of its making read as no guesses.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
        let cleared = words.next().unwrap_or(0);
        let at = words.by_ref().take_while(|word| *word != PRESUMED_FOLLOW).collect();
        Self { cleared, at, presumed: words.collect() }
    }
}

/// Removes the oldest guesses that no limit looks at.
fn drop_excess(times: &mut Vec<u32>, rules: &GuessRules) {
    let excess = times.len().saturating_sub(rules.kept_max());
    times.drain(..excess);
}

/// Adds the times of `others`; one that both hold counts once.
fn merge_times(times: &mut Vec<u32>, others: &[u32]) {
    let (mut mine, mut others) = (std::mem::take(times), others.to_vec());
    mine.sort_unstable();
    others.sort_unstable();
    let (mut mine, mut others) = (mine.into_iter().peekable(), others.into_iter().peekable());
    while let Some(at) = mine.peek().into_iter().chain(others.peek()).min().copied() {
        // Advances both lists where both hold this guess.
        let _ = (mine.next_if_eq(&at), others.next_if_eq(&at));
        times.push(at);
    }
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
    }

    #[test]
    fn no_hour_has_more_than_twenty_guesses_and_no_day_more_than_a_hundred() {
        let (rules, mut guesses) = (GuessRules::default(), Guesses::default());
        let mut made = Vec::new();
        for second in (0..3 * 86_400).step_by(60) {
            if guesses.wait(&rules, at(second)).is_none() {
                guesses.add(&rules, at(second));
                made.push(second);
            }
        }
        let most =
            |window: i64| made.iter().map(|s| made.iter().filter(|t| (*s..s + window).contains(t)).count()).max();
        assert_eq!((most(3600), most(86_400)), (Some(20), Some(100)));
        assert!(made.len() >= 300, "{}", made.len());
        assert!(guesses.to_bytes().len() <= 404);
        assert_eq!(rules.remembered(), REMEMBERED);
    }

    #[test]
    fn a_success_clears_the_hour_but_not_the_day() {
        let (rules, mut guesses) = (GuessRules::default(), Guesses::default());
        for round in 0..5 {
            for second in 0..20 {
                assert_eq!(guesses.wait(&rules, at(round * 100 + second)), None);
                guesses.add(&rules, at(round * 100 + second));
            }
            assert!(guesses.wait(&rules, at(round * 100 + 20)).is_some());
            guesses.clear(at(round * 100 + 21));
        }
        let wait = guesses.wait(&rules, at(500)).unwrap();
        assert!(wait > Duration::from_secs(85_000) && wait <= Duration::from_secs(86_400), "{wait:?}");
        assert_eq!(guesses.wait(&rules, at(500) + wait), None, "the wait is enough");
        assert_eq!(guesses.end(), Some(at(419) + REMEMBERED));
        assert_eq!(Guesses::default().end(), None);
    }

    #[test]
    fn failovers_alone_bar_a_number_for_a_minute_and_count_with_every_wrong_code() {
        let (rules, mut guesses) = (GuessRules::default(), Guesses::default());
        for failover in 0..25 {
            guesses.presume(5, &rules, at(failover));
        }
        assert_eq!(guesses.wait(&rules, at(24)), Some(PRESUMED_BARS));
        assert_eq!(guesses.wait(&rules, at(84)), None);
        guesses.add(&rules, at(84));
        assert!(guesses.wait(&rules, at(85)).is_some_and(|wait| wait > Duration::from_secs(80_000)));
        // A success clears the hour.
        let mut four = Guesses::default();
        (0..4).for_each(|failover| four.presume(5, &rules, at(failover)));
        four.add(&rules, at(10));
        assert!(four.wait(&rules, at(11)).is_some_and(|wait| wait > Duration::from_secs(3500)));
        four.clear(at(12));
        assert_eq!(four.wait(&rules, at(12)), None);
    }

    #[test]
    fn merged_lists_keep_every_guess_and_count_a_shared_one_once() {
        let rules = GuessRules::default();
        let made = |seconds: &[i64]| {
            let mut guesses = Guesses::default();
            seconds.iter().for_each(|s| guesses.add(&rules, at(*s)));
            guesses
        };
        for (one, other, both) in [
            (&[][..], &[][..], &[][..]),
            (&[1, 2, 2, 3], &[90_000], &[1, 2, 2, 3, 90_000]),
            (&[5, 5, 5], &[5, 5], &[5, 5, 5]),
            (&[1, 5], &[1, 5, 5, 9], &[1, 5, 5, 9]),
        ] {
            for (mut one, other) in [(made(one), made(other)), (made(other), made(one))] {
                one.merge(&other);
                assert_eq!(one.at, both.iter().map(|s| seconds(at(*s))).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn bytes_are_read_as_they_were_written() {
        let (rules, mut guesses) = (GuessRules::default(), Guesses::default());
        assert_eq!(Guesses::from_bytes(&guesses.to_bytes()), guesses);
        (0..3).for_each(|s| guesses.add(&rules, at(s)));
        guesses.clear(at(9));
        assert_eq!(Guesses::from_bytes(&guesses.to_bytes()), guesses);
        guesses.presume(2, &rules, at(10));
        assert_eq!(Guesses::from_bytes(&guesses.to_bytes()), guesses);
        assert_eq!(Guesses::from_bytes(b"abc"), Guesses::default());
    }
}
