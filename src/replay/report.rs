//! What is written down of a replay: the decisions, the figures as JSON, and several policies side by side.

use std::fmt::Write;

use super::clock::Call;
use super::metrics::Summary;
use super::trace::Trace;
use crate::replay::player::PlayReason;

/// One line per verification: when it was called, to the millisecond, and why.
pub fn decisions(trace: &Trace, calls: &[Option<Call>]) -> String {
    let mut text = String::from("id,escalate_at_s,reason\n");
    for (row, call) in trace.rows.iter().zip(calls) {
        // Writing to a String does not fail.
        let _ = match call {
            Some(Call { age_ms, reason }) => {
                writeln!(text, "{},{}.{:03},{}", row.id, age_ms / 1000, age_ms % 1000, word(*reason))
            }
            None => writeln!(text, "{},never,never", row.id),
        };
    }
    text
}

fn word(reason: PlayReason) -> &'static str {
    match reason {
        PlayReason::Hazard => "hazard",
        PlayReason::Failed => "failed",
        PlayReason::Resend => "resend",
        PlayReason::Max => "max",
    }
}

/// One object for one policy, an array for several.
pub fn json(summaries: &[Summary]) -> serde_json::Result<String> {
    match summaries {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    }
}

/// A column's name, its figure, and how many decimals of it are worth reading.
type Figure = (&'static str, fn(&Summary) -> f64, usize);

const FIGURES: [Figure; 8] = [
    ("verified_pct", |s| s.verified_pct, 2),
    ("c_med", |s| s.c_med, 2),
    ("c_p90", |s| s.c_p90, 2),
    ("calls_k", |s| s.calls_k, 1),
    ("wasted_k", |s| s.wasted_k, 1),
    ("unwanted_k", |s| s.unwanted_k, 1),
    ("ctrl_pv", |s| s.ctrl_pv, 4),
    ("cost_pv", |s| s.cost_pv, 4),
];

/// A line per policy.
pub fn table(trace: &Trace, summaries: &[Summary]) -> String {
    let widest = summaries.iter().map(|summary| summary.policy.len()).chain([6]).max().unwrap_or_default();
    let mut text = format!("{}\n\n{:widest$}", about(trace), "policy");
    for (name, ..) in FIGURES {
        let _ = write!(text, "  {name:>7}");
    }
    for summary in summaries {
        let _ = write!(text, "\n{:widest$}", summary.policy);
        for (name, figure, decimals) in FIGURES {
            let width = name.len().max(7);
            let figure = figure(summary);
            let figure = if figure.is_nan() { "-".to_owned() } else { format!("{figure:.decimals$}") };
            let _ = write!(text, "  {figure:>width$}");
        }
    }
    text.push_str(
        "\n\nc: seconds until the code was in hand, 600 for who never had it; _k: of 1000 verifications;\n\
         _pv: USD per verified person, ctrl without the first text.",
    );
    text
}

fn about(trace: &Trace) -> String {
    let mut routes: Vec<_> = trace.rows.iter().map(|row| (row.cc, row.route)).collect();
    routes.sort_unstable();
    routes.dedup();
    let span_ms = match (trace.rows.first(), trace.rows.last()) {
        (Some(first), Some(last)) => last.t0_ms - first.t0_ms,
        _ => 0,
    };
    let hours = span_ms / 3_600_000;
    format!("{} verifications on {} routes in {hours} hours", trace.rows.len(), routes.len())
}
