//! Callbacks of the direct Message and Call APIs (not the PHLO), to the URLs that each of our requests names.
//!
//! The ref in the path names the attempt, and the signature proves that Plivo sent the callback. Both are needed: a ref
//! travels through other systems, and a V2 signature covers neither query nor body.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::callback_proof::Callback;
use super::callbacks::{self, CallbackResult, committed, count_and_accept, params};
use super::error::ApiError;
use super::openapi::callback_bodies::{Accepted, CallStatus, TextStatus};
use super::state::Shared;
use crate::engine::{Applied, Reported, Target};
use crate::plivo::callback::{AnswerCallback, CallCallback, TextCallback};
use crate::verification::{AttemptRef, CallSpeech, CallbackNonce, Event, Listener, ProviderId, VerificationId, speech};

/// Receives the status callbacks of a text.
#[utoipa::path(post, path = "/plivo/message/{ref}", operation_id = "take_message", tag = "callbacks", params(("ref" = String, Path, description = "Our signed reference to the attempt")),
    request_body(content = TextStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn message(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    let (target, nonce) = proof(&shared, &callback)?;
    let TextCallback { message_uuid, report, facts } = TextCallback::read(params(&callback)?);
    let (attempt, provider_id) = (target.attempt, message_uuid.map(linked));
    let event = report.map(|report| Event::TextReported { attempt, report, provider_id, facts });
    apply(&shared, "message", target.id, nonce, event).await
}

/// Receives the reports of a call: that it rings, and how it ended.
#[utoipa::path(post, path = "/plivo/call/{ref}", operation_id = "take_call", tag = "callbacks", params(("ref" = String, Path, description = "Our signed reference to the attempt")),
    request_body(content = CallStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "Accepted", body = Accepted)))]
pub async fn call(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    let (target, nonce) = proof(&shared, &callback)?;
    let CallCallback { uuids, request_uuid, report, facts } = CallCallback::read(params(&callback)?);
    let (attempt, provider_id) = (target.attempt, request_uuid.or(uuids.into_iter().next()).map(linked));
    let event = report.map(|report| Event::CallReported { attempt, report, provider_id, facts });
    apply(&shared, "call", target.id, nonce, event).await
}

/// Answers with what a call says, as Plivo's XML: when it is answered, and after each key pressed.
///
/// The code is in it only while the verification is pending and the call lasts. An identical request is answered the
/// same for 15 s, in case the first answer was lost, and then without the code.
#[utoipa::path(post, path = "/plivo/answer/{ref}", operation_id = "answer_call", tag = "callbacks", params(("ref" = String, Path, description = "Our signed reference to the attempt")),
    request_body(content = CallStatus, content_type = "application/x-www-form-urlencoded", description = "As a form; JSON is read too"),
    responses((status = 200, description = "The XML to speak", content_type = "application/xml")))]
pub async fn answer(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    let (target, nonce) = proof(&shared, &callback)?;
    let AnswerCallback { call_uuid, is_machine, has_pressed } = AnswerCallback::read(params(&callback)?);
    // The key stands in the body, which V2 does not cover.
    let has_pressed = has_pressed && callback.is_fully_signed();
    let listener = Listener::of(is_machine, has_pressed, shared.plivo.requires_key_press());
    let mut events = vec![Event::SignedCallback(nonce), listener.event(target.attempt, call_uuid.map(linked))];
    // Each repetition that the person asks for makes the call longer.
    events.extend(has_pressed.then_some(Event::CallContinues { attempt: target.attempt, provider_id: None }));
    let applied = committed(&shared, "answer", shared.engine.apply(Target::Proved(target.id), events).await)?;
    callbacks::respond(&shared, "answer", applied.as_ref().map(|applied| applied.answer.into()))?;
    let plivo = &shared.plivo;
    let xml = match applied {
        None => plivo.goodbye(None),
        Some(Applied { verification: v, answer, .. }) => match speech(&v, target.attempt, listener, answer) {
            CallSpeech::Code => plivo.spoken_code(&v, target),
            CallSpeech::KeyRequest => plivo.key_press_prompt(&v, target),
            CallSpeech::Goodbye => plivo.goodbye(Some(&v)),
        },
    };
    Ok(HttpResponse::Ok().content_type("application/xml; charset=utf-8").body(xml))
}

/// The attempt and the nonce of a callback that its ref and its signature prove.
fn proof(shared: &Shared, callback: &Callback) -> Result<(AttemptRef, CallbackNonce), ApiError> {
    callback.credentials.attempt.zip(callback.nonce()).ok_or_else(|| callback.reject_unproved(shared))
}

/// A provider id that needs no mapping in the store: every callback of the direct APIs carries the ref of its attempt.
fn linked(uuid: String) -> ProviderId {
    ProviderId { uuid, is_linked: true }
}

/// Applies the event of a callback. Without an event the nonce is recorded all the same, so that no other body can use
/// it.
async fn apply(
    shared: &Shared,
    kind: &'static str,
    id: VerificationId,
    nonce: CallbackNonce,
    event: Option<Event>,
) -> CallbackResult {
    let has_event = event.is_some();
    let events = [Event::SignedCallback(nonce)].into_iter().chain(event).collect();
    let applied = committed(shared, kind, shared.engine.apply(Target::Proved(id), events).await)?;
    match applied.map(|applied| applied.answer.into()) {
        Some(Reported::Applied) if !has_event => Ok(count_and_accept(shared, kind, "ignored")),
        reported => callbacks::respond(shared, kind, reported),
    }
}
