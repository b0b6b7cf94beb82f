//! Erasures: what they remove, and what they keep.

use std::time::Duration;

use phlo_2fa::store::{Commit, CommitOutcome, Cursor, Erasure, ErasureOutcome, PageRequest, Store};

use crate::drafts::*;

const GUESSES: &[u8] = b"\0\xff\0\x01";

/// The erasure of what `commit` has written.
pub(crate) fn erasure_of(commit: &Commit) -> Erasure {
    Erasure {
        id: commit.id,
        app: commit.app.clone(),
        // Two numbers, as while a SECRET_KEY is being rotated.
        numbers: vec![number_in(commit.id.shard()), commit.number],
        expected: commit.revision(),
        joined: Vec::new(),
        index_ttl: LONG,
        guesses_ttl: LONG,
    }
}

async fn erase(store: &dyn Store, erasure: &Erasure) {
    assert_eq!(store.erase(erasure).await.unwrap(), ErasureOutcome::Erased);
}

pub(crate) async fn an_erasure_removes_record_list_entry_and_due_time(store: &dyn Store) {
    let first = Commit { due: Some(at(0)), ..draft_of(number_in(9)) };
    let neighbour = Commit { due: Some(at(0)), created_at: at(1), ..draft_of(number_in(9)) };
    commit(store, &first).await;
    commit(store, &neighbour).await;
    let last = after(&first, b"final");
    commit(store, &last).await;
    erase(store, &erasure_of(&last)).await;
    assert_eq!(store.load(first.id).await.unwrap(), None);
    assert_eq!(store.load_many(&[first.id]).await.unwrap(), []);
    let listed = [Cursor { created_at: at(1), id: neighbour.id }];
    assert_eq!(entries(store, &PageRequest::newest("shop", 10)).await, listed);
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), [neighbour.id]);
    assert_eq!(newest(store, neighbour.number).await, Some(neighbour.id));
    let named = newest(store, first.number).await.expect("the index keeps a tombstone");
    assert_ne!(named, first.id);
    assert_eq!(store.load(named).await.unwrap(), None);
    assert_eq!(guesses(store, first.number).await, b"");
    // Again.
    assert_eq!(store.erase(&erasure_of(&last)).await.unwrap(), ErasureOutcome::Absent);
    assert_eq!(stored(store, neighbour.id).await.map(|s| s.revision), Some(1));
}

pub(crate) async fn an_erasure_at_another_revision_changes_nothing(store: &dyn Store) {
    let first = Commit { due: Some(at(0)), ..draft() };
    commit(store, &first).await;
    commit(store, &after(&first, b"second")).await;
    for expected in [0, 1, 3, 258] {
        let stale = Erasure { expected, ..erasure_of(&first) };
        assert_eq!(store.erase(&stale).await.unwrap(), ErasureOutcome::Changed, "{expected}");
    }
    assert_eq!(stored(store, first.id).await.map(|s| s.sealed), Some(b"second".to_vec()));
    assert_eq!(newest(store, first.number).await, Some(first.id));
    assert_eq!(entries(store, &PageRequest::newest("shop", 10)).await.len(), 1);
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), [first.id]);
}

pub(crate) async fn no_commit_revives_an_erased_record(store: &dyn Store) {
    let older = draft();
    commit(store, &older).await;
    let first = draft_after(Some(older.id), older.number);
    commit(store, &first).await;
    erase(store, &erasure_of(&first)).await;
    erase(store, &erasure_of(&older)).await;
    // Concurrent updates, and the creations themselves once more.
    let late = [after(&first, b"late"), after(&older, b"late"), first.clone(), older.clone()];
    for late in late {
        let late = Commit { due: Some(at(0)), ..late };
        assert!(is_conflict(&store.commit(&late).await.unwrap()), "{late:?}");
        assert_eq!(store.load(late.id).await.unwrap(), None);
    }
    assert_eq!(entries(store, &PageRequest::newest("shop", 10)).await, []);
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), []);
    // A creation that has read the index succeeds, and a late erasure does not undo it.
    let tombstone = newest(store, first.number).await;
    let next = draft_after(tombstone, first.number);
    commit(store, &next).await;
    assert_eq!(store.erase(&erasure_of(&first)).await.unwrap(), ErasureOutcome::Absent);
    assert_eq!(newest(store, first.number).await, Some(next.id));
    assert!(is_conflict(&store.commit(&first).await.unwrap()));
    // A creation that was decided after the first erasure and arrives after the second.
    let late = draft_after(tombstone, first.number);
    erase(store, &erasure_of(&next)).await;
    assert!(is_conflict(&store.commit(&late).await.unwrap()));
}

pub(crate) async fn guesses_outlive_an_erasure(store: &dyn Store) {
    let first = Commit { guesses: changed(b"", GUESSES), ..draft() };
    commit(store, &first).await;
    let guesses_ttl = Duration::from_millis(600);
    erase(store, &Erasure { guesses_ttl, ..erasure_of(&first) }).await;
    assert_eq!(guesses(store, first.number).await, GUESSES);
    let next = draft_of(first.number);
    let CommitOutcome::NumberInUse(index) = store.commit(&next).await.unwrap() else { panic!("the number is free") };
    assert!(index.newest_for(next.purpose).is_some_and(|id| id != first.id));
    while newest(store, first.number).await.is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(guesses(store, first.number).await, b"", "the index has expired");
    commit(store, &draft_of(first.number)).await;
}

pub(crate) async fn a_verified_number_is_known_until_its_ttl_or_an_erasure(store: &dyn Store) {
    let [brief, erased] = [draft(), draft()];
    for (first, ttl) in [(&brief, SHORT), (&erased, LONG)] {
        commit(store, first).await;
        assert!(!store.is_verified(first.number).await.unwrap());
        commit(store, &Commit { verified_ttl: Some(ttl), ..after(first, b"verified") }).await;
    }
    assert!(store.is_verified(erased.number).await.unwrap());
    while store.is_verified(brief.number).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.forget_verified(&[number(), erased.number]).await.unwrap();
    assert!(!store.is_verified(erased.number).await.unwrap());
}

pub(crate) async fn an_erasure_keeps_an_index_that_names_another_verification(store: &dyn Store) {
    let older = Commit { guesses: changed(b"", GUESSES), ..draft() };
    commit(store, &older).await;
    let newer = Commit { guesses: changed(GUESSES, b"abcd"), ..draft_after(Some(older.id), older.number) };
    commit(store, &newer).await;
    erase(store, &erasure_of(&older)).await;
    assert_eq!(newest(store, newer.number).await, Some(newer.id));
    assert_eq!(guesses(store, newer.number).await, b"abcd");
    commit(store, &after(&newer, b"second")).await;
}
