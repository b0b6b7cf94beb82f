//! The figures of one policy on one trace (`docs/replay.md` defines each).
//!
//! Everything is summed in whole micro-dollars and milliseconds, so that no order of adding changes a digit; only the
//! last division is a fraction. Where there is nothing to divide by, a figure is not a number, and null in JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::outcome::{Outcome, TTL_MS};
use super::trace::{Row, Trace};

/// The figures. Times in seconds, money in USD.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The policy's name.
    pub policy: String,
    /// Verifications in the trace.
    pub rows: usize,
    /// Of those who wanted to verify, how many did.
    pub verified_pct: f64,
    /// Time to a code in hand: the median. Somebody who never had one counts with the whole lifetime.
    pub c_med: f64,
    /// The same: nine in ten had it by then.
    pub c_p90: f64,
    /// Nineteen in twenty.
    pub c_p95: f64,
    /// The mean.
    pub c_mean: f64,
    /// Time to the code entered, of those who did: it gets better when slow users are lost.
    pub v_med: f64,
    /// Nineteen in twenty of them.
    pub v_p95: f64,
    /// Calls placed, in a thousand verifications.
    pub calls_k: f64,
    /// Calls although the text was there or about to be.
    pub wasted_k: f64,
    /// Calls to people who did not want to verify.
    pub unwanted_k: f64,
    /// What the policy's decisions cost, per verified person: all but the first text.
    pub ctrl_pv: f64,
    /// The same with it.
    pub cost_pv: f64,
    /// For each outage, in the order of their starts: how many verifications it took until calls came as early as
    /// they did in its second half.
    pub react_msgs: Vec<usize>,
    /// Their median.
    pub react_msgs_median: f64,
    /// The worst of them.
    pub react_msgs_worst: Option<usize>,
    /// The outages themselves.
    pub outages: Vec<Outage>,
}

/// A stretch of one route in which texts did not do what was said of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// MCC and MNC.
    pub route: u32,
    /// The generator's word for it.
    pub regime: String,
    /// Start of its first verification.
    pub t0_ms: u64,
    /// Verifications started in it.
    pub rows: usize,
    /// Calls placed for them.
    pub calls: usize,
    /// Verifications until the policy had reacted; all of them, if it never had.
    pub react_msgs: usize,
}

/// Regimes in which nothing has to be found out: all is well, or only reports are missing, or they tell the truth.
const NO_OUTAGE: [&str; 3] = ["ok", "dlr_lost", "dead_reported"];
/// Smaller outages say nothing about a policy.
const OUTAGE_ROWS: usize = 30;
const OUTAGE_CALLS: usize = 12;
/// So many calls in a row must come early.
const REACTED: usize = 5;

impl Summary {
    /// The figures of calling at these ages, one per row.
    pub fn of(policy: &str, trace: &Trace, calls_ms: &[Option<u64>]) -> Self {
        let outcomes: Vec<Outcome> =
            trace.rows.iter().zip(calls_ms).map(|(row, call)| Outcome::of(row, *call)).collect();
        let both = || trace.rows.iter().zip(&outcomes);
        let wanting = || both().filter(|(row, _)| row.intent);
        let of_all =
            |is: fn(&Outcome) -> bool| 1000.0 * ratio(count(outcomes.iter().filter(|o| is(o))), count(&outcomes));

        let verified = count(outcomes.iter().filter(|outcome| outcome.is_verified()));
        let control_u: u64 = both().map(|(row, outcome)| outcome.control_u(row)).sum();
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
            calls_k: of_all(|outcome| outcome.placed),
            wasted_k: of_all(|outcome| outcome.wasted),
            unwanted_k: of_all(|outcome| outcome.unwanted),
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

/// Numbers in order.
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

    /// Linear between the two nearest: the position is `(n - 1) * q / 100`.
    fn percentile(&self, q: usize) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let (below, rest) = (last * q / 100, last * q % 100);
        let low = self.0[below];
        let high = self.0[(below + 1).min(last)];
        ratio(low * 100 + (high - low) * rest as u64, 100)
    }
}

/// The verifications of one route under one regime without a break.
struct Stretch {
    route: u32,
    regime: usize,
    places: Vec<usize>,
}

fn outages(trace: &Trace, calls_ms: &[Option<u64>], outcomes: &[Outcome]) -> Vec<Outage> {
    let is_outage = |row: &Row| !NO_OUTAGE.contains(&trace.regimes[row.regime].as_str());
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
    for stretch in stretches.iter().filter(|stretch| stretch.places.len() >= OUTAGE_ROWS) {
        let first = &trace.rows[stretch.places[0]];
        // Rank in the outage and age, of every call that was placed.
        let calls: Vec<(usize, u64)> = (1..)
            .zip(&stretch.places)
            .filter_map(|(rank, place)| Some((rank, calls_ms[*place].filter(|_| outcomes[*place].placed)?)))
            .collect();
        if is_outage(first) && calls.len() >= OUTAGE_CALLS {
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

/// The rank of the first call from which five in a row come, by their median, about as early as those of the second
/// half of the outage.
fn reaction(calls: &[(usize, u64)], rows: usize) -> usize {
    let median = |of: &[(usize, u64)]| Sorted::new(of.iter().map(|(_, age)| *age)).percentile(50);
    let half = calls.partition_point(|(rank, _)| *rank <= rows / 2);
    let settled = median(&calls[half..]);
    let early = calls.windows(REACTED).find(|five| median(five) <= 1.25 * settled);
    early.map_or(rows, |five| five[0].0)
}
