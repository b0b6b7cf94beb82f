//! The Message API. Source: plivo-python `resources/messages.py`,
//! plivo.com/docs/messaging/api/message/send-a-message.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::answer::ApiAnswer;
use super::list;
use super::outage_answer;
use super::request::ApiRequest;
use crate::sandbox::api::{Api, Medium, normalize_number};
use crate::sandbox::carrier::Admission;
use crate::sandbox::provider::Provider;
use crate::sandbox::speech::callback_target;
use crate::sandbox::text::{ReportSubscription, TextOrder};
use crate::sandbox::{send, tariff};

/// `POST …/Message/`: 202 with a UUID for each destination.
pub(super) async fn create(provider: &Arc<Provider>, request: &ApiRequest) -> ApiAnswer {
    try_create(provider, request).await.unwrap_or_else(|refusal| refusal)
}

async fn try_create(provider: &Arc<Provider>, request: &ApiRequest) -> Result<ApiAnswer, ApiAnswer> {
    let destinations = destinations(&request.required("dst")?);
    if let Some(answer) = outage_answer(provider, Api::Message, destinations.first().map(String::as_str)) {
        return Ok(answer);
    }
    let text = request.required("text")?;
    if tariff::is_too_long(&text) {
        return Err(ApiAnswer::error(400, "text is too long: at most 1600 characters, or 737 with any beyond GSM-7"));
    }
    let from = match (request.text("src"), request.text("powerpack_uuid")) {
        (Some(from), None) => normalize_number(&from),
        (None, Some(_)) => "15550000000".to_owned(),
        _ => return Err(ApiAnswer::error(400, "exactly one of src and powerpack_uuid must be given")),
    };
    // The SDKs refuse a dst that equals src; the API's own answer is not documented.
    if destinations.is_empty() {
        return Err(ApiAnswer::error(400, "dst must be a number"));
    }
    let mut delay = Duration::ZERO;
    for to in &destinations {
        match provider.carrier.admit(to, Medium::Text, Instant::now()) {
            Admission::Refused(status) => {
                return Err(ApiAnswer::error(status, "refused by the scenario of this number"));
            }
            Admission::Delayed(longer) => delay = delay.max(longer),
            Admission::Accepted => {}
        }
    }
    let mut uuids = Vec::new();
    for to in destinations {
        let reports = request.text("url").map(|url| ReportSubscription {
            target: callback_target(&url, request.text("method").as_deref()),
            states: None,
        });
        let order = TextOrder { api: Api::Message, from: from.clone(), to, text: text.clone(), reports };
        uuids.push(send::send(provider, order).await.uuid.clone());
    }
    Ok(ApiAnswer::new(202, json!({ "message": "message(s) queued", "message_uuid": uuids })).with_delay(delay))
}

/// `GET …/Message/{uuid}/`
pub(super) fn show(provider: &Provider, uuid: &str) -> ApiAnswer {
    if let Some(answer) = outage_answer(provider, Api::Message, None) {
        return answer;
    }
    let account = &provider.config.auth_id;
    provider
        .text(uuid)
        .map_or_else(|| ApiAnswer::error(404, "not found"), |text| ApiAnswer::new(200, text.record(account)))
}

/// `GET …/Message/`
pub(super) fn list(provider: &Provider, request: &ApiRequest) -> ApiAnswer {
    if let Some(answer) = outage_answer(provider, Api::Message, None) {
        return answer;
    }
    let since = request.text("message_time__gte").unwrap_or_default();
    let records = provider.texts().into_iter().map(|text| text.record(&provider.config.auth_id));
    // Both begin with the time in UTC, from the year to the second.
    let records = records.filter(|record| record["message_time"].as_str() >= Some(since.as_str()));
    list::page(request, &["message_state", "error_code", "from_number", "to_number"], records)
}

/// One number, or several joined by `<`.
pub(super) fn destinations(joined: &str) -> Vec<String> {
    joined.split('<').map(normalize_number).filter(|number| !number.is_empty()).collect()
}
