//! Every metric, with its labels and help text. No number, no id, and only labels with a short list of values.

mod log_lines;
mod webhooks;

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use strum::VariantNames;

use self::log_lines::DroppedLogLines;
pub use self::webhooks::WebhookMetrics;
use crate::escalation::Reason;
use crate::guard::Scope;
use crate::plivo::Reply;
use crate::time::Timestamp;
use crate::verification::timeline::{Entry, Note};
use crate::verification::{Channel, Ending, Status, TextReport, Verification, Via};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const MACHINE_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const HUMAN_SECONDS: [f64; 13] = [1.0, 2.0, 4.0, 6.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0];

macro_rules! labels {
    ($($name:ident { $($field:ident),+ })+) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name { $($field: &'static str),+ }
    )+};
}

labels! {
    VerificationLabels { status, channel }
    AttemptLabels { channel, via, status }
    ReasonLabels { reason }
    CallbackLabels { kind, result }
    ChannelLabels { channel }
    PlivoLabels { channel, via, result }
    ResultLabels { result }
    ScopeLabels { scope }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    method: &'static str,
    route: String,
    status: u16,
}

/// A request method for logs and labels; `other` for methods that clients invent.
pub fn method(sent: &str) -> &'static str {
    let known = ["GET", "POST", "HEAD", "DELETE", "PUT", "OPTIONS"];
    known.into_iter().find(|known| *known == sent).unwrap_or("other")
}

/// The registry and its metrics.
pub struct Metrics {
    registry: Registry,
    http: Family<HttpLabels, Histogram>,
    verifications: Family<VerificationLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    escalations: Family<ReasonLabels, Counter>,
    escalation_lag: Histogram,
    to_delivered: Histogram,
    to_verified: Family<ChannelLabels, Histogram>,
    callbacks: Family<CallbackLabels, Counter>,
    plivo: Family<PlivoLabels, Histogram>,
    checks: Family<ResultLabels, Counter>,
    refusals: Family<ScopeLabels, Counter>,
    costs_implausible: Counter,
    distrust_capped: Counter,
    pool_connections: Gauge,
    pool_idle: Gauge,
    /// Requests to receivers of webhooks.
    pub webhooks: WebhookMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let machine = || Histogram::new(MACHINE_SECONDS);
        let human = || Histogram::new(HUMAN_SECONDS);
        let metrics = Self {
            registry: Registry::with_prefix("phlo2fa"),
            http: Family::new_with_constructor(machine as fn() -> Histogram),
            verifications: Family::default(),
            attempts: Family::default(),
            escalations: Family::default(),
            escalation_lag: machine(),
            to_delivered: human(),
            to_verified: Family::new_with_constructor(human as fn() -> Histogram),
            callbacks: Family::default(),
            plivo: Family::new_with_constructor(machine as fn() -> Histogram),
            checks: Family::default(),
            refusals: Family::default(),
            costs_implausible: Counter::default(),
            distrust_capped: Counter::default(),
            pool_connections: Gauge::default(),
            pool_idle: Gauge::default(),
            webhooks: WebhookMetrics::default(),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("http_request_duration_seconds", "Duration of API requests, by route pattern", self.http.clone());
        r.register("verifications", "Verifications created (pending) and ended, by status", self.verifications.clone());
        r.register("attempts", "Texts and calls, counted at each status they reach", self.attempts.clone());
        r.register("escalations", "Escalations from a text to a call, by reason", self.escalations.clone());
        r.register(
            "escalation_lag_seconds",
            "Delay between the planned time of a call and its decision",
            self.escalation_lag.clone(),
        );
        r.register(
            "time_to_delivered_seconds",
            "Time from a text's request to its delivered report",
            self.to_delivered.clone(),
        );
        r.register("time_to_verified_seconds", "Time from creation to the correct code", self.to_verified.clone());
        r.register("callbacks", "Callbacks from Plivo, by kind and result", self.callbacks.clone());
        r.register("plivo_request_duration_seconds", "Duration of requests to Plivo", self.plivo.clone());
        r.register("checks", "Submitted codes that were compared, by result", self.checks.clone());
        r.register("guard_refusals", "Requests refused by a limit or an allow-list, by scope", self.refusals.clone());
        r.register(
            "costs_implausible",
            "Reports that told more than ten times the expected cost",
            self.costs_implausible.clone(),
        );
        r.register(
            "distrust_calls_capped",
            "Times that calls for distrust of delivery reports were stopped, because they brought no codes",
            self.distrust_capped.clone(),
        );
        r.register("redis_pool_connections", "Open connections to Redis", self.pool_connections.clone());
        r.register("redis_pool_idle_connections", "Open connections to Redis that are idle", self.pool_idle.clone());
        self.webhooks.register(r);
        r.register_collector(Box::new(DroppedLogLines));
        // Alerts need these series from the start, at zero.
        for reason in Reason::ALL.iter().copied().filter(|reason| *reason != Reason::Requested) {
            drop(self.escalations.get_or_create(&ReasonLabels { reason: reason.as_str() }));
        }
        for result in ["verified", "incorrect"] {
            drop(self.checks.get_or_create(&ResultLabels { result }));
        }
        for kind in ["message", "call", "answer", "phlo"] {
            for result in ["applied", "parked", "repeated", "ignored", "failed", "unproved", "replayed"] {
                drop(self.callbacks.get_or_create(&CallbackLabels { kind, result }));
            }
        }
        for scope in Scope::VARIANTS.iter().copied().chain(["destination"]) {
            drop(self.refusals.get_or_create(&ScopeLabels { scope }));
        }
        self
    }

