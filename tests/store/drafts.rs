//! Commits to write, and the steps that every test takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use phlo_2fa::store::{
    Claimed, Commit, CommitMode, CommitOutcome, Cursor, GuessesChange, NumberKey, PageRequest, PurposeKey, Records,
    Store, StoredRecord, Version,
};
use phlo_2fa::time::Timestamp;
use phlo_2fa::verification::{Status, VerificationId};

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(600);
/// Shorter than any test.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// A moment, `millis` after an arbitrary one.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

/// A new number in `shard`.
pub(crate) fn number_in(shard: u8) -> NumberKey {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut key = [shard; 16];
    key[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    NumberKey(key)
}

/// A new number, in another shard than the last.
pub(crate) fn number() -> NumberKey {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    number_in((NEXT.fetch_add(1, Ordering::Relaxed) * 31 % 256) as u8)
}

/// A new id in the shard of `number`.
pub(crate) fn id_of(number: NumberKey) -> VerificationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    VerificationId::new(number.shard(), u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64 | 0xabc)
}

/// The creation of a verification of a new number.
pub(crate) fn draft() -> Commit {
    draft_of(number())
}

/// The creation of the first verification of `number`.
pub(crate) fn draft_of(number: NumberKey) -> Commit {
    draft_after(None, number)
}

/// The creation of a verification of `number` whose index names `previous`.
pub(crate) fn draft_after(previous: Option<VerificationId>, number: NumberKey) -> Commit {
    Commit {
        id: id_of(number),
        app: "shop".to_owned(),
        number,
        purpose: PurposeKey::default(),
        mode: CommitMode::Create { previous },
        // Every byte, because none has a meaning to a back end.
        sealed: (0..=255).collect(),
        created_at: at(0),
        due: None,
        ttl: LONG,
        guesses: None,
        index_ttl: Some(LONG),
        session: None,
        status: Status::Pending,
        ended: Vec::new(),
        verified_ttl: None,
        increments: Vec::new(),
        links: Vec::new(),
        longest_ttl: LONG,
        now: at(0),
    }
}

/// The mode of an update that is refused if the record may be stale.
pub(crate) fn update_of(expected: Version) -> CommitMode {
    CommitMode::Update { expected, accept_stale: false }
}

/// The update after `commit`, which writes `sealed`.
pub(crate) fn after(commit: &Commit, sealed: &[u8]) -> Commit {
    Commit {
        mode: update_of(commit.version()),
        sealed: sealed.to_vec(),
        guesses: None,
        index_ttl: None,
        ..commit.clone()
    }
}

/// The wrong codes of a number before and after a commit.
pub(crate) fn changed(expected: &[u8], after: &[u8]) -> Option<GuessesChange> {
    Some(GuessesChange { expected: expected.to_vec(), after: after.to_vec() })
}

/// The record of a verification.
pub(crate) async fn stored(store: &(impl Records + ?Sized), id: VerificationId) -> Option<StoredRecord> {
    let loaded = store.load(id).await.expect("the store answers")?;
    assert_eq!((loaded.session, loaded.id), (id, id));
    Some(loaded.stored)
}

/// The newest verification of a number without a purpose.
pub(crate) async fn newest(store: &(impl Records + ?Sized), number: NumberKey) -> Option<VerificationId> {
    store.number_index(number).await.expect("the store answers").newest_for(PurposeKey::default())
}

/// The wrong codes of a number.
pub(crate) async fn guesses(store: &(impl Records + ?Sized), number: NumberKey) -> Vec<u8> {
    store.number_index(number).await.expect("the store answers").guesses
}

/// Commits and expects success.
pub(crate) async fn commit(store: &(impl Records + ?Sized), commit: &Commit) {
    let outcome = store.commit(commit).await.expect("the store answers");
    assert_eq!(outcome, CommitOutcome::Committed);
}

/// Whether another commit came first.
pub(crate) fn is_conflict(outcome: &CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Changed(_) | CommitOutcome::NumberInUse(_) | CommitOutcome::GuessesChanged(_))
}

/// The ids of claimed records.
pub(crate) fn ids(claimed: Claimed) -> Vec<VerificationId> {
    claimed.records.into_iter().map(|(id, _)| id).collect()
}

/// Waits until the record has expired.
pub(crate) async fn until_expired(store: &(impl Records + ?Sized), id: VerificationId) {
    let start = Instant::now();
    while store.load(id).await.expect("the store answers").is_some() {
        assert!(start.elapsed() < Duration::from_secs(10), "{id} never expires");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// One page of a list.
pub(crate) async fn entries(store: &dyn Store, query: &PageRequest<'_>) -> Vec<Cursor> {
    store.list(query).await.expect("a page").entries
}
