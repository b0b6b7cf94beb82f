//! Callbacks of the Message and Call APIs, to the URLs that each request names: the ref in the path says which
//! attempt it is about, the signature that it is Plivo who says it. Both are needed: a ref travels, and a V2
//! signature covers neither query nor body.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::Shared;
use super::callbacks::{Answered, committed, read, taken, unproved};
use super::error::{ApiError, Problem};
use super::signed::Callback;
use crate::escalation::CallEnd;
use crate::plivo::callback::{AnswerCallback, CallCallback, TextCallback};
use crate::plivo::reference::{self, Purpose};
use crate::plivo::signature::Proof;
use crate::verification::event::{CallReport, Facts, ProviderId};
use crate::verification::{AttemptRef, AttemptStatus, Event, Verification};

/// Status callbacks of a text.
#[utoipa::path(post, path = "/plivo/message/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn message(shared: Data<Shared>, reference: Path<String>, callback: Callback) -> Answered {
    let AttemptRef { id, attempt } = prove(&shared, "message", &reference, Purpose::Message, &callback)?;
    let TextCallback { message_uuid, report, facts } = TextCallback::read(read(&callback)?);
    let Some(report) = report else { return Ok(taken(&shared, "message", "ignored")) };
    let provider_id = message_uuid.map(as_told);
    apply(&shared, "message", id, Event::TextReported { attempt, report, provider_id, facts }).await
}

/// Reports of a call: that it rings, and how it ended.
#[utoipa::path(post, path = "/plivo/call/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn call(shared: Data<Shared>, reference: Path<String>, callback: Callback) -> Answered {
    let AttemptRef { id, attempt } = prove(&shared, "call", &reference, Purpose::Call, &callback)?;
    let CallCallback { uuids, request_uuid, report, facts } = CallCallback::read(read(&callback)?);
    let Some(report) = report else { return Ok(taken(&shared, "call", "ignored")) };
    let provider_id = request_uuid.or(uuids.into_iter().next()).map(as_told);
    apply(&shared, "call", id, Event::CallReported { attempt, report, provider_id, facts }).await
}

/// What to say on a call that was answered, and again when a key was pressed: Plivo's XML.
///
/// The code is in the body, and there only while the verification is pending and the call lasts.
#[utoipa::path(post, path = "/plivo/answer/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "What to say", content_type = "application/xml"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Ask again", body = Problem)))]
pub async fn answer(shared: Data<Shared>, reference: Path<String>, callback: Callback) -> Answered {
    let to = prove(&shared, "answer", &reference, Purpose::Answer, &callback)?;
    let AnswerCallback { call_uuid, is_machine, has_pressed } = AnswerCallback::read(read(&callback)?);
    let plivo = &shared.engine.plivo;
    // That a key was pressed stands in the body, which V2 does not cover.
    let has_pressed = has_pressed && callback.proof == Some(Proof::V3);
    // Whoever is asked for a key first has picked up, and may yet be a machine.
    let is_person = !is_machine && (has_pressed || !plivo.asks_for_a_key());
    let (attempt, provider_id, facts) = (to.attempt, call_uuid.map(as_told), Facts::default());
    let event = if is_machine {
        let report = CallReport::Ended { end: CallEnd::Machine, cause: None };
        Event::CallReported { attempt, report, provider_id, facts }
    } else if is_person {
        Event::CallReported { attempt, report: CallReport::Answered, provider_id, facts }
    } else {
        Event::CallGoesOn { attempt, provider_id }
    };
    let mut done = committed(&shared, "answer", shared.engine.apply(to.id, &event).await)?;
    if has_pressed {
        // Whoever hears it again is on the phone for longer.
        let goes_on = Event::CallGoesOn { attempt, provider_id: None };
        done = committed(&shared, "answer", shared.engine.apply(to.id, &goes_on).await)?;
    }
    let v = done.map(|applied| applied.verification);
    shared.engine.metrics.callback("answer", if v.is_some() { "applied" } else { "ignored" });
    let xml = match v.as_ref().filter(|v| may_hear(v, to.attempt)) {
        Some(v) if is_person => plivo.speak(v, to),
        Some(v) if !is_machine => plivo.ask_for_a_key(v, to),
        Some(_) | None => plivo.goodbye(v.as_ref()),
    };
    Ok(HttpResponse::Ok().content_type("application/xml; charset=utf-8").body(xml))
}

/// Whether this call is the place for the code. A verification that is over has none.
fn may_hear(v: &Verification, attempt: u8) -> bool {
    let is_on = |status| {
        use AttemptStatus::{Answered, Ringing, Triggered, Triggering, Unknown};
        matches!(status, Triggering | Unknown | Triggered | Ringing | Answered)
    };
    v.code.is_some() && v.attempts.get(usize::from(attempt)).is_some_and(|a| is_on(a.status))
}

fn prove(
    shared: &Shared,
    kind: &'static str,
    reference: &str,
    purpose: Purpose,
    callback: &Callback,
) -> Result<AttemptRef, ApiError> {
    let to = reference::read(&shared.engine.keys, reference, purpose).filter(|_| callback.proof.is_some());
    to.ok_or_else(|| unproved(shared, kind))
}

/// A callback that names its attempt needs no link; the answer to the request has made one.
fn as_told(uuid: String) -> ProviderId {
    ProviderId { uuid, is_linked: true }
}

async fn apply(shared: &Shared, kind: &'static str, id: crate::verification::VerificationId, event: Event) -> Answered {
    let applied = committed(shared, kind, shared.engine.apply(id, &event).await)?;
    Ok(taken(shared, kind, if applied.is_some() { "applied" } else { "ignored" }))
}
