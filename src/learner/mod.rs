//! [`Learner`]: what routes have done, shared by replicas through the store's small values.
//!
//! Decisions read copies in this process. Their lessons change the copies at once and are written in batches (see
//! `write`); other replicas' lessons are read every few seconds. While the store is unavailable, decisions use the last
//! copies or the prior: learning never delays a verification. What the lessons mean is up to `route_model`.

mod budget;
mod cache;
mod facts;
mod forget;
mod prefix;
mod teachers;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use self::budget::WriteBudget;
use self::cache::{CachedStats, decode, parse_index_entry, value_name};
use self::facts::{parse_number, price_name};
use self::prefix::PrefixNetwork;
pub use self::teachers::{PrefixHash, app_hash};
pub use self::write::run;
use crate::keyring::Keyring;
use crate::phone::{Carrier, Country};
use crate::prices;
use crate::route_model::{Insight, Key, Lesson, RouteStats, Teacher};
use crate::store::{OutageCause, StoreError, Values};
use crate::verification::Verification;

/// Age at which a copy is read again.
const FRESH: Duration = Duration::from_secs(5);
/// Time that a decision waits for the store.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// How long the store keeps statistics and facts after their last write.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// The value that lists the names of all statistics.
const INDEX: &str = "nodes";

/// What this process knows of all routes.
pub struct Learner {
    store: Arc<dyn Values>,
    keys: Arc<Keyring>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    cached: HashMap<Key, CachedStats>,
    /// Networks of prefixes by the name of their value, and when each was cached.
    networks: HashMap<String, (PrefixNetwork, Instant)>,
    /// Prices of calls, in micro-dollars.
    prices: HashMap<Country, u64>,
    /// Unwritten networks and prices by the name of their value, and since when.
    pending_facts: HashMap<String, (String, Instant)>,
    /// Keys that the index is known to hold.
    indexed: HashSet<Key>,
    /// Keys that were written but may be missing from the index, and since when.
    unindexed: HashMap<Key, Instant>,
    fact_written_at: Option<Instant>,
    budget: WriteBudget,
    /// When the store last failed to answer a read.
    read_failed_at: Option<Instant>,
}

impl State {
    fn call_price_u(&self, country: &Country) -> u64 {
        self.prices.get(country).copied().unwrap_or_else(|| prices::call_price_u(country).into())
    }
}

impl Learner {
    /// Starts with empty copies.
    pub fn new(store: Arc<dyn Values>, keys: Arc<Keyring>) -> Self {
        Self { store, keys, state: Mutex::default() }
    }

    /// Takes a snapshot of what the teacher's app knows of a route, reading stale copies from the store first.
    ///
    /// Waits for the store 100 ms at most, and then uses the copies as they are.
    pub async fn insight(&self, teacher: Teacher, country: &Country, carrier: Option<Carrier>) -> Insight {
        let keys = Insight::keys(teacher.app, country, carrier);
        let stale: Vec<Key> = {
            let state = self.state();
            let read_at = |key: &Key| state.cached.get(key).and_then(|cached| cached.read_at);
            keys.iter().filter(|key| read_at(key).is_none_or(|at| at.elapsed() > FRESH)).copied().collect()
        };
        if !stale.is_empty() {
            self.refresh(&stale, country).await;
        }
        let state = self.state();
        let stats = |key: Key| (key, state.cached.get(&key).and_then(|cached| cached.stats.clone()));
        Insight::new(keys.into_iter().map(stats).collect(), state.call_price_u(country), teacher)
    }

