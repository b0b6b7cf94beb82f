//! Looks a text up in Plivo's list of sent messages, because the request for it was not answered.

use std::time::Duration;

use tracing::debug;

use super::Engine;
use super::outbox::unlinked;
use crate::verification::{AttemptIndex, AttemptRef, Event, Lookup, Verification};

/// How far Plivo's clock may lag behind the store's.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

impl Engine {
    /// Asks Plivo whether it has sent a text.
    pub(super) async fn look_up(&self, v: &Verification, attempt: AttemptIndex) -> Event {
        let lookup = match self.listed_text(v, attempt).await {
            Some(Some(uuid)) => Lookup::Sent(unlinked(uuid)),
            Some(None) => Lookup::NotSent,
            None => Lookup::Unanswered,
        };
        Event::LookedUp { attempt, lookup }
    }

    /// The UUID of a text to the number that belongs to no other attempt; `None` without an answer.
    async fn listed_text(&self, v: &Verification, attempt: AttemptIndex) -> Option<Option<String>> {
        let since = v.attempt(attempt)?.at - CLOCK_SKEW;
        if !self.parts.pacer.admit_lookup() {
            return None;
        }
        let listed = self.parts.plivo.texts_since(&v.to, since).await?;
        for uuid in listed {
            if !self.is_of_another(v, attempt, &uuid).await? {
                return Some(Some(uuid));
            }
        }
        Some(None)
    }

    /// Whether a UUID belongs to another attempt; `None` if the store does not say so.
    async fn is_of_another(&self, v: &Verification, attempt: AttemptIndex, uuid: &str) -> Option<bool> {
        let others = v.indexes().filter(|other| *other != attempt).filter_map(|other| v.attempt(other));
        if others.into_iter().any(|other| other.is_known_by(uuid)) {
            return Some(true);
        }
        match self.parts.store.linked(uuid).await {
            Ok(linked) => Some(linked.is_some_and(|to| to != AttemptRef { id: v.id, attempt })),
            Err(error) => {
                debug!(verification.id = %v.id, %error, "a text could not be looked up");
                None
            }
        }
    }
}
