//! Logs and metrics contain no code, key or full number, at the most verbose levels. A log that is not read stops no
//! request, and one that is read misses no line.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{client, wrong};
use crate::world::{
    API_KEY, AUTH_ID, AUTH_TOKEN, CALLBACK_SECRET, NUMBER, Process, SECRET_KEY, defaults, free_port, handset,
    service_and_plivo, until,
};

async fn assert_nothing_secret_is_logged(log: &str) {
    let redis = RedisServer::start_with(&["--requirepass", "the-redis-password"]);
    let redis_url = format!("redis://:the-redis-password@127.0.0.1:{}", redis.port);
    let (mut service, plivo, plivo_url) =
        service_and_plivo("50", &[("REDIS_URL", &redis_url), ("PLIVO_TIMEOUT", "1"), ("RUST_LOG", log)]).await;
    service.until_ready().await;
    let http = client();
    let mut secrets: Vec<String> = [API_KEY, SECRET_KEY, AUTH_TOKEN, CALLBACK_SECRET].map(str::to_owned).into();
    let mut numbers = vec![NUMBER.to_owned()];

    // The customer's own codes have ten digits, which no timestamp, port or UUID contains by chance.
    let scenarios = ["0100", "0101", "0107", "0110", "0111", "0112", "0113", "0116", "0118", "0190"];
    for (n, last_four) in scenarios.into_iter().enumerate() {
        let (to, code) = (format!("+1415555{last_four}"), format!("90715348{n:02}"));
        let answer = service.create(&to, json!({ "code": code, "escalation": "fixed+fail:1" })).await;
        let id = answer.id().to_owned();
        service.check(&id, &wrong(&code)).await;
        let malformed = format!("/v1/verifications/{id}/checks");
        service.send("POST", &malformed, json!({ "code": 9_071_534_826_u64 })).await;
        service.send("POST", &malformed, json!({ "code": code, "9071534826": code })).await;
        service.send("POST", "/v1/verifications/search", json!({ "to": to })).await;
        service.send("GET", &format!("/checkcode/{to}/{code}"), Value::Null).await;
        if !matches!(last_four, "0107" | "0112" | "0116" | "0190") {
            let has_code = async || {
                let h = handset(&http, &plivo_url, &to).await;
                h["messages"][0]["code"] == code.as_str()
                    || h["calls"].as_array().unwrap().iter().any(|call| call["code"] == code.as_str())
            };
            until(last_four, has_code).await;
            let checked = service.send("POST", "/v1/checks", json!({ "to": to, "code": code })).await;
            assert_eq!(checked.body["result"], "verified", "{last_four}: {checked:?}");
        }
        secrets.extend([code.clone(), wrong(&code)]);
        numbers.push(to);
    }
    secrets.push("9071534826".into());
    // An invalid number, an invalid body, and an unknown key.
    service.send("POST", "/v1/verifications", json!({ "to": "+10005550134" })).await;
    service.send("POST", "/v1/verifications", json!({ "to": 14_155_550_134_u64 })).await;
    numbers.extend(["+10005550134".into(), "+14155550134".into()]);
    let foreign = http.get(format!("{}/v1/verifications", service.url)).bearer_auth("an-unknown-api-key-7351");
    assert_eq!(foreign.send().await.unwrap().status(), 401);
    let path = format!("{}/plivo/{CALLBACK_SECRET}/call", service.url);
    http.post(path).form(&[("CallUUID", "none"), ("To", "14155550100")]).send().await.unwrap();
    secrets.extend(["an-unknown-api-key-7351".into(), "the-redis-password".into()]);
    // The credentials as Basic authentication sends them.
    secrets.push(base64_of(&format!("{AUTH_ID}:{AUTH_TOKEN}")));

    let metrics = service.get("/metrics").await;
    let metrics = metrics.body.as_str().unwrap().to_owned();
    service.process.terminate();
    service.process.end().await;
    let texts = [("the log", service.process.log()), ("the metrics", metrics), ("the local Plivo", plivo.log())];
    assert!(texts[0].1.contains("\"event\":\"verification_ended\"") && texts[1].1.contains("phlo2fa_"));
    for (where_, text) in &texts {
        for secret in &secrets {
            assert_absent(where_, text, secret);
        }
        for number in &numbers {
            // Found with or without its country code.
            assert_absent(where_, text, &number[2..]);
        }
    }
}

