//! The timeline in words: every event and decision of a verification, with its reason and inputs.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::timeline_words::{call_report, ended, text_report};
use crate::engine::Found;
use crate::escalation::Reason;
use crate::route_model::{doubt, explain};
use crate::verification::timeline::{Entry, Note};
use crate::verification::{Activity, AttemptIndex, AttemptStatus, Channel, Feedback, Verification};

/// The timeline of one verification.
#[derive(Serialize, ToSchema)]
pub struct TimelineView {
    /// The id of the verification.
    pub id: String,
    /// Events and decisions, oldest first.
    pub entries: Vec<EntryView>,
}

/// One event or decision.
#[derive(Serialize, ToSchema)]
pub struct EntryView {
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// Its name, for programs.
    #[schema(example = "text_reported")]
    pub event: &'static str,
    /// A sentence, for people.
    #[schema(example = "The carrier did not deliver the text (error 30): no text will reach this number.")]
    pub text: String,
    /// The inputs of the decision.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub inputs: Map<String, Value>,
}

impl TimelineView {
    /// The timeline of one session: what is its own, and what all share.
    pub fn of(found: &Found) -> Self {
        let (v, session) = (&found.verification, found.session);
        let shown = v.timeline.iter().filter(|entry| entry.is_shown_to(session));
        Self { id: v.id_of(session).to_string(), entries: shown.map(|entry| EntryView::of(v, entry)).collect() }
    }
}

impl EntryView {
    /// One entry.
    pub fn of(v: &Verification, entry: &Entry) -> Self {
        let (event, text, inputs) = describe(v, &entry.note);
        let inputs = if let Value::Object(inputs) = inputs { inputs } else { Map::new() };
        Self { at: entry.at.to_string(), event, text, inputs }
    }
}

fn describe(v: &Verification, note: &Note) -> (&'static str, String, Value) {
    match note {
        Note::Created { mode, policy } => (
            "created",
            match mode.first_channel() {
                Channel::Sms => format!("The verification was created; its escalation policy is {policy}."),
                Channel::Call => "The verification was created; the code is sent by call.".to_owned(),
            },
            json!({ "channel": mode.as_str(), "policy": policy.to_string() }),
        ),
        Note::Joined => (
            "joined",
            "This creation shares what was sent for an earlier one of the same number and purpose.".to_owned(),
            json!({}),
        ),
        Note::AttemptDecided { attempt, channel, reason, is_repeat, waited_ms } => (
            if *channel == Channel::Call && *reason != Some(Reason::Requested) {
                "escalated"
            } else {
                "attempt_decided"
            },
            decided(*channel, *reason, *is_repeat, *waited_ms, doubt_of(v, *attempt)),
            json!({ "attempt": attempt, "channel": channel.as_str(), "reason": reason.map(Reason::as_str),
                "is_repeat": is_repeat, "waited_ms": waited_ms, "policy": v.policy.to_string() }),
        ),
        Note::Weighed { attempt, weighed } => (
            "weighed",
            explain(weighed),
            json!({ "attempt": attempt, "weighed": weighed, "route": weighed.carrier.map(|c| c.to_string()) }),
        ),
        Note::Accepted { attempt, via } => (
            "accepted",
            format!("Plivo accepted the {}.", attempt_noun(v, *attempt)),
            json!({ "attempt": attempt, "via": via.as_str() }),
        ),
        Note::Refused { attempt, provider_status, stop } => {
            let consequence = if *stop { "; no other channel can reach this number" } else { "" };
            (
                "refused",
                format!("Plivo refused the {} (HTTP {provider_status}){consequence}.", attempt_noun(v, *attempt)),
                json!({ "attempt": attempt, "provider_status": provider_status }),
            )
        }
        Note::QuietHours { until } => (
            "quiet_hours",
            format!("Quiet hours at the number's place: no call before {until} unless one is requested."),
            json!({ "until": until.to_string() }),
        ),
        Note::CallBarred { reason, is_repeat, scope } => (
            "call_barred",
            format!("A call was due, but it was not placed: the limit on {} is reached.", scope.in_words()),
            json!({ "reason": reason.as_str(), "is_repeat": is_repeat, "scope": scope.as_str() }),
        ),
        Note::TimedOut { attempt } => (
            "timed_out",
            format!(
                "The outcome of the request is unknown; the {} may have been sent.",
                attempt_noun(v, *attempt)
            ),
            json!({ "attempt": attempt }),
        ),
        Note::NotSent { attempt } => (
            "not_sent",
            format!("Plivo's list of messages lacks the {}: it is requested again.", attempt_noun(v, *attempt)),
            json!({ "attempt": attempt }),
        ),
        Note::Deferred { attempt, provider_status, retry_at } => {
            let why = provider_status.map_or("no connection".to_owned(), |status| format!("HTTP {status}"));
            (
                "deferred",
                format!("Plivo did not take the {} ({why}); the request is retried soon.", attempt_noun(v, *attempt)),
                json!({ "attempt": attempt, "provider_status": provider_status, "retry_at": retry_at.to_string() }),
            )
        }
        Note::PassedOn { attempt, provider_status } => {
            let why = provider_status.map_or("no connection".to_owned(), |status| format!("HTTP {status}"));
            (
                "passed_on",
                format!(
                    "The PHLO did not run for the {} ({why}); the direct API is used instead.",
                    attempt_noun(v, *attempt)
                ),
                json!({ "attempt": attempt, "provider_status": provider_status }),
            )
        }
        Note::TakenBack { attempt } => (
            "taken_back",
            "The verification has ended: its call is canceled if it still rings.".to_owned(),
            json!({ "attempt": attempt }),
        ),
        Note::TakenOver { attempt } => (
            "taken_over",
            format!(
                "The process that requested the {} has stopped; it is requested once more.",
                attempt_noun(v, *attempt)
            ),
            json!({ "attempt": attempt }),
        ),
        Note::TextReported { attempt, report } => (
            "text_reported",
            text_report(report),
            json!({ "attempt": attempt, "status": report.status().as_str(), "error_code": report.error_code(),
                "class": report.class() }),
        ),
        Note::CallReported { attempt, report } => (
            "call_reported",
            match v.attempt(*attempt) {
                Some(a) if a.hung_up && report.status() == AttemptStatus::Failed => "The call was canceled.",
                _ => call_report(report),
            }
            .to_owned(),
            json!({ "attempt": attempt, "status": report.status().as_str(), "error_code": report.cause() }),
        ),
        Note::CallSilent { attempt } => (
            "call_silent",
            "Plivo reported nothing about the call for 60 s; it counts as not answered.".to_owned(),
            json!({ "attempt": attempt }),
        ),
        Note::CodeIncorrect { checks_remaining } => (
            "code_incorrect",
            format!("A wrong code was entered; {checks_remaining} checks are left."),
            json!({ "checks_remaining": checks_remaining }),
        ),
        Note::Activity { kind } => (
            "activity",
            match kind {
                Activity::Typing => "The person is typing the code; a call that is due now waits for 10 s.",
                Activity::Received => "The person has received the text; no call is made unless one is requested, or another creation waits for it.",
                Activity::NotReceived => "The person reports that no text has arrived.",
            }
            .to_owned(),
            json!({ "kind": kind }),
        ),
        Note::Dropped { attempt } => (
            "dropped",
            format!("The {} is not sent: the verification has ended.", attempt_noun(v, *attempt)),
            json!({ "attempt": attempt }),
        ),
        Note::Feedback { feedback } => (
            "feedback",
            match feedback {
                Feedback::Converted => "The customer says that the code was entered.",
                Feedback::NotConverted => "The customer says that the code was not entered.",
            }
            .to_owned(),
            json!({ "outcome": feedback.as_str() }),
        ),
        Note::Ended { how } => {
            let status = how.status().as_str();
            let inputs = match how.ended_by() {
                Some(ended_by) => json!({ "status": status, "ended_by": ended_by }),
                None => json!({ "status": status }),
            };
            ("ended", ended(v, *how), inputs)
        }
    }
}

