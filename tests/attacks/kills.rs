//! Replicas are killed again and again while clients verify numbers.
//!
//! Every number is verified, and only a request that was in flight is repeated, once. If the repeat is killed too, the
//! number is called instead.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use phlo_2fa::phone::PhoneNumber;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::support::client;
use crate::world::{API_KEY, handset};

/// Longer than any lease.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_verified_while_replicas_are_killed() {
    kill(6, 120, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn five_thousand_numbers_are_verified_during_two_hundred_kills() {
    kill(200, 5000, 60).await;
}

/// Clients that verify numbers, each request at the next replica.
struct Clients {
    replicas: Vec<String>,
    plivo_url: String,
    http: reqwest::Client,
    turn: AtomicUsize,
    /// Numbers whose creation got no answer, or one from before Plivo's.
    cut_off: Mutex<BTreeSet<String>>,
}

async fn kill(kills: usize, total: usize, at_once: usize) {
    let mut fleet = Fleet::start(3, &[("ESCALATION", "fixed+fail:45"), ("CODE_TTL", "600")]).await;
    let clients = Clients {
        replicas: fleet.services.iter().map(|service| service.url.clone()).collect(),
        plivo_url: fleet.plivo.url.clone(),
        http: client(),
        turn: AtomicUsize::new(0),
        cut_off: Mutex::default(),
    };
    let numbers: Vec<String> = numbers().take(total).collect();
    assert_eq!(numbers.len(), total);
    let (queue, done, killed) = (Mutex::new(numbers.iter().enumerate()), AtomicUsize::new(0), AtomicUsize::new(0));
    // Kills are spread over the run by progress, not by time, so that neither side gets far ahead.
    let client = async || {
        let next = || queue.lock().unwrap().next();
        while let Some((n, to)) = next() {
            while n >= total * (killed.load(Ordering::Relaxed) + 1) / kills {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            clients.verify(to).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let killer = async {
        let mut rng = StdRng::seed_from_u64(6);
        for kill in 0..kills {
            while done.load(Ordering::Relaxed) < total * kill / kills {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
            let which = rng.random_range(0..fleet.services.len());
            let service = &mut fleet.services[which];
            service.process.kill();
            service.start_again().await;
            killed.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::join!(join_all((0..at_once).map(|_| client())), killer);

    let cut_off = clients.cut_off.lock().unwrap().clone();
    let log = handset_log(&clients).await;
    let (mut repeated, mut called) = (0, 0);
    for to in &numbers {
        let sent = |mode: &str| log.iter().filter(|e| e["to"] == to[1..] && e["body"]["mode"] == mode).count();
        let (texts, calls) = (sent("sms"), sent("call"));
        let most = if cut_off.contains(to) { (2, 1) } else { (1, 0) };
        assert!(texts <= most.0 && calls <= most.1 && texts + calls > 0, "{to}: {texts} texts and {calls} calls");
        (repeated, called) = (repeated + usize::from(texts == 2), called + calls);
    }
    println!(
        "kills: {kills} of 3 replicas while {total} numbers verify, {at_once} at a time: all verified; {} were in flight, {repeated} \
         texts sent again, {called} called instead",
        cut_off.len()
    );
}

async fn handset_log(clients: &Clients) -> Vec<Value> {
    let log = clients.http.get(format!("{}/log", clients.plivo_url)).send().await.unwrap();
    serde_json::from_slice::<Value>(&log.bytes().await.unwrap()).unwrap().as_array().unwrap().clone()
}

impl Clients {
    async fn verify(&self, to: &str) {
        let started = Instant::now();
        let id = loop {
            assert!(started.elapsed() < PATIENCE, "{to} is never created");
            match self.post("/v1/verifications", json!({ "to": to })).await {
                Ok((200 | 201, body)) => {
                    if body["attempts"][0]["status"] == "triggering" {
                        self.note_in_flight(to);
                    }
                    break body["id"].as_str().unwrap().to_owned();
                }
                // The creation may have been committed.
                Ok((503, _)) => self.note_in_flight(to),
                Ok((status, body)) => panic!("{to}: {status} {body}"),
                // The replica was down and received nothing.
                Err(error) if error.is_connect() => {}
                Err(_) => self.note_in_flight(to),
            }
        };
        let code = loop {
            assert!(started.elapsed() < PATIENCE, "{to} never gets a code");
            let phone = handset(&self.http, &self.plivo_url, to).await;
            if let Some(code) = phone["messages"][0]["code"].as_str().or(phone["calls"][0]["code"].as_str()) {
                break code.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        loop {
            assert!(started.elapsed() < PATIENCE, "{to} is never verified");
            match self.post(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await {
                Ok((200, body)) => return assert_eq!(body["result"], "verified", "{to}: {body}"),
                // The check before it was committed, and its answer was lost.
                Ok((409, body)) => return assert_eq!(body["code"], "already_verified", "{to}: {body}"),
                Ok((503, _)) | Err(_) => {}
                Ok((status, body)) => panic!("{to}: {status} {body}"),
            }
        }
    }

    fn note_in_flight(&self, to: &str) {
        self.cut_off.lock().unwrap().insert(to.to_owned());
    }

    /// Posts to the next replica.
    async fn post(&self, path: &str, body: Value) -> reqwest::Result<(u16, Value)> {
        let replica = &self.replicas[self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len()];
        let answer = self.http.post(format!("{replica}{path}")).bearer_auth(API_KEY).json(&body).send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }
}

/// Numbers of the scenario that delivers every text.
pub fn numbers() -> impl Iterator<Item = String> {
    let areas = ["212", "646", "917", "718", "347", "929", "213", "310", "323", "415"];
    let all = areas.into_iter().flat_map(|area| (200..1000).map(move |n| format!("+1{area}{n}0100")));
    all.filter(|number| PhoneNumber::parse(number).is_ok())
}
