//! [`Estimates`]: what to expect of a text on one route.
//!
//! Estimates read the statistics of the world, the country and the route; the wider level fills in where the narrower
//! one has few counts. They neither learn (see `stats`) nor decide (see `planner`).

use strum::EnumCount;

use super::curves::{BUCKETS, CURVES, Curve, RouteTest, bucket_of, edge_ms};
use super::evidence::RouteEvidence;
use super::prior;
use super::stats::{Counts, RouteStats};
use super::teacher::{RecentTeachers, Teacher};

/// A hazard per bucket.
pub(super) type Hazards = [f64; BUCKETS];

/// A share per bucket edge.
type ShareByEdge = [f64; BUCKETS + 1];

/// What to expect of a text on one route.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimates {
    hazards: [Hazards; CURVES],
    /// Usual share of texts that have had a report or the code.
    usual_first_event: ShareByEdge,
    /// Usual share of reported texts whose code has been entered.
    usual_conversion: ShareByEdge,
    /// Current share of reported texts whose code has not been entered.
    unconverted_after_delivered: ShareByEdge,
    /// Share of people who never enter a code.
    pub(super) no_intent: f64,
    /// Verifications behind the estimates: world, country, the app's on the route.
    pub(super) samples: [f32; 3],
    /// The texts behind the doubts about the route.
    evidence: [RouteEvidence; RouteTest::COUNT],
    /// Whether calls for distrust alone are stopped, because they brought no codes.
    pub(super) is_distrust_capped: bool,
    recent: RecentTeachers,
    /// Whether the next early plan is a probe.
    pub(super) is_next_early_plan_a_probe: bool,
}

impl Estimates {
    /// What is assumed before anything has been learned.
    pub(super) fn prior() -> Self {
        Self::new([None; 3], None)
    }

    /// Combines what apps share (world, country, route) with what the app itself has seen of the route.
    ///
    /// As far as a test suspects that the route has changed, the app's latest verifications replace its usual hazards.
    pub fn new(shared: [Option<&RouteStats>; 3], own: Option<&RouteStats>) -> Self {
        let mut usual = prior::HAZARDS.map(|row| row.map(f64::from));
        let mut no_intent = prior::NO_INTENT;
        for stats in shared.into_iter().chain([own]).flatten() {
            shrink(&mut usual, &stats.slow);
            let [share, weight] = stats.no_intent.map(f64::from);
            no_intent = (share + prior::NO_INTENT_WEIGHT * no_intent) / (weight + prior::NO_INTENT_WEIGHT);
            no_intent = no_intent.clamp(prior::NO_INTENT_MIN, prior::NO_INTENT_MAX);
        }
        let [world, country, _] = shared;
        let samples = [world, country, own].map(|stats| stats.map_or(0.0, RouteStats::starts));
        let mut estimates = Self {
            usual_first_event: first_event(&usual),
            usual_conversion: survival(&usual[Curve::VerifiedAfterDelivered as usize]).map(|open| 1.0 - open),
            hazards: usual,
            unconverted_after_delivered: [1.0; BUCKETS + 1],
            no_intent,
            samples,
            is_next_early_plan_a_probe: own.is_some_and(RouteStats::is_next_early_plan_a_probe),
            evidence: [RouteTest::FirstEvent, RouteTest::Conversion]
                .map(|test| own.map(|stats| stats.evidence(test)).unwrap_or_default()),
            is_distrust_capped: own.is_some_and(RouteStats::is_distrust_capped),
            recent: own.map(|stats| stats.recent.clone()).unwrap_or_default(),
        };
        if let Some((own, fast)) = own.and_then(|own| Some((own, own.fast.as_ref()?))) {
            let mut latest = usual;
            scale(&mut latest, fast);
            shrink(&mut latest, fast);
            let silent = &[Curve::Verified, Curve::Delivered];
            mix(&mut estimates.hazards, &latest, silent, own.doubt(RouteTest::FirstEvent));
            mix(&mut estimates.hazards, &latest, &[Curve::VerifiedAfterResend], own.doubt(RouteTest::FirstEvent));
            // One text without a code says nothing of the route, least of all to the verification it belongs to.
            let is_known = own.evidence(RouteTest::Conversion).of >= prior::DISTRUST_TESTS_MIN;
            let is_distrusted = is_known && !own.is_distrust_capped();
            let distrust = if is_distrusted { own.doubt(RouteTest::Conversion) } else { 0.0 };
            mix(&mut estimates.hazards, &latest, &[Curve::VerifiedAfterDelivered], distrust);
        }
        estimates.unconverted_after_delivered = survival(estimates.hazard(Curve::VerifiedAfterDelivered));
        estimates
    }

    /// The texts behind the doubt of this test.
    pub(super) fn evidence(&self, test: RouteTest) -> RouteEvidence {
        self.evidence[test as usize]
    }

    /// Whether the app hardly knows the route.
    pub(super) fn is_route_new(&self) -> bool {
        self.samples[2] < prior::NEW_ROUTE_STARTS
    }

