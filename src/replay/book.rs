//! [`Book`]: the nodes of the world, of countries and of routes, in memory.
//!
//! A replay learns into it directly; the live service keeps one as the cache of its store. How nodes are shared
//! between replicas is told in `docs/escalation.md`: a replica collects lessons, and about once a second reads the
//! stored node, applies them and writes it back if nobody else did.

use std::collections::BTreeMap;

use crate::route_model::{Estimates, Key, Lesson, RouteStats};

/// All that has been learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    nodes: BTreeMap<Key, RouteStats>,
}

impl Book {
    /// Learns one lesson of a verification on this route.
    pub fn apply(&mut self, country: [u8; 2], route: u32, lesson: Lesson) {
        for key in Key::of(country, route) {
            let node = self.nodes.entry(key).or_insert_with(|| RouteStats::new(key.level()));
            node.apply(lesson);
        }
    }

    /// What may be expected on this route.
    pub fn estimates(&self, country: [u8; 2], route: u32) -> Estimates {
        let [world, country, route] = Key::of(country, route).map(|key| self.nodes.get(&key));
        Estimates::new(world, country, route)
    }

    /// One node, if anything has been learned of it.
    pub fn node(&self, key: Key) -> Option<&RouteStats> {
        self.nodes.get(&key)
    }

    /// Puts a node in place, as a shared store has it.
    pub fn put(&mut self, key: Key, node: RouteStats) {
        self.nodes.insert(key, node);
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = (Key, &RouteStats)> {
        self.nodes.iter().map(|(key, node)| (*key, node))
    }
}
