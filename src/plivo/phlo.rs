//! Runs the 2FA PHLO: the payload, and how to read the answer.

use serde::Serialize;
use serde_json::Value;

use super::client::{Client, Reply};
use super::is_id;
use crate::verification::{Channel, RefusalScope};

/// The payload of a run, all strings.
///
/// The first four are the seed's and suffice; the others are for flows that declare them. `phlo/two_factor.json` reads
/// exactly these fields; a test compares the two.
#[derive(Serialize)]
pub struct RunRequest<'a> {
    /// Source number, E.164.
    pub from: &'a str,
    /// The number to verify, E.164.
    pub to: &'a str,
    /// The code.
    pub otp: &'a str,
    /// `sms` or `call`.
    pub mode: &'static str,
    /// Our signed reference to the attempt.
    #[serde(rename = "ref")]
    pub reference: &'a str,
    /// The complete text message.
    pub text: &'a str,
    /// The spoken language, as Polly names it.
    pub language: &'a str,
}

/// Runs the PHLO, once. [`provider_id`] and [`run_id`] read the body of a [`Reply::Success`].
///
/// `POST https://phlorunner.plivo.com/v1/account/{auth_id}/phlo/{phlo_id}`, lower-case `account`
/// (plivo.com/docs/phlo/api/phlo/run-a-phlo, and all SDKs).
pub async fn run(client: &Client, origin: &str, phlo_id: &str, run: &RunRequest<'_>) -> Reply {
    let url = format!("{origin}/v1/account/{}/phlo/{phlo_id}", client.auth_id());
    match client.post(&url, run).await {
        Reply::Success(status, body) if node_failed(&body) => Reply::Refused(status, RefusalScope::Attempt),
        reply => reply,
    }
}

/// Looks up the message or call UUID of a run, once.
///
/// `GET /v1/phlo/{phlo_id}/runs/{run_id}` on the runner (source: plivo-java; plivo-php issue 127).
pub async fn find_provider_id(
    client: &Client,
    origin: &str,
    phlo_id: &str,
    run_id: &str,
    channel: Channel,
) -> Option<String> {
    let key = match channel {
        Channel::Sms => "message_uuids",
        Channel::Call => "call_uuids",
    };
    let run = client.get(&format!("{origin}/v1/phlo/{phlo_id}/runs/{run_id}")).await.ok()?;
    run.body.get(key)?.get(0)?.as_str().filter(|id| is_id(id)).map(str::to_owned)
}

/// The id of a run, under any of the names that answers use (plivo-go, plivo-cli, and the page on running a PHLO).
pub fn run_id(body: &Value) -> Option<String> {
    let given = |key: &&str| body.get(key).and_then(Value::as_str).filter(|id| is_id(id));
    ["phlo_run_id", "phlo_run_uuid", "api_id"].iter().find_map(given).map(str::to_owned)
}

/// Whether a 2xx reports that nothing was sent: the node failed, or no node was wired.
///
/// Source: the test data of plivo-go; plivo-node issue 250.
fn node_failed(body: &Value) -> bool {
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    ["output state: failed", "output state: http"].iter().any(|state| message.contains(state))
}

/// The UUID of the message or call, if the answer's message text contains one.
///
/// The text is built from Python reprs and undocumented (plivo-php issue 127); the flow's own report is reliable.
pub fn provider_id(body: &Value, channel: Channel) -> Option<String> {
    let key = match channel {
        Channel::Sms => "message_uuid",
        Channel::Call => "request_uuid",
    };
    let prose = body.get("message")?.as_str()?;
    let after = &prose[prose.find(key)? + key.len()..];
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-';
    let start = after.find(|c: char| !matches!(c, '\'' | '"' | ':' | '[' | ' ' | '('))?;
    let id: String = after[start..].chars().take_while(|c| is_part(*c)).collect();
    uuid::Uuid::try_parse(&id).is_ok().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "8b1f0001-75ab-4f0e-8cb1-aa7d3a1c9d10";

    #[test]
    fn a_run_that_stopped_at_a_failed_node_sent_nothing() {
        let failed = "stopped. next node uuid not found for b'Send SMS' - b'Send_SMS_1' with output state: failed - \
                      phlo_run_id 7b70";
        assert!(node_failed(&json!({ "message": failed })));
        assert!(node_failed(&json!({ "message": "... with output state: http" })));
        assert!(!node_failed(&json!({ "message": "... with output state: sent" })));
        assert!(!node_failed(&json!({})));
    }

    #[test]
    fn a_run_is_known_by_any_of_its_names() {
        assert_eq!(run_id(&json!({ "api_id": "a", "phlo_run_id": "b" })).as_deref(), Some("b"));
        assert_eq!(run_id(&json!({ "api_id": "a", "phlo_run_uuid": "c" })).as_deref(), Some("c"));
        assert_eq!(run_id(&json!({ "api_id": "a", "phlo_run_id": null })).as_deref(), Some("a"));
        for body in [json!({}), json!({ "api_id": "" }), json!({ "api_id": "../x" })] {
            assert_eq!(run_id(&body), None, "{body}");
        }
    }

    #[test]
    fn the_prose_of_an_answer_yields_a_uuid_or_nothing() {
        let sms = json!({ "message": format!("b'Send SMS' executed with response: {{'api_id': '8152', \
            'message': 'message(s) queued', 'message_uuid': ['{ID}']}}") });
        assert_eq!(provider_id(&sms, Channel::Sms).as_deref(), Some(ID));
        assert_eq!(provider_id(&sms, Channel::Call), None);
        let call = json!({ "message": format!("executed with response: {{'message': 'call fired', \
            'request_uuid': '{ID}'}}") });
        assert_eq!(provider_id(&call, Channel::Call).as_deref(), Some(ID));
        for prose in ["", "message_uuid", "message_uuid: None", "'message_uuid': ['8b1f']", "message_uuid é"] {
            assert_eq!(provider_id(&json!({ "message": prose }), Channel::Sms), None, "{prose:?}");
        }
    }
}
