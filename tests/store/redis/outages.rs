//! Outages: every method reports them without keys or addresses, and the store recovers by itself.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{
    AttemptRef, Commit, CommitOutcome, Links, OutageCause, PageRequest, PendingReport, Records, ServerRefusal, Store,
    StoreError, Values,
};

use crate::connect;
use crate::drafts::*;
use crate::redis_server::RedisServer;
use phlo_2fa::verification::{ReportFacts, TextReport};

/// Calls the methods and expects each to fail.
async fn assert_that_every_method_is_unavailable(store: &Redis, server: &RedisServer) {
    let draft = draft();
    let to = AttemptRef { id: draft.id, attempt: phlo_2fa::verification::AttemptIndex::FIRST };
    let errors = [
        ("now", store.now().await.err()),
        ("load", store.load(draft.id).await.err()),
        ("load_many", store.load_many(&[draft.id]).await.err()),
        ("commit", store.commit(&draft).await.err()),
        ("number_index", store.number_index(draft.number).await.err()),
        ("list", store.list(&PageRequest::newest("shop", 1)).await.err()),
        ("claim_due", store.claim_due(at(0), LONG, 1).await.err()),
        ("link", store.link("uuid", to, LONG).await.err()),
        (
            "find_or_keep",
            store.find_or_keep("uuid", &PendingReport::Text(TextReport::Sent, ReportFacts::default())).await.err(),
        ),
        ("forget_pending", store.forget_pending("uuid").await.err()),
        ("values", store.values(&["name".to_owned()]).await.err()),
        ("ping", store.ping().await.err()),
    ];
    for (method, error) in errors {
        assert_unavailable(method, error, server);
    }
    assert_eq!(store.warnings().await, Vec::<String>::new());
}

fn assert_unavailable(method: &str, error: Option<StoreError>, server: &RedisServer) {
    let Some(StoreError::Unavailable(cause)) = error else { panic!("{method}: {error:?}") };
    let text = format!("{cause} {cause:?}");
    let reveals = [&server.port.to_string(), "127.0.0.1", "phlo2fa", "uuid"].iter().any(|word| text.contains(*word));
    assert!(!reveals, "{method}: {text}");
}