fn attempt_noun(v: &Verification, attempt: AttemptIndex) -> &'static str {
    match v.attempt(attempt).map(|a| a.channel) {
        Some(Channel::Call) => "call",
        Some(Channel::Sms) | None => "text",
    }
}

/// The evidence against the route, if this call was placed for it.
fn doubt_of(v: &Verification, called: AttemptIndex) -> Option<String> {
    v.timeline.iter().find_map(|entry| match &entry.note {
        Note::Weighed { attempt, weighed } if *attempt == called => doubt(weighed),
        _ => None,
    })
}

fn decided(channel: Channel, reason: Option<Reason>, is_repeat: bool, waited_ms: u64, doubt: Option<String>) -> String {
    let Some(reason) = reason.filter(|_| channel == Channel::Call) else {
        return "A text is sent.".to_owned();
    };
    let at = format!("{:.1} s after the first request", waited_ms as f64 / 1000.0);
    match reason {
        _ if is_repeat => format!("Calling once more, {at}: the last call was not answered."),
        Reason::Requested => "Calling, as requested.".to_owned(),
        Reason::Undelivered => format!("Calling at once, {at}: the carrier did not deliver the text."),
        Reason::Failed => format!("Calling at once, {at}: Plivo could not send the text."),
        Reason::Landline => format!("Calling at once, {at}: this number cannot receive texts."),
        Reason::RejectedByPlivo => format!("Calling at once, {at}: Plivo did not accept the text."),
        Reason::StuckQueued => format!("Calling, {at}: the text never left Plivo's queue."),
        Reason::NoReport => format!("Calling, {at}: no report says that the text arrived."),
        Reason::DeliveredUnverified => {
            format!("Calling, {at}: the text is reported as delivered, but no code was entered.")
        }
        Reason::RouteUnreliable => match doubt {
            Some(doubt) => format!("Calling, {at}: texts on this route have been doing badly: {doubt}."),
            None => format!("Calling, {at}: by the costs of this route's recent texts, waiting longer costs more."),
        },
    }
}
