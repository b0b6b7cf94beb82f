//! Plivo's callbacks, read: for texts, for calls, and from a PHLO's own HTTP Request nodes.
//!
//! Nothing here decides or proves anything. Fields and states we do not know are data, never an error:
//! Plivo adds some without notice.

use serde_json::Value;

use super::{is_id, outcome};
use crate::escalation::CallEnd;
use crate::phone::Carrier;
use crate::verification::event::{CallReport, Facts, TextReport};

/// The parameters of one callback, in the order they came, decoded.
#[derive(Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string or a form body.
    pub fn from_form(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// Reads the top level of a JSON object; numbers and booleans as they are written, the rest left out.
    /// `None` when it is no object.
    pub fn from_json(bytes: &[u8]) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_slice(bytes).ok()? else { return None };
        let scalar = |(key, value)| match value {
            Value::String(text) => Some((key, text)),
            Value::Number(_) | Value::Bool(_) => Some((key, value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        Some(Self(fields.into_iter().filter_map(scalar).collect()))
    }

    /// All of them, as a signature covers them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first that is given and not empty, of several names for one thing.
    fn get(&self, names: &[&str]) -> Option<&str> {
        let named = |name: &&str| self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        names.iter().find_map(named).map(|(_, value)| value.as_str())
    }

    /// A UUID, or whatever else could be one: it is kept, and stands in keys as a hash.
    fn id(&self, names: &[&str]) -> Option<String> {
        self.get(names).filter(|id| is_id(id)).map(str::to_owned)
    }

    /// Where it went and what it cost. Texts tell both (`plivo/wire.md` 3.2), calls the cost (4.2).
    fn facts(&self) -> Facts {
        let amount = self.get(&["TotalAmount", "TotalCost"]).and_then(|text| text.parse::<f64>().ok());
        let dollars = amount.filter(|dollars| (0.0..COST_MAX).contains(dollars));
        Facts {
            carrier: self.get(&["MCC"]).zip(self.get(&["MNC"])).and_then(|(mcc, mnc)| Carrier::parse(mcc, mnc)),
            // 0 stands in reports that come before Plivo knows.
            cost_u: dollars.map(|dollars| (dollars * 1e6).round() as u64).filter(|cost| *cost > 0),
        }
    }

    /// A code or a cause. It is kept, shown and logged, so it must not be a number or a code that a flow put
    /// there by mistake.
    fn word(&self, names: &[&str]) -> Option<&str> {
        let has_digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() > DIGITS_MAX);
        let is_plain = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        self.get(names).filter(|text| text.len() <= WORD_MAX && is_plain(text) && !has_digits(text))
    }
}

/// Plivo's code for an unknown error (`plivo/wire.md` 3.3).
const UNKNOWN_CODE: &str = "1000";

/// US dollars; no text or call costs as much, so whatever says so is wrong.
const COST_MAX: f64 = 100.0;
/// The longest word that is taken from outside.
const WORD_MAX: usize = 64;
/// The longest run of digits in a word: Plivo's codes have four at most, ours at least.
const DIGITS_MAX: usize = 4;

/// A status callback of a text (`plivo/wire.md` 3.2), also as a PHLO's Send SMS node sends it. That node's
/// field names are not published: the names of its variables are taken too.
pub struct TextCallback {
    /// What ties it to an attempt where no ref does.
    pub message_uuid: Option<String>,
    /// What it says, if it is a status we know.
    pub report: Option<TextReport>,
    /// What else it tells.
    pub facts: Facts,
}

impl TextCallback {
    /// Reads one.
    pub fn read(params: &Params) -> Self {
        let status = params.get(&["Status", "status", "message_state"]);
        let names = ["ErrorCode", "error_code"];
        // A code that is not kept is still one that we do not know, not none.
        let code = params.word(&names).or_else(|| params.get(&names).map(|_| UNKNOWN_CODE));
        Self {
            message_uuid: params.id(&["MessageUUID", "message_uuid"]),
            report: status.and_then(|status| outcome::text_report(status, code)),
            facts: params.facts(),
        }
    }
}

/// A callback of a call (`plivo/wire.md` 4.2).
pub struct CallCallback {
    /// Plivo's ids of the call. Whether request and call share one is not certain: either may be known.
    pub uuids: Vec<String>,
    /// The request's id among them, by which a call is taken back while it rings.
    pub request_uuid: Option<String>,
    /// What it says, if it is a status we know.
    pub report: Option<CallReport>,
    /// What else it tells.
    pub facts: Facts,
}

impl CallCallback {
    /// Reads one.
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

/// What Plivo tells when it asks what to say on a call of the Call API (`plivo/wire.md` 4.2, 4.5).
pub struct AnswerCallback {
    /// Plivo's id of the call.
    pub call_uuid: Option<String>,
    /// Whether a machine has picked up.
    pub is_machine: bool,
    /// Whether it is the key that we had asked for.
    pub has_pressed: bool,
}

impl AnswerCallback {
    /// Reads one.
    pub fn read(params: &Params) -> Self {
        Self {
            call_uuid: params.id(&["RequestUUID", "CallUUID"]),
            is_machine: params.get(&["Machine"]).is_some_and(|is| is.eq_ignore_ascii_case("true")),
            has_pressed: params.get(&["Digits"]) == Some("1"),
        }
    }
}

/// What an HTTP Request node of the flow told. The words are ours: `phlo/README.md` has the text of the nodes.
#[derive(Default)]
pub struct PhloCallback {
    /// The ref, where it is not in the path.
    pub reference: Option<String>,
    /// What it says, if it is an event of ours.
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
    /// Something of the call.
    Call {
        /// What.
        report: CallReport,
        /// Call UUID.
        call_uuid: Option<String>,
    },
}

impl PhloCallback {
    /// Reads one.
    pub fn read(params: &Params) -> Self {
        let cause = params.word(&["cause"]);
        // Any cause but one counts, also one that is not kept.
        let is_rejected = params.get(&["cause"]).is_some_and(|cause| cause != "USER_BUSY");
        let uuid = |name| params.id(&[name]);
        let call = |report| Some(PhloEvent::Call { report, call_uuid: uuid("call_uuid") });
        let ended = |end| call(CallReport::Ended { end, cause: cause.map(str::to_owned) });
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
    use crate::verification::event::FailureClass;

    fn form(text: &str) -> Params {
        Params::from_form(text.as_bytes())
    }

    #[test]
    fn a_status_callback_is_read_under_both_kinds_of_names() {
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
    fn what_is_kept_of_a_callback_is_short_and_holds_no_number() {
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
    fn where_it_went_and_what_it_cost_is_read_where_it_makes_sense() {
        let facts = |text: &str| TextCallback::read(&form(text)).facts;
        let told = facts("Status=sent&MCC=310&MNC=004&TotalAmount=0.0055");
        assert_eq!(told, Facts { carrier: Carrier::parse("310", "004"), cost_u: Some(5500) });
        for nothing in ["Status=sent", "MCC=&MNC=4&TotalAmount=0.00000", "MCC=310&TotalAmount=-1", "TotalAmount=1e9"] {
            assert_eq!(facts(nothing), Facts::default(), "{nothing}");
        }
        assert_eq!(CallCallback::read(&form("CallStatus=completed&TotalCost=0.01")).facts.cost_u, Some(10_000));
    }

    #[test]
    fn a_hangup_is_read_with_every_id_it_carries() {
        let callback = CallCallback::read(&form("CallUUID=a&RequestUUID=b&CallStatus=busy&HangupCause=USER_BUSY"));
        assert_eq!(callback.uuids, ["a", "b"]);
        assert!(matches!(callback.report, Some(CallReport::Ended { end: CallEnd::Busy, .. })));
    }

    #[test]
    fn busy_with_another_cause_is_a_rejection() {
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
