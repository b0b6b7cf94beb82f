//! `/v1/verifications`.

use crate::support::{TestApp, wrong};

#[tokio::test(flavor = "multi_thread")]
async fn a_texted_code_verifies_its_number_once() {
    let app = TestApp::spawn().await;
    let created = app.create("0100").await;
    assert_eq!(created.status, 201, "{created:?}");
    let code = app.texted_code("0100").await;
    let incorrect = app.check(created.id(), &wrong(&code)).await;
    assert_eq!((incorrect.status, incorrect.body["result"].as_str()), (200, Some("incorrect")));
    let verified = app.check(created.id(), &code).await;
    assert_eq!((verified.status, verified.body["result"].as_str()), (200, Some("verified")));
    assert_eq!(verified.body["channel"], "sms");
    let again = app.check(created.id(), &code).await;
    assert_eq!((again.status, again.code()), (409, "already_verified"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_stays_silent_becomes_a_call_when_the_timer_is_up() {
    let app = TestApp::spawn().await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.advance(34.0).await;
    assert_eq!(app.read(created.id()).await["attempts"].as_array().unwrap().len(), 1);
    app.advance(1.0).await;
    let code = app.spoken_code("0103").await;
    let v = app.read(created.id()).await;
    assert_eq!(v["attempts"][1]["reason"], "no_report");
    assert_eq!(app.check(created.id(), &code).await.body["channel"], "call");
}
