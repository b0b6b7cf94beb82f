//! Processes of the real program, and the Plivo that they talk to. Each ends with its test.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use phlo_2fa::sandbox::{Flow, Sandbox, SandboxConfig};
use serde_json::{Value, json};

use crate::support::{Answer, client};

pub const AUTH_ID: &str = "MADEMO00000000000000";
pub const AUTH_TOKEN: &str = "the-auth-token-of-these-tests";
pub const API_KEY: &str = "the-api-key-of-these-tests-0123456789";
pub const CALLBACK_SECRET: &str = "the-callback-secret-of-these-tests";
/// 32 bytes.
pub const SECRET_KEY: &str = "bm90LWEtc2VjcmV0LW9mLWFueWJvZHktYnV0LXRlc3Q=";
pub const NUMBER: &str = "+14155550199";

/// How long a test waits before it fails. Generous, because a loaded machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A running process of the program.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it with these arguments, and with these environment variables only.
    pub fn start(args: &[&str], env: &[(String, String)]) -> Self {
        let (process, _) = Self::start_and_read(args, env);
        process
    }

    /// The same with a limit on open files.
    pub fn start_with_files(files: u32, args: &[&str], env: &[(String, String)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_phlo-2fa")]);
        Self::begin(command, args, env).0
    }

    /// The same, with a receiver for the lines of its standard output.
    pub fn start_and_read(args: &[&str], env: &[(String, String)]) -> (Self, mpsc::Receiver<String>) {
        Self::begin(Command::new(env!("CARGO_BIN_EXE_phlo-2fa")), args, env)
    }

    /// The same in a directory, whose `.env` it reads.
    pub fn start_in(directory: &Path, args: &[&str]) -> Self {
        Self::begin_in(directory, Command::new(env!("CARGO_BIN_EXE_phlo-2fa")), args, &[]).0
    }

    fn begin(command: Command, args: &[&str], env: &[(String, String)]) -> (Self, mpsc::Receiver<String>) {
        // The directory has no `.env` of the developer.
        Self::begin_in(&std::env::temp_dir(), command, args, env)
    }

    fn begin_in(
        directory: &Path,
        mut command: Command,
        args: &[&str],
        env: &[(String, String)],
    ) -> (Self, mpsc::Receiver<String>) {
        command.args(args).env_clear().envs(env.iter().cloned()).current_dir(directory);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (log, output) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
        let append = |to: &Arc<Mutex<String>>, line: &str| {
            let mut text = to.lock().unwrap();
            text.push_str(line);
            text.push('\n');
        };
        let (stderr, written) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| append(&written, &line));
        });
        let (line, lines) = mpsc::channel();
        let (stdout, written) = (child.stdout.take().unwrap(), Arc::clone(&output));
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                append(&written, &text);
                let _ = line.send(text);
            }
        });
        (Self { child, log, output }, lines)
    }

    /// The standard output so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills it, as a crash would, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it through a shared reference, and does not wait.
    pub fn crash(&self) {
        self.signal("KILL");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status().unwrap();
        assert!(kill.success());
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub async fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the process does not end:\n{}", self.log());
            pause().await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "a failed test shows it")]
impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<_> = log.lines().rev().take(40).collect();
            println!("--- last log lines of process {}:", self.child.id());
            last.iter().rev().for_each(|line| println!("{line}"));
        }
    }
}

