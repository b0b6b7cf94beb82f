//! The phones: which texts and calls reached each number.
//!
//! The demo's page shows them and tests read them. Codes can be seen here only, as on a real phone. Plivo's reports,
//! which may be false, change nothing here.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::Serialize;
use tokio::sync::watch;

use super::bounded_map::BoundedMap;
use super::clock::{now, rfc3339};
use super::code::code_in;
use super::sync::lock;
use crate::time::Timestamp;

const HANDSETS_MAX: usize = 10_000;
/// Texts, and as many calls, of one phone.
const ENTRIES_MAX: usize = 50;

/// One phone: its texts and calls, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Handset {
    pub(super) messages: VecDeque<ReceivedText>,
    pub(super) calls: VecDeque<ReceivedCall>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceivedText {
    pub(super) text: String,
    pub(super) code: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    at: Timestamp,
}

/// A call to this phone, answered or not.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceivedCall {
    #[serde(skip)]
    id: String,
    /// `None` until a person has heard one.
    pub(super) code: Option<String>,
    pub(super) status: CallStatus,
    #[serde(serialize_with = "rfc3339")]
    at: Timestamp,
}

/// The state of a call, as the phone shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallStatus {
    Ringing,
    Answered,
    Completed,
    NoAnswer,
    Busy,
    Rejected,
    Machine,
    Failed,
    Canceled,
}

impl Handset {
    /// Whether a person answered a call that was placed at `since` or later.
    pub(super) fn has_answered_since(&self, since: Timestamp) -> bool {
        let is_answered = |call: &ReceivedCall| matches!(call.status, CallStatus::Answered | CallStatus::Completed);
        self.calls.iter().any(|call| call.at >= since && is_answered(call))
    }
}

/// All phones. A number that nothing has reached has empty lists.
#[derive(Debug)]
pub(super) struct Handsets(Mutex<BoundedMap<watch::Sender<Handset>>>);

impl Handsets {
    pub(super) fn new() -> Self {
        Self(Mutex::new(BoundedMap::new(HANDSETS_MAX)))
    }

    pub(super) fn state(&self, to: &str) -> Handset {
        lock(&self.0).get(to).map(|handset| handset.borrow().clone()).unwrap_or_default()
    }

    /// Subscribes to changes. The channel closes when the phone is evicted.
    pub(super) fn watch(&self, to: &str) -> watch::Receiver<Handset> {
        lock(&self.0).get_or_insert_with(to, || watch::Sender::new(Handset::default())).subscribe()
    }

    pub(super) fn receive_text(&self, to: &str, text: &str) {
        let message = ReceivedText { text: text.to_owned(), code: code_in(text), at: now() };
        self.change(to, |handset| push(&mut handset.messages, message));
    }

    /// Adds a ringing call; `id` names it in later changes.
    pub(super) fn ring(&self, to: &str, id: &str) {
        let call = ReceivedCall { id: id.to_owned(), code: None, status: CallStatus::Ringing, at: now() };
        self.change(to, |handset| push(&mut handset.calls, call));
    }

    pub(super) fn set_call_status(&self, to: &str, id: &str, status: CallStatus) {
        self.change_call(to, id, |call| call.status = status);
    }

    pub(super) fn hear_code(&self, to: &str, id: &str, code: &str) {
        self.change_call(to, id, |call| call.code = Some(code.to_owned()));
    }

    fn change_call(&self, to: &str, id: &str, change: impl FnOnce(&mut ReceivedCall)) {
        self.change(to, |handset| {
            if let Some(call) = handset.calls.iter_mut().rev().find(|call| call.id == id) {
                change(call);
            }
        });
    }

    fn change(&self, to: &str, change: impl FnOnce(&mut Handset)) {
        lock(&self.0).get_or_insert_with(to, || watch::Sender::new(Handset::default())).send_modify(change);
    }
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == ENTRIES_MAX {
        list.pop_front();
    }
    list.push_back(entry);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_number_has_empty_lists() {
        let state = serde_json::to_value(Handsets::new().state("14155550100")).unwrap();
        assert_eq!(state, json!({ "messages": [], "calls": [] }));
    }

    #[test]
    fn a_call_has_no_code_until_a_person_hears_one() {
        let handsets = Handsets::new();
        handsets.ring("1", "call");
        assert_eq!(handsets.state("1").calls[0].code, None);
        handsets.set_call_status("1", "call", CallStatus::Answered);
        handsets.hear_code("1", "call", "482913");
        let call = &handsets.state("1").calls[0];
        assert_eq!((call.code.as_deref(), call.status), (Some("482913"), CallStatus::Answered));
    }

    #[test]
    fn a_phone_keeps_its_newest_entries_only() {
        let handsets = Handsets::new();
        for n in 0..60 {
            handsets.receive_text("1", &format!("{n} is not a code"));
        }
        let messages = handsets.state("1").messages;
        assert_eq!(messages.len(), ENTRIES_MAX);
        assert_eq!(messages[0].text, "10 is not a code");
    }
}
