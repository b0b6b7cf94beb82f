//! Due times: one set on one server; in a cluster one for each shard, of which a claim asks only some.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use deadpool_redis::redis::Value;
use futures_util::future::join_all;

use super::pool::Command;
use super::records::stored;
use super::script::{Script, UNKNOWN_SHAPE, parse_time, read, script};
use super::{Redis, keys};
use crate::store::error::StoreError;
use crate::store::records::Claimed;
use crate::time::Timestamp;

static CLAIM_DUE: LazyLock<Script> = script!("record_key.lua", "claim_due.lua");

/// How many shards of a cluster are asked at a time.
const CONCURRENT_SHARDS: usize = 32;
/// How many further shards of a cluster each claim asks, in turn, for what a replica has left that died.
///
/// Timers claim once a second at least, so no due verification waits longer than four seconds for another replica.
const SHARDS_IN_TURN: u8 = 64;

/// When a shard whose node refuses or does not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What this process knows of the due times in each shard of a cluster.
pub(super) struct DueShards {
    /// The earliest due time that was committed or found here since the shard was last claimed.
    earliest: [AtomicI64; 256],
    /// The next shard to be asked in turn.
    turn: AtomicU8,
}

impl Default for DueShards {
    fn default() -> Self {
        Self { earliest: std::array::from_fn(|_| AtomicI64::new(i64::MAX)), turn: AtomicU8::default() }
    }
}

impl DueShards {
    /// Something in the shard is due at `at`.
    pub(super) fn note(&self, shard: u8, at: Timestamp) {
        self.earliest[usize::from(shard)].fetch_min(at.as_millis(), Ordering::AcqRel);
    }

    /// The shards in which something is due, and those whose turn it is.
    fn to_ask(&self, now: Timestamp) -> Vec<u8> {
        let first = self.turn.fetch_add(SHARDS_IN_TURN, Ordering::AcqRel);
        let is_due = |shard: &u8| self.earliest[usize::from(*shard)].load(Ordering::Acquire) <= now.as_millis();
        let is_its_turn = |shard: &u8| shard.wrapping_sub(first) < SHARDS_IN_TURN;
        (0..=u8::MAX).filter(|shard| is_due(shard) || is_its_turn(shard)).collect()
    }

    /// Forgets what is known of a shard, which is about to be claimed. Commits meanwhile are noted again.
    fn forget(&self, shard: u8) {
        self.earliest[usize::from(shard)].store(i64::MAX, Ordering::Release);
    }

    fn earliest(&self) -> Option<Timestamp> {
        let all = self.earliest.iter().map(|at| at.load(Ordering::Acquire));
        all.min().filter(|at| *at < i64::MAX).map(Timestamp::from_millis)
    }
}

impl Redis {
    /// The set that holds the due times of a shard.
    pub(super) fn due_key(&self, shard: u8) -> String {
        if self.is_cluster { keys::due_in(shard) } else { keys::DUE.to_owned() }
    }

    pub(super) async fn claim(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        if !self.is_cluster {
            return self.claim_from(keys::DUE, now, lease, limit).await;
        }
        let shards = self.due.to_ask(now);
        let mut claimed = Claimed::default();
        let (mut answers, mut failure) = (0, None);
        let mut left = &shards[..];
        while !left.is_empty() {
            // Each shard gets an equal share of the limit. With a share of 0 it only returns its next due time.
            let room = limit.saturating_sub(claimed.records.len());
            let width = if room == 0 { CONCURRENT_SHARDS } else { room.min(CONCURRENT_SHARDS) };
            let (some, rest) = left.split_at(width.min(left.len()));
            left = rest;
            let share = room / some.len();
            let claims = some.iter().map(|shard| async move {
                self.due.forget(*shard);
                self.claim_from(&keys::due_in(*shard), now, lease, share).await
            });
            // A shard whose primary is down must not stop the timers of the others, and what is leased must be returned.
            for (shard, claim) in some.iter().zip(join_all(claims).await) {
                match claim {
                    Ok(claim) => {
                        answers += 1;
                        claim.next.into_iter().for_each(|next| self.due.note(*shard, next));
                        claimed.records.extend(claim.records);
                    }
                    Err(error) => {
                        self.due.note(*shard, now + RETRY);
                        failure = Some(error);
                    }
                }
            }
        }
        claimed.next = self.due.earliest();
        match failure {
            Some(error) if answers == 0 => Err(error),
            _ => Ok(claimed),
        }
    }

    async fn claim_from(
        &self,
        due_times: &str,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Claimed, StoreError> {
        let mut call = CLAIM_DUE.with_keys(&[due_times]);
        call.arg(now.as_millis()).arg((now + lease).as_millis()).arg(limit);
        let mut answer = self.pool.run::<Vec<Value>>(Command::Script(call)).await?.into_iter();
        let next: Option<String> = read(answer.next())?;
        let next = next.map(|score| parse_time(&score)).transpose()?;
        let mut records = Vec::with_capacity(answer.len() / 2);
        while let Some(member) = answer.next() {
            let (member, record) = (read::<String>(Some(member))?, read(answer.next())?);
            records.push((keys::id(&member).ok_or(UNKNOWN_SHAPE)?, stored(record)?));
        }
        Ok(Claimed { records, next })
    }
}
