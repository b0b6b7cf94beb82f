//! A local Plivo for `demo`, `simulate-plivo` and tests, which needs no account and can fail on demand.
//!
//! It speaks Plivo's REST API and PHLO runner (`wire`) and runs the flow in `phlo/two_factor.json` (`flow`,
//! `walk`). The last four digits of a number decide what happens to its texts and calls (`scenario`, `carrier`).
//! `handset` holds what reached a phone. The signed `callbacks` tell the service, and may be false, late, doubled
//! or missing.
//!
//! It imports nothing of the service's logic and meets it over HTTP only, as Plivo does. It is no security boundary:
//! handsets, request log and outages need no credentials, so it listens on the loopback by default.
//!
//! ```text
//! wire ──> walk (a PHLO) ──┬─> send ──> status reports: callbacks ──> the service
//!      └───────────────────┴─> ring ──> conversation (the answer XML)
//!                                └────> handset
//! ```

mod api;
mod bounded_map;
mod call;
mod callbacks;
mod carrier;
mod clock;
mod code;
mod config;
mod control;
mod conversation;
mod ending;
mod flow;
mod handset;
mod liquid;
mod outage;
mod provider;
mod rate_limit;
mod request_log;
mod ring;
mod run_record;
mod scenario;
mod send;
mod speech;
mod speed;
mod sync;
mod tariff;
#[cfg(test)]
mod tests;
mod text;
mod walk;
mod wire;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer, web};

pub use self::config::{SandboxConfig, SandboxError};
pub use self::flow::{Flow, FlowError};
use self::provider::Provider;

/// Longer than clients keep an idle connection, so that no request meets a connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// The local Plivo. Clones share one state.
#[derive(Clone)]
pub struct Sandbox(Arc<Provider>);

impl Sandbox {
    /// Creates a local Plivo on the current tokio runtime.
    ///
    /// Its calls, reports and retries run on that runtime and outlive any server.
    ///
    /// # Errors
    /// [`SandboxError`]: the speed is out of bounds, there is no runtime, or no HTTP client can be built.
    pub fn new(config: SandboxConfig, flow: Flow) -> Result<Self, SandboxError> {
        Ok(Self(Arc::new(Provider::new(config, flow)?)))
    }

    /// Mounts Plivo's API and PHLO runner under `/v1/`.
    pub fn configure_wire(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static + use<> {
        let provider = Arc::clone(&self.0);
        move |config| wire::configure(&provider, config)
    }

    /// Mounts the routes without credentials: `/handset/{to}`, its stream, `/log` and `/outage`.
    pub fn configure_control(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static + use<> {
        let provider = Arc::clone(&self.0);
        move |config| control::configure(&provider, config)
    }

    /// Serves all routes on one port until the returned server is stopped.
    ///
    /// The server installs no signal handlers.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> std::io::Result<Server> {
        let (wire, control) = (self.configure_wire(), self.configure_control());
        let app = move || {
            App::new().configure(wire.clone()).configure(control.clone()).default_service(web::to(wire::not_found))
        };
        let server = HttpServer::new(app).workers(2).keep_alive(KEEP_ALIVE).disable_signals().shutdown_timeout(1);
        Ok(server.listen(listener)?.run())
    }

    /// Ends all handset streams, present and future, so that a stopping server need not wait for them.
    pub fn close_streams(&self) {
        self.0.streams_closed.send_replace(true);
    }
}
