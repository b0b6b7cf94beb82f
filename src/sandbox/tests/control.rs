//! Credentials, and the control routes.

use super::*;

#[tokio::test]
async fn only_the_account_is_authorized_and_every_request_is_logged() {
    let scene = Scene::new();
    let url = format!("{}/v1/account/{ACCOUNT}/phlo/any/", scene.plivo);
    let wrong = scene.client.post(&url).basic_auth(ACCOUNT, Some("wrong")).json(&json!({})).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert!(wrong.json::<Value>().await.unwrap()["error"].is_string());
    assert_eq!(scene.post("/v1/account/MAOTHER0000000000000/phlo/any", &json!({})).await.0, 401);
    assert_eq!(scene.post("/v1/nowhere/", &json!({})).await.0, 404);
    let statuses =
        [scene.text("14155550111").await.0, scene.text("14155550111").await.0, scene.text("14155550111").await.0];
    assert_eq!(statuses, [429, 429, 202]);
    let log = scene.control("/log").await;
    let logged: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["what"].as_str().unwrap(), entry["status"].as_u64()))
        .collect();
    assert_eq!(
        logged,
        [
            ("phlo", Some(401)),
            ("phlo", Some(401)),
            ("other", Some(404)),
            ("message", Some(429)),
            ("message", Some(429)),
            ("message", Some(202))
        ]
    );
    assert!(!log.to_string().contains("482913"), "{log}");
}

#[tokio::test]
async fn an_outage_breaks_the_api_it_names() {
    let scene = Scene::new();
    let begin = async |outage: Value| {
        let request = scene.client.post(format!("{}/outage", scene.plivo)).json(&outage);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(begin(json!({ "seconds": 60, "status": 502, "what": "phlo" })).await, 204);
    assert_eq!(scene.run("14155550100", "sms").await.0, 502);
    assert_eq!(scene.text("14155550100").await.0, 202);
    assert_eq!(begin(json!({ "seconds": 0 })).await, 204);
    assert_eq!(begin(json!({ "seconds": 60, "kind": "fake" })).await, 204);
    assert_eq!(scene.run("14165550100", "sms").await.0, 201);
    assert_eq!(scene.statuses("/plivo/message", 3).await, ["queued", "sent", "delivered"]);
    assert_eq!(scene.control("/handset/14165550100").await, json!({ "messages": [], "calls": [] }));
    assert_eq!(begin(json!({ "seconds": "soon" })).await, 422);
    assert_eq!(begin(json!({ "seconds": 60, "kind": "rate", "limit": 1 })).await, 204);
    assert_eq!([scene.text("14175550100").await.0, scene.text("14175550100").await.0], [202, 429]);
    assert_eq!(begin(json!({ "seconds": 0, "kind": "rate" })).await, 204);
    assert_eq!(scene.text("14175550100").await.0, 202);
}

#[tokio::test]
async fn a_handset_stream_begins_with_the_state_and_ends_when_streams_are_closed() {
    let scene = Scene::new();
    let mut stream = scene.client.get(format!("{}/handset/14155550100/stream", scene.plivo)).send().await.unwrap();
    let mut next = async || stream.chunk().await.unwrap().map(|chunk| String::from_utf8(chunk.to_vec()).unwrap());
    assert_eq!(next().await.as_deref(), Some("data: {\"messages\":[],\"calls\":[]}\n\n"));
    scene.text("14155550100").await;
    assert!(next().await.is_some_and(|event| event.contains("482913")));
    scene.sandbox.close_streams();
    assert_eq!(next().await, None);
}
