//! Checks: `/v1/verifications/{id}/checks` and `/v1/checks`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, TestApp, wrong};

/// The code of these tests, given at the creation.
const CODE: &str = "042917";

async fn open(app: &Silent) -> Answer {
    app.open(json!({ "code": CODE })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_names_its_verification_and_channel() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    app.flow_says(created.id(), 0, "sms_sent", json!({})).await;
    let verified = app.check(created.id(), CODE).await;
    assert_eq!(verified.status, 200);
    let at = verified.body["verified_at"].as_str().unwrap().to_owned();
    let expected =
        json!({ "id": created.id(), "result": "verified", "status": "verified", "verified_at": at, "channel": "sms" });
    assert_eq!(verified.body, expected);
    assert_eq!(app.read(created.id()).await["status"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_by_number_finds_its_verification() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    let by_number = |code: &str| app.post("/v1/checks", json!({ "to": "+14155550103", "code": code }));
    let incorrect = by_number("111111").await;
    let expected = json!({ "id": created.id(), "result": "incorrect", "status": "pending", "checks_remaining": 4,
        "user_message": "Wrong code. Tries left: 4." });
    assert_eq!((incorrect.status, incorrect.body), (200, expected));
    assert_eq!(by_number(CODE).await.body["result"], "verified");
    by_number(CODE).await.assert_problem(409, "already_verified");
    let unknown = app.post("/v1/checks", json!({ "to": "+14155550104", "code": CODE })).await;
    unknown.assert_problem(404, "verification_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_code_is_refused_and_not_counted() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    for code in [
        json!("04291"),
        json!("0429170"),
        json!("4291"),
        json!(""),
        json!(" 042917"),
        json!("042917\n"),
        json!("042917 "),
        json!("-042917"),
        json!("042\u{a0}917"),
        json!("042–917"),
        json!("042.917"),
        json!("042 91"),
        json!("04291７"),
        json!("٠٤٢٩١٧"),
        json!("042917\u{200b}"),
        json!("+42917"),
        json!("0x42917"),
        json!("042917\u{0}"),
        json!(42917),
        json!(null),
        json!(["0", "4"]),
        json!({ "$ne": "" }),
    ] {
        let problem = if code.is_string() { "invalid_code" } else { "invalid_parameter" };
        for (path, to) in
            [(format!("/v1/verifications/{}/checks", created.id()), None), ("/v1/checks".into(), Some("+14155550103"))]
        {
            let mut body = json!({ "code": code });
            if let Some(to) = to {
                body["to"] = json!(to);
            }
            let refused = app.post(&path, body).await;
            refused.assert_problem(422, problem);
            assert_eq!(refused.body["errors"][0]["pointer"], "/code", "{refused:?}");
        }
    }
    app.post(&format!("/v1/verifications/{}/checks", created.id()), json!({}))
        .await
        .assert_problem(422, "invalid_parameter");
    assert_eq!(app.read(created.id()).await["checks_remaining"], 5);
    assert_eq!(app.check(created.id(), CODE).await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn blanks_and_hyphens_between_the_digits_are_ignored() {
    let app = Silent::spawn().await;
    for code in ["042 917", "042-917", "0 4 2 9 1 7", "04 - 29 - 17"] {
        let created = open(&app).await;
        assert_eq!(app.check(created.id(), code).await.body["result"], "verified", "{code}");
    }
    let created = open(&app).await;
    assert_eq!(app.check(created.id(), "111-111").await.body["result"], "incorrect");
    assert_eq!(app.read(created.id()).await["checks_remaining"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_wrong_code_the_right_one_is_refused() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    for left in (1..5).rev() {
        let incorrect = app.check(created.id(), &wrong(CODE)).await;
        assert_eq!(
            (incorrect.body["status"].as_str(), &incorrect.body["checks_remaining"]),
            (Some("pending"), &json!(left))
        );
    }
    let last = app.check(created.id(), &wrong(CODE)).await;
    let expected = json!({ "id": created.id(), "result": "incorrect", "status": "max_checks_reached", "checks_remaining": 0,
        "user_message": "Too many wrong codes. Request a new code." });
    assert_eq!((last.status, last.body), (200, expected));
    for code in [CODE, "111111"] {
        app.check(created.id(), code).await.assert_problem(429, "max_checks_reached");
    }
    app.attempt(created.id(), "call").await.assert_problem(429, "max_checks_reached");
    assert_eq!(app.read(created.id()).await["status"], "max_checks_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_gives_no_new_guesses() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    for _ in 0..3 {
        app.check(created.id(), &wrong(CODE)).await;
    }
    app.advance(31.0).await;
    assert_eq!(app.attempt(created.id(), "sms").await.body["checks_remaining"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_final_state_has_its_problem() {
    let app = Silent::spawn().await;
    let canceled = open(&app).await;
    app.post(&format!("/v1/verifications/{}/cancel", canceled.id()), json!({})).await;
    app.check(canceled.id(), CODE).await.assert_problem(409, "verification_canceled");

    let undeliverable = open(&app).await;
    app.flow_says(undeliverable.id(), 0, "sms_sent", json!({ "message_uuid": "8b1f0001-75ab-4f0e-8cb1-aa7d3a1c9d10" }))
        .await;
    let report = [("MessageUUID", "8b1f0001-75ab-4f0e-8cb1-aa7d3a1c9d10"), ("Status", "failed"), ("ErrorCode", "450")];
    app.plivo_says("message", &report).await;
    app.check(undeliverable.id(), CODE).await.assert_problem(409, "verification_undeliverable");

    let expired = open(&app).await;
    app.clock.advance(std::time::Duration::from_secs(300));
    // No request and no timer has ended it: the time alone counts.
    app.check(expired.id(), CODE).await.assert_problem(410, "verification_expired");
    let v = app.read(expired.id()).await;
    assert_eq!((&v["status"], &v["next"]), (&json!("expired"), &Value::Null));
    app.post("/v1/checks", json!({ "to": "+14155550103", "code": CODE }))
        .await
        .assert_problem(410, "verification_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_valid_until_the_moment_it_expires() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "code": CODE, "ttl": 60, "escalation": "never" })).await;
    app.advance(59.999).await;
    assert_eq!(app.check(created.id(), CODE).await.body["result"], "verified");
    let created = app.open(json!({ "code": CODE, "ttl": 60, "escalation": "never" })).await;
    app.advance(60.0).await;
    app.check(created.id(), CODE).await.assert_problem(410, "verification_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_right_codes_at_once_one_verifies() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    let answers = join_all((0..50).map(|_| app.check(created.id(), CODE))).await;
    let (right, others): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert_eq!(right.len(), 1, "{answers:?}");
    others.iter().for_each(|a| a.assert_problem(409, "already_verified"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_wrong_codes_at_once_five_are_compared() {
    let app = Silent::spawn().await;
    let created = open(&app).await;
    let answers = join_all((0..50).map(|i| {
        let (app, id) = (&app, created.id());
        async move { app.check(id, &format!("9{i:05}")).await }
    }))
    .await;
    let (compared, others): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert_eq!(compared.len(), 5, "{answers:?}");
    others.iter().for_each(|a| a.assert_problem(429, "max_checks_reached"));
    app.check(created.id(), CODE).await.assert_problem(429, "max_checks_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_verifies_only_its_own_verification() {
    let app = TestApp::spawn().await;
    let (first, second) = (app.create("0100").await, app.create("0114").await);
    let code = app.texted_code("0100").await;
    assert_eq!(app.check(second.id(), &code).await.body["result"], "incorrect");
    assert_eq!(app.check(first.id(), &code).await.body["result"], "verified");
}
