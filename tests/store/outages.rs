//! Redis goes, comes back, loses its role, its memory or its replicas: every method says so, in words that
//! tell nothing of keys or addresses, and goes on by itself when that is over.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{AttemptRef, Commit, Outcome, Parked, Store, StoreError};
use phlo_2fa::verification::event::{Facts, TextReport};

use crate::connect;
use crate::drafts::*;
use crate::redis_server::RedisServer;

/// Calls every method and expects none to answer.
async fn assert_that_all_is_unavailable(store: &Redis, server: &RedisServer) {
    let draft = draft();
    let to = AttemptRef { id: draft.id, attempt: 0 };
    let faults = [
        ("now", store.now().await.err()),
        ("load", store.load(draft.id).await.err()),
        ("load_many", store.load_many(&[draft.id]).await.err()),
        ("commit", store.commit(&draft).await.err()),
        ("newest", store.newest(draft.number).await.err()),
        ("list", store.list("shop", None, None, 1).await.err()),
        ("claim_due", store.claim_due(at(0), LONG, 1).await.err()),
        ("link", store.link("uuid", to, LONG).await.err()),
        ("find_or_park", store.find_or_park("uuid", &Parked::Text(TextReport::Sent, Facts::default())).await.err()),
        ("unpark", store.unpark("uuid").await.err()),
        ("ping", store.ping().await.err()),
    ];
    for (method, fault) in faults {
        assert_unavailable(method, fault, server);
    }
    assert_eq!(store.warnings().await, Vec::<String>::new());
}

fn assert_unavailable(method: &str, fault: Option<StoreError>, server: &RedisServer) {
    match fault {
        Some(StoreError::Unavailable(why)) => {
            let tells = [&server.port.to_string(), "127.0.0.1", "phlo2fa", "uuid"].iter().any(|w| why.contains(*w));
            assert!(!tells, "{method} says: {why}");
        }
        other => panic!("{method}: {other:?}"),
    }
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
    assert_that_all_is_unavailable(&store, &server).await;
    server.restart();
    commit(&store, &draft()).await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again_at_once() {
    let mut server = RedisServer::start();
    let store = connect(&server.url());
    // Several connections, so that a dead one is met more than once.
    let many = join_all((0..4).map(|_| store.ping())).await;
    assert!(many.iter().all(Result::is_ok));
    server.restart();
    commit(&store, &draft()).await;
    server.kill();
    assert_that_all_is_unavailable(&store, &server).await;
    server.restart();
    commit(&store, &draft()).await;
}

#[tokio::test]
async fn a_cluster_that_comes_back_is_used_again() {
    let mut server = RedisServer::start_cluster();
    let store = connect(&server.url());
    commit(&store, &draft()).await;
    server.kill();
    assert_that_all_is_unavailable(&store, &server).await;
    server.restart();
    until_it_answers(&store).await;
    commit(&store, &draft()).await;
}

#[tokio::test]
async fn a_primary_that_is_away_stops_no_other_shard() {
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
    // Their timers go off, the first time somebody looks.
    let mut claimed = store.claim_due(at(0), LONG, 256).await.unwrap().ids;
    claimed.sort_unstable();
    assert_eq!(claimed, reached);
    // More questions at once than redis-rs bears: it stands still, is given up and replaced.
    join_all(drafts.iter().map(|draft| store.load(draft.id))).await;
    let start = Instant::now();
    while store.load(reached[0]).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the shards that are left are never reached again");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_within_a_second() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    store.ping().await.unwrap();
    // Silent for longer than anybody waits.
    server.command(&["CLIENT", "PAUSE", "6000", "ALL"]);
    let start = Instant::now();
    assert!(store.ping().await.is_err());
    // Fifty wait as long as one, however slow this machine.
    let most = (start.elapsed() * 7 / 4).max(Duration::from_millis(1900));
    let start = Instant::now();
    let pings = join_all((0..50).map(|_| store.ping())).await;
    assert!(start.elapsed() < most, "{:?} of {most:?}", start.elapsed());
    assert!(pings.iter().all(|p| matches!(p, Err(StoreError::Unavailable(_)))));
    until_it_answers(&store).await;
}

#[tokio::test]
async fn what_a_server_cannot_do_now_changes_nothing_and_can_be_done_later() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let store = connect(&server.url());
    let other = other.port.to_string();
    let ills: [(&[&str], &[&str]); 3] = [
        (&["REPLICAOF", "127.0.0.1", &other], &["REPLICAOF", "NO", "ONE"]),
        (&["CONFIG", "SET", "min-replicas-to-write", "1"], &["CONFIG", "SET", "min-replicas-to-write", "0"]),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
    ];
    for (ill, cure) in ills {
        // The first time the script is known, so that it is the commit which fails, not its loading.
        commit(&store, &draft()).await;
        server.command(ill);
        let draft = draft();
        assert_unavailable(ill[0], store.commit(&draft).await.err(), &server);
        server.command(cure);
        assert_eq!(store.load(draft.id).await.unwrap(), None, "{ill:?}");
        assert_eq!(store.newest(draft.number).await.unwrap(), None, "{ill:?}");
        commit(&store, &draft).await;
    }
}

