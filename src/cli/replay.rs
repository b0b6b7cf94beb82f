//! `replay`: plays verifications under other escalation policies.

use std::path::PathBuf;

use clap::Args;
use phlo_2fa::replay::{self, PlayedPolicy, ReplayOptions, TraceSource};

use super::output::print_with_notes;

/// Options of `replay`.
#[derive(Args)]
pub struct ReplayArgs {
    /// A trace in the format of docs/replay.md. Without it a day of verifications is generated.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// A policy as in ESCALATION; may be repeated: adaptive, adaptive:thrifty, adaptive:eager, fixed:SECONDS,
    /// fixed+fail:SECONDS, fail, never.
    #[arg(long, value_name = "POLICY")]
    policy: Vec<PlayedPolicy>,
    /// Write every decision of the one policy to this file: id,escalate_at_s,reason.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the figures as JSON: an object for one policy, an array for several.
    #[arg(long)]
    summary: bool,
    /// Draw cost against waiting, with the curve of set timers, as SVG to this file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Seed of the generated day.
    #[arg(long, default_value_t = 1, conflicts_with = "trace")]
    seed: u64,
    /// Number of generated verifications.
    #[arg(long, default_value_t = 20_000, conflicts_with = "trace", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    rows: u32,
}

/// Plays and prints; reads no setting, since the trace and the policies determine the result.
pub fn run(args: ReplayArgs) -> anyhow::Result<()> {
    let source = match args.trace {
        Some(path) => TraceSource::File(path),
        None => TraceSource::Generated { seed: args.seed, rows: args.rows.try_into()? },
    };
    let ReplayArgs { policy: policies, out, summary, plot, .. } = args;
    let output = replay::run(&ReplayOptions { source, policies, out, summary, plot })?;
    print_with_notes(&format!("{}\n", output.text), &output.notes)
}
