//! Plivo's callbacks to the URLs that were typed into its console or canvas.
//!
//! Each is proved, then committed, and only then answered: 503 when it could not be committed, so that Plivo retries. A
//! callback without effect is answered 200.

use actix_web::HttpResponse;
use actix_web::web::Data;
use tracing::warn;

use super::callback_proof::Callback;
use super::error::{ApiError, ErrorCode};
use super::openapi::callback_bodies::{Accepted, CallStatus, FlowReport, TextStatus};
use super::state::Shared;
use crate::engine::{Applied, EngineError, Reported, Target};
use crate::plivo::callback::{CallCallback, Params, PhloCallback, PhloEvent, TextCallback};
use crate::plivo::reference::{self, Purpose};
use crate::store::PendingReport;
use crate::verification::{AttemptRef, Event, ProviderId, Refusal, ReportFacts, TextReport};

/// The answer to a callback.
pub(super) type CallbackResult = Result<HttpResponse, ApiError>;

/// Receives delivery reports of the flow's texts.
#[utoipa::path(post, path = "/plivo/message", operation_id = "take_flow_message", tag = "callbacks",
    request_body(content = TextStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn message(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    prove_fixed(&shared, &callback)?;
    take_message(&shared, &callback).await
}

/// Receives delivery reports of the flow's texts; the callback secret is in the path.
#[utoipa::path(post, path = "/plivo/{secret}/message", operation_id = "take_flow_message_by_secret", tag = "callbacks", params(("secret" = String, Path, description = "One of the callback secrets")),
    request_body(content = TextStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn message_by_secret(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    prove_fixed(&shared, &callback)?;
    take_message(&shared, &callback).await
}

/// Receives reports of the flow's calls.
#[utoipa::path(post, path = "/plivo/call", operation_id = "take_flow_call", tag = "callbacks",
    request_body(content = CallStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn call(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    prove_fixed(&shared, &callback)?;
    take_call(&shared, &callback).await
}

/// Receives reports of the flow's calls; the callback secret is in the path.
#[utoipa::path(post, path = "/plivo/{secret}/call", operation_id = "take_flow_call_by_secret", tag = "callbacks", params(("secret" = String, Path, description = "One of the callback secrets")),
    request_body(content = CallStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn call_by_secret(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    prove_fixed(&shared, &callback)?;
    take_call(&shared, &callback).await
}

/// Receives reports of the flow's HTTP Request nodes; the ref is in the body.
#[utoipa::path(post, path = "/plivo/phlo", operation_id = "take_phlo", tag = "callbacks",
    request_body(content = FlowReport, description = "As JSON; a form is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn phlo(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    take_phlo(&shared, &callback).await
}

/// Receives reports of the flow's HTTP Request nodes; the ref is in the path.
#[utoipa::path(post, path = "/plivo/phlo/{ref}", operation_id = "take_phlo_by_ref", tag = "callbacks", params(("ref" = String, Path, description = "Our signed reference to the attempt")),
    request_body(content = FlowReport, description = "As JSON; a form is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn phlo_by_ref(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    take_phlo(&shared, &callback).await
}

/// Receives reports of the flow's HTTP Request nodes; the callback secret is in the path, the ref in the body.
#[utoipa::path(post, path = "/plivo/{secret}/phlo", operation_id = "take_phlo_by_secret", tag = "callbacks", params(("secret" = String, Path, description = "One of the callback secrets")),
    request_body(content = FlowReport, description = "As JSON; a form is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn phlo_by_secret(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    take_phlo(&shared, &callback).await
}

/// Receives reports of the flow's HTTP Request nodes; the callback secret and the ref are in the path.
#[utoipa::path(post, path = "/plivo/{secret}/phlo/{ref}", operation_id = "take_phlo_by_secret_and_ref", tag = "callbacks",
    params(("secret" = String, Path, description = "One of the callback secrets"), ("ref" = String, Path, description = "Our signed reference to the attempt")),
    request_body(content = FlowReport, description = "As JSON; a form is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn phlo_by_secret_and_ref(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    take_phlo(&shared, &callback).await
}

/// A fixed URL names no attempt, so the whole callback must be proved: by a V3 signature (V2 covers neither body nor
/// query), or by the secret in the path.
fn prove_fixed(shared: &Shared, callback: &Callback) -> Result<(), ApiError> {
    let is_proved = callback.credentials.has_secret || callback.is_fully_signed();
    if is_proved { Ok(()) } else { Err(callback.reject_unproved(shared)) }
}

/// The parameters of a callback that is proved.
pub(super) fn params(callback: &Callback) -> Result<&Params, ApiError> {
    let unreadable = || ApiError::new(ErrorCode::MalformedRequest, "The body is not a JSON object.");
    callback.params.as_ref().ok_or_else(unreadable)
}

async fn take_message(shared: &Shared, callback: &Callback) -> CallbackResult {
    let TextCallback { message_uuid, report, facts } = TextCallback::read(params(callback)?);
    let (uuids, report) = (message_uuid.as_slice(), report.map(|report| PendingReport::Text(report, facts)));
    let reported = shared.engine.report(uuids, report, callback.nonce()).await;
    let reported = committed(shared, "message", reported)?;
    respond(shared, "message", reported)
}

async fn take_call(shared: &Shared, callback: &Callback) -> CallbackResult {
    let CallCallback { uuids, report, facts, .. } = CallCallback::read(params(callback)?);
    let report = report.map(|report| PendingReport::Call(report, facts));
    let reported = shared.engine.report(&uuids, report, callback.nonce()).await;
    let reported = committed(shared, "call", reported)?;
    respond(shared, "call", reported)
}

/// Answers a callback that was committed; `None` when its verification is unknown.
pub(super) fn respond(shared: &Shared, kind: &'static str, reported: Option<Reported>) -> CallbackResult {
    match reported {
        Some(Reported::Applied) => Ok(count_and_accept(shared, kind, "applied")),
        Some(Reported::Pending) => Ok(count_and_accept(shared, kind, "parked")),
        Some(Reported::Repeated) => Ok(count_and_accept(shared, kind, "repeated")),
        Some(Reported::Replayed) => Err(reject_replayed(shared, kind)),
        Some(Reported::Ignored) | None => Ok(count_and_accept(shared, kind, "ignored")),
    }
}

/// 401 for a valid signature whose nonce was used with another body, with a log line for the operator.
fn reject_replayed(shared: &Shared, kind: &'static str) -> ApiError {
    warn!(
        event = "callback_replayed",
        kind,
        "a signed callback reused a nonce with another body; check whether a proxy or log exposes callbacks, and rotate the auth token"
    );
    shared.metrics.callback(kind, "replayed");
    Refusal::Replayed.into()
}

/// Plivo does not sign the requests of HTTP Request nodes: a ref proves them, and the callback secret where one is set.
async fn take_phlo(shared: &Shared, callback: &Callback) -> CallbackResult {
    let PhloCallback { reference: in_body, event } =
        callback.params.as_ref().map(PhloCallback::read).unwrap_or_default();
    let in_body = in_body.and_then(|text| reference::read(&shared.keyring, &text, Purpose::Phlo));
    let to = callback.credentials.attempt.or(in_body).ok_or_else(|| callback.reject_unproved(shared))?;
    params(callback)?;
    let Some(event) = event else { return Ok(count_and_accept(shared, "phlo", "ignored")) };
    let applied = committed(shared, "phlo", apply_phlo(shared, to, event).await)?;
    Ok(count_and_accept(shared, "phlo", if applied.is_some() { "applied" } else { "ignored" }))
}

async fn apply_phlo(shared: &Shared, to: AttemptRef, event: PhloEvent) -> Result<Applied, EngineError> {
    let (attempt, facts) = (to.attempt, ReportFacts::default());
    // The flow alone knows these UUIDs, so the engine maps them to the attempt first.
    let unlinked = |uuid: Option<String>| uuid.map(|uuid| ProviderId { uuid, is_linked: false });
    let event = match event {
        PhloEvent::TextAccepted { message_uuid } => {
            let (report, provider_id) = (TextReport::Queued, unlinked(message_uuid));
            Event::TextReported { attempt, report, provider_id, facts }
        }
        PhloEvent::TextRefused => Event::TextRefused { attempt },
        PhloEvent::Call { report, call_uuid } => {
            Event::CallReported { attempt, report, provider_id: unlinked(call_uuid), facts }
        }
    };
    shared.engine.apply(Target::Proved(to.id), vec![event]).await
}

/// `None` when the verification is unknown: such a callback is answered 200. An error makes Plivo send it again.
pub(super) fn committed<T>(
    shared: &Shared,
    kind: &'static str,
    outcome: Result<T, EngineError>,
) -> Result<Option<T>, ApiError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound) => Ok(None),
        Err(error) => {
            shared.metrics.callback(kind, "failed");
            Err(error.into())
        }
    }
}

/// Counts a callback and answers 200.
pub(super) fn count_and_accept(shared: &Shared, kind: &'static str, result: &'static str) -> HttpResponse {
    shared.metrics.callback(kind, result);
    HttpResponse::Ok().json(Accepted {})
}
