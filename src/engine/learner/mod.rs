//! [`Learner`]: what routes have been doing, shared with other replicas through the store's memos.
//!
//! A decision is made on copies in this process. What it teaches is applied to them at once and written in batches;
//! what others have written is read again every few seconds. While the store is away decisions rest on what was
//! known last, or on what is assumed of a route that nobody has used: learning never holds up a verification.

mod known;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::known::{Known, PAUSE, entry, name, node_of, parse_entry};
use super::Engine;
use crate::escalation::Insight;
use crate::escalation::book::Key;
use crate::escalation::hazard::Lesson;
use crate::escalation::node::Node;
use crate::escalation::prices;
use crate::keyring::Keyring;
use crate::phone::{Carrier, Country, PhoneNumber};
use crate::store::{Store, StoreError, Swap};
use crate::verification::{Channel, Verification};

/// How long a copy is used before it is read again.
const FRESH: Duration = Duration::from_secs(5);
/// How long a decision waits for what others have learned.
const READ_MAX: Duration = Duration::from_millis(200);
/// How long what has been learned outlives the last lesson.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// Prefixes whose network is remembered in this process.
const PREFIXES_MAX: usize = 10_000;
/// How often a write is tried against others.
const TRIES: usize = 5;
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
    /// Memos of networks and prices that are not written yet.
    unwritten: HashMap<String, String>,
    /// Nodes that stand in the list of all.
    indexed: HashSet<Key>,
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
            let is_newer = copy.written_at.is_none_or(|at| at < asked_at);
            copy.read_at = Some(now);
            if bytes.is_some() && is_newer {
                copy.take_over(*key, bytes);
            }
        }
        if let Some(price) = price.as_deref().and_then(parse_number) {
            state.prices.insert(country.clone(), price);
        }
    }

    /// Learns what a committed decision taught.
    pub fn learn(&self, before: Option<&Verification>, after: &Verification, lessons: &[Lesson]) {
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
                copy.learn(key, &[Lesson::Started]);
            }
            copy.learn(key, lessons);
        }
    }

    /// Takes down where numbers like this one are and what calls there cost, as far as a commit has told. What follows
    /// from that commit does not wait for it: it is written with the lessons.
    pub fn note_facts(&self, before: &Verification, after: &Verification) {
        for (i, a) in after.attempts.iter().enumerate() {
            let known = before.attempts.get(i).map(|a| a.facts).unwrap_or_default();
            if let Some(carrier) = a.facts.carrier.filter(|carrier| known.carrier != Some(*carrier)) {
                self.note_carrier(&after.to, carrier);
            }
            if let (Channel::Call, Some(cost_u), None) = (a.channel, a.facts.cost_u, known.cost_u) {
                self.note_price(after.to.country(), cost_u);
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
        let name = self.prefix_name(to);
        if self.state().carriers.get(&name).is_some_and(|(known, _)| *known == Some(carrier)) {
            return;
        }
        self.remember(name.clone(), Some(carrier));
        let mut state = self.state();
        if state.unwritten.len() < PREFIXES_MAX {
            state.unwritten.insert(name, carrier.code().to_string());
        }
    }

    fn remember(&self, name: String, carrier: Option<Carrier>) {
        let mut state = self.state();
        if state.carriers.len() >= PREFIXES_MAX {
            state.carriers.clear();
        }
        state.carriers.insert(name, (carrier, Instant::now()));
    }

    /// A tenth of each new price counts, so that one odd bill is soon forgotten.
    fn note_price(&self, country: &Country, cost_u: u64) {
        let mut state = self.state();
        let new = state.prices.get(country).map_or(cost_u, |old| (9 * old + cost_u) / 10);
        if state.prices.insert(country.clone(), new) != Some(new) {
            state.unwritten.insert(price_name(country), new.to_string());
        }
    }

    /// Writes the lessons that are due, or all.
    ///
    /// # Errors
    /// When the store does not answer; what is not written is kept for the next time.
    pub async fn flush(&self, all: bool) -> Result<(), StoreError> {
        let due: Vec<Key> = {
            let state = self.state();
            let is_due = |(key, copy): (&Key, &Known)| (all || copy.is_due(*key)).then_some(*key);
            state.copies.iter().filter(|(_, copy)| !copy.pending.is_empty()).filter_map(is_due).collect()
        };
        for key in due {
            self.write(key).await?;
        }
        self.write_facts().await
    }

    /// The last one counts: what others have noted meanwhile is as true.
    async fn write_facts(&self) -> Result<(), StoreError> {
        let facts: Vec<(String, String)> = {
            let state = self.state();
            state.unwritten.iter().map(|(name, fact)| (name.clone(), fact.clone())).collect()
        };
        let names: Vec<String> = facts.iter().map(|(name, _)| name.clone()).collect();
        let stored = self.store.memos(&names).await?;
        for ((name, fact), stored) in facts.into_iter().zip(stored) {
            if stored.as_deref() != Some(fact.as_bytes()) {
                self.store.swap_memo(&name, stored.as_deref(), fact.as_bytes(), KEEP).await?;
            }
            let mut state = self.state();
            if state.unwritten.get(&name) == Some(&fact) {
                state.unwritten.remove(&name);
            }
        }
        Ok(())
    }

    async fn write(&self, key: Key) -> Result<(), StoreError> {
        let (mut stored, lessons, country) = {
            let mut state = self.state();
            let copy = state.copies.entry(key).or_default();
            copy.written_at = Some(Instant::now());
            copy.pending_since = None;
            copy.in_flight = std::mem::take(&mut copy.pending);
            (copy.stored.clone(), copy.in_flight.clone(), copy.country.clone())
        };
        for _ in 0..TRIES {
            let mut node = node_of(key, stored.as_deref());
            lessons.iter().for_each(|lesson| node.apply(*lesson));
            let after = node.to_bytes();
            match self.store.swap_memo(&name(key), stored.as_deref(), &after, KEEP).await {
                Ok(Swap::Written) => {
                    self.state().copies.entry(key).or_default().written(key, after);
                    return self.index(key, country).await;
                }
                Ok(Swap::Changed(there)) => stored = there,
                Err(error) => {
                    self.state().copies.entry(key).or_default().put_back();
                    return Err(error);
                }
            }
        }
        self.state().copies.entry(key).or_default().put_back();
        Ok(())
    }

    /// Adds a node to the list of all, so that they can be shown: once in the life of each process, in case whoever
    /// began it could not.
    async fn index(&self, key: Key, country: Option<Country>) -> Result<(), StoreError> {
        if self.state().indexed.contains(&key) {
            return Ok(());
        }
        let name = entry(key, country.as_ref());
        for _ in 0..TRIES {
            let stored = self.store.memos(&[INDEX.to_owned()]).await?.pop().flatten();
            let text = stored.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let mut names: Vec<&str> = text.split_whitespace().collect();
            if names.contains(&name.as_str()) {
                break;
            }
            names.push(&name);
            let first = names.len().saturating_sub(INDEX_MAX);
            let after = names[first..].join(" ");
            if self.store.swap_memo(INDEX, stored.as_deref(), after.as_bytes(), KEEP).await? == Swap::Written {
                break;
            }
        }
        self.state().indexed.insert(key);
        Ok(())
    }

    /// Every node there is with its country, as the store and this process know it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn nodes(&self) -> Result<Vec<(Key, Option<Country>, Node)>, StoreError> {
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

/// Writes what has been learned until told to stop, and then all of it.
pub async fn run(engine: Engine, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if let Err(error) = engine.learner.flush(false).await {
            debug!(%error, "what has been learned cannot be written now");
        }
    }
    let _ = tokio::time::timeout(PAUSE, engine.learner.flush(true)).await;
}

fn price_name(country: &Country) -> String {
    format!("call:{country}")
}

fn parse_number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
