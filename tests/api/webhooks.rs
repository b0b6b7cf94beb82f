//! Webhooks, at a real receiver.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::receiver::{Delivery, Receiver, SECRET};
use crate::support::{Setup, TestApp, wrong};

const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

async fn spawn_with(url: &str, more: &[(&'static str, &str)]) -> TestApp {
    let env = [("WEBHOOK_URL", url), ("WEBHOOK_SECRETS", SECRET), ("WEBHOOK_ALLOW_PRIVATE", "true")];
    let env = env.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect();
    TestApp::spawn_with(Setup { env, ..Setup::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_event_is_signed_with_each_secret() {
    let receiver = Receiver::start();
    let both = format!("{SECRET},{OTHER_SECRET}");
    let app = spawn_with(&receiver.url, &[("WEBHOOK_SECRETS", &both)]).await;
    let tested = app.post("/v1/webhooks/test", json!({})).await;
    assert_eq!((tested.status, &tested.body["delivered"], &tested.body["status"]), (200, &json!(true), &json!(204)));
    let [delivery] = &receiver.taken()[..] else { panic!("{:?}", receiver.taken()) };
    assert_eq!((delivery.id.as_str(), &delivery.body["type"]), (tested.id(), &json!("webhook.test")));
    assert!(delivery.is_signed_with(SECRET) && delivery.is_signed_with(OTHER_SECRET));
    assert!(!delivery.is_signed_with("whsec_////////////////////////////////"));
    assert_eq!(delivery.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(delivery.header("content-type"), "application/json");
    assert!(!format!("{:?}", tested.body).contains("whsec_"), "{tested:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_a_failure_is_told() {
    let receiver = Receiver::start();
    receiver.answer(&[302, 500]);
    let app = spawn_with(&receiver.url, &[]).await;
    let test = async |app: &TestApp| {
        let tested = app.post("/v1/webhooks/test", json!({})).await;
        (tested.body["status"].clone(), tested.body["failure"].clone())
    };
    assert_eq!(test(&app).await, (json!(302), json!("redirected")));
    assert_eq!(test(&app).await, (json!(500), json!("refused")));
    assert_eq!(receiver.taken().len(), 2, "nothing follows a redirect");
    // Port 1 is privileged, and nothing listens there.
    let nowhere = spawn_with("http://127.0.0.1:1/", &[]).await;
    assert_eq!(test(&nowhere).await, (json!(null), json!("no_connection")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_refused_unless_it_is_allowed() {
    let receiver = Receiver::start();
    let port = receiver.url.rsplit(':').next().unwrap().to_owned();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"] {
        let app = spawn_with(&format!("http://{host}:{port}"), &[("WEBHOOK_ALLOW_PRIVATE", "false")]).await;
        let tested = app.post("/v1/webhooks/test", json!({})).await;
        assert_eq!((tested.status, &tested.body["failure"]), (200, &json!("private_address")), "{host}");
    }
    assert!(receiver.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_a_url_has_nothing_to_test() {
    let receiver = Receiver::start();
    let keys = ("API_KEYS", "shop:a-secret-of-the-shop,bank:a-secret-of-the-bank");
    let env = [
        keys,
        ("APP_SHOP_WEBHOOK_URL", &*receiver.url),
        ("WEBHOOK_SECRETS", SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let test = |secret| app.send(app.keyless("POST", "/v1/webhooks/test").bearer_auth(secret));
    test("a-secret-of-the-bank").await.assert_problem(422, "invalid_parameter");
    assert_eq!(test("a-secret-of-the-shop").await.body["delivered"], true);
    assert_eq!(receiver.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_in_order_what_the_api_shows() {
    let receiver = Receiver::start();
    let app = spawn_with(&receiver.url, &[]).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550101", "metadata": { "plan": "pro" } })).await;
    let code = app.spoken_code("0101").await;
    assert_eq!(app.check(created.id(), &code).await.body["result"], "verified");
    receiver.until("verification.verified").await;
    app.settled().await;
    let (types, taken) = (receiver.types(), receiver.taken());
    let place = |kind: &str| types.iter().position(|known| known == kind).unwrap();
    assert!(place("attempt.updated") < place("escalation.executed"), "{types:?}");
    assert!(place("escalation.executed") < place("verification.verified"), "{types:?}");
    assert_eq!(types.iter().filter(|kind| kind.starts_with("verification.")).count(), 1, "{types:?}");
    assert_eq!(taken.iter().map(|delivery| &delivery.id).collect::<BTreeSet<_>>().len(), taken.len());
    let last = taken.iter().find(|delivery| delivery.body["type"] == "verification.verified").unwrap();
    let mut shown = app.read(created.id()).await;
    // It counts down.
    shown.as_object_mut().unwrap().remove("resend_after");
    let mut told = last.body["data"].clone();
    told.as_object_mut().unwrap().remove("resend_after");
    assert_eq!(
        (&told["status"], &told["metadata"], &told["id"]),
        (&json!("verified"), &shown["metadata"], &shown["id"])
    );
    assert_eq!(
        told.as_object().unwrap().keys().collect::<Vec<_>>(),
        shown.as_object().unwrap().keys().collect::<Vec<_>>()
    );
    for delivery in &taken {
        let text = delivery.body.to_string();
        assert!(delivery.is_signed_with(SECRET), "{text}");
        assert!(delivery.body["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{text}");
        assert!(!text.contains("4155550101") && !text.contains("client_token"), "{text}");
        assert!(!text.contains(&format!("\"{code}\"")), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told() {
    let receiver = Receiver::start();
    let app = spawn_with(&receiver.url, &[]).await;
    let canceled = app.create("0103").await;
    app.post(&format!("/v1/verifications/{}/cancel", canceled.id()), json!({})).await;
    receiver.until("verification.canceled").await;
    let unused = app.create("0104").await;
    let right = app.post("/v1/verifications", json!({ "to": "+14155550105", "code": "042917" })).await;
    for _ in 0..5 {
        app.check(right.id(), &wrong("042917")).await;
    }
    receiver.until("verification.max_checks_reached").await;
    app.create("0117").await;
    receiver.until("verification.undeliverable").await;
    app.settled().await;
    app.advance(601.0).await;
    receiver.until("verification.expired").await;
    let expired = of_type(&receiver, "verification.expired");
    assert_eq!(expired.body["data"]["id"], unused.id());
    assert_eq!(expired.body["data"]["status"], "expired");
}

/// The number of an event within its verification.
fn number_of(id: &str) -> u32 {
    id.rsplit('_').next().unwrap().parse().unwrap()
}

fn of_type(receiver: &Receiver, kind: &str) -> Delivery {
    receiver.taken().into_iter().find(|delivery| delivery.body["type"] == kind && delivery.answer < 300).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_is_told_of_its_own_end_with_its_own_data() {
    let receiver = Receiver::start();
    let app = spawn_with(&receiver.url, &[]).await;
    let create = async |page: &str| {
        let body = json!({ "to": "+14155550103", "code": "042917", "metadata": { "page": page } });
        app.post("/v1/verifications", body).await
    };
    let (first, second) = (create("first").await, create("second").await);
    assert_eq!(app.check(second.id(), "042917").await.body["result"], "verified");
    receiver.until("verification.verified").await;
    let told = |kind| {
        let data = of_type(&receiver, kind).body["data"].clone();
        (data["id"].clone(), data["metadata"]["page"].clone(), data["ended_by"].clone())
    };
    assert_eq!(told("verification.verified"), (json!(second.id()), json!("second"), Value::Null));
    assert_eq!(told("verification.canceled"), (json!(first.id()), json!("first"), json!("verified_elsewhere")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_away_is_told_everything_in_order() {
    let receiver = Receiver::start();
    receiver.answer(&[500, 503, 302]);
    let app = spawn_with(&receiver.url, &[("RETENTION", "1")]).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550101", "code": "042917" })).await;
    app.spoken_code("0101").await;
    assert_eq!(app.check(created.id(), "042917").await.body["result"], "verified");
    app.settled().await;
    assert_eq!(receiver.types(), Vec::<String>::new());
    // Longer than RETENTION by the store's own clock: the record is kept for its events.
    tokio::time::sleep(Duration::from_secs(3)).await;
    // The service's own timers may have claimed some of what is due, and are quick or slow with it.
    for _ in 0..100 {
        if receiver.types().iter().any(|kind| kind == "verification.verified") {
            break;
        }
        app.advance(9.0).await;
        app.settled().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    receiver.until("verification.verified").await;
    let taken = receiver.taken();
    let first: Vec<_> = taken.iter().take(4).map(|delivery| (&delivery.id, delivery.answer)).collect();
    let id = &taken[0].id;
    assert_eq!(first, [(id, 500), (id, 503), (id, 302), (id, 204)], "one event at a time, under one id");
    let types = receiver.types();
    let place = |kind: &str| types.iter().position(|known| known == kind).unwrap();
    assert!(place("escalation.executed") < place("verification.verified"), "{types:?}");
    let entries: Vec<u32> = taken[3..].iter().map(|delivery| number_of(&delivery.id)).collect();
    assert!(entries.windows(2).all(|pair| pair[0] < pair[1]), "{entries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_holds_up_neither_its_own_clients_nor_other_apps() {
    let (slow, quick) = (Receiver::start(), Receiver::start());
    slow.hold(true);
    let env = [
        ("API_KEYS", "shop:a-secret-of-the-shop,bank:a-secret-of-the-bank"),
        ("APP_SHOP_WEBHOOK_URL", &*slow.url),
        ("APP_BANK_WEBHOOK_URL", &*quick.url),
        ("WEBHOOK_SECRETS", SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let verify = async |secret: &str, to: &str| {
        let send =
            async |path: &str, body: Value| app.send(app.keyless("POST", path).bearer_auth(secret).json(&body)).await;
        let created = send("/v1/verifications", json!({ "to": to, "code": "042917" })).await;
        let path = format!("/v1/verifications/{}/checks", created.id());
        assert_eq!(send(&path, json!({ "code": "042917" })).await.body["result"], "verified");
    };
    // More than there are places.
    for n in 0..40 {
        verify("a-secret-of-the-shop", &format!("+141555502{n:02}")).await;
    }
    verify("a-secret-of-the-bank", "+14155550103").await;
    quick.until("verification.verified").await;
    assert_eq!(slow.answered(), 0);
    assert!(slow.taken().len() <= 32, "{}", slow.taken().len());
    slow.hold(false);
}

const DAY: f64 = 86_400.0;

/// An app whose receiver has not taken the cancellation of a verification for a day, and the verification's id.
async fn given_up(receiver: &Receiver, more: &[(&'static str, &str)]) -> (TestApp, String) {
    receiver.fail(100);
    // Nothing is sent to a test number, so that no report is told before the cancellation.
    let more = [more, &[("TEST_NUMBERS", "+15555550100:042917")]].concat();
    let app = spawn_with(&receiver.url, &more).await;
    let created = app.post("/v1/verifications", json!({ "to": "+15555550100" })).await;
    app.post(&format!("/v1/verifications/{}/cancel", created.id()), json!({})).await;
    app.settled().await;
    while app.get("/v1/webhooks/deliveries?status=failed").await.body["deliveries"] == json!([]) {
        app.advance(DAY / 2.0).await;
        app.settled().await;
    }
    receiver.fail(0);
    (app, created.id().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_given_up_is_listed_and_can_be_replayed() {
    let receiver = Receiver::start();
    let (app, id) = given_up(&receiver, &[]).await;
    let listed = app.get("/v1/webhooks/deliveries?status=failed").await;
    let [delivery] = &listed.body["deliveries"].as_array().unwrap()[..] else { panic!("{listed:?}") };
    let sent = receiver.taken()[0].id.clone();
    assert_eq!((&delivery["id"], &delivery["verification"]), (&json!(sent), &json!(id)));
    assert_eq!((&delivery["type"], &delivery["status"]), (&json!("verification.canceled"), &json!("failed")));
    assert_eq!(listed.body["next_cursor"], Value::Null);

    receiver.answer(&[503]);
    let path = format!("/v1/webhooks/deliveries/{sent}/replay");
    let replayed = app.post(&path, json!({})).await;
    assert_eq!((replayed.status, &replayed.body["status"]), (202, &json!("pending")), "{replayed:?}");
    app.settled().await;
    let listed = app.get("/v1/webhooks/deliveries?status=failed").await;
    assert_eq!(listed.body["deliveries"][0]["id"], sent.as_str(), "it has failed again");

    assert_eq!(app.post(&path, json!({})).await.status, 202);
    receiver.until("verification.canceled").await;
    app.settled().await;
    assert_eq!(app.get("/v1/webhooks/deliveries?status=failed").await.body["deliveries"], json!([]));
    app.post(&path, json!({})).await.assert_problem(404, "not_found");
    assert!(receiver.taken().iter().all(|taken| taken.id == sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_deliveries_is_the_apps_own_and_refuses_what_it_does_not_know() {
    let receiver = Receiver::start();
    let (app, _) = given_up(&receiver, &[("API_KEYS", "bank:a-secret-of-the-bank")]).await;
    app.get("/v1/webhooks/deliveries").await.assert_problem(422, "invalid_parameter");
    app.get("/v1/webhooks/deliveries?status=delivered").await.assert_problem(422, "invalid_parameter");
    app.get("/v1/webhooks/deliveries?status=failed&cursor=x").await.assert_problem(422, "invalid_parameter");
    app.get("/v1/webhooks/deliveries?status=failed&limit=101").await.assert_problem(422, "invalid_parameter");
    app.post("/v1/webhooks/deliveries/evt_x/replay", json!({})).await.assert_problem(404, "not_found");
    let of_bank =
        async |method, path: &str| app.send(app.keyless(method, path).bearer_auth("a-secret-of-the-bank")).await;
    let path = format!("/v1/webhooks/deliveries/{}/replay", receiver.taken()[0].id);
    assert_eq!(of_bank("GET", "/v1/webhooks/deliveries?status=failed").await.body["deliveries"], json!([]));
    of_bank("POST", &path).await.assert_problem(404, "not_found");
    assert_eq!(app.post(&path, json!({})).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tripped_guard_is_told_once_a_minute_for_each_scope() {
    let receiver = Receiver::start();
    let app = spawn_with(&receiver.url, &[("LIMIT_NUMBER", "1/10m"), ("COUNTRIES", "US")]).await;
    let create =
        async |to: &str, purpose: &str| app.post("/v1/verifications", json!({ "to": to, "purpose": purpose })).await;
    assert_eq!(create("+14155550103", "a").await.status, 201);
    for purpose in ["b", "c", "d"] {
        create("+14155550103", purpose).await.assert_problem(429, "rate_limited");
    }
    create("+442079460000", "a").await.assert_problem(403, "country_not_allowed");
    app.settled().await;
    let trips: Vec<_> = receiver.taken().into_iter().filter(|taken| taken.body["type"] == "guard.tripped").collect();
    let data: BTreeSet<String> = trips.iter().map(|trip| trip.body["data"].to_string()).collect();
    let expected = [
        json!({ "scope": "number", "code": "rate_limited" }),
        json!({ "scope": "country", "code": "country_not_allowed" }),
    ];
    assert_eq!(data, expected.map(|data| data.to_string()).into());
    assert_eq!(trips.len(), 2);
    assert!(trips.iter().all(|trip| trip.is_signed_with(SECRET)));
}
