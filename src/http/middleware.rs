//! Wraps every route: a request id, a backstop timeout, one log line, one metric, and the headers of every answer.
//!
//! Logs and metrics name route patterns, never paths: a path may hold a ref or the callback secret.

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

use super::connections::{InFlight, TrackedBody};
use super::error::{ApiError, ErrorCode};
use super::request_id;
use super::state::Shared;
use crate::metrics;

/// Backstop timeout on top of `PLIVO_WAIT`. Every step inside has its own, so this one should never end a request.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// The headers of every answer that does not set its own.
static USUAL_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // Pages set a policy of their own.
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Wraps every route.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let in_flight = InFlight::begin(request.request());
    let id = request_id::choose(&request);
    let method = metrics::method(request.method().as_str());
    // Taken now: a timeout drops the request together with its handler.
    let route = request.match_pattern();
    let shared = request.app_data::<Data<Shared>>().cloned();
    // At the highest level, so that every line that RUST_LOG lets through names its request.
    let span = error_span!("request", request_id = id);
    // Twice: a retry with an idempotency key first waits for the first request, and then for Plivo itself.
    let plivo_wait = shared.as_ref().map_or(Duration::ZERO, |shared| shared.plivo_wait) * 2;
    let answer = tokio::time::timeout(plivo_wait + ANSWER_MAX, next.call(request));
    let answer = request_id::scope(id.clone(), answer).instrument(span.clone()).await;
    let is_timed_out = answer.is_err();
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) => Err(timed_out(&id).await),
    };

    let took = started.elapsed();
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let status = status.as_u16();
    span.in_scope(|| log(method, route.as_deref(), status, took, is_timed_out));
    if let Some(shared) = shared {
        shared.metrics.http_request(method, route, status, took);
    }
    let mut response = answer?;
    set_headers(response.headers_mut(), &id);
    if let Some(in_flight) = in_flight.as_ref().filter(|_| matches!(status, 408 | 413)) {
        in_flight.discard_rest_of_body();
    }
    Ok(response.map_body(|_, body| TrackedBody::new(body, in_flight)))
}

fn log(method: &'static str, route: Option<&str>, status: u16, took: Duration, is_timed_out: bool) {
    let ms = took.as_micros() as f64 / 1000.0;
    if is_timed_out {
        error!(event = "request_given_up", method, ms);
    }
    if !matches!(route, Some("/livez" | "/readyz" | "/metrics")) {
        info!(event = "request", method, route = route.unwrap_or("unmatched"), status, ms);
    }
}

fn set_headers(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(request_id::HEADER, id);
    }
    for (name, value) in &USUAL_HEADERS {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if let Some(media) = media.filter(|media| media.starts_with("text/") && !media.contains(';'))
        && let Ok(with_charset) = HeaderValue::from_str(&format!("{media}; charset=utf-8"))
    {
        headers.insert(CONTENT_TYPE, with_charset);
    }
}

/// A whole answer, headers included: the timeout has dropped the request that an ordinary one is built from.
async fn timed_out(id: &str) -> Error {
    let detail = "The request took too long; its outcome is unknown. Read the verification, or try again.";
    let problem = ApiError::new(ErrorCode::StorageUnavailable, detail).retry_after(Duration::from_secs(1));
    let mut response = request_id::scope(id.to_owned(), async { problem.error_response() }).await;
    set_headers(response.headers_mut(), id);
    InternalError::from_response(problem, response).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_timeout_answers_with_a_complete_problem() {
        let response = timed_out("an-id").await.error_response();
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!((response.status().as_u16(), header("retry-after").as_str()), (503, "1"));
        assert_eq!((header("x-request-id").as_str(), header("cache-control").as_str()), ("an-id", "no-store"));
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["request_id"]), (&"storage_unavailable".into(), &"an-id".into()));
    }
}
