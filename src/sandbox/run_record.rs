//! [`RunRecord`]: the ids of a PHLO run's texts and calls, which the API returns later.

use std::sync::Mutex;

use serde_json::{Value, json};
use uuid::Uuid;

use super::sync::lock;

/// The record of one run.
#[derive(Debug)]
pub(super) struct RunRecord {
    /// Also the `api_id` of the request that started the run, as in Plivo's docs.
    pub(super) id: String,
    pub(super) phlo_id: String,
    sent: Mutex<SentIds>,
}

#[derive(Debug, Default)]
struct SentIds {
    texts: Vec<String>,
    calls: Vec<String>,
}

impl RunRecord {
    pub(super) fn new(phlo_id: &str) -> Self {
        Self { id: Uuid::new_v4().to_string(), phlo_id: phlo_id.to_owned(), sent: Mutex::default() }
    }

    pub(super) fn add_text(&self, uuid: &str) {
        lock(&self.sent).texts.push(uuid.to_owned());
    }

    pub(super) fn add_call(&self, uuid: &str) {
        lock(&self.sent).calls.push(uuid.to_owned());
    }

    /// The body of `GET …/runs/{run}`. Source: plivo-java's `PhloRun` bean.
    pub(super) fn to_json(&self) -> Value {
        let sent = lock(&self.sent);
        json!({
            "phlo_id": self.phlo_id,
            "run_id": self.id,
            "phlo_run_id": self.id,
            "message_uuids": sent.texts,
            "call_uuids": sent.calls,
            "recording_ids": [],
        })
    }
}
