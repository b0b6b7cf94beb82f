//! Links and pending reports in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::{Memory, State, clock};
use crate::store::error::StoreError;
use crate::store::links::{
    Links, NonceClaim, PENDING_MAX, PENDING_TTL, PendingReport, ReportTarget, claim_then_find_or_keep,
};
use crate::store::records::{Commit, CommitOutcome};
use crate::verification::{AttemptRef, VerificationId};

impl State {
    /// The reports that wait for a link of the commit and are not part of it.
    pub(super) fn pending(&self, commit: &Commit) -> Option<CommitOutcome> {
        commit.links.iter().enumerate().find_map(|(index, link)| {
            let reports = self.pending.get(&link.provider_id).cloned().unwrap_or_default();
            (reports.len() != link.applied).then_some(CommitOutcome::ReportsPending { index, reports })
        })
    }

    /// Makes the links of a commit and deletes the reports that it applies.
    pub(super) fn link_all(&mut self, commit: &Commit) {
        for link in &commit.links {
            self.link(&link.provider_id, AttemptRef { id: commit.id, attempt: link.attempt }, commit.longest_ttl);
            self.pending.remove(&link.provider_id);
        }
    }

    /// Links, unless the provider id is linked to another verification. Returns whether it is linked now.
    fn link(&mut self, provider_id: &str, to: AttemptRef, ttl: Duration) -> bool {
        let provider_id = provider_id.to_owned();
        let is_free = self.links.get(&provider_id).is_none_or(|known| known.id == to.id);
        if is_free {
            self.links.insert(provider_id, to, clock() + ttl);
        }
        is_free
    }
}

#[async_trait]
impl Links for Memory {
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError> {
        let mut state = self.state();
        if !state.link(provider_id, to, ttl) {
            return Ok(Vec::new());
        }
        Ok(state.pending.get(&provider_id.to_owned()).cloned().unwrap_or_default())
    }

    async fn find_or_keep(&self, provider_id: &str, report: &PendingReport) -> Result<Option<AttemptRef>, StoreError> {
        let mut state = self.state();
        let provider_id = provider_id.to_owned();
        if let Some(found) = state.links.get(&provider_id) {
            return Ok(Some(*found));
        }
        let mut reports = state.pending.remove(&provider_id).unwrap_or_default();
        if reports.len() < PENDING_MAX && !reports.contains(report) {
            reports.push(report.clone());
        }
        state.pending.insert(provider_id, reports, clock() + PENDING_TTL);
        Ok(None)
    }

    async fn claim_then_find_or_keep(
        &self,
        nonce: &NonceClaim,
        provider_id: &str,
        report: &PendingReport,
    ) -> Result<ReportTarget, StoreError> {
        claim_then_find_or_keep(self, nonce, provider_id, report).await
    }

    async fn linked(&self, provider_id: &str) -> Result<Option<AttemptRef>, StoreError> {
        Ok(self.state().links.get(&provider_id.to_owned()).copied())
    }

    async fn forget_pending(&self, provider_id: &str) -> Result<(), StoreError> {
        self.state().pending.remove(&provider_id.to_owned());
        Ok(())
    }

    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError> {
        let mut state = self.state();
        let provider_id = provider_id.to_owned();
        if state.links.get(&provider_id).is_none_or(|known| known.id == of) {
            state.links.remove(&provider_id);
            state.pending.remove(&provider_id);
        }
        Ok(())
    }
}
