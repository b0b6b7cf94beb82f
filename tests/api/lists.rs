//! Lists and search: an app sees all its own verifications and no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::Answer;

const OTHER: &str = "another-apps-secret-of-thirty-two";

fn ids(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{page:?}");
    page.body["verifications"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()).collect()
}

async fn spawn() -> Silent {
    Silent::spawn_with(vec![("API_KEYS", format!("other:{OTHER}"))]).await
}

async fn create(app: &Silent, i: usize) -> String {
    let created = app.post("/v1/verifications", json!({ "to": format!("+1415555{:04}", 1000 + i) })).await;
    app.advance(0.001).await;
    created.id().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_newest_first_and_miss_none() {
    let app = spawn().await;
    let mut expected = Vec::new();
    for i in 0..25 {
        expected.insert(0, create(&app, i).await);
    }
    let first = app.get("/v1/verifications").await;
    assert_eq!(ids(&first), expected[..20]);
    let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
    let newer = create(&app, 99).await;
    let second = app.get(&format!("/v1/verifications?cursor={cursor}")).await;
    assert_eq!(ids(&second), expected[20..]);
    assert_eq!(second.body["next_cursor"], Value::Null);
    assert_eq!(ids(&app.get("/v1/verifications?limit=1").await), [newer]);

    let (mut seen, mut path) = (Vec::new(), "/v1/verifications?limit=7".to_owned());
    loop {
        let page = app.get(&path).await;
        seen.extend(ids(&page));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("/v1/verifications?limit=7&cursor={cursor}");
    }
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (26, 26));
    let page = app.get("/v1/verifications").await.body.to_string();
    assert!(!page.contains("client_token") && !page.contains("415555"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_filter_uses_the_status_at_this_moment() {
    let app = spawn().await;
    let (a, b, c) = (create(&app, 0).await, create(&app, 1).await, create(&app, 2).await);
    app.post(&format!("/v1/verifications/{b}/cancel"), json!({})).await;
    assert_eq!(ids(&app.get("/v1/verifications?status=canceled").await), std::slice::from_ref(&b));
    assert_eq!(ids(&app.get("/v1/verifications?status=pending").await), [c.clone(), a.clone()]);
    assert!(ids(&app.get("/v1/verifications?status=verified&limit=100").await).is_empty());
    assert_eq!(ids(&app.get("/v1/verifications?status=").await).len(), 3);
    // The expiry is not committed yet, but counts.
    app.clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(ids(&app.get("/v1/verifications?status=expired").await), [c, a]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_app_sees_nothing_and_verifies_the_same_number_apart() {
    let app = spawn().await;
    let mine = create(&app, 0).await;
    let theirs = |method: &str, path: String| app.keyless(method, &path).bearer_auth(OTHER);
    assert!(ids(&app.send(theirs("GET", "/v1/verifications".into())).await).is_empty());
    let search = theirs("POST", "/v1/verifications/search".into()).json(&json!({ "to": "+14155551000" }));
    assert!(ids(&app.send(search).await).is_empty());
    let check = theirs("POST", "/v1/checks".into()).json(&json!({ "to": "+14155551000", "code": "000000" }));
    app.send(check).await.assert_problem(404, "verification_not_found");

    let created = theirs("POST", "/v1/verifications".into()).json(&json!({ "to": "+14155551000" }));
    let created = app.send(created).await;
    assert_eq!((created.status, created.body["joined"].as_bool()), (201, Some(false)));
    assert_eq!(ids(&app.get("/v1/verifications").await), [mine]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_every_verification_of_a_number_and_no_other() {
    let app = spawn().await;
    let first = create(&app, 0).await;
    create(&app, 1).await;
    app.post(&format!("/v1/verifications/{first}/cancel"), json!({})).await;
    let second = create(&app, 0).await;
    let search = |to: &str| app.post("/v1/verifications/search", json!({ "to": to }));
    assert_eq!(ids(&search("+14155551000").await), [second, first]);
    assert!(ids(&search("+14155551999").await).is_empty());
    search("14155551000").await.assert_problem(422, "invalid_number");
    app.post("/v1/verifications/search", json!({})).await.assert_problem(422, "invalid_parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_read_is_a_problem_like_any_other() {
    let app = spawn().await;
    let id = create(&app, 0).await;
    for query in [
        "status=open",
        "status=PENDING",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=many",
        "limit=99999999999999999999999",
        "cursor=x",
        "cursor=1-2",
        "cursor=%00",
        "status=pending&status=canceled",
        &format!("cursor=x-{id}"),
        &format!("cursor=99999999999999999999999-{id}"),
    ] {
        app.get(&format!("/v1/verifications?{query}")).await.assert_problem(422, "invalid_parameter");
    }
    for query in ["limit=%FF", "status=%ff%fe", "cursor=%", "&&=&", "unknown=1", "limit=&status="] {
        let answer = app.get(&format!("/v1/verifications?{query}")).await;
        assert!(matches!(answer.status, 200 | 422), "{query}: {answer:?}");
    }
    for millis in [i64::MIN, -1, 0, i64::MAX] {
        let answer = app.get(&format!("/v1/verifications?cursor={millis}-{id}")).await;
        assert!(matches!(answer.status, 200 | 422), "{millis}: {answer:?}");
    }
}
