//! The figures of one policy on one trace, as `docs/replay.md` defines them.
//!
//! Sums are in whole micro-dollars and milliseconds, so that no order of adding changes a digit; only the last division
//! is a fraction. A figure without anything to divide by is NaN, and null in JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::outcome::{PlayedOutcome, TTL_MS};
use super::trace::{Trace, TraceRow};
use crate::route_model::Costs;

/// The figures of one policy: times in seconds, money in USD.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyFigures {
    /// The policy's name.
    pub policy: String,
    /// Verifications in the trace.
    pub rows: usize,
    /// Per cent of the users who wanted to verify that did.
    pub verified_pct: f64,
    /// Median time to a code in hand; a user who never had one counts with the code's lifetime.
    pub c_med: f64,
    /// Its 90th percentile.
    pub c_p90: f64,
    /// Its 95th percentile.
    pub c_p95: f64,
    /// Its mean.
    pub c_mean: f64,
    /// Median time to the code entered, of the verified alone: losing slow users improves it.
    pub v_med: f64,
    /// Its 95th percentile.
    pub v_p95: f64,
    /// Placed calls per 1000 verifications.
    pub calls_k: f64,
    /// Wasted calls per 1000 verifications.
    pub wasted_k: f64,
    /// Unwanted calls per 1000 verifications.
    pub unwanted_k: f64,
    /// Calls per 1000 verifications that were wasted or unwanted.
    pub needless_k: f64,
    /// Cost per verified user, without the first text.
    pub ctrl_pv: f64,
    /// Cost per verified user, with the first text.
    pub cost_pv: f64,
    /// [`Outage::react_msgs`] of each outage, in the order of their starts.
    pub react_msgs: Vec<usize>,
    /// Its median.
    pub react_msgs_median: f64,
    /// Its maximum.
    pub react_msgs_worst: Option<usize>,
    /// The outages.
    pub outages: Vec<Outage>,
}

/// An unbroken run of one route's verifications in which texts were lost without a truthful report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// MCC and MNC.
    pub route: u32,
    /// The generator's name for it.
    pub regime: String,
    /// Start of its first verification.
    pub t0_ms: u64,
    /// Its verifications.
    pub rows: usize,
    /// Calls placed for them.
    pub calls: usize,
    /// Rank of the first of five early calls; `rows` if there are none.
    pub react_msgs: usize,
}

/// Regimes that are no outage: all is well, only reports are missing, or they say that texts are lost.
const NO_OUTAGE: [&str; 3] = ["ok", "dlr_lost", "dead_reported"];
/// An outage with fewer rows or calls says nothing about a policy.
const OUTAGE_ROWS_MIN: usize = 30;
const OUTAGE_CALLS_MIN: usize = 12;
/// Calls in a row whose median must be early.
const EARLY_CALLS: usize = 5;

impl PolicyFigures {
    /// The figures of calling at these ages, one per row, at these costs.
    pub fn of(policy: &str, trace: &Trace, calls_ms: &[Option<u64>], costs: &Costs) -> Self {
        let outcomes: Vec<PlayedOutcome> =
            trace.rows.iter().zip(calls_ms).map(|(row, call)| PlayedOutcome::of(row, *call)).collect();
        let both = || trace.rows.iter().zip(&outcomes);
        let wanting = || both().filter(|(row, _)| row.intent);
        let per_1000 =
            |is: fn(&PlayedOutcome) -> bool| 1000.0 * ratio(count(outcomes.iter().filter(|o| is(o))), count(&outcomes));

        let verified = count(outcomes.iter().filter(|outcome| outcome.is_verified()));
        let control_u: u64 = both().map(|(row, outcome)| outcome.control_u(row, costs)).sum();
        let cost_u = control_u + trace.rows.iter().map(|row| row.sms_price_u).sum::<u64>();
        let code = Sorted::new(wanting().map(|(_, outcome)| outcome.code_ms.min(TTL_MS)));
        let entered = Sorted::new(outcomes.iter().filter(|o| o.is_verified()).map(|o| o.verified_ms));
        let outages = outages(trace, calls_ms, &outcomes);
        let react = Sorted::new(outages.iter().map(|outage| outage.react_msgs as u64));
        Self {
            policy: policy.to_owned(),
            rows: trace.rows.len(),
            verified_pct: 100.0 * ratio(verified, count(wanting())),
            c_med: code.percentile(50) / 1000.0,
            c_p90: code.percentile(90) / 1000.0,
            c_p95: code.percentile(95) / 1000.0,
            c_mean: code.mean() / 1000.0,
            v_med: entered.percentile(50) / 1000.0,
            v_p95: entered.percentile(95) / 1000.0,
            calls_k: per_1000(|outcome| outcome.is_placed),
            wasted_k: per_1000(|outcome| outcome.is_wasted),
            unwanted_k: per_1000(|outcome| outcome.is_unwanted),
            needless_k: per_1000(PlayedOutcome::is_needless),
            ctrl_pv: ratio(control_u, verified) / 1e6,
            cost_pv: ratio(cost_u, verified) / 1e6,
            react_msgs: outages.iter().map(|outage| outage.react_msgs).collect(),
            react_msgs_median: react.percentile(50),
            react_msgs_worst: outages.iter().map(|outage| outage.react_msgs).max(),
            outages,
        }
    }
}

