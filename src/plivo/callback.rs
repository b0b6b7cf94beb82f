//! Parses Plivo's callbacks: about texts, about calls, and from a PHLO's HTTP Request nodes.
//!
//! This module decides and proves nothing. Unknown fields and statuses are ignored, never an error: Plivo adds some
//! without notice.

use serde_json::Value;

use super::{cause, is_id, outcome};
use crate::escalation::CallEnd;
use crate::phone::Carrier;
use crate::verification::{CallReport, ReportFacts, TextReport};

/// The decoded parameters of one callback, in the order received.
#[derive(Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parses a query string or a form body.
    pub fn from_form(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// Parses the top level of a JSON object, and keeps texts, numbers and booleans.
    ///
    /// `None` when it is not an object.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_slice(bytes).ok()? else { return None };
        let scalar = |(key, value)| match value {
            Value::String(text) => Some((key, text)),
            Value::Number(_) | Value::Bool(_) => Some((key, value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        Some(Self(fields.into_iter().filter_map(scalar).collect()))
    }

    /// All parameters, as a signature covers them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first non-empty parameter among several names for one thing.
    fn get(&self, names: &[&str]) -> Option<&str> {
        let named = |name: &&str| self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        names.iter().find_map(named).map(|(_, value)| value.as_str())
    }

    /// A parameter that has the form of an id. It is stored, and appears in store keys as a hash.
    fn id(&self, names: &[&str]) -> Option<String> {
        self.get(names).filter(|id| is_id(id)).map(str::to_owned)
    }

    /// Network and cost. Texts report both (plivo.com/docs/messaging/api/message/message-status-callbacks), calls the cost
    /// (plivo.com/docs/voice/concepts/callbacks).
    fn facts(&self) -> ReportFacts {
        let amount = self.get(&["TotalAmount", "TotalCost"]).and_then(|text| text.parse::<f64>().ok());
        let dollars = amount.filter(|dollars| (0.0..COST_MAX).contains(dollars));
        ReportFacts {
            carrier: self.get(&["MCC"]).zip(self.get(&["MNC"])).and_then(|(mcc, mnc)| Carrier::parse(mcc, mnc)),
            // Plivo reports 0 before it knows the cost.
            cost_u: dollars.map(|dollars| (dollars * 1e6).round() as u64).filter(|cost| *cost > 0),
        }
    }

    /// A code or a cause. It is stored, shown and logged, so it must not contain a phone number or a code that a flow
    /// sends by mistake.
    fn word(&self, names: &[&str]) -> Option<&str> {
        let has_digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > DIGITS_MAX);
        let is_plain = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        self.get(names).filter(|text| text.len() <= WORD_MAX && is_plain(text) && !has_digits(text))
    }
}

/// Plivo's code for an unknown error (plivo.com/docs/messaging/troubleshooting/error-codes).
const UNKNOWN_CODE: &str = "1000";

/// US dollars. No text or call costs as much, so a larger amount is an error.
const COST_MAX: f64 = 100.0;
/// The longest code or cause that is kept.
const WORD_MAX: usize = 64;
/// The longest run of digits in a cause: Plivo's codes have at most four, verification codes at least four.
const DIGITS_MAX: usize = 4;

/// A status callback of a text, also from a PHLO's Send SMS node.
///
/// Source: plivo.com/docs/messaging/api/message/message-status-callbacks.
///
/// That node's field names are not published, so the names of its variables are accepted too.
pub struct TextCallback {
    /// The message UUID, which finds the attempt when there is no ref.
    pub message_uuid: Option<String>,
    /// The report, if the status is a known one.
    pub report: Option<TextReport>,
    /// Network and cost.
    pub facts: ReportFacts,
}

impl TextCallback {
    /// Parses the parameters.
    pub fn read(params: &Params) -> Self {
        let status = params.get(&["Status", "status", "message_state"]);
        let names = ["ErrorCode", "error_code"];
        // A code that is not kept still counts as an unknown code, not as none.
        let code = params.word(&names).or_else(|| params.get(&names).map(|_| UNKNOWN_CODE));
        Self {
            message_uuid: params.id(&["MessageUUID", "message_uuid"]),
            report: status.and_then(|status| outcome::text_report(status, code)),
            facts: params.facts(),
        }
    }
}

/// A callback of a call (plivo.com/docs/voice/concepts/callbacks).
pub struct CallCallback {
    /// Plivo's ids of the call. Request and call may or may not share one, so both are kept.
    pub uuids: Vec<String>,
    /// The request UUID, which cancels a ringing call.
    pub request_uuid: Option<String>,
    /// The report, if the status is a known one.
    pub report: Option<CallReport>,
    /// Network and cost.
    pub facts: ReportFacts,
}

impl CallCallback {
    /// Parses the parameters.
    pub fn read(params: &Params) -> Self {
        let status = params.get(&["CallStatus", "call_status", "status"]).unwrap_or_default();
        let code = params.get(&["HangupCauseCode", "hangup_cause_code"]).and_then(|code| code.parse().ok());
        let cause = params.word(&["HangupCauseName", "HangupCause", "hangup_cause"]);
        let names: [&[&str]; 3] = [&["CallUUID", "call_uuid", "uuid"], &["RequestUUID", "request_uuid"], &["ALegUUID"]];
        let mut uuids: Vec<String> = names.iter().filter_map(|names| params.id(names)).collect();
        uuids.dedup();
        let duration = params.get(&["Duration", "duration"]).and_then(|seconds| seconds.parse().ok());
        Self {
            uuids,
            request_uuid: params.id(&["RequestUUID", "request_uuid"]),
            report: outcome::call_report(status, code, cause, duration),
            facts: params.facts(),
        }
    }
}

/// Plivo's request for the XML of a call (plivo.com/docs/voice/concepts/callbacks).
pub struct AnswerCallback {
    /// Plivo's id of the call.
    pub call_uuid: Option<String>,
    /// Whether a machine has answered.
    pub is_machine: bool,
    /// Whether the requested key was pressed.
    pub has_pressed: bool,
}

impl AnswerCallback {
    /// Parses the parameters.
    pub fn read(params: &Params) -> Self {
        Self {
            call_uuid: params.id(&["RequestUUID", "CallUUID"]),
            is_machine: params.get(&["Machine"]).is_some_and(|is| is.eq_ignore_ascii_case("true")),
            has_pressed: params.get(&["Digits"]) == Some("1"),
        }
    }
}

/// A report from an HTTP Request node of the flow. `phlo/README.md` defines its fields.
#[derive(Default)]
pub struct PhloCallback {
    /// The ref, unless it is in the path.
    pub reference: Option<String>,
    /// The event, if it is a known one.
    pub event: Option<PhloEvent>,
}

/// The events that the flow posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhloEvent {
    /// Plivo accepted the text.
    TextAccepted {
        /// Message UUID.
        message_uuid: Option<String>,
    },
    /// Plivo refused the text.
    TextRefused,
    /// A report about the call.
    Call {
        /// The report.
        report: CallReport,
        /// Call UUID.
        call_uuid: Option<String>,
    },
}

