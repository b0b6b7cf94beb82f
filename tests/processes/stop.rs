//! The end of the program on SIGTERM.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client;
use crate::support::redis_server::RedisServer;
use crate::world::{API_KEY, Plivo, Process, Service, defaults, free_port, plivo_listener, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_open_requests_and_exits() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let mut service = Service::start(&[
        ("REDIS_URL", &redis.url()),
        ("PLIVO_API_URL", &plivo_url),
        ("PLIVO_PHLO_URL", &plivo_url),
        ("PLIVO_WAIT", "2"),
    ])
    .await;
    let plivo = Plivo::serve(listener, &service.url, 1.0);
    service.until_ready().await;

    // Plivo does not answer this request, so the creation waits for `PLIVO_WAIT`.
    let to = "+14155550113";
    let request = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let request = request.post(format!("{}/v1/verifications", service.url)).bearer_auth(API_KEY);
    let open = tokio::spawn(request.json(&json!({ "to": to })).send());
    plivo.until_requested(to, 1).await;

    let start = Instant::now();
    service.process.terminate();
    until("refused, or not ready", async || !matches!(service.status("/readyz").await, Some(200))).await;
    let answer = open.await.unwrap().unwrap();
    assert_eq!(answer.status(), 201, "an open request is answered");
    assert!(service.process.end().await.success(), "{}", service.process.log());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(service.process.log().contains("\"event\":\"stopped\""), "{}", service.process.log());
    // The text may have been sent, so another replica must not send it again.
    assert!(service.process.log().contains("\"event\":\"plivo_timeout\""), "{}", service.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_half_a_request() {
    use std::io::Write;

    let redis = RedisServer::start();
    let mut service = Service::start(&[("REDIS_URL", &redis.url())]).await;
    let mut half = std::net::TcpStream::connect(service.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{{\"to\""
    );
    half.write_all(head.as_bytes()).unwrap();
    service.until_ready().await;
    let start = Instant::now();
    service.process.terminate();
    assert!(service.process.end().await.success(), "{}", service.process.log());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_the_start_exits_successfully() {
    let mut env = defaults();
    env.push(("REDIS_URL".into(), format!("redis://127.0.0.1:{}", free_port())));
    env.push(("BIND".into(), "127.0.0.1:0".into()));
    env.push(("PUBLIC_URL".into(), "http://127.0.0.1:8080".into()));
    // The warning about a planned setting marks the start.
    env.push(("CONSOLE_KEY".into(), "is not read yet".into()));
    let mut process = Process::start(&[], &env);
    until("starting", async || process.log().contains("\"event\":\"setting\"")).await;
    process.terminate();
    assert!(process.end().await.success(), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_plivo_and_the_demo_stop_on_sigterm() {
    for command in ["simulate-plivo", "demo"] {
        let env = [("BIND".to_owned(), "127.0.0.1:0".to_owned())];
        let (mut process, lines) = Process::start_and_read(&[command], &env);
        while !lines.recv().unwrap().contains("http://127.0.0.1:") {}
        process.terminate();
        assert!(process.end().await.success(), "{command}: {}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_open_streams() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let settings = [("REDIS_URL", &*redis.url()), ("PLIVO_API_URL", &*plivo_url), ("PLIVO_PHLO_URL", &*plivo_url)];
    let mut service = Service::start(&settings).await;
    let _plivo = Plivo::serve(listener, &service.url, 50.0);
    service.until_ready().await;
    let created = service.create("+14155550103", json!({})).await;
    let url = format!("{}/v1/verifications/{}/stream", service.url, created.id());
    let mut stream = client().get(url).bearer_auth(API_KEY).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some(), "the stream begins with the state");
    let start = Instant::now();
    service.process.terminate();
    while let Ok(Some(_)) = stream.chunk().await {}
    assert!(service.process.end().await.success(), "{}", service.process.log());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_replica_serves_until_load_balancers_have_noticed() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let redis_url = redis.url();
    let settings = [
        ("REDIS_URL", &*redis_url),
        ("PLIVO_API_URL", &*plivo_url),
        ("PLIVO_PHLO_URL", &*plivo_url),
        ("DRAIN_SECONDS", "60"),
    ];
    let mut service = Service::start(&settings).await;
    let _plivo = Plivo::serve(listener, &service.url, 50.0);
    service.until_ready().await;
    let ready = client().get(format!("{}/readyz", service.url)).send().await.unwrap();
    assert!(!ready.headers().contains_key("connection"), "{ready:?}");

    service.process.terminate();
    until("not ready", async || service.status("/readyz").await == Some(503)).await;
    let created = service.create("+14155550100", json!({})).await;
    assert_eq!(created.headers["connection"], "close");
    let ready = service.get("/readyz").await;
    assert_eq!(
        (ready.body["reason"].as_str(), ready.headers["connection"].to_str().ok()),
        (Some("stopping"), Some("close"))
    );

    // A second signal ends the wait: a person has pressed Ctrl-C again.
    let start = Instant::now();
    service.process.signal("INT");
    assert!(service.process.end().await.success(), "{}", service.process.log());
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopping_replica_has_not_requested_is_requested_by_another_at_once() {
    let redis = RedisServer::start();
    let (listener, plivo_url) = plivo_listener();
    let redis_url = redis.url();
    let mut settings = vec![
        ("REDIS_URL", &*redis_url),
        ("PLIVO_API_URL", &*plivo_url),
        ("PLIVO_PHLO_URL", &*plivo_url),
        ("ESCALATION", "never"),
    ];
    let mut first = Service::start(&settings).await;
    let public_url = first.url.clone();
    let plivo = Plivo::serve(listener, &public_url, 50.0);
    first.until_ready().await;
    plivo.outage(json!({ "seconds": 600, "status": 503 })).await;
    let numbers: Vec<String> = (220..240).map(|n| format!("+1415{n}0100")).collect();
    for to in &numbers {
        first.create(to, json!({})).await;
    }
    // Most have not been requested: the circuit breaker is open, and they wait for 30 s.
    first.process.terminate();
    assert!(first.process.end().await.success(), "{}", first.process.log());
    plivo.outage(json!({ "seconds": 0 })).await;
    settings.push(("PUBLIC_URL", &public_url));
    let second = Service::start(&settings).await;
    let start = Instant::now();
    let mut texted = 0;
    until("texted", async || {
        texted = 0;
        for to in &numbers {
            texted += usize::from(plivo.handset(to).await["messages"][0].is_object());
        }
        // Those that Plivo has refused have a pause of their own.
        texted >= 12
    })
    .await;
    assert!(!second.process.log().contains("effect_taken_over"), "no lease had to expire");
    println!("{texted} texts after {:?}", start.elapsed());
}
