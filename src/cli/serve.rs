//! `serve`: runs the service.

use phlo_2fa::app::{Application, Options};
use phlo_2fa::config::Config;
use phlo_2fa::telemetry::{self, LogWriter};
use tracing::warn;

use super::env;
use super::env_file::EnvFile;
use super::process::{listen, reload_signal, stop_signal};

/// Runs the service until a signal stops it; SIGHUP reads the secrets again.
pub async fn run(env_file: EnvFile, log: &mut Option<LogWriter>) -> anyhow::Result<()> {
    let config = Config::serve(env())?;
    let (stopped, mut reloads) = (stop_signal(), reload_signal()?);
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
    app.run_until(stopped).await
}
