//! A Plivo that accepts every request, reports nothing, and counts.

use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::stub_server;

/// The body of each request, with the id that was answered under `id`.
type Requests = Mutex<Vec<Value>>;

/// A Plivo for one test.
pub(super) struct CountingPlivo {
    pub(super) url: String,
    requests: Arc<Requests>,
    server: actix_web::dev::ServerHandle,
}

impl CountingPlivo {
    pub(super) fn start() -> Self {
        let requests = Arc::<Requests>::default();
        let (url, server) = stub_server::start(web::Data::from(Arc::clone(&requests)), |app| {
            app.default_service(web::to(accept));
        });
        Self { url, requests, server }
    }

    /// How many requests it has received.
    pub(super) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The callback URL of the last text to a number.
    pub(super) fn report_url(&self, to: &str) -> String {
        self.of_last_text(to, "url")
    }

    /// The id of the last text to a number.
    pub(super) fn text_id(&self, to: &str) -> String {
        self.of_last_text(to, "id")
    }

    fn of_last_text(&self, to: &str, field: &str) -> String {
        let requests = self.requests.lock().unwrap();
        let last = requests.iter().rfind(|request| request["dst"] == to && request["text"].is_string());
        last.unwrap_or_else(|| panic!("no text to {to}"))[field].as_str().unwrap().to_owned()
    }

    /// Whether it was asked to call a number.
    pub(super) fn has_called(&self, to: &str) -> bool {
        let is_call = |request: &Value| request["to"] == to && request["answer_url"].is_string();
        self.requests.lock().unwrap().iter().any(is_call)
    }
}

impl Drop for CountingPlivo {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn accept(request: HttpRequest, body: web::Bytes, requests: web::Data<Requests>) -> HttpResponse {
    let id = Uuid::new_v4().to_string();
    let mut received: Value = serde_json::from_slice(&body).unwrap();
    received["id"] = id.clone().into();
    requests.lock().unwrap().push(received);
    if request.path().ends_with("/Message/") {
        return HttpResponse::Accepted().json(json!({ "message": "message(s) queued", "message_uuid": [id] }));
    }
    HttpResponse::Created().json(json!({ "message": "call fired", "request_uuid": id }))
}
