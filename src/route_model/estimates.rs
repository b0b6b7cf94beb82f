//! [`Estimates`]: the hazards that hold for one route, as far as its country and the world must help out.
//!
//! Does not learn (see `hazard`) and does not decide (see `adaptive`).

use super::curves::{BUCKETS, CURVES, Check, Curve, bucket_of, edge_ms};
use super::prior;
use super::stats::{Counts, RouteStats};

/// A probability per bucket.
pub type Curve64 = [f64; BUCKETS];

/// What may be expected of a text on a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimates {
    hazards: [Curve64; CURVES],
    /// What usually comes by each edge: some news of a text; the code, after a report.
    news: [f64; BUCKETS + 1],
    belief: [f64; BUCKETS + 1],
    /// The share of reported texts that is not verified yet when each bucket begins.
    unbelieved: [f64; BUCKETS + 1],
    /// The share of people who never enter a code.
    pub(super) no_intent: f64,
    /// On how many verifications it rests: of the world, the country, the route.
    pub samples: [f32; 3],
    /// The next early plan is to wait.
    pub(super) owes_probe: bool,
}

impl Estimates {
    /// What is assumed while nothing is known.
    pub fn prior() -> Self {
        Self::new(None, None, None)
    }

    /// Each level fills in where the one below has seen little. So far as the route may have changed, what it has
    /// done lately counts instead.
    pub fn new(world: Option<&RouteStats>, country: Option<&RouteStats>, route: Option<&RouteStats>) -> Self {
        let mut usual = prior::HAZARDS.map(|row| row.map(f64::from));
        let mut no_intent = prior::NO_INTENT;
        for node in [world, country, route].into_iter().flatten() {
            shrink(&mut usual, &node.slow);
            let [share, weight] = node.no_intent.map(f64::from);
            no_intent = (share + prior::NO_INTENT_WEIGHT * no_intent) / (weight + prior::NO_INTENT_WEIGHT);
            no_intent = no_intent.clamp(prior::NO_INTENT_MIN, prior::NO_INTENT_MAX);
        }
        let samples = [world, country, route].map(|node| node.map_or(0.0, RouteStats::starts));
        let mut estimates = Self {
            news: news(&usual),
            belief: survival(&usual[Curve::VerifiedAfterDelivered as usize]).map(|open| 1.0 - open),
            hazards: usual,
            unbelieved: [1.0; BUCKETS + 1],
            no_intent,
            samples,
            owes_probe: route.is_some_and(RouteStats::owes_probe),
        };
        if let Some((route, fast)) = route.and_then(|route| Some((route, route.fast.as_ref()?))) {
            let mut lately = usual;
            scale(&mut lately, fast);
            shrink(&mut lately, fast);
            let news = &[Curve::Verified, Curve::Delivered];
            mix(&mut estimates.hazards, &lately, news, route.doubt(Check::FirstEvent));
            mix(&mut estimates.hazards, &lately, &[Curve::VerifiedAfterResend], route.doubt(Check::FirstEvent));
            mix(&mut estimates.hazards, &lately, &[Curve::VerifiedAfterDelivered], route.doubt(Check::Conversion));
        }
        estimates.unbelieved = survival(estimates.hazard(Curve::VerifiedAfterDelivered));
        estimates
    }

    /// One curve's hazards.
    pub fn hazard(&self, curve: Curve) -> &Curve64 {
        &self.hazards[curve as usize]
    }

    /// The share of reported texts whose code is entered in the end.
    pub fn believed(&self) -> f64 {
        1.0 - self.unbelieved[BUCKETS]
    }

    /// The share of reported texts whose code is entered this long after the report.
    pub(super) fn believed_by(&self, after_ms: u32) -> f64 {
        1.0 - at(&self.unbelieved, after_ms)
    }

    /// By which edge there usually is news of half of the texts of which there ever is.
    pub(super) fn news_half_ms(&self) -> u32 {
        let half = self.news[BUCKETS] / 2.0;
        edge_ms((0..=BUCKETS).find(|i| self.news[*i] >= half).unwrap_or(BUCKETS))
    }

