//! Commits a second through the `Store` trait, in memory and in a real Redis: `cargo bench --bench store`.
//!
//! Then the same commits in a Redis with many pending verifications, beside one with a thousand. `PENDING` says how many.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench prints, and without its input has nothing to do")]

#[path = "../tests/support/redis_server.rs"]
mod redis_server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{Commit, CommitMode, CommitOutcome, Memory, NumberKey, PurposeKey, Records, Store};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{Status, VerificationId};
use redis_server::RedisServer;

/// Records, each created and then updated once.
const RECORDS: u64 = 10_000;
/// About the size of a sealed verification with one text.
const SEALED_BYTES: usize = 500;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const POOL_SIZE: usize = 16;
/// Pending verifications of the two servers that are compared, in turn.
const FEW: u64 = 1_000;
const MANY: u64 = 100_000;
const ROUNDS: usize = 5;
const OPERATIONS: u64 = 2_000;

#[tokio::main]
async fn main() {
    let server = RedisServer::start();
    let redis = Redis::connect(&server.url().into(), None, POOL_SIZE).expect("a URL of a Redis");
    let stores: [(&str, Arc<dyn Store>); 2] = [("memory", Arc::new(Memory::default())), ("Redis", Arc::new(redis))];
    for (name, store) in stores {
        let mut first = 0;
        for concurrent in [1, 16] {
            let records = first..first + RECORDS;
            first = records.end;
            let creations: Vec<Commit> = records.map(creation).collect();
            let updates: Vec<Commit> = creations.iter().map(update_of).collect();
            let creations = commits_per_second(&*store, &creations, concurrent).await;
            let updates = commits_per_second(&*store, &updates, concurrent).await;
            println!("{name:6}  {concurrent:2} at a time: {creations:>9.0} creations/s  {updates:>9.0} updates/s");
        }
    }
    compare_pending().await;
}

/// Prints what creations, updates and reads cost beside many pending verifications, as a ratio to few.
async fn compare_pending() {
    let many = std::env::var("PENDING").map_or(MANY, |many| many.parse().expect("a number of verifications"));
    let servers = [RedisServer::start(), RedisServer::start()];
    let mut stores = Vec::new();
    for (server, pending) in servers.iter().zip([FEW, many]) {
        let store = Redis::connect(&server.url().into(), None, POOL_SIZE).expect("a URL of a Redis");
        let fill = stream::iter(0..pending).for_each_concurrent(POOL_SIZE, |n| commit(&store, creation(n)));
        fill.await;
        stores.push((store, pending));
    }
    let mut seconds = [const { [const { Vec::new() }; 2] }; 3];
    for _ in 0..ROUNDS {
        for (which, (store, next)) in stores.iter_mut().enumerate() {
            let creations: Vec<Commit> = (*next..*next + OPERATIONS).map(creation).collect();
            *next += OPERATIONS;
            let started = Instant::now();
            for creation in &creations {
                commit(store, creation.clone()).await;
            }
            let created = Instant::now();
            for creation in &creations {
                commit(store, update_of(creation)).await;
            }
            let updated = Instant::now();
            for creation in &creations {
                let loaded = store.load(creation.id).await.expect("the store answers");
                assert!(loaded.is_some(), "{} is gone", creation.id);
            }
            let times = [created - started, updated - created, updated.elapsed()];
            seconds.iter_mut().zip(times).for_each(|(of, time)| of[which].push(time.as_secs_f64()));
        }
    }
    for (what, [few, many_seconds]) in ["creations", "updates", "reads"].into_iter().zip(seconds) {
        let (few, many_seconds) = (median(few), median(many_seconds));
        let rate = |seconds: f64| OPERATIONS as f64 / seconds;
        println!(
            "Redis   {what:9} 1 at a time: {:>6.0}/s with {FEW} pending, {:>6.0}/s with {many}: cost {:.2}",
            rate(few),
            rate(many_seconds),
            many_seconds / few
        );
    }
}

async fn commit(store: &Redis, commit: Commit) {
    let outcome = store.commit(&commit).await.expect("the store answers");
    assert!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

async fn commits_per_second(store: &dyn Store, commits: &[Commit], concurrent: usize) -> f64 {
    let start = Instant::now();
    stream::iter(commits)
        .for_each_concurrent(concurrent, |commit| async move {
            let outcome = store.commit(commit).await.expect("the store answers");
            assert!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
        })
        .await;
    commits.len() as f64 / start.elapsed().as_secs_f64()
}

fn update_of(creation: &Commit) -> Commit {
    let mode = CommitMode::Update { expected: creation.version(), accept_stale: false };
    Commit { mode, sealed: vec![1; SEALED_BYTES], ..creation.clone() }
}

/// The only place that knows the fields of a commit.
fn creation(n: u64) -> Commit {
    // The number and the verification are in the same shard, as always.
    let shard = n.to_be_bytes()[7];
    let mut number = [shard; 16];
    number[8..].copy_from_slice(&n.to_be_bytes());
    Commit {
        id: VerificationId::new(shard, u128::from(n)),
        app: "shop".into(),
        number: NumberKey(number),
        purpose: PurposeKey::default(),
        mode: CommitMode::Create { previous: None },
        sealed: vec![0; SEALED_BYTES],
        created_at: START + Duration::from_millis(n),
        due: Some(START + Duration::from_secs(3_600)),
        ttl: Duration::from_secs(3_600),
        guesses: None,
        index_ttl: Some(Duration::from_secs(3_600)),
        session: None,
        status: Status::Pending,
        ended: Vec::new(),
        verified_ttl: None,
        increments: Vec::new(),
        links: Vec::new(),
        longest_ttl: Duration::from_secs(4_200),
        now: START,
    }
}
