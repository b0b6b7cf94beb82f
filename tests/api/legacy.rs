//! The seed demo's routes, with its bodies, on the engine of the API.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Setup, TestApp, client, wrong};

const INITIATED: (u16, &str) = (200, r#"{"status":"success","message":"verification initiated"}"#);
const ERROR: (u16, &str) = (400, "Error encountered");
const MATCH: (u16, &str) = (200, r#"{"status":"success","message":"codes match, number verified"}"#);
const MISMATCH: (u16, &str) = (404, r#"{"status":"rejected","message":"codes do not match, number not verified"}"#);
const UNKNOWN: (u16, &str) = (500, r#"{"status":"failed","message":"number not found"}"#);

#[tokio::test(flavor = "multi_thread")]
async fn a_texted_code_works_once() {
    let app = spawn().await;
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let code = app.texted_code("0100").await;
    assert_eq!(asked(&app, &format!("/checkcode/14155550100/{}", wrong(&code))).await, MISMATCH);
    assert_eq!(asked(&app, &format!("/checkcode/14155550100/{code}")).await, MATCH);
    assert_eq!(asked(&app, &format!("/checkcode/14155550100/{code}")).await, UNKNOWN);
    let v = own(&app).await;
    assert_eq!(
        (&v["status"], &v["channel"], v["attempts"].as_array().unwrap().len()),
        (&json!("verified"), &json!("auto"), 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn within_the_cooldown_nothing_is_sent_and_after_it_the_same_code_is() {
    let app = spawn().await;
    for _ in 0..3 {
        assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    }
    let code = app.texted_code("0100").await;
    assert_eq!(app.plivo_log("0100").await.len(), 1);
    app.clock.advance(Duration::from_secs(30));
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let two = |handset: &Value| handset["messages"].as_array().unwrap().len() == 2;
    let handset = app.until_handset("0100", "texted again", two).await;
    assert_eq!(handset["messages"][1]["code"], code.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_reads_out_the_code_of_the_text() {
    let app = spawn().await;
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let code = app.texted_code("0100").await;
    for _ in 0..2 {
        // The second request finds a call in progress, or one that has just ended, and does nothing.
        assert_eq!(asked(&app, "/verify_voice/14155550100").await, INITIATED);
    }
    assert_eq!(app.spoken_code("0100").await, code);
    let log = app.plivo_log("0100").await;
    assert_eq!(log.iter().map(|run| &run["body"]["mode"]).collect::<Vec<_>>(), ["sms", "call"]);
    assert_eq!(asked(&app, &format!("/checkcode/14155550100/{code}")).await, MATCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_text_before_it_begins_a_verification() {
    let app = spawn().await;
    assert_eq!(asked(&app, "/verify_voice/14155550100").await, INITIATED);
    let code = app.spoken_code("0100").await;
    assert_eq!(app.handset("0100").await["messages"], json!([]));
    assert_eq!(own(&app).await["channel"], "call");
    assert_eq!(asked(&app, &format!("/checkcode/14155550100/{code}")).await, MATCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_to_send_is_an_error_encountered() {
    let app = spawn_with(&[("COUNTRIES", "US,GB"), ("COUNTRIES_CALL", "US"), ("MAX_ATTEMPTS", "1")]).await;
    for number in
        ["1", "+", "++14155550100", "0014155550100", "19999999999", "abc", "4915123456789", "1415555010%30%00"]
    {
        assert_eq!(asked(&app, &format!("/verify/{number}")).await, ERROR, "{number}");
        assert_eq!(asked(&app, &format!("/verify_voice/{number}")).await, ERROR, "{number}");
    }
    // This country may be texted, but not called.
    assert_eq!(asked(&app, "/verify/447400123456").await, INITIATED);
    assert_eq!(asked(&app, "/verify_voice/447400123456").await, ERROR);
    // No attempts are left.
    assert_eq!(asked(&app, "/verify/14155550103").await, INITIATED);
    app.clock.advance(Duration::from_secs(31));
    assert_eq!(asked(&app, "/verify/14155550103").await, ERROR);
    let (_, _, headers) = get(&app, "/verify/1", &[]).await;
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_plivo_is_an_error_encountered() {
    let setup = Setup { env: vec![("LEGACY_ROUTES", "true".into())], plivo_token: Some("another"), ..Setup::default() };
    let app = TestApp::spawn_with(setup).await;
    assert_eq!(asked(&app, "/verify/14155550100").await, ERROR);
    assert_eq!(asked(&app, "/verify_voice/14155550100").await, ERROR);
    assert_eq!(asked(&app, "/checkcode/14155550100/123456").await, UNKNOWN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_does_not_match_and_a_closed_verification_is_not_found() {
    let app = spawn_with(&[("MAX_CHECKS", "2")]).await;
    for path in ["/checkcode/14155550100/123456", "/checkcode/14155550100/abc", "/checkcode/abc/123456"] {
        assert_eq!(asked(&app, path).await, UNKNOWN, "{path}");
    }
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let code = app.texted_code("0100").await;
    // A code of another length, or no code at all, is wrong and not counted.
    for shape in
        ["1", "12345", "1234567", "1234567890123", "abc", &format!("%20{code}"), "%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6"]
    {
        assert_eq!(asked(&app, &format!("/checkcode/14155550100/{shape}")).await, MISMATCH, "{shape}");
    }
    assert_eq!(own(&app).await["checks_remaining"], 2);
    for _ in 0..2 {
        assert_eq!(asked(&app, &format!("/checkcode/14155550100/{}", wrong(&code))).await, MISMATCH);
    }
    // After too many wrong codes the right one is wrong as well.
    assert_eq!(own(&app).await["status"], "max_checks_reached");
    assert_eq!(asked(&app, &format!("/checkcode/14155550100/{code}")).await, MISMATCH);

    // Lists are ordered by creation time.
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let id = own(&app).await["id"].as_str().unwrap().to_owned();
    app.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    for shape in ["123456", "abc"] {
        assert_eq!(asked(&app, &format!("/checkcode/14155550100/{shape}")).await, UNKNOWN, "canceled");
    }
    assert_eq!(asked(&app, "/verify/14155550103").await, INITIATED);
    app.clock.advance(Duration::from_secs(601));
    for shape in ["123456", "abc"] {
        assert_eq!(asked(&app, &format!("/checkcode/14155550103/{shape}")).await, UNKNOWN, "expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_spellings_of_a_number_are_one_number() {
    let app = spawn().await;
    for spelling in ["14155550100", "+14155550100", "%2B14155550100", "%2b1415555%30100"] {
        assert_eq!(asked(&app, &format!("/verify/{spelling}")).await, INITIATED, "{spelling}");
    }
    let code = app.texted_code("0100").await;
    assert_eq!(app.plivo_log("0100").await.len(), 1);
    for spelling in ["14155550100", "+14155550100", "%2B14155550100"] {
        assert_eq!(asked(&app, &format!("/checkcode/{spelling}/{}", wrong(&code))).await, MISMATCH, "{spelling}");
    }
    assert_eq!(asked(&app, &format!("/checkcode/+14155550100/{code}")).await, MATCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefetch_changes_nothing() {
    let app = spawn().await;
    let prefetches = [("Sec-Purpose", "prefetch"), ("Sec-Purpose", "prefetch;prerender"), ("Purpose", "Prefetch")];
    for header in prefetches {
        for path in ["/verify/14155550103", "/verify_voice/14155550103", "/checkcode/14155550103/123456"] {
            let (status, body, _) = get(&app, path, &[header]).await;
            assert_eq!((status, body.as_str()), ERROR, "{path} {header:?}");
        }
    }
    // Another site's page loads it as an image.
    let image = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")];
    let (status, body, _) = get(&app, "/verify/14155550103", &image).await;
    assert_eq!((status, body.as_str()), ERROR);
    assert_eq!(app.plivo_log("0103").await, Vec::<Value>::new());
    let (status, body, _) = get(&app, "/verify/14155550103", &[("Purpose", "something")]).await;
    assert_eq!((status, body.as_str()), INITIATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_changes_nothing() {
    let app = spawn().await;
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let code = app.texted_code("0100").await;
    let port = app.url.rsplit(':').next().unwrap().to_owned();
    let origins =
        ["null", "https://evil.example", "http://127.0.0.1", "", &format!("http://127.0.0.1:{port}.evil.example")];
    let modes = ["navigate", "cors", "no-cors", "websocket"];
    let cross_site = modes.map(|mode| vec![("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", mode)]);
    let foreign = origins.map(|origin| vec![("Origin", origin)]);
    let both = vec![("Origin", app.url.as_str()), ("Origin", "https://evil.example")];
    for headers in cross_site.into_iter().chain(foreign).chain([both]) {
        for path in ["/verify/14155550103", "/verify_voice/14155550103", &format!("/checkcode/14155550100/{code}")] {
            let (status, body, _) = get(&app, path, &headers).await;
            assert_eq!((status, body.as_str()), ERROR, "{path} {headers:?}");
        }
    }
    assert_eq!(app.plivo_log("0103").await, Vec::<Value>::new());
    let own = [("Origin", app.url.as_str()), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")];
    let (status, body, _) = get(&app, &format!("/checkcode/14155550100/{code}"), &own).await;
    assert_eq!((status, body.as_str()), MATCH);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_method_does_anything() {
    let app = spawn().await;
    for path in ["/verify/14155550103", "/verify_voice/14155550103", "/checkcode/14155550103/123456"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            app.send(app.keyless(method, path)).await.assert_problem(405, "method_not_allowed");
        }
        assert_eq!(app.send(app.keyless("HEAD", path)).await.status, 405);
    }
    app.send(app.keyless("POST", "/")).await.assert_problem(405, "method_not_allowed");
    assert_eq!(app.plivo_log("0103").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_the_routes_do_not_exist() {
    let app = TestApp::spawn().await;
    for path in ["/", "/verify/14155550103", "/verify_voice/14155550103", "/checkcode/14155550103/123456"] {
        app.send(app.keyless("GET", path)).await.assert_problem(404, "not_found");
    }
    assert_eq!(app.plivo_log("0103").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_one_file_and_may_load_nothing_else() {
    let app = spawn().await;
    let (status, page, headers) = get(&app, "/", &[]).await;
    assert_eq!((status, &headers["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    assert_eq!(
        (&headers["cache-control"], &headers["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    for rule in ["default-src 'none'", "connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    for route in ["`verify/${", "`verify_voice/${", "`checkcode/${"] {
        assert!(page.contains(route), "{route}");
    }
    // The SVG namespace is only a name; browsers do not load it.
    let links: Vec<_> = page.split("http").skip(1).filter(|rest| !rest.starts_with("://www.w3.org/2000/svg")).collect();
    assert_eq!(links, Vec::<&str>::new());
    let head = app.send(app.keyless("HEAD", "/")).await;
    assert_eq!((head.status, head.header("content-type")), (200, "text/html; charset=utf-8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_is_reported_as_such() {
    let redis = crate::support::redis_server::RedisServer::start();
    let app = spawn_with(&[("REDIS_URL", &format!("redis://127.0.0.1:{}", redis.port))]).await;
    assert_eq!(asked(&app, "/verify/14155550100").await, INITIATED);
    let code = app.texted_code("0100").await;
    drop(redis);
    let checked = app.send(app.keyless("GET", &format!("/checkcode/14155550100/{code}"))).await;
    checked.assert_problem(503, "storage_unavailable");
    assert_eq!(asked(&app, "/verify/14155550100").await, ERROR);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_address_is_recorded() {
    let app = spawn_with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let forwarded = [("X-Forwarded-For", "198.51.100.1, 203.0.113.9")];
    assert_eq!(get(&app, "/verify/14155550103", &forwarded).await.0, 200);
    let id = own(&app).await["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        app.engine.read(phlo_2fa::engine::Target::Proved(id)).await.unwrap().verification.details.client_ip,
        "203.0.113.9".parse().ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_document_names_the_routes_only_where_they_exist() {
    let paths = ["/verify/{number}", "/verify_voice/{number}", "/checkcode/{number}/{code}"];
    for (app, are_there) in [(spawn().await, true), (TestApp::spawn().await, false)] {
        let document = app.get("/openapi.json").await.body;
        assert!(document["paths"]["/v1/verifications"].is_object());
        for path in paths {
            assert_eq!(document["paths"][path]["get"]["tags"], if are_there { json!(["legacy"]) } else { Value::Null });
        }
        assert_eq!(document.to_string().contains("egacy"), are_there);
    }
}

/// Runs the real program at trace level: its log names route patterns, no paths.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_and_no_code_of_a_path_is_logged() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_phlo-2fa"));
    demo.args(["demo", "--speed", "50"]).env_clear().current_dir(std::env::temp_dir());
    // No timestamp contains a code of nine digits by chance.
    demo.envs([("BIND", "127.0.0.1:0"), ("LEGACY_ROUTES", "true"), ("CODE_LENGTH", "9"), ("RUST_LOG", "trace")]);
    let mut demo = Running(demo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let log = reading(demo.0.stderr.take().unwrap());
    let mut said = BufReader::new(demo.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let page = said.find_map(|line| line.split_whitespace().find(|word| word.ends_with("/demo")).map(str::to_owned));
    let url = page.unwrap().trim_end_matches("/demo").to_owned();
    let http = client();
    let get = async |path: &str| http.get(format!("{url}{path}")).send().await.unwrap();
    assert_eq!(get("/verify/%2B14155550100").await.status(), 200);
    let code = loop {
        let handset: Value = get("/handset/14155550100").await.json().await.unwrap();
        if let Some(code) = handset["messages"][0]["code"].as_str() {
            break code.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let answers = [
        ("/verify/14155550100".to_owned(), 200),
        ("/verify_voice/14155550100".to_owned(), 200),
        ("/verify/10005550134".to_owned(), 400),
        (format!("/checkcode/14155550100/{}", wrong(&code)), 404),
        (format!("/checkcode/14155550100/{code}%20"), 404),
        (format!("/checkcode/14155550100/{code}"), 200),
        (format!("/checkcode/14155550100/{code}"), 500),
    ];
    for (path, status) in &answers {
        assert_eq!(get(path).await.status(), *status, "{path}");
    }
    // In the demo, too, the root is the seed's page, and `/demo` stays the demo.
    assert_eq!(get("/").await.status(), 200);
    assert_eq!(get("/demo").await.status(), 200);
    // A kill would lose the lines of the last moment.
    assert!(Command::new("kill").arg(demo.0.id().to_string()).status().unwrap().success());
    assert!(demo.0.wait().unwrap().success());
    let log = log.recv().unwrap();
    for expected in
        ["/verify/{number}", "/verify_voice/{number}", "/checkcode/{number}/{code}", "\"why\":\"invalid_number\""]
    {
        assert!(log.contains(expected), "{expected}: {log}");
    }

    for secret in ["4155550100", "0005550134", &code, &wrong(&code)] {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret}");
    }
}

// ---- helpers

async fn spawn() -> TestApp {
    spawn_with(&[]).await
}

/// Starts a service with the legacy routes, and a key of their app.
async fn spawn_with(settings: &[(&'static str, &str)]) -> TestApp {
    let mut env = vec![("LEGACY_ROUTES", "true".to_owned()), ("API_KEYS", "legacy:legacy".to_owned())];
    env.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let mut app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    app.key = "legacy".into();
    app
}

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (u16, String, HeaderMap) {
    let mut request = app.keyless("GET", path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, answer.text().await.unwrap(), headers)
}

/// The status and the exact body of a GET.
async fn asked(app: &TestApp, path: &str) -> (u16, &'static str) {
    let (status, body, _) = get(app, path, &[]).await;
    let known = [INITIATED, ERROR, MATCH, MISMATCH, UNKNOWN].into_iter().find(|(_, known)| *known == body);
    (status, known.unwrap_or_else(|| panic!("{path} answered {status} {body}")).1)
}

/// The newest verification of the legacy routes.
async fn own(app: &TestApp) -> Value {
    app.get("/v1/verifications").await.body["verifications"][0].clone()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything that a pipe delivers until it ends.
fn reading(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (all, read) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = all.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    read
}
