//! The local Plivo over HTTP, with a receiver in place of the service.

mod api;
mod control;
mod phlo;

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::*;
use crate::plivo::signature::{self, SignatureHeaders, Tokens};

const ACCOUNT: &str = "MADEMO00000000000000";

/// One request to the receiver.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    body: String,
    /// Whether its V3 signature is valid.
    is_signed: bool,
    nonce: Option<String>,
    authorization: Option<String>,
}

impl Received {
    fn form(&self) -> std::collections::HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A local Plivo, at speed 20 by default, and the receiver of its callbacks.
struct Scene {
    plivo: String,
    service: String,
    received: Arc<Mutex<Vec<Received>>>,
    client: reqwest::Client,
    sandbox: Sandbox,
    /// How many requests the receiver will answer with 503.
    failures_left: Arc<AtomicUsize>,
}

impl Scene {
    fn new() -> Self {
        Self::at_speed(20.0)
    }

    fn at_speed(speed: f64) -> Self {
        Self::with(speed, false)
    }

    fn with(speed: f64, terse_runs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let failures_left = Arc::new(AtomicUsize::new(0));
        serve_receiver(listener, service.clone(), Arc::clone(&received), Arc::clone(&failures_left));

        let config = SandboxConfig {
            auth_id: ACCOUNT.to_owned(),
            auth_token: "demo".into(),
            public_url: format!("{service}/"),
            callback_secret: Some("typed-on-the-canvas".into()),
            speed,
            seed: 1,
            terse_runs,
        };
        let sandbox = Sandbox::new(config, Flow::two_factor().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let plivo = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(sandbox.serve(listener).unwrap());

        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Self { plivo, service, received, client, sandbox, failures_left }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.plivo)).basic_auth(ACCOUNT, Some("demo")).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.plivo)).basic_auth(ACCOUNT, Some("demo"));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn run(&self, to: &str, mode: &str) -> (u16, Value) {
        let payload = json!({ "from": "14155550000", "to": to, "otp": "482913", "mode": mode, "ref": "r_1" });
        self.post(&format!("/v1/account/{ACCOUNT}/phlo/any"), &payload).await
    }

    async fn text(&self, to: &str) -> (u16, Value) {
        let url = format!("{}/plivo/message/r_1", self.service);
        let body = json!({ "src": "14155550000", "dst": to, "text": "482913 is your code", "url": url });
        self.post(&format!("/v1/Account/{ACCOUNT}/Message/"), &body).await
    }

    async fn call(&self, to: &str) -> (u16, Value) {
        let (answer, hangup) = (format!("{}/answer", self.service), format!("{}/plivo/call/r_1", self.service));
        let body = json!({ "from": "14155550000", "to": to, "answer_url": answer, "hangup_url": hangup,
            "machine_detection": "hangup" });
        self.post(&format!("/v1/Account/{ACCOUNT}/Call/"), &body).await
    }

    async fn delete(&self, path: &str) -> u16 {
        let request = self.client.delete(format!("{}{path}", self.plivo)).basic_auth(ACCOUNT, Some("demo"));
        request.send().await.unwrap().status().as_u16()
    }

    async fn control(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.plivo)).send().await.unwrap().json().await.unwrap()
    }

    /// The requests to a path, once there are at least `count`.
    async fn received(&self, path: &str, count: usize) -> Vec<Received> {
        let at_path = || self.received.lock().unwrap().iter().filter(|r| r.path == path).cloned().collect::<Vec<_>>();
        eventually(|| Some(at_path()).filter(|received| received.len() >= count)).await
    }

    async fn statuses(&self, path: &str, count: usize) -> Vec<String> {
        self.received(path, count).await.iter().map(|received| received.form()["Status"].clone()).collect()
    }

    /// The handset, once it fulfils `condition`.
    async fn handset(&self, to: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(|| Some(serde_json::to_value(self.sandbox.0.handsets.state(to)).unwrap()).filter(&condition)).await
    }
}

/// Polls for at most ten seconds of real time, because real servers talk to each other here.
async fn eventually<T>(find: impl Fn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = find() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not found within ten seconds");
}

fn serve_receiver(
    listener: TcpListener,
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    failures_left: Arc<AtomicUsize>,
) {
    let handle = move |http: HttpRequest, body: String| {
        let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
        let params: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let tokens = Tokens::new(["demo".into()], []);
        let request = signature::SignedRequest {
            method: http.method().as_str(),
            url: &format!("{url}{}", http.uri()),
            params: &params,
        };
        let is_signed = header("X-Plivo-Signature-V3").is_some()
            && signature::verify(&tokens, SignatureHeaders::read(header), request).is_ok();
        received.lock().unwrap().push(Received {
            path: http.path().to_owned(),
            body,
            is_signed,
            nonce: header("X-Plivo-Signature-V3-Nonce").map(str::to_owned),
            authorization: header("Authorization").map(str::to_owned),
        });
        let is_answer_url = http.path() == "/answer";
        let is_failing =
            failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move {
            if is_failing {
                HttpResponse::ServiceUnavailable().finish()
            } else if is_answer_url {
                HttpResponse::Ok()
                    .content_type("application/xml")
                    .body("<Response><Speak voice=\"Polly.Joanna\">Your code is 4, 8, 2, 9, 1, 3.</Speak></Response>")
            } else {
                HttpResponse::Ok().finish()
            }
        }
    };
    let app = move || App::new().default_service(web::to(handle.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
    tokio::spawn(server);
}

fn has_message(handset: &Value) -> bool {
    handset["messages"].as_array().is_some_and(|messages| !messages.is_empty())
}

fn call_is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |handset| handset["calls"].as_array().and_then(|calls| calls.last()).is_some_and(|c| c["status"] == status)
}
