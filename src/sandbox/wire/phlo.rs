//! The PHLO runner. Any id names the one flow there is.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answer::Answer;
use super::outage;
use super::request::Request;
use crate::sandbox::carrier::{Gate, Kind};
use crate::sandbox::outage::Api;
use crate::sandbox::provider::Provider;
use crate::sandbox::{number, walk};

/// `POST /v1/account/{id}/phlo/{phlo}`: 201 as soon as the first text or call was submitted, or failed.
pub(super) async fn run(plivo: &Arc<Provider>, phlo_id: &str, request: &Request) -> Answer {
    let to = request.text("to").map(|to| number(&to)).unwrap_or_default();
    let kind = if request.text("mode").as_deref() == Some("call") { Kind::Call } else { Kind::Text };
    if let Some(answer) = outage(plivo, Api::Phlo, Some(&to)) {
        return answer;
    }
    let hangs = match plivo.carrier.gate(&to, kind, Instant::now()) {
        Gate::Refused(status) => return Answer::error(status, "refused by the scenario of this number"),
        Gate::Hangs(hangs) => hangs,
        Gate::Open => Duration::ZERO,
    };
    let (answer, message) = oneshot::channel();
    let run = walk::start(plivo, phlo_id, &request.params, answer);
    let message = message.await.unwrap_or_else(|_| "stopped".to_owned());
    let body = json!({ "api_id": run.id, "phlo_id": phlo_id, "phlo_run_id": run.id, "message": message });
    Answer::new(201, body).after(hangs)
}

/// `GET /v1/phlo/{phlo}`, which plivo-python asks before every run.
pub(super) fn show(plivo: &Provider, phlo_id: &str) -> Answer {
    let created = "2026-01-01 00:00:00.000000+00:00";
    outage(plivo, Api::Phlo, None).unwrap_or_else(|| {
        Answer::new(200, json!({ "phlo_id": phlo_id, "name": plivo.flow.name, "created_on": created }))
    })
}

/// `GET /v1/phlo/{phlo}/runs/{run}`: what the run sent.
pub(super) fn show_run(plivo: &Provider, phlo_id: &str, run_id: &str) -> Answer {
    if let Some(answer) = outage(plivo, Api::Phlo, None) {
        return answer;
    }
    let run = plivo.run(run_id).filter(|run| run.phlo_id == phlo_id);
    let record: Option<Value> = run.map(|run| run.record());
    record.map_or_else(|| Answer::error(404, "not found"), |record| Answer::new(200, record))
}