    /// Reads values; after a failure, fails at once for a while, so that no decision waits for a slow store again.
    async fn read_values(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let timed_out = || StoreError::Unavailable(OutageCause::Timeout);
        if self.state().read_failed_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Err(timed_out());
        }
        let read = tokio::time::timeout(READ_TIMEOUT, self.store.values(names)).await;
        let read = read.unwrap_or_else(|_| Err(timed_out()));
        self.state().read_failed_at = read.is_err().then(Instant::now);
        read
    }

    async fn refresh(&self, keys: &[Key], country: &Country) {
        let mut names: Vec<String> = keys.iter().map(|key| value_name(*key)).collect();
        names.push(price_name(country));
        let asked_at = Instant::now();
        let found = self.read_values(&names).await;
        let (mut state, now) = (self.state(), Instant::now());
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                debug!(%error, "cannot read route statistics; using cached ones");
                vec![None; names.len()]
            }
        };
        let price = found.pop().flatten();
        for (key, bytes) in keys.iter().zip(found) {
            let cached = state.cached.entry(*key).or_default();
            cached.read_at = Some(now);
            if let Some(bytes) = bytes.filter(|_| !cached.is_written_since(asked_at)) {
                cached.replace(*key, &bytes, now);
            }
        }
        if let Some(price) = price.as_deref().and_then(parse_number) {
            state.prices.insert(country.clone(), price);
        }
    }

    /// Applies the lessons of a committed decision, and queues them to be written.
    ///
    /// Returns whether they stop the app's calls for distrust of delivery reports on the route.
    pub fn learn(&self, before: Option<&Verification>, after: &Verification, lessons: &[Lesson]) -> bool {
        self.learn_at(before, after, lessons, Instant::now())
    }

    fn learn_at(&self, before: Option<&Verification>, after: &Verification, lessons: &[Lesson], now: Instant) -> bool {
        if before.is_some_and(|v| v.observer().is_some()) && after.is_final() {
            self.state().budget.grant();
        }
        let is_route_new = before.is_some_and(|v| v.carrier().is_none()) && after.carrier().is_some();
        if lessons.is_empty() && !is_route_new {
            return false;
        }
        let is_observed = before.is_none_or(|v| v.observer().is_some());
        let mut is_capped_now = false;
        let mut state = self.state();
        for key in Insight::keys(app_hash(&after.app), after.to.country(), after.carrier()) {
            let cached = state.cached.entry(key).or_default();
            cached.country.get_or_insert_with(|| after.to.country().clone());
            // The route became known after the start of the verification: it counts there from now on.
            if is_route_new && is_observed && matches!(key, Key::AppRoute(..)) {
                cached.learn(key, &[Lesson::Started], now);
            }
            let was_capped = cached.is_distrust_capped();
            cached.learn(key, lessons, now);
            is_capped_now |= !was_capped && cached.is_distrust_capped();
        }
        if is_capped_now {
            let route = after.carrier().map(|carrier| carrier.to_string());
            warn!(
                event = "distrust_calls_capped",
                app = after.app,
                route,
                "calls for distrust of delivery reports brought no codes; they are stopped for now"
            );
        }
        is_capped_now
    }

    /// Lists all statistics with their countries: the stored ones, with this process's unwritten lessons applied.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn all_stats(&self) -> Result<Vec<(Key, Option<Country>, RouteStats)>, StoreError> {
        let index = self.store.values(&[INDEX.to_owned()]).await?.pop().flatten().unwrap_or_default();
        let mut countries: BTreeMap<Key, Option<Country>> =
            String::from_utf8_lossy(&index).split_whitespace().filter_map(parse_index_entry).collect();
        for (key, cached) in &self.state().cached {
            if cached.stats.is_some() {
                countries.entry(*key).or_default().clone_from(&cached.country);
            }
        }
        let names: Vec<String> = countries.keys().map(|key| value_name(*key)).collect();
        let asked_at = Instant::now();
        let found = self.store.values(&names).await?;
        let state = self.state();
        let all = countries.into_iter().zip(found).map(|((key, country), bytes)| {
            let stats = match state.cached.get(&key) {
                Some(cached) => cached.with_own_lessons(key, bytes.as_deref(), asked_at),
                None => decode(key, bytes.as_deref()),
            };
            (key, country, stats)
        });
        Ok(all.collect())
    }

    /// Price of a call to a country as Plivo has billed it, or else an approximate starting value.
    ///
    /// In micro-dollars.
    pub fn call_price_u(&self, country: &Country) -> u64 {
        self.state().call_price_u(country)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
