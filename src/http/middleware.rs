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
use crate::metrics;

/// How long an answer may take beside what is waited for Plivo (by a creation, and by one with a key first for its
/// twin): the body's ten seconds, and a store that only just answers. Everything inside has bounds of its own, so that
/// nobody should ever see this one.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Digits of the shortest numbers there are.
const NUMBER_MIN: usize = 7;

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
    let method = metrics::method(request.method().as_str());
    // What the request is aimed at goes with it, and whoever answers it may be given up on.
    let route = request.match_pattern();
    let shared = request.app_data::<Data<Shared>>().cloned();
    // Of the highest level: whatever RUST_LOG lets through says which request it is about.
    let span = error_span!("request", request_id = %id);
    let wait = shared.as_ref().map_or(Duration::ZERO, |shared| shared.plivo_wait);
    let answer = REQUEST_ID.scope(id.clone(), tokio::time::timeout(wait * 2 + ANSWER_MAX, next.call(request)));
    let answer = answer.instrument(span.clone()).await;
    let is_given_up = answer.is_err();
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) => Err(given_up(&id).await),
    };

    let took = started.elapsed();
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let status = status.as_u16();
    span.in_scope(|| log(method, route.as_deref(), status, took, is_given_up));
    if let Some(shared) = shared {
        shared.engine.metrics.http_request(method, route, status, took);
    }
    let mut response = answer?;
    dress(response.headers_mut(), &id);
    if let Some(answering) = answering.as_ref().filter(|_| matches!(status, 408 | 413)) {
        answering.gives_up();
    }
    Ok(response.map_body(|_, body| Busy::with(body, answering)))
}

fn log(method: &'static str, route: Option<&str>, status: u16, took: Duration, is_given_up: bool) {
    let ms = took.as_secs_f64() * 1000.0;
    if is_given_up {
        error!(event = "request_given_up", method, ms);
    }
    if !matches!(route, Some("/livez" | "/readyz" | "/metrics")) {
        info!(event = "request", method, route = route.unwrap_or("unmatched"), status, ms);
    }
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

/// The caller's own id, if it is one that can stand in a log.
fn given_id(request: &ServiceRequest) -> Option<String> {
    let id = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || is_separator(b);
    (id.len() <= 64 && id.bytes().all(is_plain) && !may_hold_a_number(id)).then(|| id.to_owned())
}

fn is_separator(b: u8) -> bool {
    matches!(b, b'-' | b'_' | b'.')
}

/// Whether it may be somebody's number or code, or have one in it: no letters at all, or as many digits in a row as a
/// number has, however they are grouped. Long hexadecimal ids, such as UUIDs and trace ids, have such rows by chance.
fn may_hold_a_number(id: &str) -> bool {
    let bare: Vec<u8> = id.bytes().filter(|b| !is_separator(*b)).collect();
    let letters = bare.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let is_drawn = bare.len() >= 32 && letters >= 4 && bare.iter().all(u8::is_ascii_hexdigit);
    let longest = bare.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).max().unwrap_or(0);
    letters == 0 || !is_drawn && longest >= NUMBER_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_may_hold_a_number_is_none_and_a_drawn_one_is() {
        for given in [
            "order-17_a.b",
            "1c9f5a30-4f0e-4c1b-9d3e-4155209100ab",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        ] {
            assert!(!may_hold_a_number(given), "{given}");
        }
        for number in [
            "",
            "-",
            "042917",
            "04-29.17",
            "14155550112",
            "1-415-555-0112",
            "1.415_555.0112",
            "u14155550112",
            "to-1-415-555-0112-b",
            "555-0112x",
            "00000000-0000-0000-0000-014155550112",
            "a0000000-0000-0000-0000-014155550112",
        ] {
            assert!(may_hold_a_number(number), "{number}");
        }
    }

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
