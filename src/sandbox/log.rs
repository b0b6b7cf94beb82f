//! The log of API requests, for tests and for the curious: what was asked, in order, and what was
//! answered. It may show numbers, as it is a tool on one's own machine, but never a code.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{lock, number};
use crate::time::Timestamp;

const ENTRIES: usize = 10_000;
/// How much of a request is kept.
const PARAMS: usize = 40;
const CHARACTERS: usize = 400;
/// What may hold a code: the PHLO's payload, and the finished text.
const SECRET: [&str; 3] = ["otp", "code", "text"];

/// One request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    /// Names the entry until its answer is known.
    #[serde(skip)]
    id: u64,
    #[serde(serialize_with = "rfc3339")]
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    /// `phlo`, `message`, `call`, or what else was meant.
    pub(super) what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<String>,
    /// What was answered; null while it is worked on. An answer that hangs counts as given.
    status: Option<u16>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) body: Map<String, Value>,
}

impl Entry {
    pub(super) fn new(
        at: Timestamp,
        method: &str,
        path: &str,
        what: &'static str,
        params: &Map<String, Value>,
    ) -> Self {
        let text = |key: &str| params.get(key).and_then(Value::as_str);
        let (to, mode) = (text("to").or_else(|| text("dst")).map(number), text("mode").map(str::to_owned));
        let body = params.iter().take(PARAMS).map(|(key, value)| (key.clone(), shown(key, value))).collect();
        Self { id: 0, at, method: method.to_owned(), path: path.to_owned(), what, to, mode, status: None, body }
    }
}

/// A parameter as the log shows it: no secret, and nothing long.
fn shown(key: &str, value: &Value) -> Value {
    match value {
        _ if SECRET.contains(&key) => Value::from("[redacted]"),
        Value::String(text) => Value::from(text.chars().take(CHARACTERS).collect::<String>()),
        Value::Array(_) | Value::Object(_) => Value::from("[nested]"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The last ten thousand requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct RequestLog(Mutex<(u64, VecDeque<Entry>)>);

impl RequestLog {
    /// Notes that a request came in; the result names it.
    pub(super) fn take(&self, mut entry: Entry) -> u64 {
        let (last, entries) = &mut *lock(&self.0);
        *last += 1;
        entry.id = *last;
        if entries.len() == ENTRIES {
            entries.pop_front();
        }
        entries.push_back(entry);
        *last
    }

    pub(super) fn answered(&self, id: u64, status: u16) {
        let (_, entries) = &mut *lock(&self.0);
        if let Ok(at) = entries.binary_search_by_key(&id, |entry| entry.id) {
            entries[at].status = Some(status);
        }
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        lock(&self.0).1.iter().cloned().collect()
    }
}

fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(body: Value) -> Entry {
        let Value::Object(body) = body else { panic!("an object") };
        Entry::new(Timestamp::default(), "POST", "/v1/account/MA/phlo/p", "phlo", &body)
    }

    #[test]
    fn no_code_is_kept() {
        let log = RequestLog::default();
        log.take(entry(json!({ "to": "14155550100", "otp": "482913", "text": "482913 is it", "mode": "sms" })));
        let shown = serde_json::to_string(&log.entries()).unwrap();
        assert!(!shown.contains("482913"), "{shown}");
        assert!(shown.contains(r#""to":"14155550100","mode":"sms","status":null"#), "{shown}");
    }

    #[test]
    fn the_answer_is_noted_at_its_request() {
        let log = RequestLog::default();
        let ids = [(); 3].map(|()| log.take(entry(json!({}))));
        log.answered(ids[1], 429);
        assert_eq!(log.entries().iter().map(|entry| entry.status).collect::<Vec<_>>(), [None, Some(429), None]);
    }
}
