//! `serve`: runs the service.

use clap::Args;
use phlo_2fa::app::{Application, Options};
use phlo_2fa::config::{Config, ConfigErrors};
use phlo_2fa::telemetry::{self, LogWriter};
use tracing::warn;

use super::env;
use super::env_file::EnvFile;
use super::output::print_note;
use super::process::{listen, reload_signal, stop_signals};

/// Options of `serve`.
#[derive(Args, Default)]
pub struct ServeArgs {
    /// Print faults in the settings once and wait to be stopped, instead of exiting. For a supervisor that restarts at
    /// once, as Compose does.
    #[arg(long)]
    wait_for_settings: bool,
}

/// Runs the service until a signal stops it; SIGHUP reads the secrets again.
pub async fn run(args: &ServeArgs, env_file: EnvFile, log: &mut Option<LogWriter>) -> anyhow::Result<()> {
    let config = match Config::serve(env()) {
        Err(faults) if args.wait_for_settings => return wait(&faults).await,
        config => config?,
    };
    let ((stopped, hurried), mut reloads) = (stop_signals(), reload_signal()?);
    *log = Some(telemetry::init(config.log_format));
    for warning in config.warnings() {
        warn!(event = "setting", "{warning}");
    }
    env_file.log();
    let app = Application::start(&config, listen(config.bind)?, Options::default())?;
    let mut secrets = app.secrets(config);
    tokio::spawn(async move {
        while reloads.recv().await.is_some() {
            tokio::task::block_in_place(|| secrets.reload(env()));
        }
    });
    app.run_until(stopped, hurried).await
}

/// Lists the faults and waits for a signal. Nothing listens, so health checks fail.
async fn wait(faults: &ConfigErrors) -> anyhow::Result<()> {
    let (stopped, _) = stop_signals();
    print_note(&format!("{faults}\n\nThe service does not run. Add these lines to its settings, and start it again."));
    stopped.await;
    Ok(())
}
