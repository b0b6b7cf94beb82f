//! A Plivo of our own, for `demo`, `simulate-plivo` and tests: no account, no cost, every failure on demand.
//!
//! It speaks Plivo's REST API and PHLO runner (`wire`), runs the flow in `phlo/two_factor.json`
//! (`flow`, `run`), and makes of every text and call what the number's last four digits say
//! (`scenario`, `carrier`). What truly reached a phone stands in `handset`; what the service is
//! told, by signed `callbacks`, may be something else, late, doubled or missing.
//!
//! It knows nothing of the service: it meets it over HTTP only, as Plivo does. It is no security
//! boundary either: handsets, log and outages are open to whoever reaches the port, so it listens on
//! the loopback unless told otherwise.
//!
//! ```text
//! wire ──> run (a PHLO) ──┬─> text ──> reports: callbacks ──> the service
//!      └──────────────────┴─> line ──> conversation (its XML)
//!                                └───> handset
//! ```

mod call;
mod callbacks;
mod carrier;
mod code;
mod conversation;
mod ending;
mod flow;
mod handset;
mod liquid;
mod log;
mod open;
mod outage;
mod pace;
mod provider;
mod recent;
mod scenario;
mod speech;
mod tariff;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod wire;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, web};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

pub use self::flow::{Flow, FlowError};
use self::provider::Provider;
use crate::time::Timestamp;

/// Longer than clients keep an idle connection, lest a request is lost on one that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// How the local Plivo is set up.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The only account there is.
    pub auth_id: String,
    /// Its token: the password of requests, the key of signatures.
    pub auth_token: SecretString,
    /// The service's `PUBLIC_URL`, as if typed on the canvas.
    pub public_url: String,
    /// The service's `CALLBACK_SECRET`, as if typed on the canvas; nothing is sent for it when empty.
    pub callback_secret: Option<SecretString>,
    /// How much faster its time runs, 0.1 to 1000.
    pub speed: f64,
    /// Decides what becomes of numbers that are no scenario.
    pub seed: u64,
    /// Whether what a run answers names nothing that it sent, so that only its record does. Plivo promises
    /// no more: the message is prose. A node that failed is told of all the same.
    pub terse_runs: bool,
}

impl SandboxConfig {
    /// What the flow's texts read as `{{canvas.…}}`.
    fn canvas(&self) -> Value {
        let secret = self.callback_secret.as_ref().map_or("", |secret| secret.expose_secret());
        json!({ "public_url": self.public_url.trim_end_matches('/'), "callback_secret": secret })
    }
}

/// Why the local Plivo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A speed that is no number between 0.1 and 1000.
    #[error("speed must be between 0.1 and 1000, not {0}")]
    Speed(f64),
    /// Its background tasks need a runtime.
    #[error("the local Plivo must be created inside a tokio runtime")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
    /// The HTTP client that posts callbacks could not be built.
    #[error("no HTTP client for callbacks: {0}")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The local Plivo. Clones are the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Provider>);

impl Sandbox {
    /// Sets it up. Its calls, reports and retries run on the current tokio runtime, whichever servers
    /// come and go.
    ///
    /// # Errors
    /// [`SandboxError`]: a speed out of bounds, no runtime, no HTTP client.
    pub fn new(config: SandboxConfig, flow: Flow) -> Result<Self, SandboxError> {
        Ok(Self(Arc::new(Provider::new(config, flow)?)))
    }

    /// Mounts Plivo's API and PHLO runner under `/v1/`.
    pub fn configure_wire(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static + use<> {
        let provider = Arc::clone(&self.0);
        move |config| wire::configure(&provider, config)
    }

    /// Mounts what needs no credentials: `/handset/{to}`, its stream, `/log` and `/outage`.
    pub fn configure_open(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static + use<> {
        let provider = Arc::clone(&self.0);
        move |config| open::configure(&provider, config)
    }

    /// Serves both on one port until the returned server is stopped. Signals are the caller's business.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<Server> {
        let (wire, open) = (self.configure_wire(), self.configure_open());
        let app = move || {
            App::new().configure(wire.clone()).configure(open.clone()).default_service(web::to(wire::not_found))
        };
        let server = HttpServer::new(app).workers(2).keep_alive(KEEP_ALIVE).disable_signals().shutdown_timeout(1);
        Ok(server.listen(listener)?.run())
    }

    /// Ends all handset streams, now and later, so that a server that stops need not wait for them.
    pub fn close_streams(&self) {
        self.0.closed.send_replace(true);
    }
}

/// The local Plivo's own clock.
#[expect(clippy::disallowed_methods, reason = "another party than the service: the store's time is not its time")]
fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// A moment as Plivo writes it, `YYYY-mm-dd HH:MM:SS.ffffff`, in UTC.
fn plivo_time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
        .unwrap_or_default()
}

/// The same where its API shows records, to the second and with the zone.
/// Source: plivo-python, fixtures `messageGetResponse.json` and `callGetResponse.json`.
fn record_time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S+00:00").to_string())
        .unwrap_or_default()
}

/// A number as Plivo reads it: blanks and `/ - . + ( )` do not count.
/// Source: plivo.com/docs/messaging/api/message/send-a-message.
fn number(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !"/-.+()".contains(*c)).collect()
}

/// A panic elsewhere leaves none of our data half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
