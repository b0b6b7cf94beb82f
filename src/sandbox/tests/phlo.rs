//! Runs of the flow we ship.

use super::*;

#[tokio::test]
async fn a_phlo_run_sends_a_text_and_reports_it() {
    let scene = Scene::new();
    let (status, run) = scene.run("14155550100", "sms").await;
    assert_eq!((status, &run["phlo_run_id"], &run["phlo_id"]), (201, &run["api_id"], &json!("any")));

    let handset = scene.handset("14155550100", all_arrived).await;
    assert_eq!(handset["messages"][0]["code"], "482913");

    let node = &scene.received("/plivo/phlo", 1).await[0];
    let uuid = node.json()["message_uuid"].as_str().unwrap().to_owned();
    assert_eq!(node.json(), json!({ "ref": "r_1", "event": "sms_sent", "message_uuid": uuid }));
    assert_eq!(node.authorization.as_deref(), Some("Bearer typed-on-the-canvas"));
    let expected = format!("'message': 'message(s) queued', 'message_uuid': ['{uuid}']}}");
    assert!(run["message"].as_str().unwrap().ends_with(&expected), "{run}");

    let reports = scene.received("/plivo/message", 3).await;
    assert!(reports.iter().all(|report| report.signed && report.form()["MessageUUID"] == uuid), "{reports:?}");
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
    assert!(hangup.signed);
    assert_eq!((hangup.form()["Event"].as_str(), hangup.form()["CallStatus"].as_str()), ("Hangup", "completed"));
    assert!(run["message"].as_str().unwrap().contains(&hangup.form()["RequestUUID"]));
}

#[tokio::test]
async fn a_call_that_nobody_takes_leaves_the_node_by_its_output() {
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
async fn callbacks_overtake_the_answer_when_the_scenario_says_so() {
    let scene = Scene::new();
    scene.run("14155550118", "sms").await;
    let order: Vec<String> = scene.received.lock().unwrap().iter().map(|received| received.path.clone()).collect();
    assert_eq!(order, ["/plivo/message", "/plivo/message", "/plivo/phlo"]);
    scene.text("14165550118").await;
    assert!(scene.received.lock().unwrap().iter().any(|received| received.path == "/plivo/message/r_1"));
}

#[tokio::test]
async fn a_client_that_leaves_a_hanging_answer_changes_nothing() {
    let scene = Scene::new();
    let left = tokio::time::timeout(Duration::from_millis(500), scene.run("14155550113", "sms")).await;
    assert!(left.is_err(), "the answer should hang");
    scene.handset("14155550113", all_arrived).await;
    scene.received("/plivo/phlo", 1).await;
}

#[tokio::test]
async fn a_call_can_be_cut_while_it_speaks() {
    let scene = Scene::at_speed(1.0);
    let (_, run) = scene.run("14155550100", "call").await;
    let request_uuid = run["message"].as_str().unwrap().rsplit('\'').nth(1).unwrap().to_owned();
    scene.handset("14155550100", |handset| handset["calls"][0]["code"] == "482913").await;
    assert_eq!(scene.delete(&format!("/v1/Account/{ACCOUNT}/Call/{request_uuid}/")).await, 204);
    scene.handset("14155550100", call_is("completed")).await;
    assert_eq!(scene.received("/plivo/call", 1).await[0].form()["HangupSource"], "API Request");
}

#[tokio::test]
async fn a_run_can_be_asked_what_it_sent() {
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
async fn undeclared_keys_cannot_be_read_and_the_text_is_the_caller_s() {
    let scene = Scene::new();
    let payload = json!({ "from": "14155550000", "to": "14155550100", "otp": "482913", "mode": "sms",
        "text": "Hallo, 482913 ist dein Code", "message": "ignored" });
    scene.post(&format!("/v1/account/{ACCOUNT}/phlo/any/"), &payload).await;
    let handset = scene.handset("14155550100", all_arrived).await;
    assert_eq!(handset["messages"][0]["text"], "Hallo, 482913 ist dein Code");
    assert_eq!(scene.received("/plivo/phlo", 1).await[0].json()["ref"], "");
}

#[tokio::test]
async fn what_a_terse_run_does_not_say_its_record_does() {
    let scene = Scene::with(20.0, true);
    for (mode, list, other, path, id) in [
        ("sms", "message_uuids", "call_uuids", "/plivo/message", "MessageUUID"),
        ("call", "call_uuids", "message_uuids", "/plivo/call", "CallUUID"),
    ] {
        let (status, run) = scene.run("14155550100", mode).await;
        assert_eq!((status, &run["message"]), (201, &json!("API request executed")));
        // It is in the record as soon as the run has answered.
        let (_, record) = scene.get(&format!("/v1/phlo/any/runs/{}", run["phlo_run_id"].as_str().unwrap())).await;
        let uuid = scene.received(path, 1).await[0].form()[id].clone();
        assert_eq!((&record[list], &record[other]), (&json!([uuid]), &json!([])), "{record}");
    }
    // That nothing was sent is no matter of style.
    let (_, run) = scene.run("14155550110", "sms").await;
    assert!(run["message"].as_str().unwrap().contains("output state: failed"), "{run}");
}
