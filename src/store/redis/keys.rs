//! Every key, and how values are encoded in it.
//!
//! The text in braces decides the Cluster slot. Everything about a verification has its shard there, so that one commit
//! stays in one slot. A link and its pending reports have a hash of the provider id there. No key contains a number or
//! a provider id.
//!
//! ```text
//! phlo2fa:{0a}:v:<26>            string  4 bytes of history, 4 of revision (big endian), the sealed record; of a session
//!                                        that joined, an alias of the record
//! phlo2fa:{0a}:n:<26>            string  number index, by keyed hash: for each purpose the newest verification or a
//!                                        tombstone; then the wrong codes
//! phlo2fa:{0a}:ok:<26>           string  empty: the number has been verified, by keyed hash
//! phlo2fa:{0a}:due               zset    verifications by due time, in a cluster
//! phlo2fa:{0a}:mark:<32>:<8>     string  number of the last mark of a process in a history, where a server has replicas
//! phlo2fa:{0a}:from:<8>:<8>      string  proof that the first history has everything of the second, in a cluster
//! phlo2fa:from:<8>:<8>           string  the same elsewhere
//! phlo2fa:due                    zset    the same elsewhere, where one key can hold all of them
//! phlo2fa:{l0}:app:<app>         zset    verifications by creation time and status, in one of 16 lists
//! phlo2fa:{w:<app>}:dead         zset    webhooks that no receiver has taken, by the time at which they were given up
//! phlo2fa:{<26>}:link            string  the attempt of a provider id
//! phlo2fa:{<26>}:parked          list    pending reports
//! phlo2fa:{<name>}:value         string  a small value
//! phlo2fa:{<name>}:count         string  a counter: entries `window:step:amount`
//! ```
//!
//! A verification is named by the two hex digits of its shard and the 26 digits of its random part. Such digits are those of
//! base 32: shorter than hex, so that a key and its entries take a fifth less memory, and in the order of the numbers in
//! every locale.
//!
//! The scripts build the keys of records themselves: `record_key.lua` and [`record`] must agree.

use sha2::{Digest, Sha256};

use super::history::History;
use crate::keyring::NumberKey;
use crate::time::Timestamp;
use crate::verification::{AttemptIndex, AttemptRef, Status, VerificationId, WebhookId};

/// The lists of an app. Several, because each lies on one node of a cluster; few, because a page asks them all.
pub(super) const LISTS: std::ops::Range<u8> = 0..16;

pub(super) fn record(id: VerificationId) -> String {
    let member = member(id);
    let (shard, random) = member.split_at(2);
    ["phlo2fa:{", shard, "}:v:", random].concat()
}

/// The number index in the shard of the verification that is written.
///
/// That is the number's own shard, except for a verification older than the current SECRET_KEY: its commit stays in one
/// slot, and finds no index there.
pub(super) fn number_index(shard: u8, number: NumberKey) -> String {
    ["phlo2fa:{", &text(&hex(shard)), "}:n:", &digits(u128::from_be_bytes(number.0))].concat()
}

/// The mark that a number has been verified, in the shard of the verification that is written.
pub(super) fn verified(shard: u8, number: NumberKey) -> String {
    format!("phlo2fa:{{{shard:02x}}}:ok:{}", digits(u128::from_be_bytes(number.0)))
}

/// The last mark that a process has written in a history.
pub(super) fn mark(shard: u8, process: &str, history: History) -> String {
    format!("phlo2fa:{{{shard:02x}}}:mark:{process}:{:08x}", u32::from_be_bytes(history))
}

/// The proof that `current` has everything of `earlier`; of one shard in a cluster. `commit.lua` builds the same key.
pub(super) fn proof(is_cluster: bool, shard: u8, current: History, earlier: History) -> String {
    let [current, earlier] = [current, earlier].map(u32::from_be_bytes);
    let shard = if is_cluster { format!("{{{shard:02x}}}:") } else { String::new() };
    format!("phlo2fa:{shard}from:{current:08x}:{earlier:08x}")
}

/// The due times of a shard, for a cluster.
pub(super) fn due_in(shard: u8) -> String {
    format!("phlo2fa:{{{shard:02x}}}:due")
}

/// The due times of all shards, where keys have no slots.
pub(super) const DUE: &str = "phlo2fa:due";

/// The list that a verification is in.
pub(super) fn list_of(id: VerificationId, app: &str) -> String {
    list(id.shard() % LISTS.end, app)
}

pub(super) fn list(list: u8, app: &str) -> String {
    format!("phlo2fa:{{l{list:x}}}:app:{app}")
}

/// What a list sorts an entry by: the creation time in milliseconds, times [`STATUSES`], plus the number of the status. Below
/// 2^53, so that a double holds it. `shared_key.lua` takes it apart.
pub(super) fn score(created_at: Timestamp, status: Status) -> i64 {
    created_at.as_millis() * STATUSES + i64::from(status_number(status))
}

