//! The log of API requests and their answers, in order, for tests and for a look at `/log`.
//!
//! It shows numbers, because it is a tool for the developer's own machine, but never a code.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::Serialize;
use serde_json::{Map, Value};

use super::api::normalize_number;
use super::clock::rfc3339;
use super::sync::lock;
use crate::time::Timestamp;

const ENTRIES_MAX: usize = 10_000;
const PARAMS_MAX: usize = 40;
const CHARACTERS_MAX: usize = 400;
/// Parameters that may hold a code, in a PHLO's payload or a message.
const SECRET_PARAMS: [&str; 3] = ["otp", "code", "text"];

#[derive(Clone, Debug, Serialize)]
pub(super) struct LogEntry {
    /// Finds the entry when its answer is known.
    #[serde(skip)]
    id: u64,
    #[serde(serialize_with = "rfc3339")]
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    /// The API that was meant: `phlo`, `message`, `call` and others.
    #[serde(rename = "what")]
    pub(super) api: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    /// Null until the request is answered. A hanging answer counts from the moment it is known.
    status: Option<u16>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) body: Map<String, Value>,
}

impl LogEntry {
    pub(super) fn new(at: Timestamp, method: &str, path: &str, api: &'static str, params: &Map<String, Value>) -> Self {
        let text = |key: &str| params.get(key).and_then(Value::as_str);
        let (to, mode) = (text("to").or_else(|| text("dst")).map(normalize_number), text("mode").map(str::to_owned));
        let body = params.iter().take(PARAMS_MAX).map(|(key, value)| (key.clone(), redacted(key, value))).collect();
        Self { id: 0, at, method: method.to_owned(), path: path.to_owned(), api, to, mode, status: None, body }
    }
}

/// A parameter as the log shows it: without secrets and of limited length.
fn redacted(key: &str, value: &Value) -> Value {
    match value {
        _ if SECRET_PARAMS.contains(&key) => Value::from("[redacted]"),
        Value::String(text) => Value::from(text.chars().take(CHARACTERS_MAX).collect::<String>()),
        Value::Array(_) | Value::Object(_) => Value::from("[nested]"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The newest `ENTRIES_MAX` requests, oldest first, with the last id.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<(u64, VecDeque<LogEntry>)>);

impl RequestLog {
    /// Adds a request and returns its id.
    pub(super) fn add(&self, mut entry: LogEntry) -> u64 {
        let (last_id, entries) = &mut *lock(&self.0);
        *last_id += 1;
        entry.id = *last_id;
        if entries.len() == ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
        *last_id
    }

    pub(super) fn record_answer(&self, id: u64, status: u16) {
        let (_, entries) = &mut *lock(&self.0);
        if let Ok(at) = entries.binary_search_by_key(&id, |entry| entry.id) {
            entries[at].status = Some(status);
        }
    }

    pub(super) fn entries(&self) -> Vec<LogEntry> {
        lock(&self.0).1.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(body: Value) -> LogEntry {
        let Value::Object(body) = body else { panic!("an object") };
        LogEntry::new(Timestamp::default(), "POST", "/v1/account/MA/phlo/p", "phlo", &body)
    }

    #[test]
    fn no_code_is_logged() {
        let log = RequestLog::default();
        log.add(entry(json!({ "to": "14155550100", "otp": "482913", "text": "482913 is it", "mode": "sms" })));
        let shown = serde_json::to_string(&log.entries()).unwrap();
        assert!(!shown.contains("482913"), "{shown}");
        assert!(shown.contains(r#""to":"14155550100","mode":"sms","status":null"#), "{shown}");
    }

    #[test]
    fn an_answer_is_recorded_at_its_request() {
        let log = RequestLog::default();
        let ids = [(); 3].map(|()| log.add(entry(json!({}))));
        log.record_answer(ids[1], 429);
        assert_eq!(log.entries().iter().map(|entry| entry.status).collect::<Vec<_>>(), [None, Some(429), None]);
    }
}
