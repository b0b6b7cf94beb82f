//! Commits: revisions, conflicts, the index of a number, expiry.

use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::store::{Commit, CommitOutcome, Cursor, PageRequest, Store, StoredRecord, Version};

use crate::drafts::*;

pub(crate) async fn a_commit_can_be_loaded(store: &dyn Store) {
    let first = draft();
    assert_eq!(store.load(first.id).await.unwrap(), None);
    assert_eq!(newest(store, first.number).await, None);
    commit(store, &first).await;
    assert_eq!(stored(store, first.id).await, Some(StoredRecord { revision: 1, sealed: first.sealed.clone() }));
    assert_eq!(newest(store, first.number).await, Some(first.id));
    let second = after(&first, b"");
    commit(store, &second).await;
    assert_eq!(stored(store, first.id).await, Some(StoredRecord { revision: 2, sealed: Vec::new() }));
}

pub(crate) async fn many_records_load_in_the_order_of_their_ids(store: &dyn Store) {
    let (one, other, missing) = (draft(), draft(), draft());
    commit(store, &one).await;
    commit(store, &Commit { sealed: b"other".to_vec(), ..other.clone() }).await;
    let found = store.load_many(&[other.id, missing.id, one.id, other.id]).await.unwrap();
    let ids: Vec<_> = found.iter().map(|loaded| loaded.id).collect();
    assert_eq!(ids, [other.id, one.id, other.id]);
    assert_eq!(found[0].stored, StoredRecord { revision: 1, sealed: b"other".to_vec() });
    assert_eq!(found[1].stored.sealed, one.sealed);
    assert_eq!(store.load_many(&[]).await.unwrap(), []);
}

pub(crate) async fn of_two_updates_at_one_revision_exactly_one_wins(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let (left, right) = (after(&first, b"left"), after(&first, b"right"));
    let (left, right) = tokio::join!(store.commit(&left), store.commit(&right));
    let (left, right) = (left.unwrap(), right.unwrap());
    let winner: &[u8] = if is_conflict(&left) { b"right" } else { b"left" };
    assert_ne!(left, right);
    assert!([left, right].contains(&CommitOutcome::Committed));
    assert_eq!(stored(store, first.id).await, Some(StoredRecord { revision: 2, sealed: winner.to_vec() }));
}

pub(crate) async fn a_commit_at_a_remembered_version_is_refused_with_the_record(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    let second = after(&first, b"second state");
    commit(store, &second).await;
    let stored = StoredRecord { revision: 2, sealed: b"second state".to_vec() };
    assert_eq!(store.commit(&after(&first, b"late")).await.unwrap(), CommitOutcome::Changed(Some(stored.clone())));
    // The revision of a state that is not the stored one, as after a failover.
    let lost = Commit { sealed: b"another second".to_vec(), ..second.clone() };
    assert_eq!(store.commit(&after(&lost, b"third")).await.unwrap(), CommitOutcome::Changed(Some(stored)));
    commit(store, &after(&second, b"third")).await;
    let gone = draft();
    assert_eq!(store.commit(&after(&gone, b"second")).await.unwrap(), CommitOutcome::Changed(None));
}

pub(crate) async fn a_creation_conflicts_if_the_index_names_another_verification(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let stranger = draft();
    for previous in [None, Some(stranger.id)] {
        let second = draft_after(previous, first.number);
        assert!(is_conflict(&store.commit(&second).await.unwrap()));
    }
    let without_index = draft_after(Some(first.id), number());
    assert!(is_conflict(&store.commit(&without_index).await.unwrap()), "the number has no index");
}

pub(crate) async fn a_creation_that_knows_the_newest_verification_replaces_it_in_the_index(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let second = draft_after(Some(first.id), first.number);
    commit(store, &second).await;
    assert_eq!(newest(store, first.number).await, Some(second.id));
    // A late update of the previous verification does not take the index back.
    commit(store, &after(&first, b"late")).await;
    assert_eq!(newest(store, first.number).await, Some(second.id));
}

pub(crate) async fn a_commit_is_idempotent(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    commit(store, &first).await;
    assert_eq!(stored(store, first.id).await.map(|s| s.revision), Some(1));
    let second = after(&first, b"second");
    commit(store, &second).await;
    // The repeated commit does not end a lease that was granted in between.
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), [first.id]);
    commit(store, &second).await;
    assert_eq!(stored(store, first.id).await, Some(StoredRecord { revision: 2, sealed: b"second".to_vec() }));
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), []);
}

pub(crate) async fn a_late_creation_never_revives_a_record(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    let last = Commit { due: None, ..after(&first, b"final") };
    commit(store, &last).await;
    assert!(is_conflict(&store.commit(&first).await.unwrap()));
    assert_eq!(stored(store, first.id).await, Some(StoredRecord { revision: 2, sealed: b"final".to_vec() }));
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), []);
}

pub(crate) async fn a_late_update_never_revives_an_expired_record(store: &dyn Store) {
    let first = Commit { ttl: SHORT, ..draft() };
    commit(store, &first).await;
    until_expired(store, first.id).await;
    let late = Commit { due: Some(at(0)), ..after(&first, b"late") };
    assert!(is_conflict(&store.commit(&late).await.unwrap()));
    assert_eq!(store.load(first.id).await.unwrap(), None);
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), []);
}

