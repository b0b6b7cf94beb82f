//! `SECRET_KEY` is replaced while verifications are open.

use std::sync::Arc;

use phlo_2fa::store::Memory;
use serde_json::json;

use crate::support::{Setup, TestApp, wrong};

#[tokio::test(flavor = "multi_thread")]
async fn records_under_the_previous_key_are_found_while_it_is_set() {
    let (store, keys) = (Arc::new(Memory::default()), ["b2xk", "bmV3"].map(|half| half.repeat(11)));
    let spawn = async |env: Vec<(&'static str, String)>| {
        TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await
    };
    let before = spawn(vec![("SECRET_KEY", keys[0].clone())]).await;
    let (created, untouched) = (before.create("0103").await, before.create("0105").await);
    assert_eq!(untouched.status, 201);
    let keyed = async |app: &TestApp, to: &str| {
        let request = app.request("POST", "/v1/verifications").header("Idempotency-Key", "k");
        app.send(request.json(&json!({ "to": to }))).await
    };
    let answered = keyed(&before, "+14155550106").await;

    let rotated = vec![("SECRET_KEY", keys[1].clone()), ("SECRET_KEY_PREVIOUS", keys[0].clone())];
    let after = spawn(rotated).await;
    let joined = after.create("0103").await;
    assert_eq!((joined.status, &joined.body["joined"]), (200, &json!(true)), "{joined:?}");
    let found = after.post("/v1/verifications/search", json!({ "to": "+14155550103" })).await;
    let found: Vec<_> = found.body["verifications"].as_array().unwrap().iter().map(|v| v["id"].clone()).collect();
    assert_eq!(found, [joined.id(), created.id()]);
    after.post(&format!("/v1/verifications/{}/cancel", joined.id()), json!({})).await;
    let check = json!({ "to": "+14155550103", "code": "000000" });
    assert_eq!(after.post("/v1/checks", check).await.body["id"], created.id());

    let again = keyed(&after, "+14155550106").await;
    assert_eq!((again.status, &again.body, again.header("idempotent-replayed")), (201, &answered.body, "true"));
    keyed(&after, "+14155550107").await.assert_problem(422, "idempotency_mismatch");

    let fresh = after.create("0104").await;
    assert_eq!(fresh.status, 201);
    let without = spawn(vec![("SECRET_KEY", keys[1].clone())]).await;
    let listed = without.get("/v1/verifications").await;
    assert_eq!(listed.status, 200, "an unreadable record does not fail the list");
    let ids: Vec<_> = listed.body["verifications"].as_array().unwrap().iter().map(|v| v["id"].clone()).collect();
    assert_eq!(ids, [fresh.id(), joined.id(), created.id()], "a record that was changed is under the current key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_gives_no_new_guesses() {
    let (store, keys) = (Arc::new(Memory::default()), ["b2xk", "bmV3"].map(|half| half.repeat(11)));
    let spawn = async |key: &str, previous: &str| {
        let env =
            [("SECRET_KEY", key), ("SECRET_KEY_PREVIOUS", previous), ("LIMIT_GUESSES", "3/1h"), ("MAX_CHECKS", "2")];
        let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
        TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await
    };
    let guess = async |app: &TestApp| {
        let v = app.post("/v1/verifications", json!({ "to": "+14155550103", "code": "042917" })).await;
        assert_eq!(v.status, 201, "{v:?}");
        [app.check(v.id(), &wrong("042917")).await, app.check(v.id(), &wrong("042917")).await]
    };
    let before = spawn(&keys[0], "").await;
    assert_eq!(guess(&before).await.map(|answer| answer.status), [200, 200]);
    let after = spawn(&keys[1], &keys[0]).await;
    let [first, second] = guess(&after).await;
    assert_eq!((first.status, first.body["result"].as_str()), (200, Some("incorrect")));
    second.assert_problem(429, "rate_limited");
    assert_eq!(second.body["scope"], "guesses");
}
