//! `replay`: plays verifications under other escalation policies.

use std::path::PathBuf;

use clap::Args;
use phlo_2fa::config::dollars;
use phlo_2fa::replay::{self, PlayedPolicy, ReplayOptions, TraceSource};
use phlo_2fa::verification::CostOverrides;

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
    /// A second without a code, in USD, for policies and figures alike. Without it: that of each preset; figures: 0.001.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    cost_wait: Option<f64>,
    /// A lost user, in USD. Figures without it: 0.50.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    cost_lost: Option<f64>,
    /// A needless call, in USD. Figures without it: 0.05.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    cost_nuisance: Option<f64>,
    /// An answered call, in USD. Without it: the price in the trace.
    #[arg(long, value_name = "USD", value_parser = dollars)]
    cost_call: Option<f64>,
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
    let costs = CostOverrides {
        call: args.cost_call.map(micro_dollars),
        wait: args.cost_wait.map(|a_second| micro_dollars(a_second) / 1e3),
        lost: args.cost_lost.map(micro_dollars),
        nuisance: args.cost_nuisance.map(micro_dollars),
    };
    let ReplayArgs { policy: policies, out, summary, plot, .. } = args;
    let output = replay::run(&ReplayOptions { source, policies, out, costs, summary, plot })?;
    print_with_notes(&format!("{}\n", output.text), &output.notes)
}

fn micro_dollars(dollars: f64) -> f64 {
    dollars * 1e6
}
