//! The servers that are measured, each started afresh for a round.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::Process;
use crate::redis_server::{RedisServer, free_port};
use crate::settings::Other;
use crate::wire::Wire;

pub const API_KEY: &str = "the-api-key-of-this-bench-0123456789";
/// The first argument with which this program becomes the minimal handler.
pub const MINIMAL: &str = "serve-minimal";

/// So wide that it refuses nothing, and is still counted.
const WIDE: &str = "1000000000/10m";
const LIMITS: [&str; 8] = [
    "LIMIT_NUMBER",
    "LIMIT_NUMBER_CALL",
    "LIMIT_PREFIX",
    "LIMIT_PREFIX_CALL",
    "LIMIT_COUNTRY",
    "LIMIT_IP",
    "LIMIT_APP",
    "LIMIT_TOTAL",
];
const START_MAX: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub enum Target {
    /// `benches/minimal`.
    Minimal,
    /// The service, with `RUST_LOG=warn`.
    Service,
    /// The service with its usual log, which is read and dropped.
    AsShipped,
    /// A server that runs already.
    Other(Other),
}

/// A target that answers.
pub struct Running {
    pub address: String,
    /// Its process, if it is known.
    pub process: Option<Process>,
    /// Its Redis, if the bench has started it.
    pub redis: Option<RedisServer>,
    /// From the start of its process to its first answer.
    pub started_in: Option<Duration>,
    child: Option<Child>,
}

impl Target {
    pub fn name(&self) -> &str {
        match self {
            Self::Minimal => "minimal",
            Self::Service => "service",
            Self::AsShipped => "as shipped",
            Self::Other(other) => &other.name,
        }
    }

    /// Starts the server and its Redis, and waits until it answers.
    pub fn start(&self, plivo_url: &str) -> Running {
        if let Self::Other(Other { address, pid, .. }) = self {
            let process = pid.map(Process);
            return Running { address: address.clone(), process, redis: None, started_in: None, child: None };
        }
        let (redis, address) = (RedisServer::start(), format!("127.0.0.1:{}", free_port()));
        let mut command = match self {
            Self::Minimal => minimal(&address, &redis.url(), plivo_url),
            _ => service(&address, &redis.url(), plivo_url),
        };
        if !matches!(self, Self::AsShipped) {
            command.env("RUST_LOG", "warn");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn().expect("the server starts");
        drain(child.stdout.take());
        drain(child.stderr.take());
        while !is_live(&address) {
            let ended = child.try_wait().expect("its state");
            assert!(ended.is_none() && start.elapsed() < START_MAX, "{} does not answer: {ended:?}", self.name());
            std::thread::sleep(Duration::from_millis(1));
        }
        let (process, started_in) = (Some(Process(child.id())), Some(start.elapsed()));
        Running { address, process, redis: Some(redis), started_in, child: Some(child) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// This program as the minimal handler.
fn minimal(address: &str, redis_url: &str, plivo_url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([MINIMAL, address, redis_url, plivo_url]);
    command
}

/// The service with its default settings, apart from what it requires and the limits.
fn service(address: &str, redis_url: &str, plivo_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_phlo-2fa"));
    // The directory has no `.env` of the developer.
    command.arg("serve").env_clear().current_dir(std::env::temp_dir());
    command.envs([
        ("BIND", address),
        ("REDIS_URL", redis_url),
        ("PLIVO_API_URL", plivo_url),
        ("PUBLIC_URL", &format!("http://{address}")),
        ("PLIVO_AUTH_ID", "MADEMO00000000000000"),
        ("PLIVO_AUTH_TOKEN", "the-auth-token-of-this-bench"),
        ("PLIVO_NUMBER", "+14155550199"),
        ("API_KEYS", &format!("shop:{API_KEY}")),
        ("SECRET_KEY", "bm90LWEtc2VjcmV0LW9mLWFueWJvZHktYnV0LXRlc3Q="),
        ("DAILY_BUDGET", "1000000"),
        ("PLIVO_RATE", "1000000/1s"),
        ("DRAIN_SECONDS", "0"),
    ]);
    command.envs(LIMITS.map(|limit| (limit, WIDE)));
    command
}

/// Reads and drops a stream, so that its writer never waits.
fn drain(stream: Option<impl std::io::Read + Send + 'static>) {
    if let Some(mut stream) = stream {
        std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
    }
}

fn is_live(address: &str) -> bool {
    let Ok(stream) = std::net::TcpStream::connect(address) else { return false };
    let mut wire = Wire::new(stream);
    wire.send(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes());
    wire.receive(|response| response.status() == 200).unwrap_or_default()
}
