//! `POST /v1/erasures`: a number is erased, and no later event restores it.

use std::sync::Arc;

use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::route_model::Insight;
use phlo_2fa::store::{Commit, CommitMode, CommitOutcome, Links, Memory, PendingReport, PurposeKey, Records, record};
use phlo_2fa::verification::{
    Code, Context, Event, Mode, ReportFacts, Request, Rules, SessionIndex, Status, TextReport, VerificationId, decide,
    open,
};
use serde_json::{Value, json};

use crate::silent::Silent;
use crate::stub::{Says, Stub};
use crate::support::{Answer, CALLBACK_SECRET, Setup, TestApp, wrong};

const ERASURES: &str = "/v1/erasures";
const TO: &str = "+14155550103";

async fn erase(app: &TestApp, to: &str) -> Value {
    let answer = app.post(ERASURES, json!({ "to": to })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn search(app: &TestApp, to: &str) -> Value {
    app.post("/v1/verifications/search", json!({ "to": to })).await.body["verifications"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_affects_only_the_app_that_requests_it() {
    let app = Silent::spawn_with(vec![("API_KEYS", "shop:the-secret-of-shop-000,bank:the-secret-of-bank-000".into())]);
    let app = app.await;
    let by = |secret: &'static str, method: &'static str, path: &str, body: Value| {
        app.send(app.keyless(method, path).bearer_auth(secret).json(&body))
    };
    let (shop, bank) = ("the-secret-of-shop-000", "the-secret-of-bank-000");
    let create = async |secret, to: &str| {
        let created = by(secret, "POST", "/v1/verifications", json!({ "to": to, "code": "042917" })).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.id().to_owned()
    };
    let (first, other, theirs) = (create(shop, TO).await, create(shop, "+14155550104").await, create(bank, TO).await);
    let check = json!({ "to": TO, "code": "042917" });
    assert_eq!(by(shop, "POST", "/v1/checks", check.clone()).await.body["result"], "verified");
    let second = create(shop, TO).await;
    let erased = by(shop, "POST", ERASURES, json!({ "to": TO })).await;
    assert_eq!((erased.status, erased.body), (200, json!({ "erased": 2 })));
    for id in [&first, &second] {
        for path in ["", "/timeline", "/stream"] {
            let gone = by(shop, "GET", &format!("/v1/verifications/{id}{path}"), Value::Null).await;
            gone.assert_problem(404, "verification_not_found");
        }
    }
    by(shop, "POST", "/v1/checks", check.clone()).await.assert_problem(404, "verification_not_found");
    let listed = by(shop, "GET", "/v1/verifications", Value::Null).await.body;
    assert_eq!(
        (listed["verifications"].as_array().unwrap().len(), &listed["verifications"][0]["id"]),
        (1, &json!(other))
    );
    for _ in 0..2 {
        assert_eq!(by(shop, "POST", ERASURES, json!({ "to": TO })).await.body, json!({ "erased": 0 }));
    }
    let kept = by(bank, "GET", &format!("/v1/verifications/{theirs}"), Value::Null).await;
    assert_eq!(kept.body["status"], "pending", "another app's");
    assert_eq!(by(bank, "POST", "/v1/checks", check).await.body["result"], "verified");
    let anew = create(shop, TO).await;
    assert!(![first, second].contains(&anew));
    assert_eq!(by(shop, "GET", &format!("/v1/verifications/{anew}"), Value::Null).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_cancels_the_open_verification_and_its_call() {
    let app = Stub::direct(vec![("PLIVO_WAIT", "20".into())]).await;
    let created = app.open(json!({ "channel": "call", "code": "042917" })).await;
    let uuid = created.body["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
    let (answer, report) = (app.callback("call", "answer_url"), app.callback("call", "hangup_url"));
    assert_eq!(erase(&app, TO).await, json!({ "erased": 1 }));
    assert_eq!(app.requested(), ["call", "hangup"]);
    assert!(app.last("hangup").path.contains(&uuid));

    // Later callbacks are accepted without effect.
    let ended = [("CallUUID", uuid.as_str()), ("CallStatus", "no-answer"), ("Direction", "outbound")];
    assert_eq!(app.plivo_posts(&report, &ended).await.status, 200);
    assert_eq!(app.plivo_posts(&format!("/plivo/{CALLBACK_SECRET}/call"), &ended).await.status, 200);
    let (status, _, said) = app.plivo_fetches(&answer, &[("CallUUID", &uuid), ("CallStatus", "in-progress")]).await;
    assert!(status != 500 && !said.contains("9. 1. 7") && !said.contains("042917"), "{status} {said}");
    for _ in 0..40 {
        app.advance(15.0).await;
    }
    app.settled().await;
    assert_eq!(app.requested(), ["call", "hangup"]);
    assert_eq!(search(&app, TO).await, json!([]));
    app.get(&format!("/v1/verifications/{}", created.id())).await.assert_problem(404, "verification_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_erasure_a_request_in_flight_restores_nothing() {
    for channel in ["sms", "call"] {
        let store = Arc::new(Memory::default());
        let app = Stub::direct_on(store.clone(), vec![("PLIVO_WAIT", "0".into())]).await;
        app.says("message", &[Says::Late]);
        app.says("call", &[Says::Late]);
        let created = app.open(json!({ "channel": channel })).await;
        app.until_asked(1).await;
        assert_eq!(created.body["attempts"][0]["status"], "triggering");
        assert_eq!(erase(&app, TO).await, json!({ "erased": 1 }));
        app.settled().await;
        // The call would still ring, so it is canceled.
        let apis = app.requested();
        assert_eq!(apis, if channel == "sms" { vec!["message"] } else { vec!["call", "hangup"] });
        assert_eq!(search(&app, TO).await, json!([]));
        app.get(&format!("/v1/verifications/{}", created.id())).await.assert_problem(404, "verification_not_found");
        assert_eq!(store.claim_due(far(), std::time::Duration::ZERO, 9).await.unwrap().records, []);
        if channel == "call" {
            let path = app.last("hangup").path;
            let uuid = path.trim_end_matches('/').rsplit('/').next().unwrap();
            let report = PendingReport::Text(TextReport::Sent, ReportFacts::default());
            assert_eq!(store.find_or_keep(uuid, &report).await.unwrap(), None, "the call's UUID still leads to it");
        }
    }
}

/// Later than any due time.
fn far() -> phlo_2fa::time::Timestamp {
    phlo_2fa::time::Timestamp::from_millis(i64::MAX / 1000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_report_leaves_no_link_to_an_erased_verification() {
    let store = Arc::new(Memory::default());
    let app = TestApp::spawn_with(Setup { store: Some(store.clone()), ..Setup::default() }).await;
    let created = app.create("0103").await;
    app.until(created.id(), "sent", |v| v["attempts"][0]["status"] == "sent").await;
    let uuid = app.read(created.id()).await["attempts"][0]["provider_id"].as_str().unwrap().to_owned();
    assert_eq!(erase(&app, TO).await, json!({ "erased": 1 }));
    app.settled().await;
    let finds = async |uuid: &str| {
        store
            .find_or_keep(uuid, &PendingReport::Text(TextReport::Sent, ReportFacts::default()))
            .await
            .unwrap()
            .is_some()
    };
    assert!(!finds(&uuid).await);
    // The flow's node reports another text of that attempt.
    let to = phlo_2fa::verification::AttemptRef {
        id: created.id().parse().unwrap(),
        attempt: phlo_2fa::verification::AttemptIndex::FIRST,
    };
    let reference = phlo_2fa::plivo::reference::issue(&app.keyring, to, phlo_2fa::plivo::reference::Purpose::Phlo);
    let body = json!({ "ref": reference, "event": "sms_sent", "message_uuid": "a-late-uuid" });
    let late = app.send(app.keyless("POST", "/plivo/phlo").bearer_auth(CALLBACK_SECRET).json(&body)).await;
    assert_eq!(late.status, 200, "{late:?}");
    assert!(!finds("a-late-uuid").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_resets_neither_limits_nor_guesses() {
    let limits = vec![("LIMIT_NUMBER", "6/10m".into()), ("LIMIT_GUESSES", "3/1d".into())];
    let app = Silent::spawn_with(limits).await;
    let create = async || app.post("/v1/verifications", json!({ "to": TO, "code": "042917" })).await;
    let guess = async |v: &Answer| app.check(v.id(), &wrong("042917")).await;
    for _ in 0..2 {
        let v = create().await;
        assert_eq!((v.status, guess(&v).await.status), (201, 200));
        app.post(&format!("/v1/verifications/{}/cancel", v.id()), json!({})).await;
    }
    assert_eq!(erase(&app, TO).await, json!({ "erased": 2 }));
    let v = create().await;
    assert_eq!((v.status, guess(&v).await.status), (201, 200), "the third verification");
    // Neither repeated erasures nor an open verification change that.
    for _ in 0..3 {
        assert_eq!(erase(&app, TO).await, json!({ "erased": 1 }));
        let v = create().await;
        let refused = guess(&v).await;
        refused.assert_problem(429, "rate_limited");
        assert_eq!(refused.body["scope"], "guesses");
        app.check(v.id(), "042917").await.assert_problem(429, "rate_limited");
    }
    assert_eq!(erase(&app, TO).await, json!({ "erased": 1 }));
    let seventh = create().await;
    seventh.assert_problem(429, "rate_limited");
    assert_eq!(seventh.body["scope"], "number");
    app.advance(86_500.0).await;
    let v = create().await;
    assert_eq!(guess(&v).await.body["result"], "incorrect", "a day later");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_includes_records_under_an_older_key() {
    let (store, keys) = (Arc::new(Memory::default()), ["b2xk", "bmV3"].map(|half| half.repeat(11)));
    let spawn = async |key: usize, previous: &str| {
        let env = vec![
            ("SECRET_KEY", keys[key].clone()),
            ("SECRET_KEY_PREVIOUS", previous.to_owned()),
            ("LIMIT_GUESSES", "2/1d".into()),
        ];
        TestApp::spawn_with(Setup { env, store: Some(store.clone()), ..Setup::default() }).await
    };
    let body = json!({ "to": TO, "code": "042917" });
    let before = spawn(0, "").await;
    let ended = before.post("/v1/verifications", body.clone()).await;
    before.check(ended.id(), &wrong("042917")).await;
    before.post(&format!("/v1/verifications/{}/cancel", ended.id()), json!({})).await;
    let open = before.post("/v1/verifications", body.clone()).await;
    before.settled().await;

    let after = spawn(1, &keys[0]).await;
    // A check under the new key of a record under the old one.
    assert_eq!(after.check(open.id(), &wrong("042917")).await.status, 200);
    assert_eq!(erase(&after, TO).await, json!({ "erased": 2 }));
    for id in [ended.id(), open.id()] {
        after.get(&format!("/v1/verifications/{id}")).await.assert_problem(404, "verification_not_found");
    }
    let v = after.post("/v1/verifications", body).await;
    assert_eq!((v.status, &v.body["joined"]), (201, &json!(false)), "{v:?}");
    assert_eq!(after.check(v.id(), "042917").await.body["scope"], "guesses");
    assert_eq!(erase(&after, TO).await, json!({ "erased": 1 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_of_a_number_are_erased() {
    let app = Silent::spawn_with(vec![("TEST_NUMBERS", format!("{TO}:000000"))]).await;
    for _ in 0..230 {
        let v = app.post("/v1/verifications", json!({ "to": TO })).await;
        assert_eq!(app.check(v.id(), "000000").await.body["result"], "verified");
    }
    assert!(app.post("/v1/verifications/search", json!({ "to": TO })).await.body["next_cursor"].is_string());
    let newest = search(&app, TO).await[0].clone();
    let cursor = format!("99999999999999-{}", newest["id"].as_str().unwrap());
    let erased = app.post(ERASURES, json!({ "to": TO, "cursor": cursor })).await;
    assert_eq!(erased.body, json!({ "erased": 230 }));
    assert_eq!(app.get("/v1/verifications").await.body["verifications"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_verifications_are_erased_in_steps() {
    const MANY: u64 = 4_050;
    let store = Arc::new(Memory::default());
    let app = Stub::direct_on(store.clone(), Vec::new()).await;
    let (keys, rules, insight) = (&app.keyring, Rules::default(), Insight::default());
    let now = app.clock.now().await.unwrap();
    let to = PhoneNumber::parse(TO).unwrap();
    let number = keys.number_key("demo", &to);
    let mut previous = None;
    for n in 1..=MANY {
        let request = Request {
            mode: Mode::Sms,
            ..Request::new(
                VerificationId::new(number.shard(), u128::from(n)),
                "demo",
                to.clone(),
                Code::parse("042917").unwrap(),
            )
        };
        let context = Context { now, insight: &insight, barred: &[], session: SessionIndex::FIRST };
        let opened = open(request, &rules, &context).after;
        let ended = decide(&opened, &[Event::Cancel], &rules, &context).after;
        let commit = Commit {
            id: ended.id,
            app: ended.app.clone(),
            number,
            purpose: PurposeKey::default(),
            mode: CommitMode::Create { previous },
            sealed: record::encode(&ended, keys).unwrap(),
            created_at: ended.created_at,
            due: None,
            ttl: std::time::Duration::from_secs(600),
            guesses: None,
            index_ttl: Some(std::time::Duration::from_secs(600)),
            session: None,
            status: Status::Canceled,
            ended: Vec::new(),
            verified_ttl: None,
            increments: Vec::new(),
            links: Vec::new(),
            longest_ttl: std::time::Duration::from_secs(600),
            now,
        };
        assert_eq!(store.commit(&commit).await.unwrap(), CommitOutcome::Committed);
        previous = Some(ended.id);
    }
    let first = app.post(ERASURES, json!({ "to": TO })).await.body;
    assert_eq!(first["erased"], 4_000, "{first}");
    let rest = app.post(ERASURES, json!({ "to": TO, "cursor": first["next_cursor"] })).await.body;
    assert_eq!(rest, json!({ "erased": MANY - 4_000 }));
    assert_eq!(search(&app, TO).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_erasures_and_creations_leave_nothing_behind() {
    let app = Silent::spawn_with(vec![("LIMIT_NUMBER", "none".into()), ("LIMIT_PREFIX", "none".into())]).await;
    let (mut created, mut erased) = (0, 0);
    for _ in 0..10 {
        let create = || app.post("/v1/verifications", json!({ "to": TO }));
        let forget = || app.post(ERASURES, json!({ "to": TO }));
        let (one, two, first, second) = tokio::join!(create(), create(), forget(), forget());
        for answer in [one, two] {
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            created += usize::from(answer.status == 201);
        }
        for answer in [first, second] {
            assert_eq!(answer.status, 200, "{answer:?}");
            erased += answer.body["erased"].as_u64().unwrap() as usize;
        }
    }
    erased += erase(&app, TO).await["erased"].as_u64().unwrap() as usize;
    assert_eq!(erased, created, "each verification is erased once");
    assert_eq!(search(&app, TO).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_checks_key_parameters_and_idempotency() {
    let app = Silent::spawn_with(vec![("TEST_NUMBERS", "+15555550142:000000".into())]).await;
    for to in ["4155550103", "+1 415 555 0103", "+999999999999", "", "+1415555010\u{0663}"] {
        app.post(ERASURES, json!({ "to": to })).await.assert_problem(422, "invalid_number");
    }
    for body in [json!({}), json!({ "to": null }), json!({ "to": TO, "cursor": "x" })] {
        app.post(ERASURES, body).await.assert_problem(422, "invalid_parameter");
    }
    let unknown = app.post(ERASURES, json!({ "to": TO, "id": "x" })).await;
    assert!(matches!(unknown.status, 400 | 422), "{unknown:?}");
    app.send(app.keyless("POST", ERASURES).json(&json!({ "to": TO }))).await.assert_problem(401, "unauthenticated");
    app.get(ERASURES).await.assert_problem(405, "method_not_allowed");
    let test = app.post("/v1/verifications", json!({ "to": "+15555550142" })).await;
    assert_eq!(test.status, 201, "{test:?}");
    assert_eq!(erase(&app, "+15555550142").await, json!({ "erased": 1 }));

    app.open(json!({})).await;
    let keyed = || app.send(app.request("POST", ERASURES).header("Idempotency-Key", "k").json(&json!({ "to": TO })));
    let (first, again) = (keyed().await, keyed().await);
    assert_eq!((first.status, first.body), (200, json!({ "erased": 1 })));
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &json!({ "erased": 1 })));
}
