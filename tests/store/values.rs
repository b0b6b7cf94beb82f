//! [`Values`]: compare-and-swap.

use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::store::{Store, SwapOutcome};

use crate::drafts::*;

pub(crate) async fn a_value_is_swapped_only_if_it_is_unchanged(store: &dyn Store) {
    let name = || format!("r:{:032x}", draft().id.to_bytes().iter().fold(0u128, |all, b| all << 8 | u128::from(*b)));
    let (one, other) = (name(), name());
    let read = async || store.values(&[one.clone(), other.clone()]).await.unwrap();
    let swap =
        async |before: Option<&[u8]>, after: &[u8]| store.compare_and_swap(&one, before, after, LONG).await.unwrap();
    assert_eq!(read().await, [None, None]);
    assert_eq!(store.values(&[]).await.unwrap(), Vec::<Option<Vec<u8>>>::new());
    assert_eq!(swap(Some(b"a"), b"b").await, SwapOutcome::Changed(None));
    assert_eq!(swap(None, b"a").await, SwapOutcome::Written);
    assert_eq!(swap(None, b"b").await, SwapOutcome::Changed(Some(b"a".to_vec())));
    assert_eq!(swap(None, b"a").await, SwapOutcome::Written, "a retry");
    assert_eq!(swap(Some(b"a"), b"b\0\xff").await, SwapOutcome::Written);
    assert_eq!(read().await, [Some(b"b\0\xff".to_vec()), None]);
    let short = Duration::from_millis(1);
    assert_eq!(store.compare_and_swap(&other, None, b"x", short).await.unwrap(), SwapOutcome::Written);
    while read().await[1].is_some() {
        tokio::time::sleep(short).await;
    }
    let values: Vec<[u8; 1]> = (0..16).map(|n| [n]).collect();
    let outcomes = join_all(values.iter().map(|value| store.compare_and_swap(&other, None, value, LONG))).await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome.as_ref().unwrap() == SwapOutcome::Written).count(), 1);
}
