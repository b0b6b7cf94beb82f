//! A receiver of webhooks fails often and is away for a while, and replicas are killed.
//!
//! Every event of every timeline arrives, and those of one verification arrive in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::fleet::{Fleet, Times};
use crate::kills::numbers;
use crate::support::client;
use crate::support::receiver::{Receiver, SECRET};
use crate::world::API_KEY;

/// As long as the pauses of an event that fails sixteen times in a row.
const PATIENCE: Duration = Duration::from_secs(1200);
const CODE: &str = "042917";

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_in_order_while_replicas_are_killed() {
    deliver(20, 4, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn ten_thousand_events_arrive_at_a_receiver_that_is_away_for_a_minute() {
    let p95 = deliver(2600, 20, Duration::from_secs(60)).await;
    assert!(p95 < Duration::from_secs(1), "{p95:?} to the first delivery while the receiver is well");
}

/// Returns the 95th percentile of the time from an event to its delivery while the receiver is well.
async fn deliver(verifications: usize, at_once: usize, away: Duration) -> Duration {
    let receiver = Receiver::start();
    let url = receiver.url.clone();
    let settings = [("WEBHOOK_URL", &*url), ("WEBHOOK_SECRETS", SECRET), ("WEBHOOK_ALLOW_PRIVATE", "true")];
    let mut fleet = Fleet::start(2, &settings).await;
    let urls: Vec<String> = fleet.services.iter().map(|service| service.url.clone()).collect();
    let numbers: Vec<String> = numbers().take(verifications).collect();
    let (created, started) = (AtomicUsize::new(0), Instant::now());
    let run = async |from: usize, to: usize| {
        let next = AtomicUsize::new(from);
        let client = async || {
            let (http, mut ids) = (client(), Vec::new());
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= to {
                    return ids;
                }
                ids.push(verify(&http, &urls, n, &numbers[n]).await);
                created.fetch_add(1, Ordering::Relaxed);
            }
        };
        join_all((0..at_once).map(|_| client())).await.concat()
    };
    // A quarter while it is well.
    let mut ids = run(0, verifications / 4).await;
    until_told(&receiver, &urls, &ids).await;
    let well: Vec<Duration> = receiver.taken().iter().map(|delivery| delivery.since_event()).collect();
    let well = Times::of(well);

    receiver.fail(30);
    let killer = async {
        for share in [3, 4] {
            while created.load(Ordering::Relaxed) < verifications * share / 6 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let service = &mut fleet.services[share % 2];
            service.process.kill();
            if share == 3 {
                receiver.fail(100);
            }
            service.start_again().await;
        }
        tokio::time::sleep(away).await;
        receiver.fail(30);
    };
    let (more, ()) = tokio::join!(run(verifications / 4, verifications), killer);
    ids.extend(more);
    let told = until_told(&receiver, &urls, &ids).await;
    let tries = receiver.taken().len();
    println!(
        "webhooks: {told} events of {verifications} verifications, {tries} requests, receiver away for {away:?}, 2 kills: all \
         delivered in order in {:.0?}; while it was well {:?} (median) and {:?} (95 %) after the event",
        started.elapsed(),
        well.median(),
        well.percentile(95)
    );
    well.percentile(95)
}

/// Creates and verifies a number at any replica that lives, and returns the id.
async fn verify(http: &reqwest::Client, urls: &[String], n: usize, to: &str) -> String {
    let create = json!({ "to": to, "code": CODE, "escalation": "never" });
    let created = post(http, urls, n, "/v1/verifications", &create, &[200, 201]).await;
    let id = created["id"].as_str().unwrap().to_owned();
    // 409: a check before it was committed, and its answer was lost.
    post(http, urls, n, &format!("/v1/verifications/{id}/checks"), &json!({ "code": CODE }), &[200, 409]).await;
    id
}

async fn post(http: &reqwest::Client, urls: &[String], n: usize, path: &str, body: &Value, good: &[u16]) -> Value {
    let start = Instant::now();
    for url in urls.iter().cycle().skip(n % urls.len()) {
        assert!(start.elapsed() < PATIENCE, "no replica takes {path}");
        // The same for each try: an answer that was lost is given again.
        let key = format!("{n}-{}", path.len());
        let request = http.post(format!("{url}{path}")).bearer_auth(API_KEY).header("Idempotency-Key", key);
        let sent = request.json(body).send().await;
        if let Ok(answer) = sent
            && good.contains(&answer.status().as_u16())
        {
            let bytes = answer.bytes().await.unwrap_or_default();
            if let Ok(body) = serde_json::from_slice(&bytes) {
                return body;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("the replicas never end");
}

/// Waits until every event of these verifications has been taken, asserts that each came after the one before it, and
/// returns how many there are.
async fn until_told(receiver: &Receiver, urls: &[String], ids: &[String]) -> usize {
    let (http, start) = (client(), Instant::now());
    let (mut count, mut pending, mut arrived) = (0, ids.to_vec(), in_order_of_arrival(receiver));
    while let Some(id) = pending.last() {
        let expected = events_of(&http, urls, id).await;
        if arrived.get(id) == Some(&expected) {
            count += expected.len();
            pending.pop();
            continue;
        }
        assert!(start.elapsed() < PATIENCE, "{id} is never complete: {:?} of {expected:?}", arrived.get(id));
        tokio::time::sleep(Duration::from_millis(200)).await;
        arrived = in_order_of_arrival(receiver);
    }
    for (id, taken) in in_order_of_arrival(receiver) {
        assert!(taken.is_sorted(), "{id}: {taken:?}");
    }
    count
}

/// The events of each verification that the receiver has taken, in the order in which each came first.
fn in_order_of_arrival(receiver: &Receiver) -> BTreeMap<String, Vec<usize>> {
    let mut first: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for delivery in receiver.taken().iter().filter(|delivery| delivery.answer < 300) {
        let (record, entry) = delivery.id.rsplit_once('_').unwrap();
        let (entries, entry) = (first.entry(record.replace("evt_", "vrf_")).or_default(), entry.parse().unwrap());
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    first
}

/// The entries of a timeline that a receiver is told of.
async fn events_of(http: &reqwest::Client, urls: &[String], id: &str) -> Vec<usize> {
    for url in urls.iter().cycle() {
        let get = http.get(format!("{url}/v1/verifications/{id}/timeline")).bearer_auth(API_KEY);
        if let Ok(answer) = get.send().await
            && answer.status() == 200
            && let Ok(timeline) = serde_json::from_slice::<Value>(&answer.bytes().await.unwrap_or_default())
        {
            let entries = timeline["entries"].as_array().unwrap();
            let is_told =
                |entry: &Value| matches!(entry["event"].as_str(), Some("text_reported" | "ended" | "refused"));
            return entries.iter().enumerate().filter(|(_, entry)| is_told(entry)).map(|(n, _)| n).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    unreachable!("the replicas never end");
}
