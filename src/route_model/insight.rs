//! [`Insight`]: a snapshot of what has been learned of one number's route.
//!
//! The learner takes the snapshot before a decision and hands it to the pure core. The core reads and teaches its own
//! copy; the lessons travel back to the learner, so that nothing here is shared.

use std::sync::Arc;

use super::curves::{Key, Lesson};
use super::estimates::Estimates;
use super::stats::RouteStats;
use crate::phone::{Carrier, Country};

/// Price of a call where no price is known for the country, in micro-dollars.
pub const CALL_PRICE_U: u64 = 25_000;

/// What has been learned of one verification's route, its country and the world.
pub trait RouteKnowledge {
    /// What to expect of a text.
    fn estimates(&self) -> Estimates;
    /// Price of an answered call, in micro-dollars.
    fn call_price_u(&self) -> u64;
    /// Applies lessons, so that the next call of [`estimates`](Self::estimates) reflects them.
    fn learn(&mut self, lessons: &[Lesson]);
}

/// The statistics of one route, its country and the world, and the price of a call there.
///
/// The statistics are shared with the learner's cache until the first lesson, so that taking a snapshot copies none.
#[derive(Clone, Debug)]
pub struct Insight {
    stats: Vec<(Key, Option<Arc<RouteStats>>)>,
    /// Price of an answered call, in micro-dollars.
    pub call_price_u: u64,
}

/// Nothing has been learned, and no lesson is kept.
impl Default for Insight {
    fn default() -> Self {
        Self { stats: Vec::new(), call_price_u: CALL_PRICE_U }
    }
}

impl Insight {
    /// Takes the statistics of [`keys`](Self::keys), in that order.
    pub fn new(stats: Vec<(Key, Option<Arc<RouteStats>>)>, call_price_u: u64) -> Self {
        Self { stats, call_price_u }
    }

    /// The keys that a number of this country and network reads and teaches.
    pub fn keys(country: &Country, carrier: Option<Carrier>) -> Vec<Key> {
        let country = country.as_str().as_bytes().first_chunk().copied().map(Key::Country);
        let route = carrier.map(|carrier| Key::Route(carrier.code()));
        std::iter::once(Key::World).chain(country).chain(route).collect()
    }

    pub(super) fn find(&self, is_wanted: impl Fn(&Key) -> bool) -> Option<&RouteStats> {
        self.stats.iter().find(|(key, _)| is_wanted(key)).and_then(|(_, stats)| stats.as_deref())
    }
}

impl RouteKnowledge for Insight {
    fn estimates(&self) -> Estimates {
        Estimates::new(
            self.find(|key| matches!(key, Key::World)),
            self.find(|key| matches!(key, Key::Country(_))),
            self.find(|key| matches!(key, Key::Route(_))),
        )
    }

    fn call_price_u(&self) -> u64 {
        self.call_price_u
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        for (key, stats) in &mut self.stats {
            let stats = stats.get_or_insert_with(|| Arc::new(RouteStats::new(key.level())));
            let stats = Arc::make_mut(stats);
            lessons.iter().for_each(|lesson| stats.apply(*lesson));
        }
    }
}
