//! [`Guesses`]: the wrong codes that were entered for a number lately, over all its verifications.
//!
//! They travel with the number's newest verification, in its record and in the index that finds it, so that checking a
//! code stays one commit and a new verification gives no new guesses (NIST SP 800-63B-4, 3.2.2: at most 100).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::{Limit, Limits};
use crate::time::Timestamp;

/// How far back guesses are known at all.
pub const REMEMBERED: Duration = Duration::from_secs(86_400);

/// The most that may be allowed.
pub const GUESSES_MAX: u64 = 1000;

/// `LIMIT_GUESSES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuessRules(Limits);

impl GuessRules {
    /// Takes limits of windows up to a day, as guesses are known no longer, and of up to [`GUESSES_MAX`], as no more are
    /// known. None at all is not taken: a code of six digits is no secret to whoever may try them all.
    pub fn new(limits: Limits) -> Option<Self> {
        let fits = |limit: &Limit| limit.window <= REMEMBERED && limit.max <= GUESSES_MAX;
        (!limits.0.is_empty() && limits.0.iter().all(fits)).then_some(Self(limits))
    }

    /// The most that any of them allows.
    fn most(&self) -> usize {
        self.0.0.iter().map(|limit| usize::try_from(limit.max).unwrap_or(usize::MAX)).max().unwrap_or(0)
    }
}

impl Default for GuessRules {
    /// `20/1h,100/1d`.
    fn default() -> Self {
        let hours = |max, hours: u64| Limit { max, window: Duration::from_secs(hours * 3600) };
        Self(Limits(vec![hours(20, 1), hours(100, 24)]))
    }
}

/// When wrong codes were entered, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guesses {
    /// In whole seconds since 1970.
    #[serde(default, rename = "g", skip_serializing_if = "Vec::is_empty")]
    at: Vec<u32>,
    /// Up to here, for windows of less than a day: the number has been proved since.
    #[serde(default, rename = "c", skip_serializing_if = "is_zero")]
    cleared: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Guesses {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// How long nobody may guess; `None` when one may.
    pub fn wait(&self, rules: &GuessRules, now: Timestamp) -> Option<Duration> {
        let waits = rules.0.0.iter().filter_map(|limit| {
            let window = u32::try_from(limit.window.as_secs()).unwrap_or(u32::MAX);
            let from = seconds(now).saturating_sub(window);
            let is_short = limit.window < REMEMBERED;
            let counted = self.at.iter().filter(|at| **at > from && !(is_short && **at <= self.cleared));
            let counted: Vec<u32> = counted.copied().collect();
            let max = usize::try_from(limit.max).unwrap_or(usize::MAX);
            if counted.len() < max {
                return None;
            }
            // Room comes when so many are out of the window that one less than the limit is left.
            let free_at = counted.get(counted.len() - max).copied().unwrap_or(seconds(now));
            let at = Timestamp::from_millis((i64::from(free_at) + i64::from(window)) * 1000);
            Some(at.since(now).max(Duration::from_secs(1)))
        });
        waits.max()
    }

    /// When no limit looks at any of them any more.
    pub fn end(&self) -> Option<Timestamp> {
        let last = self.at.iter().max()?;
        Some(Timestamp::from_millis(i64::from(*last) * 1000) + REMEMBERED)
    }

    /// One more.
    pub fn add(&mut self, rules: &GuessRules, now: Timestamp) {
        self.at.push(seconds(now));
        self.forget(now);
        // More than the widest limit are never looked at.
        let excess = self.at.len().saturating_sub(rules.most());
        self.at.drain(..excess);
    }

    /// The number has been proved: the hour begins anew, the day does not.
    pub fn clear(&mut self, now: Timestamp) {
        self.cleared = if self.at.is_empty() { 0 } else { seconds(now) };
    }

    /// Those of both, as when a number is found under two keys: what one carried on from the other counts once.
    pub fn merge(&mut self, other: &Self) {
        let (mut mine, mut others) = (std::mem::take(&mut self.at), other.at.clone());
        mine.sort_unstable();
        others.sort_unstable();
        let (mut mine, mut others) = (mine.into_iter().peekable(), others.into_iter().peekable());
        while let Some(at) = mine.peek().into_iter().chain(others.peek()).min().copied() {
            // Of both where both have it.
            let _ = (mine.next_if_eq(&at), others.next_if_eq(&at));
            self.at.push(at);
        }
        self.cleared = self.cleared.max(other.cleared);
        self.clear_if_none();
    }

    /// Leaves out what no limit looks at any more.
    pub fn forget(&mut self, now: Timestamp) {
        let from = seconds(now).saturating_sub(REMEMBERED.as_secs() as u32);
        self.at.retain(|at| *at > from);
        self.clear_if_none();
    }

    fn clear_if_none(&mut self) {
        if self.at.is_empty() {
            self.cleared = 0;
        }
    }

    /// Four bytes each; nothing where there are none.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.at.is_empty() {
            return Vec::new();
        }
        std::iter::once(&self.cleared).chain(&self.at).flat_map(|at| at.to_be_bytes()).collect()
    }

    /// The reverse of [`Self::to_bytes`]. What cannot be read is none.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_be_bytes(*word));
        let cleared = words.next().unwrap_or(0);
        Self { cleared, at: words.collect() }
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
    fn a_hundred_a_day_and_twenty_an_hour() {
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
    fn of_two_lists_everything_counts_and_what_both_have_counts_once() {
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
        assert_eq!(Guesses::from_bytes(b"abc"), Guesses::default());
    }
}