const STATUSES: i64 = 8;

/// The number of a status, of one digit. It stands in stored lists: the numbers never change.
pub(super) fn status_number(status: Status) -> u8 {
    match status {
        Status::Pending => 0,
        Status::Verified => 1,
        Status::Expired => 2,
        Status::Canceled => 3,
        Status::MaxChecksReached => 4,
        Status::Undeliverable => 5,
    }
}

/// The link of a provider id, and the reports that wait for it.
pub(super) fn link_and_pending(provider_id: &str) -> [String; 2] {
    let hash = hash(provider_id);
    [format!("phlo2fa:{{{hash}}}:link"), format!("phlo2fa:{{{hash}}}:parked")]
}

/// The key of a small value. It is short, because there may be many, such as nonces.
pub(super) fn value(name: &str) -> String {
    format!("phlo2fa:{{{name}}}:value")
}

/// The key of a counter, whose name holds no number: `number:<32 hex>`, `country:US`.
pub(super) fn counter(name: &str) -> String {
    ["phlo2fa:{", name, "}:count"].concat()
}

fn hash(name: &str) -> String {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(name)[..16]);
    digits(u128::from_be_bytes(half))
}

/// Digits of 128 bits in base 32.
const DIGITS: usize = 26;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// A number in base 32, with leading zeros.
fn digits(number: u128) -> String {
    text(&base_32(number))
}

fn base_32(mut number: u128) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 32) as usize];
        number /= 32;
    }
    digits
}

fn hex(byte: u8) -> [u8; 2] {
    [byte / 16, byte % 16].map(|digit| ALPHABET[usize::from(digit)])
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}

/// Characters of a member.
const MEMBER: usize = 2 + DIGITS;

/// A verification in sets and indexes: its shard and its random part. Text order is the order of the ids.
pub(super) fn member(id: VerificationId) -> String {
    let [shard, random @ ..] = id.to_bytes();
    let mut member = [0; MEMBER];
    member[..2].copy_from_slice(&hex(shard));
    member[2..].copy_from_slice(&base_32(u128::from_be_bytes(random)));
    text(&member)
}

/// The reverse of [`member`].
pub(super) fn id(member: &str) -> Option<VerificationId> {
    let is_plain = member.len() == MEMBER && member.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    let (shard, random) = member.split_at_checked(2).filter(|_| is_plain)?;
    Some(VerificationId::new(u8::from_str_radix(shard, 16).ok()?, u128::from_str_radix(random, 32).ok()?))
}

/// The value of a link.
pub(super) fn attempt(to: AttemptRef) -> String {
    format!("{}:{}", member(to.id), to.attempt.get())
}

/// The webhooks of an app that no receiver has taken.
pub(super) fn dead_letters(app: &str) -> String {
    format!("phlo2fa:{{w:{app}}}:dead")
}

/// A webhook in that list. Text order is the order of the ids.
pub(super) fn webhook(id: WebhookId) -> String {
    format!("{}:{:05}", member(id.id), id.entry)
}

/// The reverse of [`webhook`].
pub(super) fn parse_webhook(text: &str) -> Option<WebhookId> {
    let (member, entry) = text.split_once(':')?;
    Some(WebhookId { id: id(member)?, entry: entry.parse().ok()? })
}

/// The reverse of [`attempt`].
pub(super) fn parse_attempt(text: &str) -> Option<AttemptRef> {
    let (member, attempt) = text.split_once(':')?;
    Some(AttemptRef { id: id(member)?, attempt: AttemptIndex::new(attempt.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_one_verification_share_a_slot() {
        let id = VerificationId::new(0x0a, 7);
        let keys = [record(id), number_index(0x0a, NumberKey([0x0a; 16])), due_in(0x0a)];
        assert!(keys.iter().all(|k| k.starts_with("phlo2fa:{0a}:")), "{keys:?}");
        let [link, pending] = link_and_pending("x");
        assert_eq!(link.split('}').next(), pending.split('}').next());
    }

    #[test]
    fn ids_and_attempts_survive_encoding() {
        let id = VerificationId::new(0xff, u128::MAX - 1);
        for id in [id, VerificationId::new(0, 0), VerificationId::new(7, u128::MAX), VerificationId::new(7, 31 << 64)] {
            assert_eq!((super::id(&member(id)), member(id).len()), (Some(id), MEMBER));
        }
        assert!(member(VerificationId::new(7, 9)) < member(VerificationId::new(7, 10)));
        assert_eq!(super::id("+1"), None);
        let to = AttemptRef { id, attempt: AttemptIndex::new(3) };
        assert_eq!(parse_attempt(&attempt(to)), Some(to));
    }
}
