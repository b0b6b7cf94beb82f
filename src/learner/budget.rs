//! [`WriteBudget`] and [`FlushPolicy`]: how many writes the learner may make, and when each kind is due.

use std::time::{Duration, Instant};

/// Unused writes that are kept for later.
const AVAILABLE_MAX: usize = 64;
/// One write in this many is for shared statistics or facts, if any are due, even while routes are always overdue.
const SHARED_EVERY: usize = 4;

/// Writes that ended verifications have granted and flushes have not spent.
#[derive(Default)]
pub(super) struct WriteBudget {
    available: usize,
    spent: usize,
}

impl WriteBudget {
    /// Adds one write.
    pub(super) fn grant(&mut self) {
        self.available = (self.available + 1).min(AVAILABLE_MAX);
    }

    /// Spends one write and returns whether there was one; `is_final` spends without a budget.
    pub(super) fn spend(&mut self, is_final: bool) -> bool {
        let is_allowed = self.available > 0 || is_final;
        self.available = self.available.saturating_sub(1);
        self.spent = self.spent.wrapping_add(usize::from(is_allowed));
        is_allowed
    }

    /// Whether the next write is for shared statistics or facts.
    pub(super) fn is_shared_turn(&self) -> bool {
        self.spent % SHARED_EVERY == SHARED_EVERY - 1
    }
}

/// When one kind of write is due: at `lessons` or at `age`.
///
/// The most overdue write comes first. Urgency is capped at `urgency_max`, so that kinds with equal caps take turns.
pub(super) struct FlushPolicy {
    lessons: usize,
    age: Duration,
    urgency_max: f64,
}

impl FlushPolicy {
    /// An app's route: about one verification's lessons. Routes come first, except for one write in [`SHARED_EVERY`].
    pub(super) const ROUTE: Self = Self { lessons: 6, age: Duration::from_secs(10), urgency_max: f64::INFINITY };
    /// A route, a country or the world for all apps: ten verifications, one of which hardly changes them.
    pub(super) const SHARED: Self = Self { lessons: 10, age: Duration::from_secs(600), urgency_max: 1.5 };
    /// A network or a price, without which a route becomes known later.
    pub(super) const FACT: Self = Self { lessons: usize::MAX, age: Duration::from_secs(30), urgency_max: 1.5 };
    /// The index, without which other replicas do not list a key.
    pub(super) const INDEX: Self = Self { lessons: usize::MAX, age: Duration::from_secs(1), urgency_max: 1.5 };

    /// How overdue a write is; due from 1.
    pub(super) fn urgency(&self, lessons: usize, since: Option<Instant>, now: Instant) -> f64 {
        let age = since.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        (lessons as f64 / self.lessons as f64).max(age / self.age.as_secs_f64()).min(self.urgency_max)
    }
}
