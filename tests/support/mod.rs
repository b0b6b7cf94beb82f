//! A whole service for tests: on free ports, with a local Plivo, and with a clock that only the test advances.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "these are tests")]

pub mod receiver;
pub mod redis_server;
pub mod stub_server;

use std::net::TcpListener;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use phlo_2fa::app::{Application, Options};
use phlo_2fa::config::{Config, VARIABLES};
use phlo_2fa::engine::{Clock, Engine};
use phlo_2fa::http::{PROBLEM, openapi};
use phlo_2fa::keyring::Keyring;
use phlo_2fa::learner::Learner;
use phlo_2fa::sandbox::{Flow, Sandbox, SandboxConfig};
use phlo_2fa::store::Store;
use phlo_2fa::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// The callback secret that the test's flow sends.
pub const CALLBACK_SECRET: &str = "a-callback-secret-of-tests";

/// How long a test waits for something before it fails. Generous, because a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// The configuration of a test's service.
pub struct Setup {
    /// Settings that replace those of the demo.
    pub env: Vec<(&'static str, String)>,
    /// Replaces the embedded store.
    pub store: Option<Arc<dyn Store>>,
    /// The speed of the local Plivo's time.
    pub speed: f64,
    /// The local Plivo's auth token, if it is not the service's.
    pub plivo_token: Option<&'static str>,
    /// The URL that the flow reports to, if it is not the service's.
    pub canvas_url: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { env: Vec::new(), store: None, speed: 100.0, plivo_token: None, canvas_url: None }
    }
}

/// A running service with its local Plivo. Stops when dropped.
pub struct TestApp {
    /// Its URL, `http://127.0.0.1:PORT`.
    pub url: String,
    /// The URL of its local Plivo.
    pub plivo_url: String,
    /// The service's clock; it stands still until [`TestApp::advance`].
    pub clock: Clock,
    /// The service's engine.
    pub engine: Engine,
    /// The service's keys, for a test that issues refs.
    pub keyring: Arc<Keyring>,
    /// What the service has learned of routes.
    pub learner: Arc<Learner>,
    /// Effects and other detached tasks.
    pub tasks: TaskTracker,
    /// Whether it sends through a PHLO.
    pub has_phlo: bool,
    /// The API key of its app.
    pub key: String,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    sandbox: Sandbox,
    plivo: actix_web::dev::ServerHandle,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The HTTP headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The problem's code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that it is a complete problem with this status and code.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        assert_eq!(self.body["type"], format!("/problems/{}", code.replace('_', "-")), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        for text in ["title", "detail"] {
            assert!(self.body[text].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        // An end user may read it, and does not know the settings.
        let text = self.body.to_string();
        assert_eq!(VARIABLES.iter().map(|(name, ..)| name).find(|name| text.contains(*name)), None, "{self:?}");
        if let Some(message) = self.body.get("user_message") {
            let is_apart = message.as_str().is_some_and(|text| !text.is_empty()) && *message != self.body["detail"];
            assert!(is_apart, "{self:?}");
        }
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        assert_eq!(self.body["request_id"], self.header("x-request-id"), "{self:?}");
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{self:?}");
        }
    }

    /// Asserts that the OpenAPI document has this answer, if it is one to an operation of the API.
    fn assert_documented(&self, method: &str, path: &str) {
        static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |pattern: &str| {
            let names: Vec<&str> = pattern.split('/').collect();
            let is_same = |(name, part): (&&str, &&str)| name == part || (name.starts_with('{') && !part.is_empty());
            names.len() == parts.len() && names.iter().zip(&parts).all(is_same)
        };
        let mut all = DOCUMENT["paths"].as_object().unwrap().iter().filter(|(pattern, _)| pattern.starts_with("/v1/"));
        let named =
            all.clone().find(|(pattern, _)| *pattern == path).or_else(|| all.find(|(pattern, _)| fits(pattern)));
        let Some(operation) = named.and_then(|(_, item)| item.get(method)) else { return };
        let documented = &operation["responses"][self.status.to_string()];
        assert!(documented.is_object(), "{method} {path}: {} is not documented: {self:?}", self.status);
        if self.header("content-type") == PROBLEM {
            let codes = &documented["content"][PROBLEM]["examples"];
            assert!(codes[self.code()].is_object(), "{method} {path}: {} is not documented", self.code());
        }
    }

    /// The verification's id.
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}"))
    }
}

