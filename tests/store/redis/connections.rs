//! Connections: round trips, sharing, runtimes.

use std::sync::Arc;
use std::time::Duration;

use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{Commit, Records, Store};

use super::keys::call_every_writer;
use crate::connect;
use crate::drafts::*;
use crate::redis_server::RedisServer;

#[tokio::test]
async fn every_method_is_one_round_trip_and_none_pings() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    call_every_writer(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    server.command(&["CONFIG", "RESETSTAT"]);
    call_every_writer(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    let stats = server.command(&["INFO", "commandstats"]);
    for (command, calls) in [("evalsha", Some(9)), ("script", None), ("ping", None), ("unwatch", None)] {
        let counted = stats.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let counted = counted.and_then(|l| l.split(',').next()).map(|n| n.parse::<u32>().expect("a count"));
        assert_eq!(counted, calls, "{command} in {stats}");
    }
    // Eleven round trips of the store, and two of this test.
    let reads = server.command(&["INFO", "stats"]);
    let reads = reads.lines().find_map(|l| l.strip_prefix("total_reads_processed:")).map(str::parse::<u32>);
    assert!(reads.clone().is_some_and(|n| n.is_ok_and(|n| n <= 11 + 4)), "{reads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_reaches_only_the_caller_that_asked() {
    let server = RedisServer::start();
    let store = Arc::new(connect(&server.url()));
    let mut drafts = Vec::new();
    for n in 0_u8..32 {
        let draft = Commit { sealed: vec![n; 100], ..draft() };
        commit(&*store, &draft).await;
        drafts.push(draft);
    }
    let mut tasks = Vec::new();
    for round in 0..200 {
        for draft in &drafts {
            let (store, id, sealed) = (store.clone(), draft.id, draft.sealed.clone());
            // From 0 to longer than an answer takes.
            let patience = Duration::from_micros(round * 20);
            tasks.push(tokio::spawn(async move {
                // A caller that gives up early gets no answer.
                let Ok(Ok(found)) = tokio::time::timeout(patience, store.load(id)).await else { return false };
                assert_eq!(found.expect("it is there").stored.sealed, sealed);
                true
            }));
        }
    }
    let all = tasks.len();
    let mut answered = 0;
    for task in tasks {
        answered += usize::from(task.await.expect("the answer is the right one"));
    }
    // The callers of the first round give up before an answer can arrive.
    assert!(answered < all, "no caller gave up: this tested nothing");
    // An answer that was misrouted would reach these.
    for draft in &drafts {
        assert_eq!(stored(&*store, draft.id).await.expect("it is there").sealed, draft.sealed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_outlives_the_runtime_of_the_caller() {
    let server = RedisServer::start();
    let store = Arc::new(connect(&server.url()));
    for _ in 0..3 {
        let store = store.clone();
        let worker = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { store.ping().await.unwrap() });
        });
        tokio::task::spawn_blocking(|| worker.join().expect("the worker ends well")).await.expect("it ends");
    }
    store.ping().await.unwrap();
    assert_eq!(store.pool(), Some((1, 1)));
    assert!(
        server.command(&["INFO", "stats"]).contains("total_connections_received:3"),
        "one of the store, and two of this test"
    );
}

#[test]
fn a_store_refuses_an_invalid_url() {
    for url in ["memory://", "redis+cluster://a/1", "127.0.0.1"] {
        assert!(Redis::check_url(&url.to_owned().into()).is_err(), "{url}");
        assert!(Redis::connect(&url.to_owned().into(), None, 1).is_err(), "{url}");
    }
}
