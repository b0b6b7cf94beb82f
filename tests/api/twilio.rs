//! Twilio Verify's API: its shapes, statuses and errors, on the engine of the API.
//!
//! `tests/processes/twilio.rs` has Twilio's own SDKs send these requests.

use std::time::Duration;

use serde_json::{Value, json};

use crate::silent::Silent;
use crate::support::redis_server::RedisServer;
use crate::support::{Answer, Setup, TestApp, wrong};

const SERVICE: &str = "VAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TO: &str = "+14155550100";

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_has_twilios_shape_from_creation_to_approval() {
    let app = TestApp::spawn().await;
    let created = app.twilio_create(TO, "sms").await;
    assert_eq!(created.status, 201, "{created:?}");
    let sid = sid_of(&created);
    assert!(is_sid("VE", &sid) && is_sid("AC", text(&created, "account_sid")), "{created:?}");
    let mut body = created.body.clone();
    let attempt = body["send_code_attempts"][0].take();
    assert!(is_sid("VL", attempt["attempt_sid"].as_str().unwrap()), "{attempt}");
    assert!(attempt["channel"] == "sms" && attempt["time"].is_string(), "{attempt}");
    let (account, at) = (body["account_sid"].clone(), body["date_created"].clone());
    // The SDK for Python reads no other form.
    assert!(at.as_str().unwrap().len() == 20 && at.as_str().unwrap().ends_with('Z'), "{at}");
    let url = format!("{}/compat/twilio/v2/Services/{SERVICE}/Verifications/{sid}", app.url);
    let common = json!({ "sid": sid, "service_sid": SERVICE, "account_sid": account, "to": TO, "channel": "sms",
        "status": "pending", "valid": false, "amount": null, "payee": null, "date_created": at, "date_updated": at });
    let mut whole = common.clone();
    let more = json!({ "lookup": {}, "send_code_attempts": [null], "sna": null, "url": url });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(body, whole);

    let code = app.texted_code("0100").await;
    let incorrect = app.twilio_check(&[("To", TO), ("Code", &wrong(&code))]).await;
    assert_eq!(incorrect.status, 200, "{incorrect:?}");
    let mut check = common;
    check["sna_attempts_error_codes"] = Value::Null;
    check["date_updated"] = incorrect.body["date_updated"].clone();
    assert_eq!(incorrect.body, check);
    let correct = app.twilio_check(&[("VerificationSid", &sid), ("Code", &code)]).await;
    assert_eq!(
        (correct.status, &correct.body["status"], &correct.body["valid"]),
        (200, &json!("approved"), &json!(true))
    );
    // The request does not name the number.
    assert_eq!(correct.body["to"], "+1••••••••00");
    app.twilio_check(&[("To", TO), ("Code", &code)]).await.assert_twilio(404, 20404);
    let read = app.twilio_fetch(&sid).await;
    assert_eq!(
        (read.status, &read.body["status"], &read.body["to"]),
        (200, &json!("approved"), &json!("+1••••••••00"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_sends_the_same_code_again_but_not_within_the_cooldown() {
    let app = TestApp::spawn_with(Setup { env: vec![("MAX_ATTEMPTS", "3".into())], ..Setup::default() }).await;
    let created = app.twilio_create(TO, "sms").await;
    let code = app.texted_code("0100").await;
    for _ in 0..2 {
        let again = app.twilio_create(TO, "sms").await;
        assert_eq!((again.status, sid_of(&again), attempts(&again)), (201, sid_of(&created), 1), "{again:?}");
    }
    app.clock.advance(Duration::from_secs(30));
    let again = app.twilio_create(TO, "sms").await;
    assert_eq!((again.status, sid_of(&again), attempts(&again)), (201, sid_of(&created), 2), "{again:?}");
    let called = app.twilio_create(TO, "call").await;
    assert_eq!((sid_of(&called), &called.body["channel"], attempts(&called)), (sid_of(&created), &json!("call"), 3));
    assert_eq!(app.spoken_code("0100").await, code);
    // While the call lasts, a creation is answered as in the cooldown.
    let id = app.id_of_number(TO).await;
    app.until(&id, "completed", |v| v["attempts"][2]["status"] == "completed").await;
    app.clock.advance(Duration::from_secs(30));
    app.twilio_create(TO, "sms").await.assert_twilio(429, 60203);
    assert_eq!(app.twilio_check(&[("To", TO), ("Code", &code)]).await.body["status"], "approved");
    let next = app.twilio_create(TO, "sms").await;
    assert!(next.status == 201 && sid_of(&next) != sid_of(&created), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_has_twilios_name() {
    let app = Silent::spawn_with(vec![("MAX_CHECKS", "2".into())]).await;
    let canceled = sid_of(&app.twilio_create(TO, "sms").await);
    let answer = app.twilio_update(&canceled, "canceled").await;
    assert_eq!(
        (answer.status, &answer.body["status"], &answer.body["valid"]),
        (200, &json!("canceled"), &json!(false))
    );
    app.twilio_check(&[("To", TO), ("Code", "123456")]).await.assert_twilio(404, 20404);

    // A customer's code, so that the test knows a wrong one.
    let limited =
        sid_of(&app.twilio_create_with(&[("To", "+14155550101"), ("Channel", "sms"), ("CustomCode", "4455")]).await);
    let check = async |code| app.twilio_check(&[("To", "+14155550101"), ("Code", code)]).await;
    // Twilio counts a code of another length as a wrong one.
    assert_eq!(check("123456").await.body["status"], "pending");
    assert_eq!(check("0000").await.body["status"], "pending");
    let last = check("0001").await;
    assert_eq!((last.status, &last.body["status"]), (200, &json!("max_attempts_reached")), "{last:?}");
    for code in ["0002", "4455"] {
        check(code).await.assert_twilio(429, 60202);
    }

    let expired = sid_of(&app.twilio_create("+14155550102", "auto").await);
    let failed = sid_of(&app.twilio_create("+14155550103", "sms").await);
    let id = app.id_of_number("+14155550103").await;
    app.flow_says(&id, 0, "sms_failed", json!({})).await;
    app.clock.advance(Duration::from_secs(301));
    app.twilio_check(&[("VerificationSid", &expired), ("Code", "123456")]).await.assert_twilio(404, 20404);
    for (sid, status) in
        [(canceled, "canceled"), (limited, "max_attempts_reached"), (expired, "expired"), (failed, "failed")]
    {
        let read = app.twilio_fetch(&sid).await;
        assert_eq!((read.status, &read.body["status"], &read.body["valid"]), (200, &json!(status), &json!(false)));
        if status != "canceled" {
            app.twilio_update(&sid, "canceled").await.assert_twilio(404, 20404);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_the_path_names_its_verification() {
    let app = TestApp::spawn().await;
    let created = app.twilio_create(TO, "sms").await;
    for spelling in [TO, "%2B14155550100"] {
        let read = app.twilio_fetch(spelling).await;
        assert_eq!((read.status, sid_of(&read), &read.body["to"]), (200, sid_of(&created), &json!(TO)));
    }
    let canceled = app.twilio_update(TO, "canceled").await;
    assert_eq!((canceled.status, &canceled.body["status"]), (200, &json!("canceled")));
    for unknown in ["+14155550199", "+1", "14155550100", "VE0", "x", text(&created, "account_sid")] {
        app.twilio_fetch(unknown).await.assert_twilio(404, 20404);
        app.twilio_update(unknown, "canceled").await.assert_twilio(404, 20404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_parameter_is_named_as_twilio_names_it() {
    let app = Silent::spawn().await;
    let pending = app.twilio_create_with(&[("To", TO), ("Channel", "sms"), ("CustomCode", "445566")]).await;
    let sid = sid_of(&pending);
    for (form, name) in [
        (&[("Channel", "sms")][..], "To"),
        (&[("To", "4155550100"), ("Channel", "sms")], "To"),
        (&[("To", "+1999"), ("Channel", "sms")], "To"),
        (&[("To", "a@example.com"), ("Channel", "sms")], "To"),
        (&[("To", TO)], "Channel"),
        (&[("To", TO), ("Channel", "email")], "Channel"),
        (&[("To", TO), ("Channel", "sms"), ("CustomCode", "12x")], "CustomCode"),
        (&[("To", TO), ("Channel", "sms"), ("CustomCode", "999999")], "CustomCode"),
        (&[("To", TO), ("Channel", "sms"), ("Locale", "!")], "Locale"),
        (&[("To", TO), ("Channel", "sms"), ("AppHash", "short")], "AppHash"),
        (&[("To", TO), ("Channel", "sms"), ("DeviceIp", "here")], "DeviceIp"),
    ] {
        app.twilio_create_with(form).await.assert_invalid(name);
    }
    for (form, name) in [
        (&[("To", TO)][..], "Code"),
        (&[("To", TO), ("Code", "123")], "Code"),
        (&[("To", TO), ("Code", "12345678901")], "Code"),
        (&[("To", "4155550100"), ("Code", "123456")], "To"),
        (&[("To", TO), ("VerificationSid", &sid), ("Code", "123456")], "VerificationSid"),
    ] {
        app.twilio_check(form).await.assert_invalid(name);
    }
    app.twilio_check(&[("Code", "123456")]).await.assert_twilio(400, 60221);
    for status in ["approved", "pending", ""] {
        app.twilio_update(&sid, status).await.assert_invalid("Status");
    }
    // To ignore these would change what a code proves, or whom it reaches.
    for name in ["Amount", "Payee", "SendDigits"] {
        let answer = app.twilio_create_with(&[("To", TO), ("Channel", "call"), (name, "1")]).await;
        answer.assert_twilio(403, 60204);
    }
    app.twilio_check(&[("To", TO), ("Code", "445566"), ("Amount", "1")]).await.assert_twilio(403, 60204);
    // These only change the wording.
    let more =
        [("To", TO), ("Channel", "sms"), ("CustomFriendlyName", "Shop"), ("Tags", "{}"), ("RiskCheck", "disable")];
    assert_eq!(sid_of(&app.twilio_create_with(&more).await), sid);
    assert_eq!(app.twilio_check(&[("To", TO), ("Code", "445566")]).await.body["status"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_not_served_is_blocked() {
    let env = [("COUNTRIES", "US,GB"), ("COUNTRIES_CALL", "US"), ("BLOCKED_RANGES", "+1900")];
    let env = env.map(|(name, value)| (name, value.to_owned())).into();
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    for (to, channel, code) in [
        ("+4915123456789", "sms", 60605),
        ("+447400123456", "call", 60605),
        ("+19005550100", "sms", 60410),
        ("+442079460000", "sms", 60205),
    ] {
        app.twilio_create(to, channel).await.assert_twilio(403, code);
    }
    // The text came first, and the call is not allowed either.
    assert_eq!(app.twilio_create("+447400123456", "sms").await.status, 201);
    app.twilio_create("+447400123456", "call").await.assert_twilio(403, 60605);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_has_twilios_error_for_it() {
    for (setting, value, status, code) in [
        ("LIMIT_NUMBER", "1/10m", 429, 60203),
        ("LIMIT_PREFIX", "1/10m", 403, 60410),
        ("LIMIT_APP", "1/10m", 429, 20429),
    ] {
        let app = Silent::spawn_with(vec![(setting, value.into())]).await;
        assert_eq!(app.twilio_create(TO, "sms").await.status, 201);
        // A second number of the prefix, unless the limit is that of the number.
        let to = if setting == "LIMIT_NUMBER" { TO } else { "+14155550101" };
        app.twilio_update(TO, "canceled").await;
        let limited = app.twilio_create(to, "sms").await;
        limited.assert_twilio(status, code);
        assert!(
            limited.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0),
            "{setting}: {limited:?}"
        );
    }
    let app = Silent::spawn_with(vec![("LIMIT_GUESSES", "1/1h".into())]).await;
    app.twilio_create_with(&[("To", TO), ("Channel", "sms"), ("CustomCode", "445566")]).await;
    assert_eq!(app.twilio_check(&[("To", TO), ("Code", "000000")]).await.body["status"], "pending");
    app.twilio_check(&[("To", TO), ("Code", "445566")]).await.assert_twilio(429, 60202);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_apps_name_with_its_secret_is_let_in() {
    let env = vec![("API_KEYS", "shop:the-secret-of-the-shop,bank:the-secret-of-the-bank".to_owned())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let path = format!("/compat/twilio/v2/Services/{SERVICE}/Verifications");
    let create = |request: reqwest::RequestBuilder| app.send(request.form(&[("To", TO), ("Channel", "sms")]));
    for (name, secret) in [
        ("shop", "the-secret-of-the-bank"),
        ("bank", "the-secret-of-the-shop"),
        ("shop", ""),
        ("", "the-secret-of-the-shop"),
        ("shop ", "the-secret-of-the-shop"),
    ] {
        let refused = create(app.keyless("POST", &path).basic_auth(name, Some(secret))).await;
        refused.assert_twilio(401, 20003);
        assert!(refused.header("www-authenticate").starts_with("Basic"), "{refused:?}");
    }
    for header in ["", "Basic", "Basic !", "Bearer the-secret-of-the-shop", "Basic c2hvcA=="] {
        create(app.keyless("POST", &path).header("Authorization", header)).await.assert_twilio(401, 20003);
    }
    create(app.keyless("POST", &path)).await.assert_twilio(401, 20003);
    assert_eq!(app.whole_plivo_log().await, Vec::<Value>::new());
    let created = create(app.keyless("POST", &path).basic_auth("shop", Some("the-secret-of-the-shop"))).await;
    assert_eq!(created.status, 201, "{created:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_apps_verification_is_unknown() {
    let env = vec![("API_KEYS", "shop:the-secret-of-the-shop".to_owned())];
    let app = Silent::spawn_with(env).await;
    let created = app.twilio_create_with(&[("To", TO), ("Channel", "sms"), ("CustomCode", "445566")]).await;
    let sid = sid_of(&created);
    let base = format!("/compat/twilio/v2/Services/{SERVICE}");
    let as_shop = |method: &str, path: &str| {
        app.keyless(method, &format!("{base}{path}")).basic_auth("shop", Some("the-secret-of-the-shop"))
    };
    for name in [sid.as_str(), TO] {
        let path = format!("/Verifications/{name}");
        app.send(as_shop("GET", &path)).await.assert_twilio(404, 20404);
        app.send(as_shop("POST", &path).form(&[("Status", "canceled")])).await.assert_twilio(404, 20404);
    }
    for target in [("VerificationSid", sid.as_str()), ("To", TO)] {
        let check = as_shop("POST", "/VerificationCheck").form(&[target, ("Code", "445566")]);
        app.send(check).await.assert_twilio(404, 20404);
    }
    assert_eq!(app.twilio_fetch(&sid).await.body["status"], "pending");
    // The other app's own verification of the number is apart, and so is its account.
    let own = app.send(as_shop("POST", "/Verifications").form(&[("To", TO), ("Channel", "sms")])).await;
    assert!(own.status == 201 && sid_of(&own) != sid, "{own:?}");
    assert_ne!(own.body["account_sid"], created.body["account_sid"]);
}

/// Otherwise an attacker could open a session of `/v1` for a number, and its owner's code would verify it.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_entered_here_verifies_no_session_of_the_api() {
    let app = Silent::spawn().await;
    let opened = app.post("/v1/verifications", json!({ "to": TO, "code": "111111" })).await;
    let created = app.twilio_create_with(&[("To", TO), ("Channel", "sms"), ("CustomCode", "222222")]).await;
    assert_eq!((opened.status, created.status), (201, 201), "{created:?}");
    assert_eq!(app.twilio_check(&[("To", TO), ("Code", "111111")]).await.body["status"], "pending");
    assert_eq!(app.twilio_check(&[("To", TO), ("Code", "222222")]).await.body["status"], "approved");
    assert_eq!(app.read(opened.id()).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_service_names_the_apps_one_and_a_text_that_is_no_name_is_not_found() {
    let app = Silent::spawn().await;
    let sid = sid_of(&app.twilio_create(TO, "sms").await);
    for service in ["VA0", "login", "my.service_1"] {
        for name in [sid.as_str(), TO] {
            let path = format!("/compat/twilio/v2/Services/{service}/Verifications/{name}");
            let read = app.send(app.as_account("GET", &path)).await;
            assert_eq!((read.status, sid_of(&read), &read.body["service_sid"]), (200, sid.clone(), &json!(service)));
        }
    }
    for service in ["a%20b", "a%2Fb", "%22", &"x".repeat(65)] {
        let path = format!("/compat/twilio/v2/Services/{service}/Verifications/{sid}");
        app.send(app.as_account("GET", &path)).await.assert_twilio(404, 20404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_itself_is_told_in_twilios_words_too() {
    let app = Silent::spawn().await;
    let base = format!("/compat/twilio/v2/Services/{SERVICE}");
    for (path, methods, allow) in [
        ("/Verifications", &["GET", "PUT", "DELETE"][..], "POST"),
        ("/VerificationCheck", &["GET", "DELETE"], "POST"),
        ("/Verifications/x", &["PUT", "DELETE"], "GET, POST"),
    ] {
        for method in methods {
            let refused = app.send(app.as_account(method, &format!("{base}{path}"))).await;
            refused.assert_twilio(405, 20004);
            assert_eq!(refused.header("allow"), allow, "{method} {path}");
        }
    }
    let post = || app.as_account("POST", &format!("{base}/Verifications"));
    app.send(post().json(&json!({ "To": TO, "Channel": "sms" }))).await.assert_twilio(415, 60200);
    let form = |body: String| post().header("content-type", "application/x-www-form-urlencoded").body(body);
    app.send(form(format!("To={}", "1".repeat(70_000)))).await.assert_twilio(413, 60200);
    app.send(form("To=%2B14155550100&To=%2B14155550101&Channel=sms".into())).await.assert_twilio(400, 60200);
    app.send(form("To=%2B14155550100&Channel=sms".into()).header("content-encoding", "gzip"))
        .await
        .assert_twilio(415, 60200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_and_a_refusal_by_plivo_are_errors_of_the_server() {
    let redis = RedisServer::start();
    let env = vec![("REDIS_URL", format!("redis://127.0.0.1:{}", redis.port))];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let sid = sid_of(&app.twilio_create(TO, "sms").await);
    drop(redis);
    let answer = app.twilio_fetch(&sid).await;
    answer.assert_twilio(503, 20503);
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    let refused = TestApp::spawn_with(Setup { plivo_token: Some("another"), ..Setup::default() }).await;
    refused.twilio_create(TO, "sms").await.assert_twilio(500, 20500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_have_an_api_document_of_their_own() {
    let app = TestApp::spawn().await;
    let document = app.send(app.keyless("GET", "/openapi-twilio.json")).await;
    assert_eq!(document.status, 200);
    assert_eq!(document.body["components"]["securitySchemes"]["app"]["scheme"], "basic");
    let paths = document.body["paths"].as_object().unwrap();
    assert!(paths.len() == 3 && paths.keys().all(|path| path.starts_with("/compat/twilio/v2/")), "{paths:?}");
    let main = app.get("/openapi.json").await.body.to_string();
    assert!(!main.contains("twilio"), "clients generated from the main document need none of these routes");
}

// ---- helpers

impl TestApp {
    /// Starts a request with the name and the secret of the demo's app.
    fn as_account(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.keyless(method, path).basic_auth("demo", Some("demo"))
    }

    async fn twilio_post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let path = format!("/compat/twilio/v2/Services/{SERVICE}{path}");
        self.send(self.as_account("POST", &path).form(form)).await
    }

    async fn twilio_create(&self, to: &str, channel: &str) -> Answer {
        self.twilio_create_with(&[("To", to), ("Channel", channel)]).await
    }

    async fn twilio_create_with(&self, form: &[(&str, &str)]) -> Answer {
        self.twilio_post("/Verifications", form).await
    }

    async fn twilio_check(&self, form: &[(&str, &str)]) -> Answer {
        self.twilio_post("/VerificationCheck", form).await
    }

    async fn twilio_update(&self, name: &str, status: &str) -> Answer {
        self.twilio_post(&format!("/Verifications/{name}"), &[("Status", status)]).await
    }

    /// The id of the number's newest verification.
    async fn id_of_number(&self, to: &str) -> String {
        let found = self.post("/v1/verifications/search", json!({ "to": to })).await;
        found.body["verifications"][0]["id"].as_str().unwrap_or_else(|| panic!("{found:?}")).to_owned()
    }

    async fn twilio_fetch(&self, name: &str) -> Answer {
        self.send(self.as_account("GET", &format!("/compat/twilio/v2/Services/{SERVICE}/Verifications/{name}"))).await
    }
}

impl Answer {
    /// Asserts that it is a complete error of Twilio's, which its SDKs raise as an exception.
    #[track_caller]
    fn assert_twilio(&self, status: u16, code: u32) {
        let expected = (status, &json!(code), &json!(status));
        assert_eq!((self.status, &self.body["code"], &self.body["status"]), expected, "{self:?}");
        assert_eq!(self.body["more_info"], format!("https://www.twilio.com/docs/errors/{code}"), "{self:?}");
        assert!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        assert_eq!(self.body.as_object().unwrap().len(), 4, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
    }

    #[track_caller]
    fn assert_invalid(&self, name: &str) {
        self.assert_twilio(400, 60200);
        assert!(text(self, "message").starts_with(&format!("Invalid parameter: {name} (")), "{self:?}");
    }
}

fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer:?}"))
}

fn sid_of(answer: &Answer) -> String {
    text(answer, "sid").to_owned()
}

fn attempts(answer: &Answer) -> usize {
    answer.body["send_code_attempts"].as_array().unwrap().len()
}

/// Whether it has the pattern that Twilio documents.
fn is_sid(prefix: &str, sid: &str) -> bool {
    sid.strip_prefix(prefix).is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}
