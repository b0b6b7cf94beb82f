//! [`NumberIndex`]: what is known of an app's number, whatever it is verified for.

use sha2::{Digest, Sha256};

use crate::keyring::NumberKey;
use crate::verification::VerificationId;

/// How many purposes a number's index names. The one that was used longest ago is dropped first.
pub(super) const PURPOSES_MAX: usize = 16;

/// A hash of a number and a purpose, which names the purpose in the number's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PurposeKey([u8; PurposeKey::LENGTH]);

impl PurposeKey {
    const LENGTH: usize = 8;

    /// The key of a purpose. That of the empty one is zero.
    pub fn new(number: NumberKey, purpose: &str) -> Self {
        let mut key = [0; Self::LENGTH];
        if !purpose.is_empty() {
            let hash = Sha256::new().chain_update(number.0).chain_update(purpose).finalize();
            key.copy_from_slice(&hash[..Self::LENGTH]);
        }
        Self(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The newest verifications of a number, and its wrong codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberIndex {
    /// The newest verification of each purpose, or what an erasure has left of it. If it expired or was erased, the id
    /// loads nothing.
    pub newest: Vec<(PurposeKey, VerificationId)>,
    /// The wrong codes of the number, over all purposes, as the last commit that changed them wrote them.
    pub guesses: Vec<u8>,
}

const ID: usize = 17;
const ENTRY: usize = ID + PurposeKey::LENGTH;

impl NumberIndex {
    /// The newest verification of a purpose.
    pub fn newest_for(&self, purpose: PurposeKey) -> Option<VerificationId> {
        self.newest.iter().find(|(named, _)| *named == purpose).map(|(_, id)| *id)
    }

    /// Names the newest verification of a purpose.
    pub(super) fn name(&mut self, purpose: PurposeKey, id: VerificationId) {
        self.newest.retain(|(named, _)| *named != purpose);
        self.newest.push((purpose, id));
        let excess = self.newest.len().saturating_sub(PURPOSES_MAX);
        self.newest.drain(..excess);
    }

    /// Reads what `number_index.lua` writes: the number of verifications; for each its id and its purpose; the wrong codes.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (count, rest) = value.split_first()?;
        let (entries, guesses) = rest.split_at_checked(usize::from(*count) * ENTRY)?;
        let (entries, _) = entries.as_chunks::<ENTRY>();
        let entry = |entry: &[u8; ENTRY]| {
            let (id, purpose) = entry.split_first_chunk::<ID>()?;
            Some((PurposeKey(purpose.try_into().ok()?), VerificationId::from_bytes(*id)))
        };
        let newest = entries.iter().map(entry).collect::<Option<_>>()?;
        Some(Self { newest, guesses: guesses.to_vec() })
    }
}

/// The id that a number's index names after its newest verification was erased.
///
/// No record has this id. It differs for each erasure, so that a creation that arrives late never finds the `previous`
/// it expects.
pub(super) fn tombstone_id(erased: VerificationId) -> VerificationId {
    let [shard, random @ ..] = erased.to_bytes();
    VerificationId::new(shard, !u128::from_be_bytes(random))
}
