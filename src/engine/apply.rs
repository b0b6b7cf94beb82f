//! [`Engine::apply`]: decide, commit (again after a conflict), and only then perform the effects.

use std::borrow::Cow;
use std::sync::Arc;

use super::batch::Batch;
use super::commit::Write;
use super::key_lock::StoreFailed;
use super::limits::LimitAnswers;
use super::performance::{Performance, Progress};
use super::{COMMIT_TRIES, Engine, EngineError, Known};
use crate::guard::Scope;
use crate::phone::PhoneNumber;
use crate::route_model::Insight;
use crate::store::{CommitMode, CommitOutcome, StoreError};
use crate::verification::{Answer, Context, Decision, Effect, Event, Refusal, Verification, VerificationId, decide};

/// The verification that a caller means.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// This one, for a caller that has proved its right to it by a ref or a token.
    Proved(VerificationId),
    /// This one, if it belongs to the app.
    OfApp(&'a str, VerificationId),
    /// The app's newest one for a number.
    Newest(&'a str, &'a PhoneNumber),
}

/// The result of events.
pub struct Applied {
    /// The state after them.
    pub verification: Arc<Verification>,
    /// The answer to the caller.
    pub answer: Answer,
    /// The effects, under way.
    pub performance: Option<Performance>,
}

