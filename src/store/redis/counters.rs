//! Counters in Redis: a text for each, of the amounts by window and step, which `counters.lua` describes.

use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::Value;
use futures_util::future::{join_all, try_join_all};

use super::pool::Command;
use super::script::{Call, Script, UNKNOWN_SHAPE, millis, read, script};
use super::{Redis, keys};
use crate::store::counters::{Counters, Increment, IncrementOutcome};
use crate::store::error::StoreError;
use crate::time::Timestamp;

static INCREMENT: LazyLock<Script> = script!("counters.lua", "increment.lua");

#[async_trait]
impl Counters for Redis {
    async fn increment(&self, increments: &[Increment], now: Timestamp) -> Result<IncrementOutcome, StoreError> {
        if self.is_cluster {
            return self.increment_in_cluster(increments, now).await;
        }
        self.increment_at_once(increments, now).await
    }
}

impl Redis {
    async fn increment_at_once(
        &self,
        increments: &[Increment],
        now: Timestamp,
    ) -> Result<IncrementOutcome, StoreError> {
        if increments.is_empty() {
            return Ok(IncrementOutcome::Added);
        }
        let keys: Vec<String> = increments.iter().map(|increment| keys::counter(&increment.counter)).collect();
        let mut call = INCREMENT.with_keys(&keys);
        add_counters(&mut call, increments, now);
        let mut answer = self.pool.run::<Vec<Value>>(Command::Script(call)).await?.into_iter();
        match answer.next() {
            None => Ok(IncrementOutcome::Added),
            Some(index) => {
                let (index, wait) = over_limit(increments, read(Some(index))?, read(answer.next())?, now)?;
                Ok(IncrementOutcome::OverLimit { index, wait })
            }
        }
    }

    /// Increments each counter on its own, because each has a slot of its own, and gives back after a refusal.
    pub(super) async fn increment_in_cluster(
        &self,
        increments: &[Increment],
        now: Timestamp,
    ) -> Result<IncrementOutcome, StoreError> {
        let each = increments.iter().map(|increment| self.increment_at_once(slice::from_ref(increment), now));
        let outcomes = join_all(each).await;
        let is_added = |outcome: &Result<_, _>| matches!(outcome, Ok(IncrementOutcome::Added));
        if outcomes.iter().all(is_added) {
            return Ok(IncrementOutcome::Added);
        }
        let added = increments.iter().zip(&outcomes).filter(|(_, outcome)| is_added(outcome));
        self.give_back(added.map(|(increment, _)| increment), now).await?;
        for (index, outcome) in outcomes.into_iter().enumerate() {
            if let IncrementOutcome::OverLimit { wait, .. } = outcome? {
                return Ok(IncrementOutcome::OverLimit { index, wait });
            }
        }
        Ok(IncrementOutcome::Added)
    }

    /// Takes back what was added. If that fails, a counter is too high for the length of its window.
    pub(super) async fn give_back(
        &self,
        added: impl Iterator<Item = &Increment>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let back = added.map(|added| Increment {
            amount: added.amount.saturating_neg(),
            ignores_limits: true,
            ..added.clone()
        });
        let back: Vec<Increment> = back.collect();
        try_join_all(back.iter().map(|one| self.increment_at_once(slice::from_ref(one), now))).await?;
        Ok(())
    }
}

/// Adds the arguments that `counters.lua` reads.
pub(super) fn add_counters(call: &mut Call, increments: &[Increment], now: Timestamp) {
    for increment in increments {
        let Increment { amount, limits, ignores_limits, .. } = increment;
        call.arg(*amount).arg(u8::from(*ignores_limits)).arg(millis(increment.ttl())).arg(limits.0.len());
        for limit in limits.0.iter() {
            call.arg(limit.max).arg(limit.window.as_secs()).arg(limit.first_step(now)).arg(limit.step(now));
        }
    }
}

/// Works out when a full counter has room again.
pub(super) fn over_limit(
    increments: &[Increment],
    index: usize,
    text: String,
    now: Timestamp,
) -> Result<(usize, Duration), StoreError> {
    let increment = increments.get(index).ok_or(UNKNOWN_SHAPE)?;
    let parts = text.split_ascii_whitespace().map(parse_part).collect::<Option<Vec<_>>>().ok_or(UNKNOWN_SHAPE)?;
    let mut held = parts.concat();
    held.sort_unstable();
    let wait = increment
        .wait(now, |window| held.iter().filter(move |(w, ..)| *w == window).map(|(_, step, amount)| (*step, *amount)));
    Ok((index, wait.unwrap_or(Duration::from_secs(1))))
}

/// A part of a counter, as `counters.lua` writes it: window, step and amount of its last step and of each other one.
fn parse_part(part: &str) -> Option<Vec<(u64, u64, i64)>> {
    let mut entries = part.split(',');
    let (window, last) = entries.next()?.split_once(':')?;
    let window = window.parse().ok()?;
    let parse = |entry: &str| {
        let mut fields = entry.split(':');
        Some((window, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    std::iter::once(last).chain(entries).map(parse).collect()
}
