//! Lists: pages of an app's verifications.

use phlo_2fa::store::{Commit, Cursor, Store};
use phlo_2fa::verification::VerificationId;

use crate::drafts::*;

pub(crate) async fn apps_do_not_see_each_others_lists(store: &dyn Store) {
    let shop = Commit { app: "shop".to_owned(), ..draft() };
    let bank = Commit { app: "bank".to_owned(), ..draft_of(number_in(shop.id.shard())) };
    commit(store, &shop).await;
    commit(store, &bank).await;
    for mine in [shop, bank] {
        let listed = store.list(&mine.app, None, None, 10).await.unwrap();
        assert_eq!(listed, [Cursor { created_at: mine.created_at, id: mine.id }]);
    }
    assert_eq!(store.list("another", None, None, 10).await.unwrap(), []);
}

pub(crate) async fn a_page_continues_where_the_last_one_ended(store: &dyn Store) {
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

pub(crate) async fn a_page_may_begin_at_a_cursor_without_a_record(store: &dyn Store) {
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

pub(crate) async fn a_list_can_be_limited_to_one_shard(store: &dyn Store) {
    let mut sevens = create_many_at_few_moments(store).await;
    sevens.retain(|c| c.id.shard() == 7);
    sevens.sort_by(|a, b| b.cmp(a));
    assert_eq!(store.list("shop", Some(7), None, 1000).await.unwrap(), sevens);
    assert_eq!(store.list("shop", Some(7), Some(sevens[2]), 2).await.unwrap(), sevens[3..5]);
    assert_eq!(store.list("shop", Some(8), None, 1000).await.unwrap(), []);
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
