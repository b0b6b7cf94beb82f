//! [`Counters`]: limits hold, also between concurrent callers.

use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::guard::{Limit, Limits};
use phlo_2fa::store::{Commit, CommitOutcome, Counters, Increment, IncrementOutcome, Memory, Store};

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
    let add = async |ms: i64| store.increment(&one, at(ms)).await.unwrap();
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
        store.increment(&[increment_of(&new_counter("number"), 1, "1/10m")], at(0)).await.unwrap(),
        IncrementOutcome::Added
    );
    let back = Increment { ignores_limits: true, ..increment_of(&name, -5, "3/10m,5/1h") };
    assert_eq!(store.increment(&[back], at(later)).await.unwrap(), IncrementOutcome::Added);
    assert_eq!(add(later + 700_000).await, IncrementOutcome::Added, "some were given back");
}

pub(crate) async fn concurrent_increments_never_exceed_a_limit(store: &dyn Store) {
    let increments =
        [increment_of(&new_counter("number"), 1, "7/10m"), increment_of(&new_counter("total"), 1, "1000/1m")];
    let outcomes = join_all((0..40).map(|_| store.increment(&increments, at(0)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(IncrementOutcome::Added))).count(), 7);
    assert!(
        outcomes.iter().all(|outcome| matches!(
            outcome,
            Ok(IncrementOutcome::Added | IncrementOutcome::OverLimit { index: 0, .. })
        ))
    );
    // Increments that the first limit refused were not added to the second counter.
    let rest = [increment_of(&increments[1].counter, 993, "1000/1m")];
    assert_eq!(store.increment(&rest, at(0)).await.unwrap(), IncrementOutcome::Added);
    assert!(matches!(
        store.increment(&increments[1..], at(0)).await.unwrap(),
        IncrementOutcome::OverLimit { index: 0, .. }
    ));
}

pub(crate) async fn a_commit_counts_or_changes_nothing(store: &dyn Store) {
    let (narrow, wide) =
        (increment_of(&new_counter("number"), 1, "2/10m"), increment_of(&new_counter("total"), 1, "9/1m"));
    let counting = |draft: Commit| Commit { increments: vec![wide.clone(), narrow.clone()], ..draft };
    let (first, second) = (counting(draft()), counting(draft()));
    commit(store, &first).await;
    // Nothing is counted for a number that has a verification.
    for _ in 0..3 {
        let other = counting(draft_of(first.number));
        assert!(is_conflict(&store.commit(&other).await.unwrap()));
    }
    commit(store, &second).await;
    let third = counting(draft());
    let CommitOutcome::OverLimit { index: 1, wait } = store.commit(&third).await.unwrap() else {
        panic!("a third within ten minutes")
    };
    assert!(wait > Duration::from_secs(590) && wait <= Duration::from_secs(630), "{wait:?}");
    assert_eq!(store.load(third.id).await.unwrap(), None);
    assert_eq!(newest(store, third.number).await, None);
    // An update counts too, and a refused one changes nothing.
    let update = Commit { increments: vec![narrow.clone()], ..after(&first, b"second") };
    assert!(matches!(store.commit(&update).await.unwrap(), CommitOutcome::OverLimit { index: 0, .. }));
    let watched = Increment { ignores_limits: true, ..narrow.clone() };
    commit(store, &Commit { increments: vec![watched.clone()], ..after(&first, b"second") }).await;
    let late = Commit { increments: vec![watched], ..after(&first, b"late") };
    assert!(is_conflict(&store.commit(&late).await.unwrap()));
    // The wide counter was incremented by the two creations alone.
    let rest = [increment_of(&wide.counter, 7, "9/1m")];
    assert_eq!(store.increment(&rest, at(0)).await.unwrap(), IncrementOutcome::Added);
    let back = Increment { ignores_limits: true, ..increment_of(&narrow.counter, -2, "2/10m") };
    assert_eq!(store.increment(&[back], at(0)).await.unwrap(), IncrementOutcome::Added);
    assert_eq!(
        store.increment(std::slice::from_ref(&narrow), at(0)).await.unwrap(),
        IncrementOutcome::Added,
        "three less two"
    );
    assert!(matches!(store.increment(&[narrow], at(0)).await.unwrap(), IncrementOutcome::OverLimit { .. }));
}

/// A text and a call in one commit count in the same counters.
pub(crate) async fn a_counter_that_is_named_twice_counts_twice(store: &dyn Store) {
    let one = increment_of(&new_counter("number"), 1, "3/10m");
    let two = || Commit { increments: vec![one.clone(), one.clone()], ..draft() };
    commit(store, &two()).await;
    assert!(matches!(store.commit(&two()).await.unwrap(), CommitOutcome::OverLimit { index: 0 | 1, .. }));
    assert_eq!(store.increment(std::slice::from_ref(&one), at(0)).await.unwrap(), IncrementOutcome::Added);
    assert!(matches!(store.increment(&[one], at(0)).await.unwrap(), IncrementOutcome::OverLimit { .. }));
}

/// Other windows are of a replica whose settings differ for the moment.
pub(crate) async fn a_counter_keeps_the_windows_of_other_settings(store: &dyn Store) {
    let name = new_counter("number");
    for limits in ["1/10m", "2/1h", "9/1d"] {
        let one = [increment_of(&name, 1, limits)];
        assert_eq!(store.increment(&one, at(0)).await.unwrap(), IncrementOutcome::Added, "{limits}");
    }
    let one = [increment_of(&name, 1, "1/10m")];
    assert!(matches!(store.increment(&one, at(0)).await.unwrap(), IncrementOutcome::OverLimit { .. }));
}

pub(crate) async fn large_amounts_are_counted_exactly(store: &dyn Store) {
    // A budget of a billion dollars, in micro-dollars.
    let (name, most) = (new_counter("budget"), 1_000_000_000_000_000_u64);
    let limits = Limits([Limit { max: most, window: Duration::from_secs(86_400) }].into());
    let add = async |amount: i64| {
        let increment = Increment { counter: name.clone(), amount, limits: limits.clone(), ignores_limits: false };
        store.increment(&[increment], at(0)).await.unwrap()
    };
    assert_eq!(add(999_999_999_999_997).await, IncrementOutcome::Added);
    assert_eq!(add(2).await, IncrementOutcome::Added);
    assert!(matches!(add(2).await, IncrementOutcome::OverLimit { .. }));
    assert_eq!(add(1).await, IncrementOutcome::Added);
}

/// Additions at many times, some of them late, some given back, by settings that change for a moment.
pub(crate) async fn a_counter_counts_the_same_over_many_windows(store: &dyn Store) {
    let (model, name) = (Memory::default(), new_counter("app"));
    let (mut now, mut refused) = (0, 0);
    for n in 0..600_usize {
        now += [0, 200, 700, 1_100, 0, 3_000, 900, 12_000, 0, 400, 61_000][n * n % 11];
        let late = if n % 7 == 3 { 2_500 } else { 0 };
        let limits = if n % 50 < 45 { "60/20s,200/2m" } else { "90/40s,200/2m" };
        let amount = [1, 5, 12, -3, 8][n % 5];
        let ignores_limits = amount < 0 || n % 9 == 0;
        let one = [Increment { ignores_limits, ..increment_of(&name, amount, limits) }];
        let expected = model.increment(&one, at(now - late)).await.unwrap();
        refused += usize::from(expected != IncrementOutcome::Added);
        assert_eq!(store.increment(&one, at(now - late)).await.unwrap(), expected, "addition {n} at {now} ms");
    }
    assert!((50..500).contains(&refused), "{refused} are refused");
}
