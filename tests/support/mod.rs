//! What the tests share: a whole service on free ports, its local Plivo, and a clock that moves when told to.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "these are tests")]

pub mod redis_server;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use phlo_2fa::app::{Application, Options};
use phlo_2fa::config::Config;
use phlo_2fa::engine::{Clock, Engine};
use phlo_2fa::sandbox::{Flow, Sandbox, SandboxConfig};
use phlo_2fa::store::Store;
use phlo_2fa::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The secret that the test's flow has on its canvas.
pub const CALLBACK_SECRET: &str = "a-callback-secret-of-tests";

/// How often something is looked for, 10 ms apart, before a test gives it up: a loaded machine only takes longer.
const POLLS: usize = 6000;

/// How a test's service is set up.
pub struct Setup {
    /// Settings beside those of a demo.
    pub env: Vec<(&'static str, String)>,
    /// Instead of the embedded store.
    pub store: Option<Arc<dyn Store>>,
    /// How much faster the local Plivo's time runs.
    pub speed: f64,
    /// The token that the local Plivo goes by, if it is not the service's.
    pub plivo_token: Option<&'static str>,
    /// Where the flow's reports go, if not to the service.
    pub canvas_url: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { env: Vec::new(), store: None, speed: 100.0, plivo_token: None, canvas_url: None }
    }
}

/// A service that runs, with everything around it. Ends when dropped.
pub struct TestApp {
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where its local Plivo listens.
    pub plivo_url: String,
    /// The service's clock: it stands still until [`TestApp::advance`].
    pub clock: Clock,
    /// The service's engine.
    pub engine: Engine,
    /// Whether it goes through a PHLO.
    pub has_phlo: bool,
    /// The secret of its app.
    pub key: String,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    sandbox: Sandbox,
    plivo: actix_web::dev::ServerHandle,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as JSON; null when there is none.
    pub body: Value,
}

impl Answer {
    /// The problem's code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that it is a problem, with everything that a problem has.
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
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        assert_eq!(self.body["request_id"], self.header("x-request-id"), "{self:?}");
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{self:?}");
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
    /// A service on the embedded store.
    pub async fn spawn() -> Self {
        Self::spawn_with(Setup::default()).await
    }

    /// A service set up so.
    pub async fn spawn_with(setup: Setup) -> Self {
        let ((listener, url), (plivo_listener, plivo_url)) = (free_port(), free_port());
        let mut env: Vec<(String, String)> = vec![
            ("PLIVO_API_URL".into(), plivo_url.clone()),
            ("PLIVO_PHLO_URL".into(), plivo_url.clone()),
            ("PUBLIC_URL".into(), url.clone()),
            ("CALLBACK_SECRET".into(), CALLBACK_SECRET.into()),
            // What most stories are about must not depend on what a route has taught.
            ("ESCALATION".into(), "fixed+fail:35".into()),
            // Nor on what calls cost anywhere.
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
        // The store forgets by its own clock, so the service's begins with it.
        let clock = Clock::manual(Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()));
        let options = Options { store: setup.store, clock: Some(clock.clone()), sandbox: None };
        let app = Application::start(&config, listener, options).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let engine = app.engine.clone();
        tokio::spawn(app.run_until(async {
            let _ = stopped.await;
        }));
        let http = client();
        Self { url, plivo_url, clock, engine, has_phlo, key: "demo".into(), http, stop: Some(stop), sandbox, plivo }
    }

    /// Moves the service's clock on and lets everything due happen. What the service's own escalator was faster
    /// to claim may take a moment longer: wait for it with [`TestApp::until`].
    pub async fn advance(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
        self.engine.wake_due().await.unwrap();
    }

    /// Waits until nothing that was begun is under way, so that moving the clock on takes nobody's lease away.
    pub async fn settled(&self) {
        for n in 0..POLLS {
            if self.engine.tasks.is_empty() {
                return;
            }
            // Most are done in no time.
            tokio::time::sleep(Duration::from_millis(if n < 20 { 1 } else { 10 })).await;
        }
        panic!("{} effects are still under way", self.engine.tasks.len());
    }

    /// What is sent to the API, and the answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Answer { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    /// A request to some path with the app's key, for the test to complete.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.keyless(method, path).bearer_auth(&self.key)
    }

    /// The same without a key.
    pub fn keyless(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// Sends bytes as they are and returns all that comes back until the other side closes. For requests that no
    /// client makes; they should ask for the connection to be closed.
    pub async fn raw(&self, request: impl Into<Vec<u8>>) -> String {
        use std::io::{Read, Write};
        let (address, request) = (self.url.trim_start_matches("http://").to_owned(), request.into());
        let talk = move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            // It may be refused before all of it is written.
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

    /// What reached `+1 415 555 <last four>`.
    pub async fn handset(&self, last_four: &str) -> Value {
        let url = format!("{}/handset/1415555{last_four}", self.plivo_url);
        self.send(self.http.get(url)).await.body
    }

    /// Every request that the local Plivo took.
    pub async fn whole_plivo_log(&self) -> Vec<Value> {
        let log = self.send(self.http.get(format!("{}/log", self.plivo_url))).await.body;
        log.as_array().unwrap().clone()
    }

    /// Every request that the local Plivo took for `+1 415 555 <last four>`.
    pub async fn plivo_log(&self, last_four: &str) -> Vec<Value> {
        let to = format!("1415555{last_four}");
        self.whole_plivo_log().await.into_iter().filter(|entry| entry["to"] == to.as_str()).collect()
    }

    /// Polls a verification until it is as wanted; the local Plivo's reports take a moment of real time.
    pub async fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..POLLS {
            let v = self.read(id).await;
            if wanted(&v) {
                return v;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {what}: {:#}", self.read(id).await);
    }

    /// Polls a handset until it is as wanted.
    pub async fn until_handset(&self, last_four: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..POLLS {
            let handset = self.handset(last_four).await;
            if wanted(&handset) {
                return handset;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {what}: {:#}", self.handset(last_four).await);
    }

    /// The code of the newest text, once one is there.
    pub async fn texted_code(&self, last_four: &str) -> String {
        let handset = self.until_handset(last_four, "texted", |h| h["messages"][0]["code"].is_string()).await;
        handset["messages"].as_array().unwrap().last().unwrap()["code"].as_str().unwrap().to_owned()
    }

    /// The code of a call, once one is spoken.
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

/// A code that is not this one.
pub fn wrong(code: &str) -> String {
    let first = if code.starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code[1..])
}
