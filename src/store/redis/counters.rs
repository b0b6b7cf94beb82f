//! Counters in Redis: a hash for each, by window and step.

use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Script, Value};

use super::pool::Command;
use super::script::{UNKNOWN_SHAPE, millis, read, script};
use super::{Redis, keys};
use crate::keyring::NumberKey;
use crate::store::counters::{Counters, Increment, IncrementOutcome};
use crate::store::error::StoreError;
use crate::store::records::Records;
use crate::time::Timestamp;

static INCREMENT: LazyLock<Script> = script!("increment.lua");

#[async_trait]
impl Counters for Redis {
    async fn increment(
        &self,
        increments: &[Increment],
        unless_in_use: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<IncrementOutcome, StoreError> {
        if self.is_cluster {
            return self.increment_in_cluster(increments, unless_in_use, now).await;
        }
        let answer = self.pool.run(increment_script(increments, unless_in_use, now)).await?;
        parse_outcome(increments, unless_in_use, now, answer)
    }
}

impl Redis {
    /// Increments one counter after the other, because each has a slot of its own. Narrow scopes come first.
    async fn increment_in_cluster(
        &self,
        increments: &[Increment],
        unless_in_use: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<IncrementOutcome, StoreError> {
        if let Some(number) = unless_in_use
            && let Some(id) = self.newest(number).await?
        {
            return Ok(IncrementOutcome::NumberInUse(id));
        }
        for (index, increment) in increments.iter().enumerate() {
            let one = slice::from_ref(increment);
            let answer = self.pool.run(increment_script(one, None, now)).await?;
            if let IncrementOutcome::OverLimit { wait, .. } = parse_outcome(one, None, now, answer)? {
                // If giving back fails, a counter is too high for the length of its window.
                for added in &increments[..index] {
                    let amount = added.amount.saturating_neg();
                    let back = Increment { amount, ignores_limits: true, ..added.clone() };
                    self.pool.run::<Vec<Value>>(increment_script(slice::from_ref(&back), None, now)).await?;
                }
                return Ok(IncrementOutcome::OverLimit { index, wait });
            }
        }
        Ok(IncrementOutcome::Added)
    }
}

fn increment_script(increments: &[Increment], unless_in_use: Option<NumberKey>, now: Timestamp) -> Command<'static> {
    let mut script = INCREMENT.prepare_invoke();
    script.arg(u8::from(unless_in_use.is_some()));
    if let Some(number) = unless_in_use {
        script.key(keys::newest(number.shard(), number));
    }
    for increment in increments {
        let Increment { counter, amount, limits, ignores_limits } = increment;
        script.key(keys::counter(counter));
        script.arg(*amount).arg(u8::from(*ignores_limits)).arg(millis(increment.ttl())).arg(limits.0.len());
        for limit in &limits.0 {
            script.arg(limit.max).arg(limit.window.as_secs()).arg(limit.first_step(now)).arg(limit.step(now));
        }
    }
    Command::Script(script)
}

fn parse_outcome(
    increments: &[Increment],
    unless_in_use: Option<NumberKey>,
    now: Timestamp,
    answer: Vec<Value>,
) -> Result<IncrementOutcome, StoreError> {
    let mut answer = answer.into_iter();
    let Some(outcome) = answer.next() else { return Ok(IncrementOutcome::Added) };
    if read::<String>(Some(outcome))? == "found" {
        let shard = unless_in_use.map(NumberKey::shard).ok_or(UNKNOWN_SHAPE)?;
        let value: Vec<u8> = read(answer.next())?;
        let found = keys::parse_newest(shard, &value);
        return found.map(|(id, _)| IncrementOutcome::NumberInUse(id)).ok_or(UNKNOWN_SHAPE);
    }
    let index: usize = read(answer.next())?;
    let increment = increments.get(index).ok_or(UNKNOWN_SHAPE)?;
    let mut held: Vec<(u64, u64, i64)> = Vec::new();
    while let Some(field) = answer.next() {
        let (field, amount) = (read::<String>(Some(field))?, read(answer.next())?);
        let (window, step) = field.split_once(':').ok_or(UNKNOWN_SHAPE)?;
        let number = |text: &str| text.parse().map_err(|_| UNKNOWN_SHAPE);
        held.push((number(window)?, number(step)?, amount));
    }
    held.sort_unstable();
    let wait = increment
        .wait(now, |window| held.iter().filter(move |(w, ..)| *w == window).map(|(_, step, amount)| (*step, *amount)));
    Ok(IncrementOutcome::OverLimit { index, wait: wait.unwrap_or(Duration::from_secs(1)) })
}