    /// The share of texts of which there usually is some news by this age.
    pub(super) fn news_by(&self, age_ms: u32) -> f32 {
        at(&self.news, age_ms) as f32
    }

    /// When to look whether there is news, and how likely that usually is.
    pub(super) fn news_check(&self) -> (u32, f32) {
        check_point(&self.news)
    }

    /// How long after a report to look whether the code was entered, and how likely that usually is.
    pub(super) fn belief_check(&self) -> (u32, f32) {
        check_point(&self.belief)
    }
}

/// From a parent's hazards to a node's own: each bucket of the parent counts as [`prior::WEIGHT`] observations.
fn shrink(hazards: &mut [Curve64; CURVES], counts: &Counts) {
    for (c, row) in hazards.iter_mut().enumerate() {
        for (i, h) in row.iter_mut().enumerate() {
            *h = (f64::from(counts.e[c][i]) + prior::WEIGHT * *h) / (f64::from(counts.n[c][i]) + prior::WEIGHT);
        }
    }
}

/// From a route's usual hazards to those of its last dozen verifications. So few say little of any one bucket, but a
/// route that is down is down for every age: so each curve is first scaled by how many events there were of those
/// that were to be expected.
fn scale(hazards: &mut [Curve64; CURVES], counts: &Counts) {
    for (c, row) in hazards.iter_mut().enumerate() {
        let expected: f64 = row.iter().zip(&counts.n[c]).map(|(h, n)| h * f64::from(*n)).sum();
        let events: f64 = counts.e[c].iter().map(|e| f64::from(*e)).sum();
        let scale = (events + prior::SCALE_WEIGHT) / (expected + prior::SCALE_WEIGHT);
        for h in row {
            *h = (*h * scale).min(0.9);
        }
    }
}

/// What holds if with this probability the other hazards do. A text that stays open speaks for those under which
/// more do.
fn mix(hazards: &mut [Curve64; CURVES], other: &[Curve64; CURVES], curves: &[Curve], probability: f64) {
    let (mut here, mut there) = (1.0 - probability, probability);
    for i in 0..BUCKETS {
        let (mut ends_here, mut ends_there) = (0.0, 0.0);
        let sum = (here + there).max(f64::MIN_POSITIVE);
        for curve in curves {
            let (h, o) = (&mut hazards[*curve as usize][i], other[*curve as usize][i]);
            ends_here += *h;
            ends_there += o;
            *h = (here * *h + there * o) / sum;
        }
        here *= (1.0 - ends_here).max(0.0);
        there *= (1.0 - ends_there).max(0.0);
    }
}

/// The share that is still open at each edge.
fn survival(hazards: &Curve64) -> [f64; BUCKETS + 1] {
    let mut open = [1.0; BUCKETS + 1];
    for i in 0..BUCKETS {
        open[i + 1] = open[i] * (1.0 - hazards[i]).max(0.0);
    }
    open
}

/// The share of which there is some news by each edge.
fn news(hazards: &[Curve64; CURVES]) -> [f64; BUCKETS + 1] {
    let [verified, reported, ..] = hazards;
    let mut either = [0.0; BUCKETS];
    for i in 0..BUCKETS {
        either[i] = verified[i] + reported[i];
    }
    survival(&either).map(|open| 1.0 - open)
}

/// A curve over edges, read anywhere: straight between two edges, level after the last.
fn at(curve: &[f64; BUCKETS + 1], clock_ms: u32) -> f64 {
    let i = bucket_of(clock_ms);
    if i == BUCKETS {
        return curve[BUCKETS];
    }
    let share = f64::from(clock_ms - edge_ms(i)) / f64::from(edge_ms(i + 1) - edge_ms(i));
    curve[i] + share * (curve[i + 1] - curve[i])
}

fn check_point(news: &[f64; BUCKETS + 1]) -> (u32, f32) {
    let enough = prior::CHECK_SHARE * news[BUCKETS];
    let edge = (1..=BUCKETS).find(|i| news[*i] >= enough).unwrap_or(BUCKETS);
    let at_ms = edge_ms(edge).min(prior::CHECK_LATEST_MS);
    (at_ms, at(news, at_ms) as f32)
}
