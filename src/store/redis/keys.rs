//! Every key, and how values are encoded in it.
//!
//! The text in braces decides the Cluster slot. Everything about a verification has its shard there, so that one commit
//! stays in one slot. A link and its pending reports have a hash of the provider id there. No key contains a number or
//! a provider id.
//!
//! ```text
//! phlo2fa:{0a}:v:<32 hex>        string  4 bytes of history, 4 of revision (big endian), the sealed record
//! phlo2fa:{0a}:n:<32 hex>        string  number index, by keyed hash: 32 hex of the newest verification or of a
//!                                        tombstone, then the wrong codes
//! phlo2fa:{0a}:due               zset    32 hex of a verification, by due time
//! phlo2fa:{0a}:app:<app>         zset    32 hex of a verification, by creation time
//! phlo2fa:{<32 hex>}:link        string  the attempt of a provider id
//! phlo2fa:{<32 hex>}:parked      list    pending reports
//! phlo2fa:{<name>}:value         string  a small value
//! phlo2fa:{<32 hex>}:count:<scope> hash  a counter, by window and step
//! ```
//!
//! The scripts build the keys of records themselves: `record_key.lua` and [`record`] must agree.

use sha2::{Digest, Sha256};

use crate::keyring::NumberKey;
use crate::verification::{AttemptIndex, AttemptRef, VerificationId};

/// All shards: one for each value of a byte.
pub(super) const SHARDS: std::ops::RangeInclusive<u8> = 0..=255;

pub(super) fn record(id: VerificationId) -> String {
    format!("phlo2fa:{{{:02x}}}:v:{}", id.shard(), member(id))
}

/// The number index in the shard of the verification that is written.
///
/// That is the number's own shard, except for a verification older than the current SECRET_KEY: its commit stays in one
/// slot, and finds no index there.
pub(super) fn newest(shard: u8, number: NumberKey) -> String {
    format!("phlo2fa:{{{shard:02x}}}:n:{:032x}", u128::from_be_bytes(number.0))
}

pub(super) fn due(shard: u8) -> String {
    format!("phlo2fa:{{{shard:02x}}}:due")
}

pub(super) fn list(shard: u8, app: &str) -> String {
    format!("phlo2fa:{{{shard:02x}}}:app:{app}")
}

pub(super) fn link(provider_id: &str) -> String {
    format!("phlo2fa:{{{}}}:link", hash(provider_id))
}

pub(super) fn pending(provider_id: &str) -> String {
    format!("phlo2fa:{{{}}}:parked", hash(provider_id))
}

/// The key of a small value. It is short, because there may be many, such as nonces.
pub(super) fn value(name: &str) -> String {
    format!("phlo2fa:{{{name}}}:value")
}

/// The key of a counter, whose name begins with its scope: `number:<32 hex>`.
pub(super) fn counter(name: &str) -> String {
    let scope = name.split(':').next().unwrap_or_default();
    format!("phlo2fa:{{{}}}:count:{scope}", hash(name))
}

/// Parses a number index: a verification and the wrong codes.
pub(super) fn parse_newest(shard: u8, value: &[u8]) -> Option<(VerificationId, &[u8])> {
    let (member, guesses) = value.split_at_checked(32)?;
    Some((id(shard, std::str::from_utf8(member).ok()?)?, guesses))
}

fn hash(name: &str) -> String {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(name)[..16]);
    format!("{:032x}", u128::from_be_bytes(half))
}

/// A verification within its shard. Text order is the order of the ids.
pub(super) fn member(id: VerificationId) -> String {
    let [_, random @ ..] = id.to_bytes();
    format!("{:032x}", u128::from_be_bytes(random))
}

/// The reverse of [`member`].
pub(super) fn id(shard: u8, member: &str) -> Option<VerificationId> {
    let is_hex = member.len() == 32 && member.bytes().all(|b| b.is_ascii_hexdigit());
    let random = u128::from_str_radix(member, 16).ok().filter(|_| is_hex)?;
    Some(VerificationId::new(shard, random))
}

/// The value of a link.
pub(super) fn attempt(to: AttemptRef) -> String {
    format!("{}:{}", to.id, to.attempt.get())
}

/// The reverse of [`attempt`].
pub(super) fn parse_attempt(text: &str) -> Option<AttemptRef> {
    let (id, attempt) = text.split_once(':')?;
    Some(AttemptRef { id: id.parse().ok()?, attempt: AttemptIndex::new(attempt.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_one_verification_share_a_slot() {
        let id = VerificationId::new(0x0a, 7);
        let keys = [record(id), newest(0x0a, NumberKey([0x0a; 16])), due(0x0a), list(0x0a, "a}{b")];
        assert!(keys.iter().all(|k| k.starts_with("phlo2fa:{0a}:")), "{keys:?}");
        assert_eq!(link("x").split('}').next(), pending("x").split('}').next());
    }

    #[test]
    fn ids_and_attempts_survive_encoding() {
        let id = VerificationId::new(0xff, u128::MAX - 1);
        assert_eq!(super::id(0xff, &member(id)), Some(id));
        assert_eq!(super::id(0xff, "+1"), None);
        let to = AttemptRef { id, attempt: AttemptIndex::new(3) };
        assert_eq!(parse_attempt(&attempt(to)), Some(to));
    }
}
