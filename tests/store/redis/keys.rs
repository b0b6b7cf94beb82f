//! Keys: what they contain, when they expire, and how much work a list is.

use std::time::Duration;

use phlo_2fa::keyring::Keyring;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::store::{AttemptRef, Commit, Increment, IncrementOutcome, NonceClaim, PendingReport, Records, Store};

use crate::connect;
use crate::drafts::*;
use crate::redis_server::RedisServer;
use phlo_2fa::verification::{ReportFacts, TextReport};

/// Calls every method that writes, once or more.
pub(crate) async fn call_every_writer(store: &dyn Store, first: &Commit) {
    let to = AttemptRef { id: first.id, attempt: phlo_2fa::verification::AttemptIndex::FIRST };
    commit(store, first).await;
    commit(store, &after(first, b"second")).await;
    store.claim_due(at(1000), LONG, 10).await.unwrap();
    store.link("6ba7b810-9dad-11d1-80b4-00c04fd430c8", to, LONG).await.unwrap();
    let report = PendingReport::Text(TextReport::Sent, ReportFacts::default());
    store.find_or_keep("00112233-9dad-11d1-80b4-00c04fd430c8", &report).await.unwrap();
    let nonce = NonceClaim { name: "n:0123456789abcdef".to_owned(), content_hash: [7; 8] };
    store.claim_then_find_or_keep(&nonce, "00112233-9dad-11d1-80b4-00c04fd430c8", &report).await.unwrap();
    store.forget_pending("6ba7b810-9dad-11d1-80b4-00c04fd430c8").await.unwrap();
    let limits = "5/10m,20/1d".parse().expect("limits");
    let increment = Increment { counter: "number:0".to_owned(), amount: 1, limits, ignores_limits: false };
    // The second is so much later that the steps of the first have expired.
    for now in [at(0), at(90_000_000)] {
        assert_eq!(
            store.increment(std::slice::from_ref(&increment), None, now).await.unwrap(),
            IncrementOutcome::Added
        );
    }
    store.list(&first.app, None, None, 10).await.unwrap();
    store.load_many(&[first.id]).await.unwrap();
}

/// No key may stay for ever, not even one that records with different TTLs share.
pub(crate) fn assert_that_every_key_expires(server: &RedisServer) {
    let script = "local found = '' for _, key in ipairs(redis.call('KEYS', '*')) do \
                  if redis.call('PTTL', key) == -1 then found = found .. key .. ' ' end end return found";
    assert_eq!(server.command(&["EVAL", script, "0"]), "", "these keys never expire");
}

#[tokio::test]
async fn every_key_expires_and_none_contains_a_number_or_a_provider_id() {
    let server = RedisServer::start();
    let keys = Keyring::new(&vec![7; 32].into(), &[]);
    let number = keys.number_key("shop", &PhoneNumber::parse("+14155550112").expect("a number"));
    call_every_writer(&connect(&server.url()), &Commit { due: Some(at(0)), ..draft_of(number) }).await;
    assert_that_every_key_expires(&server);
    let names = server.command(&["KEYS", "*"]);
    assert_eq!(names.matches("phlo2fa:{").count(), 8, "a new kind of key? {names}");
    let bytes: usize =
        server.command(&["MEMORY", "USAGE", "phlo2fa:{n:0123456789abcdef}:value"]).parse().expect("bytes");
    assert!(bytes <= 120, "a nonce takes {bytes} bytes");
    for hidden in ["4155550112", "155550112", "9dad-11d1", "6ba7b810"] {
        assert!(!names.contains(hidden), "{hidden} in {names}");
    }
}

#[tokio::test]
async fn a_shared_key_lives_as_long_as_its_longest_lived_record() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    let long = Commit { due: Some(at(0)), ..draft_of(number_in(1)) };
    commit(&store, &long).await;
    commit(&store, &Commit { ttl: Duration::from_millis(40), due: Some(at(0)), ..draft_of(number_in(1)) }).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(store.claim_due(at(0), LONG, 10).await.unwrap().ids, [long.id]);
    assert_eq!(store.list("shop", None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_apps_list_does_not_grow_with_expired_records() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    for _ in 0..40 {
        let gone = Commit { ttl: Duration::from_millis(1), ..draft_of(number_in(1)) };
        commit(&store, &gone).await;
        until_expired(&store, gone.id).await;
    }
    commit(&store, &draft_of(number_in(1))).await;
    let listed = server.command(&["ZCARD", "phlo2fa:{01}:app:shop"]);
    assert!(listed == "1" || listed == "2", "{listed}");
}

/// Lists five thousand entries without a record, in so many shards.
fn list_entries_without_records(server: &RedisServer, shards: usize) {
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
async fn no_list_script_skips_more_than_a_thousand_entries() {
    for shards in [1, 250] {
        let server = RedisServer::start();
        let store = connect(&server.url());
        let oldest = Commit { created_at: at(-1), ..draft_of(number_in(0)) };
        commit(&store, &oldest).await;
        list_entries_without_records(&server, shards);
        let user = "ACL SETUSER reader reset on >p@ss ~phlo2fa:* +evalsha +script|load +zrevrangebyscore +exists";
        server.command(&user.split(' ').collect::<Vec<_>>());
        let reader = connect(&format!("redis://reader:p%40ss@127.0.0.1:{}", server.port));
        // The first call loads the script, which is one more round trip.
        reader.list("shop", None, None, 10).await.unwrap();
        // A user that may not write skips the same entries each time.
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
            assert_eq!(calls("exists"), if scripts == 6 { 5001 } else { 1 }, "no entry is checked twice");
            // One read for each shard, then chunks of a few entries.
            let (reads, writes) = (calls("zrevrangebyscore"), calls("zrem"));
            assert!(reads <= scripts * (256 + 1000 / shards.min(32) + 256) && writes <= scripts * 256, "{stats}");
        }
    }
}
