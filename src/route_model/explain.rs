//! Calls and routes in plain sentences, for the timeline and `GET /v1/routes`.
//!
//! No phone number comes here, and nothing is decided.

use std::fmt;

use super::advice::{AdviceReason, AdviceSummary, Costs, Next};
use super::curves::{Curve, RouteTest};
use super::estimates::Estimates;
use super::evidence::RouteEvidence;
use super::observer::Observer;
use super::outlook::Outlook;
use super::planner::plan;
use super::prior;
use super::stats::RouteStats;

/// Explains why a call was placed: the reason, the expected costs and the evidence.
///
/// "The call was placed after 16 s. Of the codes still missing at 16 s, 4 % were expected within 10 s and 33 % in all.
/// Waiting was expected to cost 0.9 cents, calling 0.8 cents. Based on 75 verifications on route 310-150, .."
pub fn explain(summary: &AdviceSummary) -> String {
    let age = seconds(summary.age_ms);
    let missing = match summary.reported_ms_ago {
        Some(ago) => format!("{} after the delivery report", seconds(ago)),
        None => format!("at {age}"),
    };
    // Shares of the codes, not of the texts: some people never enter any.
    let wanted = (summary.text + summary.need).max(1);
    let of_codes = |share: u16| percent(f64::from(share.min(wanted)) / f64::from(wanted));
    let why = match summary.kind {
        AdviceReason::Failed => {
            format!("The text was reported lost, so the call was placed at once, after {age}.")
        }
        AdviceReason::Max => format!("The call was placed after {age} without a code: the longest wait was over."),
        AdviceReason::Resend => {
            format!("The call was placed after {age}: the person had asked for another text and still had no code.")
        }
        AdviceReason::Hazard | AdviceReason::Never => format!(
            "The call was placed after {age}. Of the codes still missing {missing}, {} were expected within 10 s and \
             {} in all.",
            of_codes(summary.soon),
            of_codes(summary.text),
        ),
    };
    let costs = match (summary.wait_cost_u, summary.call_cost_u) {
        _ if summary.kind == AdviceReason::Failed => String::new(),
        (Some(wait), Some(call)) => {
            format!(" Waiting was expected to cost {} cents, calling {} cents.", cents(wait), cents(call))
        }
        (None, Some(call)) => format!(" Calling was expected to cost {} cents.", cents(call)),
        (Some(wait), None) => format!(" Waiting was expected to cost {} cents.", cents(wait)),
        (None, None) => String::new(),
    };
    let [world, country, route] = summary.samples;
    let evidence = match summary.carrier {
        Some(carrier) => format!("{} on route {carrier}, {country} in its country", verifications(route)),
        None => format!("{} in the country (the route is unknown)", verifications(country)),
    };
    let doubt = doubt(summary).map(|doubt| format!(" Texts on this route have been doing badly: {doubt}."));
    let doubt = doubt.unwrap_or_default();
    format!("{why}{costs}{doubt} Based on {evidence} and {world} in all.")
}

/// The evidence that texts on the route have been doing badly: how many, of how many, since when.
///
/// `None` if the call did not come early for that reason, or on fewer texts than the sentence needs.
pub fn doubt(summary: &AdviceSummary) -> Option<String> {
    let evidence = summary.evidence.filter(RouteEvidence::is_enough)?;
    let (kind, missing) = match summary.reported_ms_ago {
        Some(_) => ("texts reported as delivered", "no code"),
        None => ("texts", "neither a report nor a code"),
    };
    let RouteEvidence { missed, of, .. } = evidence;
    Some(format!("{missed} of {of} {kind} since {} had {missing} in the usual time", evidence.since()))
}

/// What has been learned of a route, in figures for an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteSummary {
    /// Verifications behind the figures; old ones count less.
    pub verifications: f32,
    /// Share of texts that lead to the code being entered.
    pub conversion: f64,
    /// Share of texts that are reported as delivered.
    pub reported: f64,
    /// Share of texts reported as delivered whose code is entered.
    pub converted_after_delivered: f64,
    /// Median time to the first event (report or code), among texts that ever have one.
    pub median_first_event_ms: u32,
    /// Age at which a silent text is followed by a call; `None` for never.
    pub call_after_ms: Option<u32>,
    /// Time from a delivery report to the call if no code comes; `None` for never.
    pub call_after_delivered_ms: Option<u32>,
    /// Whether fewer texts than usual have a report or a code.
    pub is_silent: bool,
    /// Whether fewer codes than usual follow delivery reports, which may therefore be faked.
    pub reports_suspect: bool,
    /// Whether calls for distrust of delivery reports are stopped, because they brought no codes.
    pub is_distrust_capped: bool,
}

