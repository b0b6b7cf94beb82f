//! The adaptive policy: call as soon as calling costs no more than waiting.
//!
//! Each moment has two expected costs: of calling now, and of waiting for the next bucket and then choosing the
//! cheaper option. [`plan`] solves both by backward induction from the end of the verification's life, over the
//! route's hazards ([`Estimates`]). It learns nothing, keeps no state and reads no clock. `docs/escalation.md` has the
//! formulas.

use super::advice::{Advice, AdviceReason, Costs, Next};
use super::curves::RouteTest;
use super::estimates::Estimates;
use super::lesson::Lesson;
use super::observer::Observer;
use super::outlook::{Outlook, Point, share_present};
use super::prior;

/// Starts an observer with its first plan, which decides whether the verification is a probe.
pub(super) fn start(estimates: &Estimates, call_price_u: u64, costs: &Costs) -> (Observer, Vec<Lesson>, Advice) {
    let mut advice = plan(estimates, &Observer::default(), 0, call_price_u, costs);
    let planned = match advice.next {
        Next::WakeAt(at) => Some(at),
        Next::Call => Some(0),
        Next::Never => None,
    };
    let (observer, lessons) = Observer::start(estimates, planned);
    wait_if_probe(&mut advice, &observer);
    (observer, lessons, advice)
}

/// Returns the best action for a verification of this age.
pub(super) fn plan(
    estimates: &Estimates,
    observer: &Observer,
    age_ms: u32,
    call_price_u: u64,
    costs: &Costs,
) -> Advice {
    let mut advice = best(estimates, observer, age_ms, call_price_u, costs);
    let is_reported = observer.reported_ms.is_some() && observer.resent_ms.is_none();
    if estimates.is_distrust_capped && is_reported && advice.next != Next::Never {
        // Calls for distrust alone have brought no codes: the prior says when the others are due.
        let by_prior = best(&Estimates::prior(), observer, age_ms, call_price_u, costs);
        if call_at(&advice) < call_at(&by_prior) {
            advice.next = by_prior.next;
        }
    }
    if is_reported && estimates.is_route_new() && age_ms < prior::REPORTED_NEW_ROUTE_MS {
        let planned_ms = call_at(&advice).max(prior::REPORTED_NEW_ROUTE_MS);
        advice.next = if advice.next == Next::Never { Next::Never } else { Next::WakeAt(planned_ms) };
    }
    if advice.next == Next::Call && advice.kind == AdviceReason::Hazard {
        let by_prior = best(&Estimates::prior(), observer, age_ms, call_price_u, costs);
        advice.is_route_unreliable = by_prior.next != Next::Call;
    }
    wait_if_probe(&mut advice, observer);
    advice
}

/// The age at which the advice places a call, or later than any if it never does.
fn call_at(advice: &Advice) -> u32 {
    match advice.next {
        Next::Call => advice.age_ms,
        Next::WakeAt(at) => at,
        Next::Never => u32::MAX,
    }
}

/// A probe waits longer than planned, until there is news.
fn wait_if_probe(advice: &mut Advice, observer: &Observer) {
    let is_probe = observer.is_probe && observer.reported_ms.is_none() && observer.resent_ms.is_none();
    if is_probe && advice.age_ms < prior::PROBE_MS {
        let planned = match advice.next {
            Next::Call | Next::Never => 0,
            Next::WakeAt(at) => at,
        };
        advice.next = Next::WakeAt(planned.max(prior::PROBE_MS));
        advice.is_probe = true;
    }
}

/// Advises a call at once, with the figures that were expected before the text was lost.
pub(super) fn plan_for_lost_text(
    estimates: &Estimates,
    observer: &Observer,
    age_ms: u32,
    call_price_u: u64,
    costs: &Costs,
) -> Advice {
    let advice = best(estimates, observer, age_ms, call_price_u, costs);
    Advice { next: Next::Call, kind: AdviceReason::Failed, ..advice }
}

