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
use crate::store::records::{
    Claimed, Commit, CommitOutcome, Cursor, Erasure, ErasureOutcome, Records, Revision, StoredRecord, tombstone_id,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

static ERASE: LazyLock<Script> = script!("erase.lua");

#[async_trait]
impl Records for Redis {
    async fn load(&self, id: VerificationId) -> Result<Option<StoredRecord>, StoreError> {
        let bytes: Option<Vec<u8>> = self.pool.run(Command::Keyed(cmd("GET").arg(keys::record(id)))).await?;
        bytes.map(stored).transpose()
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, StoredRecord)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = ids.iter().map(|id| keys::record(*id)).collect();
        // In a cluster redis-rs splits an MGET by slot and puts the answers in order again.
        let found: Vec<Option<Vec<u8>>> = self.pool.run(Command::Keyed(cmd("MGET").arg(keys))).await?;
        let found = ids.iter().zip(found).filter_map(|(id, bytes)| Some((*id, bytes?)));
        found.map(|(id, bytes)| Ok((id, stored(bytes)?))).collect()
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
        // The list entry goes last: a retry finds the verification by it.
        let (list, member) = (keys::list_of(erasure.id, &erasure.app), keys::member(erasure.id));
        let _: u64 = self.pool.run(Command::Keyed(cmd("ZREM").arg(list).arg(member))).await?;
        Ok(outcome)
    }

    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        let found = self.number_index(number).await?;
        let id = |value: &Vec<u8>| keys::parse_newest(value).map(|(id, _)| id).ok_or(UNKNOWN_SHAPE);
        found.as_ref().map(id).transpose()
    }

    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        let found = self.number_index(number).await?.unwrap_or_default();
        Ok(keys::parse_newest(&found).map(|(_, guesses)| guesses.to_vec()).unwrap_or_default())
    }

    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        self.list_page(app, shard, before, limit).await
    }

    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.claim(now, lease, limit).await
    }
}

impl Redis {
    async fn number_index(&self, number: NumberKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.pool.run(Command::Keyed(cmd("GET").arg(keys::newest(number.shard(), number)))).await
    }

    fn erase_script(&self, erasure: &Erasure) -> Command<'static> {
        let Erasure { id, numbers, expected, guesses, index_ttl, .. } = erasure;
        let mut keys = vec![keys::record(*id), self.due_key(id.shard())];
        keys.extend(numbers.iter().map(|number| keys::newest(id.shard(), *number)));
        let mut call = ERASE.with_keys(&keys);
        let tombstone = [keys::member(tombstone_id(*id)).as_bytes(), guesses].concat();
        call.arg(&expected.to_be_bytes()[..]).arg(keys::member(*id)).arg(tombstone).arg(millis(*index_ttl));
        Command::Script(call)
    }
}

/// Splits a value into history, revision and sealed record, as `commit.lua` writes them.
pub(super) fn stored(bytes: Vec<u8>) -> Result<StoredRecord, StoreError> {
    const TOO_SHORT: StoreError = StoreError::Unreadable("too short");
    let (_history, rest) = bytes.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
    let (revision, sealed) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
    Ok(StoredRecord { revision: Revision::from_be_bytes(*revision), sealed: sealed.to_vec() })
}
