//! What one caller may rely on: records, revisions, number index, lists.

use std::time::Duration;

use phlo_2fa::store::{Commit, Cursor, Outcome, Store, Stored};
use phlo_2fa::verification::VerificationId;

use crate::drafts::*;

const SHORT: Duration = Duration::from_millis(50);

pub(crate) async fn what_is_committed_is_loaded(store: &dyn Store) {
    let first = draft();
    assert_eq!(store.load(first.id).await.unwrap(), None);
    assert_eq!(store.newest(first.number).await.unwrap(), None);
    commit(store, &first).await;
    assert_eq!(store.load(first.id).await.unwrap(), Some(Stored { revision: 1, sealed: first.sealed.clone() }));
    assert_eq!(store.newest(first.number).await.unwrap(), Some(first.id));
    let second = after(&first, b"");
    commit(store, &second).await;
    assert_eq!(store.load(first.id).await.unwrap(), Some(Stored { revision: 2, sealed: Vec::new() }));
}

pub(crate) async fn many_are_loaded_in_the_order_asked_for(store: &dyn Store) {
    let (one, other, missing) = (draft(), draft(), draft());
    commit(store, &one).await;
    commit(store, &Commit { sealed: b"other".to_vec(), ..other.clone() }).await;
    let found = store.load_many(&[other.id, missing.id, one.id, other.id]).await.unwrap();
    let ids: Vec<_> = found.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [other.id, one.id, other.id]);
    assert_eq!(found[0].1, Stored { revision: 1, sealed: b"other".to_vec() });
    assert_eq!(found[1].1.sealed, one.sealed);
    assert_eq!(store.load_many(&[]).await.unwrap(), []);
}

pub(crate) async fn of_two_writers_with_one_revision_exactly_one_wins(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let (left, right) = (after(&first, b"left"), after(&first, b"right"));
    let (left, right) = tokio::join!(store.commit(&left), store.commit(&right));
    let (left, right) = (left.unwrap(), right.unwrap());
    let winner: &[u8] = if left == Outcome::Conflict { b"right" } else { b"left" };
    assert_ne!(left, right);
    assert!([left, right].contains(&Outcome::Committed(2)));
    assert_eq!(store.load(first.id).await.unwrap(), Some(Stored { revision: 2, sealed: winner.to_vec() }));
}

pub(crate) async fn a_creation_for_a_number_that_has_another_newest_is_a_conflict(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let stranger = draft();
    for previous in [None, Some(stranger.id)] {
        let second = Commit { previous, ..draft_of(first.number) };
        assert_eq!(store.commit(&second).await.unwrap(), Outcome::Conflict);
    }
    let of_none = Commit { previous: Some(first.id), ..draft() };
    assert_eq!(store.commit(&of_none).await.unwrap(), Outcome::Conflict, "a number without any is not one with one");
}

pub(crate) async fn a_creation_that_knows_the_newest_takes_its_place(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let second = Commit { previous: Some(first.id), ..draft_of(first.number) };
    commit(store, &second).await;
    assert_eq!(store.newest(first.number).await.unwrap(), Some(second.id));
    // The one before still changes, and takes nothing back.
    commit(store, &after(&first, b"late")).await;
    assert_eq!(store.newest(first.number).await.unwrap(), Some(second.id));
}

pub(crate) async fn a_commit_run_twice_is_committed_once(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    commit(store, &first).await;
    assert_eq!(store.load(first.id).await.unwrap().map(|s| s.revision), Some(1));
    let second = after(&first, b"second");
    commit(store, &second).await;
    // A claim between the two runs keeps its lease.
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, [first.id]);
    commit(store, &second).await;
    assert_eq!(store.load(first.id).await.unwrap(), Some(Stored { revision: 2, sealed: b"second".to_vec() }));
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, []);
}

