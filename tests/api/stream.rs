//! `/v1/verifications/{id}/stream`.

use futures_util::future::join_all;

use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_the_whole_timeline_and_then_ends() {
    let app = TestApp::spawn().await;
    let created = app.create("0101").await;
    let (id, token) = (created.id(), created.body["client_token"].as_str().unwrap());
    let path = format!("{}/v1/verifications/{id}/stream?client_token={token}", app.url);
    let response = crate::support::client().get(path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let code = app.spoken_code("0101").await;
    assert_eq!(app.check(id, &code).await.status, 200);

    let story = response.text().await.unwrap();
    assert!(story.contains("\"event\":\"escalated\"") && story.contains("\"reason\":\"undelivered\""), "{story}");
    assert!(story.trim_end().rsplit("\n\n").next().unwrap().contains("\"status\":\"verified\""), "{story}");
    assert!(!story.contains(&code) && !story.contains("14155550101"), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_needs_the_key_of_its_app_or_the_token_of_its_verification() {
    let app = TestApp::spawn().await;
    let (one, other) = (app.create("0103").await, app.create("0104").await);
    let path = format!("{}/v1/verifications/{}/stream", app.url, one.id());
    let client = crate::support::client();
    let status = async |url: String| client.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(path.clone()).await, 401);
    assert_eq!(status(format!("{path}?client_token=x")).await, 404);
    // As a Bearer token, which keeps it out of the URL.
    let own = one.body["client_token"].as_str().unwrap();
    for (token, expected) in [(own, 200), (other.body["client_token"].as_str().unwrap(), 404), ("x", 401)] {
        let answer = app.keyless("GET", path.trim_start_matches(&app.url)).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    let token = other.body["client_token"].as_str().unwrap();
    assert_eq!(status(format!("{path}?client_token={token}")).await, 404);
    let token = one.body["client_token"].as_str().unwrap();
    assert_eq!(status(format!("{path}?client_token={token}")).await, 200);
    let twice =
        app.get(&format!("/v1/verifications/{}/stream?client_token={token}&client_token={token}", one.id())).await;
    twice.assert_problem(422, "invalid_parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_cannot_use_up_all_streams() {
    let app = TestApp::spawn().await;
    let (one, other) = (app.create("0103").await, app.create("0104").await);
    let path = |of: &crate::support::Answer| {
        format!("/v1/verifications/{}/stream?client_token={}", of.id(), of.body["client_token"].as_str().unwrap())
    };
    let follow = async |path: String| app.keyless("GET", &path).send().await.unwrap();
    let following = join_all((0..8).map(|_| follow(path(&one)))).await;
    assert!(following.iter().all(|stream| stream.status() == 200), "{following:?}");
    let refused = app.send(app.keyless("GET", &path(&one))).await;
    refused.assert_problem(429, "rate_limited");
    assert_eq!((&refused.body["scope"], refused.header("retry-after")), (&"streams".into(), "5"));
    assert_eq!(follow(path(&other)).await.status(), 200);
    // A stream that has ended frees its place.
    app.post(&format!("/v1/verifications/{}/cancel", one.id()), serde_json::Value::Null).await;
    for stream in following {
        stream.text().await.unwrap();
    }
    assert_eq!(follow(path(&one)).await.status(), 200);
}