/// A committed change.
pub(super) struct Change {
    pub(super) after: Arc<Verification>,
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
        let (id, app) = match target {
            Target::Proved(id) => (id, None),
            Target::OfApp(app, id) => (id, Some(app.to_owned())),
            Target::Newest(app, to) => (self.newest(app, to).await?, Some(app.to_owned())),
        };
        let engine = self.clone();
        self.run_detached(async move { engine.apply_here(id, Batch::new(events), app.as_deref()).await }).await
    }

    /// Applies events within a task that ends with its work.
    pub(super) async fn apply_here(
        &self,
        id: VerificationId,
        batch: Batch,
        app: Option<&str>,
    ) -> Result<Applied, EngineError> {
        let Change { after, effects, answer } = self.change(id, batch, app, None).await?;
        let performance = self.perform(&after, effects);
        Ok(Applied { verification: after, answer, performance })
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
        let lock = match self.inner.locks.acquire(id).await {
            Ok(lock) => Some(lock),
            // No client waits for these events or retries them, so they are applied without the lock.
            Err(StoreFailed) if batch.events.iter().all(is_internal) => None,
            Err(StoreFailed) => return Err(StoreFailed.into()),
        };
        let change = self.change_locked(id, &mut batch, app, progress).await;
        match (&change, &lock) {
            (Err(EngineError::Store(StoreError::Unavailable(_))), Some(lock)) => lock.store_failed(),
            (Err(EngineError::NotFound), _) => self.unlink_all(id, &batch.events).await,
            _ => {}
        }
        change
    }

    async fn change_locked(
        &self,
        id: VerificationId,
        batch: &mut Batch,
        app: Option<&str>,
        progress: Option<&Progress>,
    ) -> Result<Change, EngineError> {
        let (mut limits, mut is_settled) = (LimitAnswers::default(), false);
        // After a failover the record may lack acknowledged changes. It is ended first; then the events are applied to
        // the ended record.
        let mut must_end = false;
        let mut is_from_memory = true;
        let mut known = match self.remembered(id).filter(|known| is_of(app, &known.verification)) {
            Some(known) => known,
            None => {
                is_from_memory = false;
                self.load_for(id, app).await?
            }
        };
        for _ in 0..COMMIT_TRIES {
            let before = Arc::clone(&known.verification);
            let number = *known.number.get_or_insert_with(|| self.number_key(&before));
            let now = self.now().await?;
            let events = if must_end { Cow::Borrowed(&[Event::FailedOver][..]) } else { batch.all() };
            let insight = self.insight_for(&before, &events).await;
            let context = Context { now, insight: &insight, barred: &limits.barred };
            let Decision { after, effects, lessons, answer } = decide(&before, &events, &self.parts.rules, &context);
            let is_unchanged = after == *before;
            // Another replica has ended it already: the events are applied to that end.
            if must_end && is_unchanged {
                must_end = false;
                continue;
            }
            // A tick is committed even if nothing changed: the commit ends the lease under which the timer was claimed.
            if is_unchanged && !events.contains(&Event::Tick) {
                if is_from_memory {
                    // The answer is not given from memory: another replica may have changed the record.
                    is_from_memory = false;
                    known = self.load_for(id, app).await?;
                    continue;
                }
                if let Answer::Refused(Refusal::RateLimited { scope: Scope::Guesses, .. }) = answer {
                    self.report_limit(Scope::Guesses, &after, None);
                }
                return Ok(Change { after: before, effects, answer });
            }
            let after = Arc::new(after);
            if let Some(progress) = progress.filter(|_| !must_end) {
                progress.decided(&after, effects.len());
            }
            let charges = self.charges_of_change(&before, &after, &limits);
            let links = if must_end { Vec::new() } else { batch.links_beyond(&before) };
            // A stale record may be written in two cases: a final status never changes, and after a failover the record
            // is only ended.
            let accept_stale = must_end || before.is_final();
            let mode = CommitMode::Update { expected: known.version, accept_stale };
            let increments = self.increments_of(&charges, number);
            let write = Write { mode, number, increments, links: links.clone(), now };
            let (outcome, committed) = self.commit(Some(&before), &after, write).await?;
            match outcome {
                CommitOutcome::Committed => {
                    self.publish(Some(&before), &after, now);
                    self.parts.learner.learn(Some(&before), &after, &lessons);
                    self.parts.learner.note_facts(&before, &after);
                    self.adjust_counters(&before, &after);
                    if !must_end {
                        return Ok(Change { after, effects, answer });
                    }
                    must_end = false;
                    drop(self.perform(&after, effects));
                    known = committed;
                }
                CommitOutcome::Changed(current) => {
                    self.forget(id);
                    is_from_memory = false;
                    let current = current.ok_or(EngineError::NotFound)?;
                    known = self.open_record(id, &current)?;
                    if !is_of(app, &known.verification) {
                        return Err(EngineError::NotFound);
                    }
                }
                CommitOutcome::OverLimit { index, .. }
                    if !is_settled && self.has_settled(&charges, index, number).await =>
                {
                    is_settled = true;
                }
                CommitOutcome::OverLimit { index, wait } => {
                    self.note_refused(&after, &charges, index, wait, &mut limits);
                }
                CommitOutcome::ReportsPending { index, reports } => {
                    links.get(index).into_iter().for_each(|link| batch.add_reports(link, reports.clone()));
                }
                CommitOutcome::LinksUnavailable => batch.owe_links(),
                CommitOutcome::PossiblyStale => must_end = true,
                CommitOutcome::NumberInUse(_) => return Err(EngineError::Contention),
            }
        }
        Err(EngineError::Contention)
    }

    /// Loads a verification of the app.
    pub(super) async fn load_for(&self, id: VerificationId, app: Option<&str>) -> Result<Known, EngineError> {
        let found = self.load(id).await?;
        if found.is_none() && app.is_some() {
            self.spend_one_decryption();
        }
        found.filter(|known| is_of(app, &known.verification)).ok_or(EngineError::NotFound)
    }

    /// What is known of the route, as far as the decision needs it.
    async fn insight_for(&self, before: &Verification, events: &[Event]) -> Insight {
        if before.observer().is_none() {
            return Insight::default();
        }
        let reported = events.iter().find_map(Event::carrier);
        self.parts.learner.insight(before.to.country(), reported.or(before.carrier())).await
    }
}

/// Whether the caller may see it: it belongs to the caller's app, or the caller has proved its right.
fn is_of(app: Option<&str>, v: &Verification) -> bool {
    app.is_none_or(|app| v.app == app)
}

/// Whether the event comes from this process: a timer, or the result of an effect.
fn is_internal(event: &Event) -> bool {
    match event {
        Event::Tick
        | Event::Triggered { .. }
        | Event::Linked { .. }
        | Event::HungUp { .. }
        | Event::Identified { .. }
        | Event::FailedOver => true,
        Event::CodeSubmitted(_)
        | Event::Cancel
        | Event::AttemptRequested(_)
        | Event::Joined { .. }
        | Event::Activity(_)
        | Event::CallContinues { .. }
        | Event::TextReported { .. }
        | Event::TextRefused { .. }
        | Event::CallReported { .. }
        | Event::SignedCallback(_) => false,
    }
}
