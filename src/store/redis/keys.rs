//! Every key there is, and how things are spelt in it.
//!
//! What stands in braces decides the Cluster slot. Everything about a verification carries its shard there,
//! so that one commit stays in one slot; what is known by a provider's id carries a hash of that id, so that
//! a link and the reports that wait for it meet. No key holds a number, nor a provider's id.
//!
//! ```text
//! phlo2fa:{0a}:v:<32 hex>        string  4 bytes of the server's history, 4 of revision, big endian, and the sealed record
//! phlo2fa:{0a}:n:<32 hex>        string  the newest verification of a number (its keyed hash): 32 hex, and its wrong codes;
//!                                        that of nobody where it was erased
//! phlo2fa:{0a}:due               zset    32 hex of a verification, by when it is due
//! phlo2fa:{0a}:app:<app>         zset    32 hex of a verification, by when it was created
//! phlo2fa:{<32 hex>}:link        string  the attempt of a provider's id
//! phlo2fa:{<32 hex>}:parked      list    reports that came before the link
//! phlo2fa:{<name>}:memo          string  a memo
//! phlo2fa:{<32 hex>}:count:<scope> hash   what a limit counts, by window and step
//! ```
//!
//! The scripts build record keys themselves (`record.lua`): [`record`] and it must agree.

use sha2::{Digest, Sha256};

use crate::store::{AttemptRef, NumberKey};
use crate::verification::VerificationId;

/// The shards: as many as a byte has values.
pub(super) const SHARDS: std::ops::RangeInclusive<u8> = 0..=255;

pub(super) fn record(id: VerificationId) -> String {
    format!("phlo2fa:{{{:02x}}}:v:{}", id.shard(), member(id))
}

/// In the shard of the verification that is written, which is the number's own, except for one that is older
/// than the current SECRET_KEY: nothing stands there then, and its commit still stays in one slot.
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

pub(super) fn parked(provider_id: &str) -> String {
    format!("phlo2fa:{{{}}}:parked", hash(provider_id))
}

/// Its name is all that a memo shares a slot with, and is short: there may be many.
pub(super) fn memo(name: &str) -> String {
    format!("phlo2fa:{{{name}}}:memo")
}

/// The name begins with its scope: `number:<32 hex>`.
pub(super) fn count(name: &str) -> String {
    let scope = name.split(':').next().unwrap_or_default();
    format!("phlo2fa:{{{}}}:count:{scope}", hash(name))
}

/// What stands in the number index: a verification, and behind it the wrong codes.
pub(super) fn parse_newest(shard: u8, value: &[u8]) -> Option<(VerificationId, &[u8])> {
    let (member, guesses) = value.split_at_checked(32)?;
    Some((id(shard, std::str::from_utf8(member).ok()?)?, guesses))
}

fn hash(name: &str) -> String {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(name)[..16]);
    format!("{:032x}", u128::from_be_bytes(half))
}

/// A verification within its shard. Sorted as text these are sorted as ids.
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

/// What a link holds.
pub(super) fn attempt(to: AttemptRef) -> String {
    format!("{}:{}", to.id, to.attempt)
}

/// The reverse of [`attempt`].
pub(super) fn parse_attempt(text: &str) -> Option<AttemptRef> {
    let (id, attempt) = text.split_once(':')?;
    Some(AttemptRef { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_one_verification_shares_a_slot() {
        let id = VerificationId::new(0x0a, 7);
        let keys = [record(id), newest(0x0a, NumberKey([0x0a; 16])), due(0x0a), list(0x0a, "a}{b")];
        assert!(keys.iter().all(|k| k.starts_with("phlo2fa:{0a}:")), "{keys:?}");
        assert_eq!(link("x").split('}').next(), parked("x").split('}').next());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let id = VerificationId::new(0xff, u128::MAX - 1);
        assert_eq!(super::id(0xff, &member(id)), Some(id));
        assert_eq!(super::id(0xff, "+1"), None);
        let to = AttemptRef { id, attempt: 3 };
        assert_eq!(parse_attempt(&attempt(to)), Some(to));
    }
}
