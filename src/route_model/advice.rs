//! What the planner is given and what it answers: [`Costs`], [`Advice`] and its stored form [`AdviceSummary`].

use serde::{Deserialize, Serialize};

use super::evidence::RouteEvidence;
use crate::phone::Carrier;

/// How readily the adaptive policy pays for a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostPreset {
    /// `adaptive:thrifty`: fewer calls.
    Thrifty,
    /// `adaptive`, `adaptive:balanced`.
    #[default]
    Balanced,
    /// `adaptive:eager`: earlier calls.
    Eager,
}

/// What each outcome costs the operator, in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// An answered call; `None` means Plivo's price for the route.
    pub call: Option<f64>,
    /// A millisecond that a person waits without a code.
    pub wait: f64,
    /// A person who wanted to verify and could not.
    pub lost: f64,
    /// A call to a person who did not need it.
    pub nuisance: f64,
}

impl Costs {
    /// Ten seconds cost a cent, a lost person fifty, a needless call five.
    pub const BALANCED: Self = Self { call: None, wait: 1.0, lost: 500_000.0, nuisance: 50_000.0 };
    /// Waiting costs less than in [`BALANCED`](Self::BALANCED), a needless call more.
    pub const THRIFTY: Self = Self { call: None, wait: 0.5, lost: 250_000.0, nuisance: 80_000.0 };
    /// Waiting costs more than in [`BALANCED`](Self::BALANCED), a needless call less.
    pub const EAGER: Self = Self { call: None, wait: 2.0, lost: 1_000_000.0, nuisance: 20_000.0 };

    /// The costs of a preset.
    pub fn of(preset: CostPreset) -> Self {
        match preset {
            CostPreset::Thrifty => Self::THRIFTY,
            CostPreset::Balanced => Self::BALANCED,
            CostPreset::Eager => Self::EAGER,
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Place the call.
    Call,
    /// Ask again at this age, or at the next event.
    WakeAt(u32),
    /// Place no call unless another event comes.
    Never,
}

/// Why the advice is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdviceReason {
    /// The expected costs of calling and of waiting decided.
    #[default]
    Hazard,
    /// The text is known to be lost.
    Failed,
    /// The person asked for another text and still has no code.
    Resend,
    /// The longest wait is over.
    Max,
    /// A call would never cost less than waiting.
    Never,
}

/// The planner's answer, with the figures that explain it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advice {
    /// What to do.
    pub next: Next,
    /// Why.
    pub kind: AdviceReason,
    /// Age of the verification.
    pub age_ms: u32,
    /// Time since the delivery report.
    pub reported_ms_ago: Option<u32>,
    /// Probability that the text brings the code in the end.
    pub text: f64,
    /// Probability that the text brings the code within 10 s.
    pub soon: f64,
    /// Probability that the person wants the code and the text will not bring it.
    pub need: f64,
    /// Probability that the person never enters a code.
    pub no_intent: f64,
    /// `no_intent` relative to its value when the text was sent.
    pub no_intent_gain: f64,
    /// Share of the people in need whom a call placed now reaches.
    pub saves: f64,
    /// Expected cost of calling now, in micro-dollars; infinite where a call is not allowed yet.
    pub call_cost: f64,
    /// Expected cost of waiting, in micro-dollars; infinite after the longest wait.
    pub wait_cost: f64,
    /// Verifications behind the estimates: world, country, the app's on the route.
    pub samples: [f32; 3],
    /// The texts behind the doubt about the route.
    pub evidence: RouteEvidence,
    /// Whether the built-in prior alone would still wait.
    pub is_route_unreliable: bool,
    /// Whether this verification waits longer than planned, to observe late texts.
    pub is_probe: bool,
}

/// An [`Advice`] as the timeline stores it, in whole numbers.
///
/// Shares are in thousandths and money in micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdviceSummary {
    /// Why.
    #[serde(default)]
    pub kind: AdviceReason,
    /// Age of the verification.
    pub age_ms: u32,
    /// Time since the delivery report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_ms_ago: Option<u32>,
    /// Probability that the text brings the code in the end.
    pub text: u16,
    /// Probability that the text brings the code within 10 s.
    pub soon: u16,
    /// Probability that the person wants the code and the text will not bring it.
    pub need: u16,
    /// Expected cost of calling; `None` where a call was not allowed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_cost_u: Option<u64>,
    /// Expected cost of waiting; `None` after the longest wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_cost_u: Option<u64>,
    /// Verifications behind the estimates: world, country, the app's on the route.
    pub samples: [u32; 3],
    /// Whether the verification waited longer than planned, to observe late texts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_probe: bool,
    /// The network, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Carrier>,
    /// The texts behind the doubt about the route, where the call came earlier than on a route without history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<RouteEvidence>,
}

impl AdviceSummary {
    /// Rounds an advice about a number of this network.
    pub fn of(advice: &Advice, carrier: Option<Carrier>) -> Self {
        let share = |p: f64| (p.clamp(0.0, 1.0) * 1000.0).round() as u16;
        let money = |u: f64| u.is_finite().then(|| u.max(0.0).round() as u64);
        Self {
            kind: advice.kind,
            age_ms: advice.age_ms,
            reported_ms_ago: advice.reported_ms_ago,
            text: share(advice.text),
            soon: share(advice.soon),
            need: share(advice.need),
            call_cost_u: money(advice.call_cost),
            wait_cost_u: money(advice.wait_cost),
            samples: advice.samples.map(|n| n.round() as u32),
            is_probe: advice.is_probe,
            carrier,
            evidence: advice.is_route_unreliable.then_some(advice.evidence),
        }
    }
}
