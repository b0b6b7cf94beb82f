//! What is erased, and what stays of it.

use std::time::Duration;

use phlo_2fa::store::{AttemptRef, Commit, Count, Cursor, Erased, Erasure, Outcome, Parked, Store, Taken};
use phlo_2fa::verification::event::{Facts, TextReport};

use crate::drafts::*;

const GUESSES: &[u8] = b"\0\xff\0\x01";

/// Of what `commit` has written.
pub(crate) fn erasure_of(commit: &Commit) -> Erasure {
    Erasure {
        id: commit.id,
        app: commit.app.clone(),
        // As while a SECRET_KEY is being rotated.
        numbers: vec![number_in(commit.id.shard()), commit.number],
        expected: commit.expected + 1,
        guesses: Vec::new(),
        keep: LONG,
    }
}

async fn erase(store: &dyn Store, erasure: &Erasure) {
    assert_eq!(store.erase(erasure).await.unwrap(), Erased::Gone);
}

pub(crate) async fn what_is_erased_is_gone_with_all_that_is_beside_it(store: &dyn Store) {
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
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, [neighbour.id]);
    assert_eq!(store.newest(neighbour.number).await.unwrap(), Some(neighbour.id));
    let named = store.newest(first.number).await.unwrap().expect("the index stands for a while");
    assert_ne!(named, first.id);
    assert_eq!(store.load(named).await.unwrap(), None);
    assert_eq!(store.guesses(first.number).await.unwrap(), b"");
    // Twice, and late.
    assert_eq!(store.erase(&erasure_of(&last)).await.unwrap(), Erased::Absent);
    assert_eq!(store.load(neighbour.id).await.unwrap().map(|s| s.revision), Some(1));
}

pub(crate) async fn what_has_changed_since_is_not_erased(store: &dyn Store) {
    let first = Commit { due: Some(at(0)), ..draft() };
    commit(store, &first).await;
    commit(store, &after(&first, b"second")).await;
    for expected in [0, 1, 3, 258] {
        let stale = Erasure { expected, ..erasure_of(&first) };
        assert_eq!(store.erase(&stale).await.unwrap(), Erased::Changed, "{expected}");
    }
    assert_eq!(store.load(first.id).await.unwrap().map(|s| s.sealed), Some(b"second".to_vec()));
    assert_eq!(store.newest(first.number).await.unwrap(), Some(first.id));
    assert_eq!(store.list("shop", None, None, 10).await.unwrap().len(), 1);
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, [first.id]);
}

pub(crate) async fn nothing_brings_back_what_is_erased(store: &dyn Store) {
    let older = draft();
    commit(store, &older).await;
    let first = Commit { previous: Some(older.id), ..draft_of(older.number) };
    commit(store, &first).await;
    erase(store, &erasure_of(&first)).await;
    erase(store, &erasure_of(&older)).await;
    // Whoever was at it meanwhile, and the creations themselves once more.
    let late = [after(&first, b"late"), after(&older, b"late"), first.clone(), older.clone()];
    for late in late {
        let late = Commit { due: Some(at(0)), ..late };
        assert_eq!(store.commit(&late).await.unwrap(), Outcome::Conflict, "{late:?}");
        assert_eq!(store.load(late.id).await.unwrap(), None);
    }
    assert_eq!(store.list("shop", None, None, 10).await.unwrap(), []);
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, []);
    // The number is free for who knows how it stands; an erasure that comes late finds it taken.
    let next = Commit { previous: store.newest(first.number).await.unwrap(), ..draft_of(first.number) };
    commit(store, &next).await;
    assert_eq!(store.erase(&erasure_of(&first)).await.unwrap(), Erased::Absent);
    assert_eq!(store.newest(first.number).await.unwrap(), Some(next.id));
    assert_eq!(store.commit(&first).await.unwrap(), Outcome::Conflict);
    // One that was decided on after the first erasure and comes after the second.
    let late = Commit { previous: next.previous, ..draft_of(first.number) };
    erase(store, &erasure_of(&next)).await;
    assert_eq!(store.commit(&late).await.unwrap(), Outcome::Conflict);
}

pub(crate) async fn guesses_outlive_an_erasure(store: &dyn Store) {
    let first = Commit { guesses: GUESSES.to_vec(), ..draft() };
    commit(store, &first).await;
    // As they stand in the record, which may know more than the index does.
    let keep = Duration::from_millis(600);
    erase(store, &Erasure { guesses: b"abcd".to_vec(), keep, ..erasure_of(&first) }).await;
    assert_eq!(store.guesses(first.number).await.unwrap(), b"abcd");
    let one = [count("number:outlive", 1)];
    assert!(matches!(store.take(&one, Some(first.number), at(0)).await.unwrap(), Taken::Found(id) if id != first.id));
    while store.newest(first.number).await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.guesses(first.number).await.unwrap(), b"", "their day is over");
    commit(store, &draft_of(first.number)).await;
}

pub(crate) async fn an_index_that_names_another_stays(store: &dyn Store) {
    let older = Commit { guesses: GUESSES.to_vec(), ..draft() };
    commit(store, &older).await;
    let newer = Commit { previous: Some(older.id), guesses: b"abcd".to_vec(), ..draft_of(older.number) };
    commit(store, &newer).await;
    erase(store, &Erasure { guesses: GUESSES.to_vec(), ..erasure_of(&older) }).await;
    assert_eq!(store.newest(newer.number).await.unwrap(), Some(newer.id));
    assert_eq!(store.guesses(newer.number).await.unwrap(), b"abcd");
    commit(store, &after(&newer, b"second")).await;
}

pub(crate) async fn what_a_providers_id_finds_is_forgotten(store: &dyn Store) {
    let (to, report) = (AttemptRef { id: draft().id, attempt: 0 }, Parked::Text(TextReport::Sent, Facts::default()));
    assert_eq!(store.find_or_park("uuid-7", &report).await.unwrap(), None);
    store.unlink("uuid-7", to.id).await.unwrap();
    assert_eq!(store.link("uuid-7", to, LONG).await.unwrap(), [], "nothing waited");
    assert_eq!(store.find_or_park("uuid-7", &report).await.unwrap(), Some(to));
    for _ in 0..2 {
        store.unlink("uuid-7", to.id).await.unwrap();
    }
    assert_eq!(store.find_or_park("uuid-7", &report).await.unwrap(), None);
    store.unlink("uuid-7", to.id).await.unwrap();
}

pub(crate) async fn what_one_verification_is_told_of_no_other_gets(store: &dyn Store) {
    let [its, others] = [0, 1].map(|attempt| AttemptRef { id: draft().id, attempt });
    let report = Parked::Text(TextReport::Sent, Facts::default());
    assert_eq!(store.link("uuid-8", its, LONG).await.unwrap(), []);
    store.unlink("uuid-8", others.id).await.unwrap();
    assert_eq!(store.link("uuid-8", others, LONG).await.unwrap(), []);
    assert_eq!(store.find_or_park("uuid-8", &report).await.unwrap(), Some(its), "it is not taken from it");
    let again = AttemptRef { attempt: 2, ..its };
    assert_eq!(store.link("uuid-8", again, LONG).await.unwrap(), []);
    assert_eq!(store.find_or_park("uuid-8", &report).await.unwrap(), Some(again), "an attempt of the same may be");
}

fn count(name: &str, amount: i64) -> Count {
    Count { name: name.to_owned(), amount, limits: "3/10m".parse().expect("limits"), is_free: false }
}
