//! `replay`: recorded or made-up verifications under another escalation policy, in virtual time.
//!
//! A trace says what happened to each verification and what would have happened otherwise. A policy is told the part
//! of it that a service would have heard, at the time it would have heard it, and says when to call; what follows
//! from that is arithmetic. So policies can be compared on the same people before one is trusted with real ones.
//! The format, the rules and every figure are in `docs/replay.md`.
//!
//! There is no network, no store, no clock, no setting and no chance that has no seed: the same trace and policy give
//! the same bytes. It does not touch the lifecycle of verifications: guards, quiet hours and repeated calls are not
//! played, only the one decision.
//!
//! Read `trace` and `outcome` for the rules, `clock` for what a policy sees, `policy` for the names.

pub mod adaptive;
pub mod book;
mod clock;
mod draw;
mod generate;
mod impute;
mod metrics;
mod neighbours;
mod outcome;
mod parse;
pub mod player;
mod plot;
mod policy;
mod reconstruct;
mod report;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};

use crate::escalation::Policy;
use crate::route_model::CostPreset;

pub use clock::{Call, play};
pub use generate::generate;
pub use metrics::{Outage, Summary};
pub use outcome::{Outcome, TTL_MS};
pub use parse::TraceError;
pub use plot::svg;
pub use policy::Named;
pub use report::{decisions, json, table};
pub use trace::{CallResult, NEVER, Report, Row, Trace};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is played.
    pub source: Source,
    /// Under which policies; none means a useful few, or the adaptive one alone when decisions are asked for.
    pub policies: Vec<Named>,
    /// Where the decisions of the one policy go.
    pub out: Option<PathBuf>,
    /// JSON instead of a table.
    pub summary: bool,
    /// Where the plot goes.
    pub plot: Option<PathBuf>,
}

/// Where verifications come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A trace.
    File(PathBuf),
    /// Made up.
    Generated {
        /// The same seed makes up the same.
        seed: u64,
        /// How many.
        rows: usize,
    },
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The table, or JSON.
    pub text: String,
    /// What a reader of the figures should know first.
    pub notes: Vec<String>,
}

/// Why nothing was replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The trace is not there, or not text.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// Of the trace.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The trace is not in the format.
    #[error("{}, {error}", path.display())]
    Trace {
        /// Of the trace.
        path: PathBuf,
        /// Which line, and why.
        error: TraceError,
    },
    /// Decisions of several policies have no place in one file.
    #[error("--out takes the decisions of one policy: name exactly one with --policy")]
    OneOut,
    /// A result could not be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// Of the result.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The figures could not be put into JSON.
    #[error("the summary cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Plays a trace under every policy asked for, and writes what was asked for.
pub fn run(options: &Options) -> Result<Said, ReplayError> {
    let policies = match (options.policies.as_slice(), &options.out) {
        ([], None) => Named::usual(),
        ([], Some(_)) => vec![Named(Policy::Adaptive(CostPreset::Balanced))],
        ([_, _, ..], Some(_)) => return Err(ReplayError::OneOut),
        (policies, _) => policies.to_vec(),
    };
    let mut players = Vec::new();
    for policy in policies {
        players.push((policy, policy.player()));
    }
    let trace = match &options.source {
        Source::File(path) => read(path)?,
        Source::Generated { seed, rows } => generate(*seed, *rows),
    };
    let mut summaries = Vec::new();
    for (policy, mut player) in players {
        let calls = play(&trace, player.as_mut());
        if let Some(path) = &options.out {
            write(path, &decisions(&trace, &calls))?;
        }
        let ages: Vec<Option<u64>> = calls.iter().map(|call| call.map(|call| call.age_ms)).collect();
        summaries.push(Summary::of(&policy.to_string(), &trace, &ages));
    }
    if let Some(path) = &options.plot {
        write(path, &svg(&summaries, &timers(&trace)))?;
    }
    let text = if options.summary { json(&summaries)? } else { table(&trace, &summaries) };
    Ok(Said { text, notes: trace.notes })
}

/// Set timers from 5 to 120 seconds. What they decide is known without playing.
fn timers(trace: &Trace) -> Vec<Summary> {
    let timer = |seconds: u64| {
        let calls = vec![Some(seconds * 1000); trace.rows.len()];
        Summary::of(&format!("fixed:{seconds}"), trace, &calls)
    };
    [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 75, 90, 120].map(timer).to_vec()
}

fn read(path: &Path) -> Result<Trace, ReplayError> {
    let text = fs::read_to_string(path).map_err(|error| ReplayError::Read { path: path.to_owned(), error })?;
    Trace::parse(&text).map_err(|error| ReplayError::Trace { path: path.to_owned(), error })
}

fn write(path: &Path, text: &str) -> Result<(), ReplayError> {
    fs::write(path, text).map_err(|error| ReplayError::Write { path: path.to_owned(), error })
}
