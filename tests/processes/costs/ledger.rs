//! From the exchanges of many equal operations to the cost of one.

use std::collections::{BTreeMap, BTreeSet};

use super::monitor::Exchange;

/// What one operation costs Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Commands of clients. Those of one pipeline count one each.
    pub(super) exchanges: usize,
    /// All commands, scripts and those inside them too.
    pub(super) commands: usize,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { exchanges: self.exchanges + other.exchanges, commands: self.commands + other.commands }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), std::ops::Add::add)
    }
}

impl std::ops::Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { exchanges: self.exchanges - other.exchanges, commands: self.commands - other.commands }
    }
}

/// Kinds of exchanges that belong to no operation, because a service makes them by the clock.
#[derive(Default)]
pub(super) struct Background(BTreeSet<String>);

impl Background {
    /// The kinds in these exchanges of an idle service.
    pub(super) fn of(idle: &[Exchange]) -> Self {
        Self(idle.iter().map(|exchange| exchange.kind.clone()).collect())
    }

    /// Without those of the background, and without the learner's, which reads and writes at most once a second.
    pub(super) fn remove_from(&self, exchanges: Vec<Exchange>) -> Vec<Exchange> {
        exchanges.into_iter().filter(|e| !self.0.contains(&e.kind) && !is_learned(&e.kind)).collect()
    }
}

/// Whether all keys are values of the learner: statistics, their index, networks and prices.
fn is_learned(kind: &str) -> bool {
    const LEARNED: [&str; 6] = ["w.value", "c.value", "r.value", "p.value", "nodes.value", "call.value"];
    let keys: Vec<&str> = kind.split(' ').skip(1).filter(|part| part.contains('.')).collect();
    !keys.is_empty() && keys.iter().all(|key| LEARNED.contains(key))
}

/// The cost of one of `times` operations, by kind of exchange: what comes to a whole exchange for each operation.
///
/// What is left is work by the clock, or for many operations at once, such as a new connection or a flush.
pub(super) fn costs_of_one(exchanges: &[Exchange], times: usize) -> BTreeMap<&str, Cost> {
    let mut costs = BTreeMap::<&str, Cost>::new();
    for Exchange { kind, commands, .. } in exchanges {
        let sum = costs.entry(kind).or_default();
        *sum = *sum + Cost { exchanges: 1, commands: *commands };
    }
    let round = |total: usize| (total + times / 2) / times;
    costs.values_mut().for_each(|sum| *sum = Cost { exchanges: round(sum.exchanges), commands: round(sum.commands) });
    costs.retain(|_, one| one.exchanges > 0);
    costs
}

/// The commands of a second in which everything happens that an idle service does at least every third second.
pub(super) fn commands_of_idle_second(exchanges: &[Exchange], seconds: u64) -> usize {
    let seconds = usize::try_from(seconds).unwrap();
    let mut by_kind = BTreeMap::<&str, (usize, usize)>::new();
    for exchange in exchanges {
        let (times, most) = by_kind.entry(&exchange.kind).or_default();
        *times += 1;
        *most = exchange.commands.max(*most);
    }
    // A slow machine has fewer wakes in these seconds, never more.
    let per_second = |times: usize| times.div_ceil(seconds + 1);
    by_kind.values().filter(|(times, _)| times * 3 >= seconds).map(|(times, most)| per_second(*times) * most).sum()
}
