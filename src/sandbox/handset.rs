//! What reached which phone.
//!
//! The page shows it and tests read it: it is the only place where a code can be seen, as it would be on
//! a real phone. It knows nothing of Plivo's reports, which may lie.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::code::code_in;
use super::recent::Recent;
use super::{lock, now};
use crate::time::Timestamp;

const NUMBERS: usize = 10_000;
const ENTRIES: usize = 50;

/// One phone: its messages and calls, oldest first.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Handset {
    pub(super) messages: VecDeque<Message>,
    pub(super) calls: VecDeque<Call>,
}

/// A text that arrived.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Message {
    pub(super) text: String,
    pub(super) code: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    at: Timestamp,
}

/// A call that was placed to this phone, whatever became of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Call {
    #[serde(skip)]
    id: String,
    /// What was spoken to a person so far.
    pub(super) code: Option<String>,
    pub(super) status: CallStatus,
    #[serde(serialize_with = "rfc3339")]
    at: Timestamp,
}

/// Where a call stands, seen from the phone.
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
    /// Whether somebody picked up a call that was placed at `since` or later.
    pub(super) fn answered_since(&self, since: Timestamp) -> bool {
        let up = |call: &Call| matches!(call.status, CallStatus::Answered | CallStatus::Completed);
        self.calls.iter().any(|call| call.at >= since && up(call))
    }
}

/// All phones there are. A number that nothing has reached has empty lists.
#[derive(Debug)]
pub(super) struct Handsets(Mutex<Recent<watch::Sender<Handset>>>);

impl Handsets {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Recent::new(NUMBERS)))
    }

    pub(super) fn state(&self, to: &str) -> Handset {
        lock(&self.0).get(to).map(|handset| handset.borrow().clone()).unwrap_or_default()
    }

    /// Sees every later change. The sender goes away when the number is forgotten.
    pub(super) fn watch(&self, to: &str) -> watch::Receiver<Handset> {
        lock(&self.0).entry(to, || watch::Sender::new(Handset::default())).subscribe()
    }

    pub(super) fn receive(&self, to: &str, text: &str) {
        let message = Message { text: text.to_owned(), code: code_in(text), at: now() };
        self.change(to, |handset| push(&mut handset.messages, message));
    }

    /// The phone begins to ring; `id` names the call in what follows.
    pub(super) fn ring(&self, to: &str, id: &str) {
        let call = Call { id: id.to_owned(), code: None, status: CallStatus::Ringing, at: now() };
        self.change(to, |handset| push(&mut handset.calls, call));
    }

    pub(super) fn call_is(&self, to: &str, id: &str, status: CallStatus) {
        self.change_call(to, id, |call| call.status = status);
    }

    pub(super) fn speak(&self, to: &str, id: &str, code: &str) {
        self.change_call(to, id, |call| call.code = Some(code.to_owned()));
    }

    fn change_call(&self, to: &str, id: &str, change: impl FnOnce(&mut Call)) {
        self.change(to, |handset| {
            if let Some(call) = handset.calls.iter_mut().rev().find(|call| call.id == id) {
                change(call);
            }
        });
    }

    fn change(&self, to: &str, change: impl FnOnce(&mut Handset)) {
        lock(&self.0).entry(to, || watch::Sender::new(Handset::default())).send_modify(change);
    }
}

fn push<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == ENTRIES {
        list.pop_front();
    }
    list.push_back(entry);
}

fn rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
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
    fn a_call_has_no_code_until_one_is_spoken() {
        let handsets = Handsets::new();
        handsets.ring("1", "call");
        assert_eq!(handsets.state("1").calls[0].code, None);
        handsets.call_is("1", "call", CallStatus::Answered);
        handsets.speak("1", "call", "482913");
        let call = &handsets.state("1").calls[0];
        assert_eq!((call.code.as_deref(), call.status), (Some("482913"), CallStatus::Answered));
    }

    #[test]
    fn a_phone_keeps_its_last_entries_only() {
        let handsets = Handsets::new();
        for n in 0..60 {
            handsets.receive("1", &format!("{n} is not a code"));
        }
        let messages = handsets.state("1").messages;
        assert_eq!(messages.len(), ENTRIES);
        assert_eq!(messages[0].text, "10 is not a code");
    }
}
