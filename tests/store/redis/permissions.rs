//! Permissions: which commands a user needs, and what happens if one is forbidden.

use phlo_2fa::store::{Commit, CommitOutcome, ErasureOutcome, Links, OutageCause, Records, Store, StoreError};

use super::keys::call_every_writer;
use crate::connect;
use crate::drafts::*;
use crate::records::erasure_of;
use crate::redis_server::RedisServer;

#[tokio::test]
async fn a_user_needs_only_the_listed_commands() {
    let server = RedisServer::start();
    let commands = "+get +mget +set +del +pexpire +pttl +zadd +zrem +zremrangebyscore +zrange +zrangebyscore \
                    +zrevrangebyscore +lrange +rpush +evalsha +script|load +time +ping +info";
    let mut rule = vec!["ACL", "SETUSER", "phlo", "reset", "on", ">p@ss", "~phlo2fa:*"];
    rule.extend(commands.split(' '));
    assert_eq!(server.command(&rule), "OK");
    let store = connect(&format!("redis://phlo:p%40ss@127.0.0.1:{}", server.port));
    let first = Commit { due: Some(at(0)), ..draft() };
    call_every_writer(&store, &first).await;
    assert_eq!(store.erase(&erasure_of(&after(&first, b"second"))).await.unwrap(), ErasureOutcome::Erased);
    store.unlink("00112233-9dad-11d1-80b4-00c04fd430c8", first.id).await.unwrap();
    store.now().await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.warnings().await, Vec::<String>::new(), "a setting that may not be read yields no warning");
    server.command(&["ACL", "SETUSER", "phlo", "-info"]);
    let warnings = store.warnings().await;
    assert!(warnings.len() == 1 && warnings[0].contains("allow +info"), "{warnings:?}");
    call_every_writer(&store, &Commit { due: Some(at(0)), ..draft() }).await;
    let stranger = connect(&format!("redis://phlo:hunter2@127.0.0.1:{}", server.port));
    let error = stranger.ping().await.expect_err("a wrong password");
    assert!(matches!(error, StoreError::Unavailable(OutageCause::LoginFailed)), "{error:?}");
}

#[tokio::test]
async fn a_commit_with_a_forbidden_command_changes_nothing() {
    for forbidden in ["zadd", "zrem", "pexpire", "pttl", "set"] {
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
        assert_eq!(whole.commit(&first).await.unwrap(), CommitOutcome::Committed, "{forbidden}: a retry succeeds");
        let due = ids(whole.claim_due(at(1), LONG, 9).await.unwrap());
        assert_eq!(due, [first.id], "{forbidden}");
    }
}
