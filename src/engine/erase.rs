//! [`Engine::erase`]: an app's number is forgotten.
//!
//! What is open is given up first, as a customer would, so that calls are taken back and nothing is triggered any more;
//! then each record is removed at the revision it was read at, and before it what is found by the ids of its texts and
//! calls, since the record alone knows them. Whatever breaks off in between is done again by the next erasure.
//!
//! What comes back later finds nothing and leaves nothing: outcomes of effects that were under way, callbacks.
//!
//! Stays: when wrong codes were entered, until that is a day ago, lest an erasure gives new guesses. It lies in the
//! number's index, which is a keyed hash, and that stands for ten minutes at least, until no creation can come late.
//! What limits count, under keyed hashes too and for a day at most, lest an erasure makes room for more texts. Answers to
//! idempotency keys, which only their keys find.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::{debug, info};

use super::{COMMIT_TRIES, Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::store::{Cursor, Erasure, ErasureOutcome};
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{Effect, Event, Verification, VerificationId};

/// How many of a number's verifications are read at a time, and how many times in one erasure. Each time up to five
/// hundred of the shard that the number shares with others are looked at.
const PAGE: usize = 100;
const PAGES_MAX: usize = 40;
/// How many are erased side by side.
const SIDE_BY_SIDE: usize = 8;

/// What one erasure did.
pub struct Erasures {
    /// How many verifications are gone.
    pub count: usize,
    /// Where to go on, if that was not all.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Erases an app's verifications of a number, those before a cursor, and what else is kept of it. Waits for Plivo
    /// to take a call back for as long as `patience`.
    ///
    /// # Errors
    /// When the store does not answer: then a part may be erased, and doing it again erases the rest.
    pub async fn erase(
        &self,
        app: &str,
        to: &PhoneNumber,
        before: Option<Cursor>,
        patience: Duration,
    ) -> Result<Erasures, EngineError> {
        let (engine, app, to) = (self.clone(), app.to_owned(), to.clone());
        self.to_its_end(async move { engine.erase_to_its_end(&app, &to, before, patience).await }).await
    }

    async fn erase_to_its_end(
        &self,
        app: &str,
        to: &PhoneNumber,
        before: Option<Cursor>,
        patience: Duration,
    ) -> Result<Erasures, EngineError> {
        let (mut count, mut next) = (0, before);
        for _ in 0..PAGES_MAX {
            let page = self.list(app, Some(to), None, next, PAGE).await?;
            let ids: Vec<_> = page.verifications.iter().map(|v| v.id).collect();
            let erased = stream::iter(ids)
                .map(|id| self.erase_one(id, patience))
                .buffer_unordered(SIDE_BY_SIDE)
                .try_fold(0, async |count, was_there| Ok(count + usize::from(was_there)));
            count += erased.await?;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        info!(event = "number_erased", app, verifications = count, is_all = next.is_none());
        Ok(Erasures { count, next })
    }

    /// Says whether it was there.
    async fn erase_one(&self, id: VerificationId, patience: Duration) -> Result<bool, EngineError> {
        for _ in 0..COMMIT_TRIES {
            let Some((v, revision)) = self.load(id).await? else { return Ok(false) };
            if !v.status.is_final() {
                match self.apply(id, &Event::Cancel).await {
                    Ok(canceled) => {
                        if let Some(performance) = canceled.performance {
                            performance.settled(patience).await;
                        }
                    }
                    Err(EngineError::NotFound) => return Ok(false),
                    Err(error) => return Err(error),
                }
                continue;
            }
            for provider_id in provider_ids(&v) {
                self.store.unlink(provider_id, id).await?;
            }
            let now = self.clock.now().await?;
            let mut guesses = v.guesses.clone();
            guesses.forget(now);
            let counts_for = guesses.end().map_or(Duration::ZERO, |end| end.since(now));
            let erasure = Erasure {
                id,
                numbers: self.keys.number_keys(&v.app, &v.to),
                app: v.app,
                expected: revision,
                guesses: guesses.to_bytes(),
                index_ttl: counts_for.max(LIFETIME_MAX),
            };
            match self.store.erase(&erasure).await? {
                ErasureOutcome::Erased => return Ok(true),
                ErasureOutcome::Absent => return Ok(false),
                ErasureOutcome::Changed => {}
            }
        }
        Err(EngineError::Contention)
    }

    /// What is told of a verification that is gone does not leave it to be found.
    pub(super) async fn leave_no_link(&self, id: VerificationId, event: &Event) {
        for provider_id in event.provider_ids() {
            if let Err(error) = self.store.unlink(provider_id, id).await {
                debug!(%error, "a link to what is forgotten stays until it ends");
            }
        }
    }
}

/// Whatever finds one of its attempts.
fn provider_ids(v: &Verification) -> impl Iterator<Item = &str> {
    let known = v.attempts.iter().flat_map(|a| a.provider_id.iter().chain(&a.other_ids)).map(String::as_str);
    let owed = v.owed.iter().filter_map(|owed| match &owed.effect {
        Effect::Link { provider_id, .. } => Some(provider_id.as_str()),
        Effect::Trigger { .. } | Effect::HangUp { .. } | Effect::Identify { .. } => None,
    });
    known.chain(owed)
}
