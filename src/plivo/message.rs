//! Sends texts through the Message API.
//!
//! Source: plivo.com/docs/messaging/api/message/send-a-message, plivo-python `resources/messages.py`.

use serde::Serialize;
use serde_json::Value;

use super::client::{Client, Reply};
use super::is_id;
use super::sender::SenderId;
use crate::phone::Country;

/// India's registration of a text (DLT): the sender and the template.
#[derive(Clone, Debug, Default)]
pub struct Dlt {
    /// The id of the sender's entity.
    pub entity_id: Option<String>,
    /// The id of the template.
    pub template_id: Option<String>,
}

/// The registration ids, if texts to this country carry them.
pub fn dlt_for<'a>(country: &Country, dlt: &'a Dlt) -> Option<&'a Dlt> {
    (country.as_str() == "IN").then_some(dlt)
}

/// The body of a message request.
#[derive(Serialize)]
pub struct MessageRequest<'a> {
    #[serde(flatten)]
    source: Source<'a>,
    dst: &'a str,
    text: &'a str,
    url: &'a str,
    method: &'static str,
    /// `false` as a string, as all SDKs send it: Plivo's logs keep neither code nor number.
    log: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dlt_entity_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dlt_template_id: Option<&'a str>,
}

/// The API accepts exactly one of the two.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source<'a> {
    Src(&'a str),
    PowerpackUuid(String),
}

impl<'a> MessageRequest<'a> {
    /// A text from `sender` to the E.164 number `to`, with status callbacks to `report_url`.
    pub fn new(sender: &'a SenderId, to: &'a str, text: &'a str, report_url: &'a str, dlt: Option<&'a Dlt>) -> Self {
        Self {
            source: match sender {
                SenderId::Source(source) => Source::Src(source),
                SenderId::Powerpack(uuid) => Source::PowerpackUuid(uuid.to_string()),
            },
            dst: to,
            text,
            url: report_url,
            method: "POST",
            log: "false",
            dlt_entity_id: dlt.and_then(|dlt| dlt.entity_id.as_deref()),
            dlt_template_id: dlt.and_then(|dlt| dlt.template_id.as_deref()),
        }
    }
}

/// Sends a text, once. [`provider_id`] reads the body of a [`Reply::Success`].
pub async fn send(client: &Client, message: &MessageRequest<'_>) -> Reply {
    client.post(client.messages_url().clone(), message).await
}

/// The UUID of the text; the answer has a list with one per destination.
pub fn provider_id(body: &Value) -> Option<String> {
    Some(body.get("message_uuid")?.get(0)?.as_str()?.to_owned()).filter(|id| is_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_has_one_source_and_disables_plivos_log() {
        let dlt = Dlt { entity_id: Some("1".into()), template_id: None };
        let sent = |sender: &str, dlt| {
            let sender = SenderId::parse(sender).unwrap();
            serde_json::to_value(MessageRequest::new(&sender, "+911", "hello", "https://x.test/r", dlt)).unwrap()
        };
        let expected = json!({ "src": "PLIVOX", "dst": "+911", "text": "hello", "url": "https://x.test/r",
            "method": "POST", "log": "false", "dlt_entity_id": "1" });
        assert_eq!(sent("PLIVOX", Some(&dlt)), expected);
        let pool = "2b1c7f0e-0000-4000-8000-000000000001";
        let pooled = sent(&format!("powerpack:{pool}"), None);
        assert_eq!((&pooled["powerpack_uuid"], pooled.get("src")), (&json!(pool), None));
        assert_eq!(pooled.get("dlt_entity_id"), None);
    }

    #[test]
    fn the_uuid_is_the_first_in_the_list() {
        assert_eq!(provider_id(&json!({ "message_uuid": ["a"] })).as_deref(), Some("a"));
        for body in [json!({}), json!({ "message_uuid": [] }), json!({ "message_uuid": [""] }), Value::Null] {
            assert_eq!(provider_id(&body), None, "{body}");
        }
    }
}
