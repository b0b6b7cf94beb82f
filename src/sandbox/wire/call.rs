//! The Call API. Source: plivo-python `resources/calls.py`, plivo.com/docs/voice/api/call/make-a-call.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::ApiAnswer;
use super::list;
use super::message::destinations;
use super::outage_answer;
use super::request::ApiRequest;
use crate::sandbox::api::{Api, Medium, normalize_number};
use crate::sandbox::call::CallOrder;
use crate::sandbox::callbacks::CallbackTarget;
use crate::sandbox::carrier::Admission;
use crate::sandbox::conversation::{CallScript, MachinePolicy};
use crate::sandbox::provider::Provider;
use crate::sandbox::speech::callback_target;
use crate::sandbox::{conversation, ring};

/// `POST …/Call/`: 201 with a request UUID, or a list of them for several numbers.
pub(super) fn create(provider: &Arc<Provider>, request: &ApiRequest) -> ApiAnswer {
    try_create(provider, request).unwrap_or_else(|refusal| refusal)
}

fn try_create(provider: &Arc<Provider>, request: &ApiRequest) -> Result<ApiAnswer, ApiAnswer> {
    let destinations = destinations(&request.required("to")?);
    if let Some(answer) = outage_answer(provider, Api::Call, destinations.first().map(String::as_str)) {
        return Ok(answer);
    }
    let from = normalize_number(&request.required("from")?);
    request.required("answer_url")?;
    if destinations.is_empty() {
        return Err(ApiAnswer::error(400, "to must be a number"));
    }
    for to in &destinations {
        if let Admission::Refused(status) = provider.carrier.admit(to, Medium::Call, Instant::now()) {
            return Err(ApiAnswer::error(status, "refused by the scenario of this number"));
        }
    }
    let place = |to: String| {
        let (on_ring, on_hangup) = (event_target(request, "ring"), event_target(request, "hangup"));
        let call = ring::place(provider, CallOrder { api: Api::Call, from: from.clone(), to, on_ring, on_hangup });
        let uuid = call.request_uuid.clone();
        if let Some(script) = script(request) {
            let provider = Arc::clone(provider);
            provider.runtime.clone().spawn(async move { conversation::run(&provider, &call, &script).await });
        }
        uuid
    };
    let mut uuids: Vec<String> = destinations.into_iter().map(place).collect();
    let uuids = if uuids.len() == 1 { uuids.pop().map(Value::from) } else { Some(Value::from(uuids)) };
    Ok(ApiAnswer::new(201, json!({ "message": "call fired", "request_uuid": uuids })))
}

fn script(request: &ApiRequest) -> Option<CallScript> {
    let machine = match (request.text("machine_detection").as_deref(), event_target(request, "machine_detection")) {
        (Some("hangup"), _) => MachinePolicy::HangUp,
        (Some("true"), Some(target)) => MachinePolicy::ReportTo(target),
        (Some("true"), None) => MachinePolicy::Report,
        _ => MachinePolicy::Ignore,
    };
    Some(CallScript { answer: event_target(request, "answer")?, fallback: event_target(request, "fallback"), machine })
}

/// The target in `{event}_url` and `{event}_method`.
fn event_target(request: &ApiRequest, event: &str) -> Option<CallbackTarget> {
    let method = request.text(&format!("{event}_method"));
    request.text(&format!("{event}_url")).map(|url| callback_target(&url, method.as_deref()))
}

/// `GET …/Call/{uuid}/`; with `status=live` a live call in another shape. No call is ever queued.
pub(super) fn show(provider: &Provider, uuid: &str, request: &ApiRequest) -> ApiAnswer {
    if let Some(answer) = outage_answer(provider, Api::Call, None) {
        return answer;
    }
    let shown = provider.call(uuid).and_then(|call| match request.text("status").as_deref() {
        Some("live") => call.live_record(),
        Some("queued") => None,
        _ => Some(call.record(&provider.config.auth_id)),
    });
    shown.map_or_else(|| ApiAnswer::error(404, "not found"), |shown| ApiAnswer::new(200, shown))
}

/// `GET …/Call/`: the ended calls; with `status=live` the ids of the live ones.
pub(super) fn list(provider: &Provider, request: &ApiRequest) -> ApiAnswer {
    if let Some(answer) = outage_answer(provider, Api::Call, None) {
        return answer;
    }
    let calls = provider.calls().into_iter();
    match request.text("status").as_deref() {
        Some("live") => list::ids(request, calls.filter_map(|call| call.live_record())),
        Some("queued") => list::ids(request, std::iter::empty()),
        _ => {
            let ended = calls.filter(|call| call.ending().is_some());
            list::page(request, &["from_number", "to_number"], ended.map(|call| call.record(&provider.config.auth_id)))
        }
    }
}

/// `DELETE …/Request/{uuid}/` cancels a ringing call, `DELETE …/Call/{uuid}/` ends an answered one.
///
/// Either path takes either id, because Plivo's two ids may be equal.
pub(super) fn hang_up(provider: &Provider, uuid: &str) -> ApiAnswer {
    if let Some(answer) = outage_answer(provider, Api::Call, None) {
        return answer;
    }
    if provider.call(uuid).is_some_and(|call| call.request_hangup()) {
        ApiAnswer::deleted()
    } else {
        ApiAnswer::error(404, "call not found or already ended")
    }
}
