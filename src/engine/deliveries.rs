//! Webhooks that no receiver has taken: their list, and their replay.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::warn;

use super::target::{Found, Target};
use super::{Engine, EngineError};
use crate::store::{DeadLetter, Loaded};
use crate::time::Timestamp;
use crate::verification::{Event, Verification, VerificationId, WebhookEvent, WebhookId};

/// A webhook that no receiver has taken.
pub struct FailedDelivery {
    /// Its id.
    pub id: WebhookId,
    /// Its event.
    pub event: WebhookEvent,
    /// When the event happened.
    pub at: Timestamp,
    /// When it was given up.
    pub failed_at: Timestamp,
    /// The verification, and the session that the event is about.
    pub found: Found,
}

/// One page of given-up webhooks, newest first.
pub struct FailedDeliveries {
    /// The page. It may be shorter than asked for.
    pub found: Vec<FailedDelivery>,
    /// Where the next page begins, if there may be one.
    pub next: Option<DeadLetter>,
}

impl Engine {
    /// Lists an app's webhooks that no receiver has taken, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn failed_deliveries(
        &self,
        app: &str,
        before: Option<DeadLetter>,
        limit: usize,
    ) -> Result<FailedDeliveries, EngineError> {
        let letters = self.parts.store.dead_letters(app, before, limit).await?;
        let next = letters.last().filter(|_| letters.len() == limit).copied();
        let ids: Vec<VerificationId> = letters.iter().map(|letter| letter.id.id).collect();
        let mut records = BTreeMap::new();
        for Loaded { id, stored, .. } in self.parts.store.load_many(&ids).await? {
            match self.open_record(id, &stored) {
                Ok(known) => drop(records.insert(id, known.verification)),
                Err(error) => warn!(verification.id = %id, %error, "left out of a list of webhooks"),
            }
        }
        let of_app = |id| records.get(&id).filter(|v| v.app == app);
        let found = letters.iter().filter_map(|letter| failed(of_app(letter.id.id)?, letter.id)).collect();
        Ok(FailedDeliveries { found, next })
    }

    /// Sends a given-up webhook again, once. If the receiver does not take it, it is given up again.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if the app has no given-up webhook of this id.
    pub async fn replay(&self, app: &str, id: WebhookId) -> Result<FailedDelivery, EngineError> {
        let v = self.read(Target::OfApp(app, id.id)).await?.verification;
        let failed = failed(&v, id).ok_or(EngineError::NotFound)?;
        self.apply(Target::OfApp(app, id.id), vec![Event::Replay { entry: id.entry }]).await?;
        Ok(failed)
    }
}

fn failed(v: &Arc<Verification>, id: WebhookId) -> Option<FailedDelivery> {
    let failed = v.told.as_ref()?.failed.iter().find(|failed| failed.entry == id.entry)?;
    let entry = v.timeline.get(usize::from(id.entry))?;
    let found = Found { verification: Arc::clone(v), session: entry.session };
    Some(FailedDelivery { id, event: entry.note.webhook_event()?, at: entry.at, failed_at: failed.at, found })
}
