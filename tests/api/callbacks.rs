//! Plivo's callbacks: without proof no effect, with proof one effect, repeated or reordered.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::silent::{Silent, TOKEN, signed_v2, signed_v3};
use crate::support::{Answer, CALLBACK_SECRET};

fn uuid() -> String {
    Uuid::new_v4().to_string()
}

/// A verification and the UUID that Plivo reports for its text.
async fn texted(app: &Silent) -> (Answer, String) {
    let (created, uuid) = (app.open(json!({ "escalation": "fixed+fail:60" })).await, uuid());
    let flow_answer = app.flow_says(created.id(), 0, "sms_sent", json!({ "message_uuid": uuid })).await;
    assert_eq!(flow_answer.status, 200, "{flow_answer:?}");
    let v = app.read(created.id()).await;
    assert_eq!((&v["attempts"][0]["status"], &v["attempts"][0]["provider_id"]), (&json!("queued"), &json!(uuid)));
    (created, uuid)
}

async fn status(app: &Silent, id: &str, attempt: usize) -> Value {
    app.read(id).await["attempts"][attempt]["status"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_proof_has_no_effect() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    let before = app.read(created.id()).await;
    let params = [("MessageUUID", uuid.as_str()), ("Status", "undelivered"), ("ErrorCode", "30")];
    let url = format!("{}/plivo/message", app.url);
    let post = |path: &str| app.keyless("POST", path).form(&params);
    let attacks = [
        ("no signature", post("/plivo/message")),
        ("V2 alone", signed_v2(post("/plivo/message"), TOKEN, &url)),
        ("another token", signed_v3(post("/plivo/message"), "other", "POST", &url, &params)),
        ("an empty token", signed_v3(post("/plivo/message"), "", "POST", &url, &params)),
        (
            "another body",
            signed_v3(post("/plivo/message"), TOKEN, "POST", &url, &[("MessageUUID", &uuid), ("Status", "sent")]),
        ),
        ("no body signed", signed_v3(post("/plivo/message"), TOKEN, "POST", &url, &[])),
        ("another URL", signed_v3(post("/plivo/message"), TOKEN, "POST", &format!("{}/plivo/call", app.url), &params)),
        (
            "the URL of the Host header",
            signed_v3(
                post("/plivo/message").header("Host", "evil.example"),
                TOKEN,
                "POST",
                "http://evil.example/plivo/message",
                &params,
            ),
        ),
        (
            "the URL of a proxy's headers",
            signed_v3(
                post("/plivo/message").header("X-Forwarded-Host", "evil.example").header("X-Forwarded-Proto", "https"),
                TOKEN,
                "POST",
                "https://evil.example/plivo/message",
                &params,
            ),
        ),
        ("a query that was added", signed_v3(post("/plivo/message?a=b"), TOKEN, "POST", &url, &params)),
        (
            "a bad V3 beside a good V2",
            signed_v2(
                post("/plivo/message").header("X-Plivo-Signature-V3", "x").header("X-Plivo-Signature-V3-Nonce", "1"),
                TOKEN,
                &url,
            ),
        ),
        ("a V3 without a nonce", post("/plivo/message").header("X-Plivo-Signature-V3", "x")),
        ("the secret as a key", post("/plivo/message").bearer_auth(CALLBACK_SECRET)),
        ("an app's key", post("/plivo/message").bearer_auth("demo")),
        ("another secret", post("/plivo/a-callback-secret-of-test/message")),
        ("the secret in other letters", post(&format!("/plivo/{}/message", CALLBACK_SECRET.to_uppercase()))),
        ("the secret and more", post(&format!("/plivo/{CALLBACK_SECRET}%00/message"))),
        ("no JSON", app.keyless("POST", "/plivo/message").header("Content-Type", "application/json").body("{")),
        (
            "no JSON, no secret",
            app.keyless("POST", "/plivo/x/message").header("Content-Type", "application/json").body("[]"),
        ),
    ];
    for (attack, request) in attacks {
        let answer = app.send(request).await;
        assert_eq!(answer.status, 401, "{attack}: {answer:?}");
        answer.assert_problem(401, "invalid_signature");
    }
    assert_eq!(app.read(created.id()).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_at_the_end_is_the_same_url_and_is_signed() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    for (path, signed) in [("/plivo/message/", "/plivo/message"), ("/plivo/message", "/plivo/message/")] {
        let params = [("MessageUUID", uuid.as_str()), ("Status", "failed"), ("ErrorCode", "450")];
        let request = app.keyless("POST", path).form(&params);
        let answer = app.send(signed_v3(request, TOKEN, "POST", &format!("{}{signed}", app.url), &params)).await;
        answer.assert_problem(401, "invalid_signature");
    }
    let params = [("MessageUUID", uuid.as_str()), ("Status", "delivered")];
    let request = app.keyless("POST", "/plivo/message/").form(&params);
    let answer = app.send(signed_v3(request, TOKEN, "POST", &format!("{}/plivo/message/", app.url), &params)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(status(&app, created.id(), 0).await, "delivered");

    let (reference, event) = (app.reference(created.id(), 0), json!({ "event": "sms_sent" }));
    for (path, expected) in [
        ("/plivo/call/".to_owned(), 401),
        ("/plivo/phlo/".to_owned(), 401),
        (format!("/plivo/phlo/{reference}/"), 401),
        (format!("/plivo/answer/{reference}/"), 401),
        (format!("/plivo/{CALLBACK_SECRET}/message/"), 200),
        (format!("/plivo/{CALLBACK_SECRET}/call/"), 200),
        (format!("/plivo/{CALLBACK_SECRET}/phlo/{reference}/"), 200),
        ("/plivo/message//".to_owned(), 404),
    ] {
        let answer = app.send(app.keyless("POST", &path).json(&event)).await;
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
        if expected == 200 {
            // A node of the flow that expects JSON fails any other answer.
            let media = answer.headers["Content-Type"].to_str().unwrap();
            assert_eq!((media, &answer.body), ("application/json", &json!({})), "{path}");
        }
    }
    let metrics = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(!metrics.contains("route=\"/plivo/message/\""), "both spellings are one route");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_over_the_bounds_is_refused_before_its_signature_is_computed() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    let before = app.read(created.id()).await;
    let path = format!("/plivo/{CALLBACK_SECRET}/message");
    // Each of them would be accepted if it were shorter.
    let reported = |more: usize| {
        let mut params = vec![("MessageUUID".to_owned(), uuid.clone()), ("Status".to_owned(), "sent".to_owned())];
        params.extend((0..more).map(|n| (format!("p{n}"), "x".to_owned())));
        params
    };
    let json = |more| Value::Object(reported(more).into_iter().map(|(key, value)| (key, value.into())).collect());
    let signed = |request: reqwest::RequestBuilder, target: &str, params: &[(String, String)]| {
        let params: Vec<_> = params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        signed_v3(request.form(&params), TOKEN, "POST", &format!("{}{target}", app.url), &params)
    };
    let query = |length: usize| format!("/plivo/message?q={}", "x".repeat(length - 2));
    for request in [
        app.keyless("POST", &path).form(&reported(127)),
        app.keyless("POST", &path).json(&json(127)),
        app.keyless("POST", &format!("{path}?a&b")).form(&reported(125)),
        app.keyless("GET", &format!("{path}?{}", "a&".repeat(128))),
        app.keyless("POST", &format!("{path}?q={}", "x".repeat(4095))),
        app.keyless("POST", &path).form(&vec![("a", ""); 20_000]),
        signed(app.keyless("POST", "/plivo/message"), "/plivo/message", &reported(127)),
        signed(app.keyless("POST", &query(4097)), &query(4097), &reported(0)),
    ] {
        app.send(request).await.assert_problem(413, "payload_too_large");
    }
    let guesses = |count: usize| {
        let list = "guess,".repeat(count - 1);
        let mut request =
            signed(app.keyless("POST", "/plivo/message"), "/plivo/message", &reported(0)).build().unwrap();
        let own = request.headers()["X-Plivo-Signature-V3"].to_str().unwrap().to_owned();
        request.headers_mut().insert("X-Plivo-Signature-V3", format!("{list}{own}").parse().unwrap());
        reqwest::RequestBuilder::from_parts(crate::support::client(), request)
    };
    app.send(guesses(9)).await.assert_problem(401, "invalid_signature");
    assert_eq!(app.read(created.id()).await, before);
    for request in [
        app.keyless("POST", &path).form(&reported(126)),
        app.keyless("POST", &path).json(&json(126)),
        signed(app.keyless("POST", &query(4096)), &query(4096), &reported(120)),
        guesses(8),
    ] {
        let answer = app.send(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_over_a_query_does_not_cover_an_added_body() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    let path = format!("/plivo/message?MessageUUID={uuid}&Status=sent&ErrorCode=");
    let url = format!("{}{path}", app.url);
    let forged = [("MessageUUID", uuid.as_str()), ("Status", "failed"), ("ErrorCode", "450")];
    let request = signed_v3(app.keyless("GET", &path).form(&forged), TOKEN, "GET", &url, &[]);
    let answer = app.send(request).await;
    assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    let v = app.read(created.id()).await;
    assert_eq!(v["status"], "pending", "{v:#}");
    assert_ne!(v["attempts"][0]["status"], "failed", "{v:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proved_report_is_accepted_as_post_or_get_form_or_json() {
    let app = Silent::spawn().await;
    let message = format!("{}/plivo/message", app.url);
    for way in
        ["V3", "V3 of two", "V3 in a query", "secret", "secret in a query", "secret and JSON", "V3 and more fields"]
    {
        let (created, uuid) = texted(&app).await;
        let mut params = vec![("MessageUUID", uuid.as_str()), ("Status", "delivered"), ("To", "14155550103")];
        let query = format!("MessageUUID={uuid}&Status=delivered");
        let request = match way {
            "V3" => signed_v3(app.keyless("POST", "/plivo/message").form(&params), TOKEN, "POST", &message, &params),
            "V3 of two" => {
                let signed =
                    signed_v3(app.keyless("POST", "/plivo/message").form(&params), TOKEN, "POST", &message, &params);
                let mut request = signed.build().unwrap();
                let good = request.headers()["X-Plivo-Signature-V3"].to_str().unwrap().to_owned();
                request.headers_mut().insert("X-Plivo-Signature-V3", format!("AAAA, {good}").parse().unwrap());
                reqwest::RequestBuilder::from_parts(crate::support::client(), request)
            }
            "V3 in a query" => {
                let path = format!("/plivo/message?{query}");
                signed_v3(app.keyless("GET", &path), TOKEN, "GET", &format!("{}{path}", app.url), &[])
            }
            "secret" => app.keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/message")).form(&params),
            "secret in a query" => app.keyless("GET", &format!("/plivo/{CALLBACK_SECRET}/message?{query}")),
            "secret and JSON" => app
                .keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/message"))
                .json(&json!({ "MessageUUID": uuid, "Status": "delivered", "Units": 1, "new": { "a": [null] } })),
            _ => {
                params.extend([("A%20field&of=tomorrow", "é+ /?"), ("Status2", "")]);
                signed_v3(app.keyless("POST", "/plivo/message").form(&params), TOKEN, "POST", &message, &params)
            }
        };
        let answer = app.send(request).await;
        assert_eq!(
            (answer.status, status(&app, created.id(), 0).await),
            (200, json!("delivered")),
            "{way}: {answer:?}"
        );
        app.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_reordered_reports_change_nothing() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    let say = |status: &'static str| {
        let (app, uuid) = (&app, uuid.clone());
        async move { app.plivo_says("message", &[("MessageUUID", &uuid), ("Status", status)]).await.status }
    };
    assert_eq!(say("delivered").await, 200);
    let (before, timeline) =
        (app.read(created.id()).await, app.get(&format!("/v1/verifications/{}/timeline", created.id())).await.body);
    for late in ["delivered", "sent", "queued", "delivered", "undelivered", "failed"] {
        assert_eq!(say(late).await, 200, "{late}");
    }
    app.flow_says(created.id(), 0, "sms_sent", json!({ "message_uuid": uuid })).await;
    app.flow_says(created.id(), 0, "sms_failed", json!({})).await;
    assert_eq!(app.read(created.id()).await, before);
    assert_eq!(app.get(&format!("/v1/verifications/{}/timeline", created.id())).await.body, timeline);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_report_is_accepted_and_ignored() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    let before = app.read(created.id()).await;
    for params in [
        vec![("MessageUUID", uuid.as_str()), ("Status", "teleported")],
        vec![("MessageUUID", &uuid)],
        vec![("MessageUUID", &uuid), ("Status", "")],
        vec![("Status", "delivered")],
        vec![("MessageUUID", "unknown"), ("Status", "delivered")],
        vec![("MessageUUID", "\u{0}"), ("Status", "delivered")],
        vec![("", ""), ("\u{fffd}", "\u{0}")],
        vec![],
    ] {
        assert_eq!(app.plivo_says("message", &params).await.status, 200, "{params:?}");
        assert_eq!(app.plivo_says("call", &params).await.status, 200, "{params:?}");
    }
    let long = "x".repeat(60_000);
    assert_eq!(app.plivo_says("message", &[("MessageUUID", &long), ("Status", "delivered")]).await.status, 200);
    assert_eq!(app.flow_says(created.id(), 0, "sms_teleported", json!({ "more": [1] })).await.status, 200);
    assert_eq!(app.flow_says(created.id(), 7, "sms_failed", json!({})).await.status, 200);
    assert_eq!(
        app.flow_says(created.id(), 0, "call_failed", json!({})).await.status,
        200,
        "a report of a call about a text is accepted"
    );
    assert_eq!(app.read(created.id()).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_arrives_before_its_link_is_applied_later() {
    let app = Silent::spawn().await;
    let (created, uuid) = (app.open(json!({ "escalation": "never" })).await, uuid());
    assert_eq!(app.plivo_says("message", &[("MessageUUID", &uuid), ("Status", "delivered")]).await.status, 200);
    assert_eq!(status(&app, created.id(), 0).await, "triggering");
    app.flow_says(created.id(), 0, "sms_sent", json!({ "message_uuid": uuid })).await;
    assert_eq!(status(&app, created.id(), 0).await, "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_the_flow_needs_ref_and_secret() {
    let app = Silent::spawn().await;
    let created = app.open(json!({ "channel": "call" })).await;
    let (id, reference) = (created.id(), app.reference(created.id(), 0));
    let before = app.read(id).await;
    let mut altered = reference.clone();
    altered.replace_range(5..6, if &altered[5..6] == "A" { "B" } else { "A" });
    let client_token = created.body["client_token"].as_str().unwrap();
    let post = |path: &str, reference: &str| {
        app.keyless("POST", path).json(&json!({ "ref": reference, "event": "call_failed" }))
    };
    let attacks = [
        ("a ref without the secret", post("/plivo/phlo", &reference)),
        ("a ref in the path without the secret", post(&format!("/plivo/phlo/{reference}"), "")),
        ("the secret without a ref", post(&format!("/plivo/{CALLBACK_SECRET}/phlo"), "")),
        ("another secret", post("/plivo/phlo", &reference).bearer_auth("a-callback-secret-of-test")),
        ("an app's key", post("/plivo/phlo", &reference).bearer_auth("demo")),
        ("another secret in the path", post("/plivo/x/phlo", &reference)),
        ("another secret in the path, with a ref", post(&format!("/plivo/x/phlo/{reference}"), &reference)),
        ("a ref that was altered", post("/plivo/phlo", &altered).bearer_auth(CALLBACK_SECRET)),
        ("a client token", post("/plivo/phlo", client_token).bearer_auth(CALLBACK_SECRET)),
        (
            "a client token in the path",
            post(&format!("/plivo/phlo/{client_token}"), &reference).bearer_auth(CALLBACK_SECRET),
        ),
        ("an id", post("/plivo/phlo", id).bearer_auth(CALLBACK_SECRET)),
        ("no JSON", app.keyless("POST", "/plivo/phlo").header("Content-Type", "application/json").body("{")),
        ("nothing", app.keyless("GET", "/plivo/phlo").bearer_auth(CALLBACK_SECRET)),
        ("a signature", {
            let url = format!("{}/plivo/phlo", app.url);
            let params = [("ref", reference.as_str()), ("event", "call_failed")];
            signed_v3(app.keyless("POST", "/plivo/phlo").form(&params), TOKEN, "POST", &url, &params)
        }),
    ];
    for (attack, request) in attacks {
        let answer = app.send(request).await;
        assert_eq!(answer.status, 401, "{attack}: {answer:?}");
        answer.assert_problem(401, "invalid_signature");
    }
    assert_eq!(app.read(id).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_the_flow_is_accepted_on_every_documented_route() {
    let app = Silent::spawn().await;
    for way in 0..7 {
        let created = app.open(json!({ "channel": "call" })).await;
        let reference = app.reference(created.id(), 0);
        let body = json!({ "ref": reference, "event": "call_answered", "call_uuid": uuid() });
        let event = json!({ "event": "call_answered" });
        let request = match way {
            0 => app.keyless("POST", "/plivo/phlo").bearer_auth(CALLBACK_SECRET).json(&body),
            1 => app.keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/phlo")).json(&body),
            2 => app.keyless("POST", &format!("/plivo/phlo/{reference}")).bearer_auth(CALLBACK_SECRET).json(&event),
            3 => app.keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/phlo/{reference}")).json(&event),
            4 => app.keyless("POST", "/plivo/phlo").bearer_auth(CALLBACK_SECRET).form(&body),
            5 => app.keyless("GET", &format!("/plivo/{CALLBACK_SECRET}/phlo?ref={reference}&event=call_answered")),
            _ => app.keyless("GET", &format!("/plivo/{CALLBACK_SECRET}/phlo/{reference}?event=call_answered")),
        };
        let answer = app.send(request).await;
        assert_eq!((answer.status, status(&app, created.id(), 0).await), (200, json!("answered")), "{way}: {answer:?}");
        app.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_found_by_either_of_its_ids() {
    let app = Silent::spawn().await;
    for name in ["CallUUID", "RequestUUID"] {
        let (created, uuid) = (app.open(json!({ "channel": "call" })).await, uuid());
        app.flow_says(created.id(), 0, "call_answered", json!({ "call_uuid": uuid })).await;
        let other = if name == "CallUUID" { "RequestUUID" } else { "CallUUID" };
        let report = [(name, uuid.as_str()), (other, "unknown"), ("CallStatus", "completed"), ("Event", "Hangup")];
        assert_eq!(app.plivo_says("call", &report).await.status, 200);
        assert_eq!(status(&app, created.id(), 0).await, "completed", "{name}");
        app.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_after_the_end_are_recorded_and_start_nothing() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    app.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await;
    app.plivo_says("message", &[("MessageUUID", &uuid), ("Status", "undelivered"), ("ErrorCode", "30")]).await;
    app.advance(100.0).await;
    let v = app.read(created.id()).await;
    assert_eq!((&v["status"], &v["attempts"][0]["status"]), (&json!("canceled"), &json!("undelivered")));
    assert_eq!(v["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_forged_callbacks_change_nothing() {
    let app = Silent::spawn().await;
    let (created, uuid) = texted(&app).await;
    let before = app.read(created.id()).await;
    let url = format!("{}/plivo/message", app.url);
    let params = [("MessageUUID", uuid.as_str()), ("Status", "failed"), ("ErrorCode", "450")];
    for _ in 0..20 {
        let forge =
            || app.send(signed_v3(app.keyless("POST", "/plivo/message").form(&params), "guess", "POST", &url, &params));
        let answers = futures_util::future::join_all((0..50).map(|_| forge())).await;
        assert!(answers.iter().all(|a| a.status == 401));
    }
    assert_eq!(app.read(created.id()).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_old_and_new_secrets_are_accepted() {
    let (new, old) = ("the-new-callback-secret-of-tests", "the-old-callback-secret-of-tests");
    let env = vec![("CALLBACK_SECRET", format!("{new},{old}")), ("PLIVO_AUTH_TOKEN", "new-token,old-token".into())];
    let app = Silent::spawn_with(env).await;
    let created = app.open(json!({ "escalation": "never" })).await;
    let reference = app.reference(created.id(), 0);
    for (i, secret) in [new, old].into_iter().enumerate() {
        let uuid = uuid();
        let body = json!({ "ref": reference, "event": "sms_sent", "message_uuid": uuid });
        assert_eq!(app.send(app.keyless("POST", "/plivo/phlo").bearer_auth(secret).json(&body)).await.status, 200);
        let params = [("MessageUUID", uuid.as_str()), ("Status", if i == 0 { "sent" } else { "delivered" })];
        assert_eq!(app.send(app.keyless("POST", &format!("/plivo/{secret}/message")).form(&params)).await.status, 200);
        app.until(created.id(), params[1].1, |v| v["attempts"][0]["status"] == params[1].1).await;
    }
    for (token, expected) in [("new-token", 200), ("old-token", 200), (TOKEN, 401), ("new-token,old-token", 401)] {
        let (url, params) = (format!("{}/plivo/message", app.url), [("MessageUUID", "x"), ("Status", "sent")]);
        let request = signed_v3(app.keyless("POST", "/plivo/message").form(&params), token, "POST", &url, &params);
        assert_eq!(app.send(request).await.status, expected, "{token}");
    }
    let both = app.keyless("POST", &format!("/plivo/{new},{old}/message")).form(&[("Status", "sent")]);
    assert_eq!(app.send(both).await.status, 401);
}
