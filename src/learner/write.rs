//! Writes what is learned: at most one small write per verification that has ended.
//!
//! Each ended verification grants one write. Every write spends one, whether it is for statistics, a prefix's network,
//! a price or the index, and also when another replica was faster and the write must be retried. The most overdue write
//! comes first; without budget, the rest waits for the next verification that ends. A key is written at most once a
//! second, so that a busy route makes no hot key. Only the last flush of a stopping process ignores the budget.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::budget::FlushPolicy;
use super::cache::{CachedStats, decode, index_entry, value_name};
use super::{INDEX, KEEP, Learner, State};
use crate::route_model::Key;
use crate::store::{StoreError, SwapOutcome};

/// Pause between flushes, and between two writes of one key.
pub(super) const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// Compare-and-set attempts of one write.
///
/// The loop is by hand: a retry needs no back-off, but a budget and the value that was faster.
const SWAP_ATTEMPTS: usize = 5;
/// Names in the index; the oldest are dropped.
const INDEX_MAX: usize = 2_000;

/// Something to write.
#[derive(Clone, Debug)]
enum PendingWrite {
    Stats(Key),
    Fact(String),
    Index,
}

impl State {
    /// Returns the writes that are due, the most urgent first; with `is_final`, all that are pending.
    fn due_writes(&self, is_final: bool, now: Instant) -> Vec<PendingWrite> {
        let is_paused = |cached: &CachedStats| {
            cached.write_started_at.is_some_and(|at| now.saturating_duration_since(at) < WRITE_INTERVAL)
        };
        let may_write = |cached: &CachedStats| !cached.pending.is_empty() && (is_final || !is_paused(cached));
        let stats = self.cached.iter().filter(|(_, cached)| may_write(cached)).map(|(key, cached)| {
            let policy = if matches!(key, Key::AppRoute(..)) { FlushPolicy::ROUTE } else { FlushPolicy::SHARED };
            let urgency = policy.urgency(cached.pending.len(), cached.pending_since, now);
            (urgency, cached.write_started_at, cached.pending_since, PendingWrite::Stats(*key))
        });
        let facts = self.pending_facts.iter().map(|(name, (_, since))| {
            let urgency = FlushPolicy::FACT.urgency(0, Some(*since), now);
            (urgency, self.fact_written_at, Some(*since), PendingWrite::Fact(name.clone()))
        });
        let index = self.unindexed.values().min().map(|since| {
            let urgency = FlushPolicy::INDEX.urgency(0, Some(*since), now);
            (urgency, None, None, PendingWrite::Index)
        });
        let all = stats.chain(facts).chain(index);
        let mut due: Vec<_> = all.filter(|(urgency, ..)| is_final || *urgency >= 1.0).collect();
        due.sort_by(|one, other| other.0.total_cmp(&one.0).then((one.1, one.2).cmp(&(other.1, other.2))));
        let mut due: Vec<_> = due.into_iter().map(|(.., write)| write).collect();
        let shared = due.iter().position(|write| !matches!(write, PendingWrite::Stats(Key::AppRoute(..))));
        if let (Some(first), true) = (shared, self.budget.is_shared_turn()) {
            due[..=first].rotate_right(1);
        }
        due
    }
}

impl Learner {
    /// Writes what is due within the budget; with `is_final`, everything that is pending.
    ///
    /// # Errors
    /// Fails when the store does not answer; what is not written stays pending.
    pub async fn flush(&self, is_final: bool) -> Result<(), StoreError> {
        self.flush_at(is_final, Instant::now()).await
    }

    pub(super) async fn flush_at(&self, is_final: bool, now: Instant) -> Result<(), StoreError> {
        let due = self.state().due_writes(is_final, now);
        for write in due {
            let is_in_budget = match write {
                PendingWrite::Stats(key) => self.write_stats(key, is_final, now).await?,
                PendingWrite::Fact(name) => self.write_fact(name, is_final, now).await?,
                PendingWrite::Index => self.write_index(is_final).await?,
            };
            if !is_in_budget {
                return Ok(());
            }
        }
        // Keys that this flush wrote for the first time are not in the index yet.
        if is_final { self.write_index(is_final).await.map(drop) } else { Ok(()) }
    }

    fn spend_write(&self, is_final: bool) -> bool {
        self.state().budget.spend(is_final)
    }