    /// Whether a verification of this teacher must not teach: its prefix or client has taught its share.
    pub(super) fn is_share_used_up(&self, teacher: Teacher) -> bool {
        self.recent.is_share_used_up(teacher)
    }

    /// One curve's hazards.
    pub(super) fn hazard(&self, curve: Curve) -> &Hazards {
        &self.hazards[curve as usize]
    }

    /// Share of reported texts whose code is entered in the end.
    pub(super) fn converted_after_delivered(&self) -> f64 {
        1.0 - self.unconverted_after_delivered[BUCKETS]
    }

    /// Share of reported texts whose code is entered this long after the report.
    pub(super) fn converted_after_delivered_by(&self, after_ms: u32) -> f64 {
        1.0 - at(&self.unconverted_after_delivered, after_ms)
    }

    /// Median time to the first event, rounded up to an edge, among texts that ever have one.
    pub(super) fn median_first_event_ms(&self) -> u32 {
        let half = self.usual_first_event[BUCKETS] / 2.0;
        edge_ms((0..=BUCKETS).find(|i| self.usual_first_event[*i] >= half).unwrap_or(BUCKETS))
    }

    /// Usual share of texts that have had a report or the code by this age.
    pub(super) fn first_event_by(&self, age_ms: u32) -> f32 {
        at(&self.usual_first_event, age_ms) as f32
    }

    /// Age at which [`RouteTest::FirstEvent`] is made, and its usual probability.
    pub(super) fn first_event_test(&self) -> (u32, f32) {
        test_point(&self.usual_first_event)
    }

    /// Time after a report at which [`RouteTest::Conversion`] is made, and its usual probability.
    pub(super) fn conversion_test(&self) -> (u32, f32) {
        test_point(&self.usual_conversion)
    }
}

/// Shrinks hazards towards the parent's, which count as [`prior::PARENT_WEIGHT`] observations per bucket.
fn shrink(hazards: &mut [Hazards; CURVES], counts: &Counts) {
    for (c, row) in hazards.iter_mut().enumerate() {
        for (i, h) in row.iter_mut().enumerate() {
            *h = (f64::from(counts.e[c][i]) + prior::PARENT_WEIGHT * *h)
                / (f64::from(counts.n[c][i]) + prior::PARENT_WEIGHT);
        }
    }
}

/// Scales each curve by its events relative to the expected ones.
///
/// The fast copy is too small to estimate single buckets. A route that is down is down at every age, so one factor
/// per curve uses all of its counts.
fn scale(hazards: &mut [Hazards; CURVES], counts: &Counts) {
    for (c, row) in hazards.iter_mut().enumerate() {
        let expected: f64 = row.iter().zip(&counts.n[c]).map(|(h, n)| h * f64::from(*n)).sum();
        let events: f64 = counts.e[c].iter().map(|e| f64::from(*e)).sum();
        let scale = (events + prior::SCALE_WEIGHT) / (expected + prior::SCALE_WEIGHT);
        for h in row {
            *h = (*h * scale).min(0.9);
        }
    }
}

/// Mixes two sets of hazards, of which `other` holds with this probability.
///
/// Bayes' rule updates the weight while a text stays open: an open text speaks for the smaller hazards.
fn mix(hazards: &mut [Hazards; CURVES], other: &[Hazards; CURVES], curves: &[Curve], probability: f64) {
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

/// Share that is still open at each edge.
fn survival(hazards: &Hazards) -> ShareByEdge {
    let mut open = [1.0; BUCKETS + 1];
    for i in 0..BUCKETS {
        open[i + 1] = open[i] * (1.0 - hazards[i]).max(0.0);
    }
    open
}

/// Share that has had a report or the code by each edge.
fn first_event(hazards: &[Hazards; CURVES]) -> ShareByEdge {
    let [verified, reported, ..] = hazards;
    let mut either = [0.0; BUCKETS];
    for i in 0..BUCKETS {
        either[i] = verified[i] + reported[i];
    }
    survival(&either).map(|open| 1.0 - open)
}

/// Interpolates linearly between edges; constant after the last.
fn at(shares: &ShareByEdge, clock_ms: u32) -> f64 {
    let i = bucket_of(clock_ms);
    if i == BUCKETS {
        return shares[BUCKETS];
    }
    let part = f64::from(clock_ms - edge_ms(i)) / f64::from(edge_ms(i + 1) - edge_ms(i));
    shares[i] + part * (shares[i + 1] - shares[i])
}

fn test_point(shares: &ShareByEdge) -> (u32, f32) {
    let enough = prior::CHECK_SHARE * shares[BUCKETS];
    let edge = (1..=BUCKETS).find(|i| shares[*i] >= enough).unwrap_or(BUCKETS);
    let at_ms = edge_ms(edge).min(prior::CHECK_LATEST_MS);
    (at_ms, at(shares, at_ms) as f32)
}