#[tokio::test]
async fn when_sentinels_name_another_master_it_is_found() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.command(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    let sentinel = RedisServer::start_sentinel(&master);
    let store = connect(&sentinel.url());
    let start = Instant::now();
    while !replica.command(&["INFO", "replication"]).contains("master_link_status:up") {
        assert!(start.elapsed() < Duration::from_secs(30), "the replica never finds its master");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let first = Commit { due: Some(at(0)), ..draft() };
    commit(&store, &first).await;
    while !sentinel.command(&["SENTINEL", "FAILOVER", "main"]).starts_with("OK") {
        assert!(start.elapsed() < Duration::from_secs(30), "the sentinel never knows the replica");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A server that takes another role cuts its connections off, this one's too.
    let is = |server: &RedisServer, role| server.try_command(&["ROLE"]).is_ok_and(|answer| answer.contains(role));
    while !is(&replica, "master") || !is(&master, "slave") {
        assert!(start.elapsed() < Duration::from_secs(60), "there is no other master");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The old connection still answers; what it says is READONLY.
    let second = after(&first, b"second");
    assert_eq!(store.commit(&second).await.unwrap(), Outcome::MayLack);
    let second = Commit { may_lack: true, ..second };
    assert_eq!(store.commit(&second).await.unwrap(), Outcome::Committed(2));
    // From there on it is the new one's own history.
    commit(&store, &Commit { may_lack: false, ..after(&second, b"third") }).await;
    assert!(
        replica.command(&["EXISTS", &format!("phlo2fa:{{{:02x}}}:due", first.id.shard())]).contains('1'),
        "it is the new master that took it"
    );
}

#[tokio::test]
async fn on_a_primary_that_was_a_replica_only_what_is_its_own_is_gone_on_with() {
    let (primary, server) = (RedisServer::start(), RedisServer::start());
    let store = connect(&server.url());
    server.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    server.command(&["REPLICAOF", "NO", "ONE"]);
    // What a server writes that was never a replica, what a version wrote that knew of no histories, and its own.
    for (history, is_taken) in [(Some("\0\0\0\u{1}"), false), (Some("\0\0\0\0"), true), (None, true)] {
        let first = draft();
        commit(&store, &first).await;
        if let Some(history) = history {
            let records = server.command(&["KEYS", "phlo2fa:*:v:*"]);
            let member = &first.id.to_string()[6..];
            let record = records.lines().find(|key| key.ends_with(member)).expect("its record");
            server.command(&["SETRANGE", record, "0", history]);
        }
        let second = after(&first, b"second");
        let expected = if is_taken { Outcome::Committed(2) } else { Outcome::MayLack };
        assert_eq!(store.commit(&second).await.unwrap(), expected, "{history:?}");
        // Whoever knows takes it as it is.
        let second = Commit { may_lack: true, ..second };
        assert_eq!(store.commit(&second).await.unwrap(), Outcome::Committed(2));
        commit(&store, &after(&second, b"third")).await;
    }
}

#[tokio::test]
async fn a_second_commit_after_a_lost_answer_is_one() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    for n in 0..20_u8 {
        let draft = Commit { sealed: vec![n; 64], ..draft() };
        store.ping().await.unwrap();
        // Cut off while it is under way, before or after it is done.
        let cut = async {
            tokio::task::yield_now().await;
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        };
        let (outcome, ()) = tokio::join!(store.commit(&draft), cut);
        assert_eq!(outcome.unwrap(), Outcome::Committed(1));
    }
}
