//! The adaptive policy: call as soon as calling costs no more than waiting on.
//!
//! At every moment there are two prices: what is to be expected if the call is placed now, and what if we wait until
//! the next bucket begins and then do whatever is best. Both follow from the route's own hazards ([`Estimates`]) by
//! reckoning backwards from the end of the verification's life. [`plan`] does that; it learns nothing, keeps nothing
//! and never looks at a clock. `docs/escalation.md` has the formulas in prose.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What may still come is not worth waiting for, or still is.
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
    let solver = |began_ms, stays_from| Solver { price, costs, began_ms, stays_from };
    let reported = track.reported_ms.filter(|at| *at <= age_ms);
    let resent = track.resent_ms.filter(|at| *at <= age_ms);
    let solved = match (resent, reported) {
        (Some(at), _) => {
            let stage = Stage::resent(estimates);
            solver(at, stays(at)).backwards(&stage, &stage.points(age_ms - at), None)
        }
        (None, Some(at)) => {
            let stage = Stage::reported(estimates);
            solver(at, 1.0).backwards(&stage, &stage.points(age_ms - at), None)
        }
        (None, None) => {
            let (silent, reported) = (Stage::silent(estimates), Stage::reported(estimates));
            let (points, points_reported) = (silent.points(age_ms), reported.points(0));
            let middle = |point: &Point| point.clock_ms + point.lasts_ms as u32 / 2;
            let cost = |at| solver(at, 1.0).backwards(&reported, &points_reported, None).cost;
            let then: Vec<f64> = points.iter().map(|point| cost(middle(point))).collect();
            solver(0, 1.0).backwards(&silent, &points, Some(&then))
        }
    };
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
        text: solved.now.text,
        soon: solved.now.soon,
        need: solved.now.need,
        no_intent: solved.now.no_intent,
        no_intent_gain: solved.now.no_intent_gain,
        saves: solved.saves,
        call_cost: solved.call_cost,
        wait_cost: solved.wait_cost,
        samples: estimates.samples,
        is_route_unreliable: false,
        is_probe: false,
    }
}

/// Reckons backwards for a stage whose clock began at an age.
struct Solver<'a> {
    price: f64,
    costs: &'a Costs,
    began_ms: u32,
    /// The share of people who were there when the stage began, of those the stage is about.
    stays_from: f64,
}

/// What comes of it at the first point.
struct Solved {
    now: Point,
    /// Of those in need then, who gets the code from a call.
    saves: f64,
    call_cost: f64,
    wait_cost: f64,
    /// The smaller of both.
    cost: f64,
    call_at: Option<u32>,
}

impl Solver<'_> {
    /// From the last point to the first, the cheaper of calling and waiting; `then` is what a report of delivery
    /// within each part costs from there on.
    fn backwards(&self, stage: &Stage<'_>, points: &[Point], then: Option<&[f64]>) -> Solved {
        let c = self.costs;
        let mut solved = Solved {
            now: Point::default(),
            saves: 0.0,
            call_cost: c.lost,
            wait_cost: c.lost,
            cost: c.lost,
            call_at: None,
        };
        for (k, point) in points.iter().enumerate().rev() {
            let age_ms = self.began_ms + point.clock_ms;
            let stays = (stays(age_ms) / self.stays_from).min(1.0);
            let there = point.need * stays;
            let billed = prior::BILLED * (1.0 - point.rings).max(0.0);
            let call_cost = self.price * billed
                + c.nuisance * (point.needless + point.no_intent)
                + c.lost * (1.0 - point.text - stage.saves * there)
                + c.wait * (f64::from(prior::CALL_MS) * there + point.waits_called_ms);
            let reported = then.map_or(0.0, |then| point.reported * then[k]);
            let wait_cost = c.wait * (point.lasts_ms * there + point.waits_ms)
                + (1.0 - point.verified - point.reported) * solved.cost
                + reported;
            solved.now = *point;
            solved.saves = stage.saves * stays;
            solved.call_cost = if age_ms < prior::CALL_EARLIEST_MS { f64::INFINITY } else { call_cost };
            solved.wait_cost = if age_ms >= stage.latest_ms { f64::INFINITY } else { wait_cost };
            solved.cost = solved.call_cost.min(solved.wait_cost);
            if solved.call_cost <= solved.wait_cost {
                solved.call_at = Some(age_ms);
            }
        }
        solved
    }
}
