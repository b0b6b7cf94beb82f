//! The names of a verification, of its attempts and of its sessions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The unguessable id of a verification: `vrf_`, two hex digits of its shard, 32 of randomness.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VerificationId {
    shard: u8,
    random: u128,
}

/// The position of an attempt among the attempts of its verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptIndex(u8);

impl AttemptIndex {
    /// The first attempt.
    pub const FIRST: Self = Self(0);

    /// The attempt at this position.
    pub const fn new(position: u8) -> Self {
        Self(position)
    }

    /// The attempt at this position; `None` beyond the 256 attempts that can be named.
    pub fn from_position(position: usize) -> Option<Self> {
        u8::try_from(position).ok().map(Self)
    }

    /// The position as a byte, as refs carry it.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The position, for indexing.
    pub fn position(self) -> usize {
        usize::from(self.0)
    }
}

/// The position of a session among those of its verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionIndex(u8);

impl SessionIndex {
    /// The session that opened the verification. It has the id of the verification.
    pub const FIRST: Self = Self(0);

    /// The session at this position.
    pub const fn new(position: u8) -> Self {
        Self(position)
    }

    /// The position, for indexing.
    pub fn position(self) -> usize {
        usize::from(self.0)
    }

    /// Whether it opened the verification.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
    pub(super) fn is_first(&self) -> bool {
        *self == Self::FIRST
    }
}

/// Names one attempt of one verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptRef {
    /// The verification.
    pub id: VerificationId,
    /// The attempt.
    pub attempt: AttemptIndex,
}

/// The text is not a verification id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a verification id")]
pub struct InvalidId;

impl VerificationId {
    /// Makes an id from a shard (a hash of app and number) and 128 random bits.
    pub const fn new(shard: u8, random: u128) -> Self {
        Self { shard, random }
    }

    /// The shard that holds the record, its number index and its due time.
    pub fn shard(self) -> u8 {
        self.shard
    }

    /// The shard and the randomness, 17 bytes.
    pub fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [self.shard; 17];
        bytes[1..].copy_from_slice(&self.random.to_be_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 17]) -> Self {
        let [shard, random @ ..] = bytes;
        Self { shard, random: u128::from_be_bytes(random) }
    }
}

impl fmt::Display for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vrf_{:02x}{:032x}", self.shard, self.random)
    }
}

impl fmt::Debug for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for VerificationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let hex = text.strip_prefix("vrf_").ok_or(InvalidId)?;
        if hex.len() != 34 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(InvalidId);
        }
        let shard = u8::from_str_radix(&hex[..2], 16).map_err(|_| InvalidId)?;
        let random = u128::from_str_radix(&hex[2..], 16).map_err(|_| InvalidId)?;
        Ok(Self { shard, random })
    }
}

impl From<VerificationId> for String {
    fn from(id: VerificationId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for VerificationId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = VerificationId::new(0x0a, 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(VerificationId::from_bytes(id.to_bytes()), id);
        for text in ["", "vrf_", "0a00000000000000000000000000000007", "vrf_0A00000000000000000000000000000007"] {
            assert_eq!(text.parse::<VerificationId>(), Err(InvalidId), "{text:?}");
        }
    }
}
