//! The command line: what to run, and why it stopped.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use phlo_2fa::app::{Application, Options};
use phlo_2fa::config::{Config, SimulatorConfig, local_url};
use phlo_2fa::doctor::{self, Finding, UnhealthyDeployment};
use phlo_2fa::export::{self, ExportOptions};
use phlo_2fa::replay::{self, PlayedPolicy, ReplayOptions, TraceSource};
use phlo_2fa::sandbox::{Flow, Sandbox, SandboxConfig};
use phlo_2fa::time::Timestamp;
use phlo_2fa::{http, telemetry};
use secrecy::ExposeSecret;
use socket2::{Domain, Socket, Type};
use tracing::warn;

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
    /// Run everything in one process: embedded store, local Plivo, a page with a handset.
    Demo(LocalPlivo),
    /// Run the local Plivo alone.
    SimulatePlivo(LocalPlivo),
    /// Play recorded or generated verifications under other escalation policies: a table, a plot, every decision.
    Replay(Replay),
    /// Write the service's finished verifications as a trace for replay, without numbers, ids, codes, apps or metadata.
    Export(Export),
    /// Look at settings, Redis, Plivo, the PHLO, the public URL and signatures; say how to mend each.
    Doctor(Checkup),
    /// Print the OpenAPI document.
    Openapi,
    /// Exit with 0 when the service on BIND is ready.
    Health,
}

#[derive(Args)]
struct LocalPlivo {
    /// How much faster the local Plivo's time runs, 0.1 to 1000. The service's clock is its own.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Decides what becomes of numbers that are no scenario.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Name nothing that was sent in what a PHLO run answers: its record alone does.
    #[arg(long)]
    terse_runs: bool,
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

#[derive(Args)]
struct Checkup {
    /// Also start the PHLO once with `mode` = `doctor`, which no branch of the documented flow takes, and the source
    /// number as its own destination, so that nobody is reached.
    #[arg(long)]
    run: bool,
    /// Also verify this number for real through the running service, by text, and report what comes back of it.
    #[arg(long, value_name = "+NUMBER")]
    send: Option<String>,
    /// For how many seconds at most it is watched.
    #[arg(long, default_value_t = 60, requires = "send")]
    watch: u64,
    /// Print one JSON array, for machines.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    // A file that is there and cannot be read is worth a word; none is not.
    let unread = dotenvy::dotenv().err().filter(|e| !e.not_found());
    let ran = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from).and_then(
        |runtime| {
            let ran = runtime.block_on(run(Cli::parse(), unread.is_some()));
            runtime.shutdown_timeout(Duration::from_millis(200));
            ran
        },
    );
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        // Its report has said so.
        Err(error) if error.is::<UnhealthyDeployment>() => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "logging may not be set up yet, and this is for a person")]
fn complain(error: &anyhow::Error) {
    eprintln!("{error:#}");
}

/// What was asked for. Whoever has read enough of it may close the pipe.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The environment, without what is not UTF-8.
fn env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

async fn run(cli: Cli, env_file_unread: bool) -> anyhow::Result<()> {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(env_file_unread).await,
        Command::Demo(local) => demo(local).await,
        Command::SimulatePlivo(local) => simulate(local).await,
        Command::Replay(asked) => replay(asked),
        Command::Export(asked) => export(asked).await,
        Command::Doctor(checkup) => doctor(&checkup, env_file_unread).await,
        Command::Openapi => {
            say(&http::openapi::document().to_pretty_json()?);
            Ok(())
        }
        Command::Health => health().await,
    }
}

async fn serve(env_file_unread: bool) -> anyhow::Result<()> {
    let config = Config::serve(env())?;
    let (stopped, mut reloads) = (signal(), reload_signal()?);
    telemetry::init(config.log_format);
    if env_file_unread {
        warn!("the .env file could not be read; see its syntax");
    }
    for warning in config.warnings() {
        warn!(event = "setting", "{warning}");
    }
    let app = Application::start(&config, listen(config.bind)?, Options::default())?;
    let mut secrets = app.secrets(config);
    tokio::spawn(async move {
        while reloads.recv().await.is_some() {
            tokio::task::block_in_place(|| secrets.reload(env()));
        }
    });
    app.run_until(stopped).await
}

async fn demo(local: LocalPlivo) -> anyhow::Result<()> {
    let mut config = Config::demo(env())?;
    telemetry::init(config.log_format);
    let stopped = signal();
    let listener = listen(config.bind)?;
    if config.bind.port() == 0 && config.public_url == local_url(config.bind) {
        config.public_url = local_url(listener.local_addr()?);
    }
    let mut options = Options::default();
    let mut plivo = None;
    if config.plivo_embedded {
        // Its usual port, or any: two demos may run side by side.
        let beside = TcpListener::bind("127.0.0.1:8081").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
        let origin = local_url(beside.local_addr()?);
        (config.plivo_api_url, config.plivo_phlo_url) = (origin.clone(), origin);
        let sandbox = Sandbox::new(
            SandboxConfig {
                auth_id: config.plivo_auth_id.clone(),
                auth_token: config.plivo_auth_tokens.first().cloned().context("PLIVO_AUTH_TOKEN is empty")?,
                public_url: config.public_url.clone(),
                callback_secret: config.callback_secrets.first().cloned(),
                speed: local.speed,
                seed: local.seed,
                terse_runs: local.terse_runs,
            },
            Flow::two_factor()?,
        )?;
        let server = sandbox.serve(beside)?;
        plivo = Some((server.handle(), tokio::spawn(server)));
        options.sandbox = Some(sandbox);
    }
    for warning in config.warnings() {
        warn!(event = "setting", "{warning}");
    }
    let has_page = options.sandbox.is_some();
    let app = Application::start(&config, listener, options)?;
    say(&welcome(&config, &local_url(app.address()), has_page));
    let ran = app.run_until(stopped).await;
    if let Some((handle, _)) = plivo {
        handle.stop(true).await;
    }
    ran
}

