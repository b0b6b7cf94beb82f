//! [`ApiAnswer`]: JSON with an `api_id`; an error is `{"api_id", "error"}`.
//! Source: plivo.com/docs/messaging/api/response.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

/// An answer of the API and its delay.
#[derive(Debug)]
pub(super) struct ApiAnswer {
    pub(super) status: u16,
    body: Value,
    /// How long the answer hangs, in real time.
    pub(super) delay: Duration,
}

impl ApiAnswer {
    /// An answer with a JSON object.
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, delay: Duration::ZERO }
    }

    pub(super) fn error(status: u16, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }

    /// 204 without a body.
    pub(super) fn deleted() -> Self {
        Self::new(204, Value::Null)
    }

    pub(super) fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
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
