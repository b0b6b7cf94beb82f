//! What happens to every request: an id, one log line, one observation, and headers that keep answers out of
//! caches. Logs and metrics know route patterns, never paths: a path may hold a ref or the callback secret.

use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::web::Data;
use tracing::{Instrument, error_span, info};

use super::Shared;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request being answered; empty outside of one.
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Work of the request being answered that goes on when whoever asked has left: under its id, in its span.
pub fn in_its_name<W: Future>(work: W) -> impl Future<Output = W::Output> {
    REQUEST_ID.scope(request_id(), work).in_current_span()
}

/// Wraps every route.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = given_id(&request).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let method = request.method().clone();
    let shared = request.app_data::<Data<Shared>>().cloned();
    // Of the highest level: whatever RUST_LOG lets through says which request it is about.
    let span = error_span!("request", request_id = %id);
    let answer = REQUEST_ID.scope(id.clone(), next.call(request));
    let mut response = answer.instrument(span.clone()).await?;

    let took = started.elapsed();
    let route = response.request().match_pattern();
    let status = response.status().as_u16();
    let is_ops = matches!(route.as_deref(), Some("/livez" | "/readyz" | "/metrics"));
    if !is_ops {
        let (route, ms) = (route.as_deref().unwrap_or("unmatched"), took.as_secs_f64() * 1000.0);
        span.in_scope(|| info!(event = "request", %method, route, status, ms));
    }
    if let Some(shared) = shared {
        shared.engine.metrics.http_request(method.as_str(), route, status, took);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// The caller's own id, if it is one that can stand in a log: digits alone may be somebody's number or code.
fn given_id(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_digits = id.bytes().all(|b| b.is_ascii_digit());
    (!is_digits && id.len() <= 64 && id.bytes().all(is_plain)).then(|| id.to_owned())
}
