//! The measured service, with its Redis and its Plivo.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use phlo_2fa::plivo::signature;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ledger::{Background, Cost, costs_of_one};
use super::monitor::{Exchange, Monitor};
use super::plivo::CountingPlivo;
use crate::support::redis_server::RedisServer;
use crate::support::{Answer, client};
use crate::world::{AUTH_TOKEN, PATIENCE, Service, pause, until};

/// How long nothing must happen before an operation counts as over: if its cost is the recorded one, and if not.
const QUIET: Duration = Duration::from_secs(1);
const QUIET_IN_DOUBT: Duration = Duration::from_secs(8);

pub(super) const CODE: &str = "042917";
pub(super) const WRONG_CODE: &str = "170924";

pub(super) struct Subject {
    pub(super) redis: RedisServer,
    pub(super) service: Service,
    pub(super) plivo: CountingPlivo,
    monitor: Monitor,
    background: Background,
    /// Timers due within this time are measured, and not postponed.
    measured_timers_ms: AtomicU32,
    /// The path of the newest verification of each number.
    paths: Mutex<HashMap<String, String>>,
    http: reqwest::Client,
}

impl Subject {
    /// A service whose limits on apps, countries and all attempts are as wide as this.
    pub(super) async fn start(limit: &str, daily_budget: &str) -> Self {
        let (redis, plivo) = (RedisServer::start(), CountingPlivo::start());
        let settings = [
            ("REDIS_URL", redis.url()),
            ("PLIVO_API_URL", plivo.url.clone()),
            ("PHLO_ID", String::new()),
            ("RUST_LOG", "warn".to_owned()),
            ("LIMIT_APP", limit.to_owned()),
            ("LIMIT_COUNTRY", limit.to_owned()),
            ("LIMIT_TOTAL", limit.to_owned()),
            ("DAILY_BUDGET", daily_budget.to_owned()),
        ];
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let service = Service::start(&settings).await;
        service.until_ready().await;
        let (monitor, background) = (Monitor::start(&redis), Background::default());
        let (measured_timers_ms, paths) = (AtomicU32::new(0), Mutex::default());
        Self { redis, service, plivo, monitor, background, measured_timers_ms, paths, http: client() }
    }

    /// Sends a request until Redis has answered the service in time. A loaded machine may need more than one.
    pub(super) async fn send(&self, key: Option<&str>, method: &str, path: &str, body: Value) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.service.try_send_once(key, method, path, body.clone()).await.unwrap();
            if answer.status != 503 || start.elapsed() > PATIENCE {
                assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                return answer;
            }
            pause().await;
        }
    }

    /// Creates a verification; with a key, idempotently.
    pub(super) async fn create(&self, to: &str, key: Option<&str>, escalation: &str) {
        let body = json!({ "to": to, "code": CODE, "escalation": escalation });
        let created = self.send(key, "POST", "/v1/verifications", body).await;
        let path = format!("/v1/verifications/{}", created.id());
        self.paths.lock().unwrap().insert(to.to_owned(), path);
    }

    /// The path of the newest verification of a number.
    pub(super) fn path(&self, to: &str) -> String {
        self.paths.lock().unwrap()[to].clone()
    }

    /// Submits a code.
    pub(super) async fn check(&self, to: &str, code: &str) {
        let checked = self.send(None, "POST", &format!("{}/checks", self.path(to)), json!({ "code": code })).await;
        let is_right = checked.body["result"] != "incorrect";
        assert_eq!(is_right, code == CODE, "{checked:?}");
    }

    /// Reports on the text to a number, as Plivo does: again if it is told to.
    pub(super) async fn report(&self, to: &str, status: &str) {
        let (url, nonce) = (self.plivo.report_url(to), Uuid::new_v4().simple().to_string());
        let params = [("MessageUUID", self.plivo.text_id(to)), ("Status", status.to_owned())];
        let signed = params.clone().map(|(name, value)| (name.to_owned(), value));
        let signature = signature::sign(AUTH_TOKEN, &signature::v3_payload("POST", &url, &signed, &nonce));
        until("reported", async || {
            let request = self.http.post(&url).form(&params).header("X-Plivo-Signature-V3", &signature);
            let answer = request.header("X-Plivo-Signature-V3-Nonce", &nonce).send().await.unwrap();
            assert!(matches!(answer.status().as_u16(), 200 | 503), "{answer:?}");
            answer.status().as_u16() == 200
        })
        .await;
    }

    /// How many entries the timeline has.
    pub(super) async fn events(&self, to: &str) -> usize {
        let timeline = self.send(None, "GET", &format!("{}/timeline", self.path(to)), Value::Null).await;
        timeline.body["entries"].as_array().unwrap().len()
    }

    /// Watches the idle service, and takes what it does for the background from now on.
    pub(super) async fn idle(&mut self, seconds: u64) -> Vec<Exchange> {
        let from = self.mark().await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let idle = self.monitor.between(from, self.mark().await);
        self.background = Background::of(&idle);
        idle
    }

    fn postpone_timers(&self) {
        let measured_ms = self.measured_timers_ms.load(Ordering::Relaxed).to_string();
        self.redis.command(&["EVAL", include_str!("../../data/postpone_timers.lua"), "0", &measured_ms]);
    }

    /// Lets timers fire that are due within this time.
    pub(super) fn measure_timers(&self, within_ms: u32) {
        self.measured_timers_ms.store(within_ms, Ordering::Relaxed);
    }

    /// Runs an operation for each of `times` numbers, the first of which is 1.
    pub(super) async fn repeat<F: Future<Output = ()>>(&self, times: usize, operation: impl Fn(usize) -> F) {
        for n in 1..=times {
            operation(n).await;
            self.postpone_timers();
        }
    }

    /// Waits until Plivo is asked to call the number.
    pub(super) async fn until_called(&self, to: &str) {
        until("called", async || {
            self.postpone_timers();
            self.plivo.has_called(to)
        })
        .await;
    }

    /// The number of exchanges so far.
    pub(super) async fn mark(&self) -> usize {
        self.monitor.mark(&self.redis).await
    }

    /// The cost of one of `times` operations since a mark.
    ///
    /// Some exchanges follow the answer. So this waits for a while without any, longer if the cost is not as `expected`.
    pub(super) async fn cost_since(&self, from: usize, times: usize, expected: Option<Cost>) -> Cost {
        let (start, mut last, mut changed_at) = (Instant::now(), 0, Instant::now());
        loop {
            self.postpone_timers();
            let exchanges = self.background.remove_from(self.monitor.between(from, self.mark().await));
            if exchanges.len() != last {
                (last, changed_at) = (exchanges.len(), Instant::now());
            }
            let costs = costs_of_one(&exchanges, times);
            let cost = costs.values().copied().sum();
            let quiet = if Some(cost) == expected { QUIET } else { QUIET_IN_DOUBT };
            if changed_at.elapsed() >= quiet {
                for (kind, Cost { exchanges, commands }) in costs {
                    println!("  {exchanges} × {kind}: {commands} commands");
                }
                return cost;
            }
            assert!(start.elapsed() < PATIENCE, "the service never rests: {exchanges:?}");
            pause().await;
        }
    }

    /// Waits until the effects of everything so far are over.
    pub(super) async fn settle(&self) {
        let from = self.mark().await;
        self.cost_since(from, 1, Some(Cost::default())).await;
    }
}
