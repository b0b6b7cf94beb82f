//! Sessions and purposes: what creations for one number share, and what each has alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use phlo_2fa::store::redis::Redis;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::{Answer, Setup, TestApp, redis_server::RedisServer, wrong};

const TO: &str = "+14155550103";
const CODE: &str = "042917";

async fn create(app: &TestApp, mut body: Value) -> Answer {
    body["to"] = json!(TO);
    app.post("/v1/verifications", body).await
}

async fn by_number(app: &TestApp, mut body: Value) -> Answer {
    body["to"] = json!(TO);
    app.post("/v1/checks", body).await
}

async fn cancel(app: &TestApp, id: &str) -> Answer {
    app.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_proves_only_its_own_session() {
    let app = TestApp::spawn().await;
    let attacker = create(&app, json!({ "code": CODE, "metadata": { "who": "first" } })).await;
    // Creations of one millisecond are listed in the order of their ids.
    app.advance(0.001).await;
    let owner = create(&app, json!({ "metadata": { "who": "second" } })).await;
    assert_eq!((attacker.status, owner.status, &owner.body["joined"]), (201, 200, &json!(true)));
    assert_ne!(attacker.id(), owner.id());
    assert_ne!(attacker.body["client_token"], owner.body["client_token"]);
    assert_eq!(owner.body["metadata"], json!({ "who": "second" }));

    let verified = app.check(owner.id(), CODE).await;
    assert_eq!((&verified.body["result"], verified.id()), (&json!("verified"), owner.id()));
    let seen = app.read(attacker.id()).await;
    assert_eq!((&seen["status"], &seen["ended_by"]), (&json!("canceled"), &json!("verified_elsewhere")), "{seen}");
    assert_eq!(app.read(owner.id()).await["ended_by"], Value::Null);
    app.check(attacker.id(), CODE).await.assert_problem(409, "verification_canceled");
    app.check(owner.id(), CODE).await.assert_problem(409, "already_verified");

    let found = app.post("/v1/verifications/search", json!({ "to": TO })).await.body;
    let found: Vec<_> = found["verifications"].as_array().unwrap().iter().map(|v| (&v["id"], &v["status"])).collect();
    let expected = [(&owner.body["id"], &json!("verified")), (&attacker.body["id"], &json!("canceled"))];
    assert_eq!(found, expected, "newest first, each as it ended");
    let canceled = app.get("/v1/verifications?status=canceled").await.body;
    assert_eq!(canceled["verifications"][0]["id"], attacker.id());

    let timeline = app.get(&format!("/v1/verifications/{}/timeline", attacker.id())).await.body;
    assert_eq!(timeline["id"], attacker.id());
    let last = timeline["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "ended").unwrap();
    assert_eq!((&last["status"], &last["ended_by"]), (&json!("canceled"), &json!("verified_elsewhere")), "{timeline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_own_session() {
    let app = TestApp::spawn().await;
    let (first, second) = (create(&app, json!({ "code": CODE })).await, create(&app, json!({})).await);
    app.check(first.id(), &wrong(CODE)).await;
    cancel(&app, second.id()).await;
    let token = second.body["client_token"].as_str().unwrap();
    let of_other = format!("/v1/verifications/{}/stream?client_token={token}", first.id());
    assert_eq!(app.keyless("GET", &of_other).send().await.unwrap().status(), 404);
    let own = format!("/v1/verifications/{}/stream?client_token={token}", second.id());
    let stream = app.keyless("GET", &own).send().await.unwrap().text().await.unwrap();
    assert!(stream.contains(second.id()) && !stream.contains(first.id()), "{stream}");
    assert!(stream.contains(r#""event":"joined""#) && !stream.contains("code_incorrect"), "{stream}");
    assert_eq!(app.read(first.id()).await["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_cannot_use_up_the_checks_of_another() {
    let app = TestApp::spawn().await;
    let (first, second) = (create(&app, json!({ "code": CODE })).await, create(&app, json!({})).await);
    for _ in 0..5 {
        app.check(first.id(), &wrong(CODE)).await;
    }
    app.check(first.id(), CODE).await.assert_problem(429, "max_checks_reached");
    let still = app.read(second.id()).await;
    assert_eq!((&still["status"], &still["checks_remaining"]), (&json!("pending"), &json!(5)));
    assert_eq!(app.check(second.id(), CODE).await.body["result"], "verified");
    assert_eq!(app.read(first.id()).await["status"], "max_checks_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_code_is_a_conflict_and_another_purpose_a_code_of_its_own() {
    let app = TestApp::spawn().await;
    let signin = create(&app, json!({ "code": CODE, "purpose": "signin" })).await;
    create(&app, json!({ "code": "111111", "purpose": "signin" })).await.assert_problem(409, "code_conflict");
    assert_eq!(create(&app, json!({ "code": CODE, "purpose": "signin" })).await.status, 200, "the same code");
    let payout = create(&app, json!({ "code": "222222", "purpose": "payout:4711" })).await;
    assert_eq!((payout.status, &payout.body["joined"]), (201, &json!(false)), "{payout:?}");
    app.settled().await;
    assert_eq!(app.plivo_log("0103").await.len(), 2, "one text for each purpose");
    assert_eq!(app.check(payout.id(), CODE).await.body["result"], "incorrect");
    assert_eq!(app.check(payout.id(), "222222").await.body["result"], "verified");
    assert_eq!(app.read(signin.id()).await["status"], "pending", "a payout proves no sign-in");
    let long = create(&app, json!({ "purpose": "x".repeat(65) })).await;
    long.assert_problem(422, "invalid_parameter");
    assert_eq!(long.body["errors"][0]["pointer"], "/purpose");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_by_number_must_say_whose_code_it_is() {
    let app = TestApp::spawn().await;
    let signin = create(&app, json!({ "code": CODE, "purpose": "signin" })).await;
    let payout = create(&app, json!({ "code": "222222", "purpose": "payout" })).await;
    by_number(&app, json!({ "code": CODE })).await.assert_problem(409, "ambiguous_check");
    by_number(&app, json!({ "code": CODE, "purpose": "none" })).await.assert_problem(404, "verification_not_found");
    let named = by_number(&app, json!({ "code": "222222", "purpose": "payout" })).await;
    assert_eq!((&named.body["result"], named.id()), (&json!("verified"), payout.id()));
    let joined = create(&app, json!({ "purpose": "signin" })).await;
    by_number(&app, json!({ "code": CODE, "purpose": "signin" })).await.assert_problem(409, "ambiguous_check");
    by_number(&app, json!({ "code": CODE })).await.assert_problem(409, "ambiguous_check");
    cancel(&app, signin.id()).await;
    let only = by_number(&app, json!({ "code": CODE })).await;
    assert_eq!((&only.body["result"], only.id()), (&json!("verified"), joined.id()), "one is open");
    by_number(&app, json!({ "code": CODE })).await.assert_problem(409, "already_verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn purposes_share_the_guesses_of_the_number() {
    let env = vec![("LIMIT_GUESSES", "6/1h".to_owned()), ("LIMIT_NUMBER", "100/1m".to_owned())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let of = async |purpose: &str| create(&app, json!({ "code": CODE, "purpose": purpose })).await.id().to_owned();
    let (one, other) = (of("one").await, of("other").await);
    for id in [&one, &other, &one, &other, &one, &other] {
        assert_eq!(app.check(id, &wrong(CODE)).await.body["result"], "incorrect");
    }
    for id in [&one, &other] {
        let refused = app.check(id, CODE).await;
        refused.assert_problem(429, "rate_limited");
        assert_eq!(refused.body["scope"], "guesses");
    }
    let third = of("third").await;
    app.check(&third, CODE).await.assert_problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_for_one_purpose_frees_the_guesses_of_another() {
    let env = vec![("LIMIT_GUESSES", "3/1h,20/1d".to_owned())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let of = async |purpose: &str| create(&app, json!({ "code": CODE, "purpose": purpose })).await.id().to_owned();
    let (one, other) = (of("one").await, of("other").await);
    for _ in 0..2 {
        app.check(&one, &wrong(CODE)).await;
    }
    assert_eq!(app.check(&other, CODE).await.body["result"], "verified");
    for _ in 0..2 {
        assert_eq!(app.check(&one, &wrong(CODE)).await.body["result"], "incorrect");
    }
    assert_eq!(app.check(&one, CODE).await.body["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn canceling_one_session_leaves_what_is_planned_to_the_other() {
    let app = TestApp::spawn().await;
    let (first, second) = (create(&app, json!({ "code": CODE })).await, create(&app, json!({})).await);
    assert_eq!(cancel(&app, first.id()).await.body["status"], "canceled");
    app.advance(40.0).await;
    assert_eq!(app.spoken_code("0103").await, CODE, "the other is called");
    assert_eq!(app.check(second.id(), CODE).await.body["result"], "verified");
    let seen = app.read(first.id()).await;
    assert_eq!((&seen["status"], &seen["ended_by"]), (&json!("canceled"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_forgets_every_session_and_purpose() {
    let app = TestApp::spawn().await;
    for body in [json!({}), json!({}), json!({ "purpose": "payout" }), json!({})] {
        assert!(create(&app, body).await.status <= 201);
    }
    app.settled().await;
    assert_eq!(app.post("/v1/erasures", json!({ "to": TO })).await.status, 200);
    assert_eq!(app.get("/v1/verifications").await.body["verifications"], json!([]));
    assert_eq!(create(&app, json!({})).await.status, 201);
}

/// Starts two replicas on one Redis.
async fn replicas(redis: &RedisServer) -> [TestApp; 2] {
    let replica = async || {
        let store = Redis::connect(&SecretString::from(redis.url()), None, 16).unwrap();
        let key = "b2xk".repeat(11);
        let many = "100000/1m";
        let env = [("SECRET_KEY", &*key), ("LIMIT_NUMBER", many), ("LIMIT_PREFIX", many), ("LIMIT_GUESSES", "1000/1d")];
        let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
        TestApp::spawn_with(Setup { env, store: Some(Arc::new(store)), ..Setup::default() }).await
    };
    [replica().await, replica().await]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hundred_sessions_on_two_replicas_each_ends_by_its_own_check_alone() {
    let redis = RedisServer::start();
    let replicas = replicas(&redis).await;
    let at = |n: usize| &replicas[n % 2];
    for round in 0..13_usize {
        let created = join_all((0..16).map(|n| create(at(n), json!({ "code": CODE })))).await;
        let firsts = created.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((firsts, created.iter().filter(|answer| answer.status == 200).count()), (1, 15), "{created:?}");
        let ids: Vec<_> = created.iter().map(Answer::id).collect();
        let ids = &ids;
        // Right and wrong codes at once, each session asked on both replicas.
        let answers = join_all((0..32).map(|n| async move {
            let code = if (n + round) % 3 == 0 { CODE.to_owned() } else { wrong(CODE) };
            (n % 16, code == CODE, at(n + n / 16).check(ids[n % 16], &code).await)
        }))
        .await;
        let verified: Vec<_> = answers.iter().filter(|(.., answer)| answer.body["result"] == "verified").collect();
        assert_eq!(verified.len(), 1, "one check verifies: {answers:?}");
        let (winner, is_right, _) = verified[0];
        assert!(is_right);
        let mut statuses = BTreeMap::new();
        for (n, id) in ids.iter().enumerate() {
            let v = at(n).read(id).await;
            let expected = if n == *winner { "verified" } else { "canceled" };
            assert_eq!(v["status"], expected, "{v}");
            *statuses.entry(v["ended_by"].to_string()).or_insert(0) += 1;
        }
        assert_eq!(statuses.len(), 2, "{statuses:?}");
        replicas[0].settled().await;
        replicas[1].settled().await;
    }
    let texts = [replicas[0].plivo_log("0103").await, replicas[1].plivo_log("0103").await].concat();
    assert_eq!(texts.len(), 13, "one text for each sending");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_is_listed_under_its_own_status() {
    let app = TestApp::spawn().await;
    let ids = async |status: &str| {
        let page = app.get(&format!("/v1/verifications?status={status}")).await;
        Vec::from_iter(
            page.body["verifications"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap().to_owned()),
        )
    };
    let first = create(&app, json!({ "code": CODE })).await.id().to_owned();
    let second = create(&app, json!({})).await.id().to_owned();
    assert_eq!(ids("pending").await.len(), 2);
    app.check(&second, CODE).await;
    assert_eq!((ids("verified").await, ids("canceled").await), (vec![second], vec![first]));
    assert!(ids("pending").await.is_empty() && ids("expired").await.is_empty());
}
