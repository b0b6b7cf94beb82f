//! What a browser may do with the `client_token` of a creation.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

const TO: &str = "+14155550103";

async fn create(app: &TestApp, to: &str) -> (String, String) {
    let created = app.post("/v1/verifications", json!({ "to": to, "metadata": { "plan": "pro" } })).await;
    (created.id().to_owned(), created.body["client_token"].as_str().unwrap().to_owned())
}

/// A POST by a browser that has the token.
async fn say(app: &TestApp, token: &str, path: &str, body: Value) -> Answer {
    app.send(app.keyless("POST", path).bearer_auth(token).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_reports_activity_and_asks_for_attempts_and_sees_states() {
    let app = TestApp::spawn().await;
    let (id, token) = create(&app, TO).await;
    let path = |action: &str| format!("/v1/verifications/{id}/{action}");
    let typing = say(&app, &token, &path("activity"), json!({ "kind": "typing" })).await;
    let called = say(&app, &token, &path("attempts"), json!({ "channel": "call" })).await;
    assert_eq!((typing.status, called.status), (200, 201), "{typing:?} {called:?}");
    assert_eq!(called.body["attempts"][1]["channel"], "call");
    for answer in [typing, called] {
        let text = answer.body.to_string();
        assert_eq!(answer.body["attempts"][0]["provider_id"], Value::Null);
        assert!(!text.contains("plan") && !text.contains("client_token"), "{text}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    // Its limits are those of the creation.
    let again = say(&app, &token, &path("attempts"), json!({ "channel": "sms" })).await;
    again.assert_problem(429, "resend_cooldown");
    assert_eq!(again.header("access-control-allow-origin"), "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_do_nothing_else_and_nothing_to_another_verification() {
    let app = TestApp::spawn().await;
    let (id, token) = create(&app, TO).await;
    let (other, _) = create(&app, "+14155550104").await;
    let answer = say(&app, &token, &format!("/v1/verifications/{other}/activity"), json!({ "kind": "typing" })).await;
    answer.assert_problem(404, "verification_not_found");
    for (action, body) in [
        ("checks", json!({ "code": "000000" })),
        ("cancel", json!({})),
        ("feedback", json!({ "outcome": "converted" })),
    ] {
        let answer = say(&app, &token, &format!("/v1/verifications/{id}/{action}"), body).await;
        answer.assert_problem(401, "unauthenticated");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{action}");
    }
    for path in [format!("/v1/verifications/{id}"), format!("/v1/verifications/{id}/timeline")] {
        let answer = app.send(app.keyless("GET", &path).bearer_auth(&token)).await;
        answer.assert_problem(401, "unauthenticated");
    }
    let unknown = say(&app, "no-token", &format!("/v1/verifications/{id}/activity"), json!({ "kind": "typing" })).await;
    unknown.assert_problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_may_ask_for_these_two_alone() {
    let app = TestApp::spawn().await;
    let (id, _) = create(&app, TO).await;
    for action in ["activity", "attempts"] {
        let asked = app.send(app.keyless("OPTIONS", &format!("/v1/verifications/{id}/{action}"))).await;
        assert_eq!(asked.status, 204);
        assert_eq!(asked.header("access-control-allow-methods"), "POST");
        assert_eq!(asked.header("access-control-allow-headers"), "authorization, content-type");
    }
    let asked = app.send(app.keyless("OPTIONS", &format!("/v1/verifications/{id}/checks"))).await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (405, ""));
}
