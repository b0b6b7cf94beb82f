//! What many callers at once may rely on: timers, reports that come early, races.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use phlo_2fa::store::{AttemptRef, Commit, Found, Nonce, Outcome, PARKED_MAX, Parked, Store, Swap};
use phlo_2fa::verification::event::{CallReport, Facts, FailureClass, TextReport};

use crate::drafts::*;

const LEASE: Duration = Duration::from_millis(20);

pub(crate) async fn what_is_due_is_claimed_by_one_until_its_lease_ends(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    let early = store.claim_due(at(9), LEASE, 10).await.unwrap();
    assert_eq!((early.ids, early.next), (vec![], Some(at(10))));
    let claimed = store.claim_due(at(10), LEASE, 10).await.unwrap();
    assert_eq!((claimed.ids, claimed.next), (vec![first.id], Some(at(30))));
    assert_eq!(store.claim_due(at(29), LEASE, 10).await.unwrap().ids, []);
    assert_eq!(store.claim_due(at(30), LEASE, 10).await.unwrap().ids, [first.id]);
}

pub(crate) async fn no_more_are_claimed_than_asked_for_and_none_is_left_out(store: &dyn Store) {
    let mut all = HashSet::new();
    for i in 0..60 {
        // Half of them in one shard, the others anywhere.
        let number = if i % 2 == 0 { number_in(9) } else { number() };
        let draft = Commit { due: Some(at(i)), ..draft_of(number) };
        commit(store, &draft).await;
        all.insert(draft.id);
    }
    assert_eq!(store.claim_due(at(100), LONG, 0).await.unwrap().ids, []);
    let mut claimed = HashSet::new();
    for _ in 0..1000 {
        let some = store.claim_due(at(100), LONG, 7).await.unwrap();
        assert!(some.ids.len() <= 7);
        for id in some.ids {
            assert!(claimed.insert(id), "{id} is claimed twice");
        }
        if some.next.is_none_or(|next| next > at(100)) {
            break;
        }
    }
    assert_eq!(claimed, all);
}

pub(crate) async fn a_commit_ends_the_lease(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    assert_eq!(store.claim_due(at(10), LONG, 10).await.unwrap().ids, [first.id]);
    commit(store, &Commit { due: Some(at(11)), ..after(&first, b"again") }).await;
    assert_eq!(store.claim_due(at(11), LONG, 10).await.unwrap().ids, [first.id]);
}

pub(crate) async fn due_is_removed_when_a_commit_says_none(store: &dyn Store) {
    let first = Commit { due: Some(at(10)), ..draft() };
    commit(store, &first).await;
    commit(store, &Commit { due: None, ..after(&first, b"final") }).await;
    let claimed = store.claim_due(at(100), LEASE, 10).await.unwrap();
    assert_eq!((claimed.ids, claimed.next), (vec![], None));
}

pub(crate) async fn what_is_forgotten_is_no_longer_due(store: &dyn Store) {
    let gone = Commit { due: Some(at(10)), keep: Duration::from_millis(50), ..draft_of(number_in(3)) };
    let stays = Commit { due: Some(at(10)), ..draft_of(number_in(3)) };
    commit(store, &gone).await;
    commit(store, &stays).await;
    until_forgotten(store, gone.id).await;
    assert_eq!(store.claim_due(at(10), LEASE, 1).await.unwrap().ids, [stays.id]);
    assert_eq!(store.claim_due(at(10), LEASE, 10).await.unwrap().ids, []);
}

pub(crate) async fn claimants_side_by_side_never_share(store: &dyn Store) {
    for _ in 0..50 {
        commit(store, &Commit { due: Some(at(0)), ..draft() }).await;
    }
    let mut claimed = HashSet::new();
    for some in join_all((0..8).map(|_| store.claim_due(at(0), LONG, 50))).await {
        for id in some.unwrap().ids {
            assert!(claimed.insert(id), "{id} is claimed twice");
        }
    }
    assert_eq!(claimed.len(), 50);
}

pub(crate) async fn an_early_report_waits_for_its_attempt(store: &dyn Store) {
    let to = AttemptRef { id: draft().id, attempt: 3 };
    let failed = Parked::Text(
        TextReport::Failed { error_code: Some("30".to_owned()), class: FailureClass::Permanent },
        Facts::default(),
    );
    let ringing = Parked::Call(CallReport::Ringing, Facts::default());
    for report in [&failed, &ringing, &failed] {
        assert_eq!(store.find_or_park("uuid-1", report).await.unwrap(), None);
    }
    assert_eq!(store.link("uuid-2", to, LONG).await.unwrap(), [], "others' reports are not handed out");
    let waiting = [failed, ringing];
    assert_eq!(store.link("uuid-1", to, LONG).await.unwrap(), waiting, "each once, in the order they came");
    assert_eq!(store.link("uuid-1", to, LONG).await.unwrap(), waiting, "until they are applied they stay");
    store.unpark("uuid-1").await.unwrap();
    store.unpark("uuid-1").await.unwrap();
    assert_eq!(store.link("uuid-1", to, LONG).await.unwrap(), []);
}

pub(crate) async fn a_late_report_finds_its_attempt(store: &dyn Store) {
    let to = AttemptRef { id: draft().id, attempt: 255 };
    let report = Parked::Text(TextReport::Delivered, Facts::default());
    assert_eq!(store.link("uuid-3", to, LONG).await.unwrap(), []);
    assert_eq!(store.find_or_park("uuid-3", &report).await.unwrap(), Some(to));
    assert_eq!(store.link("uuid-3", to, LONG).await.unwrap(), [], "what finds its attempt does not wait");
}

