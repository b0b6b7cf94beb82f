//! Decisions and routes in words, for people: a verification's timeline and `GET /v1/routes`. No numbers of phones
//! ever come here, and nothing is decided.

use std::fmt;

use super::adaptive::{Costs, Decision, Kind, Next, plan};
use super::estimates::Estimates;
use super::hazard::{Check, Curve};
use super::node::Node;
use super::stage::Stage;
use super::track::Track;

/// Says why a decision is what it is; `route` is how the route is called.
pub fn explain(decision: &Decision, route: &str) -> String {
    let age = seconds(decision.age_ms);
    let probe = if decision.is_probe { ", though only to see what would have come" } else { "" };
    let verb = match decision.next {
        Next::Call => format!("called at {age}"),
        Next::WakeAt(at) => format!("at {age} it was decided to wait until {}{probe}", seconds(at)),
        Next::Never => format!("at {age} it was decided not to call"),
    };
    let missing = match decision.reported_ms_ago {
        Some(ago) => format!("of the codes still missing {} after a report of delivery on {route}", seconds(ago)),
        None => format!("of the codes still missing at {age} on {route}"),
    };
    let wanted = (1.0 - decision.no_intent).max(f64::MIN_POSITIVE);
    let soon = percent((decision.soon / wanted).min(1.0));
    let (wait, call) = (cents(decision.wait_cost), cents(decision.call_cost));
    match decision.kind {
        Kind::Failed => format!("{verb}: the text is known to be lost"),
        Kind::Max => format!("{verb}: long enough without any news on {route}, whatever may be expected"),
        Kind::Resend => {
            format!(
                "{verb}: the person asked again and has nothing; waiting on would cost {wait} cents, calling {call}"
            )
        }
        Kind::Never => {
            let text = percent(decision.text);
            format!("{verb}: {missing}, {text} are still entered, and a call would reach few of the others")
        }
        Kind::Hazard if decision.next == Next::Call => {
            format!(
                "{verb}: {missing}, {soon} would have come within 10 s; waiting on would cost {wait} cents, calling {call}"
            )
        }
        Kind::Hazard => {
            let call = if decision.call_cost.is_finite() {
                format!("calling {call}")
            } else {
                "it is too early to call".to_owned()
            };
            format!("{verb}: {missing}, {soon} come within 10 s; waiting costs {wait} cents, {call}")
        }
    }
}

/// What has been learned of a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// On how many of its verifications this rests; old ones count less.
    pub verifications: f32,
    /// Texts that lead to the code being entered.
    pub conversion: f64,
    /// Texts that are reported as delivered.
    pub reported: f64,
    /// Texts reported as delivered whose code is entered.
    pub believed: f64,
    /// By this age there is news of half of all texts of which there ever is.
    pub news_ms: u32,
    /// When a call is placed if nothing is heard; `None` for never.
    pub call_ms: Option<u32>,
    /// Less news comes than used to.
    pub is_silent: bool,
    /// Fewer codes follow upon a report than used to.
    pub is_disbelieved: bool,
}

impl Standing {
    /// From a route's node and what is to be expected on it.
    pub fn new(route: Option<&Node>, estimates: &Estimates, call_price_u: u64, costs: &Costs) -> Self {
        let start = Stage::silent(estimates).points(0);
        let (verified, reported) = (estimates.hazard(Curve::Verified), estimates.hazard(Curve::Reported));
        let (mut open, mut all) = (1.0, 0.0);
        for (v, r) in verified.iter().zip(reported) {
            all += open * r;
            open *= (1.0 - v - r).max(0.0);
        }
        let doubts = |check| route.is_some_and(|node| node.doubt(check) > 0.9);
        Self {
            verifications: route.map_or(0.0, Node::starts),
            conversion: start.first().map_or(0.0, |point| point.text),
            reported: all,
            believed: estimates.believed(),
            news_ms: estimates.news_half_ms(),
            call_ms: match plan(estimates, &Track::default(), 0, call_price_u, costs).next {
                Next::Call => Some(0),
                Next::WakeAt(at) => Some(at),
                Next::Never => None,
            },
            is_silent: doubts(Check::News),
            is_disbelieved: doubts(Check::Belief),
        }
    }
}

/// One sentence or several.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verifications < 1.0 {
            return f.write_str("not used yet; what is assumed is its country's and the world's");
        }
        let (conversion, reported) = (percent(self.conversion), percent(self.reported));
        write!(f, "of {:.0} recent verifications: {conversion} of texts bring the code", self.verifications)?;
        write!(f, ", {reported} are reported as delivered, half of all news comes within {}", seconds(self.news_ms))?;
        if self.reported < 0.3 {
            f.write_str("; reports are missing")?;
        }
        if self.believed < 0.75 && self.reported >= 0.05 {
            write!(f, "; reports are not believed: the code is entered after {} of them", percent(self.believed))?;
        }
        if self.is_silent {
            f.write_str("; alarm: less news comes than used to")?;
        }
        if self.is_disbelieved {
            f.write_str("; alarm: fewer codes follow upon reports than used to")?;
        }
        match self.call_ms {
            Some(at) => write!(f, "; a silent text is given up after {}", seconds(at)),
            None => f.write_str("; no silent text is given up"),
        }
    }
}

fn seconds(ms: u32) -> String {
    format!("{} s", (f64::from(ms) / 1000.0).round())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn cents(micro_dollars: f64) -> String {
    format!("{:.1}", micro_dollars / 10_000.0)
}
