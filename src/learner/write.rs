//! What is written of all that is learned, and when: at most one small write per verification that has ended.
//!
//! Each ended verification earns one write, and every write spends one, whether it is a node, the network of a prefix,
//! the price of a call or the list of all nodes, and also where somebody else was faster and it must be tried again.
//! What there is to write is written in the order of how overdue it is; what cannot be paid for waits for the next
//! verification that ends. Only a stop writes what is left without asking what it costs. A node that much is learned
//! of is written once a second however much that is, so that no key is hot because its route is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::cache::{Known, entry, name, node_of};
use super::{INDEX, INDEX_MAX, KEEP, Learner, State};
use crate::route_model::Key;
use crate::store::{StoreError, Swap};

/// No node is written more often than this, however busy it is.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How often a write is tried against others.
const TRIES: usize = 5;
/// One write in so many is for what routes share, if that is due: however many routes are always overdue.
const SHARED_IN: usize = 4;
/// Writes that are saved for when less is going on.
const SAVED_MAX: usize = 64;

/// A kind of writes: due when so many lessons wait or the oldest is so old, and the more overdue the more urgent. Up
/// to a limit: from there on it is one kind's turn after the other's, and routes come before all, but for one write in
/// [`SHARED_IN`].
struct Pace {
    lessons: usize,
    age: Duration,
    urgency_max: f64,
}

/// About one verification's lessons.
const ROUTE: Pace = Pace { lessons: 6, age: Duration::from_secs(10), urgency_max: f64::INFINITY };
/// Countries and the world hardly change by one verification.
const WIDE: Pace = Pace { lessons: 64, age: Duration::from_secs(600), urgency_max: 1.5 };
/// Networks of prefixes and prices: a route is known without them, only later.
const FACT: Pace = Pace { lessons: usize::MAX, age: Duration::from_secs(30), urgency_max: 1.5 };
/// A node that is not in the list of all is not shown by other replicas.
const LIST: Pace = Pace { lessons: usize::MAX, age: PAUSE, urgency_max: 1.5 };

impl Pace {
    fn urgency(&self, lessons: usize, since: Option<Instant>, now: Instant) -> f64 {
        let age = since.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        (lessons as f64 / self.lessons as f64).max(age / self.age.as_secs_f64()).min(self.urgency_max)
    }
}

/// Something that is to be written.
#[derive(Clone, Debug)]
enum Due {
    Stats(Key),
    Fact(String),
    List,
}

/// Writes that have been earned and not been spent.
#[derive(Default)]
pub(super) struct Purse {
    saved: usize,
    spent: usize,
}

impl Purse {
    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + 1).min(SAVED_MAX);
    }

    fn spend(&mut self, regardless: bool) -> bool {
        let may = self.saved > 0 || regardless;
        self.saved = self.saved.saturating_sub(1);
        self.spent = self.spent.wrapping_add(usize::from(may));
        may
    }

    /// Whether the next write is for what routes share.
    fn is_for_all(&self) -> bool {
        self.spent % SHARED_IN == SHARED_IN - 1
    }
}

impl State {
    /// What is due, the most urgent first; with `all`, whatever is not written.
    fn due(&self, all: bool, now: Instant) -> Vec<Due> {
        let is_paused = |copy: &Known| copy.written_at.is_some_and(|at| now.saturating_duration_since(at) < PAUSE);
        let waits = |copy: &Known| !copy.pending.is_empty() && (all || !is_paused(copy));
        let nodes = self.copies.iter().filter(|(_, copy)| waits(copy)).map(|(key, copy)| {
            let pace = if matches!(key, Key::Route(_)) { ROUTE } else { WIDE };
            let urgency = pace.urgency(copy.pending.len(), copy.pending_since, now);
            (urgency, copy.written_at, copy.pending_since, Due::Stats(*key))
        });
        let facts = self.unwritten.iter().map(|(name, (_, since))| {
            (FACT.urgency(0, Some(*since), now), self.fact_written_at, Some(*since), Due::Fact(name.clone()))
        });
        let list =
            self.unlisted.values().min().map(|since| (LIST.urgency(0, Some(*since), now), None, None, Due::List));
        let mut due: Vec<_> = nodes.chain(facts).chain(list).filter(|(urgency, ..)| all || *urgency >= 1.0).collect();
        due.sort_by(|one, other| other.0.total_cmp(&one.0).then((one.1, one.2).cmp(&(other.1, other.2))));
        let mut due: Vec<_> = due.into_iter().map(|(.., due)| due).collect();
        let shared = due.iter().position(|due| !matches!(due, Due::Stats(Key::Route(_))));
        if let (Some(first), true) = (shared, self.purse.is_for_all()) {
            due[..=first].rotate_right(1);
        }
        due
    }
}

