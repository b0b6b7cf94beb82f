//! What a replay writes: the decisions, the figures as JSON, and several policies side by side.

use std::fmt::Write;
use std::io;

use super::figures::PolicyFigures;
use super::playback::PlayedCall;
use super::trace::Trace;

/// Writes one line per verification: when it was called, to the millisecond, and why.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_decisions(out: impl io::Write, trace: &Trace, calls: &[Option<PlayedCall>]) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["id", "escalate_at_s", "reason"])?;
    for (row, call) in trace.rows.iter().zip(calls) {
        let (age, reason) = match call {
            Some(call) => (format!("{}.{:03}", call.age_ms / 1000, call.age_ms % 1000), call.reason.into()),
            None => ("never".to_owned(), "never"),
        };
        writer.write_record([row.id.to_string().as_str(), &age, reason])?;
    }
    Ok(writer.flush()?)
}

/// One object for one policy, an array for several.
///
/// # Errors
/// When the figures cannot be written as JSON.
pub fn json(policies: &[PolicyFigures]) -> serde_json::Result<String> {
    match policies {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    }
}

/// A column's name, its figure, and its decimals.
type Figure = (&'static str, fn(&PolicyFigures) -> f64, usize);

const FIGURES: [Figure; 8] = [
    ("verified_pct", |figures| figures.verified_pct, 2),
    ("c_med", |figures| figures.c_med, 2),
    ("c_p90", |figures| figures.c_p90, 2),
    ("calls_k", |figures| figures.calls_k, 1),
    ("wasted_k", |figures| figures.wasted_k, 1),
    ("unwanted_k", |figures| figures.unwanted_k, 1),
    ("ctrl_pv", |figures| figures.ctrl_pv, 4),
    ("cost_pv", |figures| figures.cost_pv, 4),
];

/// A table for people, one line per policy.
pub fn table(trace: &Trace, policies: &[PolicyFigures]) -> String {
    let widest = policies.iter().map(|figures| figures.policy.len()).chain([6]).max().unwrap_or_default();
    let mut text = format!("{}\n\n{:widest$}", about(trace), "policy");
    // Writing to a String does not fail.
    for (name, ..) in FIGURES {
        let _ = write!(text, "  {name:>7}");
    }
    for figures in policies {
        let _ = write!(text, "\n{:widest$}", figures.policy);
        for (name, figure, decimals) in FIGURES {
            let width = name.len().max(7);
            let figure = figure(figures);
            let figure = if figure.is_nan() { "-".to_owned() } else { format!("{figure:.decimals$}") };
            let _ = write!(text, "  {figure:>width$}");
        }
    }
    text.push_str(
        "\n\nc: seconds until the code was in hand, 600 for a user who never had it; _k: per 1000 verifications;\n\
         _pv: USD per verified user, ctrl without the first text.",
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