    /// Merges the pending lessons of a key into its stored statistics; returns `false` without budget.
    async fn write_stats(&self, key: Key, is_final: bool, now: Instant) -> Result<bool, StoreError> {
        if !self.spend_write(is_final) {
            return Ok(false);
        }
        // A read is cheap; a swap that another replica has outrun costs a write.
        let mut stored = self.store.values(&[value_name(key)]).await?.pop().flatten();
        let lessons = self.state().cached.entry(key).or_default().start_write(now);
        for attempt in 0..SWAP_ATTEMPTS {
            if attempt > 0 && !self.spend_write(is_final) {
                break;
            }
            let mut stats = decode(key, stored.as_deref());
            lessons.iter().for_each(|lesson| stats.apply(*lesson));
            let after = stats.to_bytes();
            match self.store.compare_and_swap(&value_name(key), stored.as_deref(), &after, KEEP).await {
                Ok(SwapOutcome::Written) => {
                    let mut state = self.state();
                    state.cached.entry(key).or_default().finish_write(key, &after, now);
                    if !state.indexed.contains(&key) {
                        state.unindexed.entry(key).or_insert(now);
                    }
                    return Ok(true);
                }
                Ok(SwapOutcome::Changed(newer)) => stored = newer,
                Err(error) => {
                    self.state().cached.entry(key).or_default().abort_write();
                    return Err(error);
                }
            }
        }
        self.state().cached.entry(key).or_default().abort_write();
        Ok(true)
    }

    /// Writes a network or a price; returns `false` without budget.
    ///
    /// A lost race needs no retry: the other replica's value is as valid.
    async fn write_fact(&self, name: String, is_final: bool, now: Instant) -> Result<bool, StoreError> {
        let Some((fact, _)) = self.state().pending_facts.get(&name).cloned() else { return Ok(true) };
        let stored = self.store.values(std::slice::from_ref(&name)).await?.pop().flatten();
        let merged = self.merge_network(&name, stored.as_deref());
        let (pending, fact) = (fact.clone(), merged.unwrap_or(fact));
        if stored.as_deref() != Some(fact.as_bytes()) {
            if !self.spend_write(is_final) {
                return Ok(false);
            }
            self.store.compare_and_swap(&name, stored.as_deref(), fact.as_bytes(), KEEP).await?;
        }
        let mut state = self.state();
        state.fact_written_at = Some(now);
        if state.pending_facts.get(&name).is_some_and(|(newest, _)| *newest == pending) {
            state.pending_facts.remove(&name);
        }
        Ok(true)
    }

    /// Adds keys to the index, so that other replicas list them; returns `false` without budget.
    ///
    /// Each process does this once per key, in case the process that wrote the key first could not.
    async fn write_index(&self, is_final: bool) -> Result<bool, StoreError> {
        let new: Vec<(Key, String)> = {
            let state = self.state();
            let country = |key: &Key| state.cached.get(key).and_then(|cached| cached.country.as_ref());
            state.unindexed.keys().map(|key| (*key, index_entry(*key, country(key)))).collect()
        };
        for _ in 0..SWAP_ATTEMPTS {
            let stored = self.store.values(&[INDEX.to_owned()]).await?.pop().flatten();
            let text = stored.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let mut entries: Vec<&str> = text.split_whitespace().collect();
            let known = entries.len();
            for (_, entry) in &new {
                if !entries.contains(&entry.as_str()) {
                    entries.push(entry);
                }
            }
            let is_complete = entries.len() == known || {
                if !self.spend_write(is_final) {
                    return Ok(false);
                }
                let after = entries[entries.len().saturating_sub(INDEX_MAX)..].join(" ");
                self.store.compare_and_swap(INDEX, stored.as_deref(), after.as_bytes(), KEEP).await?
                    == SwapOutcome::Written
            };
            if is_complete {
                let mut state = self.state();
                for (key, _) in &new {
                    state.unindexed.remove(key);
                    state.indexed.insert(*key);
                }
                break;
            }
        }
        Ok(true)
    }
}

/// Flushes once a second until `stop`, and then everything that is pending.
pub async fn run(learner: Arc<Learner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(WRITE_INTERVAL) => {}
        }
        if let Err(error) = learner.flush(false).await {
            debug!(%error, "cannot write route statistics; they stay pending");
        }
    }
    let _ = tokio::time::timeout(WRITE_INTERVAL, learner.flush(true)).await;
}
