//! [`Links`]: reports find their attempt, early or late.

use phlo_2fa::store::{
    AttemptRef, Commit, CommitOutcome, NewLink, NonceClaim, PENDING_MAX, PendingReport, ReportTarget, Store,
};

use crate::drafts::*;
use phlo_2fa::verification::{CallReport, FailureClass, ReportFacts, TextReport};

pub(crate) async fn an_early_report_waits_for_its_attempt(store: &dyn Store) {
    let to = AttemptRef { id: draft().id, attempt: phlo_2fa::verification::AttemptIndex::new(3) };
    let failed = PendingReport::Text(
        TextReport::Failed { error_code: Some("30".to_owned()), class: FailureClass::Permanent },
        ReportFacts::default(),
    );
    let ringing = PendingReport::Call(CallReport::Ringing, ReportFacts::default());
    for report in [&failed, &ringing, &failed] {
        assert_eq!(store.find_or_keep("uuid-1", report).await.unwrap(), None);
    }
    assert_eq!(store.link("uuid-2", to, LONG).await.unwrap(), [], "only the reports of this provider id are returned");
    let pending = [failed, ringing];
    assert_eq!(store.link("uuid-1", to, LONG).await.unwrap(), pending, "each once, in the order of arrival");
    assert_eq!(store.link("uuid-1", to, LONG).await.unwrap(), pending, "they stay until they are forgotten");
    store.forget_pending("uuid-1").await.unwrap();
    store.forget_pending("uuid-1").await.unwrap();
    assert_eq!(store.link("uuid-1", to, LONG).await.unwrap(), []);
}

pub(crate) async fn a_late_report_finds_its_attempt(store: &dyn Store) {
    let to = AttemptRef { id: draft().id, attempt: phlo_2fa::verification::AttemptIndex::new(255) };
    let report = PendingReport::Text(TextReport::Delivered, ReportFacts::default());
    assert_eq!(store.link("uuid-3", to, LONG).await.unwrap(), []);
    assert_eq!(store.find_or_keep("uuid-3", &report).await.unwrap(), Some(to));
    assert_eq!(store.link("uuid-3", to, LONG).await.unwrap(), [], "a report that found its attempt is not kept");
}

pub(crate) async fn pending_reports_are_limited_per_provider_id(store: &dyn Store) {
    let report = |n: usize| {
        PendingReport::Text(
            TextReport::Undelivered { error_code: Some(n.to_string()), class: FailureClass::Stop },
            ReportFacts::default(),
        )
    };
    for n in 0..PENDING_MAX + 5 {
        assert_eq!(store.find_or_keep("uuid-4", &report(n)).await.unwrap(), None);
    }
    let pending = store
        .link("uuid-4", AttemptRef { id: draft().id, attempt: phlo_2fa::verification::AttemptIndex::FIRST }, LONG)
        .await
        .unwrap();
    assert_eq!(pending, (0..PENDING_MAX).map(report).collect::<Vec<_>>());
}

pub(crate) async fn a_nonce_is_valid_only_for_its_first_content(store: &dyn Store) {
    let unique = draft().id;
    let nonce =
        |content_hash| NonceClaim { name: format!("n:{:.16}", unique.to_string().replace("vrf_", "")), content_hash };
    let (to, report) = (
        AttemptRef { id: unique, attempt: phlo_2fa::verification::AttemptIndex::new(1) },
        PendingReport::Text(TextReport::Delivered, ReportFacts::default()),
    );
    let other = PendingReport::Text(TextReport::Sent, ReportFacts::default());
    let find = async |content_hash, uuid: &str, report: &PendingReport| {
        store.claim_then_find_or_keep(&nonce(content_hash), uuid, report).await.unwrap()
    };
    assert_eq!(find([1; 8], "uuid-5", &report).await, ReportTarget::Pending);
    assert_eq!(find([1; 8], "uuid-5", &report).await, ReportTarget::Pending, "a retry passes");
    assert_eq!(find([2; 8], "uuid-5", &other).await, ReportTarget::Replayed);
    assert_eq!(find([2; 8], "uuid-6", &other).await, ReportTarget::Replayed);
    assert_eq!(store.link("uuid-5", to, LONG).await.unwrap(), std::slice::from_ref(&report), "a replay is not kept");
    assert_eq!(store.link("uuid-6", to, LONG).await.unwrap(), []);
    assert_eq!(find([1; 8], "uuid-5", &report).await, ReportTarget::Attempt(to));
    assert_eq!(find([2; 8], "uuid-5", &report).await, ReportTarget::Replayed);
}

