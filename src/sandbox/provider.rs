//! [`Provider`]: the state of the local Plivo, which all requests share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::bounded_map::BoundedMap;
use super::call::PlacedCall;
use super::callbacks::{CallbackClient, PlivoCallback};
use super::carrier::CarrierNetwork;
use super::config::{SandboxConfig, SandboxError};
use super::flow::Flow;
use super::handset::Handsets;
use super::liquid::Liquid;
use super::outage::Outages;
use super::rate_limit::RateLimit;
use super::request_log::RequestLog;
use super::run_record::RunRecord;
use super::speed::Speed;
use super::sync::lock;
use super::text::SentText;

/// How many texts, calls and runs the API can still show.
const RECORDS_MAX: usize = 10_000;
/// How long a reporter waits for the first try of a callback, which keeps reports in order while the service is quick.
const FIRST_TRY_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Provider {
    pub(super) config: SandboxConfig,
    pub(super) flow: Flow,
    pub(super) liquid: Liquid,
    pub(super) speed: Speed,
    /// Runs background tasks. A server's workers stop with the server, while a call goes on.
    pub(super) runtime: Handle,
    pub(super) callbacks: CallbackClient,
    pub(super) carrier: CarrierNetwork,
    pub(super) handsets: Handsets,
    pub(super) outages: Outages,
    pub(super) rate_limit: RateLimit,
    pub(super) request_log: RequestLog,
    /// True once all handset streams must end.
    pub(super) streams_closed: watch::Sender<bool>,
    texts: Mutex<BoundedMap<Arc<SentText>>>,
    /// Each call stands here twice, under both of its ids.
    calls: Mutex<BoundedMap<Arc<PlacedCall>>>,
    runs: Mutex<BoundedMap<Arc<RunRecord>>>,
}

impl Provider {
    pub(super) fn new(config: SandboxConfig, flow: Flow) -> Result<Self, SandboxError> {
        let speed = Speed::new(config.speed).ok_or(SandboxError::Speed(config.speed))?;
        Ok(Self {
            flow,
            liquid: Liquid::new(),
            speed,
            runtime: Handle::try_current().map_err(SandboxError::Runtime)?,
            callbacks: CallbackClient::new(config.auth_token.clone(), speed).map_err(SandboxError::Client)?,
            carrier: CarrierNetwork::new(config.seed, speed),
            handsets: Handsets::new(),
            outages: Outages::default(),
            rate_limit: RateLimit::default(),
            request_log: RequestLog::default(),
            streams_closed: watch::Sender::new(false),
            texts: Mutex::new(BoundedMap::new(RECORDS_MAX)),
            calls: Mutex::new(BoundedMap::new(2 * RECORDS_MAX)),
            runs: Mutex::new(BoundedMap::new(RECORDS_MAX)),
            config,
        })
    }

    /// Delivers a callback in a detached task; returns after its first try, or after a second.
    pub(super) async fn notify(self: &Arc<Self>, callback: PlivoCallback) {
        let (tried, first_try) = oneshot::channel();
        let provider = Arc::clone(self);
        self.runtime.spawn(async move { provider.callbacks.deliver(&callback, tried).await });
        let _ = tokio::time::timeout(FIRST_TRY_WAIT, first_try).await;
    }

    /// Delivers a callback without waiting for a try.
    pub(super) fn notify_detached(self: &Arc<Self>, callback: PlivoCallback) {
        let provider = Arc::clone(self);
        self.runtime.spawn(async move { provider.notify(callback).await });
    }

    pub(super) fn keep_text(&self, text: &Arc<SentText>) {
        lock(&self.texts).insert(&text.uuid, Arc::clone(text));
    }

    pub(super) fn text(&self, uuid: &str) -> Option<Arc<SentText>> {
        lock(&self.texts).get(uuid).cloned()
    }

    /// All kept texts, the newest first.
    pub(super) fn texts(&self) -> Vec<Arc<SentText>> {
        lock(&self.texts).newest().map(|(_, text)| Arc::clone(text)).collect()
    }

    pub(super) fn keep_call(&self, call: &Arc<PlacedCall>) {
        let mut calls = lock(&self.calls);
        calls.insert(&call.uuid, Arc::clone(call));
        calls.insert(&call.request_uuid, Arc::clone(call));
    }

    /// The call with this call UUID or request UUID.
    pub(super) fn call(&self, uuid: &str) -> Option<Arc<PlacedCall>> {
        lock(&self.calls).get(uuid).cloned()
    }

    /// All kept calls, the newest first.
    pub(super) fn calls(&self) -> Vec<Arc<PlacedCall>> {
        let calls = lock(&self.calls);
        calls.newest().filter(|(key, call)| *key == call.uuid).map(|(_, call)| Arc::clone(call)).collect()
    }

    pub(super) fn keep_run(&self, run: &Arc<RunRecord>) {
        lock(&self.runs).insert(&run.id, Arc::clone(run));
    }

    pub(super) fn run(&self, id: &str) -> Option<Arc<RunRecord>> {
        lock(&self.runs).get(id).cloned()
    }
}
