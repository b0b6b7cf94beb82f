//! What happens to every request: an id, a time within which it is answered, one log line, one observation, and
//! headers that keep answers out of caches and frames. Logs and metrics know route patterns, never paths: a path may
//! hold a ref or the callback secret.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use tracing::{Instrument, error, error_span, info};

use super::Shared;
use super::connections::{Answering, Busy};
use super::error::{ApiError, Kind};

/// How long an answer may take beside what a creation waits for Plivo: the body's ten seconds, and a store that only
/// just answers. Everything inside has bounds of its own, so that nobody should ever see this one.
const ANSWER_MAX: Duration = Duration::from_secs(15);

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
    let answering = Answering::begin(request.request());
    let id = given_id(&request).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let method = request.method().clone();
    let shared = request.app_data::<Data<Shared>>().cloned();
    // Of the highest level: whatever RUST_LOG lets through says which request it is about.
    let span = error_span!("request", request_id = %id);
    let wait = shared.as_ref().map_or(Duration::ZERO, |shared| shared.plivo_wait);
    let answer = REQUEST_ID.scope(id.clone(), tokio::time::timeout(wait + ANSWER_MAX, next.call(request)));
    let Ok(answer) = answer.instrument(span.clone()).await else {
        span.in_scope(|| error!(event = "request_given_up", %method, ms = started.elapsed().as_secs_f64() * 1000.0));
        return Err(given_up(&id).await);
    };
    let mut response = answer?;

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
    dress(response.headers_mut(), &id);
    if let Some(answering) = answering.as_ref().filter(|_| matches!(status, 408 | 413)) {
        answering.gives_up();
    }
    Ok(response.map_body(|_, body| Busy::with(body, answering)))
}

/// What every answer carries.
fn dress(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        // Of what is no page nothing is to be loaded; pages say what theirs need.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    let bare = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if let Some(bare) = bare.filter(|kind| kind.starts_with("text/") && !kind.contains(';'))
        && let Ok(whole) = HeaderValue::from_str(&format!("{bare}; charset=utf-8"))
    {
        headers.insert(CONTENT_TYPE, whole);
    }
}

/// An answer of its own, since the request went with whoever was to answer it.
async fn given_up(id: &str) -> Error {
    let problem =
        ApiError::new(Kind::StorageUnavailable, "Try again; reading the verification tells what became of it.");
    let problem = problem.retry_after(Duration::from_secs(1));
    let mut response = REQUEST_ID.scope(id.to_owned(), async { problem.error_response() }).await;
    dress(response.headers_mut(), id);
    InternalError::from_response(problem, response).into()
}

/// The caller's own id, if it is one that can stand in a log: digits alone may be somebody's number or code.
fn given_id(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_digits = id.bytes().all(|b| b.is_ascii_digit());
    (!is_digits && id.len() <= 64 && id.bytes().all(is_plain)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn whoever_is_given_up_on_gets_a_whole_problem() {
        let response = given_up("an-id").await.error_response();
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!((response.status().as_u16(), header("retry-after").as_str()), (503, "1"));
        assert_eq!((header("x-request-id").as_str(), header("cache-control").as_str()), ("an-id", "no-store"));
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["request_id"]), (&"storage_unavailable".into(), &"an-id".into()));
    }
}
