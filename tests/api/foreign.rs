//! Another app's verification cannot be told from an unknown one, on any route.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::faulty_store::FaultyStore;
use crate::support::{Answer, Setup, TestApp};

const OTHER: &str = "another-apps-secret-of-thirty-two";

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_id_costs_the_store_as_much_as_an_unknown_one() {
    let store = Arc::new(FaultyStore::default());
    let env = vec![("API_KEYS", format!("other:{OTHER}"))];
    let app = TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550103", "escalation": "never" })).await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    app.settled().await;
    let (foreign, unknown) = (created.id().to_owned(), format!("vrf_{}", "7".repeat(34)));
    for (method, action, body) in [
        ("GET", "", Value::Null),
        ("GET", "/timeline", Value::Null),
        ("GET", "/stream", Value::Null),
        ("POST", "/checks", json!({ "code": "000000" })),
        ("POST", "/attempts", json!({ "channel": "call" })),
        ("POST", "/cancel", Value::Null),
        ("POST", "/activity", json!({ "kind": "not_received" })),
    ] {
        let look = async |id: &str| -> (Answer, usize) {
            let request = app.keyless(method, &format!("/v1/verifications/{id}{action}")).bearer_auth(OTHER);
            let request = if body.is_null() { request } else { request.json(&body) };
            // Timers read the store as well: the lowest of a few counts is that of the request.
            let (mut answer, mut least) = (None, usize::MAX);
            for _ in 0..5 {
                let before = store.asked.load(Ordering::SeqCst);
                answer = Some(app.send(request.try_clone().unwrap()).await);
                least = least.min(store.asked.load(Ordering::SeqCst) - before);
            }
            (answer.unwrap(), least)
        };
        let ((foreign, for_foreign), (unknown, for_unknown)) = (look(&foreign).await, look(&unknown).await);
        foreign.assert_problem(404, "verification_not_found");
        let shown = |answer: &Answer| {
            let mut body = answer.body.clone();
            body["request_id"].take();
            let names: BTreeSet<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
            (answer.status, body, names)
        };
        assert_eq!(shown(&foreign), shown(&unknown), "{method} {action}");
        assert_eq!(for_foreign, for_unknown, "{method} {action}: requests to the store");
    }
}
