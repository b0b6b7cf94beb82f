//! The adaptive policy: call as soon as calling costs no more than waiting on.
//!
//! At every moment there are two prices: what is to be expected if the call is placed now, and what if we wait until
//! the next bucket begins and then do whatever is best. Both follow from the route's own hazards ([`Estimates`]) by
//! reckoning backwards from the end of the verification's life. [`plan`] does that; it learns nothing, keeps nothing
//! and never looks at a clock. `docs/escalation.md` has the formulas in prose.

use serde::{Deserialize, Serialize};

use super::Mood;
use super::estimates::Estimates;
use super::hazard::Lesson;
use super::prior;
use super::stage::{Point, Stage, stays};
use super::track::Track;

/// What things are worth to the operator, in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A call that is taken; `None` is what Plivo asks for the route.
    pub call: Option<f64>,
    /// A millisecond in which a person has no code.
    pub wait: f64,
    /// A person who wanted to verify and could not.
    pub lost: f64,
    /// A call to somebody who did not need it.
    pub nuisance: f64,
}

impl Costs {
    /// A cent for ten seconds, fifty for a lost user, two for a needless call.
    pub const BALANCED: Self = Self { call: None, wait: 1.0, lost: 500_000.0, nuisance: 20_000.0 };
    /// Calls are dear, waiting is not.
    pub const THRIFTY: Self = Self { call: None, wait: 0.5, lost: 250_000.0, nuisance: 30_000.0 };
    /// What each mood thinks.
    pub fn of(mood: Mood) -> Self {
        match mood {
            Mood::Thrifty => Self::THRIFTY,
            Mood::Balanced => Self::BALANCED,
            Mood::Eager => Self::EAGER,
        }
    }

    /// Waiting is dear, calls are not.
    pub const EAGER: Self = Self { call: None, wait: 2.0, lost: 1_000_000.0, nuisance: 10_000.0 };
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Place the call.
    Call,
    /// Ask again at this age, or when something happens.
    WakeAt(u32),
    /// No call, unless something happens.
    Never,
}

/// Why it is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What may still come is not worth waiting for, or still is.
    #[default]
    Hazard,
    /// The text is known to be lost.
    Failed,
    /// The person asked again and is there.
    Resend,
    /// Long enough, whatever is expected.
    Max,
    /// Waiting costs nothing that a call could save.
    Never,
}

/// A decision and all that explains it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// What to do.
    pub next: Next,
    /// Why.
    pub kind: Kind,
    /// The verification's age.
    pub age_ms: u32,
    /// How long ago `delivered` was reported.
    pub reported_ms_ago: Option<u32>,
    /// The text still brings the code, sooner or later.
    pub text: f64,
    /// The text brings it within the next 10 seconds.
    pub soon: f64,
    /// The person wants the code and the text will not bring it.
    pub need: f64,
    /// Nobody will enter a code, whatever comes; and how many times as likely that is as among all texts.
    pub no_intent: f64,
    /// See [`no_intent`](Self::no_intent).
    pub no_intent_gain: f64,
    /// Who needs the code gets it from a call that is placed now.
    pub saves: f64,
    /// To be expected if the call is placed now, in micro-dollars.
    pub call_cost: f64,
    /// To be expected if it is not, in micro-dollars.
    pub wait_cost: f64,
    /// On how many verifications this rests: of the world, the country, the route.
    pub samples: [f32; 3],
    /// What has been learned of the route makes the call come earlier than it would have.
    pub is_route_unreliable: bool,
    /// It only waits to see what would have come.
    pub is_probe: bool,
}

/// Begins a verification: the plan decides whether it is a probe.
pub fn start(estimates: &Estimates, call_price_u: u64, costs: &Costs) -> (Track, Vec<Lesson>) {
    let planned = match plan(estimates, &Track::default(), 0, call_price_u, costs).next {
        Next::WakeAt(at) => Some(at),
        Next::Call => Some(0),
        Next::Never => None,
    };
    Track::start(estimates, planned)
}

/// What is best now, for a verification of this age.
pub fn plan(estimates: &Estimates, track: &Track, age_ms: u32, call_price_u: u64, costs: &Costs) -> Decision {
    let mut decision = best(estimates, track, age_ms, call_price_u, costs);
    if decision.next == Next::Call && decision.kind == Kind::Hazard {
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
pub fn failed(estimates: &Estimates, track: &Track, age_ms: u32, call_price_u: u64, costs: &Costs) -> Decision {
    Decision { next: Next::Call, kind: Kind::Failed, ..best(estimates, track, age_ms, call_price_u, costs) }
}

fn best(estimates: &Estimates, track: &Track, age_ms: u32, call_price_u: u64, costs: &Costs) -> Decision {
    let price = costs.call.unwrap_or(call_price_u as f64);
    let reported = track.reported_ms.filter(|at| *at <= age_ms);
    let resent = track.resent_ms.filter(|at| *at <= age_ms);
    let (stage, began_ms) = match (resent, reported) {
        (Some(at), _) => (Stage::resent(estimates), at),
        (None, Some(at)) => (Stage::reported(estimates), at),
        (None, None) => (Stage::silent(estimates), 0),
    };
    let points = stage.points(age_ms - began_ms);
    let mut priced = priced(&stage, &points, price, costs);
    if resent.is_none() && reported.is_none() {
        // A report of delivery may come in any part, and then everything is reckoned from there.
        let stage = Stage::reported(estimates);
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
        Next::Never => Kind::Never,
        Next::Call if track.resent_ms.is_some() => Kind::Resend,
        Next::Call if solved.wait_cost == f64::INFINITY => Kind::Max,
        Next::Call | Next::WakeAt(_) => Kind::Hazard,
    };
    Decision {
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

fn priced(stage: &Stage<'_>, points: &[Point], price: f64, costs: &Costs) -> Vec<Priced> {
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
fn backwards(points: &[Priced], began_ms: u32, there: f64, stage: &Stage<'_>, costs: &Costs) -> Solved {
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
