//! Callbacks of the Message and Call APIs, to the URLs that each request names.
//!
//! The ref in the path names the attempt, and the signature proves that Plivo sent the callback. Both are needed: a ref
//! travels through other systems, and a V2 signature covers neither query nor body.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::callback_proof::{Callback, reject_unproved};
use super::callbacks::{self, CallbackResult, committed, params, taken};
use super::error::{ApiError, Problem};
use super::state::Shared;
use crate::engine::Reported;
use crate::escalation::CallEnd;
use crate::plivo::callback::{AnswerCallback, CallCallback, TextCallback};
use crate::verification::event::{CallReport, Facts, ProviderId};
use crate::verification::{Answer, AttemptRef, AttemptStatus, Event, Seen, Verification, VerificationId};

/// How long a call's instructions are answered again to an identical request.
///
/// Plivo gives up after 15 s (`plivo/wire.md` 4.4), and may repeat the request until then. A later repetition comes from
/// another sender. A request with a new signature is answered for as long as the call lasts.
const REFETCH_MAX: Duration = Duration::from_secs(15);

/// Takes the status callbacks of a text.
#[utoipa::path(post, path = "/plivo/message/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Without proof of its origin", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn message(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    let (to, seen) = prove(&shared, &callback)?;
    let TextCallback { message_uuid, report, facts } = TextCallback::read(params(&callback)?);
    let (attempt, provider_id) = (to.attempt, message_uuid.map(linked));
    let event = report.map(|report| Event::TextReported { attempt, report, provider_id, facts });
    apply(&shared, "message", to.id, seen, event).await
}

/// Takes the reports of a call: that it rings, and how it ended.
#[utoipa::path(post, path = "/plivo/call/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Without proof of its origin", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn call(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    let (to, seen) = prove(&shared, &callback)?;
    let CallCallback { uuids, request_uuid, report, facts } = CallCallback::read(params(&callback)?);
    let (attempt, provider_id) = (to.attempt, request_uuid.or(uuids.into_iter().next()).map(linked));
    let event = report.map(|report| Event::CallReported { attempt, report, provider_id, facts });
    apply(&shared, "call", to.id, seen, event).await
}

/// Answers with what a call says, as Plivo's XML: when it is answered, and after each key pressed.
///
/// The code is in it only while the verification is pending and the call lasts. An identical request is answered the
/// same for 15 s, in case the first answer was lost, and then without the code.
#[utoipa::path(post, path = "/plivo/answer/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "What to say", content_type = "application/xml"), (status = 401, description = "Without proof of its origin", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Ask again", body = Problem)))]
pub async fn answer(shared: Data<Shared>, callback: Callback) -> CallbackResult {
    let (to, seen) = prove(&shared, &callback)?;
    let AnswerCallback { call_uuid, is_machine, has_pressed } = AnswerCallback::read(params(&callback)?);
    // The key stands in the body, which V2 does not cover.
    let has_pressed = has_pressed && callback.is_fully_signed();
    // Where a key is asked for first, a machine may have picked up.
    let is_person = !is_machine && (has_pressed || !shared.plivo.requires_key_press());
    let (attempt, provider_id, facts) = (to.attempt, call_uuid.map(linked), Facts::default());
    let mut events = vec![if is_machine {
        let report = CallReport::Ended { end: CallEnd::Machine, cause: None };
        Event::CallReported { attempt, report, provider_id, facts }
    } else if is_person {
        Event::CallReported { attempt, report: CallReport::Answered, provider_id, facts }
    } else {
        Event::CallGoesOn { attempt, provider_id }
    }];
    // Each repetition that is asked for makes the call longer.
    events.extend(has_pressed.then_some(Event::CallGoesOn { attempt, provider_id: None }));
    let signed = Event::Signed { seen, told: events };
    let applied = committed(&shared, "answer", shared.engine.apply(to.id, &signed).await)?;
    callbacks::respond(&shared, "answer", applied.as_ref().map(|applied| Reported::of(applied.answer)))?;
    let is_late = |after| after > REFETCH_MAX;
    let is_stale = applied.as_ref().is_some_and(|a| matches!(a.answer, Answer::Repeated { after } if is_late(after)));
    let v = applied.map(|applied| applied.verification);
    let xml = match v.as_ref().filter(|v| !is_stale && may_hear_code(v, to.attempt)) {
        Some(v) if is_person => shared.plivo.spoken_code(v, to),
        Some(v) if !is_machine => shared.plivo.key_press_prompt(v, to),
        Some(_) | None => shared.plivo.goodbye(v.as_ref()),
    };
    Ok(HttpResponse::Ok().content_type("application/xml; charset=utf-8").body(xml))
}

/// Whether this call may speak the code: a verification that is over has none.
fn may_hear_code(v: &Verification, attempt: u8) -> bool {
    let is_on = |status| {
        use AttemptStatus::{Answered, Ringing, Triggered, Triggering, Unknown};
        matches!(status, Triggering | Unknown | Triggered | Ringing | Answered)
    };
    v.code.is_some() && v.attempts.get(usize::from(attempt)).is_some_and(|a| is_on(a.status))
}

fn prove(shared: &Shared, callback: &Callback) -> Result<(AttemptRef, Seen), ApiError> {
    let credentials = &callback.credentials;
    credentials.attempt.zip(callback.seen()).ok_or_else(|| reject_unproved(shared, credentials.kind))
}

/// A provider id that needs no link: the callback names its attempt, and the answer to the request has linked the id.
fn linked(uuid: String) -> ProviderId {
    ProviderId { uuid, is_linked: true }
}

/// Applies the event of a callback. Without an event the nonce is recorded all the same, so that no other body can use
/// it.
async fn apply(
    shared: &Shared,
    kind: &'static str,
    id: VerificationId,
    seen: Seen,
    event: Option<Event>,
) -> CallbackResult {
    let has_event = event.is_some();
    let signed = Event::Signed { seen, told: event.into_iter().collect() };
    let applied = committed(shared, kind, shared.engine.apply(id, &signed).await)?;
    match applied.map(|applied| Reported::of(applied.answer)) {
        Some(Reported::Applied) if !has_event => Ok(taken(shared, kind, "ignored")),
        reported => callbacks::respond(shared, kind, reported),
    }
}
