//! Failovers: what was acknowledged is there, and what may be missing is refused.

use std::time::{Duration, Instant};

use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{Commit, CommitMode, CommitOutcome, Records};

use crate::connect;
use crate::drafts::*;
use crate::redis_server::RedisServer;

/// A primary and its replica behind a sentinel, which promotes the replica when the primary is silent for three seconds.
struct Watched {
    primary: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
}

impl Watched {
    async fn start() -> Self {
        let args = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"];
        let primary = RedisServer::start_with(&args);
        let replica = RedisServer::start_replica_of(&primary, &args);
        let sentinel = RedisServer::start_sentinel(&primary);
        sentinel.command(&["SENTINEL", "SET", "main", "down-after-milliseconds", "3000"]);
        let servers = Self { primary, replica, sentinel };
        servers.until_watched().await;
        servers
    }

    fn connect(&self) -> Redis {
        connect(&self.sentinel.url())
    }

    /// Asks for a failover while the primary works.
    async fn plan(&self) {
        let start = Instant::now();
        while !self.sentinel.command(&["SENTINEL", "FAILOVER", "main"]).starts_with("OK") {
            assert!(start.elapsed() < Duration::from_secs(60), "the sentinel never knows the replica");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the sentinel knows the replica, without which it has no server to promote.
    async fn until_watched(&self) {
        let start = Instant::now();
        while !self.sentinel.command(&["SENTINEL", "REPLICAS", "main"]).contains(&self.replica.port.to_string()) {
            assert!(start.elapsed() < Duration::from_secs(60), "the sentinel never knows the replica");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Commits with retries, as a client repeats what was answered with 503.
async fn commit_at_last(store: &Redis, commit: &Commit) -> CommitOutcome {
    let start = Instant::now();
    loop {
        match store.commit(commit).await {
            Ok(outcome) => return outcome,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(90), "never committed: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Commits two hundred drafts by turns through `stores`.
async fn commit_many(stores: &[Redis]) -> Vec<Commit> {
    let mut commits = Vec::new();
    for n in 0..200 {
        let first = draft();
        assert_eq!(commit_at_last(&stores[n % stores.len()], &first).await, CommitOutcome::Committed);
        commits.push(first);
    }
    commits
}

/// Commits by turns through `stores` during a failover to `promoted`. Returns what was acknowledged, refused tries left out.
async fn write_through(stores: &[Redis], promoted: &RedisServer) -> Vec<Commit> {
    let (start, mut acknowledged, mut since_promotion) = (Instant::now(), Vec::new(), 0);
    while since_promotion < 100 {
        assert!(start.elapsed() < Duration::from_secs(90), "no failover: {} commits", acknowledged.len());
        for store in stores {
            let first = draft();
            if store.commit(&first).await.is_ok() {
                acknowledged.push(first);
            }
        }
        since_promotion = if promoted.is_primary() { since_promotion + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    acknowledged
}

/// Asserts that every commit is there, and that each store updates it.
async fn assert_that_all_go_on(stores: &[Redis], commits: &[Commit]) {
    for (n, first) in commits.iter().enumerate() {
        let [one, other] = [&stores[n % stores.len()], &stores[(n + 1) % stores.len()]];
        assert!(stored(one, first.id).await.is_some(), "{n} of {} was acknowledged and is gone", commits.len());
        let second = after(first, b"second");
        assert_eq!(commit_at_last(other, &second).await, CommitOutcome::Committed, "{n} of {}", commits.len());
        assert_eq!(commit_at_last(one, &after(&second, b"third")).await, CommitOutcome::Committed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_of_sentinel_takes_nothing_that_was_acknowledged() {
    let servers = Watched::start().await;
    let stores = [servers.connect(), servers.connect()];
    let mut commits = commit_many(&stores).await;
    servers.plan().await;
    commits.extend(write_through(&stores, &servers.replica).await);
    assert_that_all_go_on(&stores, &commits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_takes_nothing_that_was_acknowledged() {
    let mut servers = Watched::start().await;
    let stores = [servers.connect(), servers.connect()];
    let mut commits = commit_many(&stores).await;
    servers.primary.kill();
    commits.extend(write_through(&stores, &servers.replica).await);
    assert_that_all_go_on(&stores, &commits).await;
    // What its process knew dies with it: a new one finds the proof in the store.
    let untouched = commits.last().expect("some");
    drop(stores);
    let third = after(&after(untouched, b"second"), b"third");
    assert_eq!(commit_at_last(&servers.connect(), &after(&third, b"fourth")).await, CommitOutcome::Committed);
}

/// A primary that was frozen goes on to take commits until it is demoted. No replica has them: they are neither acknowledged
/// nor shown to another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_only_a_frozen_primary_has_is_never_shown() {
    let servers = Watched::start().await;
    let [one, other] = [servers.connect(), servers.connect()];
    let first = draft();
    assert_eq!(commit_at_last(&one, &first).await, CommitOutcome::Committed);
    assert_eq!(commit_at_last(&other, &draft()).await, CommitOutcome::Committed);
    servers.primary.freeze();
    let start = Instant::now();
    while !servers.replica.is_primary() {
        assert!(start.elapsed() < Duration::from_secs(60), "the replica is never promoted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    servers.primary.resume();
    let second = after(&first, b"the code is used");
    while one.commit(&second).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(90), "never committed");
        if let Ok(shown) = other.load(first.id).await {
            let shown = shown.expect("it was acknowledged").stored.sealed;
            assert_eq!(shown, first.sealed, "what was refused is shown");
        }
    }
    assert_eq!(stored(&servers.connect(), first.id).await.expect("acknowledged").sealed, second.sealed);
}

/// Lets a replica miss that a code was used, and makes it the primary: nothing of before may be updated on it.
///
/// `url` leads to both servers.
async fn assert_that_a_stale_primary_updates_nothing(url: &str, primary: &mut RedisServer, replica: &mut RedisServer) {
    let before = connect(url);
    // In a cluster another node answers MOVED.
    let held_by_primary =
        |draft: &Commit| primary.command(&["EXISTS", &format!("phlo2fa:{{{:02x}}}:due", draft.id.shard())]) == "0";
    let mut drafts = std::iter::repeat_with(draft).filter(held_by_primary);
    let [used, open] = [drafts.next().expect("endless"), drafts.next().expect("endless")];
    // On a busy machine the replica may lag, and then it is not waited for.
    while !primary.command(&["INFO", "replication"]).contains("lag=0") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for first in [&used, &open] {
        assert_eq!(commit_at_last(&before, first).await, CommitOutcome::Committed);
    }
    primary.cut_off_replicas();
    // While the replica may have been promoted nothing is acknowledged; later the primary goes on alone.
    let cut = Instant::now();
    assert!(before.commit(&after(&used, b"the code is used")).await.is_err());
    assert_eq!(commit_at_last(&before, &after(&used, b"the code is used")).await, CommitOutcome::Committed);
    assert!(cut.elapsed() > Duration::from_secs(7), "{:?}", cut.elapsed());
    primary.kill();

    let start = Instant::now();
    while !replica.is_primary() {
        assert!(start.elapsed() < Duration::from_secs(60), "the replica is never promoted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It lacks a commit. A process that has seen that, and one that knows nothing, before and after a restart of the server.
    for is_restarted in [false, true] {
        if is_restarted {
            replica.restart();
        }
        for store in [&before, &connect(url)] {
            for first in [&used, &open] {
                let second = after(first, b"the code is used again");
                assert_eq!(commit_at_last(store, &second).await, CommitOutcome::PossiblyStale, "{is_restarted}");
            }
        }
    }
    // What begins now goes on.
    let new = draft_of(number_in(used.id.shard()));
    assert_eq!(commit_at_last(&before, &new).await, CommitOutcome::Committed);
    assert_eq!(commit_at_last(&before, &after(&new, b"second")).await, CommitOutcome::Committed);
    let ended = accepting_stale(after(&open, b"given up"));
    assert_eq!(commit_at_last(&before, &ended).await, CommitOutcome::Committed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_behind_sentinel_that_missed_commits_updates_nothing_of_before() {
    let Watched { mut primary, mut replica, sentinel } = Watched::start().await;
    assert_that_a_stale_primary_updates_nothing(&sentinel.url(), &mut primary, &mut replica).await;
}

/// Three primaries, and a replica of the first.
fn start_cluster() -> ([RedisServer; 3], RedisServer) {
    let primaries = RedisServer::start_cluster_of_three();
    let replica = RedisServer::start_cluster_replica_of(&primaries[0], &["--appendonly", "yes"]);
    (primaries, replica)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_of_a_cluster_takes_nothing_that_was_acknowledged() {
    let (primaries, replica) = start_cluster();
    let stores = [connect(&primaries[1].url()), connect(&primaries[1].url())];
    let mut commits = commit_many(&stores).await;
    assert_eq!(replica.command(&["CLUSTER", "FAILOVER"]), "OK");
    commits.extend(write_through(&stores, &replica).await);
    assert_that_all_go_on(&stores, &commits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_of_a_cluster_takes_nothing_that_was_acknowledged() {
    let (mut primaries, replica) = start_cluster();
    let stores = [connect(&primaries[1].url()), connect(&primaries[1].url())];
    let mut commits = commit_many(&stores).await;
    primaries[0].kill();
    commits.extend(write_through(&stores, &replica).await);
    assert_that_all_go_on(&stores, &commits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_in_a_cluster_that_missed_commits_updates_nothing_of_before() {
    let (mut primaries, mut replica) = start_cluster();
    let url = primaries[1].url();
    assert_that_a_stale_primary_updates_nothing(&url, &mut primaries[0], &mut replica).await;
}

fn accepting_stale(commit: Commit) -> Commit {
    let CommitMode::Update { expected, .. } = commit.mode else { panic!("an update") };
    Commit { mode: CommitMode::Update { expected, accept_stale: true }, ..commit }
}

#[tokio::test]
async fn a_promoted_replica_updates_only_records_of_its_own_history() {
    let (primary, server) = (RedisServer::start(), RedisServer::start());
    let store = connect(&server.url());
    server.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    server.command(&["REPLICAOF", "NO", "ONE"]);
    // A record of a server that was never promoted, and one of its own.
    for (history, is_accepted) in [(Some("\0\0\0\u{1}"), false), (None, true)] {
        let known = server.command(&["KEYS", "phlo2fa:*:v:*"]);
        let first = draft();
        commit(&store, &first).await;
        if let Some(history) = history {
            let records = server.command(&["KEYS", "phlo2fa:*:v:*"]);
            let written: Vec<_> = known.lines().collect();
            let record = records.lines().find(|key| !written.contains(key)).expect("its record");
            server.command(&["SETRANGE", record, "0", history]);
        }
        let second = after(&first, b"second");
        let expected = if is_accepted { CommitOutcome::Committed } else { CommitOutcome::PossiblyStale };
        assert_eq!(commit_at_last(&store, &second).await, expected, "{history:?}");
        let second = accepting_stale(second);
        commit(&store, &second).await;
        commit(&store, &after(&second, b"third")).await;
    }
}