fn assert_absent(where_: &str, text: &str, secret: &str) {
    let line = text.lines().find(|line| line.contains(secret));
    assert!(line.is_none(), "{secret} is in {where_}: {}", line.unwrap_or_default());
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_at_debug() {
    assert_nothing_secret_is_logged("debug,phlo_2fa=trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_at_trace() {
    assert_nothing_secret_is_logged("trace").await;
}

/// A service whose standard error is a pipe that nothing reads until the test says so.
struct Unread {
    process: Child,
    url: String,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Unread {
    async fn start(log: &str) -> Self {
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut env = defaults();
        env.retain(|(name, _)| name != "RUST_LOG");
        let own = [("BIND", format!("127.0.0.1:{port}")), ("PUBLIC_URL", url.clone()), ("RUST_LOG", log.into())];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        env.push(("REDIS_URL".into(), "memory://".into()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_phlo-2fa"));
        command.env_clear().envs(env).current_dir(std::env::temp_dir()).stdin(Stdio::null());
        let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let service = Self { process, url, lines: Arc::default() };
        until("live", async || service.is_answered("/livez").await).await;
        service
    }

    async fn is_answered(&self, path: &str) -> bool {
        client().get(format!("{}{path}", self.url)).send().await.is_ok()
    }

    /// Sends requests that are refused, many at a time.
    async fn flood(&self) {
        let http = client();
        let request = || http.get(format!("{}/v1/routes", self.url)).send();
        for answer in futures_util::future::join_all((0..100).map(|_| request())).await {
            assert_eq!(answer.unwrap().status(), 401);
        }
    }

    async fn dropped_lines(&self) -> u64 {
        let metrics = client().get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let lines = metrics.lines().find_map(|line| line.strip_prefix("phlo2fa_log_lines_dropped_total "));
        lines.unwrap().parse().unwrap()
    }

    fn read(&mut self) -> JoinHandle<()> {
        let (stderr, read) = (BufReader::new(self.process.stderr.take().unwrap()), Arc::clone(&self.lines));
        std::thread::spawn(move || {
            for line in stderr.lines() {
                read.lock().unwrap().push(serde_json::from_str(&line.unwrap()).unwrap());
            }
        })
    }

    /// How many lines the log says it dropped.
    fn reported(&self) -> u64 {
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|line| line["event"] == "log_lines_dropped")
            .map(|line| line["lines"].as_u64().unwrap())
            .sum()
    }

    /// Stops it; returns all its lines.
    fn stop(mut self, reading: JoinHandle<()>) -> Vec<Value> {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.process.id())).status().unwrap();
        assert!(kill.success());
        assert!(self.process.wait().unwrap().success());
        reading.join().unwrap();
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_not_read_stops_no_request_and_says_what_it_dropped() {
    let mut service = Unread::start("trace").await;
    until("the queue overflows", async || {
        service.flood().await;
        service.dropped_lines().await > 0
    })
    .await;
    let dropped = service.dropped_lines().await;
    let reading = service.read();
    until("the log says what it dropped", async || service.reported() >= dropped).await;
    let lines = service.stop(reading);
    assert_eq!(lines.last().unwrap()["event"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_written_before_the_process_ends() {
    let mut service = Unread::start("info").await;
    let reading = service.read();
    for _ in 0..5 {
        service.flood().await;
    }
    let lines = service.stop(reading);
    let requests = lines.iter().filter(|line| line["event"] == "request" && line["route"] == "/v1/routes");
    assert_eq!(requests.filter(|line| line["span"]["request_id"].is_string()).count(), 500);
    assert_eq!(lines.last().unwrap()["event"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_ends_its_log_with_the_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut env = defaults();
    env.push(("BIND".into(), taken.local_addr().unwrap().to_string()));
    env.extend([("PUBLIC_URL".into(), "http://127.0.0.1:1".into()), ("REDIS_URL".into(), "memory://".into())]);
    let mut process = Process::start(&["serve"], &env);
    assert!(!process.end().await.success());
    until("the log is read", async || process.log().contains("cannot listen")).await;
    let log = process.log();
    let lines: Vec<_> = log.lines().collect();
    // `serve` logs what is unusual about its settings, such as `memory://`, before it listens.
    assert!(lines[0].contains("\"event\":\"setting\""), "{log}");
    assert!(lines.last().unwrap().starts_with("BIND: cannot listen"), "{log}");
}
