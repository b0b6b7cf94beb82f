//! Plivo's callbacks. Each is proved, then committed, and only then answered: 503 when it could not be, so that
//! Plivo sends it again. One that is of no use is answered 200 all the same.

use actix_web::HttpResponse;
use actix_web::web::Data;
use tracing::warn;

use super::Shared;
use super::callback_proof::Callback;
use super::door::unproved;
use super::error::{ApiError, Kind, Problem};
use crate::engine::{EngineError, Reported};
use crate::plivo::callback::{CallCallback, Params, PhloCallback, PhloEvent, TextCallback};
use crate::plivo::reference::{self, Purpose};
use crate::store::Parked;
use crate::verification::event::{Facts, TextReport};
use crate::verification::{AttemptRef, Event, Refusal};

pub(super) type Answered = Result<HttpResponse, ApiError>;

/// Delivery reports of the flow's texts, to a URL typed into the canvas or the console.
#[utoipa::path(post, path = "/plivo/message", tag = "callbacks",
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn message(shared: Data<Shared>, callback: Callback) -> Answered {
    prove_fixed(&shared, &callback)?;
    take_message(&shared, &callback).await
}

/// The same, with the callback secret in the path.
#[utoipa::path(post, path = "/plivo/{secret}/message", tag = "callbacks", params(("secret" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn message_by_secret(shared: Data<Shared>, callback: Callback) -> Answered {
    prove_fixed(&shared, &callback)?;
    take_message(&shared, &callback).await
}

/// Reports of the flow's calls, to a URL typed into the canvas or the console.
#[utoipa::path(post, path = "/plivo/call", tag = "callbacks",
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn call(shared: Data<Shared>, callback: Callback) -> Answered {
    prove_fixed(&shared, &callback)?;
    take_call(&shared, &callback).await
}

/// The same, with the callback secret in the path.
#[utoipa::path(post, path = "/plivo/{secret}/call", tag = "callbacks", params(("secret" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn call_by_secret(shared: Data<Shared>, callback: Callback) -> Answered {
    prove_fixed(&shared, &callback)?;
    take_call(&shared, &callback).await
}

/// What the flow's HTTP Request nodes tell, with the ref in the body.
#[utoipa::path(post, path = "/plivo/phlo", tag = "callbacks",
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn phlo(shared: Data<Shared>, callback: Callback) -> Answered {
    take_phlo(&shared, &callback).await
}

/// The same, with the ref in the path.
#[utoipa::path(post, path = "/plivo/phlo/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn phlo_by_ref(shared: Data<Shared>, callback: Callback) -> Answered {
    take_phlo(&shared, &callback).await
}

/// The same, with the callback secret in the path.
#[utoipa::path(post, path = "/plivo/{secret}/phlo", tag = "callbacks", params(("secret" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn phlo_by_secret(shared: Data<Shared>, callback: Callback) -> Answered {
    take_phlo(&shared, &callback).await
}

