//! Commits a second through the `Store` trait, in memory and in a real Redis: `cargo bench --bench store`.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench prints, and without its input has nothing to do")]

#[path = "../tests/support/redis_server.rs"]
mod redis_server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{Commit, CommitMode, CommitOutcome, Memory, NumberKey, PurposeKey, Store};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::VerificationId;
use redis_server::RedisServer;

/// Records, each created and then updated once.
const RECORDS: u64 = 10_000;
/// About the size of a sealed verification with one text.
const SEALED_BYTES: usize = 500;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const POOL_SIZE: usize = 16;

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
        ttl: Duration::from_secs(600),
        guesses: None,
        index_ttl: Some(Duration::from_secs(600)),
        session: None,
        verified_ttl: None,
        increments: Vec::new(),
        links: Vec::new(),
        longest_ttl: Duration::from_secs(4_200),
        now: START,
    }
}
