//! Many requests with one idempotency key, through two replicas on one Redis.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{Answer, wrong};
use crate::world::{Plivo, Service, plivo_listener};

const TWINS: usize = 100;
/// Bytes that one remembered answer may take in Redis.
const ANSWER_BYTES_MAX: usize = 800;

struct World {
    redis: RedisServer,
    first: Service,
    second: Service,
    plivo: Plivo,
}

impl World {
    async fn start(more: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start();
        let (listener, plivo_url) = plivo_listener();
        let redis_url = redis.url();
        let mut settings = vec![("REDIS_URL", redis_url.as_str()), ("PLIVO_API_URL", &plivo_url)];
        // Long enough for a loaded machine.
        settings.extend([("PLIVO_PHLO_URL", plivo_url.as_str()), ("PLIVO_WAIT", "60")]);
        settings.extend(more);
        let first = Service::start(&settings).await;
        settings.push(("PUBLIC_URL", &first.url));
        let second = Service::start(&settings).await;
        let plivo = Plivo::serve(listener, &first.url, 50.0);
        first.until_ready().await;
        second.until_ready().await;
        Self { redis, first, second, plivo }
    }

    /// Sends the same request a hundred times at once, to both replicas in turn.
    async fn all_at_once(&self, key: &str, path: &str, body: &Value) -> Vec<Answer> {
        let services = [&self.first, &self.second];
        let twin = |n: usize| services[n % 2].try_send_once(Some(key), "POST", path, body.clone());
        join_all((0..TWINS).map(twin)).await.into_iter().map(|answer| answer.expect("an answer")).collect()
    }
}

/// Asserts that one request took effect and all others replayed its answer. Returns that answer.
#[track_caller]
fn shared_answer(answers: &[Answer]) -> &Answer {
    let firsts: Vec<_> = answers.iter().filter(|a| a.header("idempotent-replayed").is_empty()).collect();
    assert_eq!(firsts.len(), 1, "{firsts:?}");
    for answer in answers {
        assert_eq!((answer.status, &answer.body), (firsts[0].status, &firsts[0].body));
        assert_eq!(answer.header("location"), firsts[0].header("location"));
    }
    firsts[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_creations_with_one_key_create_once_and_share_the_answer() {
    let world = World::start(&[]).await;
    let (to, body) = ("+14155550100", json!({ "to": "+14155550100", "metadata": { "purpose": "signup" } }));
    let answers = world.all_at_once("creation", "/v1/verifications", &body).await;
    let created = shared_answer(&answers);
    assert_eq!(created.status, 201, "{created:?}");
    let code = world.plivo.texted_code(to).await;
    assert_eq!(world.plivo.requests(to).await, ["sms"]);

    let checks = format!("/v1/verifications/{}/checks", created.id());
    let guess = json!({ "code": wrong(&code) });
    let answers = world.all_at_once("guess", &checks, &guess).await;
    assert_eq!(shared_answer(&answers).body["checks_remaining"], 4);
    assert_eq!(world.second.read(created.id()).await["checks_remaining"], 4);

    // The stored answers contain no key, number or parameter, are small, and expire.
    let names = world.redis.command(&["KEYS", "phlo2fa:{i:*"]);
    let names: Vec<_> = names.split_whitespace().filter(|word| word.starts_with("phlo2fa:")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        let bytes: usize = world.redis.command(&["MEMORY", "USAGE", name]).parse().unwrap();
        println!("one answer: {bytes} bytes");
        assert!(bytes <= ANSWER_BYTES_MAX, "{name}: {bytes}");
        let seconds: u64 = world.redis.command(&["TTL", name]).parse().unwrap();
        assert!((86_000..=86_400).contains(&seconds), "{name}: {seconds}");
        let value = world.redis.command(&["GET", name]);
        assert!(["creation", "guess", "415555", "signup", &code].iter().all(|word| !value.contains(word)));
    }
    let mismatch = world.second.try_send_once(Some("creation"), "POST", "/v1/verifications", json!({ "to": to })).await;
    let mismatch = mismatch.unwrap();
    assert_eq!((mismatch.status, mismatch.code()), (422, "idempotency_mismatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_holds_its_idempotency_key_only_briefly() {
    // Plivo sends this text at once and answers after 30 s.
    let world = World::start(&[("ESCALATION", "never")]).await;
    let (to, body) = ("+14155550113", json!({ "to": "+14155550113" }));
    let cut_off = async {
        let answer = world.first.try_send_once(Some("k"), "POST", "/v1/verifications", body.clone()).await;
        assert!(answer.is_none(), "{answer:?}");
    };
    tokio::join!(cut_off, async {
        world.plivo.until_requested(to, 1).await;
        world.first.process.crash();
    });
    let started = std::time::Instant::now();
    let retried = world.second.try_send_once(Some("k"), "POST", "/v1/verifications", body.clone()).await.unwrap();
    println!("the retry is answered after {:?}", started.elapsed());
    assert_eq!((retried.status, &retried.body["joined"]), (201, &json!(false)), "{retried:?}");
    assert_eq!(retried.header("idempotent-replayed"), "");
    assert_eq!(world.plivo.requests(to).await, ["sms"], "the retry finds what the first request created");
}
