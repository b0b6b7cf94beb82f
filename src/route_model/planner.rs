//! The adaptive policy: call as soon as calling costs no more than waiting on.
//!
//! At every moment there are two prices: what is to be expected if the call is placed now, and what if we wait until
//! the next bucket begins and then do whatever is best. Both follow from the route's own hazards ([`Estimates`]) by
//! reckoning backwards from the end of the verification's life. [`plan`] does that; it learns nothing, keeps nothing
//! and never looks at a clock. `docs/escalation.md` has the formulas in prose.

use super::advice::{Advice, AdviceReason, Costs, Next};
use super::curves::Lesson;
use super::estimates::Estimates;
use super::observer::Observer;
use super::outlook::{Outlook, Point, stays};
use super::prior;

/// Begins a verification: the plan decides whether it is a probe.
pub fn start(estimates: &Estimates, call_price_u: u64, costs: &Costs) -> (Observer, Vec<Lesson>) {
    let planned = match plan(estimates, &Observer::default(), 0, call_price_u, costs).next {
        Next::WakeAt(at) => Some(at),
        Next::Call => Some(0),
        Next::Never => None,
    };
    Observer::start(estimates, planned)
}

/// What is best now, for a verification of this age.
pub fn plan(estimates: &Estimates, track: &Observer, age_ms: u32, call_price_u: u64, costs: &Costs) -> Advice {
    let mut decision = best(estimates, track, age_ms, call_price_u, costs);
    if decision.next == Next::Call && decision.kind == AdviceReason::Hazard {
        let unlearned = best(&Estimates::prior(), track, age_ms, call_price_u, costs);
        decision.is_route_unreliable = unlearned.next != Next::Call;
    }
    let waits = track.is_probe && track.reported_ms.is_none() && track.resent_ms.is_none();
    if waits && age_ms < prior::PROBE_MS {
        let planned = match decision.next {
            Next::Call | Next::Never => 0,
            Next::WakeAt(at) => at,
        };
        decision.next = Next::WakeAt(planned.max(prior::PROBE_MS));
        decision.is_probe = true;
    }
    decision
}

/// The text is known to be lost: call at once. The figures say what was expected until then.
pub fn failed(estimates: &Estimates, track: &Observer, age_ms: u32, call_price_u: u64, costs: &Costs) -> Advice {
    Advice { next: Next::Call, kind: AdviceReason::Failed, ..best(estimates, track, age_ms, call_price_u, costs) }
}

fn best(estimates: &Estimates, track: &Observer, age_ms: u32, call_price_u: u64, costs: &Costs) -> Advice {
    let price = costs.call.unwrap_or(call_price_u as f64);
    let reported = track.reported_ms.filter(|at| *at <= age_ms);
    let resent = track.resent_ms.filter(|at| *at <= age_ms);
    let (stage, began_ms) = match (resent, reported) {
        (Some(at), _) => (Outlook::resent(estimates), at),
        (None, Some(at)) => (Outlook::reported(estimates), at),
        (None, None) => (Outlook::silent(estimates), 0),
    };
    let points = stage.points(age_ms - began_ms);
    let mut priced = priced(&stage, &points, price, costs);
    if resent.is_none() && reported.is_none() {
        // A report of delivery may come in any part, and then everything is reckoned from there.
        let stage = Outlook::reported(estimates);
        let after = self::priced(&stage, &stage.points(0), price, costs);
        for (part, point) in priced.iter_mut().zip(&points) {
            let middle_ms = point.clock_ms + point.lasts_ms as u32 / 2;
            part.wait += point.reported * backwards(&after, middle_ms, 1.0, &stage, costs).cost;
        }
    }
    // Who asks again is there.
    let there = if resent.is_some() { 1.0 / stays(began_ms).max(f64::MIN_POSITIVE) } else { 1.0 };
    let solved = backwards(&priced, began_ms, there, &stage, costs);
    let now = points.first().copied().unwrap_or_default();
    let next = match solved.call_at {
        Some(at) if at <= age_ms => Next::Call,
        Some(at) => Next::WakeAt(at),
        None => Next::Never,
    };
    let kind = match next {
        Next::Never => AdviceReason::Never,
        Next::Call if track.resent_ms.is_some() => AdviceReason::Resend,
        Next::Call if solved.wait_cost == f64::INFINITY => AdviceReason::Max,
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
        saves: stage.saves * solved.there,
        call_cost: solved.call_cost,
        wait_cost: solved.wait_cost,
        samples: estimates.samples,
        is_route_unreliable: false,
        is_probe: false,
    }
}

/// What one point costs, apart from how many people are still there: that depends on when the stage began.
struct Priced {
    clock_ms: u32,
    lasts_ms: u32,
    /// If the call is placed: in any case, and times the share of people still there.
    call: f64,
    call_there: f64,
    /// If it is not, until the next point: in any case (a report of delivery and all that follows from it included),
    /// and times that share.
    wait: f64,
    wait_there: f64,
    /// Neither verified nor reported until then.
    stays: f64,
}

fn priced(stage: &Outlook<'_>, points: &[Point], price: f64, costs: &Costs) -> Vec<Priced> {
    let price = |point: &Point| Priced {
        clock_ms: point.clock_ms,
        lasts_ms: point.lasts_ms as u32,
        call: price * prior::BILLED * (1.0 - point.rings).max(0.0)
            + costs.nuisance * (point.needless + point.no_intent)
            + costs.lost * (1.0 - point.text)
            + costs.wait * point.waits_called_ms,
        call_there: point.need * (costs.wait * f64::from(prior::CALL_MS) - costs.lost * stage.saves),
        wait: costs.wait * point.waits_ms,
        wait_there: point.need * costs.wait * point.lasts_ms,
        stays: 1.0 - point.verified - point.reported,
    };
    points.iter().map(price).collect()
}

/// What comes of it at the first point.
struct Solved {
    call_cost: f64,
    wait_cost: f64,
    /// The smaller of both.
    cost: f64,
    call_at: Option<u32>,
    /// The share of people still there.
    there: f64,
}

/// From the last point to the first, the cheaper of calling and waiting. At the end whoever is left is lost.
fn backwards(points: &[Priced], began_ms: u32, there: f64, stage: &Outlook<'_>, costs: &Costs) -> Solved {
    let lost = costs.lost;
    let mut solved = Solved { call_cost: lost, wait_cost: lost, cost: lost, call_at: None, there: 0.0 };
    for point in points.iter().rev() {
        let age_ms = began_ms + point.clock_ms;
        let there = (stays(age_ms) * there).min(1.0);
        let call_cost = point.call + point.call_there * there;
        let wait_cost = point.wait + point.wait_there * there + point.stays * solved.cost;
        solved.call_cost = if age_ms < prior::CALL_EARLIEST_MS { f64::INFINITY } else { call_cost };
        solved.wait_cost = if age_ms + point.lasts_ms > stage.latest_ms { f64::INFINITY } else { wait_cost };
        solved.cost = solved.call_cost.min(solved.wait_cost);
        solved.there = there;
        if solved.call_cost <= solved.wait_cost {
            solved.call_at = Some(age_ms);
        }
    }
    solved
}
