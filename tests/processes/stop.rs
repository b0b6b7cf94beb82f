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
