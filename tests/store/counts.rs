//! What limits count, and the guesses of a number.

use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::store::{Commit, Count, Store, Taken};

use crate::drafts::*;

/// So many of `name` that `limits` allow.
fn count(name: &str, amount: i64, limits: &str) -> Count {
    Count { name: name.to_owned(), amount, limits: limits.parse().unwrap(), is_free: false }
}

/// A name nobody else counts under.
fn counted(scope: &str) -> String {
    format!("{scope}:{:032x}", u128::from_be_bytes(number().0))
}

pub(crate) async fn counts_are_taken_up_to_their_limit_and_free_as_time_goes_on(store: &dyn Store) {
    let name = counted("number");
    let one = [count(&name, 1, "3/10m,5/1h")];
    let take = async |ms: i64| store.take(&one, None, at(ms)).await.unwrap();
    for ms in [0, 1000, 2000] {
        assert_eq!(take(ms).await, Taken::All);
    }
    let Taken::Full { which: 0, wait } = take(3000).await else { panic!("a fourth within ten minutes") };
    assert!(wait > Duration::from_secs(590) && wait <= Duration::from_secs(630), "{wait:?}");
    let later = 3000 + i64::try_from(wait.as_millis()).unwrap();
    assert!(matches!(take(later - 1).await, Taken::Full { .. }));
    assert_eq!((take(later).await, take(later).await), (Taken::All, Taken::All));
    // Five within the hour: the next is out by the other limit.
    let Taken::Full { which: 0, wait } = take(later + 700_000).await else { panic!("a sixth within the hour") };
    assert!(wait > Duration::from_secs(2000), "{wait:?}");
    // Another name is nobody else's business, and what is free is added all the same.
    assert_eq!(store.take(&[count(&counted("number"), 1, "1/10m")], None, at(0)).await.unwrap(), Taken::All);
    let free = Count { is_free: true, ..count(&name, -5, "3/10m,5/1h") };
    assert_eq!(store.take(&[free], None, at(later)).await.unwrap(), Taken::All);
    assert_eq!(take(later + 700_000).await, Taken::All, "some were given back");
}

pub(crate) async fn of_counts_side_by_side_no_more_are_taken_than_the_limit(store: &dyn Store) {
    let counts = [count(&counted("number"), 1, "7/10m"), count(&counted("total"), 1, "1000/1m")];
    let taken = join_all((0..40).map(|_| store.take(&counts, None, at(0)))).await;
    assert_eq!(taken.iter().filter(|taken| matches!(taken, Ok(Taken::All))).count(), 7);
    assert!(taken.iter().all(|taken| matches!(taken, Ok(Taken::All | Taken::Full { which: 0, .. }))));
    // Those that were refused for the first have not used up the second.
    let rest = [count(&counts[1].name, 993, "1000/1m")];
    assert_eq!(store.take(&rest, None, at(0)).await.unwrap(), Taken::All);
    assert!(matches!(store.take(&counts[1..], None, at(0)).await.unwrap(), Taken::Full { which: 0, .. }));
}

pub(crate) async fn nothing_is_counted_for_a_number_that_has_a_verification(store: &dyn Store) {
    let first = draft();
    let one = [count(&counted("number"), 1, "1/10m")];
    commit(store, &first).await;
    for _ in 0..3 {
        assert_eq!(store.take(&one, Some(first.number), at(0)).await.unwrap(), Taken::Found(first.id));
    }
    assert_eq!(store.take(&one, Some(number()), at(0)).await.unwrap(), Taken::All);
    assert!(matches!(store.take(&one, Some(number()), at(0)).await.unwrap(), Taken::Full { .. }));
}

pub(crate) async fn guesses_outlive_the_verification_they_were_made_for(store: &dyn Store) {
    let keep = Duration::from_millis(60);
    let first = Commit { keep, ..draft() };
    commit(store, &first).await;
    assert_eq!(store.guesses(first.number).await.unwrap(), b"");
    commit(store, &Commit { guesses: b"\0\xff\0\x01".to_vec(), keep, ..after(&first, b"second") }).await;
    assert_eq!(store.newest(first.number).await.unwrap(), Some(first.id));
    until_forgotten(store, first.id).await;
    assert_eq!(store.guesses(first.number).await.unwrap(), b"\0\xff\0\x01");
    let next = Commit { previous: Some(first.id), guesses: b"abcd".to_vec(), ..draft_of(first.number) };
    commit(store, &next).await;
    assert_eq!(store.guesses(first.number).await.unwrap(), b"abcd");
    assert_eq!(store.newest(first.number).await.unwrap(), Some(next.id));
}
