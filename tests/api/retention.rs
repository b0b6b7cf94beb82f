//! How long each key is kept, in a real Redis whose expiries are moved forward.

use std::collections::{BTreeMap, BTreeSet};

use phlo_2fa::phone::PhoneNumber;
use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{CALLBACK_SECRET, Setup, TestApp, wrong};

const RETENTION: u64 = 3600;
const DAY: u64 = 86_400;
const CODE: &str = "042917";
/// How long a verification may be open.
const LIFETIME: u64 = 600;

/// Every kind of key and the most seconds it is kept. The kind is the end of the key's name, or the beginning of a
/// value's.
const KEPT: [(&str, u64); 13] = [
    ("v", LIFETIME + RETENTION),
    ("due", LIFETIME + RETENTION),
    ("app", LIFETIME + RETENTION),
    // The times of a day's wrong codes.
    ("n", DAY),
    // That a number was verified.
    ("ok", 90 * DAY),
    ("link", LIFETIME + RETENTION),
    ("parked", 600),
    ("nonce", 600),
    ("answer", DAY),
    // The longest window and a tenth of it.
    ("count", DAY + DAY / 10),
    // Learned routes, prefixes and prices.
    ("route", 30 * DAY),
    ("prefix", 30 * DAY),
    ("learned", 30 * DAY),
];

/// A service with its own Redis.
struct World {
    redis: RedisServer,
    app: TestApp,
}

impl World {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let env = vec![
            ("REDIS_URL", redis.url()),
            ("RETENTION", RETENTION.to_string()),
            ("ESCALATION", "adaptive".into()),
            ("LIMIT_NUMBER", "5/10m,20/1d".into()),
            ("LIMIT_NUMBER_CALL", "3/10m,6/1d".into()),
        ];
        let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
        Self { redis, app }
    }

    /// Advances the service's clock and the expiry of every key.
    async fn pass(&self, seconds: u64) {
        self.app.settled().await;
        let script = "for _, key in ipairs(redis.call('KEYS', '*')) do local left = redis.call('PTTL', key) \
                      if left > tonumber(ARGV[1]) then redis.call('PEXPIRE', key, left - ARGV[1]) \
                      elseif left >= 0 then redis.call('DEL', key) end end";
        self.redis.command(&["EVAL", script, "0", &(seconds * 1000).to_string()]);
        self.app.advance(seconds as f64).await;
        self.app.settled().await;
    }

    /// Every key by its kind. Asserts that none is kept longer than documented.
    fn keys(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for key in self.redis.command(&["KEYS", "*"]).lines() {
            let left: i64 = self.redis.command(&["PTTL", key]).parse().unwrap();
            // It expired between the two commands.
            if left == -2 {
                continue;
            }
            let kind = kind(key);
            let (_, most) = KEPT.into_iter().find(|(known, _)| *known == kind).unwrap();
            assert!(left >= 0, "{key} has no expiry");
            assert!(left as u64 <= most * 1000, "{key} is kept for {left} ms, not for {most} s");
            keys.entry(kind).or_default().push(key.to_owned());
        }
        keys
    }

    fn kinds(&self) -> BTreeSet<&'static str> {
        self.keys().into_keys().collect()
    }

    /// The key of a number's index.
    fn index(&self, to: &str) -> String {
        let number = self.app.keyring.number_key("demo", &PhoneNumber::parse(to).unwrap());
        format!("phlo2fa:{{{:02x}}}:n:{}", number.shard(), digits(u128::from_be_bytes(number.0)))
    }

    /// Every key with its value, as text.
    fn everything(&self) -> String {
        let mut all = String::new();
        for key in self.redis.command(&["KEYS", "*"]).lines() {
            let read: &[&str] = match self.redis.command(&["TYPE", key]).as_str() {
                "string" => &["GET", key],
                "list" => &["LRANGE", key, "0", "-1"],
                "zset" => &["ZRANGE", key, "0", "-1"],
                "hash" => &["HGETALL", key],
                _ => continue,
            };
            all += &format!("{key} {}\n", self.redis.command(read));
        }
        all
    }

    /// A verification with an idempotency key, one wrong code and then the right one.
    async fn verified(&self, last_four: &str) -> String {
        let body = json!({ "to": format!("+1415555{last_four}"), "client_ip": "203.0.113.9", "code": CODE });
        let request = self.app.request("POST", "/v1/verifications").header("Idempotency-Key", last_four);
        let created = self.app.send(request.json(&body)).await;
        assert_eq!(created.status, 201, "{created:?}");
        let (id, as_wanted) = (created.id(), |v: &Value| v["attempts"][0]["provider_id"].is_string());
        self.app.until(id, "texted", as_wanted).await;
        assert_eq!(self.app.check(id, &wrong(CODE)).await.body["result"], "incorrect");
        assert_eq!(self.app.check(id, CODE).await.body["result"], "verified");
        id.to_owned()
    }

    /// Reports on a text that belongs to no attempt.
    async fn reported(&self, uuid: &str) {
        let form = [("MessageUUID", uuid), ("Status", "delivered"), ("To", "14155550100")];
        let path = format!("/plivo/{CALLBACK_SECRET}/message");
        assert_eq!(self.app.send(self.app.keyless("POST", &path).form(&form)).await.status, 200);
    }
}

