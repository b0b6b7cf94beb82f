//! The Call API. Source: plivo-python `resources/calls.py`, plivo.com/docs/voice/api/call/make-a-call.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::Answer;
use super::list;
use super::message::destinations;
use super::outage;
use super::request::Request;
use crate::sandbox::call::{Line, Order};
use crate::sandbox::callbacks::Target;
use crate::sandbox::carrier::{Gate, Kind};
use crate::sandbox::conversation::{self, Machines, Script};
use crate::sandbox::number;
use crate::sandbox::outage::Api;
use crate::sandbox::provider::Provider;
use crate::sandbox::speech::target;

/// `POST …/Call/`: 201 with a request UUID, a list of them for several numbers.
pub(super) fn create(plivo: &Arc<Provider>, request: &Request) -> Answer {
    place(plivo, request).unwrap_or_else(|refusal| refusal)
}

fn place(plivo: &Arc<Provider>, request: &Request) -> Result<Answer, Answer> {
    let destinations = destinations(&request.required("to")?);
    if let Some(answer) = outage(plivo, Api::Call, destinations.first().map(String::as_str)) {
        return Ok(answer);
    }
    let from = number(&request.required("from")?);
    request.required("answer_url")?;
    if destinations.is_empty() {
        return Err(Answer::error(400, "to must be a number"));
    }
    for to in &destinations {
        if let Gate::Refused(status) = plivo.carrier.gate(to, Kind::Call, Instant::now()) {
            return Err(Answer::error(status, "refused by the scenario of this number"));
        }
    }
    let place = |to: String| {
        let (on_ring, on_hangup) = (url(request, "ring"), url(request, "hangup"));
        let line = Line::place(plivo, Order { api: Api::Call, from: from.clone(), to, on_ring, on_hangup });
        let uuid = line.request_uuid.clone();
        if let Some(script) = script(request) {
            let plivo = Arc::clone(plivo);
            plivo.runtime.clone().spawn(async move { conversation::hold(&plivo, &line, &script).await });
        }
        uuid
    };
    let mut uuids: Vec<String> = destinations.into_iter().map(place).collect();
    let uuids = if uuids.len() == 1 { uuids.pop().map(Value::from) } else { Some(Value::from(uuids)) };
    Ok(Answer::new(201, json!({ "message": "call fired", "request_uuid": uuids })))
}

fn script(request: &Request) -> Option<Script> {
    let machine = match (request.text("machine_detection").as_deref(), url(request, "machine_detection")) {
        (Some("hangup"), _) => Machines::HungUp,
        (Some("true"), Some(target)) => Machines::ReportedTo(target),
        (Some("true"), None) => Machines::Reported,
        _ => Machines::Ignored,
    };
    Some(Script { answer: url(request, "answer")?, fallback: url(request, "fallback"), machine })
}

/// `{event}_url` and `{event}_method`.
fn url(request: &Request, event: &str) -> Option<Target> {
    let method = request.text(&format!("{event}_method"));
    request.text(&format!("{event}_url")).map(|url| target(&url, method.as_deref()))
}

/// `GET …/Call/{uuid}/`; with `status=live` another shape, of what has not ended. No call waits in a queue.
pub(super) fn show(plivo: &Provider, uuid: &str, request: &Request) -> Answer {
    if let Some(answer) = outage(plivo, Api::Call, None) {
        return answer;
    }
    let shown = plivo.line(uuid).and_then(|line| match request.text("status").as_deref() {
        Some("live") => line.live(),
        Some("queued") => None,
        _ => Some(line.record(&plivo.config.auth_id)),
    });
    shown.map_or_else(|| Answer::error(404, "not found"), |shown| Answer::new(200, shown))
}

/// `GET …/Call/`: the calls that have ended; with `status=live` the ids of the others.
pub(super) fn list(plivo: &Provider, request: &Request) -> Answer {
    if let Some(answer) = outage(plivo, Api::Call, None) {
        return answer;
    }
    let lines = plivo.lines().into_iter();
    match request.text("status").as_deref() {
        Some("live") => list::ids(request, lines.filter_map(|line| line.live())),
        Some("queued") => list::ids(request, std::iter::empty()),
        _ => {
            let ended = lines.filter(|line| line.ending().is_some());
            list::page(request, &["from_number", "to_number"], ended.map(|line| line.record(&plivo.config.auth_id)))
        }
    }
}

/// `DELETE …/Request/{uuid}/` cancels a call that rings, `DELETE …/Call/{uuid}/` ends one; either id and
/// either path does, as Plivo's ids may be equal.
pub(super) fn cut(plivo: &Provider, uuid: &str) -> Answer {
    if let Some(answer) = outage(plivo, Api::Call, None) {
        return answer;
    }
    if plivo.line(uuid).is_some_and(|line| line.cut()) {
        Answer::deleted()
    } else {
        Answer::error(404, "call not found or already ended")
    }
}
