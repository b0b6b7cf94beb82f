//! What the API answers: always JSON with an `api_id`, errors as `{"api_id", "error"}`.
//! Source: plivo.com/docs/messaging/api/response.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

/// An answer, and how long it is held back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    body: Value,
    /// Real time.
    pub(super) hangs: Duration,
}

impl Answer {
    /// A success with an object for its body.
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, hangs: Duration::ZERO }
    }

    pub(super) fn error(status: u16, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }

    /// 204, which has no body.
    pub(super) fn deleted() -> Self {
        Self::new(204, Value::Null)
    }

    pub(super) fn after(mut self, hangs: Duration) -> Self {
        self.hangs = hangs;
        self
    }

    pub(super) fn respond(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        match self.body {
            Value::Object(mut body) => {
                body.entry("api_id").or_insert_with(|| Value::from(Uuid::new_v4().to_string()));
                response.json(body)
            }
            _ => response.finish(),
        }
    }
}
