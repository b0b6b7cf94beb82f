//! What only concerns Redis: keys, connections, and how it is set up.

use std::time::Duration;

use phlo_2fa::keyring::Keyring;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::store::redis::Redis;
use phlo_2fa::store::{AttemptRef, Commit, Count, Erased, Nonce, Parked, Store, StoreError, Taken};
use phlo_2fa::verification::event::{Facts, TextReport};

use crate::connect;
use crate::drafts::*;
use crate::erasures::erasure_of;
use crate::redis_server::RedisServer;

/// Everything that writes, once or more.
async fn use_it_all(store: &dyn Store, first: &Commit) {
    let to = AttemptRef { id: first.id, attempt: 0 };
    commit(store, first).await;
    commit(store, &after(first, b"second")).await;
    store.claim_due(at(1000), LONG, 10).await.unwrap();
    store.link("6ba7b810-9dad-11d1-80b4-00c04fd430c8", to, LONG).await.unwrap();
    let report = Parked::Text(TextReport::Sent, Facts::default());
    store.find_or_park("00112233-9dad-11d1-80b4-00c04fd430c8", &report).await.unwrap();
    let nonce = Nonce { name: "n:0123456789abcdef".to_owned(), told: [7; 8] };
    store.find_or_park_once(&nonce, "00112233-9dad-11d1-80b4-00c04fd430c8", &report).await.unwrap();
    store.unpark("6ba7b810-9dad-11d1-80b4-00c04fd430c8").await.unwrap();
    let limits = "5/10m,20/1d".parse().expect("limits");
    let count = Count { name: "number:0".to_owned(), amount: 1, limits, is_free: false };
    // The second is so much later that steps of the first are left out.
    for now in [at(0), at(90_000_000)] {
        assert_eq!(store.take(std::slice::from_ref(&count), None, now).await.unwrap(), Taken::All);
    }
    store.list(&first.app, None, None, 10).await.unwrap();
    store.load_many(&[first.id]).await.unwrap();
}

/// A commit can be longer than what lies beside it in the same key: nothing outstays its welcome, or stays forever.
pub(crate) fn assert_that_every_key_expires(server: &RedisServer) {
    let script = "local found = '' for _, key in ipairs(redis.call('KEYS', '*')) do \
                  if redis.call('PTTL', key) == -1 then found = found .. key .. ' ' end end return found";
    assert_eq!(server.command(&["EVAL", script, "0"]), "", "these keys never expire");
}

#[tokio::test]
async fn every_key_expires_and_none_holds_a_number_or_a_providers_id() {
    let server = RedisServer::start();
    let keys = Keyring::new(&vec![7; 32].into(), &[]);
    let number = keys.number_key("shop", &PhoneNumber::parse("+14155550112").expect("a number"));
    use_it_all(&connect(&server.url()), &Commit { due: Some(at(0)), ..draft_of(number) }).await;
    assert_that_every_key_expires(&server);
    let names = server.command(&["KEYS", "*"]);
    assert_eq!(names.matches("phlo2fa:{").count(), 8, "a new kind of key? {names}");
    let bytes: usize =
        server.command(&["MEMORY", "USAGE", "phlo2fa:{n:0123456789abcdef}:memo"]).parse().expect("bytes");
    assert!(bytes <= 120, "a nonce takes {bytes} bytes");
    for hidden in ["4155550112", "155550112", "9dad-11d1", "6ba7b810"] {
        assert!(!names.contains(hidden), "{hidden} in {names}");
    }
}

