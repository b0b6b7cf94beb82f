//! The nonces of signed callbacks: each counts once.
//!
//! Plivo's signatures carry a nonce and no time stamp, and V2 does not cover the body. So a verification stores the
//! nonces of its callbacks with a hash of their content, in the same commit as their effect. A repeated callback then
//! changes nothing, and a nonce that is reused with other content is refused.

use serde::{Deserialize, Serialize};

/// The number of nonces kept, newest last. The callbacks of one verification are fewer; each key press adds one.
const NONCES_MAX: usize = 64;

/// What identifies a signed callback: hashes of its nonce and of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackNonce {
    /// Hash of the nonce.
    pub nonce: u64,
    /// Hash of everything the callback says.
    pub content: u64,
    /// Hash of the V2 nonce sent beside V3, kept so that stripping the V3 header does not yield a fresh callback.
    pub v2_nonce: Option<u64>,
}

/// The callbacks that were applied: nonce, content, and seconds since the creation.
///
/// 32 bits suffice for so few entries. A collision of content only makes a forged callback count as repeated, which
/// changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UsedNonces(Vec<(u32, u32, u16)>);

impl UsedNonces {
    /// Whether no signed callback has arrived yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the nonce was used, and whether with the same content.
    pub(super) fn find(&self, callback: CallbackNonce) -> Option<(u16, bool)> {
        let found = self.0.iter().find(|(nonce, ..)| *nonce == half(callback.nonce));
        found.map(|(_, content, at)| (*at, *content == half(callback.content)))
    }

    /// Marks the nonces of a callback as used.
    pub(super) fn remember(&mut self, callback: CallbackNonce, at_s: u16) {
        self.push(callback.nonce, callback.content, at_s);
        // With inverted content, no callback that carries the V2 nonce alone can match it.
        if let Some(v2_nonce) = callback.v2_nonce {
            self.push(v2_nonce, !callback.content, at_s);
        }
    }

    fn push(&mut self, nonce: u64, content: u64, at_s: u16) {
        if self.0.len() >= NONCES_MAX {
            self.0.remove(0);
        }
        self.0.push((half(nonce), half(content), at_s));
    }
}

fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_nonces_are_kept() {
        let mut nonces = UsedNonces::default();
        let callback = |n: u64, content: u64| CallbackNonce { nonce: n << 32, content: content << 32, v2_nonce: None };
        for n in 0..100 {
            nonces.remember(callback(n, n + 1), 7);
        }
        assert_eq!(nonces.0.len(), NONCES_MAX);
        assert_eq!(
            [callback(99, 100), callback(99, 99), callback(35, 36)].map(|callback| nonces.find(callback)),
            [Some((7, true)), Some((7, false)), None]
        );
    }
}
