//! [`Redis`]: the back end that replicas share. One server, a cluster, or a master that sentinels name.
//!
//! Every change is one script in one slot (`*.lua`), safe to run twice (`take.lua` counts twice then); [`keys`] names
//! everything. What
//! spans all shards (the timers, an app's list) is one script on one server, and in a cluster one for each
//! shard, side by side.

mod conn;
mod keys;
mod pool;
mod scripts;
mod target;
mod warnings;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Value, cmd, from_redis_value};
use futures_util::future::{join_all, try_join_all};
use secrecy::{ExposeSecret, SecretString};

use self::pool::{Ask, Pool};
use self::target::Target;
use super::{
    AttemptRef, Claimed, Commit, Count, Cursor, Erased, Erasure, Found, Nonce, NumberKey, Outcome, Parked, Revision,
    Store, StoreError, Stored, Swap, Taken, claim_then_find,
};
use crate::time::Timestamp;
use crate::verification::VerificationId;

pub use self::target::InvalidUrl;
pub use self::warnings::{Advice, Setup};

/// How many shards of a cluster are asked at a time.
const SIDE_BY_SIDE: usize = 32;

/// Verifications in Redis.
pub struct Redis {
    pool: Pool,
    is_cluster: bool,
    /// The shard whose timers are looked at first, another each time, so that none waits for a full one.
    first: AtomicU8,
}

impl Redis {
    /// A store at `url`, with at most `pool_size` connections, all driven by the current runtime. Connects
    /// when first asked something: the server may be down now, and later.
    ///
    /// # Errors
    /// When the URL names no Redis, or outside a runtime.
    pub fn connect(url: &SecretString, pool_size: usize) -> Result<Self, InvalidUrl> {
        let target = Target::parse(url.expose_secret())?;
        let is_cluster = target.is_cluster();
        Ok(Self { pool: Pool::new(target, pool_size)?, is_cluster, first: AtomicU8::default() })
    }

    /// Whether `url` is one that [`Self::connect`] takes.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_url(url: &SecretString) -> Result<(), InvalidUrl> {
        Target::parse(url.expose_secret()).map(|_| ())
    }

    /// How the server is set up, as far as it tells.
    pub async fn setup(&self) -> Setup {
        Setup::read(&self.pool).await
    }

    /// The shards in the order in which to look at them this time, in groups that one script may span.
    fn rotated(&self) -> Vec<Vec<u8>> {
        let first = self.first.fetch_add(37, Ordering::Relaxed);
        let shards: Vec<u8> = keys::SHARDS.map(|s| s.wrapping_add(first)).collect();
        if self.is_cluster { shards.into_iter().map(|s| vec![s]).collect() } else { vec![shards] }
    }

    /// A page of shards that one script may span. Behind many entries of what is gone it takes several: others are
    /// answered in between.
    async fn list_in(
        &self,
        shards: &[u8],
        app: &str,
        mut before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        let mut page = Vec::new();
        loop {
            let answer = self.pool.ask(scripts::list(shards, app, before, limit - page.len())).await?;
            let (found, stopped) = scripts::listed(shards, answer)?;
            page.extend(found);
            match stopped {
                Some(_) => before = stopped,
                None => return Ok(page),
            }
        }
    }
}

