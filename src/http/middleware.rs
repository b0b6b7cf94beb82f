//! Wraps the service: a request id, one log line, one metric, and the headers of every answer. Wraps every route: a backstop
//! timeout.
//!
//! Logs and metrics name route patterns, never paths: a path may hold a ref or the callback secret.

use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, error, error_span, info};

use super::connection::{InFlight, TrackedBody};
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

/// Wraps the service.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let in_flight = InFlight::begin(request.request());
    let id = request_id::choose(&request);
    let method = metrics::method(request.method().as_str());
    let shared = request.app_data::<Data<Shared>>().cloned();
    // At the highest level, so that every line that RUST_LOG lets through names its request.
    let span = error_span!("request", request_id = id);
    let answer = request_id::scope(id.clone(), next.call(request)).instrument(span.clone()).await;
    // The router has noted its choice. To ask before it has chosen would search the routes twice.
    let route = answer.as_ref().ok().and_then(|response| response.request().match_pattern());

    let took = started.elapsed();
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let status = status.as_u16();
    span.in_scope(|| log(method, route.as_deref(), status, took));
    if let Some(shared) = &shared {
        shared.metrics.http_request(method, route, status, took);
    }
    let mut response = answer?;
    if shared.is_some_and(|shared| shared.readiness.is_withdrawn()) {
        // The client's next request goes to another replica.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    set_headers(response.headers_mut(), &id);
    if let Some(in_flight) = in_flight.as_ref().filter(|_| matches!(status, 408 | 413)) {
        in_flight.discard_rest_of_body();
    }
    Ok(response.map_body(|_, body| TrackedBody::new(body, in_flight)))
}

/// Wraps every route: gives a request up that takes too long, and drops its handler.
///
/// The handler is a task of its own, in the same thread. In the task of the connection, actix would look for another
/// request whenever the handler is woken, which took a fifteenth of the instructions of a creation.
pub async fn limit_time(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let http = request.request().clone();
    let handler = AbortOnDropHandle::new(actix_web::rt::spawn(request_id::inherit(next.call(request))));
    // Twice: a retry with an idempotency key first waits for the first request, and then for Plivo itself.
    let plivo_wait = http.app_data::<Data<Shared>>().map_or(Duration::ZERO, |shared| shared.plivo_wait) * 2;
    match tokio::time::timeout(plivo_wait + ANSWER_MAX, handler).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Ok(Err(_)) | Err(_) => {
            let (method, route) = (metrics::method(http.method().as_str()), http.match_pattern());
            error!(event = "request_given_up", method, route);
            Ok(ServiceResponse::new(http, HttpResponse::from_error(timed_out())))
        }
    }
}

fn log(method: &'static str, route: Option<&str>, status: u16, took: Duration) {
    let ms = took.as_micros() as f64 / 1000.0;
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

fn timed_out() -> ApiError {
    let detail = "The request took too long; its outcome is unknown. Read the verification, or try again.";
    ApiError::new(ErrorCode::StorageUnavailable, detail).retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, web};

    use super::*;

    #[actix_web::test]
    async fn a_timeout_answers_with_a_complete_problem() {
        let given_up = || async { Err::<HttpResponse, _>(timed_out()) };
        let app = App::new().wrap(from_fn(observe));
        let route = web::resource("/").wrap(from_fn(limit_time)).route(web::get().to(given_up));
        let app = init_service(app.service(route)).await;
        let request = TestRequest::get().uri("/").insert_header(("X-Request-Id", "an-id")).to_request();
        let response = call_service(&app, request).await;
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!((response.status().as_u16(), header("retry-after").as_str()), (503, "1"));
        assert_eq!((header("x-request-id").as_str(), header("cache-control").as_str()), ("an-id", "no-store"));
        let body = actix_web::test::read_body(response).await;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["code"], &problem["request_id"]), (&"storage_unavailable".into(), &"an-id".into()));
    }
}
