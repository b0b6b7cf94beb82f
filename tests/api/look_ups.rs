//! A text whose request Plivo did not answer: Plivo's list of sent messages says whether it was sent.

use serde_json::{Value, json};

use crate::stub::{Says, Stub};
use crate::support::{CALLBACK_SECRET, Setup, TestApp};

fn env() -> Vec<(&'static str, String)> {
    vec![("PLIVO_TIMEOUT", "1".into()), ("PLIVO_WAIT", "60".into()), ("ESCALATION", "fixed:45".into())]
}

/// The list with a text to the number of [`Stub::open`].
fn listed(uuid: &str) -> Says {
    let text = json!({ "message_uuid": uuid, "to_number": "14155550103", "message_time": "2100-01-01 00:00:00+00:00" });
    Says::Status(200, json!({ "objects": [text] }))
}

/// Creates a verification whose text may have been sent, and looks it up.
async fn looked_up(app: &Stub) -> String {
    let created = app.open(json!({})).await;
    assert_eq!(created.body["attempts"][0]["status"], "unknown", "{created:?}");
    app.settled().await;
    app.advance(3.0).await;
    app.until_asked(2).await;
    app.settled().await;
    assert_eq!(app.requested()[..2], ["message", "list"]);
    created.id().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_text_is_sent_again_once() {
    let app =
        TestApp::spawn_with(Setup { env: [env(), vec![("PHLO_ID", String::new())]].concat(), ..Setup::default() })
            .await;
    let outage = |seconds: u64| {
        let outage = json!({ "seconds": seconds, "what": "message", "kind": "lost" });
        reqwest::Client::new().post(format!("{}/outage", app.plivo_url)).json(&outage).send()
    };
    assert!(outage(600).await.unwrap().status().is_success());
    let created = app.create("0100").await;
    assert_eq!(created.body["attempts"][0]["status"], "unknown", "{created:?}");
    assert!(outage(0).await.unwrap().status().is_success());
    app.settled().await;
    app.advance(3.0).await;
    let v = app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    assert_eq!(v["attempts"].as_array().unwrap().len(), 1);
    app.settled().await;
    app.advance(30.0).await;
    app.settled().await;
    assert!(app.handset("0100").await["messages"][1].is_null(), "one text");
    let requests = app.whole_plivo_log().await;
    let methods: Vec<_> = requests.iter().map(|entry| entry["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["POST", "GET", "POST"], "{requests:?}");
    let code = app.texted_code("0100").await;
    assert_eq!(app.check(created.id(), &code).await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_plivo_has_sent_is_not_sent_again_and_its_reports_count() {
    let app = Stub::direct(env()).await;
    app.says("message", &[Says::Nothing]);
    app.says("list", &[listed("a-text")]);
    let id = looked_up(&app).await;
    assert_eq!(app.read(&id).await["attempts"][0]["status"], "triggered");
    let report = [("MessageUUID", "a-text"), ("Status", "delivered")];
    let reported = app.keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/message")).form(&report);
    assert_eq!(app.send(reported).await.status, 200);
    assert_eq!(app.read(&id).await["attempts"][0]["status"], "delivered");
    app.advance(30.0).await;
    app.settled().await;
    assert_eq!(app.requested(), ["message", "list"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_another_verification_is_not_taken_for_a_lost_one() {
    let app = Stub::direct(env()).await;
    app.says("message", &[Says::Status(202, json!({ "message_uuid": ["another-text"] }))]);
    app.open(json!({ "purpose": "payout" })).await;
    app.settled().await;
    app.says("message", &[Says::Nothing, Says::Well]);
    app.says("list", &[listed("another-text")]);
    let created = app.open(json!({})).await;
    app.settled().await;
    app.advance(3.0).await;
    app.until(created.id(), "sent again", |v| v["attempts"][0]["status"] == "triggered").await;
    assert_eq!(app.requested(), ["message", "message", "list", "message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn if_the_list_fails_the_timer_decides() {
    for list in [Says::Status(500, Value::Null), Says::Status(429, Value::Null), Says::Status(200, json!({}))] {
        let app = Stub::direct(env()).await;
        app.says("message", &[Says::Nothing]);
        app.says("list", std::slice::from_ref(&list));
        let id = looked_up(&app).await;
        for _ in 0..4 {
            app.advance(5.0).await;
            app.settled().await;
        }
        let v = app.read(&id).await;
        assert_eq!((&v["attempts"][0]["status"], &v["next"]["reason"]), (&json!("unknown"), &json!("no_report")));
        // A 429 says that the list was read too often.
        let lists = app.requested().iter().filter(|api| **api == "list").count();
        assert_eq!(lists, if matches!(list, Says::Status(429, _)) { 1 } else { 3 });
        assert_eq!(app.requested().len(), 1 + lists, "the text is not requested again");
        app.advance(30.0).await;
        app.until_asked(2 + lists).await;
        assert_eq!(app.requested().last(), Some(&"call"));
    }
}
