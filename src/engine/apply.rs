//! [`Engine::apply`]: load, decide, commit (again after a conflict), and only then perform the effects.

use std::time::Duration;

use super::key_lock::StoreFailed;
use super::performance::Performance;
use super::reserve::Reservations;
use super::{COMMIT_TRIES, Engine, EngineError};
use crate::guard::{Scope, guesses};
use crate::phone::PhoneNumber;
use crate::route_model::Insight;
use crate::store::{Commit, CommitMode, CommitOutcome, StoreError, record};
use crate::time::Timestamp;
use crate::verification::{Answer, Channel, Decision, Effect, Event, Refusal, Verification, VerificationId};

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
    pub verification: Verification,
    /// The answer to the caller.
    pub answer: Answer,
    /// The effects, under way.
    pub performance: Option<Performance>,
}

/// A committed change.
pub(super) struct Change {
    pub(super) after: Verification,
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
    /// one exception: a commit whose acknowledgement was lost may have been made. UUIDs that are mapped already, counted
    /// attempts and the end after a failover remain.
    pub async fn apply(&self, target: Target<'_>, mut events: Vec<Event>) -> Result<Applied, EngineError> {
        let (id, app) = match target {
            Target::Proved(id) => (id, None),
            Target::OfApp(app, id) => (id, Some(app.to_owned())),
            Target::Newest(app, to) => (self.newest(app, to).await?, Some(app.to_owned())),
        };
        self.link_all(id, &mut events).await;
        self.apply_detached(id, events, app, None).await
    }

    /// `reserved`: a channel whose attempt is counted against the limits already.
    pub(super) async fn apply_detached(
        &self,
        id: VerificationId,
        events: Vec<Event>,
        app: Option<String>,
        reserved: Option<Channel>,
    ) -> Result<Applied, EngineError> {
        let engine = self.clone();
        self.run_detached(async move {
            let Change { after, effects, answer } = engine.change(id, &events, app.as_deref(), reserved).await?;
            let performance = engine.perform(&after, effects);
            Ok(Applied { verification: after, answer, performance })
        })
        .await
    }

    /// Decides and commits, one change of a verification at a time within this process.
    pub(super) async fn change(
        &self,
        id: VerificationId,
        events: &[Event],
        app: Option<&str>,
        reserved: Option<Channel>,
    ) -> Result<Change, EngineError> {
        let lock = match self.inner.locks.acquire(id).await {
            Ok(lock) => Some(lock),
            // No client waits for these events or retries them, so they are applied without the lock.
            Err(StoreFailed) if events.iter().all(is_internal) => None,
            Err(StoreFailed) => return Err(StoreFailed.into()),
        };
        let change = self.change_locked(id, events, app, reserved).await;
        match (&change, &lock) {
            (Err(EngineError::Store(StoreError::Unavailable(_))), Some(lock)) => lock.store_failed(),
            (Err(EngineError::NotFound), _) => self.unlink_all(id, events).await,
            _ => {}
        }
        change
    }

    async fn change_locked(
        &self,
        id: VerificationId,
        events: &[Event],
        app: Option<&str>,
        reserved: Option<Channel>,
    ) -> Result<Change, EngineError> {
        let mut reservations = Reservations::with(reserved);
        // After a failover the record may lack acknowledged changes. It is ended first; then the events are applied to the ended record.
        let mut must_end = false;
        for _ in 0..COMMIT_TRIES {
            let events = if must_end { &[Event::FailedOver][..] } else { events };
            let found = self.load(id).await?;
            if found.is_none() && app.is_some() {
                self.spend_one_decryption();
            }
            let found = found.filter(|(v, _)| app.is_none_or(|app| v.app == app));
            let (before, revision) = found.ok_or(EngineError::NotFound)?;
            let now = self.now().await?;
            let insight = match before.observer() {
                Some(_) => {
                    let reported = events.iter().find_map(Event::carrier);
                    self.parts.learner.insight(before.to.country(), reported.or(before.carrier())).await
                }
                None => Insight::default(),
            };
            let decision = self.decide_within_limits(&before, events, &insight, now, &mut reservations).await?;
            let Decision { after, effects, lessons, answer } = decision;
            if let Answer::Refused(Refusal::RateLimited { scope: Scope::Guesses, .. }) = answer {
                self.report_limit(Scope::Guesses, &after, None);
            }
            // Another replica has ended it already: the events are applied to that end.
            if must_end && after == before {
                must_end = false;
                continue;
            }
            // A tick is committed even if nothing changed: the commit ends the lease under which the timer was claimed.
            if after == before && !events.contains(&Event::Tick) {
                return Ok(Change { after, effects, answer });
            }
            // A stale record may be written in two cases: a final status never changes, and after a failover the record is
            // only ended.
            let accept_stale = must_end || before.is_final();
            let mode = CommitMode::Update { expected: revision, accept_stale };
            match self.commit(&after, mode, now).await? {
                CommitOutcome::Committed(_) => {
                    self.publish(Some(&before), &after, now);
                    self.parts.learner.learn(Some(&before), &after, &lessons);
                    self.parts.learner.note_facts(&before, &after);
                    self.adjust_counters(&before, &after, now);
                    if !must_end {
                        return Ok(Change { after, effects, answer });
                    }
                    must_end = false;
                    drop(self.perform(&after, effects));
                }
                CommitOutcome::Conflict => {}
                CommitOutcome::PossiblyStale => must_end = true,
            }
        }
        Err(EngineError::Contention)
    }

    pub(super) async fn commit(
        &self,
        after: &Verification,
        mode: CommitMode,
        now: Timestamp,
    ) -> Result<CommitOutcome, StoreError> {
        let due = after.due();
        let kept_until = after.ended_at().unwrap_or(after.expires_at()) + self.parts.retention;
        let commit = Commit {
            id: after.id,
            app: after.app.clone(),
            number: self.number_key(after),
            mode,
            sealed: record::encode(after, &self.parts.keys)?,
            created_at: after.created_at,
            due,
            ttl: kept_until.since(now).max(Duration::from_secs(1)),
            guesses: after.guesses.to_bytes(),
            guesses_ttl: guesses::REMEMBERED,
        };
        let outcome = self.parts.store.commit(&commit).await?;
        if let (CommitOutcome::Committed(_), Some(due)) = (&outcome, due) {
            self.inner.alarm.set(due);
        }
        Ok(outcome)
    }

    /// Writes the new entries of the timeline to logs and metrics.
    pub(super) fn publish(&self, before: Option<&Verification>, after: &Verification, now: Timestamp) {
        let known = before.map_or(0, |v| v.timeline.len());
        for entry in after.timeline.iter().skip(known) {
            crate::telemetry::log(after, &entry.note);
            self.parts.metrics.observe(before, after, &entry.note, now);
        }
        self.parts.metrics.observe_attempts(before, after);
    }
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
