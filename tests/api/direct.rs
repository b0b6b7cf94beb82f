//! The Message and Call APIs: requests to Plivo, proof of its callbacks, and what a call says.

use serde_json::{Value, json};

use crate::stub::{Says, Stub};

const OWN: &str = "8675309";

/// A verification by `channel` with a code that no other digits contain by chance.
async fn opened(app: &Stub, channel: &str) -> String {
    app.open(json!({ "channel": channel, "code": OWN })).await.id().to_owned()
}

async fn attempt(app: &Stub, id: &str, index: usize) -> Value {
    app.read(id).await["attempts"][index].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_requested_with_its_report_url_and_without_logging() {
    let app = Stub::direct(vec![("BRAND", "Acme".into())]).await;
    let id = opened(&app, "auto").await;
    let asked = app.last("message");
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/Account/MADEMO00000000000000/Message/"));
    let url = asked.body["url"].as_str().unwrap().to_owned();
    let expected = json!({ "src": "+14155550100", "dst": "+14155550103", "method": "POST", "log": "false", "url": url,
        "text": format!("{OWN} is your Acme verification code. Do not share it with anyone.") });
    assert_eq!(asked.body, expected);
    assert!(!url.contains(OWN) && !url.contains("4155550103"), "{url}");
    let a = attempt(&app, &id, 0).await;
    assert_eq!((&a["via"], &a["status"]), (&json!("api"), &json!("triggered")));
    assert!(a["provider_id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_country_has_its_sender() {
    let pool = "2b1c7f0e-0000-4000-8000-000000000001";
    let env = vec![
        ("SENDERS", format!("IN=PLIVOX,GB=+447400123456,FR=powerpack:{pool}")),
        ("DLT_ENTITY_ID", "110100".into()),
        ("DLT_TEMPLATE_ID", "110200".into()),
    ];
    let app = Stub::direct(env.clone()).await;
    let text = async |to: &str| {
        app.open(json!({ "to": to })).await;
        app.last("message").body
    };
    let india = text("+919876543210").await;
    let dlt = ["src", "dlt_entity_id", "dlt_template_id"].map(|name| india[name].as_str().unwrap_or("-").to_owned());
    assert_eq!(dlt, ["PLIVOX", "110100", "110200"]);
    let britain = text("+447400123457").await;
    assert_eq!((&britain["src"], britain.get("dlt_entity_id")), (&json!("+447400123456"), None));
    let france = text("+33612345678").await;
    assert_eq!((&france["powerpack_uuid"], france.get("src")), (&json!(pool), None));

    let call = async |to: &str| {
        app.open(json!({ "to": to, "channel": "call" })).await;
        app.last("call").body["from"].clone()
    };
    assert_eq!(call("+447400123458").await, "+447400123456");
    for to in ["+919876543211", "+33612345679"] {
        assert_eq!(call(to).await, "+14155550100", "neither a sender name nor a pool can place a call");
    }

    let app = Stub::spawn(env).await;
    app.open(json!({ "to": "+919876543210" })).await;
    assert_eq!(app.last("phlo").body["from"], "PLIVOX");
    app.open(json!({ "to": "+33612345678" })).await;
    assert_eq!(app.last("phlo").body["from"], "+14155550100", "a flow's node accepts no pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_call_are_in_the_persons_language() {
    let app = Stub::direct(vec![("BRAND", "Acme".into())]).await;
    app.open(json!({ "locale": "de-CH", "code": OWN })).await;
    let text = app.last("message").body["text"].as_str().unwrap().to_owned();
    assert!(text.contains("Acme") && text.contains(OWN) && !text.contains("your"), "{text}");
    app.open(json!({ "to": "+14155550104", "locale": "de-CH", "code": OWN, "channel": "call" })).await;
    let path = app.callback("call", "answer_url");
    let (_, _, xml) = app.plivo_fetches(&path, &[("CallUUID", "c1"), ("Event", "StartApp")]).await;
    assert!(xml.contains(r#"language="de-DE""#) && xml.contains("Acme"), "{xml}");
    let app = Stub::spawn(Vec::new()).await;
    app.open(json!({ "locale": "pt_BR" })).await;
    let run = app.last("phlo").body;
    assert_eq!(run["language"], "pt-BR");
    assert!(!run["text"].as_str().unwrap().contains("your"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_locale_the_text_is_in_the_main_language_of_the_numbers_country() {
    let app = Stub::direct(Vec::new()).await;
    for (to, part) in [
        ("+4915123456789", "Ihr Bestätigungscode"),
        ("+33612345678", "votre code de vérification"),
        ("+818012345678", "認証コード"),
        ("+447400123456", "your verification code"),
        ("+14155550121", "your verification code"),
    ] {
        app.open(json!({ "to": to, "code": OWN })).await;
        let text = app.last("message").body["text"].as_str().unwrap().to_owned();
        assert!(text.contains(part), "{to}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_well_formed_locale_is_taken() {
    let app = Stub::direct(Vec::new()).await;
    for (locale, part, n) in [
        ("en-GB-u-rg-uszzzz", "your verification code", 1),
        ("fr-FR-x-private", "votre code de vérification", 2),
        ("de-DE-1996-a-b1-c2-x-y", "Ihr Bestätigungscode", 3),
        ("zh-yue-HK", "驗證碼", 4),
        ("x-private", "your verification code", 5),
    ] {
        let to = format!("+1415555012{n}");
        app.open(json!({ "to": to, "locale": locale, "code": OWN })).await;
        let text = app.last("message").body["text"].as_str().unwrap().to_owned();
        assert!(text.contains(part), "{locale}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn app_hash_and_web_origin_end_the_text() {
    let app = Stub::direct(Vec::new()).await;
    let text = async |body: Value| {
        app.open(body).await;
        app.last("message").body["text"].as_str().unwrap().to_owned()
    };
    let hash = text(json!({ "to": "+14155550120", "code": OWN, "app_hash": "FA+9qCX9VSu" })).await;
    assert!(hash.ends_with("\nFA+9qCX9VSu") && hash.len() <= 140, "{hash}");
    let both = json!({ "to": "+14155550121", "code": OWN, "app_hash": "FA+9qCX9VSu", "web_origin": "shop.example" });
    let both = text(both).await;
    assert!(both.ends_with(&format!("\n@shop.example #{OWN}")) && both.contains("FA+9qCX9VSu"), "{both}");
    assert!(both.len() <= 140, "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_needs_a_ref_of_its_kind_and_a_signature() {
    let app = Stub::direct(Vec::new()).await;
    let id = opened(&app, "auto").await;
    let path = app.callback("message", "url");
    let params = [("MessageUUID", "m1"), ("Status", "sent")];
    let reference = path.rsplit('/').next().unwrap().to_owned();
    app.send(app.keyless("POST", &path).form(&params)).await.assert_problem(401, "invalid_signature");
    let unsigned_json = app.keyless("POST", &path).json(&json!({ "MessageUUID": "m1", "Status": "sent" }));
    app.send(unsigned_json).await.assert_problem(401, "invalid_signature");
    for wrong in ["/plivo/message/AAAA", &format!("/plivo/call/{reference}"), &format!("/plivo/answer/{reference}")] {
        app.plivo_posts(wrong, &params).await.assert_problem(401, "invalid_signature");
    }
    app.plivo_posts(&format!("/plivo/phlo/{reference}"), &params).await.assert_problem(401, "invalid_signature");
    assert_eq!(attempt(&app, &id, 0).await["status"], "triggered");

    // The ref names the attempt, so V2 is enough here.
    assert_eq!(app.plivo_posts_v2(&path, &[("MessageUUID", "m1"), ("Status", "queued")]).await.status, 200);
    assert_eq!(attempt(&app, &id, 0).await["status"], "queued");
    assert_eq!(app.plivo_posts(&path, &params).await.status, 200);
    assert_eq!(attempt(&app, &id, 0).await["status"], "sent");
    let unknown = app.plivo_posts(&path, &[("MessageUUID", "m1"), ("Status", "read")]).await;
    assert_eq!(unknown.status, 200);
    let lost = [("MessageUUID", "m1"), ("Status", "undelivered"), ("ErrorCode", "30")];
    assert_eq!(app.plivo_posts(&path, &lost).await.status, 200);
    let v = app.until(&id, "called", |v| v["attempts"][1]["status"] == "triggered").await;
    assert_eq!((&v["attempts"][0]["error_code"], &v["attempts"][1]["reason"]), (&json!("30"), &json!("undelivered")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_call_speaks_the_code_and_repeats_it_on_request() {
    let app = Stub::direct(vec![("BRAND", "Tom & Co".into())]).await;
    let id = opened(&app, "call").await;
    let body = app.last("call").body;
    assert!(!body.to_string().contains(OWN), "{body}");
    assert_eq!((&body["to"], &body["machine_detection"]), (&json!("+14155550103"), &json!("hangup")));
    let (answer, report) = (app.callback("call", "answer_url"), app.callback("call", "hangup_url"));
    assert_eq!(app.callback("call", "ring_url"), report);
    let ids = [("CallUUID", "c1"), ("RequestUUID", "r1")];
    assert_eq!(app.plivo_posts(&report, &[&ids[..], &[("CallStatus", "ringing")]].concat()).await.status, 200);
    assert_eq!(attempt(&app, &id, 0).await["status"], "ringing");

    let started = [&ids[..], &[("Event", "StartApp"), ("CallStatus", "in-progress")]].concat();
    let unsigned = app.send(app.keyless("POST", &answer).form(&started)).await;
    unsigned.assert_problem(401, "invalid_signature");
    let (status, media, xml) = app.plivo_fetches(&answer, &started).await;
    assert_eq!((status, media.as_str()), (200, "application/xml; charset=utf-8"));
    let digits = |xml: &str| {
        let document = roxmltree::Document::parse(xml).unwrap();
        let spelled = document.descendants().filter(|node| node.has_tag_name("say-as"));
        spelled.filter_map(|node| node.text().map(str::to_owned)).collect::<String>()
    };
    assert_eq!(digits(&xml), OWN.repeat(2));
    assert!(xml.contains("Tom &amp; Co") && xml.contains(&answer), "{xml}");
    assert_eq!(attempt(&app, &id, 0).await["status"], "answered");
    let pressed = [&ids[..], &[("Event", "Redirect"), ("Digits", "1")]].concat();
    assert_eq!(digits(&app.plivo_fetches(&answer, &pressed).await.2), OWN.repeat(2), "again");

    let ended = [("CallStatus", "completed"), ("HangupCauseCode", "4010"), ("Duration", "17")];
    assert_eq!(app.plivo_posts(&report, &[&ids[..], &ended].concat()).await.status, 200);
    assert_eq!(attempt(&app, &id, 0).await["status"], "completed");
    let late = app.plivo_fetches(&answer, &pressed).await;
    assert_eq!((late.0, digits(&late.2)), (200, String::new()), "a call that has ended speaks no code");
    let verified = app.check(&id, OWN).await;
    assert_eq!(verified.body["channel"], "call");
    assert!(!app.plivo_fetches(&answer, &started).await.2.contains("say-as"), "a code that was used is not spoken");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_call_ends_decides_what_follows() {
    // Status, hangup code, duration; then the attempt's status, and whether it is repeated.
    for (status, code, duration, becomes, is_repeated) in [
        ("busy", "3010", "0", "busy", true),
        ("no-answer", "3000", "0", "no_answer", true),
        ("timeout", "6010", "0", "no_answer", true),
        ("failed", "5010", "0", "no_answer", true),
        ("completed", "4000", "2", "no_answer", true),
        ("busy", "3020", "0", "rejected", false),
        ("completed", "9100", "4", "machine", false),
        ("failed", "2000", "0", "failed", false),
        ("failed", "3120", "0", "failed", false),
    ] {
        let app = Stub::direct(Vec::new()).await;
        let id = opened(&app, "call").await;
        let report = app.callback("call", "hangup_url");
        let params = [("CallUUID", "c1"), ("CallStatus", status), ("HangupCauseCode", code), ("Duration", duration)];
        assert_eq!(app.plivo_posts(&report, &params).await.status, 200);
        assert_eq!(attempt(&app, &id, 0).await["status"], becomes, "{status} {code}");
        app.advance(19.0).await;
        assert_eq!(app.requested().len(), 1, "{status} {code}");
        app.advance(1.0).await;
        if is_repeated {
            app.until_asked(2).await;
            assert_eq!(app.read(&id).await["status"], "pending", "{status} {code}");
        } else {
            assert_eq!(app.read(&id).await["status"], "undeliverable", "{status} {code}");
            assert_eq!(app.requested().len(), 1, "{status} {code}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_voice_confirm_nothing_is_spoken_before_a_key_is_pressed() {
    let app = Stub::direct(vec![("VOICE_CONFIRM", "true".into())]).await;
    let id = opened(&app, "call").await;
    let (answer, report) = (app.callback("call", "answer_url"), app.callback("call", "hangup_url"));
    let (_, _, xml) = app.plivo_fetches(&answer, &[("CallUUID", "c1"), ("Event", "StartApp")]).await;
    assert!(!xml.contains("say-as") && xml.contains("GetDigits") && xml.contains(&answer), "{xml}");
    let (_, _, xml) = app.plivo_fetches(&answer, &[("CallUUID", "c1"), ("Digits", "9")]).await;
    assert!(!xml.contains("say-as"), "another key: {xml}");
    assert_ne!(attempt(&app, &id, 0).await["status"], "answered");
    // A voicemail box picks up, presses no key, and the call ends.
    let ended = [("CallUUID", "c1"), ("CallStatus", "completed"), ("HangupCauseCode", "4010"), ("Duration", "20")];
    app.plivo_posts(&report, &ended).await;
    assert_eq!(attempt(&app, &id, 0).await["status"], "no_answer");

    app.advance(20.0).await;
    app.until_asked(2).await;
    let answer = app.callback("call", "answer_url");
    let (_, _, xml) = app.plivo_fetches(&answer, &[("CallUUID", "c2"), ("Digits", "1")]).await;
    assert!(xml.contains("say-as"), "{xml}");
    assert_eq!(attempt(&app, &id, 1).await["status"], "answered");
    let verified = app.check(&id, OWN).await;
    assert_eq!(verified.body["channel"], "call");
    let (_, _, xml) = app.plivo_fetches(&answer, &[("CallUUID", "c2"), ("Event", "StartApp")]).await;
    assert!(!xml.contains("say-as") && !xml.contains("GetDigits"), "the verification has ended: {xml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_hears_no_code() {
    let app = Stub::direct(Vec::new()).await;
    let id = opened(&app, "call").await;
    let answer = app.callback("call", "answer_url");
    let machine = [("CallUUID", "c1"), ("Event", "StartApp"), ("Machine", "true")];
    assert!(!app.plivo_fetches(&answer, &machine).await.2.contains("say-as"));
    assert_eq!(attempt(&app, &id, 0).await["status"], "machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_entered_while_the_phone_rings_cancels_the_call() {
    let app = Stub::direct(Vec::new()).await;
    let id = opened(&app, "call").await;
    let uuid = attempt(&app, &id, 0).await["provider_id"].as_str().unwrap().to_owned();
    assert_eq!(app.check(&id, OWN).await.status, 200);
    app.until_asked(2).await;
    let asked = app.last("hangup");
    let account = "/v1/Account/MADEMO00000000000000";
    assert_eq!((asked.method.as_str(), asked.path), ("DELETE", format!("{account}/Request/{uuid}/")));

    // A request that Plivo no longer knows is canceled as a call, and a failed cancellation is retried.
    let app = Stub::direct(Vec::new()).await;
    let id = opened(&app, "call").await;
    let not_found = Says::Status(404, Value::Null);
    app.says("hangup", &[Says::Status(503, Value::Null), not_found.clone(), not_found]);
    app.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    app.until_asked(2).await;
    for _ in 0..6000 {
        app.settled().await;
        if app.requested().len() == 4 {
            break;
        }
        app.advance(1.0).await;
    }
    let paths: Vec<_> = app.asked()[1..].iter().map(|asked| asked.path.split('/').nth(4).unwrap().to_owned()).collect();
    assert_eq!(paths, ["Request", "Request", "Call"]);
    app.advance(70.0).await;
    assert_eq!(app.requested().len(), 4, "a call that has ended needs no cancellation");

    // A call that is being heard is not cut off.
    let app = Stub::direct(Vec::new()).await;
    let id = opened(&app, "call").await;
    let answer = app.callback("call", "answer_url");
    app.plivo_fetches(&answer, &[("CallUUID", "c1"), ("Event", "StartApp")]).await;
    assert_eq!(app.check(&id, OWN).await.status, 200);
    app.advance(20.0).await;
    assert_eq!(app.requested(), ["call"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_number_has_a_fixed_code_and_nothing_is_sent_to_it() {
    let env = vec![
        ("TEST_NUMBERS", "+15555550100:000000,+14155550188:1234".into()),
        ("COUNTRIES", "GB".into()),
        ("PHLO_ID", String::new()),
    ];
    let app = Stub::spawn(env).await;
    let created = app.post("/v1/verifications", json!({ "to": "+15555550100", "code": OWN })).await;
    assert_eq!((created.status, &created.body["test"]), (201, &json!(true)), "{created:?}");
    assert_eq!((&created.body["attempts"][0]["status"], &created.body["next"]), (&json!("delivered"), &Value::Null));
    app.advance(60.0).await;
    let called = app.attempt(created.id(), "call").await;
    assert_eq!((called.status, &called.body["attempts"][1]["status"]), (201, &json!("completed")), "{called:?}");
    assert_eq!(app.check(created.id(), "111111").await.body["result"], "incorrect");
    let by_number = app.post("/v1/checks", json!({ "to": "+15555550100", "code": "000000" })).await;
    assert_eq!(by_number.body["result"], "verified", "{by_number:?}");
    let found = app.post("/v1/verifications/search", json!({ "to": "+15555550100" })).await;
    assert_eq!(found.body["verifications"][0]["id"], created.id());
    let other = app.post("/v1/verifications", json!({ "to": "+14155550188" })).await;
    assert_eq!(app.check(other.id(), "1234").await.body["result"], "verified");
    app.post("/v1/verifications", json!({ "to": "+15555550101" })).await.assert_problem(422, "invalid_number");
    app.post("/v1/verifications", json!({ "to": "+14155550103" })).await.assert_problem(403, "country_not_allowed");
    assert!(app.asked().is_empty(), "{:?}", app.asked());
}