pub(crate) async fn a_conflict_changes_nothing(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let creation = Commit { due: Some(at(0)), app: "other".to_owned(), ..draft_of(first.number) };
    assert!(is_conflict(&store.commit(&creation).await.unwrap()));
    assert_eq!(store.load(creation.id).await.unwrap(), None);
    assert_eq!(entries(store, &PageRequest::newest("other", 10)).await, []);
    let other_seal = update_of(Version::new(1, b"another state"));
    let updates = [0, 2, 255, 256].map(|revision| update_of(Version::new(revision, &first.sealed)));
    for mode in updates.into_iter().chain([other_seal, first.mode]) {
        let stale = Commit { mode, sealed: b"stale".to_vec(), due: Some(at(0)), ttl: SHORT, ..first.clone() };
        assert!(is_conflict(&store.commit(&stale).await.unwrap()), "{mode:?}");
    }
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), []);
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(stored(store, first.id).await, Some(StoredRecord { revision: 1, sealed: first.sealed.clone() }));
    assert_eq!(newest(store, first.number).await, Some(first.id));
}

pub(crate) async fn a_record_expires_with_its_index(store: &dyn Store) {
    let first = Commit { ttl: SHORT, index_ttl: Some(SHORT), due: Some(at(0)), ..draft() };
    let stays = Commit { created_at: at(1), ..draft() };
    commit(store, &first).await;
    commit(store, &stays).await;
    until_expired(store, first.id).await;
    assert_eq!(newest(store, first.number).await, None);
    assert_eq!(store.load_many(&[first.id]).await.unwrap(), []);
    // The list may name it for a while.
    let listed: Vec<_> = entries(store, &PageRequest::newest("shop", 10)).await.iter().map(|c| c.id).collect();
    let records = store.load_many(&listed).await.unwrap();
    assert_eq!(records.iter().map(|loaded| loaded.id).collect::<Vec<_>>(), [stays.id]);
    // The number has no index any more.
    commit(store, &draft_of(first.number)).await;
}

pub(crate) async fn a_commit_extends_record_index_list_entry_and_due_time(store: &dyn Store) {
    let first = Commit { ttl: SHORT, index_ttl: Some(SHORT), ..draft() };
    commit(store, &first).await;
    commit(store, &Commit { ttl: LONG, due: Some(at(0)), index_ttl: Some(LONG), ..after(&first, b"second") }).await;
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(stored(store, first.id).await.map(|s| s.revision), Some(2));
    assert_eq!(newest(store, first.number).await, Some(first.id));
    assert_eq!(
        entries(store, &PageRequest::newest("shop", 10)).await,
        [Cursor { created_at: first.created_at, id: first.id }]
    );
    assert_eq!(ids(store.claim_due(at(0), LONG, 10).await.unwrap()), [first.id]);
}

pub(crate) async fn concurrent_updates_lose_no_change(store: &dyn Store) {
    let first = Commit { sealed: vec![0, 0], ..draft() };
    commit(store, &first).await;
    join_all((0..64).map(|writer| increment(store, &first, writer))).await;
    let stored = stored(store, first.id).await.expect("it is there");
    assert_eq!((stored.revision, stored.sealed[0]), (65, 64));
}

/// Loads, increments and commits, again after a conflict. `writer` makes the bytes unique, as the nonce of a sealed
/// record does: a store takes two commits of the same bytes for one.
async fn increment(store: &dyn Store, first: &Commit, writer: u8) {
    loop {
        let stored = stored(store, first.id).await.expect("it is there");
        let sealed = vec![stored.sealed[0] + 1, writer];
        let next = Commit { mode: update_of(stored.version()), sealed, ..first.clone() };
        if !is_conflict(&store.commit(&next).await.unwrap()) {
            return;
        }
    }
}

pub(crate) async fn of_concurrent_creations_for_one_number_exactly_one_wins(store: &dyn Store) {
    let number = number();
    let drafts: Vec<_> = (0..16).map(|_| draft_of(number)).collect();
    let outcomes = join_all(drafts.iter().map(|d| store.commit(d))).await;
    let winners: Vec<_> = drafts.iter().zip(outcomes).filter(|(_, o)| !is_conflict(o.as_ref().unwrap())).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(newest(store, number).await, Some(winners[0].0.id));
}

pub(crate) async fn guesses_outlive_their_verification(store: &dyn Store) {
    let ttl = Duration::from_millis(60);
    let first = Commit { ttl, index_ttl: Some(ttl), ..draft() };
    commit(store, &first).await;
    assert_eq!(guesses(store, first.number).await, b"");
    let guesses_change = changed(b"", b"\0\xff\0\x01");
    commit(store, &Commit { guesses: guesses_change, index_ttl: Some(LONG), ..after(&first, b"second") }).await;
    assert_eq!(newest(store, first.number).await, Some(first.id));
    until_expired(store, first.id).await;
    assert_eq!(guesses(store, first.number).await, b"\0\xff\0\x01");
    let next = draft_after(Some(first.id), first.number);
    let unaware = Commit { guesses: changed(b"", b"abcd"), ..next.clone() };
    assert!(is_conflict(&store.commit(&unaware).await.unwrap()));
    let next = Commit { guesses: changed(b"\0\xff\0\x01", b"abcd"), ..next };
    commit(store, &next).await;
    assert_eq!(guesses(store, first.number).await, b"abcd");
    assert_eq!(newest(store, first.number).await, Some(next.id));
}
