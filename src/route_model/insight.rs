//! [`Insight`]: what has been learned of one number's route, as it is when a decision is made; and [`Weighed`], what
//! a decision was weighed on.
//!
//! Whoever holds the book of all routes hands an insight in and takes the lessons out; nothing here is shared.

use serde::{Deserialize, Serialize};

use super::RouteKnowledge;
use super::advice::{Advice, AdviceReason};
use super::curves::Key;
use super::curves::Lesson;
use super::estimates::Estimates;
use super::stats::RouteStats;
use crate::phone::{Carrier, Country};

/// A call's price where nothing is known of the country, in micro-dollars.
pub const CALL_PRICE_U: u64 = 25_000;

/// The nodes of one route, from the widest to its own, and what a call costs there.
#[derive(Clone, Debug)]
pub struct Insight {
    nodes: Vec<(Key, Option<RouteStats>)>,
    /// In micro-dollars.
    pub call_price_u: u64,
}

/// Nothing has been learned.
impl Default for Insight {
    fn default() -> Self {
        Self { nodes: Vec::new(), call_price_u: CALL_PRICE_U }
    }
}

impl Insight {
    /// Of the nodes that [`keys`](Self::keys) names, in that order.
    pub fn new(nodes: Vec<(Key, Option<RouteStats>)>, call_price_u: u64) -> Self {
        Self { nodes, call_price_u }
    }

    /// What is known of one of its nodes.
    pub fn stats(&self, key: Key) -> Option<&RouteStats> {
        self.nodes.iter().find(|(of, _)| *of == key).and_then(|(_, stats)| stats.as_ref())
    }

    /// The nodes that a number of this country and network teaches and asks.
    pub fn keys(country: &Country, carrier: Option<Carrier>) -> Vec<Key> {
        let country = country.as_str().as_bytes().first_chunk().copied().map(Key::Country);
        let route = carrier.map(|carrier| Key::Route(carrier.code()));
        std::iter::once(Key::World).chain(country).chain(route).collect()
    }
}

impl RouteKnowledge for Insight {
    fn estimates(&self) -> Estimates {
        let node =
            |is: fn(&Key) -> bool| self.nodes.iter().find(|(key, _)| is(key)).and_then(|(_, node)| node.as_ref());
        Estimates::new(
            node(|key| matches!(key, Key::World)),
            node(|key| matches!(key, Key::Country(_))),
            node(|key| matches!(key, Key::Route(_))),
        )
    }

    fn call_price_u(&self) -> u64 {
        self.call_price_u
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        for (key, node) in &mut self.nodes {
            let node = node.get_or_insert_with(|| RouteStats::new(key.level()));
            lessons.iter().for_each(|lesson| node.apply(*lesson));
        }
    }
}

/// What a decision of the adaptive policy was weighed on, in whole numbers: shares in thousandths, money in
/// micro-dollars (none where it was no choice).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// What decided.
    #[serde(default)]
    pub kind: AdviceReason,
    /// The age of the verification, in milliseconds.
    pub age_ms: u32,
    /// How long ago the text was reported as delivered.
    pub reported_ms_ago: Option<u32>,
    /// The text still brings the code, sooner or later.
    pub text: u16,
    /// It brings the code within ten seconds.
    pub soon: u16,
    /// The person wants the code and the text will not bring it.
    pub need: u16,
    /// Calling now.
    pub call_cost_u: Option<u64>,
    /// Waiting on.
    pub wait_cost_u: Option<u64>,
    /// Verifications it rests on: of the world, the country, the route.
    pub samples: [u32; 3],
    /// Whether it only waited to see what would have come.
    pub is_probe: bool,
    /// The network, where it is known.
    pub carrier: Option<Carrier>,
}

impl Weighed {
    /// Of a decision about a number of this network.
    pub fn of(decision: &Advice, carrier: Option<Carrier>) -> Self {
        let share = |p: f64| (p.clamp(0.0, 1.0) * 1000.0).round() as u16;
        let money = |u: f64| u.is_finite().then(|| u.max(0.0).round() as u64);
        Self {
            kind: decision.kind,
            age_ms: decision.age_ms,
            reported_ms_ago: decision.reported_ms_ago,
            text: share(decision.text),
            soon: share(decision.soon),
            need: share(decision.need),
            call_cost_u: money(decision.call_cost),
            wait_cost_u: money(decision.wait_cost),
            samples: decision.samples.map(|n| n.round() as u32),
            is_probe: decision.is_probe,
            carrier,
        }
    }
}
