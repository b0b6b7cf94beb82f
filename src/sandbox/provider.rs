//! [`Provider`]: everything the local Plivo knows, in one place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::call::Line;
use super::callbacks::{Callback, Callbacks};
use super::carrier::Carrier;
use super::flow::Flow;
use super::handset::Handsets;
use super::liquid::Liquid;
use super::log::RequestLog;
use super::outage::Outages;
use super::pace::Pace;
use super::recent::Recent;
use super::text::Text;
use super::walk::Run;
use super::{SandboxConfig, SandboxError, lock};

/// How many texts, calls and runs can still be asked for.
const RECORDS: usize = 10_000;
/// How long whoever reports something waits for it to be heard, so that reports stay in order as long
/// as the service is quick.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// The state that all requests share.
pub(super) struct Provider {
    pub(super) config: SandboxConfig,
    pub(super) flow: Flow,
    pub(super) liquid: Liquid,
    pub(super) pace: Pace,
    /// Where everything in the background runs. A server's workers stop with it; a call goes on.
    pub(super) runtime: Handle,
    pub(super) callbacks: Callbacks,
    pub(super) carrier: Carrier,
    pub(super) handsets: Handsets,
    pub(super) outages: Outages,
    pub(super) log: RequestLog,
    /// True once streams shall end.
    pub(super) closed: watch::Sender<bool>,
    texts: Mutex<Recent<Arc<Text>>>,
    lines: Mutex<Recent<Arc<Line>>>,
    runs: Mutex<Recent<Arc<Run>>>,
}

impl Provider {
    pub(super) fn new(config: SandboxConfig, flow: Flow) -> Result<Self, SandboxError> {
        let pace = Pace::new(config.speed).ok_or(SandboxError::Speed(config.speed))?;
        Ok(Self {
            flow,
            liquid: Liquid::new(),
            pace,
            runtime: Handle::try_current().map_err(SandboxError::Runtime)?,
            callbacks: Callbacks::new(config.auth_token.clone(), pace).map_err(SandboxError::Client)?,
            carrier: Carrier::new(config.seed, pace),
            handsets: Handsets::new(),
            outages: Outages::default(),
            log: RequestLog::default(),
            closed: watch::Sender::new(false),
            texts: Mutex::new(Recent::new(RECORDS)),
            lines: Mutex::new(Recent::new(2 * RECORDS)),
            runs: Mutex::new(Recent::new(RECORDS)),
            config,
        })
    }

    /// Delivers a callback. Returns once it was tried, or after a second; repeats go on behind.
    pub(super) async fn notify(self: &Arc<Self>, callback: Callback) {
        let (tried, first) = oneshot::channel();
        let provider = Arc::clone(self);
        self.runtime.spawn(async move { provider.callbacks.deliver(&callback, tried).await });
        let _ = tokio::time::timeout(HEARD_WITHIN, first).await;
    }

    /// The same without waiting.
    pub(super) fn notify_later(self: &Arc<Self>, callback: Callback) {
        let provider = Arc::clone(self);
        self.runtime.spawn(async move { provider.notify(callback).await });
    }

    pub(super) fn keep_text(&self, text: &Arc<Text>) {
        lock(&self.texts).insert(&text.uuid, Arc::clone(text));
    }

    pub(super) fn text(&self, uuid: &str) -> Option<Arc<Text>> {
        lock(&self.texts).get(uuid).cloned()
    }

    /// All of them, the newest first.
    pub(super) fn texts(&self) -> Vec<Arc<Text>> {
        lock(&self.texts).newest().map(|(_, text)| Arc::clone(text)).collect()
    }

    pub(super) fn keep_line(&self, line: &Arc<Line>) {
        let mut lines = lock(&self.lines);
        lines.insert(&line.uuid, Arc::clone(line));
        lines.insert(&line.request_uuid, Arc::clone(line));
    }

    /// Found by either of its ids.
    pub(super) fn line(&self, uuid: &str) -> Option<Arc<Line>> {
        lock(&self.lines).get(uuid).cloned()
    }

    /// All of them, the newest first, each once.
    pub(super) fn lines(&self) -> Vec<Arc<Line>> {
        let lines = lock(&self.lines);
        lines.newest().filter(|(key, line)| *key == line.uuid).map(|(_, line)| Arc::clone(line)).collect()
    }

    pub(super) fn keep_run(&self, run: &Arc<Run>) {
        lock(&self.runs).insert(&run.id, Arc::clone(run));
    }

    pub(super) fn run(&self, id: &str) -> Option<Arc<Run>> {
        lock(&self.runs).get(id).cloned()
    }
}