/// Doubt above which a route raises an alarm.
const ALARM_DOUBT: f64 = 0.9;

impl RouteSummary {
    /// Combines a route's statistics with its estimates.
    pub fn new(route: Option<&RouteStats>, estimates: &Estimates, call_price_u: u64, costs: &Costs) -> Self {
        let start = Outlook::silent(estimates).points(0);
        let (verified, reported) = (estimates.hazard(Curve::Verified), estimates.hazard(Curve::Delivered));
        let (mut open, mut all_reported) = (1.0, 0.0);
        for (v, r) in verified.iter().zip(reported) {
            all_reported += open * r;
            open *= (1.0 - v - r).max(0.0);
        }
        let call_after = |observer: &Observer, age_ms| match plan(estimates, observer, age_ms, call_price_u, costs).next
        {
            Next::Call => Some(0),
            Next::WakeAt(at) => Some(at - age_ms),
            Next::Never => None,
        };
        let is_alarmed = |test| route.is_some_and(|stats| stats.doubt(test) > ALARM_DOUBT);
        // A text that is reported at the median, though not before a call is allowed.
        let reported_ms = estimates.median_first_event_ms().max(prior::CALL_EARLIEST_MS);
        let mut at_report = Observer::default();
        at_report.reported_ms = Some(reported_ms);
        Self {
            verifications: route.map_or(0.0, RouteStats::starts),
            conversion: start.first().map_or(0.0, |point| point.text),
            reported: all_reported,
            converted_after_delivered: estimates.converted_after_delivered(),
            median_first_event_ms: estimates.median_first_event_ms(),
            call_after_ms: call_after(&Observer::default(), 0),
            call_after_delivered_ms: call_after(&at_report, reported_ms),
            is_silent: is_alarmed(RouteTest::FirstEvent),
            reports_suspect: is_alarmed(RouteTest::Conversion),
            is_distrust_capped: estimates.is_distrust_capped,
        }
    }
}

/// Several sentences.
impl fmt::Display for RouteSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verifications < 1.0 {
            return f.write_str("Not used yet: the figures are those of its country and of all routes.");
        }
        write!(
            f,
            "Of the texts of {:.0} recent verifications, {} bring the code and {} are reported as delivered. Half of \
             all first events come within {}.",
            self.verifications,
            percent(self.conversion),
            percent(self.reported),
            seconds(self.median_first_event_ms)
        )?;
        if self.reported < 0.3 {
            f.write_str(" Delivery reports are missing.")?;
        }
        if self.converted_after_delivered < 0.75 && self.reported >= 0.05 {
            let unconverted = percent(1.0 - self.converted_after_delivered);
            write!(f, " The code of {unconverted} of the texts reported as delivered is never entered.")?;
        }
        if self.is_silent {
            f.write_str(" Alarm: fewer texts than usual have a report or a code.")?;
        }
        if self.reports_suspect {
            f.write_str(" Alarm: fewer codes than usual follow delivery reports.")?;
        }
        if self.is_distrust_capped {
            f.write_str(
                " Alarm: calls for distrust of delivery reports brought no codes, so they are stopped for now.",
            )?;
        }
        match self.call_after_ms {
            Some(at) => write!(f, " A silent text is followed by a call after {}", seconds(at))?,
            None => f.write_str(" A silent text is never followed by a call")?,
        }
        match self.call_after_delivered_ms {
            _ if self.reported < 0.05 => f.write_str("."),
            Some(0) => f.write_str(", a delivered one at once."),
            Some(after) => write!(f, ", a delivered one {} after its report.", seconds(after)),
            None => f.write_str(", a delivered one never."),
        }
    }
}

fn verifications(n: u32) -> String {
    format!("{n} {}", if n == 1 { "verification" } else { "verifications" })
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
