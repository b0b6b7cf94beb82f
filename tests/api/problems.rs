//! Invalid input: each kind gets its problem of the contract's table and changes nothing.

use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::{Answer, Setup, TestApp};

const OTHER: &str = "another-apps-secret-of-thirty-two";

async fn posted(app: &TestApp, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    app.send(app.request("POST", path).header("Content-Type", "application/json").body(body.into())).await
}

async fn nothing_was_sent(app: &TestApp) {
    assert!(app.whole_plivo_log().await.is_empty());
    assert_eq!(app.get("/v1/verifications").await.body["verifications"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_json_is_malformed_on_every_route() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "code": "042917" })).await;
    let before = app.read(created.id()).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let id = created.id();
    for path in [
        "/v1/verifications".to_owned(),
        "/v1/verifications/search".to_owned(),
        "/v1/checks".to_owned(),
        format!("/v1/verifications/{id}/checks"),
        format!("/v1/verifications/{id}/attempts"),
        format!("/v1/verifications/{id}/activity"),
    ] {
        for body in [
            &b""[..],
            b" ",
            b"{",
            b"nope",
            b"{'to':1}",
            b"{\"to\":\"+1\xff\"}",
            b"{\"code\":\"\\ud800\"}",
            b"{\"code\":\"042917\"",
            b"\xef\xbb\xbf{}",
            b"\x00",
            b"code=042917",
            b"NaN",
            b"{\"channel\":\"sms\"} {}",
            b"{\"code\":\"042917\"}\x00",
        ] {
            let answer = posted(&app, &path, body).await;
            answer.assert_problem(400, "malformed_request");
        }
        let answer = posted(&app, &path, deep.as_bytes()).await;
        assert!(matches!(answer.status, 400 | 422), "{path}: {answer:?}");
    }
    assert_eq!(app.read(created.id()).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_named_by_its_pointer() {
    let app = TestApp::spawn().await;
    let to = "+14155550100";
    for (body, pointer) in [
        (json!({ "to": 5 }), "/to"),
        (json!({ "to": null }), "/to"),
        (json!({ "to": [to] }), "/to"),
        (json!({}), "/to"),
        (json!({ "to": to, "code": 123456 }), "/code"),
        (json!({ "to": to, "code": "123" }), "/code"),
        (json!({ "to": to, "code": "12345678901" }), "/code"),
        (json!({ "to": to, "code": "12345a" }), "/code"),
        (json!({ "to": to, "code": "１２３４５６" }), "/code"),
        (json!({ "to": to, "metadata": [] }), "/metadata"),
        (json!({ "to": to, "metadata": "x" }), "/metadata"),
        (json!({ "to": to, "metadata": { "a": 1 } }), "/metadata/a"),
        (json!({ "to": to, "metadata": { "a": { "b": "c" } } }), "/metadata/a"),
        (json!({ "to": to, "metadata": { "a": "x".repeat(501) } }), "/metadata"),
        (json!({ "to": to, "metadata": { "k".repeat(41): "x" } }), "/metadata"),
        (json!({ "to": to, "ttl": 0 }), "/ttl"),
        (json!({ "to": to, "ttl": -1 }), "/ttl"),
        (json!({ "to": to, "ttl": 601 }), "/ttl"),
        (json!({ "to": to, "ttl": 1.5 }), "/ttl"),
        (json!({ "to": to, "ttl": "300" }), "/ttl"),
        (json!({ "to": to, "ttl": 1e300 }), "/ttl"),
        (json!({ "to": to, "code_length": 5 }), "/code_length"),
        (json!({ "to": to, "code_length": 10 }), "/code_length"),
        (json!({ "to": to, "code_length": 300 }), "/code_length"),
        (json!({ "to": to, "code_length": 7, "code": "123456" }), "/code_length"),
        (json!({ "to": to, "channel": "SMS" }), "/channel"),
        (json!({ "to": to, "channel": "" }), "/channel"),
        (json!({ "to": to, "channel": "whatsapp" }), "/channel"),
        (json!({ "to": to, "escalation": "often" }), "/escalation"),
        (json!({ "to": to, "escalation": "fixed:-1" }), "/escalation"),
        (json!({ "to": to, "locale": "english please" }), "/locale"),
        (json!({ "to": to, "client_ip": "localhost" }), "/client_ip"),
        (json!({ "to": to, "app_hash": "short" }), "/app_hash"),
        (json!({ "to": to, "web_origin": "https://shop.example/x" }), "/web_origin"),
        (json!({ "to": to, "otp": "123456" }), "/otp"),
        (json!({ "to": to, "To": to }), "/To"),
    ] {
        let answer = app.post("/v1/verifications", body.clone()).await;
        answer.assert_problem(422, "invalid_parameter");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
        assert!(answer.body["errors"][0]["detail"].is_string(), "{answer:?}");
        let text = answer.body.to_string();
        assert!(!text.contains("123456") && !text.contains("4155550100"), "{body} is repeated in {text}");
    }
    for body in [json!([]), json!([to]), json!("x"), json!(5), json!(null), json!(true)] {
        app.post("/v1/verifications", body).await.assert_problem(422, "invalid_parameter");
    }
    let all = json!({ "to": "x", "channel": "x", "ttl": 0 });
    assert_eq!(app.post("/v1/verifications", all).await.body["errors"].as_array().unwrap().len(), 3);
    let twice = posted(&app, "/v1/verifications", br#"{"to":"+14155550100","to":"+14155550101"}"#).await;
    assert!(matches!(twice.status, 400 | 422), "{twice:?}");
    nothing_was_sent(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_query_parameter_is_refused_like_an_unknown_field() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "code": "042917" })).await;
    let (id, token) = (created.id(), created.body["client_token"].as_str().unwrap());
    let before = app.read(id).await;
    for (method, path) in [
        ("GET", "/v1/verifications?to=%2B14155550199".to_owned()),
        ("GET", "/v1/verifications?limit=1&to".to_owned()),
        ("POST", "/v1/verifications?to=x".to_owned()),
        ("POST", "/v1/verifications/search?to=x".to_owned()),
        ("POST", "/v1/checks?to=x".to_owned()),
        ("POST", "/v1/erasures?to=x".to_owned()),
        ("GET", "/v1/routes?to=x".to_owned()),
        ("GET", format!("/v1/verifications/{id}?to=x")),
        ("GET", format!("/v1/verifications/{id}/timeline?to=x")),
        ("GET", format!("/v1/verifications/{id}/stream?to=x")),
        ("GET", format!("/v1/verifications/{id}/stream?client_token={token}&to=x")),
        ("POST", format!("/v1/verifications/{id}/checks?to=x")),
        ("POST", format!("/v1/verifications/{id}/attempts?to=x")),
        ("POST", format!("/v1/verifications/{id}/activity?to=x")),
        ("POST", format!("/v1/verifications/{id}/cancel?to=x")),
    ] {
        let body = json!({ "to": "+14155550103", "code": "042917", "channel": "call", "kind": "typing" });
        let request =
            if method == "POST" { app.request(method, &path).json(&body) } else { app.request(method, &path) };
        let answer = app.send(request).await;
        answer.assert_problem(422, "invalid_parameter");
        assert_eq!(answer.body["errors"][0]["pointer"], "/to", "{method} {path}: {answer:?}");
        assert!(!answer.body.to_string().contains("4155550199"), "{answer:?}");
    }
    assert_eq!(app.read(id).await, before);
    let keyless = app.send(app.keyless("GET", "/v1/verifications?to=x")).await;
    keyless.assert_problem(401, "unauthenticated");
    assert_eq!(app.get("/v1/verifications?").await.status, 200);
    assert_eq!(app.get("/v1/verifications?status=pending&cursor=&limit=5").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_policy_is_answered_with_every_form() {
    let app = Silent::spawn().await;
    let answer = app.post("/v1/verifications", json!({ "to": "+14155550103", "escalation": "often" })).await;
    answer.assert_problem(422, "invalid_parameter");
    let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
    for form in [
        "adaptive",
        "adaptive:thrifty",
        "adaptive:balanced",
        "adaptive:eager",
        "fixed:",
        "fixed+fail:",
        "fail",
        "never",
    ] {
        assert!(detail.contains(form), "{form}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_is_refused_even_if_its_values_would_fit() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "code": "042917" })).await;
    let checks = format!("/v1/verifications/{}/checks", created.id());
    app.post(&checks, json!(["042917"])).await.assert_problem(422, "invalid_parameter");
    app.post("/v1/checks", json!(["+14155550103", "042917"])).await.assert_problem(422, "invalid_parameter");
    assert_eq!(app.read(created.id()).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_has_one_spelling() {
    let app = TestApp::spawn().await;
    for to in [
        "",
        "+",
        "14155550100",
        "0014155550100",
        "+1 415 555 0100",
        "+1-415-555-0100",
        "+1(415)5550100",
        "+1.415.555.0100",
        "tel:+14155550100",
        "+14155550100;ext=5",
        "+14155550100x5",
        "+14155550100,+14155550101",
        "+14155550100<+14155550101",
        "+04155550100",
        "++14155550100",
        "+١٤١٥٥٥٥٠١٠٠",
        "+1415555０100",
        "＋14155550100",
        "+1415555\u{200b}0100",
        "\u{202a}+14155550100",
        "+14155550100\u{feff}",
        " +14155550100",
        "+14155550100\n",
        "+14155550100\u{0}",
        "+1415555010011223344",
        "+123456",
        "+1415CALLNOW",
        "+19999999999",
        "+999123456789",
        "null",
        "' OR 1=1 --",
    ] {
        for path in ["/v1/verifications", "/v1/verifications/search"] {
            let answer = app.post(path, json!({ "to": to })).await;
            answer.assert_problem(422, "invalid_number");
            assert_eq!(answer.body["errors"][0]["pointer"], "/to");
        }
    }
    nothing_was_sent(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let app = TestApp::spawn().await;
    let body = r#"{"to":"+14155550199","metadata":{}}"#;
    let padded = |size: usize| format!("{body}{}", " ".repeat(size - body.len()));
    for size in [64 * 1024 + 1, 300_000, 5_000_000] {
        posted(&app, "/v1/verifications", padded(size)).await.assert_problem(413, "payload_too_large");
    }
    let head = "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..40 {
        chunked.extend(format!("1000\r\n{}\r\n", " ".repeat(4096)).into_bytes());
    }
    chunked.extend(b"0\r\n\r\n");
    let answer = app.raw(chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("payload_too_large"), "{answer}");
    // A body that announces too much is refused before it is sent.
    let answer = app.raw(format!("{head}Content-Length: 99999999\r\n\r\n{{")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    nothing_was_sent(&app).await;
    assert_eq!(posted(&app, "/v1/verifications", padded(64 * 1024)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_under_v1_needs_a_key() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "code": "042917" })).await;
    let before = app.read(created.id()).await;
    let id = created.id();
    for (method, path) in [
        ("POST", "/v1/verifications".to_owned()),
        ("GET", "/v1/verifications".to_owned()),
        ("POST", "/v1/verifications/search".to_owned()),
        ("GET", format!("/v1/verifications/{id}")),
        ("GET", format!("/v1/verifications/{id}/timeline")),
        ("GET", format!("/v1/verifications/{id}/stream")),
        ("POST", format!("/v1/verifications/{id}/checks")),
        ("POST", format!("/v1/verifications/{id}/attempts")),
        ("POST", format!("/v1/verifications/{id}/cancel")),
        ("POST", format!("/v1/verifications/{id}/activity")),
        ("POST", "/v1/checks".to_owned()),
    ] {
        let body = json!({ "to": "+14155550103", "code": "042917", "channel": "call", "kind": "not_received" });
        for key in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Basic ZGVtbzpkZW1v",
            "demo",
            "Bearer Demo",
            "Bearer demo x",
            "Bearer demo, Bearer demo",
        ] {
            let request = app.keyless(method, &path).json(&body);
            let request = if key.is_empty() { request } else { request.header("Authorization", key) };
            let answer = app.send(request).await;
            answer.assert_problem(401, "unauthenticated");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
        }
    }
    let token = created.body["client_token"].as_str().unwrap();
    let read = app.keyless("GET", &format!("/v1/verifications/{id}")).bearer_auth(token);
    app.send(read).await.assert_problem(401, "unauthenticated");
    assert_eq!(app.read(id).await, before);
    let any_case = app.keyless("GET", "/v1/verifications").header("Authorization", "bEARER demo");
    assert_eq!(app.send(any_case).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_method_names_the_allowed_ones() {
    let app = Silent::spawn().await;
    let created = app.open(json!({})).await;
    let id = created.id();
    for (path, allow) in [
        ("/v1/verifications".to_owned(), "GET, POST"),
        (format!("/v1/verifications/{id}"), "GET"),
        (format!("/v1/verifications/{id}/checks"), "POST"),
        (format!("/v1/verifications/{id}/cancel"), "POST"),
        ("/v1/verifications/search".to_owned(), "POST"),
        ("/v1/checks".to_owned(), "POST"),
        ("/plivo/message".to_owned(), "GET, POST"),
        ("/plivo/phlo/x".to_owned(), "GET, POST"),
        ("/readyz".to_owned(), "GET, HEAD"),
        ("/openapi.json".to_owned(), "GET"),
        ("/docs".to_owned(), "GET"),
        ("/docs/".to_owned(), "GET"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = app.send(app.request(method, &path)).await;
            answer.assert_problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), allow, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_media_type_is_refused() {
    let app = TestApp::spawn().await;
    let body = r#"{"to":"+14155550100"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "",
        "application",
    ] {
        let answer = app.send(app.request("POST", "/v1/verifications").header("Content-Type", kind).body(body)).await;
        answer.assert_problem(415, "unsupported_media_type");
    }
    app.send(app.request("POST", "/v1/verifications").body(body)).await.assert_problem(415, "unsupported_media_type");
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity"] {
        let request = app.request("POST", "/v1/verifications").header("Content-Type", "application/json");
        let answer = app.send(request.header("Content-Encoding", encoding).body(body)).await;
        answer.assert_problem(415, "unsupported_media_type");
    }
    nothing_was_sent(&app).await;
    let request = app.request("POST", "/v1/verifications").header("Content-Type", "Application/JSON; charset=utf-8");
    assert_eq!(app.send(request.body(body)).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_not_found() {
    let app = TestApp::spawn().await;
    for path in [
        "/v1",
        "/v1/",
        "/v2/verifications",
        "/v1/verifications/",
        "/v1/verifications//checks",
        "/v1/verifications/x/y",
        "/v1/checks/",
        "/plivo",
        "/plivo/",
        "/plivo/other",
        "/docs/none",
        "/problems/not-found/x",
        "/%00",
        "/..%2f..%2fetc/passwd",
        "/console",
        "/verify/+14155550100",
        "/checkcode/+14155550100/123456",
    ] {
        app.send(app.request("GET", path)).await.assert_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_id_or_another_apps_id_is_unknown() {
    let env = vec![("API_KEYS", format!("other:{OTHER}"))];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    let before = app.read(created.id()).await;
    let unknown = format!("vrf_{}", "0".repeat(34));
    let mut details = std::collections::BTreeSet::new();
    for (key, id) in [
        (OTHER, created.id()),
        ("demo", unknown.as_str()),
        ("demo", "x"),
        ("demo", "vrf_"),
        ("demo", &created.id().to_uppercase()),
        ("demo", &created.id()[4..]),
        ("demo", &format!("{}0", created.id())),
        ("demo", "%00"),
        ("demo", "%ff%fe"),
        ("demo", "%F0%9F%93%9E"),
        ("demo", "..%2fx"),
        ("demo", &"9".repeat(5000)),
    ] {
        for (method, action, body) in [
            ("GET", "", Value::Null),
            ("GET", "/timeline", Value::Null),
            ("GET", "/stream", Value::Null),
            ("POST", "/checks", json!({ "code": "000000" })),
            ("POST", "/attempts", json!({ "channel": "call" })),
            ("POST", "/activity", json!({ "kind": "not_received" })),
            ("POST", "/cancel", json!({})),
        ] {
            let request = app.keyless(method, &format!("/v1/verifications/{id}{action}")).bearer_auth(key);
            let answer = app.send(if body.is_null() { request } else { request.json(&body) }).await;
            answer.assert_problem(404, "verification_not_found");
            details.insert(answer.body["detail"].to_string());
        }
    }
    assert_eq!(details.len(), 1, "every unknown id gets the same detail");
    assert_eq!(app.read(created.id()).await, before);
    assert_eq!(app.plivo_log("0103").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_crashes_the_service() {
    let app = TestApp::spawn().await;
    let head = "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let numbers = ["1e999", "-1e999", &"9".repeat(40_000), "0.1e-99999", "1E400"];
    for number in numbers {
        for field in ["ttl", "code_length", "to", "unknown"] {
            let body = format!("{{\"{field}\":{number}}}");
            let answer = app.raw(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{field} {number:.20}: {answer}");
        }
    }
    for nested in ["{\"metadata\":".repeat(5000), "{\"to\":[".repeat(5000), "[{\"a\":".repeat(9000)] {
        let answer = app.raw(format!("{head}Content-Length: {}\r\n\r\n{nested}", nested.len())).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    for request in [
        "GET / HTTP/9.9\r\n\r\n",
        "GET\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let answer = app.raw(request).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{request:?}: {answer}"
        );
    }
    assert_eq!(app.get("/v1/verifications").await.status, 200);
    assert!(app.whole_plivo_log().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_read_is_not_the_next_request() {
    let app = TestApp::spawn().await;
    let hidden = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for head in [
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/none HTTP/1.1\r\nHost: x\r\n",
        "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo\r\nContent-Type: text/plain\r\n",
        "POST /plivo/message HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n",
        "PUT /livez HTTP/1.1\r\nHost: x\r\n",
    ] {
        let last = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let length = hidden.len();
        for request in [
            format!("{head}Content-Length: {length}\r\n\r\n{hidden}{last}"),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n{last}"),
        ] {
            let answer = app.raw(request).await;
            assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("alive"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_returned_unchanged() {
    let app = TestApp::spawn().await;
    let odd = json!({ "nul": "\u{0}", "html": "<script>alert(1)</script>", "emoji": "📞".repeat(500), "": "empty key", "quote\"": "\\" });
    let created = app.post("/v1/verifications", json!({ "to": "+14155550100", "metadata": odd })).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(app.read(created.id()).await["metadata"], odd);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_broken_bodies_cause_no_server_error() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "code": "042917", "escalation": "never" })).await;
    let (id, reference) = (created.id(), app.reference(created.id(), 0));
    let secret = crate::support::CALLBACK_SECRET;
    let routes = [
        (
            "/v1/verifications".to_owned(),
            r#"{"to":"+14155550199","channel":"auto","ttl":300,"metadata":{"a":"b"}}"#.to_owned(),
        ),
        (format!("/v1/verifications/{id}/checks"), r#"{"code":"042918"}"#.to_owned()),
        (format!("/v1/verifications/{id}/activity"), r#"{"kind":"typing"}"#.to_owned()),
        (format!("/v1/verifications/{id}/attempts"), r#"{"channel":"sms"}"#.to_owned()),
        ("/v1/checks".to_owned(), r#"{"to":"+14155550103","code":"042918"}"#.to_owned()),
        (format!("/plivo/{secret}/message"), r#"{"MessageUUID":"x","Status":"failed","ErrorCode":30}"#.to_owned()),
        (format!("/plivo/{secret}/phlo"), format!(r#"{{"ref":"{reference}","event":"sms_sent","message_uuid":"y"}}"#)),
    ];
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let pieces: [&[u8]; 16] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\0",
        b"\xff",
        b"\\u0000",
        b"1e9",
        b"null",
        b"-",
        b"\xf0\x9f\x93\x9e",
        b"%",
    ];
    for _ in 0..60 {
        let requests = (0..50).map(|_| {
            let (path, body) = &routes[rng.random_range(0..routes.len())];
            let mut body = body.clone().into_bytes();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..=body.len());
                let to = rng.random_range(at..=body.len().min(at + 5));
                body.splice(at..to, pieces[rng.random_range(0..pieces.len())].iter().copied());
            }
            let shown = format!("{path} {}", String::from_utf8_lossy(&body));
            let answer = posted(&app, path, body);
            async move { (shown, answer.await) }
        });
        for (request, answer) in futures_util::future::join_all(requests.collect::<Vec<_>>()).await {
            assert!(answer.status < 500, "{request}: {answer:?}");
        }
    }
}