/// A temporary directory that is removed with the test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn create() -> Self {
        let path = std::env::temp_dir().join(format!("phlo-2fa-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `phlo-2fa serve`.
pub struct Service {
    pub url: String,
    pub process: Process,
    env: Vec<(String, String)>,
    http: reqwest::Client,
}

impl Service {
    /// Starts it on a free port. `PUBLIC_URL` is its own URL, unless the settings have another.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        loop {
            let port = free_port();
            if let Some(service) = Self::start_on(port, settings).await {
                return service;
            }
        }
    }

    /// Starts it on this port; `None` if the port is taken.
    pub async fn start_on(port: u16, settings: &[(&str, &str)]) -> Option<Self> {
        let url = format!("http://127.0.0.1:{port}");
        let mut env = defaults();
        env.extend([("BIND".into(), format!("127.0.0.1:{port}")), ("PUBLIC_URL".into(), url.clone())]);
        env.retain(|(name, _)| settings.iter().all(|(set, _)| set != name));
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let process = Process::start(&["serve"], &env);
        let mut service = Self { url, process, env, http: client() };
        service.until_live().await.then_some(service)
    }

    /// Starts it again on the same port, after a kill.
    pub async fn start_again(&mut self) {
        self.process = Process::start(&["serve"], &self.env);
        assert!(self.until_live().await, "the port is taken:\n{}", self.process.log());
    }

    async fn until_live(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if self.status("/livez").await == Some(200) {
                return true;
            }
            if self.process.ended().is_some() {
                assert!(self.process.log().contains("cannot listen"), "the service ended:\n{}", self.process.log());
                return false;
            }
            assert!(start.elapsed() < PATIENCE, "the service does not start:\n{}", self.process.log());
            pause().await;
        }
    }

    pub async fn until_ready(&self) {
        until("ready", async || self.status("/readyz").await == Some(200)).await;
    }

    /// The HTTP status of a GET without a key; `None` without an answer.
    pub async fn status(&self, path: &str) -> Option<u16> {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.ok()?;
        Some(response.status().as_u16())
    }

    /// Sends a request with the app's key; `None` without an answer.
    pub async fn try_send(&self, method: &str, path: &str, body: Value) -> Option<Answer> {
        self.try_send_once(None, method, path, body).await
    }

    /// The same, with an idempotency key.
    pub async fn try_send_once(&self, key: Option<&str>, method: &str, path: &str, body: Value) -> Option<Answer> {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url)).bearer_auth(API_KEY);
        let request = if body.is_null() { request } else { request.json(&body) };
        let request = if let Some(key) = key { request.header("Idempotency-Key", key) } else { request };
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.ok()?;
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
        Some(Answer { status, headers, body })
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        self.try_send(method, path, body).await.unwrap_or_else(|| panic!("{method} {path} is not answered"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Value::Null).await
    }

    /// Creates a verification of a number, with more fields in the body.
    pub async fn create(&self, to: &str, more: Value) -> Answer {
        let mut body = json!({ "to": to });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.send("POST", "/v1/verifications", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    pub async fn check(&self, id: &str, code: &str) -> Answer {
        self.send("POST", &format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await
    }

    /// The same for a test that overloads the machine: retries while the answer is 503.
    pub async fn create_patiently(&self, to: &str) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.send("POST", "/v1/verifications", json!({ "to": to })).await;
            if answer.status != 503 || start.elapsed() > PATIENCE {
                assert!(matches!(answer.status, 200 | 201), "{answer:?}");
                return answer;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    pub async fn read(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.get(&format!("/v1/verifications/{id}")).await;
            if answer.status != 503 || start.elapsed() > PATIENCE {
                assert_eq!(answer.status, 200, "{answer:?}");
                return answer.body;
            }
            pause().await;
        }
    }

    pub async fn until(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || wanted(&self.read(id).await)).await;
        self.read(id).await
    }

    pub async fn has_happened(&self, id: &str, event: &str) -> bool {
        let timeline = self.get(&format!("/v1/verifications/{id}/timeline")).await;
        timeline.body["entries"].as_array().unwrap().iter().any(|entry| entry["event"] == event)
    }
}

/// A limit that no test reaches.
const WIDE: &str = "1000000000/10m";

/// The settings of every service in these tests.
pub fn defaults() -> Vec<(String, String)> {
    [
        ("PLIVO_AUTH_ID", AUTH_ID),
        ("PLIVO_AUTH_TOKEN", AUTH_TOKEN),
        ("PLIVO_NUMBER", NUMBER),
        ("PHLO_ID", "2b1c7f0e-0000-4000-8000-000000000000"),
        ("CALLBACK_SECRET", CALLBACK_SECRET),
        ("API_KEYS", &format!("shop:{API_KEY}")),
        ("SECRET_KEY", SECRET_KEY),
        ("ESCALATION", "fixed+fail:35"),
        ("LIMIT_NUMBER", WIDE),
        ("LIMIT_NUMBER_CALL", WIDE),
        ("LIMIT_PREFIX", WIDE),
        ("LIMIT_PREFIX_CALL", WIDE),
        ("LIMIT_COUNTRY", WIDE),
        ("LIMIT_IP", WIDE),
        ("LIMIT_APP", WIDE),
        ("LIMIT_TOTAL", WIDE),
        ("DAILY_BUDGET", "1000000"),
        ("PLIVO_RATE", "1000000/1s"),
        ("DRAIN_SECONDS", "0"),
        ("RUST_LOG", "debug"),
        ("LOG_FORMAT", "json"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A local Plivo in the test's process.
pub struct Plivo {
    pub url: String,
    sandbox: Sandbox,
    server: actix_web::dev::ServerHandle,
    http: reqwest::Client,
}

/// A listener for a local Plivo, and its URL.
pub fn plivo_listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

impl Plivo {
    /// Starts it. Its flow reports to `public_url`.
    pub fn serve(listener: TcpListener, public_url: &str, speed: f64) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = SandboxConfig {
            auth_id: AUTH_ID.into(),
            auth_token: AUTH_TOKEN.to_owned().into(),
            public_url: public_url.to_owned(),
            callback_secret: Some(CALLBACK_SECRET.to_owned().into()),
            speed,
            seed: 1,
            terse_runs: false,
        };
        let sandbox = Sandbox::new(config, Flow::two_factor().unwrap()).unwrap();
        let server = sandbox.serve(listener).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, sandbox, server: handle, http: client() }
    }

    /// Begins or ends an outage.
    pub async fn outage(&self, outage: Value) {
        let answer = self.http.post(format!("{}/outage", self.url)).json(&outage).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// The texts and calls that a number received.
    pub async fn handset(&self, to: &str) -> Value {
        handset(&self.http, &self.url, to).await
    }

    /// The requests for a number in order, each `sms` or `call`.
    pub async fn requests(&self, to: &str) -> Vec<String> {
        let log: Value = get_json(&self.http, &format!("{}/log", self.url)).await;
        let of = log.as_array().unwrap().iter().filter(|entry| entry["to"] == to.trim_start_matches('+'));
        of.map(|entry| entry["mode"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn until_requested(&self, to: &str, times: usize) {
        until("requested from Plivo", async || self.requests(to).await.len() >= times).await;
    }

    pub async fn until_handset(&self, to: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || wanted(&self.handset(to).await)).await;
        self.handset(to).await
    }

    /// The code of the first text.
    pub async fn texted_code(&self, to: &str) -> String {
        let handset = self.until_handset(to, "texted", |h| h["messages"][0]["code"].is_string()).await;
        handset["messages"][0]["code"].as_str().unwrap().to_owned()
    }
}

impl Drop for Plivo {
    fn drop(&mut self) {
        self.sandbox.close_streams();
        drop(self.server.stop(false));
    }
}

/// Starts the local Plivo and a service, each in its own process. Returns both, and the URL of the local Plivo.
///
/// The two name each other's URL, so the service's port is chosen first.
pub async fn service_and_plivo(speed: &str, settings: &[(&str, &str)]) -> (Service, Process, String) {
    loop {
        let port = free_port();
        let env = [
            ("BIND", "127.0.0.1:0"),
            ("PLIVO_AUTH_ID", AUTH_ID),
            ("PLIVO_AUTH_TOKEN", AUTH_TOKEN),
            ("PUBLIC_URL", &format!("http://127.0.0.1:{port}")),
            ("CALLBACK_SECRET", CALLBACK_SECRET),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (plivo, lines) = Process::start_and_read(&["simulate-plivo", "--speed", speed], &env);
        let line = lines.recv().unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let url = url.trim_end_matches('.').to_owned();
        let urls = [("PLIVO_API_URL", url.as_str()), ("PLIVO_PHLO_URL", &url)];
        if let Some(service) = Service::start_on(port, &[settings, &urls].concat()).await {
            return (service, plivo, url);
        }
    }
}

/// The texts and calls that a number received.
pub async fn handset(http: &reqwest::Client, plivo: &str, to: &str) -> Value {
    get_json(http, &format!("{plivo}/handset/{}", to.trim_start_matches('+'))).await
}

pub async fn get_json(http: &reqwest::Client, url: &str) -> Value {
    let body = http.get(url).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Polls until the condition holds, which `what` names.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        pause().await;
    }
}

pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// A free port below those of outgoing connections, so that it stays free while its process is down.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9000).unwrap();
    loop {
        let port = 21_500 + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