impl Learner {
    /// Writes what is due as far as that has been earned, or all there is.
    ///
    /// # Errors
    /// When the store does not answer; what is not written is kept for the next time.
    pub async fn flush(&self, all: bool) -> Result<(), StoreError> {
        self.flush_at(all, Instant::now()).await
    }

    pub(super) async fn flush_at(&self, all: bool, now: Instant) -> Result<(), StoreError> {
        let due = self.state().due(all, now);
        for due in due {
            let is_paid = match due {
                Due::Stats(key) => self.write(key, all, now).await?,
                Due::Fact(name) => self.write_fact(name, all, now).await?,
                Due::List => self.write_list(all).await?,
            };
            if !is_paid {
                return Ok(());
            }
        }
        // What has just been written for the first time is to be found.
        if all { self.write_list(all).await.map(drop) } else { Ok(()) }
    }

    fn pay(&self, regardless: bool) -> bool {
        self.state().purse.spend(regardless)
    }

    /// Says whether that could be paid for, as all of these do.
    async fn write(&self, key: Key, all: bool, now: Instant) -> Result<bool, StoreError> {
        if !self.pay(all) {
            return Ok(false);
        }
        // Reading is cheap, and whoever was faster would cost a write.
        let mut stored = self.store.memos(&[name(key)]).await?.pop().flatten();
        let lessons = self.state().copies.entry(key).or_default().begin_to_write(now);
        for attempt in 0..TRIES {
            if attempt > 0 && !self.pay(all) {
                break;
            }
            let mut node = node_of(key, stored.as_deref());
            lessons.iter().for_each(|lesson| node.apply(*lesson));
            let after = node.to_bytes();
            match self.store.swap_memo(&name(key), stored.as_deref(), &after, KEEP).await {
                Ok(Swap::Written) => {
                    let mut state = self.state();
                    state.copies.entry(key).or_default().written(key, &after, now);
                    if !state.listed.contains(&key) {
                        state.unlisted.entry(key).or_insert(now);
                    }
                    return Ok(true);
                }
                Ok(Swap::Changed(there)) => stored = there,
                Err(error) => {
                    self.state().copies.entry(key).or_default().put_back();
                    return Err(error);
                }
            }
        }
        self.state().copies.entry(key).or_default().put_back();
        Ok(true)
    }

    /// The last one counts: what others have noted meanwhile is as true.
    async fn write_fact(&self, name: String, all: bool, now: Instant) -> Result<bool, StoreError> {
        let Some((fact, _)) = self.state().unwritten.get(&name).cloned() else { return Ok(true) };
        let stored = self.store.memos(std::slice::from_ref(&name)).await?.pop().flatten();
        if stored.as_deref() != Some(fact.as_bytes()) {
            if !self.pay(all) {
                return Ok(false);
            }
            self.store.swap_memo(&name, stored.as_deref(), fact.as_bytes(), KEEP).await?;
        }
        let mut state = self.state();
        state.fact_written_at = Some(now);
        if state.unwritten.get(&name).is_some_and(|(newest, _)| *newest == fact) {
            state.unwritten.remove(&name);
        }
        Ok(true)
    }

    /// Adds nodes to the list of all, so that they can be shown: once in the life of each process, in case whoever
    /// began them could not.
    async fn write_list(&self, all: bool) -> Result<bool, StoreError> {
        let new: Vec<(Key, String)> = {
            let state = self.state();
            let country = |key: &Key| state.copies.get(key).and_then(|copy| copy.country.as_ref());
            state.unlisted.keys().map(|key| (*key, entry(*key, country(key)))).collect()
        };
        for _ in 0..TRIES {
            let stored = self.store.memos(&[INDEX.to_owned()]).await?.pop().flatten();
            let text = stored.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let mut names: Vec<&str> = text.split_whitespace().collect();
            let known = names.len();
            for (_, name) in &new {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
            let is_there = names.len() == known || {
                if !self.pay(all) {
                    return Ok(false);
                }
                let after = names[names.len().saturating_sub(INDEX_MAX)..].join(" ");
                self.store.swap_memo(INDEX, stored.as_deref(), after.as_bytes(), KEEP).await? == Swap::Written
            };
            if is_there {
                let mut state = self.state();
                for (key, _) in &new {
                    state.unlisted.remove(key);
                    state.listed.insert(*key);
                }
                break;
            }
        }
        Ok(true)
    }
}

/// Writes what has been learned until told to stop, and then all of it.
pub async fn run(learner: Arc<Learner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if let Err(error) = learner.flush(false).await {
            debug!(%error, "what has been learned cannot be written now");
        }
    }
    let _ = tokio::time::timeout(PAUSE, learner.flush(true)).await;
}