    /// Records one API request; `method` comes from [`method`].
    pub fn http_request(&self, method: &'static str, route: Option<String>, status: u16, took: Duration) {
        let labels = HttpLabels { method, route: route.unwrap_or_else(|| "unmatched".to_owned()), status };
        self.http.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts one callback.
    pub fn callback(&self, kind: &'static str, result: &'static str) {
        self.callbacks.get_or_create(&CallbackLabels { kind, result }).inc();
    }

    /// Records one request to Plivo.
    pub fn plivo_request(&self, channel: Channel, via: Via, reply: &Reply, took: Duration) {
        let result = match reply {
            Reply::Success(..) => "accepted",
            Reply::Refused(..) => "refused",
            Reply::NotNow(..) => "not_now",
            Reply::Failed(..) => "failed",
            Reply::Silent => "timed_out",
        };
        let labels = PlivoLabels { channel: channel.as_str(), via: via.as_str(), result };
        self.plivo.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts one correct code; incorrect codes are counted from the timeline.
    pub fn check_correct(&self) {
        self.checks.get_or_create(&ResultLabels { result: "verified" }).inc();
    }

    /// Counts one refusal by a limit or an allow-list.
    pub fn refusal(&self, scope: &'static str) {
        self.refusals.get_or_create(&ScopeLabels { scope }).inc();
    }

    /// Counts that calls for distrust of delivery reports were stopped.
    pub fn count_distrust_capped(&self) {
        self.distrust_capped.inc();
    }

    /// Sets the state of the connection pool.
    pub fn pool(&self, connections: usize, idle: usize) {
        self.pool_connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
        self.pool_idle.set(i64::try_from(idle).unwrap_or(i64::MAX));
    }

    /// Counts a report whose cost is not believed.
    pub fn implausible_cost(&self) {
        self.costs_implausible.inc();
    }

    /// Counts each attempt status that a commit changed.
    pub fn observe_attempts(&self, before: Option<&Verification>, after: &Verification) {
        for (i, a) in after.attempts.iter().enumerate() {
            let was = before.and_then(|v| v.attempts.get(i)).map(|a| a.status);
            if was != Some(a.status) {
                let via = a.via.map_or("none", Via::as_str);
                let labels = AttemptLabels { channel: a.channel.as_str(), via, status: a.status.as_str() };
                self.attempts.get_or_create(&labels).inc();
            }
        }
    }

    /// Counts one timeline note that a commit added.
    pub fn observe(&self, before: Option<&Verification>, after: &Verification, entry: &Entry, now: Timestamp) {
        match &entry.note {
            Note::Created { .. } | Note::Joined => self.count_status(after, Status::Pending),
            Note::Ended { how } => {
                self.count_status(after, how.status());
                if *how == Ending::Verified {
                    let channel = after.verified_by().as_str();
                    let took = now.since(after.created_at_of(entry.session)).as_secs_f64();
                    self.to_verified.get_or_create(&ChannelLabels { channel }).observe(took);
                    self.check_correct();
                }
            }
            Note::CodeIncorrect { .. } => {
                self.checks.get_or_create(&ResultLabels { result: "incorrect" }).inc();
            }
            Note::AttemptDecided { reason, is_repeat, .. } => {
                if let Some(reason) = reason.filter(|_| !is_repeat) {
                    self.escalations.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
                }
                let planned = before.and_then(Verification::next_call).filter(|p| reason.is_some() && p.at <= now);
                if let Some(planned) = planned {
                    self.escalation_lag.observe(now.since(planned.at).as_secs_f64());
                }
            }
            Note::TextReported { attempt, report: TextReport::Delivered } => {
                if let Some(a) = after.attempt(*attempt) {
                    self.to_delivered.observe(now.since(a.at).as_secs_f64());
                }
            }
            Note::TextReported { .. }
            | Note::CallReported { .. }
            | Note::Accepted { .. }
            | Note::Refused { .. }
            | Note::TimedOut { .. }
            | Note::NotSent { .. }
            | Note::CallSilent { .. }
            | Note::Deferred { .. }
            | Note::PassedOn { .. }
            | Note::TakenBack { .. }
            | Note::Weighed { .. }
            | Note::CallBarred { .. }
            | Note::QuietHours { .. }
            | Note::TakenOver { .. }
            | Note::Activity { .. }
            | Note::Feedback { .. }
            | Note::Dropped { .. } => {}
        }
    }

    fn count_status(&self, v: &Verification, status: Status) {
        let channel = v.mode.as_str();
        self.verifications.get_or_create(&VerificationLabels { status: status.as_str(), channel }).inc();
    }

    /// All metrics in the OpenMetrics text format, which Prometheus reads.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
