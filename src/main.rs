//! The command line: parses arguments, runs one command, and reports why it failed.

mod cli;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use phlo_2fa::doctor::UnhealthyDeployment;
use phlo_2fa::http;
use phlo_2fa::telemetry::LogWriter;

use cli::doctor::DoctorArgs;
use cli::env_file::EnvFile;
use cli::export::ExportArgs;
use cli::init::InitArgs;
use cli::local_plivo::LocalPlivoArgs;
use cli::output::{print_error, print_line};
use cli::replay::ReplayArgs;
use cli::serve::ServeArgs;

/// A request makes hundreds of small allocations, and futures of some kilobytes, for which the system's allocator takes a
/// fifth of the service's time. It does not ask for transparent huge pages, with which it keeps half as much memory again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Phone verification through Plivo that decides by itself when a call should read the code out.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Write a complete .env with fresh secrets; ask for what only you know.
    Init(InitArgs),
    /// Run the service (the default).
    Serve(ServeArgs),
    /// Run everything in one process: embedded store, local Plivo, and a page with a simulated phone.
    Demo(LocalPlivoArgs),
    /// Run the local Plivo alone.
    SimulatePlivo(LocalPlivoArgs),
    /// Play recorded or generated verifications under other escalation policies: a table, a plot, every decision.
    Replay(ReplayArgs),
    /// Write the service's finished verifications as a trace for replay, without numbers, ids, codes, apps or metadata.
    Export(ExportArgs),
    /// Check settings, Redis, Plivo, the PHLO, the public URL and signatures, and show a remedy for each fault.
    Doctor(DoctorArgs),
    /// Print the OpenAPI document.
    Openapi {
        /// Of Plivo's callbacks, instead of the API.
        #[arg(long)]
        callbacks: bool,
    },
    /// Exit with 0 when the service on BIND is ready.
    Health,
}

fn main() -> ExitCode {
    let env_file = EnvFile::load();
    let mut log = None;
    let ran = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from).and_then(
        |runtime| {
            let ran = runtime.block_on(run(Cli::parse(), env_file, &mut log));
            runtime.shutdown_timeout(Duration::from_millis(200));
            ran
        },
    );
    // Before the error: the log explains it. A panic above drops it as well.
    drop(log);
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

/// Runs one command. A command that logs leaves the writer in `log`, which outlives the runtime and all that it runs.
async fn run(cli: Cli, env_file: EnvFile, log: &mut Option<LogWriter>) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Serve(ServeArgs::default())) {
        Command::Init(args) => cli::init::run(args).await,
        Command::Serve(args) => cli::serve::run(&args, env_file, log).await,
        Command::Demo(args) => cli::local_plivo::demo(args, env_file, log).await,
        Command::SimulatePlivo(args) => cli::local_plivo::simulate(args, env_file, log).await,
        Command::Replay(args) => cli::replay::run(args),
        Command::Export(args) => cli::export::run(args).await,
        Command::Doctor(args) => cli::doctor::run(&args, env_file).await,
        Command::Openapi { callbacks } => {
            let document = if callbacks { http::openapi::callbacks() } else { http::openapi::document() };
            print_line(&String::from_utf8_lossy(&http::openapi::text(&document)));
            Ok(())
        }
        Command::Health => cli::health::run().await,
    }
}
