//! [`Counters`]: what the limits count, in windows that slide.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;
use crate::guard::Limits;
use crate::time::Timestamp;

/// An amount to add to one counter, and the limits of that counter.
#[derive(Clone, Debug)]
pub struct Increment {
    /// The counter's name; it begins with its scope and contains no number or address.
    pub counter: String,
    /// How much is added; negative to give back.
    pub amount: i64,
    /// The limits that the counter must stay within.
    pub limits: Limits,
    /// Whether it is added even if that exceeds a limit.
    pub ignores_limits: bool,
}

impl Increment {
    /// How long until the limits have room for it, or `None` if they have now.
    ///
    /// `steps` lists what each step of a window (in seconds) holds, oldest first.
    pub(super) fn wait<I: Iterator<Item = (u64, i64)> + Clone>(
        &self,
        now: Timestamp,
        steps: impl Fn(u64) -> I,
    ) -> Option<Duration> {
        let amount = u64::try_from(self.amount).unwrap_or(0);
        let waits = self.limits.0.iter().filter_map(|limit| limit.wait(steps(limit.window.as_secs()), amount, now));
        waits.max().filter(|_| !self.ignores_limits)
    }

    /// How long the counter is kept: until its oldest step is outside every window, and a little longer.
    pub(super) fn ttl(&self) -> Duration {
        let longest = self.limits.0.iter().map(|limit| limit.window).max().unwrap_or_default();
        longest + longest / 10
    }
}

/// The result of adding to counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncrementOutcome {
    /// All amounts are added.
    Added,
    /// Nothing is added, because one counter would exceed a limit.
    OverLimit {
        /// The position of that increment in the request.
        index: usize,
        /// How long until there is room.
        wait: Duration,
    },
}

/// Counts attempts, money and guesses against limits. A commit counts its own attempts; this is for all else.
#[async_trait]
pub trait Counters: Send + Sync + 'static {
    /// Adds to all counters, or to none if one of them would exceed a limit.
    ///
    /// In a cluster it takes a round trip for each counter, and what was added before a refusal is given back.
    ///
    /// Not idempotent: after a lost answer a retry may add twice. Then a limit is narrower than it should be until its
    /// window ends, or wider if the amount is negative.
    async fn increment(&self, increments: &[Increment], now: Timestamp) -> Result<IncrementOutcome, StoreError>;
}