/// The same, with both in the path.
#[utoipa::path(post, path = "/plivo/{secret}/phlo/{ref}", tag = "callbacks",
    params(("secret" = String, Path), ("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn phlo_by_secret_and_ref(shared: Data<Shared>, callback: Callback) -> Answered {
    take_phlo(&shared, &callback).await
}

/// A fixed URL names no attempt, so what comes there must be covered whole: by a V3 signature (V2 covers
/// neither body nor query), or by whoever knows the secret.
fn prove_fixed(shared: &Shared, callback: &Callback) -> Result<(), ApiError> {
    let is_proved = callback.door.knows_secret || callback.is_covered();
    if is_proved { Ok(()) } else { Err(unproved(shared, callback.door.kind)) }
}

/// The parameters of a callback that is proved.
pub(super) fn read(callback: &Callback) -> Result<&Params, ApiError> {
    callback.params.as_ref().ok_or_else(|| ApiError::new(Kind::MalformedRequest, "Not a JSON object."))
}

async fn take_message(shared: &Shared, callback: &Callback) -> Answered {
    let TextCallback { message_uuid, report, facts } = TextCallback::read(read(callback)?);
    let (Some(uuid), Some(report)) = (message_uuid, report) else { return ignored(shared, "message", callback).await };
    let reported = shared.engine.report(&uuid, Parked::Text(report, facts), callback.seen()).await;
    let reported = committed(shared, "message", reported)?;
    answered(shared, "message", reported)
}

async fn take_call(shared: &Shared, callback: &Callback) -> Answered {
    let CallCallback { uuids, report, facts, .. } = CallCallback::read(read(callback)?);
    let Some(report) = report.filter(|_| !uuids.is_empty()) else { return ignored(shared, "call", callback).await };
    let mut all = None;
    for uuid in &uuids {
        let reported = shared.engine.report(uuid, Parked::Call(report.clone(), facts), callback.seen()).await;
        all = committed(shared, "call", reported)?.or(all);
        if all.is_some_and(|reported| reported != Reported::Parked) {
            break;
        }
    }
    answered(shared, "call", all)
}

/// A signed callback of no use may not lend its nonce to another.
async fn ignored(shared: &Shared, kind: &'static str, callback: &Callback) -> Answered {
    if let Some(seen) = callback.seen()
        && committed(shared, kind, shared.engine.claim(seen).await)? == Some(false)
    {
        return Err(replayed(shared, kind));
    }
    Ok(taken(shared, kind, "ignored"))
}

/// What Plivo is told of a callback; `None`: what it is about is forgotten.
pub(super) fn answered(shared: &Shared, kind: &'static str, reported: Option<Reported>) -> Answered {
    match reported {
        Some(Reported::Applied) => Ok(taken(shared, kind, "applied")),
        Some(Reported::Parked) => Ok(taken(shared, kind, "parked")),
        Some(Reported::Repeated) => Ok(taken(shared, kind, "repeated")),
        Some(Reported::Replayed) => Err(replayed(shared, kind)),
        None => Ok(taken(shared, kind, "ignored")),
    }
}

/// The signature is good and somebody else's: its nonce was used, with another body.
pub(super) fn replayed(shared: &Shared, kind: &'static str) -> ApiError {
    warn!(event = "callback_replayed", kind, "a nonce came again with another body; who reads Plivo's callbacks?");
    shared.engine.metrics.callback(kind, "replayed");
    Refusal::Replayed.into()
}

/// Plivo does not sign what HTTP Request nodes send: they prove themselves by a ref, and by the callback secret
/// where there is one.
async fn take_phlo(shared: &Shared, callback: &Callback) -> Answered {
    let PhloCallback { reference: in_body, event } =
        callback.params.as_ref().map(PhloCallback::read).unwrap_or_default();
    let in_body = in_body.and_then(|text| reference::read(&shared.engine.keys, &text, Purpose::Phlo));
    let to = callback.door.named.or(in_body).ok_or_else(|| unproved(shared, "phlo"))?;
    read(callback)?;
    let Some(event) = event else { return Ok(taken(shared, "phlo", "ignored")) };
    let applied = committed(shared, "phlo", apply_phlo(shared, to, event).await)?;
    Ok(taken(shared, "phlo", if applied.is_some() { "applied" } else { "ignored" }))
}

async fn apply_phlo(shared: &Shared, to: AttemptRef, event: PhloEvent) -> Result<(), EngineError> {
    let (engine, attempt) = (&shared.engine, to.attempt);
    let event = match event {
        PhloEvent::TextAccepted { message_uuid } => {
            let provider_id = engine.linked(message_uuid, to).await;
            Event::TextReported { attempt, report: TextReport::Queued, provider_id, facts: Facts::default() }
        }
        PhloEvent::TextRefused => Event::TextRefused { attempt },
        PhloEvent::Call { report, call_uuid } => {
            let provider_id = engine.linked(call_uuid, to).await;
            Event::CallReported { attempt, report, provider_id, facts: Facts::default() }
        }
    };
    engine.apply(to.id, &event).await?;
    Ok(())
}

/// A callback about something forgotten is taken and has no effect; one that was not committed is sent again.
pub(super) fn committed<T>(
    shared: &Shared,
    kind: &'static str,
    outcome: Result<T, EngineError>,
) -> Result<Option<T>, ApiError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound) => Ok(None),
        Err(error) => {
            shared.engine.metrics.callback(kind, "failed");
            Err(error.into())
        }
    }
}

pub(super) fn taken(shared: &Shared, kind: &'static str, result: &'static str) -> HttpResponse {
    shared.engine.metrics.callback(kind, result);
    HttpResponse::Ok().finish()
}
