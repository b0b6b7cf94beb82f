//! Redis fails over while replicas of the service create and check verifications.
//!
//! The test keeps a history of every acknowledged answer and compares it with what the service says afterwards: nothing
//! acknowledged is gone, no used code is good again, and next to nothing is given up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::fleet::{Fleet, Times};
use crate::kills::numbers;
use crate::support::client;
use crate::support::redis_server::RedisServer;
use crate::world::API_KEY;

const CODE: &str = "042917";
/// How long a person repeats a request that is answered with 503.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Planned,
    Killed,
    Frozen,
}

impl Fault {
    /// How many of a hundred open verifications may be given up.
    fn given_up_max(self) -> f64 {
        if self == Self::Planned { 1.0 } else { 5.0 }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_sentinel_gives_up_next_to_nothing() {
    fail_over(false, Fault::Planned, 20, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-faults"]
async fn twenty_failovers_of_each_kind_give_up_next_to_nothing() {
    let times = std::env::var("FAILOVERS").map_or(20, |times| times.parse().expect("how many failovers of each kind"));
    for is_cluster in [false, true] {
        for fault in [Fault::Planned, Fault::Killed, Fault::Frozen] {
            for _ in 0..times {
                fail_over(is_cluster, fault, 100, 10).await;
            }
        }
    }
}

/// The servers of one topology; `replica` takes over from `primary`.
struct Servers {
    url: String,
    primary: RedisServer,
    replica: RedisServer,
    others: Vec<RedisServer>,
}

impl Servers {
    async fn start(is_cluster: bool) -> Self {
        if is_cluster {
            let [primary, second, third] = RedisServer::start_cluster_of_three();
            let replica = RedisServer::start_cluster_replica_of(&primary, &[]);
            return Self { url: second.url(), primary, replica, others: vec![second, third] };
        }
        let primary = RedisServer::start();
        let replica = RedisServer::start_replica_of(&primary, &[]);
        let sentinel = RedisServer::start_sentinel(&primary);
        sentinel.command(&["SENTINEL", "SET", "main", "down-after-milliseconds", "3000"]);
        let start = Instant::now();
        while !sentinel.command(&["SENTINEL", "REPLICAS", "main"]).contains(&replica.port.to_string()) {
            assert!(start.elapsed() < PATIENCE, "the sentinel never knows the replica");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self { url: sentinel.url(), primary, replica, others: vec![sentinel] }
    }

    /// Makes the replica the primary.
    async fn fail_over(&mut self, is_cluster: bool, fault: Fault) {
        match fault {
            Fault::Planned if is_cluster => _ = self.replica.command(&["CLUSTER", "FAILOVER"]),
            Fault::Planned => {
                while !self.others[0].command(&["SENTINEL", "FAILOVER", "main"]).starts_with("OK") {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Fault::Killed => self.primary.kill(),
            Fault::Frozen => self.primary.freeze(),
        }
        let start = Instant::now();
        while !self.replica.is_primary() {
            assert!(start.elapsed() < PATIENCE, "the replica is never promoted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if fault == Fault::Frozen {
            self.primary.resume();
        }
    }
}

/// What the clients were told.
#[derive(Default)]
struct History {
    /// Acknowledged creations, and what the check of each was answered at last.
    created: BTreeMap<String, Option<String>>,
    times: Vec<Duration>,
    unavailable: usize,
    /// When a commit was last acknowledged, and the longest time without one.
    last: Option<Instant>,
    longest_gap: Duration,
}

#[derive(Clone)]
struct Client {
    replicas: Arc<Vec<String>>,
    http: reqwest::Client,
    history: Arc<Mutex<History>>,
}

impl Client {
    async fn post(&self, replica: usize, path: &str, body: Value) -> (u16, Value) {
        let sent = Instant::now();
        let url = format!("{}{path}", self.replicas[replica % self.replicas.len()]);
        let answer = self.http.post(url).bearer_auth(API_KEY).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {status} {text}"));
        let mut history = self.history.lock().unwrap();
        history.times.push(sent.elapsed());
        if status == 503 {
            history.unavailable += 1;
        } else {
            let gap = history.last.map_or(Duration::ZERO, |last| last.elapsed());
            history.longest_gap = history.longest_gap.max(gap);
            history.last = Some(Instant::now());
        }
        (status, body)
    }

    /// Checks the right code, again while the service is unavailable, at one replica after the other.
    async fn check(&self, replica: usize, id: &str) -> String {
        let start = Instant::now();
        for again in 0.. {
            let path = format!("/v1/verifications/{id}/checks");
            let (status, body) = self.post(replica + again, &path, json!({ "code": CODE })).await;
            if status != 503 {
                let what = body["result"].as_str().or(body["code"].as_str()).unwrap_or_default();
                return format!("{status} {what}");
            }
            assert!(start.elapsed() < PATIENCE, "{id} is never checked");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        unreachable!("it is checked or fails")
    }

    /// Creates a verification. Every second one is checked a second later.
    async fn verify(self, n: usize, to: String) {
        let (status, body) = self.post(n, "/v1/verifications", json!({ "to": to, "code": CODE })).await;
        if status == 503 {
            return;
        }
        assert_eq!(status, 201, "{body}");
        let id = body["id"].as_str().unwrap().to_owned();
        self.history.lock().unwrap().created.insert(id.clone(), None);
        if n.is_multiple_of(2) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let answer = self.check(n + 1, &id).await;
            self.history.lock().unwrap().created.insert(id, Some(answer));
        }
    }
}

/// One failover in the middle of `seconds` with `rate` creations a second.
async fn fail_over(is_cluster: bool, fault: Fault, rate: usize, seconds: usize) {
    let mut servers = Servers::start(is_cluster).await;
    let settings = [("REDIS_URL", &*servers.url), ("ESCALATION", "never"), ("CODE_TTL", "600")];
    let fleet = Fleet::start(3, &settings).await;
    let client = Client {
        replicas: Arc::new(fleet.services.iter().map(|service| service.url.clone()).collect()),
        http: client(),
        history: Arc::default(),
    };
    // Load before the failover, during it, and until the promoted server takes commits again.
    let (begins, is_over) = (tokio::sync::Notify::new(), AtomicBool::new(false));
    let load = async {
        let mut interval = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
        let (mut tasks, mut left) = (Vec::new(), rate * seconds / 2);
        for (n, to) in numbers().enumerate() {
            interval.tick().await;
            tasks.push(tokio::spawn(client.clone().verify(n, to)));
            if n == rate * seconds / 2 {
                begins.notify_one();
            }
            left -= usize::from(is_over.load(Ordering::Relaxed));
            if left == 0 {
                break;
            }
        }
        tasks
    };
    let failover = async {
        begins.notified().await;
        servers.fail_over(is_cluster, fault).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (tasks, ()) = tokio::join!(load, failover);
    let tasks = join_all(tasks).await;
    if tasks.iter().any(Result::is_err) {
        fleet.services.iter().for_each(|service| println!("{}", service.process.log()));
    }
    tasks.into_iter().for_each(|task| task.unwrap());

    let created = client.history.lock().unwrap().created.clone();
    let mut answers = BTreeMap::<String, usize>::new();
    let mut given_up = 0;
    for (n, (id, before)) in created.iter().enumerate() {
        let answer = client.check(n, id).await;
        // The first check after a failover may find the verification given up.
        given_up += usize::from([before.as_deref(), Some(&*answer)].contains(&Some("410 verification_lost")));
        if before.as_deref().is_some_and(|before| before == "200 verified" || before == "409 already_verified") {
            assert_eq!(answer, "409 already_verified", "{id}: a used code, after {before:?}");
        }
        assert!(!answer.starts_with("404"), "{id} was acknowledged and is gone");
        *answers.entry(answer).or_default() += 1;
    }
    let history = client.history.lock().unwrap();
    let share = 100.0 * given_up as f64 / created.len() as f64;
    println!(
        "{fault:?} failover of {}: {} acknowledged, {given_up} given up ({share:.1} %, at most {} %), {} answers 503, \
         longest time without an acknowledgement {:?}, p99 {:?}; {answers:?}",
        if is_cluster { "a cluster" } else { "Sentinel" },
        created.len(),
        fault.given_up_max(),
        history.unavailable,
        history.longest_gap,
        Times::of(history.times.clone()).percentile(99),
    );
    assert!(share <= fault.given_up_max(), "{share} %: {answers:?}");
}
