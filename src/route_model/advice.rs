//! What the planner is asked with and what it answers: [`Costs`] and [`Advice`].

use serde::{Deserialize, Serialize};

/// How soon the adaptive policy thinks a call worth its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostPreset {
    /// `adaptive:thrifty`: fewer calls.
    Thrifty,
    /// `adaptive`, `adaptive:balanced`.
    #[default]
    Balanced,
    /// `adaptive:eager`: sooner.
    Eager,
}

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
    pub fn of(mood: CostPreset) -> Self {
        match mood {
            CostPreset::Thrifty => Self::THRIFTY,
            CostPreset::Balanced => Self::BALANCED,
            CostPreset::Eager => Self::EAGER,
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
pub enum AdviceReason {
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
pub struct Advice {
    /// What to do.
    pub next: Next,
    /// Why.
    pub kind: AdviceReason,
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
