//! What a signed callback tells counts once. Part of `decide`.
//!
//! Plivo's signatures have a nonce and no time, and V2's covers no body. So a verification remembers the nonces that
//! its callbacks came with, and what was told with each, in the very commit that takes down what it told: a callback
//! that is repeated changes nothing, and a nonce that comes again with other words is refused.

use serde::{Deserialize, Serialize};

use super::decide::{Answer, Decision, Refusal, decide};
use super::event::Event;
use super::rules::Rules;
use super::state::Verification;
use crate::time::Timestamp;

/// So many are remembered, the latest: a verification's texts and calls are told of in fewer, and each key pressed
/// on a call makes one more.
const NONCES_MAX: usize = 32;

/// A signed callback, as hashes of the nonce and of all that it told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Of the nonce.
    pub nonce: u64,
    /// Of the words.
    pub told: u64,
}

/// The callbacks that were taken: nonce, words, and when, in milliseconds since the creation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonces(Vec<(u64, u64, u32)>);

impl Nonces {
    /// Whether none has come yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, nonce: u64) -> Option<(u64, u32)> {
        self.0.iter().find(|(known, ..)| *known == nonce).map(|(_, told, at)| (*told, *at))
    }

    fn remember(&mut self, seen: Seen, at: u32) {
        if self.0.len() >= NONCES_MAX {
            self.0.remove(0);
        }
        self.0.push((seen.nonce, seen.told, at));
    }
}

/// Decides on what a callback tells, unless it came before.
pub(super) fn once(before: &Verification, seen: Seen, told: &[Event], rules: &Rules, now: Timestamp) -> Decision {
    let age = u32::try_from(now.since(before.created_at).as_millis()).unwrap_or(u32::MAX);
    let (effects, lessons) = (Vec::new(), Vec::new());
    let mut decision = Decision { after: before.clone(), effects, lessons, answer: Answer::Noted };
    if let Some((words, at)) = before.nonces.find(seen.nonce) {
        let after = std::time::Duration::from_millis(age.saturating_sub(at).into());
        let is_same = words == seen.told;
        decision.answer = if is_same { Answer::Repeated { after } } else { Answer::Refused(Refusal::Replayed) };
        return decision;
    }
    for event in told {
        let next = decide(&decision.after, event, rules, now);
        decision.effects.extend(next.effects);
        decision.lessons.extend(next.lessons);
        (decision.after, decision.answer) = (next.after, next.answer);
    }
    decision.after.nonces.remember(seen, age);
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let mut nonces = Nonces::default();
        for nonce in 0..100 {
            nonces.remember(Seen { nonce, told: nonce + 1 }, 7);
        }
        assert_eq!(nonces.0.len(), NONCES_MAX);
        assert_eq!((nonces.find(99), nonces.find(67)), (Some((100, 7)), None));
    }
}
