//! Nonces of signed callbacks: each works once, for one body.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::plivo::signature;
use phlo_2fa::store::Links;
use phlo_2fa::verification::Verification;
use serde_json::{Value, json};

use crate::faulty_store::FaultyStore;
use crate::silent::{Silent, TOKEN, nonce, signed_v2_with, signed_v3_with};
use crate::stub::Stub;
use crate::support::redis_server::RedisServer;
use crate::support::{Answer, Setup, TestApp};

const OWN: &str = "8675309";

type Params<'a> = &'a [(&'a str, &'a str)];

/// Sends a callback signed in V3 with this nonce.
async fn call_back(app: &TestApp, path: &str, params: Params<'_>, nonce: &str) -> Answer {
    let request = app.keyless("POST", path).form(params);
    app.send(signed_v3_with(request, TOKEN, "POST", &format!("{}{path}", app.url), params, nonce)).await
}

/// Sends a callback signed in V2, which covers no body.
async fn told_v2(app: &TestApp, path: &str, params: Params<'_>, nonce: &str) -> Answer {
    let request = app.keyless("POST", path).form(params);
    app.send(signed_v2_with(request, TOKEN, &format!("{}{path}", app.url), nonce)).await
}

/// The whole record of a verification.
async fn whole(app: &TestApp, id: &str) -> std::sync::Arc<Verification> {
    app.engine.read(phlo_2fa::engine::Target::Proved(id.parse().unwrap())).await.unwrap().verification
}