/// What a demo serves, and a line to try it with. Its secret is no secret: it is made for this moment.
fn welcome(config: &Config, url: &str, has_page: bool) -> String {
    let secret = config.api_keys.last().map_or("", |key| key.secret.expose_secret());
    let page = if has_page { format!("\n  The demo       {url}/demo") } else { String::new() };
    let phone = if has_page { format!("\n  curl -s {url}/handset/14155550101") } else { String::new() };
    format!(
        "{page}\n  API reference  {url}/docs/\n  Plivo          {}\n\n  Try it:\n  \
         curl -s {url}/v1/verifications -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \
         -d '{{\"to\":\"+14155550101\"}}'{phone}\n",
        config.plivo_phlo_url,
    )
}

async fn simulate(local: LocalPlivo) -> anyhow::Result<()> {
    let config = SimulatorConfig::read(env())?;
    telemetry::init(config.log_format);
    let stopped = signal();
    let listener = listen(config.bind)?;
    let url = local_url(listener.local_addr()?);
    let sandbox = Sandbox::new(
        SandboxConfig {
            auth_id: config.auth_id,
            auth_token: config.auth_tokens.first().cloned().context("PLIVO_AUTH_TOKEN is empty")?,
            public_url: config.public_url,
            callback_secret: config.callback_secrets.first().cloned(),
            speed: local.speed,
            seed: local.seed,
            terse_runs: local.terse_runs,
        },
        Flow::two_factor()?,
    )?;
    let server = sandbox.serve(listener)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    say(&format!("The local Plivo listens on {url}. Set PLIVO_API_URL and PLIVO_PHLO_URL to it."));
    stopped.await;
    sandbox.close_streams();
    handle.stop(true).await;
    serving.await??;
    Ok(())
}

fn replay(asked: Replay) -> anyhow::Result<()> {
    let source = match asked.trace {
        Some(path) => TraceSource::File(path),
        None => TraceSource::Generated { seed: asked.seed, rows: asked.rows.try_into()? },
    };
    let Replay { policy: policies, out, summary, plot, .. } = asked;
    let output = replay::run(&ReplayOptions { source, policies, out, summary, plot })?;
    say_with_notes(&format!("{}\n", output.text), &output.notes)
}

/// Writes only after every page was read, so that a file is never partial.
async fn export(asked: Export) -> anyhow::Result<()> {
    let Export { out, app, since, until } = asked;
    let exported = export::run(env(), &ExportOptions { app, since, until }).await?;
    match out {
        Some(path) => {
            std::fs::write(&path, &exported.csv).with_context(|| format!("{} cannot be written", path.display()))?;
            say_with_notes("", &exported.notes)
        }
        None => say_with_notes(&exported.csv, &exported.notes),
    }
}

fn say_with_notes(text: &str, notes: &[String]) -> anyhow::Result<()> {
    for note in notes {
        complain(&anyhow::anyhow!("note: {note}"));
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Fails when something is wrong; what is only worth a look is no failure.
async fn doctor(checkup: &Checkup, env_file_unread: bool) -> anyhow::Result<()> {
    if env_file_unread {
        complain(&anyhow::anyhow!("the .env file could not be read; see its syntax"));
    }
    let (run, send, watch) = (checkup.run, checkup.send.clone(), Duration::from_secs(checkup.watch));
    let mut findings: Vec<Finding> = Vec::new();
    let mut tell = |finding: &Finding| {
        if checkup.json { findings.push(finding.clone()) } else { say(&finding.to_string()) }
    };
    let summary = doctor::examine(env(), &doctor::DoctorOptions { run, send, watch }, &mut tell).await;
    say(&if checkup.json { serde_json::to_string_pretty(&findings)? } else { summary.to_string() });
    if summary.is_healthy() { Ok(()) } else { Err(UnhealthyDeployment(summary).into()) }
}

/// Asks the service on BIND, as a container's health check.
async fn health() -> anyhow::Result<()> {
    let bind: SocketAddr = std::env::var("BIND").ok().and_then(|bind| bind.parse().ok()).unwrap_or(DEFAULT_BIND);
    let url = format!("{}/readyz", local_url(bind));
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Plain HTTP to this machine: no roots are needed, and none are in the image.
    let client = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(2)).no_proxy().build()?;
    let status = client.get(&url).send().await.with_context(|| format!("{url} does not answer"))?.status();
    anyhow::ensure!(status.is_success(), "{url} answers {status}");
    Ok(())
}

const DEFAULT_BIND: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// How many connections may wait to be accepted. The standard library's 128 are overrun in a moment by callers that
/// all come at once, and then those who are left out do not even hear of it.
const BACKLOG: i32 = 1024;

fn listen(bind: SocketAddr) -> anyhow::Result<TcpListener> {
    let listening = || {
        let socket = Socket::new(Domain::for_address(bind), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&bind.into())?;
        socket.listen(BACKLOG)?;
        Ok::<_, std::io::Error>(socket.into())
    };
    listening().with_context(|| format!("BIND: cannot listen on {bind}, set another, such as 127.0.0.1:8090"))
}

/// Resolves on SIGTERM or Ctrl-C, which are heard from here on: a stop may come while the start is under way.
fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let heard = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let [terminated, interrupted] = heard.map(|heard| async {
            match heard {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        });
        tokio::select! {
            () = terminated => {}
            () = interrupted => {}
        }
    }
}

/// Hears of SIGHUP from here on; it no longer ends the process.
fn reload_signal() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
}
