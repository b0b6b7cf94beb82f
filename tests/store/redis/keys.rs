//! Keys: what they contain, when they expire, and how much work a list is.

use std::time::Duration;

use phlo_2fa::keyring::Keyring;
use phlo_2fa::phone::PhoneNumber;
use phlo_2fa::store::{
    AttemptRef, Commit, Increment, IncrementOutcome, NonceClaim, PageRequest, PendingReport, Records, Store,
};

use crate::connect;
use crate::drafts::*;
use crate::redis_server::RedisServer;
use phlo_2fa::verification::{ReportFacts, Status, TextReport, VerificationId};

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
        assert_eq!(store.increment(std::slice::from_ref(&increment), now).await.unwrap(), IncrementOutcome::Added);
    }
    entries(store, &PageRequest::newest(&first.app, 10)).await;
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
    assert_eq!(names.matches("phlo2fa:").count(), 8, "a new kind of key? {names}");
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
    assert_eq!(ids(store.claim_due(at(0), LONG, 10).await.unwrap()), [long.id]);
    assert_eq!(entries(&store, &PageRequest::newest("shop", 10)).await.len(), 2, "the list has not expired");
}

/// One key holds the due times of all: `doctor`, whose records are kept for seconds, must not shorten its life.
#[tokio::test]
async fn a_record_that_is_kept_briefly_shortens_the_life_of_no_due_time() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    commit(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    let brief = Duration::from_millis(500);
    commit(&store, &Commit { due: Some(at(0)), ttl: brief, longest_ttl: brief, app: "other".to_owned(), ..draft() })
        .await;
    let left: u64 = server.command(&["PTTL", "phlo2fa:due"]).parse().expect("a TTL");
    assert!(left > 3_000_000, "{left} ms");
}

#[tokio::test]
async fn a_list_drops_old_entries_whose_record_is_gone_and_no_other() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    let old = |n: i64, ttl| Commit { created_at: at(n), ttl, ..draft_of(number_in(1)) };
    let kept = old(0, LONG);
    commit(&store, &kept).await;
    let gone: Vec<Commit> = (1..40).map(|n| old(n, Duration::from_millis(1))).collect();
    for draft in &gone {
        commit(&store, draft).await;
    }
    until_expired(&store, gone[gone.len() - 1].id).await;
    // A creation in sixteen removes entries that are older than a record of the present RETENTION.
    for n in 0..64_u64 {
        let (id, created_at) = (VerificationId::new(1, n.into()), at(40) + LONG + Duration::from_millis(n));
        commit(&store, &Commit { id, created_at, ..draft_of(number_in(1)) }).await;
    }
    let all: usize = server.command(&["ZCARD", "phlo2fa:{l1}:app:shop"]).parse().expect("a count");
    let listed = entries(&store, &PageRequest { shards: &[1], ..PageRequest::newest("shop", 1000) }).await;
    assert!(listed.iter().any(|cursor| cursor.id == kept.id), "its record is there");
    assert_eq!((all, listed.len()), (65, 65));
}

/// The calls of a command since the statistics were reset, those within scripts too.
fn calls(server: &RedisServer, name: &str) -> usize {
    let stats = server.command(&["INFO", "commandstats"]);
    let counted = stats.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{name}:calls=")));
    counted.and_then(|l| l.split(',').next()).map_or(0, |n| n.parse().expect("a count"))
}

#[tokio::test]
async fn a_page_is_read_by_one_script_with_one_command_for_each_list() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    for n in 0..200 {
        commit(&store, &Commit { created_at: at(n), ..draft() }).await;
    }
    let query = PageRequest::newest("shop", 20);
    entries(&store, &query).await;
    server.command(&["CONFIG", "RESETSTAT"]);
    assert_eq!(entries(&store, &query).await.len(), 20);
    assert_eq!((calls(&server, "evalsha"), calls(&server, "zrevrangebyscore")), (1, 16));
}

#[tokio::test]
async fn no_list_script_reads_more_than_a_thousand_entries() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    let oldest = Commit { created_at: at(-1), status: Status::Undeliverable, ..draft_of(number_in(0x11)) };
    commit(&store, &oldest).await;
    let mut words = vec!["ZADD".to_owned(), "phlo2fa:{l1}:app:shop".to_owned()];
    // Three in each millisecond, and a hundred in the last.
    let moment = |i: i64| if i < 4_900 { i / 3 } else { 4_900 };
    words.extend((0..5_000).flat_map(|i| [(at(moment(i)).as_millis() * 8).to_string(), format!("21{i:026}")]));
    server.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let newest = PageRequest::newest("shop", 10);
    entries(&store, &newest).await;
    for query in [
        PageRequest { shards: &[0x11], ..newest },
        PageRequest { shards: &[0x11, 0x31], statuses: &[Status::Undeliverable], ..newest },
    ] {
        server.command(&["CONFIG", "RESETSTAT"]);
        let found = entries(&store, &query).await;
        assert_eq!(found.iter().map(|c| c.id).collect::<Vec<_>>(), [oldest.id]);
        assert_eq!(calls(&server, "evalsha"), 5);
        assert!(calls(&server, "zrevrangebyscore") <= 250);
    }
}

#[tokio::test]
async fn a_rare_status_costs_some_scripts_a_page_and_not_the_list() {
    let server = RedisServer::start();
    let store = connect(&server.url());
    let oldest = Commit { created_at: at(-1), status: Status::Undeliverable, ..draft() };
    commit(&store, &oldest).await;
    for list in 0..16 {
        let mut words = vec!["ZADD".to_owned(), format!("phlo2fa:{{l{list:x}}}:app:shop")];
        let member = |i: i64| format!("{list:02x}{i:026}");
        words.extend((0..1_500).flat_map(|i| [(at(i).as_millis() * 8).to_string(), member(i)]));
        server.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let query = PageRequest { statuses: &[Status::Undeliverable], ..PageRequest::newest("shop", 10) };
    entries(&store, &query).await;
    let (mut pages, mut found, mut before) = (0, Vec::new(), None);
    loop {
        server.command(&["CONFIG", "RESETSTAT"]);
        let page = store.list(&PageRequest { before, ..query }).await.unwrap();
        assert!(calls(&server, "evalsha") <= 10);
        pages += 1;
        found.extend(page.entries.iter().map(|entry| entry.id));
        if page.next.is_none() {
            break;
        }
        before = page.next;
    }
    assert_eq!((pages, found), (3, vec![oldest.id]));
}
