//! The command line: parses arguments, runs one command, and reports why it failed.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use phlo_2fa::doctor::UnhealthyDeployment;
use phlo_2fa::export::{self, ExportOptions};
use phlo_2fa::http;
use phlo_2fa::replay::{self, PlayedPolicy, ReplayOptions, TraceSource};
use phlo_2fa::time::Timestamp;

use cli::doctor::DoctorArgs;
use cli::local_plivo::LocalPlivoArgs;
use cli::output::{print_error, print_line, print_with_notes};

/// Phone verification through Plivo that decides by itself when a call should read the code out.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service (the default).
    Serve,
    /// Run everything in one process: embedded store, local Plivo, and a page with a simulated phone.
    Demo(LocalPlivoArgs),
    /// Run the local Plivo alone.
    SimulatePlivo(LocalPlivoArgs),
    /// Play recorded or generated verifications under other escalation policies: a table, a plot, every decision.
    Replay(Replay),
    /// Write the service's finished verifications as a trace for replay, without numbers, ids, codes, apps or metadata.
    Export(Export),
    /// Check settings, Redis, Plivo, the PHLO, the public URL and signatures, and show a remedy for each fault.
    Doctor(DoctorArgs),
    /// Print the OpenAPI document.
    Openapi,
    /// Exit with 0 when the service on BIND is ready.
    Health,
}

#[derive(Args)]
struct Replay {
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

#[derive(Args)]
struct Export {
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

fn main() -> ExitCode {
    // A missing .env file is normal; an unreadable one is reported.
    let unreadable = dotenvy::dotenv().err().filter(|e| !e.not_found());
    let ran = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from).and_then(
        |runtime| {
            let ran = runtime.block_on(run(Cli::parse(), unreadable.is_some()));
            runtime.shutdown_timeout(Duration::from_millis(200));
            ran
        },
    );
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        // doctor has printed its findings.
        Err(error) if error.is::<UnhealthyDeployment>() => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli, is_env_file_unreadable: bool) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => cli::serve::run(is_env_file_unreadable).await,
        Command::Demo(args) => cli::local_plivo::demo(args).await,
        Command::SimulatePlivo(args) => cli::local_plivo::simulate(args).await,
        Command::Replay(asked) => replay(asked),
        Command::Export(asked) => export(asked).await,
        Command::Doctor(args) => cli::doctor::run(&args, is_env_file_unreadable).await,
        Command::Openapi => {
            print_line(&http::openapi::document().to_pretty_json()?);
            Ok(())
        }
        Command::Health => cli::health::run().await,
    }
}

/// Reads no setting: a trace and a policy are all that counts.
fn replay(asked: Replay) -> anyhow::Result<()> {
    let source = match asked.trace {
        Some(path) => TraceSource::File(path),
        None => TraceSource::Generated { seed: asked.seed, rows: asked.rows.try_into()? },
    };
    let Replay { policy: policies, out, summary, plot, .. } = asked;
    let output = replay::run(&ReplayOptions { source, policies, out, summary, plot })?;
    print_with_notes(&format!("{}\n", output.text), &output.notes)
}

/// Writes only after every page was read, so that a file is never partial.
async fn export(asked: Export) -> anyhow::Result<()> {
    let Export { out, app, since, until } = asked;
    let exported = export::run(cli::env(), &ExportOptions { app, since, until }).await?;
    match out {
        Some(path) => {
            std::fs::write(&path, &exported.csv).with_context(|| format!("{} cannot be written", path.display()))?;
            print_with_notes("", &exported.notes)
        }
        None => print_with_notes(&exported.csv, &exported.notes),
    }
}
