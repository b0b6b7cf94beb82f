//! A replica ends at every step of a change, and another one goes on.
//!
//! The replica with the failpoint gets the requests; the other one shares its Redis and its Plivo, and receives the
//! callbacks.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, SECRET};
use crate::support::redis_server::RedisServer;
use crate::world::{PATIENCE, Plivo, Service, plivo_listener, until};

/// Delivers every text.
const TO: &str = "+14155550100";
/// Delivers no text and no report.
const SILENT: &str = "+14155550103";
const CODE: &str = "042917";
const VERIFICATIONS: &str = "/v1/verifications";
const SIGABRT: i32 = 6;

/// Two replicas.
struct Two {
    other: Service,
    settings: Vec<(String, String)>,
    plivo: Plivo,
    _redis: RedisServer,
}

impl Two {
    /// Starts the replica that lives.
    async fn start(more: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start();
        let (listener, plivo_url) = plivo_listener();
        let redis_url = redis.url();
        let mut settings =
            vec![("REDIS_URL", &*redis_url), ("PLIVO_API_URL", &*plivo_url), ("PLIVO_PHLO_URL", &*plivo_url)];
        settings.extend([("ESCALATION", "never"), ("RESEND_COOLDOWN", "0")]);
        settings.retain(|(name, _)| more.iter().all(|(set, _)| set != name));
        settings.extend(more);
        let other = Service::start(&settings).await;
        other.until_ready().await;
        let plivo = Plivo::serve(listener, &other.url, 50.0);
        settings.push(("PUBLIC_URL", &other.url));
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { other, settings, plivo, _redis: redis }
    }

    /// Starts the replica that ends at a failpoint.
    async fn start_mortal(&self, failpoint: &str) -> Service {
        let mut settings: Vec<(&str, &str)> = self.settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        settings.push(("FAILPOINT", failpoint));
        let mortal = Service::start(&settings).await;
        mortal.until_ready().await;
        mortal
    }

    /// Sends a request to a replica that ends while it answers, and then the same to the other one.
    async fn send_again(&self, failpoint: &str, path: &str, body: Value) -> Value {
        let mut mortal = self.start_mortal(failpoint).await;
        let answer = mortal.try_send_once(Some("a-key"), "POST", path, body.clone()).await;
        assert!(answer.is_none(), "{failpoint} is not reached: {answer:?}");
        assert_eq!(mortal.process.end().await.signal(), Some(SIGABRT), "{}", mortal.process.log());
        let start = Instant::now();
        loop {
            let answer = self.other.try_send_once(Some("a-key"), "POST", path, body.clone()).await.unwrap();
            // The key is held by the request that has ended, until its lease is over.
            if answer.body["code"] != "idempotency_in_progress" {
                return answer.body;
            }
            assert!(start.elapsed() < PATIENCE, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Creates a verification at the replica that lives, and submits a code as [`Self::send_again`] does.
    async fn check_again(&self, failpoint: &str, code: &str) -> Value {
        let created = self.other.create(TO, json!({ "code": CODE })).await;
        let path = format!("{VERIFICATIONS}/{}/checks", created.id());
        self.send_again(failpoint, &path, json!({ "code": code })).await
    }

    /// Waits for the text and verifies its code, and returns how many texts Plivo was asked for.
    async fn verify(&self, created: &Value) -> usize {
        let id = created["id"].as_str().unwrap_or_else(|| panic!("{created}"));
        let handset = self.plivo.until_handset(TO, "texted", |h| h["messages"][0]["code"].is_string()).await;
        until("nothing is owed", async || self.other.read(id).await["attempts"][0]["status"] != "triggering").await;
        let checked = self.other.check(id, handset["messages"][0]["code"].as_str().unwrap()).await;
        assert_eq!(checked.body["result"], "verified", "{checked:?}");
        self.plivo.requests(TO).await.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_before_its_commit_is_made_by_the_next_replica() {
    let two = Two::start(&[]).await;
    let created = two.send_again("decided:1", VERIFICATIONS, json!({ "to": TO })).await;
    assert_eq!(two.verify(&created).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_creation_is_texted_once_by_the_next_replica() {
    let two = Two::start(&[]).await;
    let created = two.send_again("committed:1", VERIFICATIONS, json!({ "to": TO })).await;
    assert_eq!(two.verify(&created).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_plivo_has_accepted_is_sent_once_more_at_most() {
    let two = Two::start(&[]).await;
    let created = two.send_again("answered:1", VERIFICATIONS, json!({ "to": TO })).await;
    assert!(two.verify(&created).await <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_before_its_commit_counts_when_it_is_repeated() {
    let two = Two::start(&[]).await;
    assert_eq!(two.check_again("decided:1", CODE).await["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_check_uses_the_code() {
    let two = Two::start(&[]).await;
    assert_eq!(two.check_again("committed:1", CODE).await["code"], "already_verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_wrong_code_stays_counted() {
    let two = Two::start(&[]).await;
    let again = two.check_again("committed:1", "000000").await;
    assert_eq!((&again["result"], &again["checks_remaining"]), (&json!("incorrect"), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_timer_fires_once_at_the_next_replica() {
    let mut two = Two::start(&[("ESCALATION", "fixed+fail:2")]).await;
    // Only the mortal one is there when the call is due.
    two.other.process.kill();
    let mut mortal = two.start_mortal("claimed:1").await;
    let created = mortal.create(SILENT, json!({ "code": CODE })).await;
    assert_eq!(mortal.process.end().await.signal(), Some(SIGABRT), "{}", mortal.process.log());
    assert_eq!(two.plivo.requests(SILENT).await, ["sms"]);
    two.other.start_again().await;
    let v = two.other.until(created.id(), "called", |v| v["attempts"][1]["status"] == "completed").await;
    assert_eq!(v["attempts"].as_array().unwrap().len(), 2, "{v}");
    assert_eq!(two.plivo.requests(SILENT).await, ["sms", "call"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_taken_is_sent_again_with_its_id() {
    let receiver = Receiver::start();
    let url = receiver.url.clone();
    let mut two =
        Two::start(&[("WEBHOOK_URL", &*url), ("WEBHOOK_SECRETS", SECRET), ("WEBHOOK_ALLOW_PRIVATE", "true")]).await;
    // Only the mortal one is there to tell of the end, and reports of the text are lost.
    two.other.process.kill();
    let mut mortal = two.start_mortal("told:1").await;
    let created = mortal.create(SILENT, json!({ "code": CODE })).await;
    let path = format!("{VERIFICATIONS}/{}/checks", created.id());
    drop(mortal.try_send("POST", &path, json!({ "code": CODE })).await);
    assert_eq!(mortal.process.end().await.signal(), Some(SIGABRT), "{}", mortal.process.log());
    two.other.start_again().await;
    let of_end = || {
        let ends = receiver.taken().into_iter().filter(|delivery| delivery.body["type"] == "verification.verified");
        ends.map(|delivery| delivery.id).collect::<Vec<_>>()
    };
    until("told again", async || of_end().len() == 2).await;
    assert_eq!(of_end()[0], of_end()[1]);
}
