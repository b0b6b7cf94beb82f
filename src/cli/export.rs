//! `export`: writes finished verifications as a trace for `replay`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use phlo_2fa::export::{self, ExportOptions};
use phlo_2fa::time::Timestamp;

use super::env;
use super::output::print_with_notes;

/// Options of `export`.
#[derive(Args)]
pub struct ExportArgs {
    /// Write the trace to this file; the default is standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Export this app alone; the default is every app in API_KEYS and the legacy routes.
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Export verifications that began at this time (2026-11-24T09:30:00Z, or a date, in UTC) or later.
    #[arg(long, value_name = "TIME", value_parser = export::parse_time)]
    since: Option<Timestamp>,
    /// Export verifications that began before this time.
    #[arg(long, value_name = "TIME", value_parser = export::parse_time)]
    until: Option<Timestamp>,
}

/// Writes only after every page was read, so that a file is never partial.
pub async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let ExportArgs { out, app, since, until } = args;
    let exported = export::run(env(), &ExportOptions { app, since, until }).await?;
    match out {
        Some(path) => {
            std::fs::write(&path, &exported.csv).with_context(|| format!("{} cannot be written", path.display()))?;
            print_with_notes("", &exported.notes)
        }
        None => print_with_notes(&exported.csv, &exported.notes),
    }
}