async fn counted(app: &TestApp, kind: &str, result: &str) -> u64 {
    let text = app.keyless("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let sample = format!("phlo2fa_callbacks_total{{kind=\"{kind}\",result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&sample)?.parse().ok()).unwrap_or_else(|| panic!("no {sample}"))
}

/// A verification texted through the Message API, and the path of its reports.
async fn texted(app: &Stub) -> (String, String) {
    let created = app.open(json!({ "code": OWN, "escalation": "fixed+fail:500" })).await;
    (created.id().to_owned(), app.callback("message", "url"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_callback_is_accepted_and_changes_nothing() {
    let app = Stub::direct(Vec::new()).await;
    let (id, path) = texted(&app).await;
    let (sent, once) = ([("MessageUUID", "m1"), ("Status", "sent"), ("Sequence", "2")], nonce());
    assert_eq!(call_back(&app, &path, &sent, &once).await.status, 200);
    let before = whole(&app, &id).await;
    assert_eq!(before.attempts[0].status.as_str(), "sent");
    app.advance(5.0).await;
    let other_order = [sent[2], sent[0], sent[1]];
    for again in [&sent, &sent, &other_order] {
        assert_eq!(call_back(&app, &path, again, &once).await.status, 200);
    }
    assert_eq!(whole(&app, &id).await, before);
    assert_eq!((counted(&app, "message", "applied").await, counted(&app, "message", "repeated").await), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_with_another_body_is_refused_and_counted() {
    let app = Stub::direct(Vec::new()).await;
    let (id, path) = texted(&app).await;
    let (in_v3, in_v2, unknown) = (nonce(), nonce(), nonce());
    let sent = [("MessageUUID", "m1"), ("Status", "sent"), ("Units", "1")];
    assert_eq!(call_back(&app, &path, &sent, &in_v3).await.status, 200);
    assert_eq!(told_v2(&app, &path, &sent, &in_v2).await.status, 200);
    assert_eq!(told_v2(&app, &path, &[("Status", "read")], &unknown).await.status, 200);
    let before = whole(&app, &id).await;

    // V3 signs the characters but not where a key ends; V2 signs no parameter at all. A callback whose V3 headers
    // are stripped still has a valid V2 signature.
    let shifted = [("MessageUUIDm", "1"), ("Status", "sent"), ("Units", "1")];
    let stop = [("MessageUUID", "m1"), ("Status", "failed"), ("ErrorCode", "450")];
    let in_query = format!("{path}?a=b");
    let attacks = [
        call_back(&app, &path, &shifted, &in_v3).await,
        call_back(&app, &path, &stop, &in_v3).await,
        told_v2(&app, &path, &stop, &in_v3).await,
        told_v2(&app, &path, &stop, &in_v2).await,
        told_v2(&app, &path, &stop, &unknown).await,
        told_v2(&app, &path, &[], &in_v2).await,
        told_v2(&app, &in_query, &sent, &in_v2).await,
    ];
    for attack in &attacks {
        attack.assert_problem(401, "invalid_signature");
    }
    assert_eq!(counted(&app, "message", "replayed").await, attacks.len() as u64);
    assert_eq!(whole(&app, &id).await, before);
    // A callback with a new nonce counts.
    assert_eq!(call_back(&app, &path, &[("MessageUUID", "m1"), ("Status", "delivered")], &nonce()).await.status, 200);
    assert_eq!(whole(&app, &id).await.attempts[0].status.as_str(), "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_v2_signature_does_not_replace_an_invalid_v3_one() {
    let app = Stub::direct(Vec::new()).await;
    let (id, path) = texted(&app).await;
    let before = whole(&app, &id).await;
    let (url, params) = (format!("{}{path}", app.url), [("MessageUUID", "m1"), ("Status", "sent")]);
    for header in ["X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3", "X-Plivo-Signature-V3-Nonce"] {
        let request = app.keyless("POST", &path).form(&params).header(header, "x");
        let answer = app.send(signed_v2_with(request, TOKEN, &url, &nonce())).await;
        answer.assert_problem(401, "invalid_signature");
    }
    let both = nonce();
    let forged = app.keyless("POST", &path).form(&params);
    let forged = signed_v3_with(forged, "another-token", "POST", &url, &params, &both);
    app.send(signed_v2_with(forged, TOKEN, &url, &both)).await.assert_problem(401, "invalid_signature");
    assert_eq!(whole(&app, &id).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v2_signature_sent_beside_v3_is_refused_without_it() {
    let app = Stub::direct(Vec::new()).await;
    let (id, path) = texted(&app).await;
    let (url, params) = (format!("{}{path}", app.url), [("MessageUUID", "m1"), ("Status", "sent")]);
    let (v3, v2) = (nonce(), nonce());
    let genuine = || {
        let request = signed_v3_with(app.keyless("POST", &path).form(&params), TOKEN, "POST", &url, &params, &v3);
        signed_v2_with(request, TOKEN, &url, &v2)
    };
    assert_eq!(app.send(genuine()).await.status, 200);
    let before = whole(&app, &id).await;
    let stop = [("MessageUUID", "m1"), ("Status", "failed"), ("ErrorCode", "450")];
    told_v2(&app, &path, &stop, &v2).await.assert_problem(401, "invalid_signature");
    told_v2(&app, &path, &params, &v2).await.assert_problem(401, "invalid_signature");
    assert_eq!(app.send(genuine()).await.status, 200, "Plivo may repeat it");
    assert_eq!(whole(&app, &id).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_fixed_url_a_nonce_works_for_one_body() {
    let app = Silent::spawn().await;
    let (mine, other, never) = ("6f1c-mine", "6f1c-other", "6f1c-never");
    let mut ids = Vec::new();
    for (to, uuid) in [("+14155550103", mine), ("+14155550104", other)] {
        let created = app.post("/v1/verifications", json!({ "to": to, "escalation": "never" })).await;
        app.flow_says(created.id(), 0, "sms_sent", json!({ "message_uuid": uuid })).await;
        ids.push(created.id().to_owned());
    }
    let report = |uuid: &'static str, status: &'static str| [("MessageUUID", uuid), ("Status", status)];
    let path = "/plivo/message";
    let (known, parked, ignored) = (nonce(), nonce(), nonce());
    assert_eq!(call_back(&app, path, &report(mine, "sent"), &known).await.status, 200);
    assert_eq!(call_back(&app, path, &report(never, "sent"), &parked).await.status, 200);
    assert_eq!(call_back(&app, path, &report(mine, "teleported"), &ignored).await.status, 200);
    let before = [whole(&app, &ids[0]).await, whole(&app, &ids[1]).await];
    assert_eq!(before[0].attempts[0].status.as_str(), "sent");
    for _ in 0..3 {
        assert_eq!(call_back(&app, path, &report(mine, "sent"), &known).await.status, 200);
        assert_eq!(call_back(&app, path, &report(never, "sent"), &parked).await.status, 200);
        assert_eq!(call_back(&app, path, &report(mine, "teleported"), &ignored).await.status, 200);
    }
    for used in [&known, &parked, &ignored] {
        for attack in [report(mine, "failed"), report(other, "delivered"), report("none", "sent"), report(mine, "")] {
            call_back(&app, path, &attack, used).await.assert_problem(401, "invalid_signature");
        }
        call_back(&app, "/plivo/call", &[("CallUUID", mine), ("CallStatus", "busy")], used)
            .await
            .assert_problem(401, "invalid_signature");
    }
    assert_eq!([whole(&app, &ids[0]).await, whole(&app, &ids[1]).await], before);
    assert_eq!(counted(&app, "message", "replayed").await, 12);
    // A parked report is applied once, when its text becomes known.
    app.flow_says(&ids[1], 0, "sms_sent", json!({ "message_uuid": never })).await;
    assert_eq!(whole(&app, &ids[1]).await.attempts[0].status.as_str(), "sent");
    let before = app.read(&ids[1]).await;
    assert_eq!(call_back(&app, path, &report(never, "sent"), &parked).await.status, 200);
    assert_eq!(app.read(&ids[1]).await, before);
    // With the secret in the path no signature is needed, but the nonce of a given one counts.
    let by_secret = format!("/plivo/{}/message", crate::support::CALLBACK_SECRET);
    let once = nonce();
    assert_eq!(call_back(&app, &by_secret, &report(mine, "delivered"), &once).await.status, 200);
    call_back(&app, &by_secret, &report(mine, "failed"), &once).await.assert_problem(401, "invalid_signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_was_not_committed_counts_when_repeated() {
    let store = Arc::new(FaultyStore::default());
    let env = vec![("PHLO_ID", String::new()), ("PLIVO_WAIT", "30".into())];
    let app = TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550104", "escalation": "never" })).await;
    let uuid = created.body["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
    app.until(created.id(), "queued", |v| v["attempts"][0]["status"] == "queued").await;
    app.settled().await;
    let to = phlo_2fa::verification::AttemptRef {
        id: created.id().parse().unwrap(),
        attempt: phlo_2fa::verification::AttemptIndex::FIRST,
    };
    // If the first report comes before the outcome of the request, nothing links the UUID: such reports carry a ref. The fixed
    // URL needs the link.
    store.link(&uuid, to, Duration::from_secs(60)).await.unwrap();
    let reference = phlo_2fa::plivo::reference::issue(&app.keyring, to, phlo_2fa::plivo::reference::Purpose::Message);
    for (path, status) in [("/plivo/message".to_owned(), "sent"), (format!("/plivo/message/{reference}"), "delivered")]
    {
        let (params, once) = ([("MessageUUID", uuid.as_str()), ("Status", status)], nonce());
        for broken in [&store.away, &store.takes_no_commit] {
            broken.store(true, Ordering::SeqCst);
            call_back(&app, &path, &params, &once).await.assert_problem(503, "storage_unavailable");
            broken.store(false, Ordering::SeqCst);
        }
        assert_ne!(app.read(created.id()).await["attempts"][0]["status"], status);
        // Whether the nonce was claimed or not, it works for its own body only.
        assert_eq!(call_back(&app, &path, &params, &once).await.status, 200);
        assert_eq!(app.read(created.id()).await["attempts"][0]["status"], status);
        let swapped = [("MessageUUID", uuid.as_str()), ("Status", "failed")];
        call_back(&app, &path, &swapped, &once).await.assert_problem(401, "invalid_signature");
        let before = whole(&app, created.id()).await;
        assert_eq!(call_back(&app, &path, &params, &once).await.status, 200);
        assert_eq!(whole(&app, created.id()).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_replayed_swapped_and_forged_callbacks_have_no_effect() {
    let app = Stub::direct(Vec::new()).await;
    let (id, at_ref) = texted(&app).await;
    let uuid = app.read(&id).await["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
    let sent = [("MessageUUID", uuid.as_str()), ("Status", "sent")];
    let mut used = Vec::new();
    for n in 0..12 {
        let (path, once) = ([at_ref.as_str(), "/plivo/message"][n % 2], nonce());
        assert_eq!(call_back(&app, path, &sent, &once).await.status, 200);
        used.push((path, once));
    }
    let before = whole(&app, &id).await;
    let stop = [("MessageUUID", uuid.as_str()), ("Status", "failed"), ("ErrorCode", "450")];
    let lost = [("MessageUUID", uuid.as_str()), ("Status", "undelivered"), ("ErrorCode", "30")];
    for round in 0..20 {
        let attacks = (0..150).map(|n| {
            let ((path, once), body): (_, Params<'_>) = (&used[n % used.len()], [&stop, &lost][n / 3 % 2]);
            let (app, url) = (&app, format!("{}{path}", app.url));
            async move {
                match n % 3 {
                    0 => (200, call_back(app, path, &sent, once).await.status),
                    1 => (401, call_back(app, path, body, once).await.status),
                    _ if round % 2 == 0 => (401, told_v2(app, path, body, once).await.status),
                    _ => {
                        let request = app.keyless("POST", path).form(body);
                        let forged = signed_v3_with(request, "a-guess", "POST", &url, body, &nonce());
                        (401, app.send(forged).await.status)
                    }
                }
            }
        });
        for (expected, status) in join_all(attacks).await {
            assert_eq!(status, expected);
        }
    }
    assert_eq!(whole(&app, &id).await, before);
    app.advance(60.0).await;
    assert_eq!((app.requested(), app.read(&id).await["status"].clone()), (vec!["message"], json!("pending")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_answer_request_gets_the_code_for_a_few_seconds_only() {
    let app = Stub::direct(Vec::new()).await;
    let id = app.open(json!({ "channel": "call", "code": OWN })).await.id().to_owned();
    let (answer, report) = (app.callback("call", "answer_url"), app.callback("call", "hangup_url"));
    let fetch = async |params: Params<'_>, nonce: &str| {
        let request = app.keyless("POST", &answer).form(params);
        let url = format!("{}{answer}", app.url);
        let response = signed_v3_with(request, TOKEN, "POST", &url, params, nonce).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap().contains("say-as"))
    };
    let started = [("CallUUID", "c1"), ("Event", "StartApp"), ("CallStatus", "in-progress")];
    let (first, pressed) = (nonce(), nonce());
    assert_eq!(fetch(&started, &first).await, (200, true));
    let before = whole(&app, &id).await;
    app.advance(14.0).await;
    assert_eq!(fetch(&started, &first).await, (200, true), "the first answer may have been lost");
    let swapped = [("CallUUID", "c1"), ("Digits", "1")];
    assert_eq!(fetch(&swapped, &first).await, (401, false), "another body");
    app.advance(2.0).await;
    assert_eq!(fetch(&started, &first).await, (200, false), "a replay by another sender");
    assert_eq!(whole(&app, &id).await, before);
    assert_eq!(before.attempts[0].status.as_str(), "answered");

    // A key press and a retry with a new signature are answered with the code.
    assert_eq!(fetch(&swapped, &pressed).await, (200, true));
    assert_eq!(fetch(&started, &nonce()).await, (200, true));
    assert_eq!(
        whole(&app, &id).await.attempts[0].heard_at,
        before.attempts[0].heard_at + std::time::Duration::from_secs(16)
    );
    let ended = [("CallUUID", "c1"), ("CallStatus", "completed"), ("HangupCauseCode", "4010"), ("Duration", "17")];
    assert_eq!(call_back(&app, &report, &ended, &nonce()).await.status, 200);
    assert_eq!((fetch(&started, &first).await, fetch(&swapped, &pressed).await), ((200, false), (200, false)));
    assert_eq!(fetch(&started, &nonce()).await, (200, false), "the call has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_callback_is_recognised_by_its_query() {
    let app = Stub::direct(Vec::new()).await;
    let (id, path) = texted(&app).await;
    let once = nonce();
    let get = async |query: &str| {
        let path = format!("{path}?{query}");
        let url = format!("{}{path}", app.url);
        let signature = signature::sign(TOKEN, &signature::v2_payload(&url, &once));
        let request = app.keyless("GET", &path).header("X-Plivo-Signature-V2", signature);
        app.send(request.header("X-Plivo-Signature-V2-Nonce", &once)).await
    };
    assert_eq!(get("MessageUUID=m1&Status=sent").await.status, 200);
    assert_eq!(get("MessageUUID=m1&Status=sent").await.status, 200);
    let before = app.read(&id).await;
    assert_eq!(before["attempts"][0]["status"], "sent");
    get("MessageUUID=m1&Status=failed&ErrorCode=450").await.assert_problem(401, "invalid_signature");
    assert_eq!(app.read(&id).await, before);
    assert_eq!(before["status"], Value::from("pending"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonces_and_keys_cost_few_exchanges_with_redis() {
    let redis = RedisServer::start();
    let app = Stub::direct(vec![("REDIS_URL", redis.url())]).await;
    let (id, at_ref) = texted(&app).await;
    let uuid = app.read(&id).await["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
    app.settled().await;
    // Scripts are loaded at their first use.
    call_back(&app, "/plivo/message", &[("MessageUUID", "none"), ("Status", "sent")], &nonce()).await;
    keyed_search(&app).await;
    let mut monitor = BufReader::new(redis.send(&["MONITOR"])).lines();
    assert_eq!(monitor.next().unwrap().unwrap(), "+OK");
    // Counts the commands for records, links, nonces and keys; timers and learned routes are left out.
    let mut asked = |mark: &str| {
        redis.command(&["ECHO", mark]);
        let lines = monitor.by_ref().map(Result::unwrap).take_while(|line| !line.contains(mark));
        let ours = |line: &String| [":v:", ":link", "{n:", "{i:"].iter().any(|key| line.contains(key));
        lines
            .filter(|line| !line.contains("lua]") && !line.contains("STRLEN") && !line.contains("KEYS") && ours(line))
            .count()
    };
    let fixed = "/plivo/message";
    let told_of = |status: &'static str| [("MessageUUID", uuid.clone()), ("Status", status.to_owned())];
    let (first, second) = (nonce(), nonce());
    let record = redis.command(&["KEYS", "phlo2fa:*:v:*"]);
    let bytes = || redis.command(&["STRLEN", &record]).parse::<usize>().unwrap();
    println!("a record: {} bytes", bytes());
    for (mark, path, status, once, exchanges) in [
        ("at a fixed URL", fixed, "queued", &first, 2),
        ("at a fixed URL again", fixed, "queued", &first, 2),
        ("at a fixed URL with another body", fixed, "sent", &first, 1),
        ("at a ref", &at_ref, "sent", &second, 1),
        ("at a ref again", &at_ref, "sent", &second, 1),
    ] {
        let params = told_of(status);
        let params: Vec<_> = params.iter().map(|(name, value)| (*name, value.as_str())).collect();
        call_back(&app, path, &params, once).await;
        assert_eq!(asked(mark), exchanges, "{mark}");
        println!("{mark}: {} bytes", bytes());
    }
    let check = |key: Option<&'static str>| {
        let request =
            app.request("POST", &format!("/v1/verifications/{id}/checks")).json(&json!({ "code": "1111111" }));
        app.send(if let Some(key) = key { request.header("Idempotency-Key", key) } else { request })
    };
    for (mark, key, exchanges) in
        [("without a key", None, 1), ("with a key", Some("k"), 3), ("with the key again", Some("k"), 1)]
    {
        assert_eq!((check(key).await.status, asked(mark)), (200, exchanges), "{mark}");
    }
}

async fn keyed_search(app: &TestApp) {
    let request = app.request("POST", "/v1/verifications/search").header("Idempotency-Key", "search");
    assert_eq!(app.send(request.json(&json!({ "to": "+14155550103" }))).await.status, 200);
}
