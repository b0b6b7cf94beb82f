//! Liveness, readiness, metrics and the API document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{Setup, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn liveness_and_readiness_need_no_key() {
    let app = TestApp::spawn().await;
    for path in ["/livez", "/readyz"] {
        for method in ["GET", "HEAD"] {
            let answer = app.send(app.keyless(method, path)).await;
            assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_those_of_the_contract_and_identify_no_person() {
    let app = TestApp::spawn().await;
    let created = app.create("0107").await;
    app.until(created.id(), "busy", |v| v["attempts"][1]["status"] == "busy").await;
    app.advance(20.0).await;
    let code = app.spoken_code("0107").await;
    app.check(created.id(), &crate::support::wrong(&code)).await;
    app.check(created.id(), &code).await;
    let delivered = app.create("0100").await;
    app.until(delivered.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    assert_eq!(app.attempt(delivered.id(), "call").await.status, 201);
    app.get(&format!("/v1/nothing/{}", created.id())).await;
    let reference = app.plivo_log("0100").await[0]["body"]["ref"].as_str().unwrap().to_owned();
    app.send(app.keyless("POST", &format!("/plivo/phlo/{reference}"))).await;

    let text = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    for (name, labels) in [
        ("http_request_duration_seconds_bucket", &["method", "route", "status"][..]),
        ("verifications_total", &["status", "channel"]),
        ("attempts_total", &["channel", "via", "status"]),
        ("escalations_total", &["reason"]),
        ("escalation_lag_seconds_bucket", &[]),
        ("time_to_delivered_seconds_bucket", &[]),
        ("time_to_verified_seconds_bucket", &[]),
        ("callbacks_total", &["kind", "result"]),
        ("plivo_request_duration_seconds_bucket", &[]),
        ("redis_pool_", &[]),
        ("checks_total", &["result"]),
    ] {
        let sample = text.lines().find(|line| line.starts_with(&format!("phlo2fa_{name}")));
        let sample = sample.unwrap_or_else(|| panic!("no {name} in {text}"));
        assert!(labels.iter().all(|label| sample.contains(&format!("{label}=\""))), "{sample}");
    }
    assert!(text.contains(r#"phlo2fa_checks_total{result="verified"} 1"#), "{text}");
    assert!(text.contains(r#"phlo2fa_escalations_total{reason="requested"} 1"#), "{text}");
    assert!(text.contains(r#"phlo2fa_checks_total{result="incorrect"} 1"#), "{text}");
    for secret in [created.id(), "vrf_", "415555", &code, &reference, crate::support::CALLBACK_SECRET] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_countries_are_counted() {
    let app = TestApp::spawn_with(Setup { env: vec![("COUNTRIES", "GB".into())], ..Setup::default() }).await;
    app.create("0100").await.assert_problem(403, "country_not_allowed");
    let text = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"phlo2fa_guard_refusals_total{scope="country"} 1"#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_document_names_the_served_routes() {
    let app = TestApp::spawn().await;
    let document = app.send(app.keyless("GET", "/openapi.json")).await;
    assert_eq!(document.status, 200);
    let paths: BTreeSet<_> = document.body["paths"].as_object().unwrap().keys().cloned().collect();
    for path in [
        "/v1/verifications",
        "/v1/verifications/search",
        "/v1/verifications/{id}",
        "/v1/verifications/{id}/checks",
        "/v1/verifications/{id}/attempts",
        "/v1/verifications/{id}/cancel",
        "/v1/verifications/{id}/activity",
        "/v1/verifications/{id}/timeline",
        "/v1/verifications/{id}/stream",
        "/v1/checks",
        "/problems/{code}",
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains(path), "{path} is not among {paths:?}");
    }
    let callbacks = app.send(app.keyless("GET", "/openapi-callbacks.json")).await;
    let all = [&document, &callbacks].into_iter().flat_map(|document| document.body["paths"].as_object().unwrap());
    let mut ids = BTreeSet::new();
    for (path, methods) in all {
        assert_eq!(callbacks.body["paths"].get(path).is_some(), path.starts_with("/plivo/"), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}: its id is not unique");
            assert!(operation["responses"].as_object().is_some_and(|r| !r.is_empty()), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{method} {path} {status}");
                let headers = &response["headers"];
                assert!(headers["X-Request-Id"].is_object(), "{method} {path} {status}");
                let waits = ["429", "503"].contains(&status.as_str());
                assert_eq!(headers["Retry-After"].is_object(), waits, "{method} {path} {status}");
            }
            let needs_key =
                operation["security"].as_array().is_some_and(|s| s.first() == Some(&json!({ "api_key": [] })));
            assert_eq!(needs_key, path.starts_with("/v1/"), "{method} {path}");
            let filled = path.replace("{id}", "vrf_x").replace("{ref}", "x").replace("{secret}", "x");
            let filled = filled.replace("{code}", "not-found");
            let answer = app.send(app.keyless(&method.to_uppercase(), &filled)).await;
            assert!(!matches!(answer.status, 404 | 405), "{method} {path} is not served: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_loads_nothing_from_elsewhere() {
    let app = TestApp::spawn().await;
    let moved = app.keyless("GET", "/docs").send().await.unwrap();
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (303, "/docs/"));
    let page = app.keyless("GET", "/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let html = page.text().await.unwrap();
    for attribute in ["src=\"", "href=\"", "url("] {
        for url in html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(!url.contains("//"), "{url} is elsewhere");
            if url.starts_with('/') {
                assert!(app.get(url).await.status < 400, "{url}");
            }
        }
    }
    assert!(html.contains("<title>phlo-2fa API reference</title>") && html.contains(r#"id="key" value="""#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_request_id_is_used_if_it_may_stand_in_a_log() {
    let app = TestApp::spawn().await;
    let named = |id: &str| app.send(app.keyless("GET", "/v1/none").header("X-Request-Id", id));
    let answer = named("order-17_a.b").await;
    answer.assert_problem(404, "not_found");
    assert_eq!(answer.header("x-request-id"), "order-17_a.b");
    let drawn = "1c9f5a30-4f0e-4c1b-9d3e-4155209100ab";
    assert_eq!(named(drawn).await.header("x-request-id"), drawn);
    for odd in
        ["14155550100", "042917", "1-415-555-0112", "u14155550112", "", "a b", "a\tb", "<script>", &"x".repeat(65)]
    {
        let answer = named(odd).await;
        answer.assert_problem(404, "not_found");
        assert_ne!(answer.header("x-request-id"), odd);
    }
    assert_ne!(named("").await.body["request_id"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_redis_refuses_writes_is_not_ready_and_says_why() {
    let redis = RedisServer::start();
    let env = vec![("REDIS_URL", redis.url())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let ready = async || app.keyless("GET", "/readyz").send().await.unwrap().text().await.unwrap();
    let until = async |expected: &str| {
        let start = std::time::Instant::now();
        loop {
            let seen = ready().await;
            if seen.contains(expected) {
                return;
            }
            assert!(start.elapsed() < std::time::Duration::from_secs(20), "not {expected}: {seen}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    until(r#""ready""#).await;
    for (setting, bad, good, code) in
        [("maxmemory", "1", "0", "OOM"), ("min-replicas-to-write", "1", "0", "NOREPLICAS")]
    {
        redis.command(&["CONFIG", "SET", setting, bad]);
        until(&format!("the store refuses writes ({code})")).await;
        redis.command(&["CONFIG", "SET", setting, good]);
        until(r#""ready""#).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_readiness_is_asked_redis_is_written_to_once_a_second() {
    let redis = RedisServer::start();
    let env = vec![("REDIS_URL", redis.url())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let sets = || {
        let stats = redis.command(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls=")).unwrap_or("0").to_owned();
        line.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let (before, start) = (sets(), std::time::Instant::now());
    for _ in 0..200 {
        assert_eq!(app.keyless("GET", "/readyz").send().await.unwrap().status(), 200);
    }
    assert!(sets() - before <= start.elapsed().as_secs() + 1);
}
