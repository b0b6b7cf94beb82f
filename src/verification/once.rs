//! What a signed callback tells counts once. Part of `decide`.
//!
//! Plivo's signatures have a nonce and no time, and V2's covers no body. So a verification remembers the nonces that
//! its callbacks came with, and what was told with each, in the very commit that takes down what it told: a callback
//! that is repeated changes nothing, and a nonce that comes again with other words is refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decide::{Answer, Decision, Refusal, decide};
use super::event::Event;
use super::rules::Rules;
use super::state::Verification;
use crate::time::Timestamp;

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

    fn remember(&mut self, seen: Seen, at: u16) {
        if self.0.len() >= NONCES_MAX {
            self.0.remove(0);
        }
        self.0.push((half(seen.nonce), half(seen.told), at));
    }
}

fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Decides on what a callback tells, unless it came before.
pub(super) fn once(before: &Verification, seen: Seen, told: &[Event], rules: &Rules, now: Timestamp) -> Decision {
    let age = u16::try_from(now.since(before.created_at).as_secs()).unwrap_or(u16::MAX);
    let (effects, lessons) = (Vec::new(), Vec::new());
    let mut decision = Decision { after: before.clone(), effects, lessons, answer: Answer::Noted };
    if let Some((at, is_same)) = before.nonces.find(seen) {
        let after = Duration::from_secs(age.saturating_sub(at).into());
        decision.answer = if is_same { Answer::Repeated { after } } else { Answer::Refused(Refusal::Replayed) };
        return decision;
    }
    for event in told {
        let next = decide(&decision.after, event, rules, now);
        decision.effects.extend(next.effects);
        decision.lessons.extend(next.lessons);
        (decision.after, decision.answer) = (next.after, next.answer);
    }
    // A later event of a callback may end what an earlier one had begun: the end, or a report that Plivo was asked.
    let owed = &decision.after.owed;
    decision.effects.retain(|effect| owed.iter().any(|o| o.effect == *effect));
    decision.after.nonces.remember(seen, age);
    if let Some(nonce) = seen.also {
        decision.after.nonces.remember(Seen { nonce, told: !seen.told, also: None }, age);
    }
    decision
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
