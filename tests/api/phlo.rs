//! The flow in `phlo/` and the service read each other's messages, in both directions.

use std::collections::BTreeSet;

use crate::support::{TestApp, client};
use phlo_2fa::escalation::CallEnd;
use phlo_2fa::plivo::callback::{Params, PhloCallback, PhloEvent};
use phlo_2fa::plivo::phlo::RunRequest;
use phlo_2fa::verification::CallReport;
use serde_json::{Map, Value, json};

/// The payload keys of Plivo's own 2FA demos.
const DEMO_KEYS: [&str; 4] = ["from", "to", "otp", "mode"];

fn flow() -> Value {
    serde_json::from_str(include_str!("../../phlo/two_factor.json")).unwrap()
}

fn nodes<'a>(flow: &'a Value, kind: &str) -> Vec<&'a Value> {
    flow["nodes"].as_array().unwrap().iter().filter(|node| node["type"] == kind).collect()
}

/// The payload keys that the service sends.
fn sent_keys() -> BTreeSet<String> {
    let run = RunRequest { from: "+1", to: "+2", otp: "3", mode: "sms", reference: "4", text: "5", language: "6" };
    let Value::Object(payload) = serde_json::to_value(&run).unwrap() else { panic!("not an object") };
    assert!(payload.values().all(Value::is_string), "every value must be a string: {payload:?}");
    payload.into_iter().map(|(key, _)| key).collect()
}

