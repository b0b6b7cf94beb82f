//! The log of a whole verification at debug level: it names every event and no secret.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use phlo_2fa::telemetry::JsonLines;
use serde_json::json;

use crate::support::{CALLBACK_SECRET, Setup, TestApp};

/// Too long to appear in other numbers by chance.
const CODE: &str = "8675309123";
const NONCE: &str = "a-nonce-that-came-twice-0123456789";
const KEY: &str = "a-key-that-no-log-may-show-0123456789";

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Logged;

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_every_event_and_no_code_number_key_ref_or_secret() {
    let filter = tracing_subscriber::EnvFilter::new("debug");
    tracing_subscriber::fmt()
        .event_format(JsonLines)
        .fmt_fields(JsonLines)
        .with_env_filter(filter)
        .with_writer(|| Logged)
        .init();
    let env = vec![("API_KEYS", format!("shop:{KEY}"))];
    let mut app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    app.key = KEY.into();
    let created = app.post("/v1/verifications", json!({ "to": "+14155550107", "code": CODE })).await;
    app.until(created.id(), "busy", |v| v["attempts"][1]["status"] == "busy").await;
    let token = created.body["client_token"].as_str().unwrap();
    let stream = format!("/v1/verifications/{}/stream?client_token={token}", created.id());
    let following = app.keyless("GET", &stream).send().await.unwrap();
    app.check(created.id(), "8675309124").await;
    app.post("/v1/checks", json!({ "to": "+14155550107", "code": 8675309123u64 })).await;
    app.post("/v1/verifications/search", json!({ "to": "14155550107" })).await;
    let reference = app.plivo_log("0107").await[0]["body"]["ref"].as_str().unwrap().to_owned();
    for path in ["/plivo/phlo/".to_owned() + &reference, format!("/plivo/{CALLBACK_SECRET}/phlo/{reference}")] {
        app.send(app.keyless("POST", &path).json(&json!({ "event": "sms_sent" }))).await;
    }
    app.send(app.keyless("POST", "/plivo/message").form(&[("To", "14155550107"), ("Text", CODE)])).await;
    let url = format!("{}/plivo/message", app.url);
    for status in ["seen", "read"] {
        let params = [("MessageUUID", "none"), ("To", "14155550107"), ("Status", status)];
        let request = app.keyless("POST", "/plivo/message").form(&params);
        app.send(crate::silent::signed_v3_with(request, "demo", "POST", &url, &params, NONCE)).await;
    }
    app.get("/v1/verifications/+14155550107").await;
    app.get("/checkcode/+14155550107/8675309123").await;
    app.send(app.keyless("GET", "/v1/routes").bearer_auth("an-unknown-key")).await;
    // A client may send any word as the method.
    app.send(app.keyless("14155550107", "/v1/none")).await;
    app.send(app.keyless("GET", "/v1/none").header("X-Request-Id", "1-415-555-0107")).await;
    assert_eq!(app.check(created.id(), CODE).await.status, 200);
    drop(following);

    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    // The local Plivo is not part of the service.
    let lines: Vec<_> = log.lines().filter(|line| !line.contains("phlo_2fa::sandbox")).collect();
    for event in ["unauthenticated", "callback_unproved"] {
        let named = |line: &&str| line.contains(event) && line.contains(r#""peer":"127.0.0.1""#);
        assert!(lines.iter().any(named), "no {event} with the address of its peer");
    }
    let refused = ["callback_unproved", "callback_replayed"];
    for event in ["verification_created", "code_incorrect", "escalation", "verification_ended"].iter().chain(&refused) {
        assert!(lines.iter().any(|line| line.contains(event)), "no {event}");
    }
    assert!(lines.iter().all(|line| line.parse::<serde_json::Value>().is_ok()));
    for secret in [
        CODE,
        "8675309124",
        "4155550107",
        "415-555-0107",
        "4155550100",
        KEY,
        NONCE,
        CALLBACK_SECRET,
        &reference,
        token,
        "/checkcode/",
    ] {
        let leak = lines.iter().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret}");
    }
}