/// The random part of an id as Redis holds it.
fn stored(id: &str) -> String {
    digits(u128::from_str_radix(&id[6..], 16).unwrap())
}

/// A number in base 32.
fn digits(number: u128) -> String {
    let digit = |place: u32| char::from_digit((number >> (5 * place) & 31) as u32, 32).unwrap();
    (0..26).rev().map(digit).collect()
}

fn kind(key: &str) -> &'static str {
    if key == "phlo2fa:due" {
        return "due";
    }
    let (tag, name) = key.strip_prefix("phlo2fa:{").and_then(|rest| rest.split_once("}:")).unwrap();
    match (name.split(':').next().unwrap(), tag.split(':').next().unwrap()) {
        ("value", "i") => "answer",
        ("value", "n") => "nonce",
        ("value", "r" | "c" | "w") => "route",
        ("value", "p") => "prefix",
        ("value", _) => "learned",
        (name, _) => {
            KEPT.map(|(kind, _)| kind).into_iter().find(|kind| *kind == name).unwrap_or_else(|| panic!("{key}?"))
        }
    }
}

async fn status(app: &TestApp, id: &str) -> Value {
    let answer = app.get(&format!("/v1/verifications/{id}")).await;
    if answer.status == 200 {
        return answer.body["status"].clone();
    }
    answer.assert_problem(404, "verification_not_found");
    Value::Null
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_its_documented_time() {
    let world = World::start().await;
    let app = &world.app;
    let verified = world.verified("0100").await;
    // This one gets a call and expires.
    let expired = app.create("0103").await.id().to_owned();
    app.until(&expired, "sent", |v| v["attempts"][0]["status"] == "sent").await;
    assert_eq!(app.attempt(&expired, "call").await.status, 201);
    app.spoken_code("0103").await;
    let canceled = app.create("0105").await.id().to_owned();
    app.post(&format!("/v1/verifications/{canceled}/cancel"), json!({})).await;
    world.reported("00000000-9dad-11d1-80b4-00c04fd430c8").await;
    app.settled().await;
    app.learner.flush(true).await.unwrap();
    let all = ["answer", "app", "count", "due", "link", "n", "parked", "v"];
    assert!(world.kinds().is_superset(&all.into()), "{:?}", world.kinds());
    assert!(world.kinds().iter().any(|kind| ["route", "prefix", "learned"].contains(kind)), "{:?}", world.kinds());
    assert_eq!((world.keys()["v"].len(), world.keys()["n"].len()), (3, 3));
    let ids = [&verified, &expired, &canceled];
    assert!(ids.iter().all(|id| world.everything().contains(&stored(id))));

    world.pass(LIFETIME + 1).await;
    for (id, ended) in ids.into_iter().zip(["verified", "expired", "canceled"]) {
        assert_eq!(status(app, id).await, ended);
    }
    assert!(!world.kinds().contains("parked"));
    world.keys();

    // The retention starts at the end of a verification; that of a link starts at its creation.
    world.pass(RETENTION + 1).await;
    for id in ids {
        assert_eq!(status(app, id).await, Value::Null);
    }
    let left = world.keys();
    for gone in ["v", "due", "app", "link", "parked", "nonce"] {
        assert_eq!(left.get(gone), None, "{left:?}");
    }
    assert_eq!(left["n"], [world.index("+14155550100")], "wrong codes are kept for a day");
    assert!(["answer", "count"].iter().all(|kind| left.contains_key(kind)), "{left:?}");
    assert_eq!(app.get("/v1/verifications").await.body["verifications"], json!([]));

    world.pass(DAY).await;
    let left = world.kinds();
    assert!(left.is_subset(&["count", "route", "prefix", "learned", "ok"].into()), "{left:?}");
    world.pass(DAY / 10 + 1).await;
    let left = world.kinds();
    assert!(left.is_subset(&["route", "prefix", "learned", "ok"].into()), "{left:?}");
    world.pass(89 * DAY).await;
    assert_eq!(world.kinds(), Default::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_erasure_only_the_documented_rest_stays() {
    let world = World::start().await;
    let app = &world.app;
    let to = "+14155550103";
    let first = world.verified("0103").await;
    let second = app.create("0103").await.id().to_owned();
    app.until(&second, "sent", |v| v["attempts"][0]["status"] == "sent").await;
    assert_eq!(app.attempt(&second, "call").await.status, 201);
    app.spoken_code("0103").await;
    let uuids: Vec<_> = app.read(&second).await["attempts"].as_array().unwrap().iter().map(uuid).collect();
    // The verification of another number stays.
    let other = app.create("0100").await.id().to_owned();
    app.until(&other, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
    app.settled().await;
    let before = world.keys();
    assert!(["number", "number_call"].iter().all(|scope| has_count(&before, scope)), "{before:?}");
    assert!(before["link"].len() >= 4, "{before:?}");

    assert_eq!(app.post("/v1/erasures", json!({ "to": to })).await.body, json!({ "erased": 2 }));
    app.settled().await;
    let left = world.keys();
    let of_other = (left["v"].len(), left["link"].len(), left["app"].len(), left["n"].len());
    assert_eq!(of_other, (1, 1, 1, 2), "{left:?}");
    assert!(left["v"][0].ends_with(&stored(&other)));
    let scopes = ["number", "number_call", "prefix", "country", "total"];
    assert!(scopes.iter().all(|scope| has_count(&left, scope)), "an erasure must not reset limits: {left:?}");
    let everything = world.everything();
    for id in [&first, &second] {
        let is_left = everything.contains(&stored(id)) || everything.contains(&id[6..]);
        assert!(!is_left, "{id}: {everything}");
    }
    // The index holds the number of its entries, one of a tombstone id and a purpose, and the time of one wrong code.
    let index = world.redis.command(&["STRLEN", &world.index(to)]);
    assert_eq!(index, (1 + 17 + 8 + 8).to_string());

    // A later report of Plivo is parked for ten minutes and holds no number.
    for uuid in &uuids {
        world.reported(uuid).await;
    }
    let parked: String =
        world.keys()["parked"].iter().map(|key| world.redis.command(&["LRANGE", key, "0", "-1"])).collect();
    assert!(parked.contains("delivered") && !parked.contains("555"), "{parked}");
    world.pass(LIFETIME + 1).await;
    assert!(!world.kinds().contains("parked"));

    assert_eq!(app.post("/v1/erasures", json!({ "to": "+14155550100" })).await.body, json!({ "erased": 1 }));
    let left = world.keys();
    assert!(["v", "due", "app", "link"].iter().all(|gone| !left.contains_key(gone)), "{left:?}");
    world.pass(LIFETIME + 1).await;
    assert_eq!(world.keys()["n"], [world.index(to)], "the other number had no wrong code");
    world.pass(DAY).await;
    assert!(world.kinds().is_subset(&["count", "route", "prefix", "learned"].into()), "{:?}", world.kinds());
}

fn uuid(attempt: &Value) -> String {
    attempt["provider_id"].as_str().unwrap().to_owned()
}

fn count(keys: &BTreeMap<&str, Vec<String>>, scope: &str) -> usize {
    keys["count"].iter().filter(|key| key.starts_with(&format!("phlo2fa:{{{scope}:"))).count()
}

fn has_count(keys: &BTreeMap<&str, Vec<String>>, scope: &str) -> bool {
    count(keys, scope) > 0
}
