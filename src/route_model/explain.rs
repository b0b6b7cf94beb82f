//! Calls and routes in words, for people: a verification's timeline and `GET /v1/routes`. No numbers of phones
//! ever come here, and nothing is decided.

use std::fmt;

use super::advice::{AdviceReason, Costs, Next};
use super::curves::{Check, Curve};
use super::estimates::Estimates;
use super::insight::Weighed;
use super::observer::Observer;
use super::outlook::Outlook;
use super::planner::plan;
use super::prior;
use super::stats::RouteStats;

/// Says why a call was placed: "Called at 16 s: of the codes still missing at 16 s on 310-150, 4 % would have come
/// within 10 s; waiting on would cost 0.9 cents, calling 0.8 (from 75 verifications there, ..)."
pub fn explain(w: &Weighed) -> String {
    let age = seconds(w.age_ms);
    let place = w.carrier.map_or_else(|| "networks like this".to_owned(), |carrier| carrier.to_string());
    let when = match w.reported_ms_ago {
        Some(ago) => format!("{} after a report of delivery", seconds(ago)),
        None => format!("at {age}"),
    };
    // Of the codes, not of the texts: some people never enter any.
    let wanted = (w.text + w.need).max(1);
    let of = |share: u16| percent(f64::from(share.min(wanted)) / f64::from(wanted));
    let costs = match (w.wait_cost_u, w.call_cost_u) {
        (Some(wait), Some(call)) => format!("waiting on would cost {} cents, calling {}", cents(wait), cents(call)),
        (None, Some(call)) => format!("calling costs {} cents", cents(call)),
        (Some(wait), None) => format!("waiting on would cost {} cents", cents(wait)),
        (None, None) => "there was no choice".to_owned(),
    };
    let why = match w.kind {
        AdviceReason::Failed => format!("the text is known to be lost, so nothing comes of waiting on {place}"),
        AdviceReason::Max => {
            format!("there was no news for {age} on {place}, and longer nothing is waited for; {costs}")
        }
        AdviceReason::Resend => format!("the person asked again and has nothing at {age} on {place}; {costs}"),
        AdviceReason::Hazard | AdviceReason::Never => format!(
            "of the codes still missing {when} on {place}, {} would have come within 10 s, {} at all; {costs}",
            of(w.soon),
            of(w.text),
        ),
    };
    let [world, country, route] = w.samples;
    format!("Called at {age}: {why} (from {route} verifications there, {country} in the country, {world} in all).")
}

/// What has been learned of a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteSummary {
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
    /// How long after a report of delivery a call is placed if no code comes; `None` for never.
    pub call_reported_ms: Option<u32>,
    /// Less news comes than used to.
    pub is_silent: bool,
    /// Fewer codes follow upon a report than used to.
    pub is_disbelieved: bool,
}

impl RouteSummary {
    /// From a route's node and what is to be expected on it.
    pub fn new(route: Option<&RouteStats>, estimates: &Estimates, call_price_u: u64, costs: &Costs) -> Self {
        let start = Outlook::silent(estimates).points(0);
        let (verified, reported) = (estimates.hazard(Curve::Verified), estimates.hazard(Curve::Delivered));
        let (mut open, mut all) = (1.0, 0.0);
        for (v, r) in verified.iter().zip(reported) {
            all += open * r;
            open *= (1.0 - v - r).max(0.0);
        }
        let call_ms = |track: &Observer, age_ms| match plan(estimates, track, age_ms, call_price_u, costs).next {
            Next::Call => Some(0),
            Next::WakeAt(at) => Some(at - age_ms),
            Next::Never => None,
        };
        let doubts = |check| route.is_some_and(|node| node.doubt(check) > 0.9);
        Self {
            verifications: route.map_or(0.0, RouteStats::starts),
            conversion: start.first().map_or(0.0, |point| point.text),
            reported: all,
            believed: estimates.believed(),
            news_ms: estimates.news_half_ms(),
            call_ms: call_ms(&Observer::default(), 0),
            // As for one that is reported when half of them are, not too early to be called.
            call_reported_ms: {
                let at = estimates.news_half_ms().max(prior::CALL_EARLIEST_MS);
                let mut track = Observer::default();
                track.reported_ms = Some(at);
                call_ms(&track, at)
            },
            is_silent: doubts(Check::FirstEvent),
            is_disbelieved: doubts(Check::Conversion),
        }
    }
}

/// One sentence or several.
impl fmt::Display for RouteSummary {
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
            let never = percent(1.0 - self.believed);
            write!(f, "; it reports delivery, but {never} of those never enter the code")?;
        }
        if self.is_silent {
            f.write_str("; alarm: less news comes than used to")?;
        }
        if self.is_disbelieved {
            f.write_str("; alarm: fewer codes follow upon reports than used to")?;
        }
        match self.call_ms {
            Some(at) => write!(f, "; a silent text is given up after {}", seconds(at))?,
            None => f.write_str("; no silent text is given up")?,
        }
        match self.call_reported_ms {
            _ if self.reported < 0.05 => Ok(()),
            Some(0) => f.write_str(", a reported one at once"),
            Some(after) => write!(f, ", a reported one {} after its report", seconds(after)),
            None => f.write_str(", a reported one never"),
        }
    }
}

fn seconds(ms: u32) -> String {
    format!("{} s", (f64::from(ms) / 1000.0).round())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn cents(micro_dollars: u64) -> String {
    format!("{:.1}", micro_dollars as f64 / 10_000.0)
}
