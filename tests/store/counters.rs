//! [`Counters`]: limits hold, also between concurrent callers.

use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::store::{Increment, IncrementOutcome, Store};

use crate::drafts::*;

pub(crate) fn increment_of(counter: &str, amount: i64, limits: &str) -> Increment {
    Increment { counter: counter.to_owned(), amount, limits: limits.parse().expect("limits"), ignores_limits: false }
}

/// The name of a new counter.
fn new_counter(scope: &str) -> String {
    format!("{scope}:{:032x}", u128::from_be_bytes(number().0))
}

pub(crate) async fn a_counter_stops_at_its_limit_and_recovers_with_time(store: &dyn Store) {
    let name = new_counter("number");
    let one = [increment_of(&name, 1, "3/10m,5/1h")];
    let add = async |ms: i64| store.increment(&one, None, at(ms)).await.unwrap();
    for ms in [0, 1000, 2000] {
        assert_eq!(add(ms).await, IncrementOutcome::Added);
    }
    let IncrementOutcome::OverLimit { index: 0, wait } = add(3000).await else { panic!("a fourth within ten minutes") };
    assert!(wait > Duration::from_secs(590) && wait <= Duration::from_secs(630), "{wait:?}");
    let later = 3000 + i64::try_from(wait.as_millis()).unwrap();
    assert!(matches!(add(later - 1).await, IncrementOutcome::OverLimit { .. }));
    assert_eq!((add(later).await, add(later).await), (IncrementOutcome::Added, IncrementOutcome::Added));
    // Five within the hour: the other limit refuses the sixth.
    let IncrementOutcome::OverLimit { index: 0, wait } = add(later + 700_000).await else {
        panic!("a sixth within the hour")
    };
    assert!(wait > Duration::from_secs(2000), "{wait:?}");
    // Other counters are not affected, and an increment that ignores limits is always added.
    assert_eq!(
        store.increment(&[increment_of(&new_counter("number"), 1, "1/10m")], None, at(0)).await.unwrap(),
        IncrementOutcome::Added
    );
    let back = Increment { ignores_limits: true, ..increment_of(&name, -5, "3/10m,5/1h") };
    assert_eq!(store.increment(&[back], None, at(later)).await.unwrap(), IncrementOutcome::Added);
    assert_eq!(add(later + 700_000).await, IncrementOutcome::Added, "some were given back");
}

pub(crate) async fn concurrent_increments_never_exceed_a_limit(store: &dyn Store) {
    let increments =
        [increment_of(&new_counter("number"), 1, "7/10m"), increment_of(&new_counter("total"), 1, "1000/1m")];
    let outcomes = join_all((0..40).map(|_| store.increment(&increments, None, at(0)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(IncrementOutcome::Added))).count(), 7);
    assert!(
        outcomes.iter().all(|outcome| matches!(
            outcome,
            Ok(IncrementOutcome::Added | IncrementOutcome::OverLimit { index: 0, .. })
        ))
    );
    // Increments that the first limit refused were not added to the second counter.
    let rest = [increment_of(&increments[1].counter, 993, "1000/1m")];
    assert_eq!(store.increment(&rest, None, at(0)).await.unwrap(), IncrementOutcome::Added);
    assert!(matches!(
        store.increment(&increments[1..], None, at(0)).await.unwrap(),
        IncrementOutcome::OverLimit { index: 0, .. }
    ));
}

pub(crate) async fn nothing_is_added_for_a_number_that_has_a_verification(store: &dyn Store) {
    let first = draft();
    let one = [increment_of(&new_counter("number"), 1, "1/10m")];
    commit(store, &first).await;
    for _ in 0..3 {
        assert_eq!(
            store.increment(&one, Some(first.number), at(0)).await.unwrap(),
            IncrementOutcome::NumberInUse(first.id)
        );
    }
    assert_eq!(store.increment(&one, Some(number()), at(0)).await.unwrap(), IncrementOutcome::Added);
    assert!(matches!(store.increment(&one, Some(number()), at(0)).await.unwrap(), IncrementOutcome::OverLimit { .. }));
}