fn declared_keys(flow: &Value) -> BTreeSet<String> {
    let params = nodes(flow, "start")[0]["params"].as_array().unwrap();
    params.iter().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// Every key in a `Start.http.params.…` of the flow.
fn used_keys(flow: &Value) -> BTreeSet<String> {
    let text = flow.to_string();
    let names = text.split("Start.http.params.").skip(1);
    names.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn the_flow_declares_and_uses_exactly_the_keys_that_are_sent() {
    let flow = flow();
    assert_eq!(declared_keys(&flow), sent_keys());
    assert_eq!(used_keys(&flow), sent_keys());
    assert!(DEMO_KEYS.iter().all(|key| sent_keys().contains(*key)));
}

/// The bodies that Plivo would post for the flow's HTTP Request nodes, by event.
fn posted_reports(flow: &Value) -> Vec<(String, Value)> {
    let fill = |text: &Value| {
        match text.as_str().unwrap() {
            "{{Start.http.params.ref}}" => "the-ref",
            "{{Send_SMS_1.message_uuid}}" => "a-message",
            "{{Initiate_Call_1.uuid}}" => "a-call",
            "{{Initiate_Call_1.hangup_cause}}" => "USER_BUSY",
            literal => {
                assert!(!literal.contains("{{"), "this test does not fill in this variable: {literal}");
                literal
            }
        }
        .to_owned()
    };
    let body = |node: &Value| {
        let fields = node["body"].as_object().unwrap().iter();
        let body: Map<_, _> = fields.map(|(key, text)| (key.clone(), Value::from(fill(text)))).collect();
        (body["event"].as_str().unwrap().to_owned(), Value::Object(body))
    };
    nodes(flow, "http_request").into_iter().map(body).collect()
}

#[test]
fn every_report_of_the_flow_is_parsed_as_its_event() {
    let call = |report| PhloEvent::Call { report, call_uuid: Some("a-call".into()) };
    let ended = |end, cause: Option<&str>| call(CallReport::Ended { end, cause: cause.map(str::to_owned) });
    let mut expected = vec![
        ("sms_sent", PhloEvent::TextAccepted { message_uuid: Some("a-message".into()) }),
        ("sms_failed", PhloEvent::TextRefused),
        ("call_answered", call(CallReport::Answered)),
        ("call_no_answer", ended(CallEnd::NoAnswer, Some("3010"))),
        ("call_busy", ended(CallEnd::Busy, Some("3010"))),
        ("call_failed", ended(CallEnd::Failed, Some("3010"))),
        ("call_machine", ended(CallEnd::Machine, None)),
    ];
    for (event, body) in posted_reports(&flow()) {
        let callback = PhloCallback::read(&Params::from_json(body.to_string().as_bytes()).unwrap());
        assert_eq!(callback.reference.as_deref(), Some("the-ref"), "{event}");
        let at = expected.iter().position(|(name, _)| *name == event).unwrap_or_else(|| panic!("{event}: unexpected"));
        assert_eq!(callback.event, Some(expected.swap_remove(at).1), "{event}");
    }
    assert!(expected.is_empty(), "not posted: {expected:?}");
}

#[test]
fn every_output_of_a_sending_node_leads_to_its_report() {
    let flow = flow();
    let event_after = |from: &str, output: &str| {
        let mut edges = flow["edges"].as_array().unwrap().iter();
        let edge = edges.find(|edge| edge["from"] == from && edge["output"] == output);
        let to = &edge.unwrap_or_else(|| panic!("{from}: {output} has no edge"))["to"];
        let mut nodes = flow["nodes"].as_array().unwrap().iter();
        nodes.find(|node| node["id"] == *to).unwrap()["body"]["event"].clone()
    };
    for (from, output, event) in [
        ("Send_SMS_1", "sent", "sms_sent"),
        ("Send_SMS_1", "failed", "sms_failed"),
        ("Initiate_Call_1", "answered", "call_answered"),
        ("Initiate_Call_1", "no_answer", "call_no_answer"),
        ("Initiate_Call_1", "busy_rejected", "call_busy"),
        ("Initiate_Call_1", "failed", "call_failed"),
        ("Initiate_Call_1", "voicemail", "call_machine"),
    ] {
        assert_eq!(event_after(from, output), event, "{from}: {output}");
    }
}

#[test]
fn every_report_goes_to_the_service_with_the_callback_secret() {
    for node in nodes(&flow(), "http_request") {
        assert_eq!((&node["method"], &node["url"]), (&json!("POST"), &json!("{{canvas.public_url}}/plivo/phlo")));
        let secret = "{% if canvas.callback_secret %}Bearer {{canvas.callback_secret}}{% endif %}";
        assert_eq!(node["headers"]["Authorization"], secret);
    }
    let flow = flow();
    let callbacks = |kind: &str| nodes(&flow, kind)[0]["event_callbacks"].clone();
    assert_eq!(callbacks("send_sms")["url"], "{{canvas.public_url}}/plivo/message");
    let all = json!(["queued", "sent", "delivered", "undelivered", "failed"]);
    assert_eq!(callbacks("send_sms")["states"], all);
    assert_eq!(callbacks("initiate_call")["url"], "{{canvas.public_url}}/plivo/call");
}

/// The service decides when to call: a flow that also called would ring twice.
#[test]
fn no_path_leads_from_the_text_to_the_call() {
    let flow = flow();
    let mut reached = vec!["Send_SMS_1"];
    while let Some(node) = reached.pop() {
        assert_ne!(node, "Initiate_Call_1");
        let edges = flow["edges"].as_array().unwrap().iter().filter(|edge| edge["from"] == node);
        reached.extend(edges.map(|edge| edge["to"].as_str().unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_keys_of_plivo_s_demos_suffice() {
    let app = TestApp::spawn().await;
    for mode in ["sms", "call"] {
        let payload = json!({ "from": "+14155550199", "to": "+14155550100", "otp": "482913", "mode": mode });
        let url = format!("{}/v1/account/MADEMO00000000000000/phlo/any", app.plivo_url);
        let run = client().post(url).basic_auth("MADEMO00000000000000", Some("demo")).json(&payload);
        assert_eq!(run.send().await.unwrap().status(), 201);
    }
    app.until_handset("0100", "texted and called", |h| {
        h["messages"][0]["code"] == "482913" && h["calls"][0]["code"] == "482913"
    })
    .await;
}