pub(crate) async fn a_late_creation_never_revives_a_record(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    let last = Commit { due: None, ..after(&first, b"final") };
    commit(store, &last).await;
    assert_eq!(store.commit(&first).await.unwrap(), Outcome::Conflict);
    assert_eq!(store.load(first.id).await.unwrap(), Some(Stored { revision: 2, sealed: b"final".to_vec() }));
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, []);
}

pub(crate) async fn a_late_commit_never_revives_a_forgotten_record(store: &dyn Store) {
    let first = Commit { keep: SHORT, ..draft() };
    commit(store, &first).await;
    until_forgotten(store, first.id).await;
    let late = Commit { due: Some(at(0)), ..after(&first, b"late") };
    assert_eq!(store.commit(&late).await.unwrap(), Outcome::Conflict);
    assert_eq!(store.load(first.id).await.unwrap(), None);
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, []);
}

pub(crate) async fn a_conflict_changes_nothing(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let creation = Commit { due: Some(at(0)), app: "other".to_owned(), ..draft_of(first.number) };
    assert_eq!(store.commit(&creation).await.unwrap(), Outcome::Conflict);
    assert_eq!(store.load(creation.id).await.unwrap(), None);
    assert_eq!(store.list("other", None, None, 10).await.unwrap(), []);
    for expected in [0, 2, 255, 256] {
        let stale = Commit { expected, sealed: b"stale".to_vec(), due: Some(at(0)), keep: SHORT, ..first.clone() };
        assert_eq!(store.commit(&stale).await.unwrap(), Outcome::Conflict, "{expected}");
    }
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, []);
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(store.load(first.id).await.unwrap(), Some(Stored { revision: 1, sealed: first.sealed.clone() }));
    assert_eq!(store.newest(first.number).await.unwrap(), Some(first.id));
}

pub(crate) async fn what_is_kept_too_long_is_forgotten(store: &dyn Store) {
    let first = Commit { keep: SHORT, due: Some(at(0)), ..draft() };
    let stays = Commit { created_at: at(1), ..draft() };
    commit(store, &first).await;
    commit(store, &stays).await;
    until_forgotten(store, first.id).await;
    assert_eq!(store.newest(first.number).await.unwrap(), None);
    assert_eq!(store.load_many(&[first.id]).await.unwrap(), []);
    let listed: Vec<_> = store.list("shop", None, None, 10).await.unwrap().iter().map(|c| c.id).collect();
    assert_eq!(listed, [stays.id]);
    // The number is as free as it was before.
    commit(store, &draft_of(first.number)).await;
}

pub(crate) async fn a_commit_prolongs_all_that_belongs_to_the_record(store: &dyn Store) {
    let first = Commit { keep: SHORT, ..draft() };
    commit(store, &first).await;
    commit(store, &Commit { keep: LONG, due: Some(at(0)), ..after(&first, b"second") }).await;
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(store.load(first.id).await.unwrap().map(|s| s.revision), Some(2));
    assert_eq!(store.newest(first.number).await.unwrap(), Some(first.id));
    assert_eq!(
        store.list("shop", None, None, 10).await.unwrap(),
        [Cursor { created_at: first.created_at, id: first.id }]
    );
    assert_eq!(store.claim_due(at(0), LONG, 10).await.unwrap().ids, [first.id]);
}

pub(crate) async fn apps_do_not_see_each_other(store: &dyn Store) {
    let shop = Commit { app: "shop".to_owned(), ..draft() };
    let bank = Commit { app: "bank".to_owned(), ..draft_of(number_in(shop.id.shard())) };
    commit(store, &shop).await;
    commit(store, &bank).await;
    for mine in [shop, bank] {
        let listed = store.list(&mine.app, None, None, 10).await.unwrap();
        assert_eq!(listed, [Cursor { created_at: mine.created_at, id: mine.id }]);
    }
    assert_eq!(store.list("nobody", None, None, 10).await.unwrap(), []);
}

