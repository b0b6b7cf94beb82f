//! A call by the Call API, and taking one back.
//!
//! Source: plivo.com/docs/voice/api/call/make-a-call, plivo-python `resources/calls.py`.

use serde::Serialize;
use serde_json::Value;

use super::client::{Client, Reply};
use super::is_id;

/// Seconds it rings. Within the minute of silence after which a call counts as not answered.
const RINGS: u32 = 30;
/// Seconds a call lasts at most, from the answer: nobody listens for longer to the same six digits.
const LASTS: u32 = 120;

/// A call to be placed.
#[derive(Serialize)]
pub struct Call<'a> {
    /// Source number, E.164.
    pub from: &'a str,
    /// The number to call, E.164.
    pub to: &'a str,
    /// Where Plivo fetches what to say. It holds a ref and no code.
    pub answer_url: &'a str,
    /// The same, where that could not be fetched.
    pub fallback_url: &'a str,
    /// Where Plivo tells that it rings.
    pub ring_url: &'a str,
    /// Where Plivo tells how it ended.
    pub hangup_url: &'a str,
    #[serde(flatten)]
    fixed: Fixed,
}

/// What is the same for all.
#[derive(Serialize)]
struct Fixed {
    answer_method: &'static str,
    fallback_method: &'static str,
    ring_method: &'static str,
    hangup_method: &'static str,
    ring_timeout: u32,
    time_limit: u32,
    /// A mailbox is hung up on before the answer URL is asked, so no code is left on it.
    machine_detection: &'static str,
}

impl<'a> Call<'a> {
    /// A call that is told about at `report_url`.
    pub fn new(from: &'a str, to: &'a str, answer_url: &'a str, report_url: &'a str) -> Self {
        let post = "POST";
        Self {
            from,
            to,
            answer_url,
            fallback_url: answer_url,
            ring_url: report_url,
            hangup_url: report_url,
            fixed: Fixed {
                answer_method: post,
                fallback_method: post,
                ring_method: post,
                hangup_method: post,
                ring_timeout: RINGS,
                time_limit: LASTS,
                machine_detection: "hangup",
            },
        }
    }
}

/// Places it, once. A [`Reply::Success`] carries the answer; see [`provider_id`].
pub async fn place(client: &Client, call: &Call<'_>) -> Reply {
    client.post(&client.account_url("Call/"), call).await
}

/// The UUID of the request; a list where several numbers were called.
pub fn provider_id(body: &Value) -> Option<String> {
    let id = body.get("request_uuid")?;
    Some(id.as_str().or_else(|| id.get(0)?.as_str())?.to_owned()).filter(|id| is_id(id))
}

/// Takes a call back while it is queued or rings, by either of its ids: `…/Request/{uuid}/` is for the request's,
/// and where that is unknown `…/Call/{uuid}/` is for the call's. A 404 of both says that it is over.
pub async fn take_back(client: &Client, uuid: &str) -> Reply {
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
    fn a_call_hangs_up_on_machines_and_holds_no_code() {
        let call = Call::new("+1", "+2", "https://x.test/answer", "https://x.test/call");
        let expected = json!({ "from": "+1", "to": "+2",
            "answer_url": "https://x.test/answer", "answer_method": "POST",
            "fallback_url": "https://x.test/answer", "fallback_method": "POST",
            "ring_url": "https://x.test/call", "ring_method": "POST",
            "hangup_url": "https://x.test/call", "hangup_method": "POST",
            "ring_timeout": 30, "time_limit": 120, "machine_detection": "hangup" });
        assert_eq!(serde_json::to_value(call).unwrap(), expected);
    }

    #[test]
    fn the_uuid_may_stand_in_a_list() {
        for body in [json!({ "request_uuid": "a" }), json!({ "request_uuid": ["a", "b"] })] {
            assert_eq!(provider_id(&body).as_deref(), Some("a"));
        }
        for body in [json!({}), json!({ "request_uuid": [] }), json!({ "request_uuid": "" }), Value::Null] {
            assert_eq!(provider_id(&body), None, "{body}");
        }
    }
}
