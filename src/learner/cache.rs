//! [`CachedStats`]: this process's copy of one route's statistics, with the lessons it has not written yet.
//!
//! Also the names of statistics in the store.

use std::sync::Arc;
use std::time::Instant;

use crate::phone::Country;
use crate::route_model::{Key, Lesson, RouteStats};

/// Unwritten lessons that are kept per key while the store is unavailable; the oldest are dropped.
const PENDING_MAX: usize = 2_000;

/// A local copy of the statistics of one key.
#[derive(Default)]
pub(super) struct CachedStats {
    /// What the store had when it was last read, with all lessons of this process applied.
    pub(super) stats: Option<Arc<RouteStats>>,
    pub(super) read_at: Option<Instant>,
    /// Lessons to write.
    pub(super) pending: Vec<Lesson>,
    /// Lessons of the write that is under way.
    pub(super) in_flight: Vec<Lesson>,
    /// When the oldest unwritten lesson was learned, or earlier.
    pub(super) pending_since: Option<Instant>,
    /// The country of its numbers, for the index.
    pub(super) country: Option<Country>,
    pub(super) write_started_at: Option<Instant>,
    pub(super) write_succeeded_at: Option<Instant>,
}

impl CachedStats {
    /// Applies lessons to the copy and queues them to be written.
    pub(super) fn learn(&mut self, key: Key, lessons: &[Lesson], now: Instant) {
        let lessons: Vec<Lesson> = lessons.iter().filter(|lesson| lesson.is_for(key.level())).copied().collect();
        if lessons.is_empty() {
            return;
        }
        let stats = self.stats.get_or_insert_with(|| Arc::new(RouteStats::new(key.level())));
        let stats = Arc::make_mut(stats);
        lessons.iter().for_each(|lesson| stats.apply(*lesson));
        self.pending_since.get_or_insert(now);
        self.pending.extend(lessons);
        self.drop_excess();
    }

    /// Whether calls for distrust alone are stopped.
    pub(super) fn is_distrust_capped(&self) -> bool {
        self.stats.as_deref().is_some_and(RouteStats::is_distrust_capped)
    }

    /// Replaces the copy with the stored statistics, with the unwritten lessons applied.
    pub(super) fn replace(&mut self, key: Key, stored: &[u8], now: Instant) {
        let mut stats = decode(key, Some(stored));
        self.apply_unwritten(&mut stats);
        (self.stats, self.read_at) = (Some(Arc::new(stats)), Some(now));
    }

    /// What a read that began at `asked_at` found, with all lessons of this process applied once.
    pub(super) fn with_own_lessons(&self, key: Key, found: Option<&[u8]>, asked_at: Instant) -> RouteStats {
        match &self.stats {
            Some(copy) if self.is_written_since(asked_at) => (**copy).clone(),
            _ => {
                let mut stats = decode(key, found);
                self.apply_unwritten(&mut stats);
                stats
            }
        }
    }

    /// Whether a write may have fallen between what a read found, and now.
    ///
    /// What was found has the lessons of that write or not, so the copy of this process is better.
    pub(super) fn is_written_since(&self, asked_at: Instant) -> bool {
        !self.in_flight.is_empty() || self.write_succeeded_at.is_some_and(|at| at >= asked_at)
    }

    /// Applies the lessons that the store does not have yet.
    fn apply_unwritten(&self, stats: &mut RouteStats) {
        self.in_flight.iter().chain(&self.pending).for_each(|lesson| stats.apply(*lesson));
    }

    /// Starts a write and returns its lessons.
    pub(super) fn start_write(&mut self, now: Instant) -> Vec<Lesson> {
        (self.write_started_at, self.in_flight) = (Some(now), std::mem::take(&mut self.pending));
        self.in_flight.clone()
    }

    /// Ends a write that the store accepted; `now` is when its flush started.
    pub(super) fn finish_write(&mut self, key: Key, written: &[u8], now: Instant) {
        self.in_flight.clear();
        // Lessons learned during the write are at most as old as its start.
        self.pending_since = (!self.pending.is_empty()).then_some(now);
        // Not `now`, which is when the flush started: a read that began since then may have missed this write.
        self.write_succeeded_at = Some(Instant::now());
        self.replace(key, written, now);
    }

    /// Ends a write that failed: its lessons are pending again.
    pub(super) fn abort_write(&mut self) {
        let mut lessons = std::mem::take(&mut self.in_flight);
        lessons.append(&mut self.pending);
        self.pending = lessons;
        self.drop_excess();
    }

    fn drop_excess(&mut self) {
        let excess = self.pending.len().saturating_sub(PENDING_MAX);
        self.pending.drain(..excess);
    }
}

/// Unpacks stored statistics; missing or unreadable ones (of another version) start empty.
pub(super) fn decode(key: Key, stored: Option<&[u8]>) -> RouteStats {
    stored.and_then(RouteStats::from_bytes).unwrap_or_else(|| RouteStats::new(key.level()))
}

/// The value that holds the statistics of a key.
pub(super) fn value_name(key: Key) -> String {
    match key {
        Key::World => "w".to_owned(),
        Key::Country(letters) => format!("c:{}", String::from_utf8_lossy(&letters)),
        Key::Route(code) => format!("r:{code}"),
        Key::AppRoute(app, code) => format!("a:{app:08x}:{code}"),
    }
}

/// A key's entry in the index: its value name and, where known, its country.
pub(super) fn index_entry(key: Key, country: Option<&Country>) -> String {
    let name = value_name(key);
    country.map_or_else(|| name.clone(), |country| format!("{name}/{country}"))
}

/// The reverse of [`index_entry`].
pub(super) fn parse_index_entry(text: &str) -> Option<(Key, Option<Country>)> {
    let (name, country) = text.split_once('/').unwrap_or((text, ""));
    let key = match name.split_once(':') {
        None => (name == "w").then_some(Key::World)?,
        Some(("c", letters)) => Key::Country(letters.as_bytes().first_chunk().copied()?),
        Some(("r", code)) => Key::Route(code.parse().ok()?),
        Some(("a", rest)) => {
            let (app, code) = rest.split_once(':')?;
            Key::AppRoute(u32::from_str_radix(app, 16).ok()?, code.parse().ok()?)
        }
        Some(_) => return None,
    };
    Some((key, Country::parse(country)))
}