fn best(estimates: &Estimates, observer: &Observer, age_ms: u32, call_price_u: u64, costs: &Costs) -> Advice {
    let price = costs.call.unwrap_or(call_price_u as f64);
    let reported = observer.reported_ms.filter(|at| *at <= age_ms);
    let resent = observer.resent_ms.filter(|at| *at <= age_ms);
    let (outlook, began_ms) = match (resent, reported) {
        (Some(at), _) => (Outlook::resent(estimates), at),
        (None, Some(at)) => (Outlook::reported(estimates), at),
        (None, None) => (Outlook::silent(estimates), 0),
    };
    let points = outlook.points(age_ms - began_ms);
    let mut point_costs = point_costs(&outlook, &points, price, costs);
    if resent.is_none() && reported.is_none() {
        let latest_ms = outlook.latest_ms;
        // A report may come before any point; its cost is that of the best plan from the report on.
        let outlook = Outlook::reported(estimates);
        let after_report = self::point_costs(&outlook, &outlook.points(0), price, costs);
        // Where waiting is ruled out, its cost is not needed.
        let may_wait = |cost: &PointCosts| cost.clock_ms + cost.lasts_ms <= latest_ms;
        for (cost, point) in point_costs.iter_mut().zip(&points).filter(|(cost, _)| may_wait(cost)) {
            let middle_ms = point.clock_ms + point.lasts_ms as u32 / 2;
            cost.wait += point.reported * cost_after_report(&after_report, middle_ms, costs);
        }
    }
    // A person who asks again is present at that moment.
    let scale = if resent.is_some() { 1.0 / share_present(began_ms).max(f64::MIN_POSITIVE) } else { 1.0 };
    let solution = solve_backwards(&point_costs, began_ms, scale, &outlook, costs);
    let now = points.first().copied().unwrap_or_default();
    let next = match solution.call_at {
        Some(at) if at <= age_ms => Next::Call,
        Some(at) => Next::WakeAt(at),
        None => Next::Never,
    };
    let kind = match next {
        Next::Never => AdviceReason::Never,
        Next::Call if observer.resent_ms.is_some() => AdviceReason::Resend,
        Next::Call if solution.wait_cost == f64::INFINITY => AdviceReason::Max,
        Next::Call | Next::WakeAt(_) => AdviceReason::Hazard,
    };
    Advice {
        next,
        kind,
        age_ms,
        reported_ms_ago: reported.map(|at| age_ms - at),
        text: now.text,
        soon: now.soon,
        need: now.need,
        no_intent: now.no_intent,
        no_intent_gain: now.no_intent_gain,
        saves: outlook.saves * solution.present,
        call_cost: solution.call_cost,
        wait_cost: solution.wait_cost,
        samples: estimates.samples,
        evidence: estimates.evidence(if reported.is_some() { RouteTest::Conversion } else { RouteTest::FirstEvent }),
        is_route_unreliable: false,
        is_probe: false,
    }
}

/// Costs of one point, split by the share of people still present, which depends on when the stage began.
struct PointCosts {
    clock_ms: u32,
    lasts_ms: u32,
    /// Calling now: the part that does not depend on presence.
    call: f64,
    /// Calling now: the part per share of people present.
    call_if_present: f64,
    /// Waiting until the next point: the part that does not depend on presence, with everything after a report.
    wait: f64,
    /// Waiting until the next point: the part per share of people present.
    wait_if_present: f64,
    /// Probability of neither code nor report until then.
    stays: f64,
}

impl PointCosts {
    /// The cost of calling now, if this share of people is present.
    fn call_cost(&self, age_ms: u32, present: f64) -> f64 {
        if age_ms < prior::CALL_EARLIEST_MS { f64::INFINITY } else { self.call + self.call_if_present * present }
    }

    /// The cost of waiting, if this is the cost from the next point on.
    fn wait_cost(&self, present: f64, later: f64) -> f64 {
        self.wait + self.wait_if_present * present + self.stays * later
    }
}

fn point_costs(outlook: &Outlook<'_>, points: &[Point], price: f64, costs: &Costs) -> Vec<PointCosts> {
    let at_point = |point: &Point| PointCosts {
        clock_ms: point.clock_ms,
        lasts_ms: point.lasts_ms as u32,
        call: price * prior::BILLED_SHARE * (1.0 - point.rings).max(0.0)
            + costs.nuisance * (point.needless + point.no_intent)
            + costs.lost * (1.0 - point.text)
            + costs.wait * point.waits_called_ms,
        call_if_present: point.need * (costs.wait * f64::from(prior::CALL_MS) - costs.lost * outlook.saves),
        wait: costs.wait * point.waits_ms,
        wait_if_present: point.need * costs.wait * point.lasts_ms,
        stays: point.stays,
    };
    points.iter().map(at_point).collect()
}

/// The solved plan, seen from the first point.
struct Solution {
    call_cost: f64,
    wait_cost: f64,
    /// The smaller of both.
    cost: f64,
    /// The first age at which calling costs no more than waiting.
    call_at: Option<u32>,
    /// Share of people still present.
    present: f64,
}

/// Takes the cheaper option at each point, from the last to the first; people left at the end are lost.
fn solve_backwards(
    points: &[PointCosts],
    began_ms: u32,
    present_scale: f64,
    outlook: &Outlook<'_>,
    costs: &Costs,
) -> Solution {
    let lost = costs.lost;
    let mut solution = Solution { call_cost: lost, wait_cost: lost, cost: lost, call_at: None, present: 0.0 };
    for point in points.iter().rev() {
        let age_ms = began_ms + point.clock_ms;
        let present = (share_present(age_ms) * present_scale).min(1.0);
        solution.call_cost = point.call_cost(age_ms, present);
        let wait_cost = point.wait_cost(present, solution.cost);
        solution.wait_cost = if age_ms + point.lasts_ms > outlook.latest_ms { f64::INFINITY } else { wait_cost };
        solution.cost = solution.call_cost.min(solution.wait_cost);
        solution.present = present;
        if solution.call_cost <= solution.wait_cost {
            solution.call_at = Some(age_ms);
        }
    }
    solution
}

/// The cost of the best plan from a report at this age on. It may wait as long as it likes.
fn cost_after_report(points: &[PointCosts], reported_ms: u32, costs: &Costs) -> f64 {
    points.iter().rev().fold(costs.lost, |later, point| {
        let age_ms = reported_ms + point.clock_ms;
        let present = share_present(age_ms);
        point.call_cost(age_ms, present).min(point.wait_cost(present, later))
    })
}
