//! Erasures: what they remove, and what they keep.

use std::time::Duration;

use phlo_2fa::store::{Commit, CommitOutcome, Cursor, Erasure, ErasureOutcome, Store};

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
        guesses: Vec::new(),
        index_ttl: LONG,
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
    assert_eq!(store.list("shop", None, None, 10).await.unwrap(), listed);
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), [neighbour.id]);
    assert_eq!(store.newest(neighbour.number).await.unwrap(), Some(neighbour.id));
    let named = store.newest(first.number).await.unwrap().expect("the index keeps a tombstone");
    assert_ne!(named, first.id);
    assert_eq!(store.load(named).await.unwrap(), None);
    assert_eq!(store.guesses(first.number).await.unwrap(), b"");
    // Again.
    assert_eq!(store.erase(&erasure_of(&last)).await.unwrap(), ErasureOutcome::Absent);
    assert_eq!(store.load(neighbour.id).await.unwrap().map(|s| s.revision), Some(1));
}

pub(crate) async fn an_erasure_at_another_revision_changes_nothing(store: &dyn Store) {
    let first = Commit { due: Some(at(0)), ..draft() };
    commit(store, &first).await;
    commit(store, &after(&first, b"second")).await;
    for expected in [0, 1, 3, 258] {
        let stale = Erasure { expected, ..erasure_of(&first) };
        assert_eq!(store.erase(&stale).await.unwrap(), ErasureOutcome::Changed, "{expected}");
    }
    assert_eq!(store.load(first.id).await.unwrap().map(|s| s.sealed), Some(b"second".to_vec()));
    assert_eq!(store.newest(first.number).await.unwrap(), Some(first.id));
    assert_eq!(store.list("shop", None, None, 10).await.unwrap().len(), 1);
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
    assert_eq!(store.list("shop", None, None, 10).await.unwrap(), []);
    assert_eq!(ids(store.claim_due(at(10), LONG, 10).await.unwrap()), []);
    // A creation that has read the index succeeds, and a late erasure does not undo it.
    let tombstone = store.newest(first.number).await.unwrap();
    let next = draft_after(tombstone, first.number);
    commit(store, &next).await;
    assert_eq!(store.erase(&erasure_of(&first)).await.unwrap(), ErasureOutcome::Absent);
    assert_eq!(store.newest(first.number).await.unwrap(), Some(next.id));
    assert!(is_conflict(&store.commit(&first).await.unwrap()));
    // A creation that was decided after the first erasure and arrives after the second.
    let late = draft_after(tombstone, first.number);
    erase(store, &erasure_of(&next)).await;
    assert!(is_conflict(&store.commit(&late).await.unwrap()));
}

pub(crate) async fn guesses_outlive_an_erasure(store: &dyn Store) {
    let first = Commit { guesses: Some(GUESSES.to_vec()), ..draft() };
    commit(store, &first).await;
    // The guesses of the record count, which may be newer than those of the index.
    let index_ttl = Duration::from_millis(600);
    erase(store, &Erasure { guesses: b"abcd".to_vec(), index_ttl, ..erasure_of(&first) }).await;
    assert_eq!(store.guesses(first.number).await.unwrap(), b"abcd");
    let next = draft_of(first.number);
    assert!(matches!(store.commit(&next).await.unwrap(), CommitOutcome::NumberInUse(Some(id)) if id != first.id));
    while store.newest(first.number).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.guesses(first.number).await.unwrap(), b"", "the index has expired");
    commit(store, &draft_of(first.number)).await;
}

pub(crate) async fn an_erasure_keeps_an_index_that_names_another_verification(store: &dyn Store) {
    let older = Commit { guesses: Some(GUESSES.to_vec()), ..draft() };
    commit(store, &older).await;
    let newer = Commit { guesses: Some(b"abcd".to_vec()), ..draft_after(Some(older.id), older.number) };
    commit(store, &newer).await;
    erase(store, &Erasure { guesses: GUESSES.to_vec(), ..erasure_of(&older) }).await;
    assert_eq!(store.newest(newer.number).await.unwrap(), Some(newer.id));
    assert_eq!(store.guesses(newer.number).await.unwrap(), b"abcd");
    commit(store, &after(&newer, b"second")).await;
}
