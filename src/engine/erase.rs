//! [`Engine::erase`]: forgets an app's number.
//!
//! Open verifications are canceled first, so that calls are hung up and nothing is triggered any more. Then each record
//! is removed at the revision at which it was read. The mappings of its UUIDs are removed before it, because only the
//! record knows them. An erasure that breaks off is completed by the next one. Late outcomes and callbacks find nothing
//! and leave nothing.
//!
//! These remain:
//! * The times of wrong codes, for a day, so that an erasure gives no new guesses. They are in the number's index, whose
//!   key is a keyed hash. The index remains for at least ten minutes, until no creation can arrive late.
//! * The counters of limits, for a day at most, under keyed hashes.
//! * Answers to idempotency keys, which only their keys find.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::info;

use super::batch::Batch;
use super::{COMMIT_TRIES, Engine, EngineError, Known};
use crate::phone::PhoneNumber;
use crate::store::{Cursor, Erasure, ErasureOutcome};
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{Effect, Event, Verification, VerificationId};

/// Verifications per page. A page scans up to 500 records, because other numbers share the shard.
const PAGE: usize = 100;
/// Pages per erasure.
const PAGES_MAX: usize = 40;
/// Records erased concurrently.
const CONCURRENCY: usize = 8;

/// The result of one erasure.
pub struct Erasures {
    /// Verifications that were erased.
    pub count: usize,
    /// Where to continue, if there are more.
    pub next: Option<Cursor>,
}

impl Engine {
    /// Erases an app's verifications of a number, from a cursor on, and everything else that is kept about it.
    ///
    /// Waits up to `patience` for Plivo to hang up a call.
    ///
    /// # Errors
    /// When the store failed. Part of it may be erased then, and repeating it erases the rest.
    pub async fn erase(
        &self,
        app: &str,
        to: &PhoneNumber,
        before: Option<Cursor>,
        patience: Duration,
    ) -> Result<Erasures, EngineError> {
        let (engine, app, to) = (self.clone(), app.to_owned(), to.clone());
        self.run_detached(async move { engine.erase_all(&app, &to, before, patience).await }).await
    }

    async fn erase_all(
        &self,
        app: &str,
        to: &PhoneNumber,
        before: Option<Cursor>,
        patience: Duration,
    ) -> Result<Erasures, EngineError> {
        let (mut count, mut next) = (0, before);
        for _ in 0..PAGES_MAX {
            let page = self.list(app, Some(to), None, next, PAGE).await?;
            let ids: Vec<_> = page.found.iter().map(|found| found.verification.id_of(found.session)).collect();
            let erased = stream::iter(ids)
                .map(|id| self.erase_one(id, patience))
                .buffer_unordered(CONCURRENCY)
                .try_fold(0, async |count, was_there| Ok(count + usize::from(was_there)));
            count += erased.await?;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        self.parts.store.forget_verified(&self.parts.keys.number_keys(app, to)).await?;
        info!(event = "number_erased", app, verifications = count, is_all = next.is_none());
        Ok(Erasures { count, next })
    }

    /// Erases one verification, and returns whether it existed.
    async fn erase_one(&self, id: VerificationId, patience: Duration) -> Result<bool, EngineError> {
        for _ in 0..COMMIT_TRIES {
            let Some(Known { verification: v, version, .. }) = self.load(id).await? else { return Ok(false) };
            if !v.is_final() {
                match self.apply_here(id, Batch::new(vec![Event::CancelAll]), None).await {
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
                self.parts.store.unlink(provider_id, v.id).await?;
            }
            let erasure = Erasure {
                id: v.id,
                numbers: self.parts.keys.number_keys(&v.app, &v.to),
                app: v.app.clone(),
                joined: v.session_indexes().skip(1).map(|session| v.id_of(session)).collect(),
                expected: version.revision,
                index_ttl: LIFETIME_MAX,
                guesses_ttl: self.parts.rules.guesses.remembered(),
            };
            match self.parts.store.erase(&erasure).await? {
                ErasureOutcome::Erased => return Ok(true),
                ErasureOutcome::Absent => return Ok(false),
                ErasureOutcome::Changed => {}
            }
        }
        Err(EngineError::Contention)
    }
}

/// The UUIDs that find its attempts.
fn provider_ids(v: &Verification) -> impl Iterator<Item = &str> {
    let known = v.attempts.iter().flat_map(|a| a.provider_id.iter().chain(&a.other_ids)).map(String::as_str);
    let owed = v.owed.iter().filter_map(|owed| match &owed.effect {
        Effect::Link { provider_id, .. } => Some(provider_id.as_str()),
        Effect::Trigger { .. }
        | Effect::HangUp { .. }
        | Effect::Identify { .. }
        | Effect::LookUp { .. }
        | Effect::Tell { .. } => None,
    });
    known.chain(owed)
}
