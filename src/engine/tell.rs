//! Delivers owed webhooks.
//!
//! Each delivery is a task of its own: no client waits for a receiver, and a slow receiver holds up no other app, because each
//! app has a bounded number of places.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tracing::{debug, error, warn};

use super::failpoint::Failpoint;
use super::outbox::jitter;
use super::target::Found;
use super::{Engine, EngineError};
use crate::store::DeadLetter;
use crate::time::Timestamp;
use crate::verification::telling::{TELL_LEASE, UNTOLD_KEPT, retry_pause};
use crate::verification::{DeliveryOutcome, Effect, Event, Verification};
use crate::webhook::{DeliveryFailure, REQUEST_MAX, WebhookMessage, WebhookReceipt, body};

/// How long a delivery waits for its turn at the app's receiver. After that it counts as a failed one.
const TURN_MAX: Duration = Duration::from_secs(5);

const _: () = assert!(TURN_MAX.as_secs() + REQUEST_MAX.as_secs() < TELL_LEASE.as_secs());

/// Shows a verification as the API shows it to one of its sessions.
pub type Renderer = Arc<dyn Fn(&Found, Timestamp) -> Value + Send + Sync>;

impl Engine {
    /// Starts the deliveries among the effects, and returns the other effects.
    pub(super) fn start_telling(&self, v: &Arc<Verification>, mut effects: Vec<Effect>) -> Vec<Effect> {
        effects.retain(|effect| {
            let Effect::Tell { entry } = *effect else { return true };
            let (engine, v) = (self.clone(), Arc::clone(v));
            self.spawn_detached(async move { engine.tell(&v, entry).await });
            false
        });
        effects
    }

    async fn tell(&self, v: &Arc<Verification>, entry: u16) {
        let Some(event) = self.deliver(v, entry).await else { return };
        Failpoint::Told.reached();
        match self.commit_outcome(v, &event, None).await {
            Ok(change) => drop(self.perform(&change.after, change.effects)),
            Err(EngineError::NotFound) => debug!(verification.id = %v.id, "a webhook's verification is forgotten"),
            Err(error) => {
                error!(verification.id = %v.id, %error, "the outcome of a webhook is lost; it stays owed");
            }
        }
    }

    /// Posts an event once. `None` if a stop or the store prevents it; it is then issued again when its lease expires.
    async fn deliver(&self, v: &Arc<Verification>, entry: u16) -> Option<Event> {
        let parts = &self.parts;
        let noted = v.timeline.get(usize::from(entry))?;
        let event = noted.note.webhook_event()?.as_str();
        let round = v.owed.iter().find(|owed| owed.effect == Effect::Tell { entry }).map_or(0, |owed| owed.round);
        let place = tokio::select! {
            place = parts.webhooks.place(&v.app, TURN_MAX) => place,
            () = parts.closing.cancelled() => return None,
        };
        let now = self.now().await.ok()?;
        let found = Found { verification: Arc::clone(v), session: noted.session };
        let id = v.webhook_id(entry).to_string();
        let body = body(event, noted.at, &(parts.render)(&found, now));
        let message = WebhookMessage { id: &id, timestamp: now.as_millis() / 1000, body };
        let receipt = match &place {
            // Its turn did not come. The back-off bounds what the events of a slow receiver cost the store.
            None if parts.webhooks.has_url(&v.app) => WebhookReceipt::busy(),
            // A request that a stop cuts off is repeated by another replica.
            _ => tokio::select! {
                receipt = parts.webhooks.post(&v.app, message) => receipt,
                () = parts.closing.cancelled() => return None,
            },
        };
        parts.metrics.webhooks.request(event, &receipt);
        let Some(failure) = receipt.failure.map(DeliveryFailure::as_str) else {
            debug!(event = "webhook_delivered", webhook.id = id, webhook.event = event, app = v.app);
            return Some(Event::Told { entry, round, outcome: DeliveryOutcome::Delivered });
        };
        let (retry_after, status) = (retry_pause(round, jitter(0.5)), receipt.status);
        let now = self.now().await.ok()?;
        if v.is_given_up(entry, now, retry_after) {
            let letter = DeadLetter { at: now, id: v.webhook_id(entry) };
            // Before the record says so: a reader of the list asks the record too.
            if let Err(error) = parts.store.add_dead_letter(&v.app, letter, UNTOLD_KEPT).await {
                error!(webhook.id = id, %error, "a webhook that was given up could not be listed; it stays owed");
                return None;
            }
            parts.metrics.webhooks.given_up();
            warn!(
                event = "webhook_given_up",
                webhook.id = id,
                webhook.event = event,
                app = v.app,
                failure,
                status,
                "no receiver has taken a webhook for a day"
            );
            return Some(Event::Told { entry, round, outcome: DeliveryOutcome::GivenUp });
        }
        let retry_seconds = retry_after.as_secs_f64();
        warn!(
            event = "webhook_failed",
            webhook.id = id,
            webhook.event = event,
            app = v.app,
            failure,
            status,
            retry_seconds,
            "a receiver has not taken a webhook"
        );
        Some(Event::Told { entry, round, outcome: DeliveryOutcome::Failed { retry_after } })
    }
}
