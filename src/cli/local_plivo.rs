//! `demo` and `simulate-plivo`: the two commands with a local Plivo.

use std::net::TcpListener;

use anyhow::Context;
use clap::Args;
use phlo_2fa::app::{Application, Options};
use phlo_2fa::config::{Config, SimulatorConfig, local_url};
use phlo_2fa::sandbox::{Flow, Sandbox, SandboxConfig};
use phlo_2fa::telemetry::{self, LogWriter};
use secrecy::{ExposeSecret, SecretString};
use tracing::warn;

use super::env;
use super::env_file::EnvFile;
use super::output::print_line;
use super::process::{listen, stop_signals};

/// Options of the local Plivo.
#[derive(Args)]
pub struct LocalPlivoArgs {
    /// Speed of the local Plivo's time, 0.1 to 1000; the service's clock is not affected.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Seed for numbers that select no scenario.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave UUIDs out of the answer to a PHLO run; only the record of the run then has them.
    #[arg(long)]
    terse_runs: bool,
}

impl LocalPlivoArgs {
    fn sandbox(
        &self,
        auth_id: String,
        auth_tokens: &[SecretString],
        public_url: String,
        callback_secrets: &[SecretString],
    ) -> anyhow::Result<Sandbox> {
        let config = SandboxConfig {
            auth_id,
            auth_token: auth_tokens.first().cloned().context("PLIVO_AUTH_TOKEN is empty")?,
            public_url,
            callback_secret: callback_secrets.first().cloned(),
            speed: self.speed,
            seed: self.seed,
            terse_runs: self.terse_runs,
        };
        Ok(Sandbox::new(config, Flow::two_factor()?)?)
    }
}

/// Runs the service, and a local Plivo unless another Plivo is configured, until a signal stops them.
pub async fn demo(args: LocalPlivoArgs, env_file: EnvFile, log: &mut Option<LogWriter>) -> anyhow::Result<()> {
    let mut config = Config::demo(env())?;
    *log = Some(telemetry::init(config.log_format));
    env_file.log();
    let (stopped, hurried) = stop_signals();
    let listener = listen(config.bind)?;
    if config.bind.port() == 0 && config.public_url == local_url(config.bind) {
        config.public_url = local_url(listener.local_addr()?);
    }
    let mut options = Options::default();
    let mut plivo = None;
    if config.plivo_embedded {
        // Another port when the usual one is taken, so that two demos can run at once.
        let plivo_listener = TcpListener::bind("127.0.0.1:8081").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
        let origin = local_url(plivo_listener.local_addr()?);
        (config.plivo_api_url, config.plivo_phlo_url) = (origin.clone(), origin);
        let (id, public_url) = (config.plivo_auth_id.clone(), config.public_url.clone());
        let sandbox = args.sandbox(id, &config.plivo_auth_tokens, public_url, &config.callback_secrets)?;
        let server = sandbox.serve(plivo_listener)?;
        plivo = Some((server.handle(), tokio::spawn(server)));
        options.sandbox = Some(sandbox);
    }
    for warning in config.warnings() {
        warn!(event = "setting", "{warning}");
    }
    let has_page = options.sandbox.is_some();
    let app = Application::start(&config, listener, options)?;
    print_line(&welcome(&config, &local_url(app.address()), has_page));
    let ran = app.run_until(stopped, hurried).await;
    if let Some((handle, _)) = plivo {
        handle.stop(true).await;
    }
    ran
}

/// The URLs of a demo, and a command to try. It shows the API secret, which only this demo accepts.
fn welcome(config: &Config, url: &str, has_page: bool) -> String {
    let secret = config.api_keys.last().map_or("", |key| key.secret.expose_secret());
    let page = if has_page { format!("\n  The demo       {url}/demo") } else { String::new() };
    let phone = if has_page { format!("\n  curl -s {url}/handset/14155550101") } else { String::new() };
    // It listens on this machine's own address even if the service does not: in a container only the container reaches it.
    let inside = if has_page && !config.bind.ip().is_loopback() { "  (inside)" } else { "" };
    format!(
        "{page}\n  API reference  {url}/docs/\n  Plivo          {}{inside}\n\n  Try it:\n  \
         curl -s {url}/v1/verifications -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \
         -d '{{\"to\":\"+14155550101\"}}'{phone}\n",
        config.plivo_phlo_url,
    )
}

/// Runs the local Plivo alone until a signal stops it.
pub async fn simulate(args: LocalPlivoArgs, env_file: EnvFile, log: &mut Option<LogWriter>) -> anyhow::Result<()> {
    let config = SimulatorConfig::read(env())?;
    *log = Some(telemetry::init(config.log_format));
    env_file.log();
    let (stopped, _) = stop_signals();
    let listener = listen(config.bind)?;
    let url = local_url(listener.local_addr()?);
    let sandbox = args.sandbox(config.auth_id, &config.auth_tokens, config.public_url, &config.callback_secrets)?;
    let server = sandbox.serve(listener)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    print_line(&format!("The local Plivo listens on {url}. Set PLIVO_API_URL and PLIVO_PHLO_URL to this URL."));
    stopped.await;
    sandbox.close_streams();
    handle.stop(true).await;
    serving.await??;
    Ok(())
}
