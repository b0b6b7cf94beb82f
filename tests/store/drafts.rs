//! Commits to write, and the few steps that every story takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use phlo_2fa::store::{Commit, NumberKey, Outcome, Store};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::VerificationId;

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A moment that is no special one.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

/// A number nobody else uses, in `shard`.
pub(crate) fn number_in(shard: u8) -> NumberKey {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut key = [shard; 16];
    key[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    NumberKey(key)
}

/// A number nobody else uses, each in another shard than the last.
pub(crate) fn number() -> NumberKey {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    number_in((NEXT.fetch_add(1, Ordering::Relaxed) * 31 % 256) as u8)
}

/// An id nobody else uses, where `number` is.
pub(crate) fn id_of(number: NumberKey) -> VerificationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    VerificationId::new(number.shard(), u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64 | 0xabc)
}

/// The first commit of a new verification of a new number.
pub(crate) fn draft() -> Commit {
    draft_of(number())
}

/// The first commit of a new verification of `number`.
pub(crate) fn draft_of(number: NumberKey) -> Commit {
    Commit {
        id: id_of(number),
        app: "shop".to_owned(),
        number,
        expected: 0,
        previous: None,
        // All bytes there are: none of them means anything to a back end.
        sealed: (0..=255).collect(),
        created_at: at(0),
        due: None,
        keep: LONG,
        guesses: Vec::new(),
        keep_guesses: LONG,
        may_lack: false,
    }
}

/// The commit after `commit`, which writes `sealed`.
pub(crate) fn after(commit: &Commit, sealed: &[u8]) -> Commit {
    Commit { expected: commit.expected + 1, sealed: sealed.to_vec(), ..commit.clone() }
}

/// Commits what must not be a conflict.
pub(crate) async fn commit(store: &dyn Store, commit: &Commit) {
    let outcome = store.commit(commit).await.expect("the store answers");
    assert_eq!(outcome, Outcome::Committed(commit.expected + 1));
}

/// Waits until the record is forgotten.
pub(crate) async fn until_forgotten(store: &dyn Store, id: VerificationId) {
    let start = Instant::now();
    while store.load(id).await.expect("the store answers").is_some() {
        assert!(start.elapsed() < Duration::from_secs(10), "{id} is never forgotten");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
