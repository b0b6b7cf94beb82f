//! `/v1/verifications/{id}/stream`.

use futures_util::future::join_all;

use serde_json::{Value, json};

use crate::support::{Setup, TestApp};

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
async fn a_browser_sees_states_and_no_costs_figures_policies_or_ids_of_plivo() {
    let env = vec![("ESCALATION", "adaptive".into())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let body = json!({ "to": "+14155550107", "metadata": { "plan": "gold-plan" } });
    let created = app.post("/v1/verifications", body).await;
    let (id, token) = (created.id(), created.body["client_token"].as_str().unwrap());
    app.until(id, "busy", |v| v["attempts"][1]["status"] == "busy").await;
    app.settled().await;
    app.advance(20.0).await;
    let code = app.spoken_code("0107").await;
    assert_eq!(app.check(id, &code).await.status, 200);
    let path = format!("/v1/verifications/{id}/stream");
    let with_key = app.request("GET", &path).send().await.unwrap().text().await.unwrap();
    let url = format!("{path}?client_token={token}");
    let in_browser = app.keyless("GET", &url).send().await.unwrap().text().await.unwrap();

    let v = app.read(id).await;
    let plivo_id = v["attempts"][0]["provider_id"].as_str().unwrap();
    let secrets =
        ["policy", "adaptive", "gold-plan", "\"class\"", "\"via\":\"", "waited_ms", "\"error_code\":\"", plivo_id];
    for secret in secrets {
        assert!(with_key.contains(secret), "the app sees {secret}: {with_key}");
        assert!(!in_browser.contains(secret), "a browser sees {secret}: {in_browser}");
    }
    for state in ["\"created\"", "\"escalated\"", "\"undelivered\"", "\"busy\"", "\"verified\"", "\"checks_remaining\""]
    {
        assert!(in_browser.contains(state), "a browser sees {state}: {in_browser}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_after_the_last_event_and_ends_with_204() {
    let app = TestApp::spawn().await;
    let created = app.create("0101").await;
    let (id, token) = (created.id(), created.body["client_token"].as_str().unwrap());
    let code = app.spoken_code("0101").await;
    assert_eq!(app.check(id, &code).await.status, 200);
    // Its report is the last entry.
    app.until(id, "the call is over", |v| v["attempts"][1]["status"] == "completed").await;
    let path = format!("/v1/verifications/{id}/stream?client_token={token}");
    let follow = async |last: &str| app.keyless("GET", &path).header("Last-Event-ID", last).send().await.unwrap();
    let whole = follow("").await.text().await.unwrap();
    assert!(whole.starts_with("retry: 2000\n\n"), "{whole}");
    let ids: Vec<usize> = whole.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
    assert!(ids.is_sorted() && ids.len() == whole.matches("event: ").count(), "{whole}");
    let last = *ids.last().unwrap();
    let rest = follow(&(last - 1).to_string()).await.text().await.unwrap();
    let events: Vec<&str> = rest.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(events, ["entry", "verification"], "{rest}");
    assert!(rest.contains("\"call_reported\""), "{rest}");
    for received in [last, usize::MAX] {
        let over = follow(&received.to_string()).await;
        assert_eq!(
            (over.status().as_u16(), &over.headers()["access-control-allow-origin"]),
            (204, &"*".parse().unwrap())
        );
    }
    assert_eq!(follow("not-an-id").await.text().await.unwrap(), whole);
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

#[tokio::test(flavor = "multi_thread")]
async fn where_no_stream_can_be_had_the_state_is_read() {
    let app = TestApp::spawn().await;
    let created = app.create("0101").await;
    let (id, token) = (created.id(), created.body["client_token"].as_str().unwrap());
    let path = format!("/v1/verifications/{id}/stream?client_token={token}");
    let read = || app.send(app.keyless("GET", &path).header("accept", "application/json"));
    let open = read().await;
    assert_eq!((open.status, open.header("access-control-allow-origin")), (200, "*"));
    assert_eq!((&open.body["status"], &open.body["attempts"][0]["provider_id"]), (&json!("pending"), &Value::Null));
    assert_eq!(open.body.get("user_message"), None);
    app.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    let ended = read().await;
    assert_eq!((ended.status, &ended.body["status"]), (200, &json!("canceled")), "{ended:?}");
    assert_eq!(ended.body["user_message"], "This code is no longer valid. Request a new one.");
    let foreign = app.keyless("GET", &path.replace(token, "no-token")).header("accept", "application/json");
    app.send(foreign).await.assert_problem(404, "verification_not_found");
}