impl PhloCallback {
    /// Parses the parameters.
    pub fn read(params: &Params) -> Self {
        let cause = params.word(&["cause"]);
        // Any other cause means rejected, also one that is not kept.
        let is_rejected = params.get(&["cause"]).is_some_and(|cause| cause != "USER_BUSY");
        let uuid = |name| params.id(&[name]);
        let call = |report| Some(PhloEvent::Call { report, call_uuid: uuid("call_uuid") });
        let ended = |end| call(CallReport::Ended { end, cause: cause::of_call(None, cause) });
        let event = match params.get(&["event"]).unwrap_or_default() {
            "sms_sent" => Some(PhloEvent::TextAccepted { message_uuid: uuid("message_uuid") }),
            "sms_failed" => Some(PhloEvent::TextRefused),
            "call_answered" => call(CallReport::Answered),
            "call_no_answer" => ended(CallEnd::NoAnswer),
            // The canvas has one output for busy and rejected.
            "call_busy" if is_rejected => ended(CallEnd::Rejected),
            "call_busy" => ended(CallEnd::Busy),
            "call_failed" => ended(CallEnd::Failed),
            "call_machine" => ended(CallEnd::Machine),
            _ => None,
        };
        Self { reference: params.get(&["ref"]).map(str::to_owned), event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::FailureClass;

    fn form(text: &str) -> Params {
        Params::from_form(text.as_bytes())
    }

    #[test]
    fn a_status_callback_is_parsed_under_both_sets_of_names() {
        let read = |params: &Params| {
            let TextCallback { message_uuid, report, .. } = TextCallback::read(params);
            (message_uuid, report)
        };
        let undelivered = TextReport::Undelivered { error_code: Some("30".into()), class: FailureClass::Permanent };
        let expected = (Some("8b1f".to_owned()), Some(undelivered));
        assert_eq!(read(&form("MessageUUID=8b1f&Status=undelivered&ErrorCode=30&To=14155550101")), expected);
        let json = br#"{"message_uuid":"8b1f","status":"Undelivered","error_code":30,"extra":{"a":[1]}}"#;
        assert_eq!(read(&Params::from_json(json).unwrap()), expected);
        assert_eq!(read(&form("MessageUUID=8b1f&Status=read")), (Some("8b1f".into()), None));
        assert_eq!(read(&form("")), (None, None));
    }

    #[test]
    fn stored_words_are_short_and_contain_no_number() {
        for cause in ["14155550101", "code 042917", "12345", &"x".repeat(65), "caf\u{e9}", "a\nb"] {
            let body = serde_json::json!({ "event": "call_failed", "cause": cause, "call_uuid": "+14155550101" });
            let event = PhloCallback::read(&Params::from_json(body.to_string().as_bytes()).unwrap()).event;
            let expected = CallReport::Ended { end: CallEnd::Failed, cause: None };
            assert_eq!(event, Some(PhloEvent::Call { report: expected, call_uuid: None }), "{cause:?}");
        }
        let callback = TextCallback::read(&form(&format!("MessageUUID={}&Status=sent", "a".repeat(65))));
        assert_eq!(callback.message_uuid, None);
    }

    #[test]
    fn network_and_cost_are_parsed_only_when_plausible() {
        let facts = |text: &str| TextCallback::read(&form(text)).facts;
        let told = facts("Status=sent&MCC=310&MNC=004&TotalAmount=0.0055");
        assert_eq!(told, ReportFacts { carrier: Carrier::parse("310", "004"), cost_u: Some(5500) });
        for nothing in ["Status=sent", "MCC=&MNC=4&TotalAmount=0.00000", "MCC=310&TotalAmount=-1", "TotalAmount=1e9"] {
            assert_eq!(facts(nothing), ReportFacts::default(), "{nothing}");
        }
        assert_eq!(CallCallback::read(&form("CallStatus=completed&TotalCost=0.01")).facts.cost_u, Some(10_000));
    }

    #[test]
    fn a_hangup_keeps_every_id_it_carries() {
        let callback = CallCallback::read(&form("CallUUID=a&RequestUUID=b&CallStatus=busy&HangupCause=USER_BUSY"));
        assert_eq!(callback.uuids, ["a", "b"]);
        assert!(matches!(callback.report, Some(CallReport::Ended { end: CallEnd::Busy, .. })));
    }

    #[test]
    fn busy_with_another_cause_is_rejected() {
        let event = |body: &str| PhloCallback::read(&Params::from_json(body.as_bytes()).unwrap()).event;
        let end = |body| match event(body) {
            Some(PhloEvent::Call { report: CallReport::Ended { end, .. }, .. }) => end,
            other => panic!("{other:?}"),
        };
        assert_eq!(end(r#"{"event":"call_busy"}"#), CallEnd::Busy);
        assert_eq!(end(r#"{"event":"call_busy","cause":""}"#), CallEnd::Busy);
        assert_eq!(end(r#"{"event":"call_busy","cause":"USER_BUSY"}"#), CallEnd::Busy);
        assert_eq!(end(r#"{"event":"call_busy","cause":"CALL_REJECTED"}"#), CallEnd::Rejected);
        assert_eq!(event(r#"{"event":"sms_seen"}"#), None);
        assert!(Params::from_json(b"[1]").is_none() && Params::from_json(b"{").is_none());
    }
}
