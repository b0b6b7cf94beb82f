//! The Message API. Source: plivo-python `resources/messages.py`,
//! plivo.com/docs/messaging/api/message/send-a-message.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::answer::Answer;
use super::list;
use super::outage;
use super::request::Request;
use crate::sandbox::carrier::{Gate, Kind};
use crate::sandbox::outage::Api;
use crate::sandbox::provider::Provider;
use crate::sandbox::speech::target;
use crate::sandbox::text::{self, Order, Reports};
use crate::sandbox::{number, tariff};

/// `POST …/Message/`: 202 with a UUID for each destination.
pub(super) async fn create(plivo: &Arc<Provider>, request: &Request) -> Answer {
    send(plivo, request).await.unwrap_or_else(|refusal| refusal)
}

async fn send(plivo: &Arc<Provider>, request: &Request) -> Result<Answer, Answer> {
    let destinations = destinations(&request.required("dst")?);
    if let Some(answer) = outage(plivo, Api::Message, destinations.first().map(String::as_str)) {
        return Ok(answer);
    }
    let text = request.required("text")?;
    if tariff::is_too_long(&text) {
        return Err(Answer::error(400, "text is too long: 1600 characters, 737 with any beyond GSM-7"));
    }
    let from = match (request.text("src"), request.text("powerpack_uuid")) {
        (Some(from), None) => number(&from),
        (None, Some(_)) => "15550000000".to_owned(),
        _ => return Err(Answer::error(400, "exactly one of src and powerpack_uuid must be given")),
    };
    // That it must be another than src is checked by the SDKs; what the API makes of it is not documented.
    if destinations.is_empty() {
        return Err(Answer::error(400, "dst must be a number"));
    }
    let mut hangs = Duration::ZERO;
    for to in &destinations {
        match plivo.carrier.gate(to, Kind::Text, Instant::now()) {
            Gate::Refused(status) => return Err(Answer::error(status, "refused by the scenario of this number")),
            Gate::Hangs(longer) => hangs = hangs.max(longer),
            Gate::Open => {}
        }
    }
    let mut uuids = Vec::new();
    for to in destinations {
        let reports = request
            .text("url")
            .map(|url| Reports { target: target(&url, request.text("method").as_deref()), states: None });
        let order = Order { api: Api::Message, from: from.clone(), to, text: text.clone(), reports };
        uuids.push(text::send(plivo, order).await.uuid.clone());
    }
    Ok(Answer::new(202, json!({ "message": "message(s) queued", "message_uuid": uuids })).after(hangs))
}

/// `GET …/Message/{uuid}/`
pub(super) fn show(plivo: &Provider, uuid: &str) -> Answer {
    if let Some(answer) = outage(plivo, Api::Message, None) {
        return answer;
    }
    let account = &plivo.config.auth_id;
    plivo.text(uuid).map_or_else(|| Answer::error(404, "not found"), |text| Answer::new(200, text.record(account)))
}

/// `GET …/Message/`
pub(super) fn list(plivo: &Provider, request: &Request) -> Answer {
    if let Some(answer) = outage(plivo, Api::Message, None) {
        return answer;
    }
    let records = plivo.texts().into_iter().map(|text| text.record(&plivo.config.auth_id));
    list::page(request, &["message_state", "error_code", "from_number", "to_number"], records)
}

/// One number, or several joined by `<`.
pub(super) fn destinations(joined: &str) -> Vec<String> {
    joined.split('<').map(number).filter(|number| !number.is_empty()).collect()
}