fn count<T>(of: impl IntoIterator<Item = T>) -> u64 {
    of.into_iter().count() as u64
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { f64::NAN } else { part as f64 / whole as f64 }
}

struct Sorted(Vec<u64>);

impl Sorted {
    fn new(of: impl Iterator<Item = u64>) -> Self {
        let mut numbers: Vec<u64> = of.collect();
        numbers.sort_unstable();
        Self(numbers)
    }

    fn mean(&self) -> f64 {
        ratio(self.0.iter().sum(), self.0.len() as u64)
    }

    /// Interpolated between the two nearest values, at position `(n - 1) * q / 100`.
    fn percentile(&self, q: usize) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let (below, rest) = (last * q / 100, last * q % 100);
        let low = self.0[below];
        let high = self.0[(below + 1).min(last)];
        ratio(low * 100 + (high - low) * rest as u64, 100)
    }
}

/// An unbroken run of one route under one regime, as places in the trace.
struct Stretch {
    route: u32,
    regime: usize,
    places: Vec<usize>,
}

fn outages(trace: &Trace, calls_ms: &[Option<u64>], outcomes: &[PlayedOutcome]) -> Vec<Outage> {
    let is_outage = |row: &TraceRow| !NO_OUTAGE.contains(&trace.regimes[row.regime].as_str());
    let (mut stretches, mut newest) = (Vec::<Stretch>::new(), BTreeMap::new());
    for (place, row) in trace.rows.iter().enumerate() {
        let route = (row.cc, row.route);
        let at = newest.get(&route).copied().filter(|at: &usize| stretches[*at].regime == row.regime);
        let at = at.unwrap_or_else(|| {
            stretches.push(Stretch { route: row.route, regime: row.regime, places: Vec::new() });
            stretches.len() - 1
        });
        newest.insert(route, at);
        stretches[at].places.push(place);
    }
    let mut outages = Vec::new();
    for stretch in stretches.iter().filter(|stretch| stretch.places.len() >= OUTAGE_ROWS_MIN) {
        let first = &trace.rows[stretch.places[0]];
        // Rank in the stretch and age of each placed call.
        let calls: Vec<(usize, u64)> = (1..)
            .zip(&stretch.places)
            .filter_map(|(rank, place)| Some((rank, calls_ms[*place].filter(|_| outcomes[*place].is_placed)?)))
            .collect();
        if is_outage(first) && calls.len() >= OUTAGE_CALLS_MIN {
            outages.push(Outage {
                route: stretch.route,
                regime: trace.regimes[stretch.regime].clone(),
                t0_ms: first.t0_ms,
                rows: stretch.places.len(),
                calls: calls.len(),
                react_msgs: reaction(&calls, stretch.places.len()),
            });
        }
    }
    outages
}

/// The rank of the first call from which five in a row have a median age of at most 1.25 times the median age in the
/// second half of the outage; `rows` if there is none.
fn reaction(calls: &[(usize, u64)], rows: usize) -> usize {
    let median = |of: &[(usize, u64)]| Sorted::new(of.iter().map(|(_, age)| *age)).percentile(50);
    let half = calls.partition_point(|(rank, _)| *rank <= rows / 2);
    let settled = median(&calls[half..]);
    let early = calls.windows(EARLY_CALLS).find(|five| median(five) <= 1.25 * settled);
    early.map_or(rows, |five| five[0].0)
}
