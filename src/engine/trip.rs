//! `guard.tripped`: tells an app's receiver that the guard refuses its creations.
//!
//! A refusal has no verification, and an attack causes many, so this event has no outbox: it is sent at most once a minute
//! for each app and scope, by the replica that refused first, which tries a few times and then gives up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tracing::{debug, warn};
use uuid::Uuid;

use super::Engine;
use super::outbox::jitter;
use crate::store::SwapOutcome;
use crate::verification::telling::retry_pause;
use crate::webhook::{DeliveryFailure, WebhookMessage, body};

const EVENT: &str = "guard.tripped";
/// The time in which a scope of an app is told of once.
const QUIET: Duration = Duration::from_secs(60);
/// How often one event is sent at most. The pauses between are 2, 4, 8 and 16 seconds at most.
const TRIES: u16 = 5;

/// When this process last claimed a scope of an app. Bounded by the apps and the scopes.
#[derive(Default)]
pub(super) struct Trips(Mutex<HashMap<(String, &'static str), Instant>>);

impl Trips {
    /// Whether the scope is quiet: it was not claimed here within the last minute. It is claimed now.
    fn claim(&self, app: &str, scope: &'static str) -> bool {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_quiet = claimed.get(&(app.to_owned(), scope)).is_none_or(|at| at.elapsed() >= QUIET);
        if is_quiet {
            claimed.insert((app.to_owned(), scope), Instant::now());
        }
        is_quiet
    }
}

impl Engine {
    /// Tells the app's receiver, if it has one, that a creation was refused for `scope` with the problem `code`.
    pub fn report_trip(&self, app: &str, scope: &'static str, code: &'static str) {
        if self.parts.webhooks.has_url(app) && self.inner.trips.claim(app, scope) {
            let (engine, app) = (self.clone(), app.to_owned());
            self.spawn_detached(async move {
                tokio::select! {
                    () = engine.tell_of_trip(&app, scope, code) => {}
                    () = engine.parts.closing.cancelled() => {}
                }
            });
        }
    }

    async fn tell_of_trip(&self, app: &str, scope: &'static str, code: &'static str) {
        let (id, parts) = (Uuid::new_v4(), &self.parts);
        // Of several replicas one tells. A value of its own, because a swap to the stored value counts as written.
        let claim = format!("trip:{app}:{scope}");
        match parts.store.compare_and_swap(&claim, None, id.as_bytes(), QUIET).await {
            Ok(SwapOutcome::Written) => {}
            Ok(SwapOutcome::Changed(_)) => return,
            Err(error) => return debug!(%error, "a tripped guard is not told of"),
        }
        let Ok(at) = self.now().await else { return };
        let (id, data) = (format!("evt_guard_{}", id.simple()), json!({ "scope": scope, "code": code }));
        for round in 0..TRIES {
            let Some(place) = parts.webhooks.place(app, QUIET).await else { return };
            let Ok(now) = self.now().await else { return };
            let message = WebhookMessage { id: &id, timestamp: now.as_millis() / 1000, body: body(EVENT, at, &data) };
            let receipt = parts.webhooks.post(app, message).await;
            parts.metrics.webhooks.request(EVENT, &receipt);
            let Some(failure) = receipt.failure.map(DeliveryFailure::as_str) else { return };
            let (event, status) = ("webhook_failed", receipt.status);
            warn!(
                event,
                webhook.id = id,
                webhook.event = EVENT,
                app,
                failure,
                status,
                "a receiver has not taken a webhook"
            );
            drop(place);
            tokio::time::sleep(retry_pause(round, jitter(0.5))).await;
        }
        warn!(event = "webhook_given_up", webhook.id = id, webhook.event = EVENT, app);
    }
}
