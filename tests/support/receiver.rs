//! A receiver of webhooks: it keeps what it is sent, and answers as it is told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, ServiceConfig, to};
use actix_web::{HttpRequest, HttpResponse};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::sync::watch;

/// A secret, in the form of the setting.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver on this machine. It ends with the test.
pub struct Receiver {
    /// Its URL.
    pub url: String,
    state: Data<State>,
}

/// A request that it took, also if it answered with a failure.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `webhook-id`.
    pub id: String,
    /// The status that it answered with.
    pub answer: u16,
    /// The body.
    pub body: Value,
    /// When it came.
    at: jiff::Timestamp,
    headers: HeaderMap,
    raw: Vec<u8>,
}

#[derive(Default)]
struct State {
    taken: Mutex<Vec<Delivery>>,
    /// The statuses of the next answers; then 204.
    answers: Mutex<VecDeque<u16>>,
    /// Whether answers wait.
    is_held: watch::Sender<bool>,
    answered: AtomicUsize,
    /// How many of a hundred answers are 503.
    failing: AtomicUsize,
}

impl Receiver {
    /// Starts one that answers 204.
    pub fn start() -> Self {
        let state = Data::new(State::default());
        let (url, _) = super::stub_server::start(state.clone(), configure);
        Self { url: format!("{url}/hook"), state }
    }

    /// Answers with these statuses first.
    pub fn answer(&self, statuses: &[u16]) {
        self.state.answers.lock().unwrap().extend(statuses);
    }

    /// Answers 503 to so many of a hundred requests, spread evenly.
    pub fn fail(&self, percent: usize) {
        self.state.failing.store(percent, Ordering::Relaxed);
    }

    /// Answers nothing until it is released.
    pub fn hold(&self, is_held: bool) {
        self.state.is_held.send_replace(is_held);
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> usize {
        self.state.answered.load(Ordering::Relaxed)
    }

    /// Waits until it has answered an event of this type with 2xx.
    pub async fn until(&self, kind: &str) {
        let start = Instant::now();
        while !self.types().iter().any(|known| known == kind) {
            assert!(start.elapsed() < super::PATIENCE, "no {kind} in {:?}", self.types());
            tokio::time::sleep(super::POLL_EVERY).await;
        }
    }

    /// Everything that it took, in order.
    pub fn taken(&self) -> Vec<Delivery> {
        self.state.taken.lock().unwrap().clone()
    }

    /// The types of the events that it answered with 2xx, in order.
    pub fn types(&self) -> Vec<String> {
        let taken = self.taken().into_iter().filter(|delivery| delivery.answer < 300);
        taken.map(|delivery| delivery.body["type"].as_str().unwrap().to_owned()).collect()
    }
}

impl Delivery {
    /// Whether the published verifier accepts it with this secret. It accepts a time within five minutes of the machine's.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        Webhook::new(secret).unwrap().verify(&self.raw, &self.headers).is_ok()
    }

    /// How long after its event it came.
    pub fn since_event(&self) -> Duration {
        let event: jiff::Timestamp = self.body["timestamp"].as_str().unwrap().parse().unwrap();
        self.at.duration_since(event).try_into().unwrap_or_default()
    }

    /// Its headers and its body as they came.
    pub fn request(&self) -> Value {
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
        let headers: serde_json::Map<String, Value> = headers.collect();
        serde_json::json!({ "headers": headers, "body": std::str::from_utf8(&self.raw).unwrap() })
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn configure(service: &mut ServiceConfig) {
    service.route("/hook", actix_web::web::post().to(take)).default_service(to(HttpResponse::ImATeapot));
}

async fn take(request: HttpRequest, body: Bytes, state: Data<State>) -> HttpResponse {
    // 37 and 100 have no common factor: of any hundred requests in a row each share comes once.
    let share = state.taken.lock().unwrap().len() * 37 % 100;
    let usual = if share < state.failing.load(Ordering::Relaxed) { 503 } else { 204 };
    let answer = state.answers.lock().unwrap().pop_front().unwrap_or(usual);
    let pairs = request.headers().iter().map(|(name, value)| {
        let name: HeaderName = name.as_str().parse().unwrap();
        (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    let headers: HeaderMap = pairs.collect();
    let id = headers.get("webhook-id").map_or("", |id| id.to_str().unwrap()).to_owned();
    let parsed = serde_json::from_slice(&body).unwrap_or(Value::Null);
    state.taken.lock().unwrap().push(Delivery {
        id,
        answer,
        body: parsed,
        at: jiff::Timestamp::now(),
        headers,
        raw: body.to_vec(),
    });
    let _ = state.is_held.subscribe().wait_for(|is_held| !is_held).await;
    state.answered.fetch_add(1, Ordering::Relaxed);
    HttpResponse::build(StatusCode::from_u16(answer).unwrap()).insert_header((LOCATION, "/elsewhere")).finish()
}
