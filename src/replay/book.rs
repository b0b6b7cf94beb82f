//! [`StatsBook`]: the statistics of the world, of countries and of routes, in memory.
//!
//! A replay learns into it directly. The live service has a cache of its store instead (`learner`).

use std::collections::BTreeMap;

use crate::route_model::{Estimates, Key, Lesson, RouteStats};

/// Everything that a player has learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsBook {
    nodes: BTreeMap<Key, RouteStats>,
}

impl StatsBook {
    /// Applies one lesson to a route, its country and the world.
    pub fn learn(&mut self, country: [u8; 2], route: u32, lesson: Lesson) {
        for key in Key::of(country, route) {
            self.nodes.entry(key).or_insert_with(|| RouteStats::new(key.level())).apply(lesson);
        }
    }

    /// What to expect on a route.
    pub fn estimates(&self, country: [u8; 2], route: u32) -> Estimates {
        let [world, country, route] = Key::of(country, route).map(|key| self.nodes.get(&key));
        Estimates::new(world, country, route)
    }

    /// All statistics, in the order of their keys.
    pub fn nodes(&self) -> impl Iterator<Item = (Key, &RouteStats)> {
        self.nodes.iter().map(|(key, node)| (*key, node))
    }
}
