//! The local Plivo over its own wire, against a receiver that stands in for the service.

mod api;
mod open;
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

/// One request the receiver got: path, body, whether its V3 signature holds, its Authorization.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    body: String,
    signed: bool,
    nonce: Option<String>,
    authorization: Option<String>,
}

impl Received {
    fn form(&self) -> std::collections::HashMap<String, String> {
        serde_urlencoded::from_str(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A local Plivo at speed 20, and the service it calls back.
struct Scene {
    plivo: String,
    service: String,
    received: Arc<Mutex<Vec<Received>>>,
    client: reqwest::Client,
    sandbox: Sandbox,
    /// How many requests the receiver still answers with 503.
    failing: Arc<AtomicUsize>,
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
        let failing = Arc::new(AtomicUsize::new(0));
        serve_receiver(listener, service.clone(), Arc::clone(&received), Arc::clone(&failing));

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
        Self { plivo, service, received, client, sandbox, failing }
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

    async fn open(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.plivo)).send().await.unwrap().json().await.unwrap()
    }

    /// What the service got at a path, as soon as `enough` of it has come.
    async fn received(&self, path: &str, enough: usize) -> Vec<Received> {
        let at_path = || self.received.lock().unwrap().iter().filter(|r| r.path == path).cloned().collect::<Vec<_>>();
        eventually(|| Some(at_path()).filter(|received| received.len() >= enough)).await
    }

    async fn statuses(&self, path: &str, enough: usize) -> Vec<String> {
        self.received(path, enough).await.iter().map(|received| received.form()["Status"].clone()).collect()
    }

    /// The handset once it looks as it should.
    async fn handset(&self, to: &str, ready: impl Fn(&Value) -> bool) -> Value {
        eventually(|| Some(serde_json::to_value(self.sandbox.0.handsets.state(to)).unwrap()).filter(&ready)).await
    }
}

/// Looks every few milliseconds, for ten seconds at most: real servers talk to each other here.
async fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}

fn serve_receiver(listener: TcpListener, url: String, received: Arc<Mutex<Vec<Received>>>, failing: Arc<AtomicUsize>) {
    let take = move |http: HttpRequest, body: String| {
        let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
        let params: Vec<(String, String)> = serde_urlencoded::from_str(&body).unwrap_or_default();
        let tokens = Tokens::new(["demo".into()], []);
        let request = signature::Request {
            method: http.method().as_str(),
            url: &format!("{url}{}", http.uri()),
            params: &params,
        };
        let signed = header("X-Plivo-Signature-V3").is_some()
            && signature::verify(&tokens, SignatureHeaders::read(header), request).is_ok();
        received.lock().unwrap().push(Received {
            path: http.path().to_owned(),
            body,
            signed,
            nonce: header("X-Plivo-Signature-V3-Nonce").map(str::to_owned),
            authorization: header("Authorization").map(str::to_owned),
        });
        let answers = http.path() == "/answer";
        let fails = failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move {
            if fails {
                HttpResponse::ServiceUnavailable().finish()
            } else if answers {
                HttpResponse::Ok()
                    .content_type("application/xml")
                    .body("<Response><Speak voice=\"Polly.Joanna\">Your code is 4, 8, 2, 9, 1, 3.</Speak></Response>")
            } else {
                HttpResponse::Ok().finish()
            }
        }
    };
    let app = move || App::new().default_service(web::to(take.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
    tokio::spawn(server);
}

fn all_arrived(handset: &Value) -> bool {
    handset["messages"].as_array().is_some_and(|messages| !messages.is_empty())
}

fn call_is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |handset| handset["calls"].as_array().and_then(|calls| calls.last()).is_some_and(|c| c["status"] == status)
}