#[tokio::test]
async fn a_shared_key_lives_as_long_as_the_longest_of_those_in_it() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    let long = Commit { due: Some(at(0)), ..draft_of(number_in(1)) };
    commit(&store, &long).await;
    commit(&store, &Commit { keep: Duration::from_millis(40), due: Some(at(0)), ..draft_of(number_in(1)) }).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(store.claim_due(at(0), LONG, 10).await.unwrap().ids, [long.id]);
    assert_eq!(store.list("shop", None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_apps_list_does_not_grow_with_what_is_gone() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    for _ in 0..40 {
        let gone = Commit { keep: Duration::from_millis(1), ..draft_of(number_in(1)) };
        commit(&store, &gone).await;
        until_forgotten(&store, gone.id).await;
    }
    commit(&store, &draft_of(number_in(1))).await;
    let listed = server.command(&["ZCARD", "phlo2fa:{01}:app:shop"]);
    assert!(listed == "1" || listed == "2", "{listed}");
}

/// Entries of five thousand that are gone, in so many shards.
fn leave_many_that_are_gone(server: &RedisServer, shards: usize) {
    for shard in 0..shards {
        let entries: Vec<_> = (0..5000 / shards).map(|i| (at(i as i64 / 3), format!("{i:032x}"))).collect();
        let (key, mut words) = (format!("phlo2fa:{{{shard:02x}}}:app:shop"), Vec::new());
        for (at, member) in &entries {
            words.extend([at.as_millis().to_string(), member.clone()]);
        }
        let words: Vec<_> = ["ZADD", &key].into_iter().chain(words.iter().map(String::as_str)).collect();
        server.command(&words);
    }
}

#[tokio::test]
async fn no_script_passes_by_more_than_a_thousand_that_are_gone() {
    for shards in [1, 250] {
        let server = RedisServer::start();
        let store = connect(&server.url());
        let oldest = Commit { created_at: at(-1), ..draft_of(number_in(0)) };
        commit(&store, &oldest).await;
        leave_many_that_are_gone(&server, shards);
        let user = "ACL SETUSER reader reset on >p@ss ~phlo2fa:* +evalsha +script|load +zrevrangebyscore +exists";
        server.command(&user.split(' ').collect::<Vec<_>>());
        let reader = connect(&format!("redis://reader:p%40ss@127.0.0.1:{}", server.port));
        // The first who asks brings the script along, which is an exchange more.
        reader.list("shop", None, None, 10).await.unwrap();
        // Who may not write passes them by as well, each time.
        for (store, scripts) in [(&reader, 6), (&reader, 6), (&store, 6), (&store, 1)] {
            server.command(&["CONFIG", "RESETSTAT"]);
            let listed = store.list("shop", None, None, 10).await.unwrap();
            assert_eq!(listed.iter().map(|c| c.id).collect::<Vec<_>>(), [oldest.id]);
            let stats = server.command(&["INFO", "commandstats"]);
            let calls = |name: &str| {
                let counted = stats.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{name}:calls=")));
                counted.and_then(|l| l.split(',').next()).map_or(0, |n| n.parse::<usize>().expect("a count"))
            };
            assert_eq!(calls("evalsha"), scripts, "{shards} shards");
            assert_eq!(calls("exists"), if scripts == 6 { 5001 } else { 1 }, "no entry is looked at twice");
            // All shards are looked into, and then a few entries at a time.
            let (reads, writes) = (calls("zrevrangebyscore"), calls("zrem"));
            assert!(reads <= scripts * (256 + 1000 / shards.min(32) + 256) && writes <= scripts * 256, "{stats}");
        }
    }
}

#[tokio::test]
async fn every_method_is_one_exchange_and_none_pings() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    use_it_all(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    server.command(&["CONFIG", "RESETSTAT"]);
    use_it_all(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    let stats = server.command(&["INFO", "commandstats"]);
    for (command, calls) in [("evalsha", Some(9)), ("script", None), ("ping", None), ("unwatch", None)] {
        let counted = stats.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let counted = counted.and_then(|l| l.split(',').next()).map(|n| n.parse::<u32>().expect("a count"));
        assert_eq!(counted, calls, "{command} in {stats}");
    }
    // Eleven exchanges of ours, and two of this test.
    let reads = server.command(&["INFO", "stats"]);
    let reads = reads.lines().find_map(|l| l.strip_prefix("total_reads_processed:")).map(str::parse::<u32>);
    assert!(reads.clone().is_some_and(|n| n.is_ok_and(|n| n <= 11 + 4)), "{reads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_only_given_to_who_asked() {
    let server = RedisServer::start();
    let store = std::sync::Arc::new(connect(&server.url()));
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
            // From at once to longer than an answer takes.
            let patience = Duration::from_micros(round * 20);
            tasks.push(tokio::spawn(async move {
                // Whoever leaves early, or whom a slow machine does not answer in time, is told nothing.
                let Ok(Ok(found)) = tokio::time::timeout(patience, store.load(id)).await else { return false };
                assert_eq!(found.expect("it is there").sealed, sealed);
                true
            }));
        }
    }
    let all = tasks.len();
    let mut told = 0;
    for task in tasks {
        told += usize::from(task.await.expect("the answer is the right one"));
    }
    // Those of the first round leave before any answer can be there.
    assert!(told < all, "nobody left early: this tested nothing");
    // Whatever was left lying on the connections is found by these.
    for draft in &drafts {
        assert_eq!(store.load(draft.id).await.unwrap().expect("it is there").sealed, draft.sealed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_connection_outlives_the_runtime_that_first_needed_it() {
    let server = RedisServer::start();
    let store = std::sync::Arc::new(connect(&server.url()));
    for _ in 0..3 {
        let store = store.clone();
        let worker = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { store.ping().await.unwrap() });
        });
        tokio::task::spawn_blocking(|| worker.join().expect("a worker's life")).await.expect("it ends");
    }
    store.ping().await.unwrap();
    assert_eq!(store.pool(), Some((1, 1)));
    assert!(
        server.command(&["INFO", "stats"]).contains("total_connections_received:3"),
        "ours, and two of start and this"
    );
}

#[tokio::test]
async fn a_user_needs_only_the_commands_that_are_listed() {
    let server = RedisServer::start();
    let commands = "+get +mget +set +del +exists +pexpire +pttl +hgetall +hincrby +hdel +zadd +zrem +zrange +zrangebyscore \
                    +zrevrangebyscore +lrange +rpush +evalsha +script|load +time +ping +info";
    let mut rule = vec!["ACL", "SETUSER", "phlo", "reset", "on", ">p@ss", "~phlo2fa:*"];
    rule.extend(commands.split(' '));
    assert_eq!(server.command(&rule), "OK");
    let store = connect(&format!("redis://phlo:p%40ss@127.0.0.1:{}", server.port));
    let first = Commit { due: Some(at(0)), ..draft() };
    use_it_all(&store, &first).await;
    assert_eq!(store.erase(&erasure_of(&after(&first, b"second"))).await.unwrap(), Erased::Gone);
    store.unlink("00112233-9dad-11d1-80b4-00c04fd430c8", first.id).await.unwrap();
    store.now().await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.warnings().await, Vec::<String>::new(), "what may not be read is not complained of");
    server.command(&["ACL", "SETUSER", "phlo", "-info"]);
    let warnings = store.warnings().await;
    assert!(warnings.len() == 1 && warnings[0].contains("allow +info"), "{warnings:?}");
    use_it_all(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    let stranger = connect(&format!("redis://phlo:hunter2@127.0.0.1:{}", server.port));
    let StoreError::Unavailable(why) = stranger.ping().await.expect_err("a wrong password") else { panic!() };
    assert!(!why.contains("hunter2") && !why.contains("phlo"), "{why}");
}

#[tokio::test]
async fn where_a_command_is_forbidden_nothing_is_committed_in_part() {
    for forbidden in ["zadd", "zrem", "zrange", "pexpire", "pttl", "set"] {
        let server = RedisServer::start();
        let mut rule = vec!["ACL", "SETUSER", "phlo", "reset", "on", ">p@ss", "~phlo2fa:*", "+@all"];
        let minus = format!("-{forbidden}");
        rule.push(&minus);
        assert_eq!(server.command(&rule), "OK");
        let (store, whole) =
            (connect(&format!("redis://phlo:p%40ss@127.0.0.1:{}", server.port)), connect(&server.url()));
        let first = Commit { due: Some(at(0)), ..draft() };
        let made = store.commit(&first).await;
        assert!(made.is_err() || forbidden == "zrem", "{forbidden}: {made:?}");
        if made.is_err() {
            assert_eq!(whole.load(first.id).await.unwrap(), None, "{forbidden}");
        }
        assert_eq!(
            whole.commit(&first).await.unwrap(),
            phlo_2fa::store::Outcome::Committed(1),
            "{forbidden}: and later it is"
        );
        let due = whole.claim_due(at(1), LONG, 9).await.unwrap();
        assert_eq!(due.ids, [first.id], "{forbidden}");
    }
}

#[tokio::test]
async fn a_careless_setup_is_warned_of() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    assert!(store.warnings().await.concat().contains("appendonly yes"));
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert!(store.warnings().await.concat().contains("maxmemory-policy noeviction"));
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.command(&["CONFIG", "SET", "appendonly", "yes"]);
    assert_eq!(store.warnings().await, Vec::<String>::new());
}

#[test]
fn a_store_is_not_made_of_what_is_no_url() {
    for url in ["memory://", "redis+cluster://a/1", "127.0.0.1"] {
        assert!(Redis::check_url(&url.to_owned().into()).is_err(), "{url}");
        assert!(Redis::connect(&url.to_owned().into(), 1).is_err(), "{url}");
    }
}
