//! The Message and Call APIs.

use super::*;

#[tokio::test]
async fn the_message_api_reports_to_the_url_it_was_given() {
    let scene = Scene::new();
    let (status, answer) = scene.text("+14155550101").await;
    assert_eq!((status, &answer["message"]), (202, &json!("message(s) queued")));
    let reports = scene.received("/plivo/message/r_1", 3).await;
    assert!(reports.iter().all(|report| report.signed));
    let last = reports[2].form();
    assert_eq!(
        (last["Status"].as_str(), last["ErrorCode"].as_str(), last["Sequence"].as_str()),
        ("undelivered", "30", "3")
    );
    assert_eq!(json!([last["MessageUUID"]]), answer["message_uuid"]);
    let (status, error) =
        scene.post(&format!("/v1/Account/{ACCOUNT}/Message/"), &json!({ "dst": "14155550100" })).await;
    assert_eq!((status, error["error"].is_string(), error["api_id"].is_string()), (400, true, true));
}

#[tokio::test]
async fn doubled_reports_come_out_of_order() {
    let scene = Scene::new();
    scene.text("14155550114").await;
    let statuses = scene.statuses("/plivo/message/r_1", 6).await;
    assert_eq!(statuses, ["delivered", "sent", "delivered", "queued", "queued", "sent"]);
}

#[tokio::test]
async fn a_late_text_waits_for_the_call() {
    let scene = Scene::new();
    scene.text("14155550115").await;
    assert_eq!(scene.statuses("/plivo/message/r_1", 2).await, ["queued", "sent"]);
    scene.call("14155550115").await;
    let handset = scene.handset("14155550115", all_arrived).await;
    assert_eq!((&handset["messages"][0]["code"], &handset["calls"][0]["code"]), (&json!("482913"), &json!("482913")));
}

#[tokio::test]
async fn the_call_api_speaks_what_the_answer_url_says() {
    let scene = Scene::new();
    let (status, answer) = scene.call("14155550106").await;
    assert_eq!((status, &answer["message"]), (201, &json!("call fired")));
    let handset = scene.handset("14155550106", call_is("completed")).await;
    assert_eq!(handset["calls"][0]["code"], "482913");
    let asked = &scene.received("/answer", 1).await[0];
    assert!(asked.signed && asked.form()["Event"] == "StartApp");
    let hangup = scene.received("/plivo/call/r_1", 1).await[0].form();
    assert_eq!(
        (hangup["HangupCauseCode"].as_str(), hangup["RequestUUID"].as_str()),
        ("4010", answer["request_uuid"].as_str().unwrap())
    );
}

#[tokio::test]
async fn a_ringing_call_can_be_cancelled_once() {
    // It rings for ten seconds, so that a busy machine does not come too late to cancel it.
    let scene = Scene::at_speed(0.1);
    let (_, answer) = scene.call("14155550100").await;
    let path = format!("/v1/Account/{ACCOUNT}/Request/{}/", answer["request_uuid"].as_str().unwrap());
    assert_eq!(scene.delete(&path).await, 204);
    let handset = scene.handset("14155550100", call_is("canceled")).await;
    assert_eq!(handset["calls"][0]["code"], Value::Null);
    assert_eq!(scene.received("/plivo/call/r_1", 1).await[0].form()["CallStatus"], "cancel");
    assert_eq!(scene.delete(&path).await, 404);
}

#[tokio::test]
async fn a_callback_that_is_not_taken_comes_again_under_a_new_nonce() {
    let scene = Scene::at_speed(1000.0);
    scene.failing.store(3, Ordering::SeqCst);
    scene.text("14155550104").await;
    let tries = scene.received("/plivo/message/r_1", 4).await;
    assert!(tries.iter().all(|one| one.signed && one.body == tries[0].body));
    let nonces: std::collections::HashSet<_> = tries.iter().map(|one| &one.nonce).collect();
    assert_eq!(nonces.len(), 4);
}

#[tokio::test]
async fn a_second_call_is_answered_and_a_machine_is_hung_up_on() {
    let scene = Scene::new();
    scene.call("14155550107").await;
    scene.handset("14155550107", call_is("busy")).await;
    scene.call("14155550107").await;
    let handset = scene.handset("14155550107", call_is("completed")).await;
    assert_eq!((&handset["calls"][0]["code"], &handset["calls"][1]["code"]), (&Value::Null, &json!("482913")));

    // The handset knows of an end before the callback about it arrives.
    scene.received("/plivo/call/r_1", 2).await;
    scene.received.lock().unwrap().clear();
    scene.call("14155550109").await;
    let hangup = scene.received("/plivo/call/r_1", 1).await[0].form();
    assert_eq!((hangup["HangupCauseCode"].as_str(), hangup["Machine"].as_str()), ("9100", "true"));
    assert_eq!(scene.handset("14155550109", call_is("machine")).await["calls"][0]["code"], Value::Null);
}
