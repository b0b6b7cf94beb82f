//! [`Links`]: from the id that Plivo gave a text or call to our attempt, and reports that arrive before the link.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::values::{SwapOutcome, Values};
use crate::verification::{AttemptIndex, AttemptRef, CallReport, ReportFacts, TextReport, VerificationId};

/// How long a pending report waits for its link.
pub const PENDING_TTL: Duration = Duration::from_secs(600);
/// How many reports wait for one provider id.
///
/// The number of provider ids is not limited here: only callbacks that Plivo signed, or that carry `CALLBACK_SECRET`,
/// are stored, each once.
pub const PENDING_MAX: usize = 16;
/// How long the nonce of a callback that names no verification is remembered.
pub const NONCE_TTL: Duration = Duration::from_secs(600);

/// A report that arrived before its attempt was linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingReport {
    /// Of a text.
    Text(TextReport, ReportFacts),
    /// Of a call.
    Call(CallReport, ReportFacts),
}

/// The nonce of a signed callback that names no verification, stored as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonceClaim {
    /// The name of the value.
    pub name: String,
    /// Hash of the content that the nonce was first seen with.
    pub content_hash: [u8; 8],
}

/// Where a report belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportTarget {
    /// To this attempt.
    Attempt(AttemptRef),
    /// No attempt is linked yet; the report is kept.
    Pending,
    /// Nowhere: its nonce was used with other content before.
    Replayed,
}

/// A provider id that a commit links to an attempt of its verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// Message or call UUID.
    pub provider_id: String,
    /// The attempt.
    pub attempt: AttemptIndex,
    /// How many of the reports that waited for it are part of the commit, which then deletes them.
    pub applied: usize,
}

/// Finds attempts by provider id, and keeps reports that arrive early.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// Links `provider_id` to an attempt for `ttl`, and returns the reports that waited for it.
    ///
    /// The link to another verification is never replaced; then no report is returned. Reports stay until
    /// [`Links::forget_pending`], so that a retry returns them again.
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError>;

    /// Finds the attempt of `provider_id`. If there is none, keeps the report for [`Links::link`].
    async fn find_or_keep(&self, provider_id: &str, report: &PendingReport) -> Result<Option<AttemptRef>, StoreError>;

    /// Claims the nonce of a signed report, then does what [`Links::find_or_keep`] does. In a cluster two round trips.
    ///
    /// A retry with the same content passes the claim. The caller must still ensure that the report takes
    /// effect once.
    async fn claim_then_find_or_keep(
        &self,
        nonce: &NonceClaim,
        provider_id: &str,
        report: &PendingReport,
    ) -> Result<ReportTarget, StoreError>;

    /// The attempt that `provider_id` is linked to.
    async fn linked(&self, provider_id: &str) -> Result<Option<AttemptRef>, StoreError>;

    /// Deletes the reports that waited for `provider_id`, after they were applied.
    async fn forget_pending(&self, provider_id: &str) -> Result<(), StoreError>;

    /// Deletes the link of `provider_id` and its pending reports, unless it belongs to another verification than `of`.
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError>;
}

/// [`Links::claim_then_find_or_keep`] in two round trips.
pub(super) async fn claim_then_find_or_keep(
    store: &(impl Links + Values + ?Sized),
    nonce: &NonceClaim,
    provider_id: &str,
    report: &PendingReport,
) -> Result<ReportTarget, StoreError> {
    match store.compare_and_swap(&nonce.name, None, &nonce.content_hash, NONCE_TTL).await? {
        SwapOutcome::Changed(_) => Ok(ReportTarget::Replayed),
        SwapOutcome::Written => {
            let found = store.find_or_keep(provider_id, report).await?;
            Ok(found.map_or(ReportTarget::Pending, ReportTarget::Attempt))
        }
    }
}
