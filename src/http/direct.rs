//! Callbacks of the Message and Call APIs, to the URLs that each request names: the ref in the path says which
//! attempt it is about, the signature that it is Plivo who says it. Both are needed: a ref travels, and a V2
//! signature covers neither query nor body.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::Shared;
use super::callback_proof::Callback;
use super::callbacks::{Answered, answered, committed, read, taken};
use super::door::unproved;
use super::error::{ApiError, Problem};
use crate::engine::Reported;
use crate::escalation::CallEnd;
use crate::plivo::callback::{AnswerCallback, CallCallback, TextCallback};
use crate::verification::event::{CallReport, Facts, ProviderId};
use crate::verification::{Answer, AttemptRef, AttemptStatus, Event, Seen, Verification, VerificationId};

/// Plivo wants what to say within 15 s (`plivo/wire.md` 4.4): until then it may ask again for what got lost on the way,
/// perhaps in the very same words. Whoever does so later has them from somewhere else. What is signed anew is answered
/// for as long as the call lasts.
const FETCHED_AGAIN: Duration = Duration::from_secs(15);

/// Status callbacks of a text.
#[utoipa::path(post, path = "/plivo/message/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn message(shared: Data<Shared>, callback: Callback) -> Answered {
    let (to, seen) = prove(&shared, &callback)?;
    let TextCallback { message_uuid, report, facts } = TextCallback::read(read(&callback)?);
    let (attempt, provider_id) = (to.attempt, message_uuid.map(as_told));
    let event = report.map(|report| Event::TextReported { attempt, report, provider_id, facts });
    apply(&shared, "message", to.id, seen, event).await
}

/// Reports of a call: that it rings, and how it ended.
#[utoipa::path(post, path = "/plivo/call/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "Taken"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Send it again", body = Problem)))]
pub async fn call(shared: Data<Shared>, callback: Callback) -> Answered {
    let (to, seen) = prove(&shared, &callback)?;
    let CallCallback { uuids, request_uuid, report, facts } = CallCallback::read(read(&callback)?);
    let (attempt, provider_id) = (to.attempt, request_uuid.or(uuids.into_iter().next()).map(as_told));
    let event = report.map(|report| Event::CallReported { attempt, report, provider_id, facts });
    apply(&shared, "call", to.id, seen, event).await
}

/// What to say on a call that was answered, and again when a key was pressed: Plivo's XML.
///
/// The code is in the body, and there only while the verification is pending and the call lasts. A request that was
/// answered before is answered so for 15 s more, in which Plivo may not have got the answer, and then without the code.
#[utoipa::path(post, path = "/plivo/answer/{ref}", tag = "callbacks", params(("ref" = String, Path)),
    responses((status = 200, description = "What to say", content_type = "application/xml"), (status = 401, description = "Unproved", body = Problem),
        (status = "4XX", description = "Unreadable", body = Problem), (status = 503, description = "Ask again", body = Problem)))]
pub async fn answer(shared: Data<Shared>, callback: Callback) -> Answered {
    let (to, seen) = prove(&shared, &callback)?;
    let AnswerCallback { call_uuid, is_machine, has_pressed } = AnswerCallback::read(read(&callback)?);
    let plivo = &shared.engine.plivo;
    // That a key was pressed stands in the body, which V2 does not cover.
    let has_pressed = has_pressed && callback.is_covered();
    // Whoever is asked for a key first has picked up, and may yet be a machine.
    let is_person = !is_machine && (has_pressed || !plivo.asks_for_a_key());
    let (attempt, provider_id, facts) = (to.attempt, call_uuid.map(as_told), Facts::default());
    let mut told = vec![if is_machine {
        let report = CallReport::Ended { end: CallEnd::Machine, cause: None };
        Event::CallReported { attempt, report, provider_id, facts }
    } else if is_person {
        Event::CallReported { attempt, report: CallReport::Answered, provider_id, facts }
    } else {
        Event::CallGoesOn { attempt, provider_id }
    }];
    // Whoever hears it again is on the phone for longer.
    told.extend(has_pressed.then_some(Event::CallGoesOn { attempt, provider_id: None }));
    let done = committed(&shared, "answer", shared.engine.apply(to.id, &Event::Signed { seen, told }).await)?;
    answered(&shared, "answer", done.as_ref().map(|applied| Reported::of(applied.answer)))?;
    let is_late = |after| after > FETCHED_AGAIN;
    let is_stale = done.as_ref().is_some_and(|d| matches!(d.answer, Answer::Repeated { after } if is_late(after)));
    let v = done.map(|applied| applied.verification);
    let xml = match v.as_ref().filter(|v| !is_stale && may_hear(v, to.attempt)) {
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

fn prove(shared: &Shared, callback: &Callback) -> Result<(AttemptRef, Seen), ApiError> {
    callback.door.named.zip(callback.seen()).ok_or_else(|| unproved(shared, callback.door.kind))
}

/// A callback that names its attempt needs no link; the answer to the request has made one.
fn as_told(uuid: String) -> ProviderId {
    ProviderId { uuid, is_linked: true }
}

/// One without an event is of no use, and yet its nonce may serve no other.
async fn apply(shared: &Shared, kind: &'static str, id: VerificationId, seen: Seen, event: Option<Event>) -> Answered {
    let is_of_use = event.is_some();
    let event = Event::Signed { seen, told: event.into_iter().collect() };
    let applied = committed(shared, kind, shared.engine.apply(id, &event).await)?;
    match applied.map(|applied| Reported::of(applied.answer)) {
        Some(Reported::Applied) if !is_of_use => Ok(taken(shared, kind, "ignored")),
        reported => answered(shared, kind, reported),
    }
}
