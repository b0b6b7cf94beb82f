//! Lists: pages of an app's verifications.

use phlo_2fa::store::{Commit, Cursor, PageRequest, Store};
use phlo_2fa::verification::{Status, VerificationId};

use crate::drafts::*;

pub(crate) async fn apps_do_not_see_each_others_lists(store: &dyn Store) {
    let shop = Commit { app: "shop".to_owned(), ..draft() };
    let bank = Commit { app: "bank".to_owned(), ..draft_of(number_in(shop.id.shard())) };
    commit(store, &shop).await;
    commit(store, &bank).await;
    for mine in [shop, bank] {
        let listed = entries(store, &PageRequest::newest(&mine.app, 10)).await;
        assert_eq!(listed, [Cursor { created_at: mine.created_at, id: mine.id }]);
    }
    assert_eq!(entries(store, &PageRequest::newest("another", 10)).await, []);
}

pub(crate) async fn a_page_continues_where_the_last_one_ended(store: &dyn Store) {
    let mut all = create_many_at_few_moments(store).await;
    all.sort_by(|a, b| b.cmp(a));
    for limit in [1, 7, 1000] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = store.list(&PageRequest { before, ..PageRequest::newest("shop", limit) }).await.unwrap();
            assert!(page.entries.len() <= limit);
            seen.extend(page.entries);
            if page.next.is_none() {
                break;
            }
            before = page.next;
        }
        assert_eq!(seen, all, "{limit} to a page");
    }
    assert_eq!(entries(store, &PageRequest::newest("shop", 0)).await, []);
}

pub(crate) async fn a_page_may_begin_at_a_cursor_without_a_record(store: &dyn Store) {
    let all = create_many_at_few_moments(store).await;
    for created_at in [at(-1), at(0), at(2), at(9)] {
        for id in [VerificationId::new(0, 0), VerificationId::new(7, 1 << 66), VerificationId::new(255, u128::MAX)] {
            let before = Cursor { created_at, id };
            let mut expected: Vec<_> = all.iter().filter(|c| **c < before).copied().collect();
            expected.sort_by(|a, b| b.cmp(a));
            let query = PageRequest { before: Some(before), ..PageRequest::newest("shop", 1000) };
            assert_eq!(entries(store, &query).await, expected, "{before:?}");
        }
    }
}

pub(crate) async fn a_list_can_be_limited_to_shards(store: &dyn Store) {
    let mut all = create_many_at_few_moments(store).await;
    all.sort_by(|a, b| b.cmp(a));
    let of = |shards: &[u8]| Vec::from_iter(all.iter().copied().filter(|c| shards.contains(&c.id.shard())));
    let newest = PageRequest::newest("shop", 1000);
    for shards in [&[7][..], &[7, 200], &[8]] {
        assert_eq!(entries(store, &PageRequest { shards, ..newest }).await, of(shards), "{shards:?}");
    }
    let sevens = of(&[7]);
    let query = PageRequest { shards: &[7], before: Some(sevens[2]), limit: 2, ..newest };
    assert_eq!(entries(store, &query).await, sevens[3..5]);
}

pub(crate) async fn a_list_can_be_limited_to_a_time(store: &dyn Store) {
    let mut all = create_many_at_few_moments(store).await;
    all.sort_by(|a, b| b.cmp(a));
    all.retain(|c| c.created_at >= at(2));
    let query = PageRequest { since: Some(at(2)), ..PageRequest::newest("shop", 1000) };
    assert_eq!(entries(store, &query).await, all);
}

pub(crate) async fn an_entry_has_the_status_of_the_last_commit(store: &dyn Store) {
    let (first, second) = (Commit { created_at: at(1), ..draft() }, Commit { created_at: at(2), ..draft() });
    let third = Commit { created_at: at(3), status: Status::Undeliverable, ..draft() };
    for one in [&first, &second, &third] {
        commit(store, one).await;
    }
    let joined = Cursor { created_at: at(4), id: id_of(second.number) };
    let shared = Commit { session: Some(joined), ..after(&second, b"shared") };
    commit(store, &shared).await;
    let own = |commit: &Commit| Cursor { created_at: commit.created_at, id: commit.id };
    let ended = vec![(joined, Status::Verified), (own(&second), Status::Canceled)];
    let ended = Commit { session: None, ended, ..after(&shared, b"ended") };
    commit(store, &ended).await;
    let cases: [(&[Status], Vec<Cursor>); 6] = [
        (&[Status::Pending], vec![own(&first)]),
        (&[Status::Verified], vec![joined]),
        (&[Status::Canceled], vec![own(&second)]),
        (&[Status::Undeliverable], vec![own(&third)]),
        (&[Status::Expired], vec![]),
        (&[Status::Pending, Status::Canceled], vec![own(&second), own(&first)]),
    ];
    for (statuses, expected) in cases {
        let query = PageRequest { statuses, ..PageRequest::newest("shop", 10) };
        assert_eq!(entries(store, &query).await, expected, "{statuses:?}");
    }
}

pub(crate) async fn a_change_of_status_adds_nothing_to_a_list(store: &dyn Store) {
    let first = draft();
    commit(store, &first).await;
    let stranger = Cursor { created_at: at(9), id: id_of(first.number) };
    let ended = Commit { ended: vec![(stranger, Status::Verified)], ..after(&first, b"ended") };
    commit(store, &ended).await;
    let all = entries(store, &PageRequest::newest("shop", 10)).await;
    assert_eq!(all, [Cursor { created_at: first.created_at, id: first.id }]);
}

/// Creates forty in a few shards, many of them in the same millisecond.
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
