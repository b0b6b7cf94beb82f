//! Due times and leases.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::store::{Commit, Store};

use crate::drafts::*;

const LEASE: Duration = Duration::from_millis(20);

pub(crate) async fn a_due_record_is_leased_to_one_caller(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    let early = store.claim_due(at(9), LEASE, 10).await.unwrap();
    assert_eq!((early.records, early.next), (vec![], Some(at(10))));
    let claimed = store.claim_due(at(10), LEASE, 10).await.unwrap();
    assert_eq!(claimed.next, Some(at(30)));
    assert_eq!(ids(claimed), [first.id]);
    assert_eq!(ids(store.claim_due(at(29), LEASE, 10).await.unwrap()), []);
    assert_eq!(ids(store.claim_due(at(30), LEASE, 10).await.unwrap()), [first.id]);
}

pub(crate) async fn claims_respect_the_limit_and_miss_no_record(store: &dyn Store) {
    let mut all = HashSet::new();
    for i in 0..60 {
        // Half of them share a shard.
        let number = if i % 2 == 0 { number_in(9) } else { number() };
        let draft = Commit { due: Some(at(i)), ..draft_of(number) };
        commit(store, &draft).await;
        all.insert(draft.id);
    }
    assert_eq!(ids(store.claim_due(at(100), LONG, 0).await.unwrap()), []);
    let mut claimed = HashSet::new();
    for _ in 0..1000 {
        let some = store.claim_due(at(100), LONG, 7).await.unwrap();
        let next = some.next;
        assert!(some.records.len() <= 7);
        for id in ids(some) {
            assert!(claimed.insert(id), "{id} is claimed twice");
        }
        if next.is_none_or(|next| next > at(100)) {
            break;
        }
    }
    assert_eq!(claimed, all);
}

pub(crate) async fn a_claim_returns_the_records(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    let claimed = store.claim_due(at(10), LONG, 10).await.unwrap().records;
    assert_eq!(claimed, [(first.id, stored(store, first.id).await.unwrap())]);
    assert_eq!(claimed[0].1.version(), first.version());
}

pub(crate) async fn a_commit_ends_the_lease(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), [first.id]);
    commit(store, &Commit { due: Some(at(11)), ..after(&first, b"again") }).await;
    assert_eq!(ids(store.claim_due(at(11), LONG, 10).await.unwrap()), [first.id]);
}

pub(crate) async fn a_commit_without_due_time_removes_it(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    commit(store, &Commit { due: None, ..after(&first, b"final") }).await;
    let claimed = store.claim_due(at(100), LEASE, 10).await.unwrap();
    assert_eq!((claimed.records, claimed.next), (vec![], None));
}

pub(crate) async fn an_expired_record_is_never_due(store: &dyn Store) {
    let expired = Commit { due: Some(at(10)), ttl: SHORT, ..draft_of(number_in(3)) };
    let stays = Commit { due: Some(at(10)), ..draft_of(number_in(3)) };
    commit(store, &expired).await;
    commit(store, &stays).await;
    until_expired(store, expired.id).await;
    assert_eq!(ids(store.claim_due(at(10), LEASE, 1).await.unwrap()), [stays.id]);
    assert_eq!(ids(store.claim_due(at(10), LEASE, 10).await.unwrap()), []);
}

pub(crate) async fn concurrent_claims_never_share_a_record(store: &dyn Store) {
    for _ in 0..50 {
        commit(store, &Commit { due: Some(at(0)), ..draft() }).await;
    }
    let mut claimed = HashSet::new();
    for some in join_all((0..8).map(|_| store.claim_due(at(0), LONG, 50))).await {
        for id in ids(some.unwrap()) {
            assert!(claimed.insert(id), "{id} is claimed twice");
        }
    }
    assert_eq!(claimed.len(), 50);
}