pub(crate) async fn unlinking_deletes_link_and_pending_reports(store: &dyn Store) {
    let (to, report) = (
        AttemptRef { id: draft().id, attempt: phlo_2fa::verification::AttemptIndex::FIRST },
        PendingReport::Text(TextReport::Sent, ReportFacts::default()),
    );
    assert_eq!(store.find_or_keep("uuid-7", &report).await.unwrap(), None);
    store.unlink("uuid-7", to.id).await.unwrap();
    assert_eq!(store.link("uuid-7", to, LONG).await.unwrap(), [], "its pending reports are deleted");
    assert_eq!(store.find_or_keep("uuid-7", &report).await.unwrap(), Some(to));
    for _ in 0..2 {
        store.unlink("uuid-7", to.id).await.unwrap();
    }
    assert_eq!(store.find_or_keep("uuid-7", &report).await.unwrap(), None);
    store.unlink("uuid-7", to.id).await.unwrap();
}

pub(crate) async fn a_link_is_never_moved_to_another_verification(store: &dyn Store) {
    let [its, others] =
        [0, 1].map(|n| AttemptRef { id: draft().id, attempt: phlo_2fa::verification::AttemptIndex::new(n) });
    let report = PendingReport::Text(TextReport::Sent, ReportFacts::default());
    assert_eq!(store.link("uuid-8", its, LONG).await.unwrap(), []);
    store.unlink("uuid-8", others.id).await.unwrap();
    assert_eq!(store.link("uuid-8", others, LONG).await.unwrap(), []);
    assert_eq!(store.find_or_keep("uuid-8", &report).await.unwrap(), Some(its), "the link stays");
    let again = AttemptRef { attempt: phlo_2fa::verification::AttemptIndex::new(2), ..its };
    assert_eq!(store.link("uuid-8", again, LONG).await.unwrap(), []);
    assert_eq!(
        store.find_or_keep("uuid-8", &report).await.unwrap(),
        Some(again),
        "another attempt of the same verification replaces it"
    );
}

pub(crate) async fn a_commit_links_and_applies_what_waited(store: &dyn Store) {
    let report = PendingReport::Text(TextReport::Sent, ReportFacts::default());
    let delivered = PendingReport::Text(TextReport::Delivered, ReportFacts::default());
    let first = draft();
    commit(store, &first).await;
    let attempt = phlo_2fa::verification::AttemptIndex::new(2);
    let link = |provider_id: &str, applied| NewLink { provider_id: provider_id.to_owned(), attempt, applied };
    assert_eq!(store.find_or_keep("uuid-9", &report).await.unwrap(), None);
    let update =
        |applied| Commit { links: vec![link("uuid-10", 0), link("uuid-9", applied)], ..after(&first, b"second") };
    let waiting = |reports: &[PendingReport]| CommitOutcome::ReportsPending { index: 1, reports: reports.to_vec() };
    assert_eq!(store.commit(&update(0)).await.unwrap(), waiting(std::slice::from_ref(&report)));
    assert_eq!(stored(store, first.id).await.map(|s| s.revision), Some(1), "nothing has changed");
    let two = [report.clone(), delivered.clone()];
    let before_it_was_linked = store.find_or_keep("uuid-9", &delivered).await.unwrap();
    if before_it_was_linked.is_none() {
        assert_eq!(store.commit(&update(1)).await.unwrap(), waiting(&two));
        commit(store, &update(2)).await;
    } else {
        // In a cluster the link is made before the record, so that a later report finds it already.
        commit(store, &update(1)).await;
    }
    let to = AttemptRef { id: first.id, attempt };
    for provider_id in ["uuid-9", "uuid-10"] {
        assert_eq!(store.find_or_keep(provider_id, &report).await.unwrap(), Some(to), "{provider_id}");
    }
    assert_eq!(store.link("uuid-9", to, LONG).await.unwrap(), [], "what was applied is forgotten");
    // Another verification cannot take the link, and is committed all the same.
    let other = draft();
    commit(store, &other).await;
    commit(store, &Commit { links: vec![link("uuid-9", 0)], ..after(&other, b"second") }).await;
    assert_eq!(store.find_or_keep("uuid-9", &report).await.unwrap(), Some(to));
}
