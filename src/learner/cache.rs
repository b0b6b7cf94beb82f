//! [`Known`]: one node as this process knows it, with what it has not written yet; and how nodes are named.

use std::time::Instant;

use crate::phone::Country;
use crate::route_model::{Key, Lesson, RouteStats};

/// Lessons that are kept while they cannot be written.
const PENDING_MAX: usize = 2_000;

/// One node, as far as is known here.
#[derive(Default)]
pub(super) struct Known {
    /// With the lessons that are not written yet.
    pub(super) node: Option<RouteStats>,
    pub(super) read_at: Option<Instant>,
    pub(super) pending: Vec<Lesson>,
    /// Lessons that are being written.
    pub(super) in_flight: Vec<Lesson>,
    /// Of the oldest lesson that is not written.
    pub(super) pending_since: Option<Instant>,
    /// The country that its numbers are of.
    pub(super) country: Option<Country>,
    /// When a write was last begun, and when one last went through.
    pub(super) written_at: Option<Instant>,
    pub(super) landed_at: Option<Instant>,
}

impl Known {
    pub(super) fn learn(&mut self, key: Key, lessons: &[Lesson], now: Instant) {
        let node = self.node.get_or_insert_with(|| RouteStats::new(key.level()));
        lessons.iter().for_each(|lesson| node.apply(*lesson));
        if !lessons.is_empty() {
            self.pending_since.get_or_insert(now);
        }
        self.pending.extend(lessons);
        self.forget_excess();
    }

    /// What the store has, and on top of it what is not written yet.
    pub(super) fn take_over(&mut self, key: Key, stored: &[u8], now: Instant) {
        let mut node = node_of(key, Some(stored));
        self.in_flight.iter().chain(&self.pending).for_each(|lesson| node.apply(*lesson));
        (self.node, self.read_at) = (Some(node), Some(now));
    }

    /// What is to be written.
    pub(super) fn begin_to_write(&mut self, now: Instant) -> Vec<Lesson> {
        (self.written_at, self.in_flight) = (Some(now), std::mem::take(&mut self.pending));
        self.in_flight.clone()
    }

    pub(super) fn written(&mut self, key: Key, after: &[u8], now: Instant) {
        self.in_flight.clear();
        // What was taught meanwhile is as old as this at most.
        self.pending_since = (!self.pending.is_empty()).then_some(now);
        self.landed_at = Some(now);
        self.take_over(key, after, now);
    }

    pub(super) fn put_back(&mut self) {
        let mut lessons = std::mem::take(&mut self.in_flight);
        lessons.append(&mut self.pending);
        self.pending = lessons;
        self.forget_excess();
    }

    fn forget_excess(&mut self) {
        let excess = self.pending.len().saturating_sub(PENDING_MAX);
        self.pending.drain(..excess);
    }
}

pub(super) fn node_of(key: Key, stored: Option<&[u8]>) -> RouteStats {
    // What another version wrote begins anew.
    stored.and_then(RouteStats::from_bytes).unwrap_or_else(|| RouteStats::new(key.level()))
}

pub(super) fn name(key: Key) -> String {
    match key {
        Key::World => "w".to_owned(),
        Key::Country(letters) => format!("c:{}", String::from_utf8_lossy(&letters)),
        Key::Route(code) => format!("r:{code}"),
    }
}

/// In the list of all nodes.
pub(super) fn entry(key: Key, country: Option<&Country>) -> String {
    country.map_or_else(|| name(key), |country| format!("{}/{country}", name(key)))
}

/// The reverse of [`entry`].
pub(super) fn parse_entry(text: &str) -> Option<(Key, Option<Country>)> {
    let (name, country) = text.split_once('/').unwrap_or((text, ""));
    let key = match name.split_once(':') {
        None => (name == "w").then_some(Key::World)?,
        Some(("c", letters)) => Key::Country(letters.as_bytes().first_chunk().copied()?),
        Some(("r", code)) => Key::Route(code.parse().ok()?),
        Some(_) => return None,
    };
    Some((key, Country::parse(country)))
}
