//! What a signed callback tells counts once. Part of `decide`.
//!
//! Plivo's signatures have a nonce and no time, and V2's covers no body. So a verification remembers the nonces that
//! its callbacks came with, and what was told with each, in the very commit that takes down what it told: a callback
//! that is repeated changes nothing, and a nonce that comes again with other words is refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decide::{Answer, Refusal};

/// So many are remembered, the latest: a verification's texts and calls are told of in fewer, and each key pressed
/// on a call makes one more.
const NONCES_MAX: usize = 64;

/// A signed callback, as hashes of the nonce and of all that it told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Of the nonce.
    pub nonce: u64,
    /// Of the words.
    pub told: u64,
    /// Of another nonce that came with it, under a signature that covers less: alone that one is worth nothing any more.
    pub also: Option<u64>,
}

/// The callbacks that were taken: nonce, words, and when, in seconds since the creation. Half of each hash is enough
/// among so few, and who finds other words with the same half has no effect either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonces(Vec<(u32, u32, u16)>);

impl Nonces {
    /// Whether none has come yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When it came, and whether with these words.
    fn find(&self, seen: Seen) -> Option<(u16, bool)> {
        let found = self.0.iter().find(|(nonce, ..)| *nonce == half(seen.nonce));
        found.map(|(_, told, at)| (*at, *told == half(seen.told)))
    }

    /// What is answered to a callback that came before, or whose nonce did; then it has no effect.
    pub(super) fn answer_again(&self, seen: Seen, age: u16) -> Option<Answer> {
        let (at, is_same) = self.find(seen)?;
        let after = Duration::from_secs(age.saturating_sub(at).into());
        Some(if is_same { Answer::Repeated { after } } else { Answer::Refused(Refusal::Replayed) })
    }

    /// Remembers a callback, and no words at all for the nonce that is worth nothing alone.
    pub(super) fn remember(&mut self, seen: Seen, at: u16) {
        self.push(seen.nonce, seen.told, at);
        if let Some(nonce) = seen.also {
            self.push(nonce, !seen.told, at);
        }
    }

    fn push(&mut self, nonce: u64, told: u64, at: u16) {
        if self.0.len() >= NONCES_MAX {
            self.0.remove(0);
        }
        self.0.push((half(nonce), half(told), at));
    }
}

fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let mut nonces = Nonces::default();
        let seen = |n: u64, told: u64| Seen { nonce: n << 32, told: told << 32, also: None };
        for n in 0..100 {
            nonces.remember(seen(n, n + 1), 7);
        }
        assert_eq!(nonces.0.len(), NONCES_MAX);
        assert_eq!(
            [seen(99, 100), seen(99, 99), seen(35, 36)].map(|seen| nonces.find(seen)),
            [Some((7, true)), Some((7, false)), None]
        );
    }
}
