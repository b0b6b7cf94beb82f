//! [`Engine::apply`]: decide, commit (again after a conflict), and only then perform the effects.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::base::{Base, Lock, Source, is_of};
use super::batch::Batch;
use super::commit::Write;
use super::key_lock::StoreFailed;
use super::limits::LimitAnswers;
use super::performance::{Performance, Progress};
use super::target::{Found, Target};
use super::{COMMIT_TRIES, Engine, EngineError, Known};
use crate::guard::{Guesses, Scope};
use crate::route_model::Insight;
use crate::store::{CommitMode, CommitOutcome, StoreError};
use crate::verification::{
    Answer, Context, Decision, Effect, Event, Refusal, SessionIndex, Verification, VerificationId, decide,
};

/// The result of events.
pub struct Applied {
    /// The state after them.
    pub verification: Arc<Verification>,
    /// The session that they were about.
    pub session: SessionIndex,
    /// The answer to the caller.
    pub answer: Answer,
    /// The effects, under way.
    pub performance: Option<Performance>,
}

impl From<Applied> for Found {
    fn from(applied: Applied) -> Self {
        Self { verification: applied.verification, session: applied.session }
    }
}

/// A committed change.
pub(super) struct Change {
    pub(super) after: Arc<Verification>,
    pub(super) session: SessionIndex,
    pub(super) effects: Vec<Effect>,
    pub(super) answer: Answer,
}

impl Engine {
    /// Applies events. When this returns the change is in the store and its effects are under way.
    ///
    /// Dropping the returned future cancels neither the commit nor the effects.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also for another app's verification. After an error the events have no effect, with
    /// one exception: a commit whose acknowledgement was lost may have been made. The end after a failover remains.
    pub async fn apply(&self, target: Target<'_>, events: Vec<Event>) -> Result<Applied, EngineError> {
        let mut batch = Batch::new(events);
        let (id, app) = match target {
            Target::Proved(id) => (id, None),
            Target::OfApp(app, id) => (id, Some(app.to_owned())),
            Target::OfNumber(app, to, purpose) => {
                batch.is_of_only_session = true;
                (self.find(app, to, purpose).await?, Some(app.to_owned()))
            }
        };
        let engine = self.clone();
        self.run_detached(async move { engine.apply_here(id, batch, app.as_deref()).await }).await
    }

    /// Applies events within a task that ends with its work.
    pub(super) async fn apply_here(
        &self,
        id: VerificationId,
        batch: Batch,
        app: Option<&str>,
    ) -> Result<Applied, EngineError> {
        let Change { after, session, effects, answer } = self.change(id, batch, app, None).await?;
        let performance = self.perform(&after, effects);
        Ok(Applied { verification: after, session, answer, performance })
    }

    /// Decides and commits, one change of a verification at a time within this process.
    ///
    /// `progress` learns of the decision before it is committed.
    pub(super) async fn change(
        &self,
        id: VerificationId,
        mut batch: Batch,
        app: Option<&str>,
        progress: Option<&Progress>,
    ) -> Result<Change, EngineError> {
        loop {
            let shared = self.shared_with(id);
            let lock = match self.inner.locks.acquire(shared).await {
                Ok(lock) => Some(lock),
                // No client waits for these events or retries them, so they are applied without the lock.
                Err(StoreFailed) if batch.events.iter().all(Event::is_internal) => None,
                Err(StoreFailed) => return Err(StoreFailed.into()),
            };
            let change = match self.base(shared, lock.as_ref(), app).await {
                // Another verification's lock is needed: now it is known which.
                Ok(base) if base.known.verification.id != shared => continue,
                Ok(base) => self.change_locked(id, base, lock.as_ref(), &mut batch, app, progress).await,
                Err(error) => Err(error),
            };
            match (&change, &lock) {
                (Err(EngineError::Store(StoreError::Unavailable(_))), Some(lock)) => lock.store_failed(),
                (Err(EngineError::NotFound), _) => self.unlink_all(id, &batch.events).await,
                _ => {}
            }
            return change;
        }
    }

