//! Runs of the built-in flow.

use super::*;

#[tokio::test]
async fn a_phlo_run_sends_a_text_and_reports_it() {
    let scene = Scene::new();
    let (status, run) = scene.run("14155550100", "sms").await;
    assert_eq!((status, &run["phlo_run_id"], &run["phlo_id"]), (201, &run["api_id"], &json!("any")));

    let handset = scene.handset("14155550100", has_message).await;
    assert_eq!(handset["messages"][0]["code"], "482913");

    let node = &scene.received("/plivo/phlo", 1).await[0];
    let uuid = node.json()["message_uuid"].as_str().unwrap().to_owned();
    assert_eq!(node.json(), json!({ "ref": "r_1", "event": "sms_sent", "message_uuid": uuid }));
    assert_eq!(node.authorization.as_deref(), Some("Bearer typed-on-the-canvas"));
    let expected = format!("'message': 'message(s) queued', 'message_uuid': ['{uuid}']}}");
    assert!(run["message"].as_str().unwrap().ends_with(&expected), "{run}");

    let reports = scene.received("/plivo/message", 3).await;
    assert!(reports.iter().all(|report| report.is_signed && report.form()["MessageUUID"] == uuid), "{reports:?}");
    assert_eq!(scene.statuses("/plivo/message", 3).await, ["queued", "sent", "delivered"]);
}

#[tokio::test]
async fn a_phlo_run_calls_and_speaks_the_code() {
    let scene = Scene::new();
    let (status, run) = scene.run("+1 415-555-0100", "call").await;
    assert_eq!(status, 201);
    assert!(run["message"].as_str().unwrap().contains("'message': 'call fired', 'request_uuid': '"), "{run}");
    let handset = scene.handset("14155550100", call_is("completed")).await;
    assert_eq!(handset["calls"][0]["code"], "482913");
    assert_eq!(scene.received("/plivo/phlo", 1).await[0].json()["event"], "call_answered");
    let hangup = &scene.received("/plivo/call", 1).await[0];
    assert!(hangup.is_signed);
    assert_eq!((hangup.form()["Event"].as_str(), hangup.form()["CallStatus"].as_str()), ("Hangup", "completed"));
    assert!(run["message"].as_str().unwrap().contains(&hangup.form()["RequestUUID"]));
}

#[tokio::test]
async fn an_unanswered_call_leaves_the_node_by_the_output_of_its_result() {
    let scene = Scene::new();
    for (to, event, cause) in [
        ("14155550107", "call_busy", json!("USER_BUSY")),
        ("14155550108", "call_no_answer", json!("NO_ANSWER")),
        ("14155550109", "call_machine", Value::Null),
    ] {
        scene.received.lock().unwrap().clear();
        scene.run(to, "call").await;
        let node = scene.received("/plivo/phlo", 1).await[0].json();
        assert_eq!((&node["event"], &node["cause"]), (&json!(event), &cause), "{to}");
        scene.received("/plivo/call", 1).await;
    }
    assert_eq!(scene.handset("14155550109", call_is("machine")).await["calls"][0]["code"], Value::Null);
}

#[tokio::test]
async fn a_failed_node_is_a_201_that_says_so() {
    let scene = Scene::new();
    let (status, run) = scene.run("14155550110", "sms").await;
    assert_eq!(status, 201);
    assert!(run["message"].as_str().unwrap().contains("output state: failed - phlo_run_id"), "{run}");
    assert_eq!(scene.received("/plivo/phlo", 1).await[0].json(), json!({ "ref": "r_1", "event": "sms_failed" }));
    let (_, run) = scene.run("14155550100", "fax").await;
    assert!(run["message"].as_str().unwrap().starts_with("stopped. next node uuid not found for b'Branch'"), "{run}");
}

#[tokio::test]
async fn in_scenario_0118_callbacks_come_before_the_answer() {
    let scene = Scene::new();
    scene.run("14155550118", "sms").await;
    let order: Vec<String> = scene.received.lock().unwrap().iter().map(|received| received.path.clone()).collect();
    assert_eq!(order, ["/plivo/message", "/plivo/message", "/plivo/phlo"]);
    scene.text("14165550118").await;
    assert!(scene.received.lock().unwrap().iter().any(|received| received.path == "/plivo/message/r_1"));
}

