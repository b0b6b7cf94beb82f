//! What a browser sees with a `client_token`: the states of its verification.
//!
//! The page belongs to the person who is verified, or to an attacker who opened it. So it learns neither costs, samples and
//! policies nor Plivo's ids, codes and statuses, nor the customer's metadata. Both lists name what is shown, so that a new
//! event or input is hidden until it is added here.

use serde::Serialize;
use serde_json::{Map, Value};

use super::timeline::EntryView;
use super::view::VerificationView;

/// The events that are shown.
const EVENTS: [&str; 13] = [
    "created",
    "joined",
    "attempt_decided",
    "escalated",
    "accepted",
    "refused",
    "quiet_hours",
    "text_reported",
    "call_reported",
    "call_silent",
    "code_incorrect",
    "activity",
    "ended",
];

/// The inputs of events that are shown.
const INPUTS: [&str; 9] =
    ["attempt", "channel", "reason", "is_repeat", "status", "until", "checks_remaining", "kind", "ended_by"];

/// One event, without its sentence: that may name policies and Plivo's codes.
#[derive(Serialize)]
pub struct BrowserEntryView {
    /// RFC 3339.
    pub at: String,
    /// Its name.
    pub event: &'static str,
    #[serde(flatten)]
    inputs: Map<String, Value>,
}

impl BrowserEntryView {
    /// What a browser sees of an entry; `None` for one that is not shown.
    pub fn of(entry: EntryView) -> Option<Self> {
        let EntryView { at, event, mut inputs, .. } = entry;
        inputs.retain(|name, _| INPUTS.contains(&name.as_str()));
        EVENTS.contains(&event).then_some(Self { at, event, inputs })
    }
}

/// What a browser sees of a verification. Hidden fields are null, so that its shape is that of the API.
pub fn verification(mut view: VerificationView) -> VerificationView {
    view.metadata.clear();
    for attempt in &mut view.attempts {
        attempt.via = None;
        attempt.provider_id = None;
        attempt.error_code = None;
    }
    view
}
