//! Records and the index of numbers in Redis.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Script, cmd};

use super::pool::Command;
use super::script::{UNKNOWN_SHAPE, millis, script};
use super::{Redis, keys};
use crate::keyring::NumberKey;
use crate::store::error::StoreError;
use crate::store::records::{
    Claimed, Commit, CommitMode, CommitOutcome, Cursor, Erasure, ErasureOutcome, Records, Revision, StoredRecord,
    tombstone_id,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

static COMMIT: LazyLock<Script> = script!("record_key.lua", "commit.lua");
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
        match self.pool.run(commit_script(commit)).await? {
            1 => Ok(CommitOutcome::Committed(commit.revision())),
            0 => Ok(CommitOutcome::Conflict),
            _ => Ok(CommitOutcome::PossiblyStale),
        }
    }

    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError> {
        match self.pool.run(erase_script(erasure)).await? {
            1 => Ok(ErasureOutcome::Erased),
            0 => Ok(ErasureOutcome::Absent),
            _ => Ok(ErasureOutcome::Changed),
        }
    }

    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        let found = self.number_index(number).await?;
        let id = |value: &Vec<u8>| keys::parse_newest(number.shard(), value).map(|(id, _)| id).ok_or(UNKNOWN_SHAPE);
        found.as_ref().map(id).transpose()
    }

    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        let found = self.number_index(number).await?.unwrap_or_default();
        Ok(keys::parse_newest(number.shard(), &found).map(|(_, guesses)| guesses.to_vec()).unwrap_or_default())
    }

    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        self.list_shards(app, shard, before, limit).await
    }

    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        self.claim_due_in_shards(now, lease, limit).await
    }
}

impl Redis {
    async fn number_index(&self, number: NumberKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.pool.run(Command::Keyed(cmd("GET").arg(keys::newest(number.shard(), number)))).await
    }
}

fn commit_script(commit: &Commit) -> Command<'static> {
    let (previous, mode) = match commit.mode {
        CommitMode::Create { previous } => (previous, "create"),
        CommitMode::Update { accept_stale: false, .. } => (None, "update"),
        CommitMode::Update { accept_stale: true, .. } => (None, "accept_stale"),
    };
    let index_ttl = if commit.guesses.is_empty() { commit.ttl } else { commit.ttl.max(commit.guesses_ttl) };
    let mut script = COMMIT.prepare_invoke();
    script
        .key(keys::record(commit.id))
        .key(keys::newest(commit.id.shard(), commit.number))
        .key(keys::due(commit.id.shard()))
        .key(keys::list(commit.id.shard(), &commit.app))
        .arg(&commit.expected().to_be_bytes()[..])
        .arg(&commit.revision().to_be_bytes()[..])
        .arg(&commit.sealed[..])
        .arg(millis(commit.ttl))
        .arg(keys::member(commit.id))
        .arg(previous.map(keys::member).unwrap_or_default())
        .arg(commit.created_at.as_millis())
        .arg(commit.due.map(|due| due.as_millis().to_string()).unwrap_or_default())
        .arg(&commit.guesses[..])
        .arg(millis(index_ttl))
        .arg(mode);
    Command::Script(script)
}

fn erase_script(erasure: &Erasure) -> Command<'static> {
    let Erasure { id, app, numbers, expected, guesses, index_ttl } = erasure;
    let mut script = ERASE.prepare_invoke();
    script.key(keys::record(*id)).key(keys::due(id.shard())).key(keys::list(id.shard(), app));
    for number in numbers {
        script.key(keys::newest(id.shard(), *number));
    }
    let tombstone = [keys::member(tombstone_id(*id)).as_bytes(), guesses].concat();
    script.arg(&expected.to_be_bytes()[..]).arg(keys::member(*id)).arg(tombstone).arg(millis(*index_ttl));
    Command::Script(script)
}

/// Splits a value into history, revision and sealed record, as `commit.lua` writes them.
fn stored(bytes: Vec<u8>) -> Result<StoredRecord, StoreError> {
    const TOO_SHORT: StoreError = StoreError::Unreadable("too short");
    let (_history, rest) = bytes.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
    let (revision, sealed) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
    Ok(StoredRecord { revision: Revision::from_be_bytes(*revision), sealed: sealed.to_vec() })
}
