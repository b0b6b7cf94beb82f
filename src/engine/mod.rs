//! [`Engine::apply`]: load, decide, commit (again on conflict), and only then perform.
//!
//! Every change of a verification goes through here, whoever brings it: the API, a callback, a timer, or the
//! outcome of a request to Plivo. The engine decides nothing; it carries.

pub mod clock;
mod create;
mod erase;
mod key_lock;
mod outbox;
mod read;
mod reserve;
pub mod timers;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use clock::Clock;
pub use create::{Created, Creation};
pub use erase::Erasures;
pub use outbox::{Performance, Reported};
pub use read::Page;

use crate::guard::{Guard, Scope, guesses};
use crate::keyring::Keyring;
use crate::learner::Learner;
use crate::metrics::Metrics;
use crate::plivo::Plivo;
use crate::store::{
    Commit, CommitMode, CommitOutcome, NumberKey, OutageCause, Revision, Store, StoreError, StoredRecord, record,
};
use crate::time::Timestamp;
use crate::verification::{Answer, Channel, Decision, Effect, Event, Refusal, Rules, Verification, VerificationId};
use key_lock::StoreIsAway;
pub use key_lock::Turns;
use reserve::Permits;
use timers::Alarm;

/// How often a commit is tried against others. Each conflict means that somebody else got on, and a
/// verification takes only so many changes before it is final.
const COMMIT_TRIES: usize = 64;

/// What everything else needs, made once. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

/// What an engine is made of.
pub struct Parts {
    /// Where verifications live.
    pub store: Arc<dyn Store>,
    /// The way to Plivo.
    pub plivo: Arc<Plivo>,
    /// The time.
    pub clock: Clock,
    /// Seals records, signs refs, hashes numbers.
    pub keys: Arc<Keyring>,
    /// What new verifications are like.
    pub rules: Rules,
    /// How often may be texted and called.
    pub guard: Guard,
    /// How long a final state can be read.
    pub retention: Duration,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where effects are performed: workers of the HTTP server have runtimes of their own, which end first.
    pub runtime: Handle,
    /// Effects under way, so that a stop can wait for them.
    pub tasks: TaskTracker,
    /// Cuts requests to Plivo off, when a stop can wait for them no longer.
    pub closing: CancellationToken,
    /// Wakes the escalator when something is due earlier than it knew.
    pub alarm: Alarm,
    /// Lets changes of one verification come one after the other.
    pub turns: Turns,
    /// What routes have been doing.
    pub learner: Arc<Learner>,
}

/// Why an event could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No such verification, or it is another app's, or forgotten.
    #[error("there is no such verification")]
    NotFound,
    /// The store did not take or give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new verification may not begin now.
    #[error("it is refused")]
    Refused(Refusal),
    /// Others were faster, again and again.
    #[error("too many changes of one verification at a time")]
    Contention,
}

/// What became of an event.
pub struct Applied {
    /// The state after it.
    pub verification: Verification,
    /// What its bringer is told.
    pub answer: Answer,
    /// What follows, under way.
    pub performance: Option<Performance>,
}