#[async_trait]
impl Store for Redis {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        let (seconds, micros): (i64, i64) = self.pool.ask(Ask::Node(&cmd("TIME"))).await?;
        Ok(Timestamp::from_millis(seconds * 1000 + micros / 1000))
    }

    async fn load(&self, id: VerificationId) -> Result<Option<Stored>, StoreError> {
        let bytes: Option<Vec<u8>> = self.pool.ask(Ask::Cmd(cmd("GET").arg(keys::record(id)))).await?;
        bytes.map(stored).transpose()
    }

    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, Stored)>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = ids.iter().map(|id| keys::record(*id)).collect();
        // In a cluster the client splits it by slot and puts the answers in order again.
        let found: Vec<Option<Vec<u8>>> = self.pool.ask(Ask::Cmd(cmd("MGET").arg(keys))).await?;
        let both = ids.iter().zip(found).filter_map(|(id, bytes)| Some((*id, bytes?)));
        both.map(|(id, bytes)| Ok((id, stored(bytes)?))).collect()
    }

    async fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError> {
        match self.pool.ask(scripts::commit(commit)).await? {
            1 => Ok(Outcome::Committed(commit.expected + 1)),
            0 => Ok(Outcome::Conflict),
            _ => Ok(Outcome::MayLack),
        }
    }

    async fn erase(&self, erasure: &Erasure) -> Result<Erased, StoreError> {
        match self.pool.ask(scripts::erase(erasure)).await? {
            1 => Ok(Erased::Gone),
            0 => Ok(Erased::Absent),
            _ => Ok(Erased::Changed),
        }
    }

    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError> {
        let found: Option<Vec<u8>> =
            self.pool.ask(Ask::Cmd(cmd("GET").arg(keys::newest(number.shard(), number)))).await?;
        let id = |value: &Vec<u8>| keys::parse_newest(number.shard(), value).map(|(id, _)| id).ok_or(MISSPELT);
        found.as_ref().map(id).transpose()
    }

    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError> {
        let found: Option<Vec<u8>> =
            self.pool.ask(Ask::Cmd(cmd("GET").arg(keys::newest(number.shard(), number)))).await?;
        let found = found.unwrap_or_default();
        Ok(keys::parse_newest(number.shard(), &found).map(|(_, guesses)| guesses.to_vec()).unwrap_or_default())
    }

    async fn take(&self, counts: &[Count], unless: Option<NumberKey>, now: Timestamp) -> Result<Taken, StoreError> {
        if !self.is_cluster {
            let answer = self.pool.ask(scripts::take(counts, unless, now)).await?;
            return scripts::taken(counts, unless, now, answer);
        }
        // Each has a slot of its own there: one after the other, narrow scopes first.
        if let Some(number) = unless
            && let Some(found) = self.newest(number).await?
        {
            return Ok(Taken::Found(found));
        }
        for (which, count) in counts.iter().enumerate() {
            let one = std::slice::from_ref(count);
            let answer = self.pool.ask(scripts::take(one, None, now)).await?;
            if let Taken::Full { wait, .. } = scripts::taken(one, None, now, answer)? {
                // Those before it are given back; what is lost on the way is only counted too much.
                for given in &counts[..which] {
                    let back = Count { amount: given.amount.saturating_neg(), is_free: true, ..given.clone() };
                    self.pool.ask::<Vec<Value>>(scripts::take(std::slice::from_ref(&back), None, now)).await?;
                }
                return Ok(Taken::Full { which, wait });
            }
        }
        Ok(Taken::All)
    }

    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let groups = shard.map_or_else(|| self.rotated(), |shard| vec![vec![shard]]);
        let mut page = Vec::new();
        for groups in groups.chunks(SIDE_BY_SIDE) {
            let asked = groups.iter().map(|shards| self.list_in(shards, app, before, limit));
            page.extend(try_join_all(asked).await?.into_iter().flatten());
        }
        page.sort_unstable_by(|a, b| b.cmp(a));
        page.truncate(limit);
        Ok(page)
    }

    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError> {
        let groups = self.rotated();
        let mut claimed = Claimed::default();
        let mut at = 0;
        let (mut answers, mut fault) = (0, None);
        while at < groups.len() {
            // Each gets an equal share of what may still be taken; with nothing left they only say what is next.
            let room = limit.saturating_sub(claimed.ids.len());
            let width = if room == 0 { SIDE_BY_SIDE } else { room.min(SIDE_BY_SIDE) };
            let end = groups.len().min(at + width);
            let share = room / (end - at);
            let asked = groups[at..end].iter().map(|shards| async move {
                let found = self.pool.ask(scripts::claim(shards, now, lease, share)).await?;
                scripts::claimed(shards, found)
            });
            // One shard's primary being away stops no other's timers; what is claimed must be handed out.
            for one in join_all(asked).await {
                match one {
                    Ok(one) => {
                        answers += 1;
                        claimed.ids.extend(one.ids);
                        claimed.next = claimed.next.into_iter().chain(one.next).min();
                    }
                    Err(error) => fault = Some(error),
                }
            }
            at = end;
        }
        match fault {
            Some(error) if answers == 0 => Err(error),
            _ => Ok(claimed),
        }
    }

    async fn link(&self, provider_id: &str, to: AttemptRef, keep: Duration) -> Result<Vec<Parked>, StoreError> {
        let waiting: Vec<Vec<u8>> = self.pool.ask(scripts::link(provider_id, to, keep)).await?;
        waiting.iter().map(|report| serde_json::from_slice(report).map_err(|_| MISSPELT)).collect()
    }

    async fn find_or_park(&self, provider_id: &str, report: &Parked) -> Result<Option<AttemptRef>, StoreError> {
        let report = serde_json::to_vec(report).map_err(|_| StoreError::Unreadable("cannot be written"))?;
        let found: Option<String> = self.pool.ask(scripts::find_or_park(provider_id, &report)).await?;
        found.map(|text| keys::parse_attempt(&text).ok_or(MISSPELT)).transpose()
    }

    /// One script where all keys are on one server; a cluster is asked twice.
    async fn find_or_park_once(&self, nonce: &Nonce, provider_id: &str, report: &Parked) -> Result<Found, StoreError> {
        if self.is_cluster {
            return claim_then_find(self, nonce, provider_id, report).await;
        }
        let report = serde_json::to_vec(report).map_err(|_| StoreError::Unreadable("cannot be written"))?;
        match self.pool.ask(scripts::find_or_park_once(nonce, provider_id, &report)).await? {
            Value::Nil => Ok(Found::Parked),
            Value::Int(_) => Ok(Found::Replayed),
            found => {
                let text: String = from_redis_value(found).map_err(|_| MISSPELT)?;
                keys::parse_attempt(&text).map(Found::Attempt).ok_or(MISSPELT)
            }
        }
    }

    async fn unpark(&self, provider_id: &str) -> Result<(), StoreError> {
        self.pool.ask(Ask::Cmd(cmd("DEL").arg(keys::parked(provider_id)))).await
    }

    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        self.pool.ask(scripts::unlink(provider_id, of)).await
    }

    async fn memos(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = names.iter().map(|name| keys::memo(name)).collect();
        self.pool.ask(Ask::Cmd(cmd("MGET").arg(keys))).await
    }

    async fn swap_memo(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        let there: Option<Vec<u8>> = self.pool.ask(scripts::swap_memo(name, before, after, keep)).await?;
        Ok(there.map_or(Swap::Written, |other| Swap::Changed(Some(other).filter(|other| !other.is_empty()))))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.pool.ask(Ask::Node(&cmd("PING"))).await
    }

    async fn warnings(&self) -> Vec<String> {
        warnings::of(&self.pool).await
    }

    fn pool(&self) -> Option<(usize, usize)> {
        Some(self.pool.status())
    }
}

const MISSPELT: StoreError = StoreError::Unreadable("is of a shape this version does not know");

/// History, revision and record, as `commit.lua` writes them.
fn stored(bytes: Vec<u8>) -> Result<Stored, StoreError> {
    const TOO_SHORT: StoreError = StoreError::Unreadable("too short");
    let (_history, rest) = bytes.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
    let (revision, sealed) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
    Ok(Stored { revision: Revision::from_be_bytes(*revision), sealed: sealed.to_vec() })
}