/// A client for plain HTTP.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

fn free_port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl TestApp {
    /// Starts a service with the demo's settings.
    pub async fn spawn() -> Self {
        Self::spawn_with(Setup::default()).await
    }

    /// Starts a service with this configuration.
    pub async fn spawn_with(setup: Setup) -> Self {
        let ((listener, url), (plivo_listener, plivo_url)) = (free_port(), free_port());
        let mut env: Vec<(String, String)> = vec![
            ("PLIVO_API_URL".into(), plivo_url.clone()),
            ("PLIVO_PHLO_URL".into(), plivo_url.clone()),
            ("PUBLIC_URL".into(), url.clone()),
            ("CALLBACK_SECRET".into(), CALLBACK_SECRET.into()),
            // Most tests must not depend on what the service learns of a route,
            ("ESCALATION".into(), "fixed+fail:35".into()),
            // nor on the price of a call.
            ("COST_CALL".into(), "0.025".into()),
        ];
        for (name, value) in setup.env {
            env.retain(|(known, _)| known != name);
            env.push((name.into(), value));
        }
        let config = Config::demo(env).unwrap();
        let has_phlo = config.phlo_id.is_some();
        let sandbox = Sandbox::new(
            SandboxConfig {
                auth_id: config.plivo_auth_id.clone(),
                auth_token: setup.plivo_token.map_or(config.plivo_auth_tokens[0].clone(), Into::into),
                public_url: setup.canvas_url.unwrap_or_else(|| url.clone()),
                callback_secret: config.callback_secrets.first().cloned(),
                speed: setup.speed,
                seed: 1,
                terse_runs: false,
            },
            Flow::two_factor().unwrap(),
        )
        .unwrap();
        let server = sandbox.serve(plivo_listener).unwrap();
        let plivo = server.handle();
        tokio::spawn(server);
        // The store expires keys by its own clock, so the service's clock starts at the same time.
        let clock = Clock::manual(Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()));
        let options = Options { store: setup.store, clock: Some(clock.clone()), sandbox: None };
        let app = Application::start(&config, listener, options).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (engine, tasks) = (app.engine.clone(), app.tasks.clone());
        let (keyring, learner) = (Arc::clone(&app.shared.keyring), Arc::clone(&app.shared.learner));
        let stopped = async {
            let _ = stopped.await;
        };
        tokio::spawn(app.run_until(stopped, std::future::ready(())));
        let http = client();
        let (key, stop) = ("demo".into(), Some(stop));
        Self { url, plivo_url, clock, engine, keyring, learner, tasks, has_phlo, key, http, stop, sandbox, plivo }
    }

    /// Advances the service's clock and performs everything that is due.
    ///
    /// The service's own timers may have claimed some of it first: wait for that with [`TestApp::until`].
    pub async fn advance(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
        self.engine.wake_due().await.unwrap();
    }

    /// Waits until no effect is in flight, so that advancing the clock expires no lease.
    pub async fn settled(&self) {
        let start = Instant::now();
        while !self.tasks.is_empty() {
            assert!(start.elapsed() < PATIENCE, "{} effects are still in flight", self.tasks.len());
            // Most effects take a millisecond.
            let is_early = start.elapsed() < Duration::from_millis(20);
            tokio::time::sleep(if is_early { Duration::from_millis(1) } else { POLL_EVERY }).await;
        }
    }

    /// Sends a request and reads the answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let (method, path) = match request.try_clone().and_then(|request| request.build().ok()) {
            Some(request) => (request.method().as_str().to_lowercase(), request.url().path().to_owned()),
            None => (String::new(), String::new()),
        };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let answer = Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) };
        answer.assert_documented(&method, &path);
        answer
    }

    /// Starts a request with the app's key.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.keyless(method, path).bearer_auth(&self.key)
    }

    /// Starts a request without a key.
    pub fn keyless(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// Sends raw bytes and returns everything that is answered until the service closes the connection.
    ///
    /// For requests that no HTTP client makes; they should ask for the connection to be closed.
    pub async fn raw(&self, request: impl Into<Vec<u8>>) -> String {
        use std::io::{Read, Write};
        let (address, request) = (self.url.trim_start_matches("http://").to_owned(), request.into());
        let talk = move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            // The service may refuse the request before all of it is written.
            let _ = stream.write_all(&request);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::task::spawn_blocking(talk).await.unwrap()
    }

    /// GET with the app's key.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// POST of JSON with the app's key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("POST", path).json(&body)).await
    }

    /// Creates a verification of `+1 415 555 <last four>`.
    pub async fn create(&self, last_four: &str) -> Answer {
        self.post("/v1/verifications", json!({ "to": format!("+1415555{last_four}") })).await
    }

    /// Reads a verification.
    pub async fn read(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/verifications/{id}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Submits a code.
    pub async fn check(&self, id: &str, code: &str) -> Answer {
        self.post(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await
    }

    /// Asks for another attempt.
    pub async fn attempt(&self, id: &str, channel: &str) -> Answer {
        self.post(&format!("/v1/verifications/{id}/attempts"), json!({ "channel": channel })).await
    }

    /// What the handset of `+1 415 555 <last four>` received.
    pub async fn handset(&self, last_four: &str) -> Value {
        let url = format!("{}/handset/1415555{last_four}", self.plivo_url);
        self.send(self.http.get(url)).await.body
    }

    /// Every request that the local Plivo received.
    pub async fn whole_plivo_log(&self) -> Vec<Value> {
        let log = self.send(self.http.get(format!("{}/log", self.plivo_url))).await.body;
        log.as_array().unwrap().clone()
    }

    /// Every request that the local Plivo received for `+1 415 555 <last four>`.
    pub async fn plivo_log(&self, last_four: &str) -> Vec<Value> {
        let to = format!("1415555{last_four}");
        self.whole_plivo_log().await.into_iter().filter(|entry| entry["to"] == to.as_str()).collect()
    }

    /// Reads a verification until it is as wanted, and returns it.
    pub async fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(what, wanted, || self.read(id)).await
    }

    /// Reads a handset until it is as wanted, and returns it.
    pub async fn until_handset(&self, last_four: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        poll(what, wanted, || self.handset(last_four)).await
    }

    /// Waits for a text and returns the code of the newest one.
    pub async fn texted_code(&self, last_four: &str) -> String {
        let handset = self.until_handset(last_four, "texted", |h| h["messages"][0]["code"].is_string()).await;
        handset["messages"].as_array().unwrap().last().unwrap()["code"].as_str().unwrap().to_owned()
    }

    /// Waits for a call that speaks a code and returns the code.
    pub async fn spoken_code(&self, last_four: &str) -> String {
        let spoken =
            |h: &Value| h["calls"].as_array().unwrap().iter().find_map(|c| c["code"].as_str().map(str::to_owned));
        let handset = self.until_handset(last_four, "called", |h| spoken(h).is_some()).await;
        spoken(&handset).unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.sandbox.close_streams();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        drop(self.plivo.stop(false));
    }
}

/// Reads a value until it is as wanted, and returns it: the local Plivo's reports take a moment of real time.
async fn poll<F: Future<Output = Value>>(what: &str, wanted: impl Fn(&Value) -> bool, read: impl Fn() -> F) -> Value {
    let start = Instant::now();
    loop {
        let value = read().await;
        if wanted(&value) {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "not {what}: {value:#}");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// A code that differs from this one.
pub fn wrong(code: &str) -> String {
    let first = if code.starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code[1..])
}
