//! Sessions that join a record, and the purposes in the index of a number.

use phlo_2fa::store::{
    Commit, CommitOutcome, Cursor, Erasure, ErasureOutcome, Loaded, PageRequest, PurposeKey, Store, StoredRecord,
};

use super::erasures::erasure_of;
use crate::drafts::*;

/// A verification that another session has joined.
async fn joined(store: &dyn Store) -> (Commit, Cursor) {
    let first = draft();
    commit(store, &first).await;
    let session = Cursor { created_at: at(5), id: id_of(first.number) };
    let second = Commit { session: Some(session), ..after(&first, b"second") };
    commit(store, &second).await;
    (Commit { session: None, ..second }, session)
}

pub(crate) async fn a_session_finds_the_record_that_it_shares(store: &dyn Store) {
    let (record, session) = joined(store).await;
    let stored = StoredRecord { revision: 2, sealed: b"second".to_vec() };
    let found = |asked| Loaded { session: asked, id: record.id, stored: stored.clone() };
    assert_eq!(store.load(session.id).await.unwrap(), Some(found(session.id)));
    let missing = draft().id;
    let many = store.load_many(&[session.id, missing, record.id, session.id]).await.unwrap();
    assert_eq!(many, [found(session.id), found(record.id), found(session.id)]);
    let listed = [session, Cursor { created_at: at(0), id: record.id }];
    assert_eq!(entries(store, &PageRequest::newest("shop", 10)).await, listed);
    // What follows belongs to all sessions.
    commit(store, &after(&record, b"third")).await;
    assert_eq!(store.load(session.id).await.unwrap().map(|loaded| loaded.stored.revision), Some(3));
}

pub(crate) async fn a_join_that_is_refused_leaves_no_session(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    commit(store, &after(&first, b"second")).await;
    let session = Cursor { created_at: at(5), id: id_of(first.number) };
    let late = Commit { session: Some(session), ..after(&first, b"late") };
    assert!(is_conflict(&store.commit(&late).await.unwrap()));
    assert_eq!(store.load(session.id).await.unwrap(), None);
}

pub(crate) async fn an_erasure_removes_every_session(store: &dyn Store) {
    let (record, session) = joined(store).await;
    let erasure = Erasure { joined: vec![session.id], ..erasure_of(&record) };
    assert_eq!(store.erase(&erasure).await.unwrap(), ErasureOutcome::Erased);
    assert_eq!(store.load(session.id).await.unwrap(), None);
    assert_eq!(store.load_many(&[session.id, record.id]).await.unwrap(), []);
    assert_eq!(entries(store, &PageRequest::newest("shop", 10)).await, []);
}

pub(crate) async fn each_purpose_of_a_number_has_its_newest_verification(store: &dyn Store) {
    let number = number();
    let purpose = |n: u8| PurposeKey::new(number, &format!("purpose {n}"));
    let first = Commit { purpose: purpose(0), ..draft_of(number) };
    let plain = draft_of(number);
    for one in [&first, &plain] {
        commit(store, one).await;
    }
    let index = store.number_index(number).await.unwrap();
    assert_eq!(index.newest, [(purpose(0), first.id), (PurposeKey::default(), plain.id)]);
    assert!(is_conflict(&store.commit(&Commit { purpose: purpose(0), ..draft_of(number) }).await.unwrap()));
    let next = Commit { purpose: purpose(0), ..draft_after(Some(first.id), number) };
    commit(store, &next).await;
    let index = store.number_index(number).await.unwrap();
    assert_eq!(index.newest, [(PurposeKey::default(), plain.id), (purpose(0), next.id)]);
    // The one that was used longest ago is dropped.
    for n in 1..=15 {
        commit(store, &Commit { purpose: purpose(n), ..draft_of(number) }).await;
    }
    let index = store.number_index(number).await.unwrap();
    assert_eq!((index.newest.len(), index.newest_for(PurposeKey::default())), (16, None));
    assert_eq!(index.newest_for(purpose(0)), Some(next.id));
}

pub(crate) async fn verifications_of_a_number_share_its_guesses(store: &dyn Store) {
    let number = number();
    let one = draft_of(number);
    commit(store, &one).await;
    let other = Commit { purpose: PurposeKey::new(number, "other"), ..draft_of(number) };
    commit(store, &other).await;
    commit(store, &Commit { guesses: changed(b"", b"abcd"), index_ttl: Some(LONG), ..after(&one, b"wrong") }).await;
    let stale = Commit { guesses: changed(b"", b""), ..after(&other, b"right") };
    assert_eq!(store.commit(&stale).await.unwrap(), CommitOutcome::GuessesChanged(b"abcd".to_vec()));
    assert_eq!(stored(store, other.id).await.map(|record| record.revision), Some(1));
    commit(store, &Commit { guesses: changed(b"abcd", b"abcd"), ..after(&other, b"right") }).await;
    assert_eq!(guesses(store, number).await, b"abcd");
    // Without a word about them they stay.
    commit(store, &after(&after(&other, b"right"), b"later")).await;
    assert_eq!(guesses(store, number).await, b"abcd");
}

pub(crate) async fn an_index_lasts_as_long_as_any_of_its_verifications_needs(store: &dyn Store) {
    let number = number();
    let long = draft_of(number);
    commit(store, &long).await;
    let brief =
        Commit { ttl: SHORT, index_ttl: Some(SHORT), purpose: PurposeKey::new(number, "x"), ..draft_of(number) };
    commit(store, &brief).await;
    until_expired(store, brief.id).await;
    assert_eq!(newest(store, number).await, Some(long.id));
}
