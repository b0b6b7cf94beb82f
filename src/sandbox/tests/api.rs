//! The Message and Call APIs.

use super::*;

#[tokio::test]
async fn the_message_api_reports_to_the_given_url() {
    let scene = Scene::new();
    let (status, answer) = scene.text("+14155550101").await;
    assert_eq!((status, &answer["message"]), (202, &json!("message(s) queued")));
    let reports = scene.received("/plivo/message/r_1", 3).await;
    assert!(reports.iter().all(|report| report.is_signed));
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
    let handset = scene.handset("14155550115", has_message).await;
    assert_eq!((&handset["messages"][0]["code"], &handset["calls"][0]["code"]), (&json!("482913"), &json!("482913")));
}

#[tokio::test]
async fn the_call_api_speaks_the_xml_of_the_answer_url() {
    let scene = Scene::new();
    let (status, answer) = scene.call("14155550106").await;
    assert_eq!((status, &answer["message"]), (201, &json!("call fired")));
    let handset = scene.handset("14155550106", call_is("completed")).await;
    assert_eq!(handset["calls"][0]["code"], "482913");
    let answer_request = &scene.received("/answer", 1).await[0];
    assert!(answer_request.is_signed && answer_request.form()["Event"] == "StartApp");
    let hangup = scene.received("/plivo/call/r_1", 1).await[0].form();
    assert_eq!(
        (hangup["HangupCauseCode"].as_str(), hangup["RequestUUID"].as_str()),
        ("4010", answer["request_uuid"].as_str().unwrap())
    );
}

#[tokio::test]
async fn a_ringing_call_can_be_cancelled_once() {
    // It rings for ten seconds, so that a busy machine can still cancel it in time.
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
async fn a_failed_callback_is_retried_with_a_new_nonce() {
    let scene = Scene::at_speed(1000.0);
    scene.failures_left.store(3, Ordering::SeqCst);
    scene.text("14155550104").await;
    let tries = scene.received("/plivo/message/r_1", 4).await;
    assert!(tries.iter().all(|one| one.is_signed && one.body == tries[0].body));
    let nonces: std::collections::HashSet<_> = tries.iter().map(|one| &one.nonce).collect();
    assert_eq!(nonces.len(), 4);
}

#[tokio::test]
async fn after_busy_the_next_call_is_answered_and_a_machine_is_hung_up_on() {
    let scene = Scene::new();
    scene.call("14155550107").await;
    scene.handset("14155550107", call_is("busy")).await;
    scene.call("14155550107").await;
    let handset = scene.handset("14155550107", call_is("completed")).await;
    assert_eq!((&handset["calls"][0]["code"], &handset["calls"][1]["code"]), (&Value::Null, &json!("482913")));

    // The handset shows the end of a call before its callback arrives.
    scene.received("/plivo/call/r_1", 2).await;
    scene.received.lock().unwrap().clear();
    scene.call("14155550109").await;
    let hangup = scene.received("/plivo/call/r_1", 1).await[0].form();
    assert_eq!((hangup["HangupCauseCode"].as_str(), hangup["Machine"].as_str()), ("9100", "true"));
    assert_eq!(scene.handset("14155550109", call_is("machine")).await["calls"][0]["code"], Value::Null);
}

#[tokio::test]
async fn list_pages_link_to_the_next_and_show_the_newest_first() {
    let scene = Scene::new();
    let to = ["14155550104", "14165550104", "14175550104"];
    for to in to {
        scene.text(to).await;
    }
    let mut listed = Vec::new();
    let mut next = format!("/v1/Account/{ACCOUNT}/Message/?limit=2&message_state=queued");
    loop {
        let (status, page) = scene.get(&next).await;
        assert_eq!((status, &page["meta"]["total_count"]), (200, &json!(3)), "{page}");
        listed.extend(page["objects"].as_array().unwrap().iter().map(|text| text["to_number"].clone()));
        let Some(following) = page["meta"]["next"].as_str() else { break };
        next = following.to_owned();
    }
    assert_eq!(listed, [to[2], to[1], to[0]]);
    let (_, one) = scene.get(&format!("/v1/Account/{ACCOUNT}/Message/?to_number=%2B1+415+555+0104")).await;
    assert_eq!((one["objects"].as_array().unwrap().len(), &one["objects"][0]["to_number"]), (1, &json!(to[0])));
    assert_eq!(scene.get(&format!("/v1/Account/{ACCOUNT}/Message/?limit=21")).await.0, 400);
}

#[tokio::test]
async fn a_call_is_listed_as_live_and_later_as_ended() {
    let scene = Scene::at_speed(0.1);
    let (_, answer) = scene.call("14155550100").await;
    let request = answer["request_uuid"].as_str().unwrap();
    let calls = format!("/v1/Account/{ACCOUNT}/Call/");
    let (_, live) = scene.get(&format!("{calls}?status=live")).await;
    let uuid = live["calls"][0].as_str().unwrap().to_owned();
    let (_, shown) = scene.get(&format!("{calls}{uuid}/?status=live")).await;
    assert_eq!((&shown["request_uuid"], &shown["call_status"]), (&json!(request), &json!("ringing")));
    assert_eq!(scene.get(&calls).await.1["objects"], json!([]));
    assert_eq!(scene.delete(&format!("/v1/Account/{ACCOUNT}/Request/{request}/")).await, 204);
    scene.received("/plivo/call/r_1", 1).await;
    assert_eq!(scene.get(&format!("{calls}?status=live")).await.1["calls"], json!([]));
    assert_eq!(scene.get(&format!("{calls}{uuid}/?status=live")).await.0, 404);
    assert_eq!(scene.get(&calls).await.1["objects"][0]["call_uuid"], json!(uuid));
}

#[tokio::test]
async fn the_account_owns_every_number_that_does_not_end_in_four_zeros() {
    let scene = Scene::new();
    let get = async |number: &str| scene.get(&format!("/v1/Account/{ACCOUNT}/Number/{number}/")).await;
    for written in ["14155550199", "+14155550199", "1-415-555-0199"] {
        let (status, shown) = get(written).await;
        assert_eq!((status, &shown["number"]), (200, &json!("14155550199")));
        assert_eq!(
            (&shown["active"], &shown["voice_enabled"], &shown["sms_enabled"]),
            (&true.into(), &true.into(), &true.into())
        );
        assert_eq!((&shown["country"], &shown["application"]), (&json!("United States"), &Value::Null));
    }
    for other in ["14155550000", "123456", "1234567890123456", "PLIVOX1"] {
        assert_eq!(get(other).await.0, 404, "{other}");
    }
}
