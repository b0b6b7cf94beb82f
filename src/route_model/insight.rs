//! [`Insight`]: a snapshot of what has been learned of one number's route.
//!
//! The learner takes the snapshot before a decision and hands it to the pure core. The core reads and teaches its own
//! copy; the lessons travel back to the learner, so that nothing here is shared.

use std::sync::Arc;

use super::curves::Key;
use super::estimates::Estimates;
use super::lesson::Lesson;
use super::stats::RouteStats;
use super::teacher::Teacher;
use crate::phone::{Carrier, Country};

/// Price of a call where no price is known for the country, in micro-dollars.
pub const CALL_PRICE_U: u64 = 25_000;

/// What has been learned of one verification's route, its country and the world.
pub trait RouteKnowledge {
    /// What to expect of a text.
    fn estimates(&self) -> Estimates;
    /// Price of an answered call, in micro-dollars.
    fn call_price_u(&self) -> u64;
    /// Whom the lessons of this verification come from.
    fn teacher(&self) -> Teacher;
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
    teacher: Teacher,
}

/// Nothing has been learned, and no lesson is kept.
impl Default for Insight {
    fn default() -> Self {
        Self { stats: Vec::new(), call_price_u: CALL_PRICE_U, teacher: Teacher::default() }
    }
}

impl Insight {
    /// Takes the statistics of [`keys`](Self::keys), in that order.
    pub fn new(stats: Vec<(Key, Option<Arc<RouteStats>>)>, call_price_u: u64, teacher: Teacher) -> Self {
        Self { stats, call_price_u, teacher }
    }

    /// The keys that an app's verification of a number of this country and network reads and teaches.
    pub fn keys(app: u32, country: &Country, carrier: Option<Carrier>) -> Vec<Key> {
        let country = country.as_str().as_bytes().first_chunk().copied().map(Key::Country);
        let route = carrier.map(|carrier| [Key::Route(carrier.code()), Key::AppRoute(app, carrier.code())]);
        std::iter::once(Key::World).chain(country).chain(route.into_iter().flatten()).collect()
    }

    /// Whom the lessons of the verification come from.
    pub fn teacher(&self) -> Teacher {
        self.teacher
    }

    pub(super) fn find(&self, is_wanted: impl Fn(&Key) -> bool) -> Option<&RouteStats> {
        self.stats.iter().find(|(key, _)| is_wanted(key)).and_then(|(_, stats)| stats.as_deref())
    }
}

impl RouteKnowledge for Insight {
    fn estimates(&self) -> Estimates {
        let shared = [
            self.find(|key| matches!(key, Key::World)),
            self.find(|key| matches!(key, Key::Country(_))),
            self.find(|key| matches!(key, Key::Route(_))),
        ];
        Estimates::new(shared, self.find(|key| matches!(key, Key::AppRoute(..))))
    }

    fn teacher(&self) -> Teacher {
        self.teacher
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