pub(crate) async fn parked_reports_are_bounded(store: &dyn Store) {
    let report = |n: usize| {
        Parked::Text(
            TextReport::Undelivered { error_code: Some(n.to_string()), class: FailureClass::Stop },
            Facts::default(),
        )
    };
    for n in 0..PARKED_MAX + 5 {
        assert_eq!(store.find_or_park("uuid-4", &report(n)).await.unwrap(), None);
    }
    let waiting = store.link("uuid-4", AttemptRef { id: draft().id, attempt: 0 }, LONG).await.unwrap();
    assert_eq!(waiting, (0..PARKED_MAX).map(report).collect::<Vec<_>>());
}

pub(crate) async fn a_nonce_is_good_for_what_it_came_with_first(store: &dyn Store) {
    let unique = draft().id;
    let nonce = |told| Nonce { name: format!("n:{:.16}", unique.to_string().replace("vrf_", "")), told };
    let (to, report) = (AttemptRef { id: unique, attempt: 1 }, Parked::Text(TextReport::Delivered, Facts::default()));
    let other = Parked::Text(TextReport::Sent, Facts::default());
    let find =
        async |told, uuid: &str, report: &Parked| store.find_or_park_once(&nonce(told), uuid, report).await.unwrap();
    assert_eq!(find([1; 8], "uuid-5", &report).await, Found::Parked);
    assert_eq!(find([1; 8], "uuid-5", &report).await, Found::Parked, "whoever was not answered comes again");
    assert_eq!(find([2; 8], "uuid-5", &other).await, Found::Replayed);
    assert_eq!(find([2; 8], "uuid-6", &other).await, Found::Replayed);
    assert_eq!(
        store.link("uuid-5", to, LONG).await.unwrap(),
        std::slice::from_ref(&report),
        "what is refused does not wait"
    );
    assert_eq!(store.link("uuid-6", to, LONG).await.unwrap(), []);
    assert_eq!(find([1; 8], "uuid-5", &report).await, Found::Attempt(to));
    assert_eq!(find([2; 8], "uuid-5", &report).await, Found::Replayed);
}

pub(crate) async fn writers_side_by_side_lose_no_change(store: &dyn Store) {
    let first = Commit { sealed: vec![0, 0], ..draft() };
    commit(store, &first).await;
    join_all((0..64).map(|writer| increment(store, &first, writer))).await;
    let stored = store.load(first.id).await.unwrap().expect("it is there");
    assert_eq!((stored.revision, stored.sealed[0]), (65, 64));
}

/// Load, decide, commit; on a conflict again. The writer's name stands beside the counter, as a nonce does
/// in a sealed record: two commits of the very same bytes are one.
async fn increment(store: &dyn Store, first: &Commit, writer: u8) {
    loop {
        let stored = store.load(first.id).await.unwrap().expect("it is there");
        let sealed = vec![stored.sealed[0] + 1, writer];
        let next = Commit { expected: stored.revision, sealed, ..first.clone() };
        if store.commit(&next).await.unwrap() != Outcome::Conflict {
            return;
        }
    }
}

pub(crate) async fn of_creations_side_by_side_one_is_the_newest(store: &dyn Store) {
    let number = number();
    let drafts: Vec<_> = (0..16).map(|_| draft_of(number)).collect();
    let outcomes = join_all(drafts.iter().map(|d| store.commit(d))).await;
    let winners: Vec<_> =
        drafts.iter().zip(outcomes).filter(|(_, o)| *o.as_ref().unwrap() != Outcome::Conflict).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(store.newest(number).await.unwrap(), Some(winners[0].0.id));
}

pub(crate) async fn it_answers_and_its_time_goes_forward(store: &dyn Store) {
    store.ping().await.unwrap();
    let before = store.now().await.unwrap();
    let after = store.now().await.unwrap();
    assert!(before <= after && before.as_millis() > 1_600_000_000_000);
}

pub(crate) async fn a_memo_is_written_only_over_what_was_read(store: &dyn Store) {
    let name = || format!("r:{:032x}", draft().id.to_bytes().iter().fold(0u128, |all, b| all << 8 | u128::from(*b)));
    let (one, other) = (name(), name());
    let read = async || store.memos(&[one.clone(), other.clone()]).await.unwrap();
    let swap = async |before: Option<&[u8]>, after: &[u8]| store.swap_memo(&one, before, after, LONG).await.unwrap();
    assert_eq!(read().await, [None, None]);
    assert_eq!(store.memos(&[]).await.unwrap(), Vec::<Option<Vec<u8>>>::new());
    assert_eq!(swap(Some(b"a"), b"b").await, Swap::Changed(None));
    assert_eq!(swap(None, b"a").await, Swap::Written);
    assert_eq!(swap(None, b"b").await, Swap::Changed(Some(b"a".to_vec())));
    assert_eq!(swap(None, b"a").await, Swap::Written, "the same again");
    assert_eq!(swap(Some(b"a"), b"b\0\xff").await, Swap::Written);
    assert_eq!(read().await, [Some(b"b\0\xff".to_vec()), None]);
    let short = Duration::from_millis(1);
    assert_eq!(store.swap_memo(&other, None, b"x", short).await.unwrap(), Swap::Written);
    while read().await[1].is_some() {
        tokio::time::sleep(short).await;
    }
    let values: Vec<[u8; 1]> = (0..16).map(|n| [n]).collect();
    let outcomes = join_all(values.iter().map(|value| store.swap_memo(&other, None, value, LONG))).await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome.as_ref().unwrap() == Swap::Written).count(), 1);
}
