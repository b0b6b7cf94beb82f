//! [`Engine::report`]: callbacks that carry only a UUID, and the mapping from UUIDs to attempts.

use super::batch::{Batch, reported};
use super::target::Target;
use super::{Engine, EngineError};
use crate::store::{NONCE_TTL, NonceClaim, PendingReport, ReportTarget, SwapOutcome};
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{Answer, AttemptRef, CallbackNonce, Event, Refusal, VerificationId};

/// The result of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It was recorded.
    Applied,
    /// It waits until its attempt is known.
    Pending,
    /// It was recorded before.
    Repeated,
    /// It was refused: its nonce was used before with other content.
    Replayed,
    /// It said nothing that this service uses.
    Ignored,
}

impl From<Answer> for Reported {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Repeated { .. } => Self::Repeated,
            Answer::Refused(Refusal::Replayed) => Self::Replayed,
            Answer::Noted | Answer::Correct | Answer::Incorrect | Answer::Refused(_) => Self::Applied,
        }
    }
}

impl Engine {
    /// Applies a report that carries no ref, or keeps it until its attempt is known.
    ///
    /// The first of the UUIDs that is mapped to an attempt decides where it belongs. Without a report or a UUID only
    /// the nonce is claimed, so that it cannot serve another callback.
    ///
    /// # Errors
    /// When the store failed: Plivo must send it again. [`EngineError::NotFound`] if its verification was forgotten.
    pub async fn report(
        &self,
        uuids: &[String],
        report: Option<PendingReport>,
        callback: Option<CallbackNonce>,
    ) -> Result<Reported, EngineError> {
        let Some(report) = report.filter(|_| !uuids.is_empty()) else { return self.claim(callback).await };
        let mut result = Err(EngineError::NotFound);
        for uuid in uuids {
            match self.report_by_uuid(uuid, report.clone(), callback).await {
                Ok(Reported::Pending) => result = Ok(Reported::Pending),
                Ok(done) => return Ok(done),
                Err(EngineError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        result
    }

    async fn report_by_uuid(
        &self,
        uuid: &str,
        report: PendingReport,
        callback: Option<CallbackNonce>,
    ) -> Result<Reported, EngineError> {
        let store = &self.parts.store;
        let found = match callback {
            Some(callback) => store.claim_then_find_or_keep(&nonce(callback), uuid, &report).await?,
            None => store.find_or_keep(uuid, &report).await?.map_or(ReportTarget::Pending, ReportTarget::Attempt),
        };
        let to = match found {
            ReportTarget::Attempt(to) => to,
            ReportTarget::Pending => return Ok(Reported::Pending),
            ReportTarget::Replayed => return Ok(Reported::Replayed),
        };
        let nonce = callback.map(Event::SignedCallback);
        let events = nonce.into_iter().chain([reported(to.attempt, report, uuid)]).collect();
        Ok(self.apply(Target::Proved(to.id), events).await?.answer.into())
    }

    /// Claims the nonce of a signed callback that says nothing of use.
    async fn claim(&self, callback: Option<CallbackNonce>) -> Result<Reported, EngineError> {
        let Some(callback) = callback else { return Ok(Reported::Ignored) };
        let nonce = nonce(callback);
        Ok(match self.parts.store.compare_and_swap(&nonce.name, None, &nonce.content_hash, NONCE_TTL).await? {
            SwapOutcome::Written => Reported::Ignored,
            SwapOutcome::Changed(_) => Reported::Replayed,
        })
    }

    /// Maps a UUID to its attempt, and applies the reports that arrived before.
    ///
    /// # Errors
    /// When the store failed. All of it can be repeated.
    pub(super) async fn link(&self, uuid: &str, to: AttemptRef) -> Result<(), EngineError> {
        let store = &self.parts.store;
        let pending = store.link(uuid, to, self.parts.retention + LIFETIME_MAX).await?;
        if pending.is_empty() {
            return Ok(());
        }
        for report in pending {
            Box::pin(self.apply_here(to.id, Batch::new(vec![reported(to.attempt, report, uuid)]), None)).await?;
        }
        Ok(store.forget_pending(uuid).await?)
    }

    /// Removes the mappings of UUIDs that events named to a verification that is gone.
    pub(super) async fn unlink_all(&self, id: VerificationId, events: &[Event]) {
        for uuid in events.iter().filter_map(Event::provider_id) {
            if let Err(error) = self.parts.store.unlink(uuid, id).await {
                tracing::debug!(%error, "the mapping of a UUID to an erased verification stays until it expires");
            }
        }
    }
}

/// The key under which a nonce is claimed that belongs to no verification.
fn nonce(callback: CallbackNonce) -> NonceClaim {
    NonceClaim { name: format!("n:{:016x}", callback.nonce), content_hash: callback.content.to_be_bytes() }
}
