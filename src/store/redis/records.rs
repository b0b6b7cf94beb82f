//! Records and the index of numbers in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::cmd;

use super::pool::Command;
use super::script::{Script, UNKNOWN_SHAPE, millis, script};
use super::{Redis, keys};
use crate::keyring::NumberKey;
use crate::store::error::StoreError;
use crate::store::lists::{Listed, PageRequest};
use crate::store::number_index::{NumberIndex, tombstone_id};
use crate::store::records::{
    Claimed, Commit, CommitOutcome, Erasure, ErasureOutcome, Loaded, Records, Revision, StoredRecord,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

static ERASE: LazyLock<Script> = script!("number_index.lua", "erase.lua");

#[async_trait]
impl Records for Redis {
    async fn load(&self, id: VerificationId) -> Result<Option<Loaded>, StoreError> {
        // What a demoted server still shows is not what its successor holds.
        self.refuse_if_unseen(id).await?;
        let mut record = id;
        // An alias names a record, never another alias.
        for _ in 0..2 {
            let bytes: Option<Vec<u8>> = self.pool.run(Command::Keyed(cmd("GET").arg(keys::record(record)))).await?;
            let Some(bytes) = bytes else { return Ok(None) };
            match alias(&bytes) {
                Some(shared) => record = shared,
                None => return Ok(Some(Loaded { session: id, id: record, stored: stored(bytes)? })),
            }
        }
        Err(UNKNOWN_SHAPE)
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<Loaded>, StoreError> {
        let found = self.records(ids).await?;
        let aliases: Vec<_> = found.iter().filter_map(|bytes| alias(bytes.as_ref()?)).collect();
        let mut shared = aliases.iter().copied().zip(self.records(&aliases).await?);
        let mut loaded = Vec::with_capacity(ids.len());
        for (session, bytes) in ids.iter().copied().zip(found) {
            let is_alias = bytes.as_ref().is_some_and(|bytes| alias(bytes).is_some());
            let (id, bytes) = if is_alias { shared.next().unwrap_or_default() } else { (session, bytes) };
            if let Some(bytes) = bytes {
                loaded.push(Loaded { session, id, stored: stored(bytes)? });
            }
        }
        Ok(loaded)
    }

    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError> {
        if self.is_cluster { self.commit_in_cluster(commit).await } else { self.commit_at_once(commit).await }
    }

    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError> {
        let outcome = match self.pool.run(self.erase_script(erasure)).await? {
            1 => ErasureOutcome::Erased,
            0 => ErasureOutcome::Absent,
            _ => return Ok(ErasureOutcome::Changed),
        };
        // The list entries go last: a retry finds the verification by them.
        let ids = erasure.joined.iter().chain([&erasure.id]);
        let members: Vec<_> = ids.map(|id| keys::member(*id)).collect();
        let list = keys::list_of(erasure.id, &erasure.app);
        let _: u64 = self.pool.run(Command::Keyed(cmd("ZREM").arg(list).arg(members))).await?;
        Ok(outcome)
    }

    async fn number_index(&self, number: NumberKey) -> Result<NumberIndex, StoreError> {
        let key = keys::number_index(number.shard(), number);
        parse_index(self.pool.run(Command::Keyed(cmd("GET").arg(key))).await?)
    }

    async fn is_verified(&self, number: NumberKey) -> Result<bool, StoreError> {
        let key = keys::verified(number.shard(), number);
        self.pool.run(Command::Keyed(cmd("EXISTS").arg(key))).await
    }

    async fn forget_verified(&self, numbers: &[NumberKey]) -> Result<(), StoreError> {
        for number in numbers {
            let key = keys::verified(number.shard(), *number);
            let _: u64 = self.pool.run(Command::Keyed(cmd("DEL").arg(key))).await?;
        }
        Ok(())
    }

    async fn list(&self, query: &PageRequest<'_>) -> Result<Listed, StoreError> {
        self.list_page(query).await
    }

    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.claim(now, lease, limit).await
    }
}

impl Redis {
    async fn records(&self, ids: &[VerificationId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = ids.iter().map(|id| keys::record(*id)).collect();
        // In a cluster redis-rs splits an MGET by slot and puts the answers in order again.
        self.pool.run(Command::Keyed(cmd("MGET").arg(keys))).await
    }

    fn erase_script(&self, erasure: &Erasure) -> Command<'static> {
        let Erasure { id, joined, numbers, expected, index_ttl, guesses_ttl, .. } = erasure;
        let mut keys = vec![keys::record(*id), self.due_key(id.shard())];
        keys.extend(numbers.iter().map(|number| keys::number_index(id.shard(), *number)));
        keys.extend(joined.iter().map(|session| keys::record(*session)));
        let mut call = ERASE.with_keys(&keys);
        call.arg(&expected.to_be_bytes()[..])
            .arg(keys::member(*id))
            .arg(&id.to_bytes()[..])
            .arg(numbers.len())
            .arg(&tombstone_id(*id).to_bytes()[..])
            .arg(millis(*index_ttl))
            .arg(millis(*guesses_ttl));
        Command::Script(call)
    }
}

/// Reads the value of a number index; without one nothing is known of the number.
pub(super) fn parse_index(value: Option<Vec<u8>>) -> Result<NumberIndex, StoreError> {
    value.map_or(Ok(NumberIndex::default()), |value| NumberIndex::parse(&value).ok_or(UNKNOWN_SHAPE))
}

/// The record that an alias names; `None` for a record.
fn alias(value: &[u8]) -> Option<VerificationId> {
    let (_history, rest) = value.split_first_chunk::<4>()?;
    let (revision, id) = rest.split_first_chunk()?;
    // Revision 0 is that of no record.
    if Revision::from_be_bytes(*revision) != 0 {
        return None;
    }
    id.try_into().ok().map(VerificationId::from_bytes)
}

/// Splits a value into history, revision and sealed record, as `commit.lua` writes them.
pub(super) fn stored(bytes: Vec<u8>) -> Result<StoredRecord, StoreError> {
    const TOO_SHORT: StoreError = StoreError::Unreadable("too short");
    let (_history, rest) = bytes.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
    let (revision, sealed) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
    Ok(StoredRecord { revision: Revision::from_be_bytes(*revision), sealed: sealed.to_vec() })
}
