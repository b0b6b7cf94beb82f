//! Outages of the PHLO, or of all of Plivo: every number still gets exactly one text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::phone::PhoneNumber;
use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::{Setup, TestApp, client};
use crate::world::{API_KEY, Process, Service, get_json, handset, service_and_plivo, until};

/// One minute of twenty creations a second.
const CREATIONS: usize = 1200;
const EVERY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn every_number_gets_one_text_while_the_phlo_is_down_and_the_phlo_is_used_again_later() {
    let redis = RedisServer::start();
    let world = Arc::new(World::start(&[("REDIS_URL", &redis.url()), ("ESCALATION", "fail")], "20").await);
    let mut numbers = numbers("0100");
    let before: Vec<String> = numbers.by_ref().take(5).collect();
    for to in &before {
        assert_eq!(world.create(to).await.1, "phlo");
    }

    world.outage(json!({ "seconds": 3600, "what": "phlo", "status": 503 })).await;
    let during: Vec<String> = numbers.by_ref().take(CREATIONS).collect();
    // Each creation runs in its own task, so that a slow one does not delay the next.
    let (mut beats, mut under_way) = (tokio::time::interval(EVERY), Vec::new());
    for to in &during {
        beats.tick().await;
        let (world, to) = (Arc::clone(&world), to.clone());
        under_way.push(tokio::spawn(async move { world.service.create_patiently(&to).await.id().to_owned() }));
    }
    for (to, creation) in during.iter().zip(under_way) {
        let v = world.until_delivered(&creation.await.unwrap()).await;
        let attempts = v["attempts"].as_array().unwrap();
        assert_eq!((attempts.len(), &attempts[0]["channel"], &attempts[0]["via"]), (1, &json!("sms"), &json!("api")));
        assert_one_text_and_no_call(to, &world.handset(to).await);
    }
    let log = world.plivo_log().await;
    let texts = |to: &str| log.iter().filter(|entry| entry["to"] == to[1..] && entry["what"] == "message").count();
    assert!(during.iter().all(|to| texts(to) == 1), "each text is requested once");
    let refused = log.iter().filter(|entry| entry["what"] == "phlo" && entry["status"] == 503).count();
    assert!((5..=CREATIONS / 10).contains(&refused), "the PHLO got {refused} requests while it was down");

    world.outage(json!({ "seconds": 0, "what": "phlo" })).await;
    // The PHLO is tried again some seconds after its last failure; until then texts go through the API.
    let mut after = Vec::new();
    loop {
        assert!(after.len() < 500, "the PHLO is not used again");
        let to = numbers.next().unwrap();
        let (_, via) = world.create(&to).await;
        after.push(to);
        if via == "phlo" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let needed = after.len();
    for to in numbers.take(10) {
        assert_eq!(world.create(&to).await.1, "phlo", "it stays in use");
        after.push(to);
    }
    for to in before.iter().chain(&after) {
        world.until_texted(to).await;
        assert_one_text_and_no_call(to, &world.handset(to).await);
    }
    println!("{CREATIONS} creations, {refused} runs refused; the PHLO again with creation {needed} after the outage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_during_the_outage_doubles_only_texts_in_flight() {
    let redis = RedisServer::start();
    let redis_url = redis.url();
    // A client's retry joins and sends nothing, so that a second text comes from the service itself.
    let mut settings = vec![("REDIS_URL", redis_url.as_str()), ("ESCALATION", "fail"), ("RESEND_COOLDOWN", "600")];
    settings.push(("PLIVO_WAIT", "60"));
    let mut world = World::start(&settings, "5").await;
    settings.extend([("PUBLIC_URL", world.service.url.as_str()), ("PLIVO_API_URL", &world.plivo_url)]);
    settings.push(("PLIVO_PHLO_URL", &world.plivo_url));
    let second = Service::start(&settings).await;
    second.until_ready().await;
    let replicas = [Replica::of(&world.service), Replica::of(&second)];
    world.outage(json!({ "seconds": 3600, "what": "phlo", "status": 503 })).await;

    // Every tenth request to Plivo hangs, so that some requests are always in flight.
    let mut all: Vec<String> = numbers("0100").take(180).collect();
    for (n, to) in numbers("0113").take(20).enumerate() {
        all.insert(n * 10, to);
    }
    let (queue, answered) = (Mutex::new(all.iter().enumerate()), AtomicUsize::new(0));
    let (ids, cut_off) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeSet::new()));
    let client = async || {
        let next = || queue.lock().unwrap().next();
        while let Some((n, to)) = next() {
            let id = match replicas[n % 2].create(to).await {
                Ok(id) => id,
                Err(why) => {
                    if why == Unanswered::CutOff {
                        cut_off.lock().unwrap().insert(to);
                    }
                    replicas[1].create(to).await.expect("the other replica answers")
                }
            };
            ids.lock().unwrap().insert(to, id);
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    let killer = async {
        until("half are answered", async || answered.load(Ordering::Relaxed) >= all.len() / 2).await;
        world.service.process.kill();
        world.service.start_again().await;
    };
    tokio::join!(join_all((0..10).map(|_| client())), killer);

    let (ids, cut_off) = (ids.into_inner().unwrap(), cut_off.into_inner().unwrap());
    for to in &all {
        world.until_texted(to).await;
        let v = world.until_delivered(&ids[to]).await;
        assert_eq!((v["attempts"].as_array().unwrap().len(), &v["attempts"][0]["channel"]), (1, &json!("sms")));
    }
    let mut doubled = 0;
    for to in &all {
        let handset = world.handset(to).await;
        let texts = handset["messages"].as_array().unwrap();
        let most = if cut_off.contains(to) { 2 } else { 1 };
        assert!((1..=most).contains(&texts.len()) && handset["calls"] == json!([]), "{to}: {handset}");
        assert!(texts.iter().all(|text| text["code"] == texts[0]["code"]), "both texts have the same code: {handset}");
        doubled += usize::from(texts.len() == 2);
    }
    println!("{} creations, {} in flight at the kill, {doubled} doubled", all.len(), cut_off.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_through_the_api_while_the_phlo_answers_500() {
    let app = TestApp::spawn().await;
    outage(&app.plivo_url, json!({ "seconds": 3600, "what": "phlo", "status": 500 })).await;
    fifty_texts_go_through_the_api(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_through_the_api_while_the_phlo_runner_is_unreachable() {
    let env = vec![("PLIVO_PHLO_URL", "http://127.0.0.1:1".to_owned())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    fifty_texts_go_through_the_api(&app).await;
    assert!(app.whole_plivo_log().await.iter().all(|entry| entry["what"] == "message"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_phlo_and_api_down_every_text_waits_and_arrives_once() {
    // As long as the client's timeout: a creation that is answered did not wait for the end of the outage.
    let env = vec![("PLIVO_WAIT", "60".to_owned()), ("ESCALATION", "never".to_owned())];
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    outage(&app.plivo_url, json!({ "seconds": 3600, "status": 503 })).await;
    let numbers: Vec<String> = numbers("0100").take(50).collect();
    let mut ids = Vec::new();
    for to in &numbers {
        let created = app.post("/v1/verifications", json!({ "to": to, "ttl": 600 })).await;
        assert_eq!(
            (created.status, &created.body["attempts"][0]["status"]),
            (201, &json!("triggering")),
            "{created:?}"
        );
        ids.push(created.id().to_owned());
    }
    let requests = app.whole_plivo_log().await.len();
    assert!(requests <= 20, "each breaker opens after five failures: {requests} requests");

    outage(&app.plivo_url, json!({ "seconds": 0 })).await;
    // Breakers close in real time, but retries are due by the service's clock. It advances slowly, because the codes
    // expire by it too.
    let http = client();
    let mut seconds = 0;
    for (to, id) in numbers.iter().zip(&ids) {
        while handset(&http, &app.plivo_url, to).await["messages"] == json!([]) {
            assert!(seconds < 590, "{to} is not texted: {:#}", app.read(id).await);
            app.advance(1.0).await;
            seconds += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for (to, id) in numbers.iter().zip(&ids) {
        let v = app.until(id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(v["attempts"].as_array().unwrap().len(), 1, "{v}");
        assert_one_text_and_no_call(to, &handset(&http, &app.plivo_url, to).await);
    }
}

// ---- helpers

/// The service and the local Plivo, each in its own process.
struct World {
    service: Service,
    plivo_url: String,
    http: reqwest::Client,
    _plivo: Process,
}

impl World {
    async fn start(settings: &[(&str, &str)], speed: &str) -> Self {
        let (service, plivo, plivo_url) = service_and_plivo(speed, settings).await;
        service.until_ready().await;
        Self { service, plivo_url, http: client(), _plivo: plivo }
    }

    /// Creates a verification. Returns its id and the `via` of its text.
    async fn create(&self, to: &str) -> (String, String) {
        let created = self.service.create(to, json!({})).await;
        let v = self.service.until(created.id(), "requested", |v| v["attempts"][0]["via"].is_string()).await;
        (created.id().to_owned(), v["attempts"][0]["via"].as_str().unwrap().to_owned())
    }

    async fn until_delivered(&self, id: &str) -> Value {
        self.service.until(id, "delivered", |v| v["attempts"][0]["status"] == "delivered").await
    }

    async fn until_texted(&self, to: &str) {
        until("texted", async || self.handset(to).await["messages"] != json!([])).await;
    }

    async fn handset(&self, to: &str) -> Value {
        handset(&self.http, &self.plivo_url, to).await
    }

    async fn plivo_log(&self) -> Vec<Value> {
        get_json(&self.http, &format!("{}/log", self.plivo_url)).await.as_array().unwrap().clone()
    }

    async fn outage(&self, what: Value) {
        outage(&self.plivo_url, what).await;
    }
}

/// A replica as a client sees it.
struct Replica {
    url: String,
    http: reqwest::Client,
}

/// Why a creation has no answer.
#[derive(Debug, PartialEq)]
enum Unanswered {
    /// No connection: the replica received nothing.
    NotTaken,
    /// The connection was lost in flight: the replica may have received it.
    CutOff,
}

impl Replica {
    fn of(service: &Service) -> Self {
        Self { url: service.url.clone(), http: client() }
    }

    async fn create(&self, to: &str) -> Result<String, Unanswered> {
        let request = self.http.post(format!("{}/v1/verifications", self.url)).bearer_auth(API_KEY);
        let answer = match request.json(&json!({ "to": to })).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Err(Unanswered::NotTaken),
            Err(_) => return Err(Unanswered::CutOff),
        };
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|_| Unanswered::CutOff)?;
        assert!(matches!(status, 200 | 201), "{status}: {}", String::from_utf8_lossy(&body));
        let body: Value = serde_json::from_slice(&body).unwrap();
        Ok(body["id"].as_str().unwrap().to_owned())
    }
}

async fn fifty_texts_go_through_the_api(app: &TestApp) {
    let http = client();
    for to in numbers("0100").take(50) {
        let created = app.post("/v1/verifications", json!({ "to": to })).await;
        assert_eq!((created.status, &created.body["attempts"][0]["via"]), (201, &json!("api")), "{created:?}");
        let v = app.until(created.id(), "delivered", |v| v["attempts"][0]["status"] == "delivered").await;
        assert_eq!(v["attempts"].as_array().unwrap().len(), 1, "{v}");
        assert_one_text_and_no_call(&to, &handset(&http, &app.plivo_url, &to).await);
    }
}

async fn outage(plivo_url: &str, what: Value) {
    let answer = client().post(format!("{plivo_url}/outage")).json(&what).send().await.unwrap();
    assert_eq!(answer.status(), 204);
}

/// Valid numbers in New York, of the scenario that the last four digits choose.
fn numbers(last_four: &'static str) -> impl Iterator<Item = String> {
    let all = ["212", "646", "917", "718"].into_iter().flat_map(|area| (200..1000).map(move |n| (area, n)));
    let all = all.map(move |(area, exchange)| format!("+1{area}{exchange}{last_four}"));
    all.filter(|number| PhoneNumber::parse(number).is_ok())
}

#[track_caller]
fn assert_one_text_and_no_call(to: &str, handset: &Value) {
    let counts = (handset["messages"].as_array().unwrap().len(), handset["calls"].as_array().unwrap().len());
    assert_eq!(counts, (1, 0), "{to}: {handset}");
}