impl std::ops::Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Does something to its end even if whoever asked for it leaves: a client that hangs up, or a stop, between
    /// a commit and its effects would leave them owed until the lease ends.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        match self.tasks.spawn_on(work.in_current_span(), &self.runtime).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Unavailable(OutageCause::Stopping).into()),
            },
        }
    }

    /// Applies an event of an app to one of its verifications.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also when it is another app's.
    pub async fn apply_for(&self, app: &str, id: VerificationId, event: &Event) -> Result<Applied, EngineError> {
        self.apply_if(id, event, Some(app), None).await
    }

    /// Applies an event: what it changes is in the store when this returns, and what follows is under way.
    ///
    /// # Errors
    /// [`EngineError`]; nothing has changed then, except that a commit whose answer got lost may have.
    pub async fn apply(&self, id: VerificationId, event: &Event) -> Result<Applied, EngineError> {
        self.apply_if(id, event, None, None).await
    }

    /// `granted`: an attempt that the guard has been asked for already.
    async fn apply_if(
        &self,
        id: VerificationId,
        event: &Event,
        app: Option<&str>,
        granted: Option<Channel>,
    ) -> Result<Applied, EngineError> {
        let (engine, event, app) = (self.clone(), event.clone(), app.map(str::to_owned));
        self.to_its_end(async move {
            let (verification, effects, answer) = engine.decide_and_commit(id, &event, app.as_deref(), granted).await?;
            let performance = engine.perform(&verification, effects);
            Ok(Applied { verification, answer, performance })
        })
        .await
    }

    async fn decide_and_commit(
        &self,
        id: VerificationId,
        event: &Event,
        app: Option<&str>,
        granted: Option<Channel>,
    ) -> Result<(Verification, Vec<Effect>, Answer), EngineError> {
        let turn = match self.turns.take(id).await {
            Ok(turn) => Some(turn),
            // Nobody waits for the answer to these, and nobody would bring them again.
            Err(StoreIsAway)
                if matches!(
                    event,
                    Event::Tick
                        | Event::Triggered { .. }
                        | Event::Linked { .. }
                        | Event::HungUp { .. }
                        | Event::Identified { .. }
                ) =>
            {
                None
            }
            Err(StoreIsAway) => {
                return Err(StoreError::Unavailable(OutageCause::PredecessorFailed).into());
            }
        };
        let outcome = self.decide_and_commit_in_turn(id, event, app, granted).await;
        match (&outcome, &turn) {
            (Err(EngineError::Store(StoreError::Unavailable(_))), Some(turn)) => turn.store_is_away(),
            (Err(EngineError::NotFound), _) => self.leave_no_link(id, event).await,
            _ => {}
        }
        outcome
    }

    async fn decide_and_commit_in_turn(
        &self,
        id: VerificationId,
        event: &Event,
        app: Option<&str>,
        granted: Option<Channel>,
    ) -> Result<(Verification, Vec<Effect>, Answer), EngineError> {
        let mut permits = Permits::with(granted);
        for _ in 0..COMMIT_TRIES {
            let found = self.load(id).await?;
            if found.is_none() && app.is_some() {
                self.look_as_long();
            }
            let found = found.filter(|(v, _)| app.is_none_or(|app| v.app == app));
            let (before, revision) = found.ok_or(EngineError::NotFound)?;
            let now = self.clock.now().await?;
            let rules = match before.track {
                Some(_) => {
                    let carrier = event.carrier().or(before.carrier());
                    let insight = self.learner.insight(before.to.country(), carrier).await;
                    &Rules { insight, ..self.rules.clone() }
                }
                None => &self.rules,
            };
            let decision = self.decide_with_permits(&before, event, rules, now, &mut permits).await?;
            let Decision { after, effects, lessons, answer } = decision;
            if let Answer::Refused(Refusal::RateLimited { scope: Scope::Guesses, .. }) = answer {
                self.limit_reached(Scope::Guesses, &after, None);
            }
            // A tick is always written down: that ends the lease under which it was claimed.
            if after == before && *event != Event::Tick {
                return Ok((after, effects, answer));
            }
            // What is final stays so, and what is given up is not gone on with.
            let accept_stale = before.status.is_final() || *event == Event::Lost;
            let mode = CommitMode::Update { expected: revision, accept_stale };
            match self.commit(&after, mode, now).await? {
                CommitOutcome::Committed(_) => {
                    self.tell(Some(&before), &after, now);
                    self.learner.learn(Some(&before), &after, &lessons);
                    self.learner.note_facts(&before, &after);
                    self.settle_up(&before, &after, now);
                    return Ok((after, effects, answer));
                }
                CommitOutcome::Conflict => {}
                CommitOutcome::PossiblyStale => {
                    let lose = self.decide_and_commit_in_turn(id, &Event::Lost, None, None);
                    let (lost, effects, _) = Box::pin(lose).await?;
                    drop(self.perform(&lost, effects));
                }
            }
        }
        Err(EngineError::Contention)
    }

    async fn load(&self, id: VerificationId) -> Result<Option<(Verification, Revision)>, StoreError> {
        let Some(stored) = self.store.load(id).await? else { return Ok(None) };
        Ok(Some((self.open(id, &stored)?, stored.revision)))
    }

    fn open(&self, id: VerificationId, stored: &StoredRecord) -> Result<Verification, StoreError> {
        record::decode(id, stored, &self.keys)
    }

    async fn commit(
        &self,
        after: &Verification,
        mode: CommitMode,
        now: Timestamp,
    ) -> Result<CommitOutcome, StoreError> {
        let due = after.due();
        let kept_until = after.ended_at.unwrap_or(after.expires_at) + self.retention;
        let outcome = self
            .store
            .commit(&Commit {
                id: after.id,
                app: after.app.clone(),
                number: self.number_of(after),
                mode,
                sealed: record::encode(after, &self.keys)?,
                created_at: after.created_at,
                due,
                ttl: kept_until.since(now).max(Duration::from_secs(1)),
                guesses: after.guesses.to_bytes(),
                guesses_ttl: guesses::REMEMBERED,
            })
            .await?;
        if let (CommitOutcome::Committed(_), Some(due)) = (&outcome, due) {
            self.alarm.set(due);
        }
        Ok(outcome)
    }

    /// The number's key that the verification was created under: a commit stays in one shard, and finds the index that
    /// its creation wrote, however often SECRET_KEY was changed meanwhile.
    fn number_of(&self, v: &Verification) -> NumberKey {
        let keys = self.keys.number_keys(&v.app, &v.to);
        let created_under = keys.iter().find(|key| key.shard() == v.id.shard());
        created_under.copied().unwrap_or_else(|| self.keys.number_key(&v.app, &v.to))
    }

    /// Tells logs and metrics what a commit added to the story.
    fn tell(&self, before: Option<&Verification>, after: &Verification, now: Timestamp) {
        let known = before.map_or(0, |v| v.timeline.len());
        for entry in after.timeline.iter().skip(known) {
            crate::telemetry::log(after, &entry.note);
            self.metrics.observe(before, after, &entry.note, now);
        }
        self.metrics.observe_attempts(before, after);
    }
}
