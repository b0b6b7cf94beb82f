//! `replay`: recorded or generated verifications under another escalation policy, in virtual time.
//!
//! A trace says what happened to each verification and what would have happened otherwise. A policy gets the events that
//! a service would have had, each at its time, and decides when to call; the rest is arithmetic. So policies can be
//! compared on the same users before one is trusted with real ones. `docs/replay.md` has the format, the rules and the
//! definition of every figure.
//!
//! There is no network, store, clock or setting, and every random draw has a seed: the same trace and policy give the
//! same bytes. Guards, quiet hours and repeated calls are not played, only the decision when to call.
//!
//! Start with `trace` and `outcome` for the rules, `playback` for what a policy sees, and `policy` for the names.

pub mod adaptive;
pub mod book;
mod columns;
mod draw;
mod evidence;
mod figures;
mod fit;
mod generate;
mod impute;
mod neighbours;
mod observed;
mod outcome;
mod output;
mod parse;
mod playback;
pub mod player;
mod plot;
mod policy;
mod reconstruct;
mod trace;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::escalation::Policy;
use crate::route_model::{CostPreset, Costs};
use crate::verification::CostOverrides;

pub use columns::TraceColumn;
pub use figures::{Outage, PolicyFigures};
pub use generate::generate;
pub use outcome::{PlayedOutcome, TTL_MS};
pub use output::{json, table, write_decisions};
pub use parse::TraceError;
pub use playback::{PlayedCall, play};
pub use plot::svg;
pub use policy::PlayedPolicy;
pub use trace::{CallResult, FinalReport, NEVER, Trace, TraceRow};

/// What to play, and where the results go.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Where the verifications come from.
    pub source: TraceSource,
    /// The policies to play. Empty means [`PlayedPolicy::usual`], or `adaptive` alone when `out` is set.
    pub policies: Vec<PlayedPolicy>,
    /// A file for the decisions of the one policy.
    pub out: Option<PathBuf>,
    /// Costs that replace those of every policy, and of the figures: without it, those of `adaptive`.
    pub costs: CostOverrides,
    /// Whether the output is JSON instead of a table.
    pub summary: bool,
    /// A file for the plot.
    pub plot: Option<PathBuf>,
}

/// Where verifications come from.
#[derive(Clone, Debug)]
pub enum TraceSource {
    /// A trace file.
    File(PathBuf),
    /// A generated day.
    Generated {
        /// The same seed gives the same day.
        seed: u64,
        /// The number of verifications.
        rows: usize,
    },
}

/// What a replay prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOutput {
    /// The table, or JSON.
    pub text: String,
    /// What was assumed of the trace.
    pub notes: Vec<String>,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The trace is missing or no text.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The trace.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The trace is not in the format.
    #[error("{}, {error}", path.display())]
    Trace {
        /// The trace.
        path: PathBuf,
        /// The line and the fault.
        error: TraceError,
    },
    /// Decisions of several policies were requested.
    #[error("--out takes the decisions of one policy: name exactly one with --policy")]
    OneOut,
    /// A result cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The figures cannot be written as JSON.
    #[error("the summary cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Plays a trace under each policy and writes the requested files.
///
/// # Errors
/// When the trace cannot be read, or a result cannot be written.
pub fn run(options: &ReplayOptions) -> Result<ReplayOutput, ReplayError> {
    let policies = match (options.policies.as_slice(), &options.out) {
        ([], None) => PlayedPolicy::usual(),
        ([], Some(_)) => vec![PlayedPolicy(Policy::Adaptive(CostPreset::Balanced))],
        ([_, _, ..], Some(_)) => return Err(ReplayError::OneOut),
        (policies, _) => policies.to_vec(),
    };
    let trace = match &options.source {
        TraceSource::File(path) => read(path)?,
        TraceSource::Generated { seed, rows } => generate(*seed, *rows),
    };
    let costs = options.costs.costs(CostPreset::Balanced);
    let mut figures = Vec::new();
    for policy in policies {
        let calls = play(&trace, policy.player(&options.costs).as_mut());
        if let Some(path) = &options.out {
            let written = File::create(path).and_then(|file| Ok(write_decisions(file, &trace, &calls)?));
            written.map_err(|error| ReplayError::Write { path: path.clone(), error })?;
        }
        let ages: Vec<Option<u64>> = calls.iter().map(|call| call.map(|call| call.age_ms)).collect();
        figures.push(PolicyFigures::of(&policy.to_string(), &trace, &ages, &costs));
    }
    if let Some(path) = &options.plot {
        let plot = svg(&figures, &set_timers(&trace, &costs));
        fs::write(path, plot).map_err(|error| ReplayError::Write { path: path.clone(), error })?;
    }
    let text = if options.summary { json(&figures)? } else { table(&trace, &figures) };
    Ok(ReplayOutput { text, notes: trace.notes })
}

/// The figures of set timers from 5 to 120 seconds, whose decisions are known without playing.
fn set_timers(trace: &Trace, costs: &Costs) -> Vec<PolicyFigures> {
    let timer = |seconds: u64| {
        let calls = vec![Some(seconds * 1000); trace.rows.len()];
        PolicyFigures::of(&format!("fixed:{seconds}"), trace, &calls, costs)
    };
    [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 90, 120].map(timer).to_vec()
}

fn read(path: &Path) -> Result<Trace, ReplayError> {
    let text = fs::read_to_string(path).map_err(|error| ReplayError::Read { path: path.to_owned(), error })?;
    Trace::parse(&text).map_err(|error| ReplayError::Trace { path: path.to_owned(), error })
}
