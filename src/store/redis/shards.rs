//! Due times and lists, which lie in every shard: one script for all shards on one server, one each in a cluster.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_redis::redis::{Script, Value};
use futures_util::future::{join_all, try_join_all};

use super::pool::Command;
use super::script::{UNKNOWN_SHAPE, parse_time, read, script};
use super::{Redis, keys};
use crate::store::error::StoreError;
use crate::store::records::{Claimed, Cursor};
use crate::time::Timestamp;

static CLAIM_DUE: LazyLock<Script> = script!("record_key.lua", "claim_due.lua");
static LIST: LazyLock<Script> = script!("record_key.lua", "list.lua");

/// How many shards of a cluster are asked at a time.
const CONCURRENT_SHARDS: usize = 32;
/// How far the first shard of a scan moves each time; odd, so that every shard comes first once in 256 scans.
const SHARD_STRIDE: u8 = 37;

impl Redis {
    /// All shards, in groups that one script may span.
    fn shard_groups(&self) -> Vec<Vec<u8>> {
        let first = self.first_shard.fetch_add(SHARD_STRIDE, Ordering::Relaxed);
        let shards: Vec<u8> = keys::SHARDS.map(|shard| shard.wrapping_add(first)).collect();
        if self.is_cluster { shards.into_iter().map(|shard| vec![shard]).collect() } else { vec![shards] }
    }

    pub(super) async fn list_shards(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let groups = shard.map_or_else(|| self.shard_groups(), |shard| vec![vec![shard]]);
        let mut page = Vec::new();
        for groups in groups.chunks(CONCURRENT_SHARDS) {
            let pages = groups.iter().map(|shards| self.list_group(shards, app, before, limit));
            page.extend(try_join_all(pages).await?.into_iter().flatten());
        }
        page.sort_unstable_by(|a, b| b.cmp(a));
        page.truncate(limit);
        Ok(page)
    }

    /// One page of a group of shards. The script stops early if the records of many entries are gone, and is run again.
    async fn list_group(
        &self,
        shards: &[u8],
        app: &str,
        mut before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        let mut page = Vec::new();
        loop {
            let (found, stopped): (Vec<Value>, Vec<Value>) =
                self.pool.run(list_script(shards, app, before, limit - page.len())).await?;
            page.extend(cursors(shards, found)?);
            before = cursors(shards, stopped)?.pop();
            if before.is_none() {
                return Ok(page);
            }
        }
    }

    pub(super) async fn claim_due_in_shards(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Claimed, StoreError> {
        let groups = self.shard_groups();
        let mut claimed = Claimed::default();
        let (mut done, mut answers, mut failure) = (0, 0, None);
        while done < groups.len() {
            // Each group gets an equal share of the limit. With a share of 0 it only returns its next due time.
            let room = limit.saturating_sub(claimed.ids.len());
            let width = if room == 0 { CONCURRENT_SHARDS } else { room.min(CONCURRENT_SHARDS) };
            let end = groups.len().min(done + width);
            let share = room / (end - done);
            let claims = groups[done..end].iter().map(|shards| async move {
                let answer = self.pool.run(claim_due_script(shards, now, lease, share)).await?;
                parse_claimed(shards, answer)
            });
            // A shard whose primary is down must not stop the timers of the others, and what is leased must be returned.
            for claim in join_all(claims).await {
                match claim {
                    Ok(claim) => {
                        answers += 1;
                        claimed.ids.extend(claim.ids);
                        claimed.next = claimed.next.into_iter().chain(claim.next).min();
                    }
                    Err(error) => failure = Some(error),
                }
            }
            done = end;
        }
        match failure {
            Some(error) if answers == 0 => Err(error),
            _ => Ok(claimed),
        }
    }
}

fn list_script(shards: &[u8], app: &str, before: Option<Cursor>, limit: usize) -> Command<'static> {
    let mut script = LIST.prepare_invoke();
    for shard in shards {
        script.key(keys::list(*shard, app));
    }
    script.arg(limit);
    match before {
        Some(Cursor { created_at, id }) => {
            script.arg(created_at.as_millis()).arg(id.shard()).arg(keys::member(id));
        }
        None => {
            script.arg("").arg("").arg("");
        }
    }
    Command::Script(script)
}

fn cursors(shards: &[u8], answer: Vec<Value>) -> Result<Vec<Cursor>, StoreError> {
    let mut answer = answer.into_iter();
    let mut cursors = Vec::with_capacity(answer.len() / 3);
    while let Some(score) = answer.next() {
        let created_at = parse_time(&read::<String>(Some(score))?)?;
        let (index, member) = (read::<usize>(answer.next())?, read::<String>(answer.next())?);
        let id = shards.get(index).and_then(|shard| keys::id(*shard, &member)).ok_or(UNKNOWN_SHAPE)?;
        cursors.push(Cursor { created_at, id });
    }
    Ok(cursors)
}

fn claim_due_script(shards: &[u8], now: Timestamp, lease: Duration, limit: usize) -> Command<'static> {
    let mut script = CLAIM_DUE.prepare_invoke();
    for shard in shards {
        script.key(keys::due(*shard));
    }
    script.arg(now.as_millis()).arg((now + lease).as_millis()).arg(limit);
    Command::Script(script)
}

fn parse_claimed(shards: &[u8], answer: Vec<Value>) -> Result<Claimed, StoreError> {
    let mut answer = answer.into_iter();
    let next: Option<String> = read(answer.next())?;
    let next = next.map(|score| parse_time(&score)).transpose()?;
    let mut ids = Vec::with_capacity(answer.len() / 2);
    while let Some(index) = answer.next() {
        let (index, member) = (read::<usize>(Some(index))?, read::<String>(answer.next())?);
        ids.push(shards.get(index).and_then(|shard| keys::id(*shard, &member)).ok_or(UNKNOWN_SHAPE)?);
    }
    Ok(Claimed { ids, next })
}
