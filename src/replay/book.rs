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
    /// Applies one lesson to an app's route, the route, its country and the world.
    pub fn learn(&mut self, app: u32, country: [u8; 2], route: u32, lesson: Lesson) {
        for key in Key::of(app, country, route) {
            if lesson.is_for(key.level()) {
                self.nodes.entry(key).or_insert_with(|| RouteStats::new(key.level())).apply(lesson);
            }
        }
    }

    /// What an app has to expect on a route.
    pub fn estimates(&self, app: u32, country: [u8; 2], route: u32) -> Estimates {
        let [world, country, route, own] = Key::of(app, country, route).map(|key| self.nodes.get(&key));
        Estimates::new([world, country, route], own)
    }

    /// All statistics, in the order of their keys.
    pub fn nodes(&self) -> impl Iterator<Item = (Key, &RouteStats)> {
        self.nodes.iter().map(|(key, node)| (*key, node))
    }
}
