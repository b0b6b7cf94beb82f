//! Places and cancels calls through the Call API.
//!
//! Source: plivo.com/docs/voice/api/call/make-a-call, plivo-python `resources/calls.py`.

use serde::Serialize;
use serde_json::Value;

use super::client::{Client, Reply};
use super::is_id;

/// Seconds the phone rings: less than the minute after which a silent call counts as not answered.
const RING_SECONDS: u32 = 30;
/// The longest call, in seconds from the answer: enough to hear a code several times.
const CALL_SECONDS: u32 = 120;

/// The body of a call request.
#[derive(Serialize)]
pub struct CallRequest<'a> {
    /// Source number, E.164.
    pub from: &'a str,
    /// The number to call, E.164.
    pub to: &'a str,
    /// The URL at which Plivo fetches the XML. It contains a ref, never a code.
    pub answer_url: &'a str,
    /// The URL to try when that fails: the same one.
    pub fallback_url: &'a str,
    /// The URL for the ringing callback.
    pub ring_url: &'a str,
    /// The URL for the hangup callback.
    pub hangup_url: &'a str,
    #[serde(flatten)]
    constants: Constants,
}

/// The fields that are the same for every call.
#[derive(Serialize)]
struct Constants {
    answer_method: &'static str,
    fallback_method: &'static str,
    ring_method: &'static str,
    hangup_method: &'static str,
    ring_timeout: u32,
    time_limit: u32,
    /// `hangup`: Plivo hangs up on a mailbox before it fetches the XML, so no code is left on it.
    machine_detection: &'static str,
}

impl<'a> CallRequest<'a> {
    /// A call whose callbacks go to `report_url`.
    pub fn new(from: &'a str, to: &'a str, answer_url: &'a str, report_url: &'a str) -> Self {
        let post = "POST";
        Self {
            from,
            to,
            answer_url,
            fallback_url: answer_url,
            ring_url: report_url,
            hangup_url: report_url,
            constants: Constants {
                answer_method: post,
                fallback_method: post,
                ring_method: post,
                hangup_method: post,
                ring_timeout: RING_SECONDS,
                time_limit: CALL_SECONDS,
                machine_detection: "hangup",
            },
        }
    }
}

/// Places a call, once. [`provider_id`] reads the body of a [`Reply::Success`].
pub async fn place(client: &Client, call: &CallRequest<'_>) -> Reply {
    client.post(&client.account_url("Call/"), call).await
}

/// The UUID of the request; Plivo returns a list when several numbers are called.
pub fn provider_id(body: &Value) -> Option<String> {
    let id = body.get("request_uuid")?;
    Some(id.as_str().or_else(|| id.get(0)?.as_str())?.to_owned()).filter(|id| is_id(id))
}

/// Cancels a call that is queued or ringing, by its request or call UUID.
///
/// Tries `…/Request/{uuid}/`, then `…/Call/{uuid}/`. A 404 from both means that the call is over.
pub async fn cancel(client: &Client, uuid: &str) -> Reply {
    match client.delete(&client.account_url(&format!("Request/{uuid}/"))).await {
        Reply::Refused(404, _) => client.delete(&client.account_url(&format!("Call/{uuid}/"))).await,
        reply => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_hangs_up_on_machines_and_contains_no_code() {
        let call = CallRequest::new("+1", "+2", "https://x.test/answer", "https://x.test/call");
        let expected = json!({ "from": "+1", "to": "+2",
            "answer_url": "https://x.test/answer", "answer_method": "POST",
            "fallback_url": "https://x.test/answer", "fallback_method": "POST",
            "ring_url": "https://x.test/call", "ring_method": "POST",
            "hangup_url": "https://x.test/call", "hangup_method": "POST",
            "ring_timeout": 30, "time_limit": 120, "machine_detection": "hangup" });
        assert_eq!(serde_json::to_value(call).unwrap(), expected);
    }

    #[test]
    fn the_uuid_may_be_in_a_list() {
        for body in [json!({ "request_uuid": "a" }), json!({ "request_uuid": ["a", "b"] })] {
            assert_eq!(provider_id(&body).as_deref(), Some("a"));
        }
        for body in [json!({}), json!({ "request_uuid": [] }), json!({ "request_uuid": "" }), Value::Null] {
            assert_eq!(provider_id(&body), None, "{body}");
        }
    }
}