async fn until_it_answers(store: &dyn Store) {
    let start = Instant::now();
    while store.ping().await.is_err() || store.load(draft().id).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the store never answers again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_store_waits_for_a_server_that_is_not_there_yet() {
    let mut server = RedisServer::start();
    server.kill();
    let store = connect(&server.url());
    assert_that_every_method_is_unavailable(&store, &server).await;
    server.restart();
    commit(&store, &draft()).await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again_at_once() {
    let mut server = RedisServer::start();
    let store = connect(&server.url());
    // Several connections, so that requests meet more than one dead connection.
    let many = join_all((0..4).map(|_| store.ping())).await;
    assert!(many.iter().all(Result::is_ok));
    server.restart();
    commit(&store, &draft()).await;
    server.kill();
    assert_that_every_method_is_unavailable(&store, &server).await;
    server.restart();
    commit(&store, &draft()).await;
}

#[tokio::test]
async fn a_cluster_that_comes_back_is_used_again() {
    let mut server = RedisServer::start_cluster();
    let store = connect(&server.url());
    commit(&store, &draft()).await;
    server.kill();
    assert_that_every_method_is_unavailable(&store, &server).await;
    server.restart();
    until_it_answers(&store).await;
    commit(&store, &draft()).await;
}

#[tokio::test]
async fn a_dead_primary_stops_no_other_shard() {
    let mut servers = RedisServer::start_cluster_of_three();
    let store = connect(&servers[0].url());
    let drafts: Vec<_> = (0..=255).map(|shard| Commit { due: Some(at(0)), ..draft_of(number_in(shard)) }).collect();
    for draft in &drafts {
        commit(&store, draft).await;
    }
    servers[1].kill();
    let mut reached = Vec::new();
    for draft in &drafts {
        if store.commit(&after(draft, b"second")).await.is_ok() {
            reached.push(draft.id);
        }
    }
    assert!((130..230).contains(&reached.len()), "{} of 256 shards", reached.len());
    // The due times of the other shards are claimed at the first attempt.
    let mut claimed = ids(store.claim_due(at(0), LONG, 256).await.unwrap());
    claimed.sort_unstable();
    assert_eq!(claimed, reached);
    // So many requests at once stall the cluster connection of redis-rs: the pool drops it and opens another.
    join_all(drafts.iter().map(|draft| store.load(draft.id))).await;
    let start = Instant::now();
    while store.load(reached[0]).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the remaining shards are never reached again");
    }
}

#[tokio::test]
async fn a_hanging_primary_stops_no_other_shard() {
    let servers = RedisServer::start_cluster_of_three();
    let store = connect(&servers[0].url());
    let drafts: Vec<_> = (0..64).map(|shard| draft_of(number_in(shard))).collect();
    for draft in &drafts {
        commit(&store, draft).await;
    }
    let hangs = |draft: &&Commit| {
        let key = format!("phlo2fa:{{{:02x}}}:due", draft.id.shard());
        let slot: u16 = servers[0].command(&["CLUSTER", "KEYSLOT", &key]).parse().expect("a slot");
        (5461..=10922).contains(&slot)
    };
    let (hanging, others): (Vec<_>, Vec<_>) = drafts.iter().partition(hangs);
    servers[1].command(&["CLIENT", "PAUSE", "20000", "ALL"]);
    assert!(store.load(hanging[0].id).await.is_err());
    // Connections that are open stay in use, and new ones are opened although one node does not answer.
    for store in [&store, &connect(&servers[0].url())] {
        for draft in &others {
            store.load(draft.id).await.expect("the other primaries answer");
        }
        assert!(store.load(hanging[0].id).await.is_err());
    }
}

#[tokio::test]
async fn a_request_to_a_hanging_server_fails_within_a_second() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    store.ping().await.unwrap();
    // Longer than any request waits.
    server.command(&["CLIENT", "PAUSE", "6000", "ALL"]);
    let start = Instant::now();
    assert!(store.ping().await.is_err());
    // Fifty requests wait as long as one, on a slow machine too.
    let most = (start.elapsed() * 7 / 4).max(Duration::from_millis(1900));
    let start = Instant::now();
    let pings = join_all((0..50).map(|_| store.ping())).await;
    assert!(start.elapsed() < most, "{:?} of {most:?}", start.elapsed());
    assert!(pings.iter().all(|p| matches!(p, Err(StoreError::Unavailable(OutageCause::Timeout)))));
    until_it_answers(&store).await;
}

#[tokio::test]
async fn a_refused_commit_changes_nothing_and_succeeds_later() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let store = connect(&server.url());
    let other = other.port.to_string();
    let faults: [(&[&str], &[&str], ServerRefusal); 3] = [
        (&["REPLICAOF", "127.0.0.1", &other], &["REPLICAOF", "NO", "ONE"], ServerRefusal::ReadOnly),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            ServerRefusal::NoReplicas,
        ),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], ServerRefusal::OutOfMemory),
    ];
    for (fault, cure, refusal) in faults {
        // Loads the script, so that the commit fails and not the loading.
        commit(&store, &draft()).await;
        server.command(fault);
        let draft = draft();
        let error = store.commit(&draft).await.expect_err("the server refuses to write");
        // Before Redis 7 a script reports each of them as ERR.
        let expected = [refusal, ServerRefusal::General].map(OutageCause::Refused);
        assert!(matches!(&error, StoreError::Unavailable(cause) if expected.contains(cause)), "{fault:?}: {error:?}");
        server.command(cure);
        assert_eq!(store.load(draft.id).await.unwrap(), None, "{fault:?}");
        assert_eq!(newest(&store, draft.number).await, None, "{fault:?}");
        commit(&store, &draft).await;
    }
}

#[tokio::test]
async fn a_commit_is_retried_once_after_a_lost_answer() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    for n in 0..20_u8 {
        let draft = Commit { sealed: vec![n; 64], ..draft() };
        store.ping().await.unwrap();
        // The connection closes during the commit, before or after it takes effect.
        let cut = async {
            tokio::task::yield_now().await;
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        };
        let (outcome, ()) = tokio::join!(store.commit(&draft), cut);
        assert_eq!(outcome.unwrap(), CommitOutcome::Committed);
    }
}
