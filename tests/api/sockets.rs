//! Slow, silent and endless connections, and the headers of every answer.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::silent::Silent;
use crate::support::{Setup, TestApp};

/// The longest time until each of them is closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// Sends until the service closes the connection. Returns the answer and the time taken.
async fn slow(url: &str, opening: &str, again: &str, every: Duration) -> (String, Duration) {
    let start = Instant::now();
    let stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let (opening, again) = (opening.to_owned(), again.to_owned());
    let writing = tokio::spawn(async move {
        let _ = to.write_all(opening.as_bytes()).await;
        while !again.is_empty() {
            tokio::time::sleep(every).await;
            if to.write_all(again.as_bytes()).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    });
    let mut answer = Vec::new();
    // A reset counts as closed.
    let read = tokio::time::timeout(CLOSED_WITHIN * 2, from.read_to_end(&mut answer)).await;
    let took = start.elapsed();
    writing.abort();
    assert!(read.is_ok(), "the connection was not closed; it answered {:?}", String::from_utf8_lossy(&answer));
    (String::from_utf8_lossy(&answer).into_owned(), took)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_silent_connection_is_closed_within_half_a_minute() {
    let app = TestApp::spawn().await;
    let second = Duration::from_secs(1);
    let whole = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let head = "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let with_key = format!("{head}Authorization: Bearer demo\r\n");
    let kinds = [
        ("says nothing", String::new(), "", ""),
        ("sends its head byte by byte", "GET /livez HTTP/1.1\r\nX: ".to_owned(), "x", "HTTP/1.1 408 "),
        ("sends header after header", "GET /livez HTTP/1.1\r\n".to_owned(), "X: x\r\n", "HTTP/1.1 408 "),
        ("sends its second head byte by byte", format!("{whole}GET /livez HTTP/1.1\r\nX: "), "x", "HTTP/1.1 200 "),
        ("sends its body byte by byte", format!("{with_key}Content-Length: 60000\r\n\r\n"), " ", "HTTP/1.1 408 "),
        (
            "sends chunk by chunk",
            format!("{with_key}Transfer-Encoding: chunked\r\n\r\n"),
            "1\r\n \r\n",
            "HTTP/1.1 408 ",
        ),
        (
            "continues after a refusal",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n"),
            "1\r\n \r\n",
            "HTTP/1.1 401 ",
        ),
        ("announces a body and sends none", format!("{head}Content-Length: 100\r\n\r\n"), "", "HTTP/1.1 401 "),
        ("is silent after an answer", whole.to_owned(), "", "HTTP/1.1 200 "),
    ];
    let all = kinds.iter().map(|(_, opening, again, _)| slow(&app.url, opening, again, second));
    let outcomes = futures_util::future::join_all(all).await;
    for ((what, .., starts), (answer, took)) in kinds.iter().zip(outcomes) {
        assert!(took < CLOSED_WITHIN, "a connection that {what} is closed after {took:?}");
        // A client that is cut off while it sends may not receive the answer.
        assert!(answer.starts_with(starts) || answer.is_empty() && took > second, "a connection that {what}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_body_is_refused_and_not_kept() {
    let app = TestApp::spawn().await;
    let head = "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    let chunk = format!("2000\r\n{}\r\n", " ".repeat(8192));
    for (more, status) in [("Authorization: Bearer demo\r\nContent-Type: application/json\r\n", "413"), ("", "401")] {
        let mut stream = TcpStream::connect(app.url.trim_start_matches("http://")).await.unwrap();
        stream.write_all(format!("{head}{more}\r\n").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let (mut from, mut to) = stream.split();
        let sending = async {
            while to.write_all(chunk.as_bytes()).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            read = from.read_exact(&mut answer) => drop(read.unwrap()),
            () = sending => {}
        }
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_caching_framing_and_sniffing() {
    let app = TestApp::spawn_with(Setup { env: vec![("LEGACY_ROUTES", "true".into())], ..Setup::default() }).await;
    let created = app.create("0103").await;
    for (method, path) in [
        ("GET", "/livez"),
        ("HEAD", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/docs/"),
        ("GET", "/problems"),
        ("GET", "/problems/rate-limited"),
        ("GET", "/docs/none"),
        ("GET", "/"),
        ("GET", "/none"),
        ("GET", "/%ff"),
        ("PATCH", "/v1/checks"),
        ("GET", "/v1/verifications"),
        ("POST", "/v1/verifications"),
        ("GET", "/verify/123"),
        ("GET", "/checkcode/+14155550142/123456"),
        ("POST", "/plivo/message"),
        ("GET", &format!("/v1/verifications/{}", created.id())),
        ("GET", &format!("/v1/verifications/{}/none", created.id())),
        ("GET", &format!("/v1/verifications/{}/stream?client_token=x", created.id())),
    ] {
        let answer = app.send(app.request(method, path)).await;
        let shown = format!("{method} {path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{shown}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{shown}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{shown}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{shown}");
        assert!(!answer.headers.contains_key("server") && !answer.headers.contains_key("x-powered-by"), "{shown}");
        assert!(!answer.header("x-request-id").is_empty(), "{shown}");
        let kind = answer.header("content-type");
        assert!(!kind.starts_with("text/") || kind.ends_with("; charset=utf-8"), "{shown}");
        assert!(answer.status < 400 || !kind.starts_with("text/html"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_run_only_its_own_script() {
    let app = TestApp::spawn_with(Setup { env: vec![("LEGACY_ROUTES", "true".into())], ..Setup::default() }).await;
    let page = app.send(app.keyless("GET", "/")).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'sha256-") && policy.contains("style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("base-uri 'none'"), "{policy}");
    let docs = app.send(app.keyless("GET", "/docs/")).await;
    let policy = docs.header("content-security-policy");
    assert!(policy.contains("script-src 'sha256-") && policy.contains("base-uri 'none'"), "{policy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_headers_or_too_large_ones_are_refused() {
    let app = Silent::spawn().await;
    let get = |headers: String| format!("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let many = (0..200).map(|n| format!("X-{n}: x\r\n")).collect::<String>();
    let large = format!("X: {}\r\n", "x".repeat(200_000));
    for headers in [many, large] {
        let answer = app.raw(get(headers)).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(app.raw(get("X: x\r\n".repeat(50))).await.starts_with("HTTP/1.1 200 "));
    app.post("/v1/verifications/search", json!({ "to": "+14155550103" })).await;
}