    async fn change_locked(
        &self,
        asked: VerificationId,
        base: Base,
        lock: Option<&Lock<'_>>,
        batch: &mut Batch,
        app: Option<&str>,
        progress: Option<&Progress>,
    ) -> Result<Change, EngineError> {
        let Base { mut known, mut source, mut asked_at } = base;
        let id = known.verification.id;
        let (mut limits, mut is_settled) = (LimitAnswers::default(), false);
        // After a failover the record may lack acknowledged changes. It is ended first; then the events are applied to
        // the ended record.
        let mut must_end = false;
        for _ in 0..COMMIT_TRIES {
            let before = Arc::clone(&known.verification);
            let number = *known.number.get_or_insert_with(|| self.number_key(&before));
            let now = self.now().await?;
            let events = if must_end { Cow::Borrowed(&[Event::FailedOver][..]) } else { batch.all() };
            let meant = if batch.is_of_only_session { before.only_session() } else { before.session_of(asked) };
            let session = match meant {
                Some(session) => session,
                None if source != Source::Store => {
                    Base { known, source, asked_at } = self.loaded_base(id, app).await?;
                    continue;
                }
                None if batch.is_of_only_session => return Err(EngineError::Ambiguous),
                None => return Err(EngineError::NotFound),
            };
            let insight = self.insight_for(&mut known, &events).await;
            let context = Context { now, insight: &insight, barred: &limits.barred, session };
            let Decision { after, effects, lessons, answer } = decide(&before, &events, &self.parts.rules, &context);
            let is_unchanged = after == *before;
            // Another replica has ended it already: the events are applied to that end.
            if must_end && is_unchanged {
                must_end = false;
                continue;
            }
            // A tick is committed even if nothing changed: the commit ends the lease under which the timer was claimed.
            if is_unchanged && !events.contains(&Event::Tick) {
                if source == Source::Memory {
                    // The answer is not given from memory: another replica may have changed the record.
                    Base { known, source, asked_at } = self.loaded_base(id, app).await?;
                    continue;
                }
                if let Answer::Refused(Refusal::RateLimited { scope: Scope::Guesses, .. }) = answer
                    && source == Source::Store
                {
                    // A success in another verification of the number may have cleared them.
                    let index = self.parts.store.number_index(number).await?;
                    if self.take_guesses(&mut known, &index.guesses) {
                        continue;
                    }
                    self.report_limit(Scope::Guesses, &after, None);
                }
                if let Answer::Refused(Refusal::TooManySessions { .. }) = answer {
                    self.report_limit(Scope::Number, &after, None);
                }
                if source == Source::Store {
                    lock.into_iter().for_each(|lock| lock.share(asked_at, known.clone()));
                }
                return Ok(Change { after: before, session, effects, answer });
            }
            let after = Arc::new(after);
            if let Some(progress) = progress.filter(|_| !must_end) {
                progress.decided(&after, effects.iter().filter(|effect| effect.is_awaited()).count());
            }
            let charges = self.charges_of_change(&before, &after, &limits, now);
            let links = if must_end { Vec::new() } else { batch.links_beyond(&before) };
            // A stale record may be written in two cases: a final status never changes, and after a failover the record
            // is only ended.
            let accept_stale = must_end || before.is_final();
            let mode = CommitMode::Update { expected: known.version, accept_stale };
            let increments = self.increments_of(&charges, number);
            let depends_on_guesses = before.guesses != after.guesses || events.iter().any(Event::is_check);
            let guesses = depends_on_guesses.then(|| before.guesses.to_bytes());
            let write = Write { mode, guesses, number, teacher: known.teacher, increments, links: links.clone(), now };
            let committing_at = Instant::now();
            let committed = self.commit(Some(&before), &after, write).await;
            self.inner.advances.settle(&charges, committed.as_ref().ok().map(|(outcome, _)| outcome), now);
            let (outcome, committed) = committed?;
            match outcome {
                CommitOutcome::Committed => {
                    lock.into_iter().for_each(|lock| lock.share(committing_at, committed.clone()));
                    self.publish(Some(&before), &after, now);
                    if self.parts.learner.learn(Some(&before), &after, &lessons) {
                        self.parts.metrics.count_distrust_capped();
                    }
                    self.parts.learner.note_facts(&before, &after);
                    self.adjust_counters(&before, &after);
                    if !must_end {
                        return Ok(Change { after, session, effects, answer });
                    }
                    must_end = false;
                    drop(self.perform(&after, effects));
                    known = committed;
                }
                CommitOutcome::Changed(current) => {
                    self.forget(id);
                    (source, asked_at) = (Source::Store, committing_at);
                    let current = current.ok_or(EngineError::NotFound)?;
                    known = self.open_record(id, &current)?;
                    if !is_of(app, &known.verification) {
                        return Err(EngineError::NotFound);
                    }
                }
                // The attempt itself may still fit: the next try counts no advance.
                CommitOutcome::OverLimit { index, .. } if charges.has_advance(index) => {}
                CommitOutcome::OverLimit { index, .. }
                    if !is_settled && self.has_settled(&charges, index, number).await =>
                {
                    is_settled = true;
                }
                CommitOutcome::OverLimit { index, .. }
                    if self.is_excused(&after, &charges, index, &mut limits).await? => {}
                CommitOutcome::OverLimit { index, wait } => {
                    self.note_refused(&after, &charges, index, wait, &mut limits);
                }
                CommitOutcome::ReportsPending { index, reports } => {
                    links.get(index).into_iter().for_each(|link| batch.add_reports(link, reports.clone()));
                }
                CommitOutcome::LinksUnavailable => batch.owe_links(),
                CommitOutcome::GuessesChanged(guesses) => _ = self.take_guesses(&mut known, &guesses),
                CommitOutcome::PossiblyStale => must_end = true,
                CommitOutcome::NumberInUse(_) => return Err(EngineError::Contention),
            }
        }
        Err(EngineError::Contention)
    }

    /// Takes over the wrong codes of the number, which all its verifications share. Returns whether they are news.
    fn take_guesses(&self, known: &mut Known, guesses: &[u8]) -> bool {
        let guesses = Guesses::from_bytes(guesses);
        let are_new = known.verification.guesses != guesses;
        if are_new {
            Arc::make_mut(&mut known.verification).guesses = guesses;
        }
        are_new
    }

    /// What is known of the route, as far as the decision needs it.
    async fn insight_for(&self, known: &mut Known, events: &[Event]) -> Insight {
        let Known { verification: v, teacher, .. } = known;
        if v.observer().is_none() {
            return Insight::default();
        }
        let learner = &self.parts.learner;
        let reported = events.iter().find_map(Event::carrier);
        let teacher =
            *teacher.get_or_insert_with(|| learner.teacher(&v.app, learner.prefix_hash(&v.to), v.details.client_ip));
        learner.insight(teacher, v.to.country(), reported.or(v.carrier())).await
    }
}
