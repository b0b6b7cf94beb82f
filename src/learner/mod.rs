//! [`Learner`]: what routes have been doing, shared with other replicas through the store's memos.
//!
//! A decision is made on copies in this process. What it teaches is applied to them at once and written in batches
//! (`write`); what others have written is read again every few seconds. While the store is away decisions rest on what was
//! known last, or on what is assumed of a route that nobody has used: learning never holds up a verification.

mod cache;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::debug;

use self::cache::{Known, name, node_of, parse_entry};
use self::write::Purse;
pub use self::write::run;
use crate::keyring::Keyring;
use crate::phone::{Carrier, Country, PhoneNumber};
use crate::prices;
use crate::route_model::{Insight, Key, Lesson, RouteStats};
use crate::store::{Store, StoreError};
use crate::verification::{Channel, Verification};

/// How long a copy is used before it is read again.
const FRESH: Duration = Duration::from_secs(5);
/// How long a decision waits for what others have learned.
const READ_MAX: Duration = Duration::from_millis(100);
/// How long what has been learned outlives the last lesson.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// Prefixes whose network is remembered in this process.
const PREFIXES_MAX: usize = 10_000;
/// Networks and prices that wait to be written; of more than so many none is missed.
const FACTS_MAX: usize = 1_000;
/// The names of all nodes there are stand in one memo, so many at most.
const INDEX: &str = "nodes";
const INDEX_MAX: usize = 2_000;

/// What this process knows of all routes.
pub struct Learner {
    store: Arc<dyn Store>,
    keys: Arc<Keyring>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    copies: HashMap<Key, Known>,
    carriers: HashMap<String, (Option<Carrier>, Instant)>,
    /// What a call costs, in micro-dollars.
    prices: HashMap<Country, u64>,
    /// Memos of networks and prices that are not written yet, and since when.
    unwritten: HashMap<String, (String, Instant)>,
    /// Nodes that stand in the list of all, and those that were written and may not.
    listed: HashSet<Key>,
    unlisted: HashMap<Key, Instant>,
    fact_written_at: Option<Instant>,
    purse: Purse,
    /// When the store last did not answer.
    slow_since: Option<Instant>,
}

impl State {
    fn call_price_u(&self, country: &Country) -> u64 {
        self.prices.get(country).copied().unwrap_or_else(|| prices::call_price_u(country).into())
    }
}

impl Learner {
    /// Knows nothing yet but where to look.
    pub fn new(store: Arc<dyn Store>, keys: Arc<Keyring>) -> Self {
        Self { store, keys, state: Mutex::default() }
    }

    /// What is known of a route now; the store is asked for what is not fresh, once.
    pub async fn insight(&self, country: &Country, carrier: Option<Carrier>) -> Insight {
        let keys = Insight::keys(country, carrier);
        let stale: Vec<Key> = {
            let state = self.state();
            let is_stale =
                |key: &&Key| state.copies.get(key).and_then(|copy| copy.read_at).is_none_or(|at| at.elapsed() > FRESH);
            keys.iter().filter(is_stale).copied().collect()
        };
        if !stale.is_empty() {
            self.read(&stale, country).await;
        }
        let state = self.state();
        let node = |key: Key| (key, state.copies.get(&key).and_then(|copy| copy.node.clone()));
        let price = state.call_price_u(country);
        Insight::new(keys.into_iter().map(node).collect(), price)
    }

    /// Reads, but holds nobody up while the store is slow.
    async fn memos(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let slow = || StoreError::Unavailable("no answer in time".to_owned());
        if self.state().slow_since.is_some_and(|at| at.elapsed() < FRESH) {
            return Err(slow());
        }
        let read = tokio::time::timeout(READ_MAX, self.store.memos(names)).await.unwrap_or_else(|_| Err(slow()));
        self.state().slow_since = read.is_err().then(Instant::now);
        read
    }

