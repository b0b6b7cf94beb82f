//! [`Known`]: one node as this process knows it, with what it has not written yet; and how nodes are named.

use std::time::{Duration, Instant};

use crate::escalation::book::Key;
use crate::escalation::hazard::Lesson;
use crate::escalation::node::Node;
use crate::phone::Country;

/// A route's lessons are written when there are so many, about one verification's, or the oldest is this old.
const ROUTE_BATCH: (usize, Duration) = (6, Duration::from_secs(10));
/// The same of countries and of the world, which hardly change by one verification.
const WIDE_BATCH: (usize, Duration) = (64, Duration::from_secs(60));
/// No node is written more often than this, however busy it is.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Lessons that are kept while they cannot be written.
const PENDING_MAX: usize = 2_000;

/// One node, as far as is known here.
#[derive(Default)]
pub(super) struct Known {
    /// With the lessons that are not written yet.
    pub(super) node: Option<Node>,
    /// As it was read or written last.
    pub(super) stored: Option<Vec<u8>>,
    pub(super) read_at: Option<Instant>,
    pub(super) pending: Vec<Lesson>,
    /// Lessons that are being written.
    pub(super) in_flight: Vec<Lesson>,
    /// Of the oldest lesson that is not written.
    pub(super) pending_since: Option<Instant>,
    /// The country that its numbers are of.
    pub(super) country: Option<Country>,
    pub(super) written_at: Option<Instant>,
}

impl Known {
    pub(super) fn learn(&mut self, key: Key, lessons: &[Lesson]) {
        let node = self.node.get_or_insert_with(|| Node::new(key.level()));
        lessons.iter().for_each(|lesson| node.apply(*lesson));
        if !lessons.is_empty() {
            self.pending_since.get_or_insert_with(Instant::now);
        }
        self.pending.extend(lessons);
        let excess = self.pending.len().saturating_sub(PENDING_MAX);
        self.pending.drain(..excess);
    }

    /// What the store has, and on top of it what is not written yet.
    pub(super) fn take_over(&mut self, key: Key, stored: Option<Vec<u8>>) {
        let mut node = node_of(key, stored.as_deref());
        self.in_flight.iter().chain(&self.pending).for_each(|lesson| node.apply(*lesson));
        (self.node, self.stored, self.read_at) = (Some(node), stored, Some(Instant::now()));
    }

    pub(super) fn written(&mut self, key: Key, after: Vec<u8>) {
        self.in_flight.clear();
        self.take_over(key, Some(after));
    }

    pub(super) fn put_back(&mut self) {
        let mut lessons = std::mem::take(&mut self.in_flight);
        lessons.append(&mut self.pending);
        self.pending = lessons;
        self.pending_since.get_or_insert_with(Instant::now);
        let excess = self.pending.len().saturating_sub(PENDING_MAX);
        self.pending.drain(..excess);
    }

    pub(super) fn is_due(&self, key: Key) -> bool {
        let (many, long) = if matches!(key, Key::Route(_)) { ROUTE_BATCH } else { WIDE_BATCH };
        let is_paused = self.written_at.is_some_and(|at| at.elapsed() < PAUSE);
        let is_old = self.pending_since.is_some_and(|at| at.elapsed() >= long);
        !is_paused && (self.pending.len() >= many || is_old)
    }
}

pub(super) fn node_of(key: Key, stored: Option<&[u8]>) -> Node {
    // What another version wrote begins anew.
    stored.and_then(Node::from_bytes).unwrap_or_else(|| Node::new(key.level()))
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
