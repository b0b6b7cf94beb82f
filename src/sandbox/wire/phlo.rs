//! The PHLO runner. Any PHLO id names the one flow.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::ApiAnswer;
use super::outage_answer;
use super::request::ApiRequest;
use crate::sandbox::api::{Api, Medium, normalize_number};
use crate::sandbox::carrier::Admission;
use crate::sandbox::provider::Provider;
use crate::sandbox::walk;

/// `POST /v1/account/{id}/phlo/{phlo}`: 201 as soon as the first text or call was submitted, or failed.
pub(super) async fn run(provider: &Arc<Provider>, phlo_id: &str, request: &ApiRequest) -> ApiAnswer {
    let to = request.text("to").map(|to| normalize_number(&to)).unwrap_or_default();
    let medium = if request.text("mode").as_deref() == Some("call") { Medium::Call } else { Medium::Text };
    if let Some(answer) = outage_answer(provider, Api::Phlo, Some(&to)) {
        return answer;
    }
    let delay = match provider.carrier.admit(&to, medium, Instant::now()) {
        Admission::Refused(status) => return ApiAnswer::error(status, "refused by the scenario of this number"),
        Admission::Delayed(delay) => delay,
        Admission::Accepted => Duration::ZERO,
    };
    let (answer, message) = oneshot::channel();
    let run = walk::start(provider, phlo_id, &request.params, answer);
    let message = message.await.unwrap_or_else(|_| "stopped".to_owned());
    let body = json!({ "api_id": run.id, "phlo_id": phlo_id, "phlo_run_id": run.id, "message": message });
    ApiAnswer::new(201, body).with_delay(delay)
}

/// `GET /v1/phlo/{phlo}`, which plivo-python requests before every run.
pub(super) fn show(provider: &Provider, phlo_id: &str) -> ApiAnswer {
    let created = "2026-01-01 00:00:00.000000+00:00";
    outage_answer(provider, Api::Phlo, None).unwrap_or_else(|| {
        ApiAnswer::new(200, json!({ "phlo_id": phlo_id, "name": provider.flow.name, "created_on": created }))
    })
}

/// `GET /v1/phlo/{phlo}/runs/{run}`: the ids of what the run sent.
pub(super) fn show_run(provider: &Provider, phlo_id: &str, run_id: &str) -> ApiAnswer {
    if let Some(answer) = outage_answer(provider, Api::Phlo, None) {
        return answer;
    }
    let run = provider.run(run_id).filter(|run| run.phlo_id == phlo_id);
    let record: Option<Value> = run.map(|run| run.to_json());
    record.map_or_else(|| ApiAnswer::error(404, "not found"), |record| ApiAnswer::new(200, record))
}