#[tokio::test]
async fn a_client_disconnect_from_a_hanging_answer_cancels_nothing() {
    let scene = Scene::new();
    let answer = tokio::time::timeout(Duration::from_millis(500), scene.run("14155550113", "sms")).await;
    assert!(answer.is_err(), "the answer should hang");
    scene.handset("14155550113", has_message).await;
    scene.received("/plivo/phlo", 1).await;
}

#[tokio::test]
async fn a_speaking_call_can_be_hung_up() {
    let scene = Scene::at_speed(1.0);
    let (_, run) = scene.run("14155550100", "call").await;
    let request_uuid = run["message"].as_str().unwrap().rsplit('\'').nth(1).unwrap().to_owned();
    scene.handset("14155550100", |handset| handset["calls"][0]["code"] == "482913").await;
    assert_eq!(scene.delete(&format!("/v1/Account/{ACCOUNT}/Call/{request_uuid}/")).await, 204);
    scene.handset("14155550100", call_is("completed")).await;
    assert_eq!(scene.received("/plivo/call", 1).await[0].form()["HangupSource"], "API Request");
}

#[tokio::test]
async fn the_record_of_a_run_names_what_it_sent() {
    let scene = Scene::new();
    let (_, run) = scene.run("14155550104", "sms").await;
    let (status, record) = scene.get(&format!("/v1/phlo/any/runs/{}", run["phlo_run_id"].as_str().unwrap())).await;
    assert_eq!(status, 200);
    let uuid = record["message_uuids"][0].as_str().unwrap();
    assert!(run["message"].as_str().unwrap().contains(uuid));
    assert_eq!(scene.get("/v1/phlo/any/").await.1["phlo_id"], "any");
    assert_eq!(scene.get("/v1/phlo/any/runs/none").await.0, 404);
    let (_, message) = scene.get(&format!("/v1/Account/{ACCOUNT}/Message/{uuid}/")).await;
    assert_eq!((&message["message_state"], &message["error_code"]), (&json!("queued"), &Value::Null));
}

#[tokio::test]
async fn undeclared_keys_render_empty_and_a_given_text_is_sent() {
    let scene = Scene::new();
    let payload = json!({ "from": "14155550000", "to": "14155550100", "otp": "482913", "mode": "sms",
        "text": "Hallo, 482913 ist dein Code", "message": "ignored" });
    scene.post(&format!("/v1/account/{ACCOUNT}/phlo/any/"), &payload).await;
    let handset = scene.handset("14155550100", has_message).await;
    assert_eq!(handset["messages"][0]["text"], "Hallo, 482913 ist dein Code");
    assert_eq!(scene.received("/plivo/phlo", 1).await[0].json()["ref"], "");
}

#[tokio::test]
async fn the_record_of_a_terse_run_names_what_its_answer_omits() {
    let scene = Scene::with(20.0, true);
    for (mode, list, other, path, id) in [
        ("sms", "message_uuids", "call_uuids", "/plivo/message", "MessageUUID"),
        ("call", "call_uuids", "message_uuids", "/plivo/call", "CallUUID"),
    ] {
        let (status, run) = scene.run("14155550100", mode).await;
        assert_eq!((status, &run["message"]), (201, &json!("API request executed")));
        // The record has the id as soon as the run is answered.
        let (_, record) = scene.get(&format!("/v1/phlo/any/runs/{}", run["phlo_run_id"].as_str().unwrap())).await;
        let uuid = scene.received(path, 1).await[0].form()[id].clone();
        assert_eq!((&record[list], &record[other]), (&json!([uuid]), &json!([])), "{record}");
    }
    // A terse answer still names a failed node.
    let (_, run) = scene.run("14155550110", "sms").await;
    assert!(run["message"].as_str().unwrap().contains("output state: failed"), "{run}");
}
