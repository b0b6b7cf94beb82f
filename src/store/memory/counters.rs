//! Counters in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::expiring::ExpiringMap;
use super::{Memory, clock};
use crate::store::counters::{Counters, Increment, IncrementOutcome};
use crate::store::error::StoreError;
use crate::time::Timestamp;

/// What a counter holds, by window in seconds and step.
type Steps = BTreeMap<(u64, u64), i64>;

#[derive(Default)]
pub(super) struct CounterTable(ExpiringMap<String, Steps>);

impl CounterTable {
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.expire(now);
    }

    /// The position of the first increment that would exceed a limit, and how long until there is room.
    pub(super) fn first_over_limit(&self, increments: &[Increment], now: Timestamp) -> Option<(usize, Duration)> {
        increments.iter().enumerate().find_map(|(index, increment)| {
            let held = self.0.get(&increment.counter);
            // Two attempts of one commit name the same counters.
            let same = increments[..index].iter().filter(|earlier| earlier.counter == increment.counter);
            let amount = increment.amount + same.map(|earlier| earlier.amount).sum::<i64>();
            let wait = Increment { amount, ..increment.clone() }.wait(now, |window| {
                let steps = held.into_iter().flat_map(move |steps| steps.range((window, 0)..=(window, u64::MAX)));
                steps.map(|((_, step), amount)| (*step, *amount))
            })?;
            Some((index, wait))
        })
    }

    pub(super) fn add_all(&mut self, increments: &[Increment], now: Timestamp) {
        increments.iter().for_each(|increment| self.add(increment, now));
    }

    fn add(&mut self, increment: &Increment, now: Timestamp) {
        let mut steps = self.0.remove(&increment.counter).unwrap_or_default();
        for limit in increment.limits.0.iter() {
            let window = limit.window.as_secs();
            *steps.entry((window, limit.step(now))).or_insert(0) += increment.amount;
            steps.retain(|(of, step), _| *of != window || *step >= limit.first_step(now));
        }
        self.0.insert(increment.counter.clone(), steps, clock() + increment.ttl());
    }
}

#[async_trait]
impl Counters for Memory {
    async fn increment(&self, increments: &[Increment], now: Timestamp) -> Result<IncrementOutcome, StoreError> {
        let counters = &mut self.state().counters;
        if let Some((index, wait)) = counters.first_over_limit(increments, now) {
            return Ok(IncrementOutcome::OverLimit { index, wait });
        }
        counters.add_all(increments, now);
        Ok(IncrementOutcome::Added)
    }
}
