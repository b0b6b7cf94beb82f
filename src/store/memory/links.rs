//! Links and pending reports in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::{Memory, clock};
use crate::store::error::StoreError;
use crate::store::links::{
    Links, NonceClaim, PENDING_MAX, PENDING_TTL, PendingReport, ReportTarget, claim_then_find_or_keep,
};
use crate::verification::{AttemptRef, VerificationId};

#[async_trait]
impl Links for Memory {
    async fn link(&self, provider_id: &str, to: AttemptRef, ttl: Duration) -> Result<Vec<PendingReport>, StoreError> {
        let mut state = self.state();
        let provider_id = provider_id.to_owned();
        if state.links.get(&provider_id).is_some_and(|known| known.id != to.id) {
            return Ok(Vec::new());
        }
        let pending = state.pending.get(&provider_id).cloned().unwrap_or_default();
        state.links.insert(provider_id, to, clock() + ttl);
        Ok(pending)
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