pub(crate) async fn a_page_goes_on_where_the_last_one_ended(store: &dyn Store) {
    let mut all = create_many_at_few_moments(store).await;
    all.sort_by(|a, b| b.cmp(a));
    for limit in [1, 7, 1000] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = store.list("shop", None, before, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            before = Some(*last);
            seen.extend(page);
        }
        assert_eq!(seen, all, "{limit} to a page");
    }
    assert_eq!(store.list("shop", None, None, 0).await.unwrap(), []);
}

pub(crate) async fn a_page_may_begin_at_a_cursor_that_is_gone(store: &dyn Store) {
    let all = create_many_at_few_moments(store).await;
    for created_at in [at(-1), at(0), at(2), at(9)] {
        for id in [VerificationId::new(0, 0), VerificationId::new(7, 1 << 66), VerificationId::new(255, u128::MAX)] {
            let before = Cursor { created_at, id };
            let mut expected: Vec<_> = all.iter().filter(|c| **c < before).copied().collect();
            expected.sort_by(|a, b| b.cmp(a));
            assert_eq!(store.list("shop", None, Some(before), 1000).await.unwrap(), expected, "{before:?}");
        }
    }
}

pub(crate) async fn a_list_may_be_of_one_shard(store: &dyn Store) {
    let mut sevens = create_many_at_few_moments(store).await;
    sevens.retain(|c| c.id.shard() == 7);
    sevens.sort_by(|a, b| b.cmp(a));
    assert_eq!(store.list("shop", Some(7), None, 1000).await.unwrap(), sevens);
    assert_eq!(store.list("shop", Some(7), Some(sevens[2]), 2).await.unwrap(), sevens[3..5]);
    assert_eq!(store.list("shop", Some(8), None, 1000).await.unwrap(), []);
}

pub(crate) async fn a_list_goes_past_thousands_that_are_gone(store: &dyn Store) {
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for i in 0..3000_i64 {
        let of = draft_of(number_in(if i % 3 == 0 { 255 } else { 9 }));
        // The oldest of each shard are there, so that no creation finds any that are gone at the end of its list.
        let is_there = i < 12 || i % 700 == 0;
        let created_at = at(i / 4);
        if is_there {
            there.push(Commit { created_at, ..of });
        } else {
            gone.push(Commit { created_at, keep: SHORT, ..of });
        }
    }
    for some in [&there, &gone].into_iter().flat_map(|all| all.chunks(100)) {
        futures_util::future::join_all(some.iter().map(|draft| commit(store, draft))).await;
    }
    until_forgotten(store, gone.last().unwrap().id).await;
    tokio::time::sleep(SHORT).await;
    let mut there: Vec<_> = there.iter().map(|c| Cursor { created_at: c.created_at, id: c.id }).collect();
    there.sort_by(|a, b| b.cmp(a));
    // Oldest first, so that each meets some that none has passed by before.
    for from in (0..there.len()).rev() {
        let page = store.list("shop", None, Some(there[from]), 3).await.unwrap();
        assert_eq!(page, there[from + 1..].iter().take(3).copied().collect::<Vec<_>>(), "after {from}");
    }
    assert_eq!(store.list("shop", None, None, 1000).await.unwrap(), there);
    there.retain(|c| c.id.shard() == 255);
    assert_eq!(store.list("shop", Some(255), None, 1000).await.unwrap(), there);
}

/// Forty in a few shards, many of them created in the same millisecond.
async fn create_many_at_few_moments(store: &dyn Store) -> Vec<Cursor> {
    let mut all = Vec::new();
    for i in 0..40_i64 {
        let shard = [0, 7, 7, 200, 255][usize::try_from(i % 5).unwrap()];
        let draft = Commit { created_at: at(i % 4), ..draft_of(number_in(shard)) };
        commit(store, &draft).await;
        all.push(Cursor { created_at: draft.created_at, id: draft.id });
    }
    all
}