    async fn read(&self, keys: &[Key], country: &Country) {
        let mut names: Vec<String> = keys.iter().map(|key| name(*key)).collect();
        names.push(price_name(country));
        let asked_at = Instant::now();
        let found = self.memos(&names).await;
        let (mut state, now) = (self.state(), Instant::now());
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                debug!(%error, "what has been learned cannot be read; going on with what is known");
                vec![None; names.len()]
            }
        };
        let price = found.pop().flatten();
        for (key, bytes) in keys.iter().zip(found) {
            let copy = state.copies.entry(*key).or_default();
            // What has been written since is newer than what was read.
            let is_newer = copy.landed_at.is_none_or(|at| at < asked_at);
            copy.read_at = Some(now);
            if let Some(bytes) = bytes.filter(|_| is_newer) {
                copy.take_over(*key, &bytes, now);
            }
        }
        if let Some(price) = price.as_deref().and_then(parse_number) {
            state.prices.insert(country.clone(), price);
        }
    }

    /// Learns what a committed decision taught.
    pub fn learn(&self, before: Option<&Verification>, after: &Verification, lessons: &[Lesson]) {
        self.learn_at(before, after, lessons, Instant::now());
    }

    fn learn_at(&self, before: Option<&Verification>, after: &Verification, lessons: &[Lesson], now: Instant) {
        if before.is_some_and(|v| v.track.is_some()) && after.status.is_final() {
            self.state().purse.earn();
        }
        let is_new_there = before.is_some_and(|v| v.carrier().is_none()) && after.carrier().is_some();
        if lessons.is_empty() && !is_new_there {
            return;
        }
        let is_watched = before.is_none_or(|v| v.track.is_some());
        let mut state = self.state();
        for key in Insight::keys(after.to.country(), after.carrier()) {
            let copy = state.copies.entry(key).or_default();
            copy.country.get_or_insert_with(|| after.to.country().clone());
            // Its network has only now become known: that is where it counts from here on.
            if is_new_there && is_watched && matches!(key, Key::Route(_)) {
                copy.learn(key, &[Lesson::Started], now);
            }
            copy.learn(key, lessons, now);
        }
    }

    /// Takes down where numbers like this one are and what calls there cost, as far as a commit has told. What follows
    /// from that commit does not wait for it: it is written with the lessons.
    pub fn note_facts(&self, before: &Verification, after: &Verification) {
        self.note_facts_at(before, after, Instant::now());
    }

    fn note_facts_at(&self, before: &Verification, after: &Verification, now: Instant) {
        for (i, a) in after.attempts.iter().enumerate() {
            let known = before.attempts.get(i).map(|a| a.facts).unwrap_or_default();
            if let Some(carrier) = a.facts.carrier.filter(|carrier| known.carrier != Some(*carrier)) {
                self.note_carrier_at(&after.to, carrier, now);
            }
            if let (Channel::Call, Some(cost_u), None) = (a.channel, a.facts.cost_u, known.cost_u) {
                self.note_price(after.to.country(), cost_u, now);
            }
        }
    }

    /// The network that numbers with this one's prefix were in last.
    pub async fn guess(&self, to: &PhoneNumber) -> Option<Carrier> {
        let name = self.prefix_name(to);
        if let Some((carrier, at)) = self.state().carriers.get(&name).copied()
            && (carrier.is_some() || at.elapsed() < FRESH)
        {
            return carrier;
        }
        let found = self.memos(std::slice::from_ref(&name)).await.unwrap_or_default().pop().flatten();
        let carrier = found.as_deref().and_then(parse_number).and_then(Carrier::from_code);
        self.remember(name, carrier);
        carrier
    }

    /// Takes down in which network numbers like this one are.
    pub fn note_carrier(&self, to: &PhoneNumber, carrier: Carrier) {
        self.note_carrier_at(to, carrier, Instant::now());
    }

    fn note_carrier_at(&self, to: &PhoneNumber, carrier: Carrier, now: Instant) {
        let name = self.prefix_name(to);
        if self.state().carriers.get(&name).is_some_and(|(known, _)| *known == Some(carrier)) {
            return;
        }
        self.remember(name.clone(), Some(carrier));
        self.state().note(name, carrier.code().to_string(), now);
    }

    fn remember(&self, name: String, carrier: Option<Carrier>) {
        let mut state = self.state();
        if state.carriers.len() >= PREFIXES_MAX {
            state.carriers.clear();
        }
        state.carriers.insert(name, (carrier, Instant::now()));
    }

    /// A tenth of each new price counts, so that one odd bill is soon forgotten.
    fn note_price(&self, country: &Country, cost_u: u64, now: Instant) {
        let mut state = self.state();
        let new = state.prices.get(country).map_or(cost_u, |old| (9 * old + cost_u) / 10);
        if state.prices.insert(country.clone(), new) != Some(new) {
            state.note(price_name(country), new.to_string(), now);
        }
    }

    /// Every node there is with its country, as the store and this process know it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn nodes(&self) -> Result<Vec<(Key, Option<Country>, RouteStats)>, StoreError> {
        let index = self.store.memos(&[INDEX.to_owned()]).await?.pop().flatten().unwrap_or_default();
        let mut known: BTreeMap<Key, Option<Country>> =
            String::from_utf8_lossy(&index).split_whitespace().filter_map(parse_entry).collect();
        for (key, copy) in &self.state().copies {
            if copy.node.is_some() {
                known.entry(*key).or_default().clone_from(&copy.country);
            }
        }
        let names: Vec<String> = known.keys().map(|key| name(*key)).collect();
        let found = self.store.memos(&names).await?;
        let state = self.state();
        let nodes = known.into_iter().zip(found).map(|((key, country), bytes)| {
            let mut node = node_of(key, bytes.as_deref());
            if let Some(copy) = state.copies.get(&key) {
                copy.in_flight.iter().chain(&copy.pending).for_each(|lesson| node.apply(*lesson));
            }
            (key, country, node)
        });
        Ok(nodes.collect())
    }

    /// What a call to a country costs, as Plivo has billed it; before that, about what it lists.
    pub fn call_price_u(&self, country: &Country) -> u64 {
        self.state().call_price_u(country)
    }

    fn prefix_name(&self, to: &PhoneNumber) -> String {
        let digits = to.digits();
        let prefix = &digits[..digits.len().saturating_sub(4)];
        format!("p:{:032x}", u128::from_be_bytes(self.keys.sign(&[b"prefix", prefix.as_bytes()])))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What waits to be written is as old as when it first waited.
    fn note(&mut self, name: String, fact: String, now: Instant) {
        let since = self.unwritten.get(&name).map_or(now, |(_, since)| *since);
        if self.unwritten.len() < FACTS_MAX || self.unwritten.contains_key(&name) {
            self.unwritten.insert(name, (fact, since));
        }
    }
}

fn price_name(country: &Country) -> String {
    format!("call:{country}")
}

fn parse_number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
