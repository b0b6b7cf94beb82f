//! [`Engine::apply`]: load, decide, commit (again on conflict), and only then perform.
//!
//! Every change of a verification goes through here, whoever brings it: the API, a callback, a timer, or the
//! outcome of a request to Plivo. The engine decides nothing; it carries.

pub mod clock;
pub mod escalator;
pub mod learner;
mod perform;
mod query;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use clock::Clock;
pub use perform::Performance;
pub use query::Page;

use crate::escalation::Policy;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::phone::PhoneNumber;
use crate::plivo::Plivo;
use crate::store::{Commit, Outcome, Revision, Store, StoreError, Stored, record};
use crate::time::Timestamp;
use crate::verification::state::Details;
use crate::verification::{
    Answer, Channel, Code, Decision, Effect, Event, Mode, Refusal, Request, Rules, Verification, VerificationId,
    decide, open,
};
use escalator::Alarm;
pub use learner::Learner;
use turns::StoreIsAway;
pub use turns::Turns;

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
    pub plivo: Plivo,
    /// The time.
    pub clock: Clock,
    /// Seals records, signs refs, hashes numbers.
    pub keys: Arc<Keyring>,
    /// What new verifications are like.
    pub rules: Rules,
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
    pub learner: Learner,
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

/// What a customer asks for.
pub struct Creation {
    /// Whose it is.
    pub app: String,
    /// The code, if it is the customer's own.
    pub code: Option<Code>,
    /// Digits of a code drawn here, if not as the rules say.
    pub code_length: Option<u8>,
    /// The number.
    pub to: PhoneNumber,
    /// Which channels.
    pub mode: Mode,
    /// When to call.
    pub policy: Option<Policy>,
    /// How long the code lives.
    pub ttl: Option<Duration>,
    /// Whether the number's country may be called.
    pub calls_allowed: bool,
    /// What else was said.
    pub details: Details,
}

/// What became of a creation.
pub struct Created {
    /// As for any other event.
    pub applied: Applied,
    /// Whether an open verification of the number was joined.
    pub joined: bool,
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

    /// Creates a verification, or joins the open one of the same app and number.
    ///
    /// # Errors
    /// As for [`Engine::apply`].
    pub async fn create(&self, creation: Creation) -> Result<Created, EngineError> {
        let engine = self.clone();
        self.to_its_end(async move { engine.create_or_join(creation).await }).await
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
                Err(_) => Err(StoreError::Unavailable("the process is stopping".to_owned()).into()),
            },
        }
    }

    async fn create_or_join(&self, creation: Creation) -> Result<Created, EngineError> {
        let (channel, is_test) = (creation.mode.first_channel(), creation.details.is_test);
        let number = self.keys.number_key(&creation.app, &creation.to);
        // While a SECRET_KEY is being rotated an open one may still be known under the key before.
        for older in self.keys.number_keys(&creation.app, &creation.to).into_iter().skip(1) {
            if let Some(open) = self.store.newest(older).await?
                && let Some(joined) = self.join(open, channel, is_test).await?
            {
                return Ok(joined);
            }
        }
        let length = creation.code_length.unwrap_or(self.rules.code_length);
        let (random, drawn) = draw(length);
        let (id, code) = (VerificationId::new(number.shard(), random), creation.code.unwrap_or(drawn));
        let request = Request {
            id,
            app: creation.app,
            to: creation.to,
            mode: creation.mode,
            policy: creation.policy,
            ttl: creation.ttl,
            calls_allowed: creation.calls_allowed,
            carrier_guess: None,
            code,
            details: creation.details,
        };
        let carrier_guess = self.learner.guess(&request.to).await;
        let request = Request { carrier_guess, ..request };
        let insight = self.learner.insight(request.to.country(), carrier_guess).await;
        let rules = Rules { insight, ..self.rules.clone() };
        // Most numbers are new: that nothing is there is tried first and costs one exchange.
        let mut previous = None;
        for _ in 0..COMMIT_TRIES {
            let now = self.clock.now().await?;
            let Decision { after, effects, lessons, answer } = open(request.clone(), &rules, now);
            if let Outcome::Committed(_) = self.commit(&after, 0, previous, now).await? {
                self.tell(None, &after, now);
                self.learner.learn(None, &after, &lessons);
                let performance = self.perform(&after, effects);
                let applied = Applied { verification: after, answer, performance };
                return Ok(Created { applied, joined: false });
            }
            previous = self.store.newest(number).await?;
            if let Some(open) = previous
                && let Some(joined) = self.join(open, channel, is_test).await?
            {
                return Ok(joined);
            }
        }
        Err(EngineError::Contention)
    }

    /// Joins a verification if it is open; `None` when it is over, and its place in the index can be taken.
    async fn join(
        &self,
        open: VerificationId,
        channel: Channel,
        is_test: bool,
    ) -> Result<Option<Created>, EngineError> {
        match self.apply(open, &Event::Joined { channel, is_test }).await {
            Ok(Applied { answer: Answer::Refused(Refusal::Final(_)), .. }) | Err(EngineError::NotFound) => Ok(None),
            Ok(applied) => Ok(Some(Created { applied, joined: true })),
            Err(error) => Err(error),
        }
    }

    /// Applies an event of an app to one of its verifications.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also when it is another app's.
    pub async fn apply_for(&self, app: &str, id: VerificationId, event: &Event) -> Result<Applied, EngineError> {
        self.apply_if(id, event, Some(app)).await
    }

    /// Applies an event: what it changes is in the store when this returns, and what follows is under way.
    ///
    /// # Errors
    /// [`EngineError`]; nothing has changed then, except that a commit whose answer got lost may have.
    pub async fn apply(&self, id: VerificationId, event: &Event) -> Result<Applied, EngineError> {
        self.apply_if(id, event, None).await
    }

    async fn apply_if(&self, id: VerificationId, event: &Event, app: Option<&str>) -> Result<Applied, EngineError> {
        let (engine, event, app) = (self.clone(), event.clone(), app.map(str::to_owned));
        self.to_its_end(async move {
            let (verification, effects, answer) = engine.decide_and_commit(id, &event, app.as_deref()).await?;
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
                return Err(StoreError::Unavailable("no answer to whoever was before".to_owned()).into());
            }
        };
        let outcome = self.decide_and_commit_in_turn(id, event, app).await;
        if let (Err(EngineError::Store(StoreError::Unavailable(_))), Some(turn)) = (&outcome, &turn) {
            turn.store_is_away();
        }
        outcome
    }

    async fn decide_and_commit_in_turn(
        &self,
        id: VerificationId,
        event: &Event,
        app: Option<&str>,
    ) -> Result<(Verification, Vec<Effect>, Answer), EngineError> {
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
                    let insight = self.learner.insight(before.to.country(), before.carrier()).await;
                    &Rules { insight, ..self.rules.clone() }
                }
                None => &self.rules,
            };
            let Decision { after, effects, lessons, answer } = decide(&before, event, rules, now);
            // A tick is always written down: that ends the lease under which it was claimed.
            if after == before && *event != Event::Tick {
                return Ok((after, effects, answer));
            }
            if let Outcome::Committed(_) = self.commit(&after, revision, None, now).await? {
                self.tell(Some(&before), &after, now);
                self.learner.learn(Some(&before), &after, &lessons);
                self.learner.note_facts(&before, &after);
                return Ok((after, effects, answer));
            }
        }
        Err(EngineError::Contention)
    }

    async fn load(&self, id: VerificationId) -> Result<Option<(Verification, Revision)>, StoreError> {
        let Some(stored) = self.store.load(id).await? else { return Ok(None) };
        Ok(Some((self.open(id, &stored)?, stored.revision)))
    }

    fn open(&self, id: VerificationId, stored: &Stored) -> Result<Verification, StoreError> {
        record::decode(id, stored, &self.keys)
    }

    async fn commit(
        &self,
        after: &Verification,
        expected: Revision,
        previous: Option<VerificationId>,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let due = after.due();
        let kept_until = after.ended_at.unwrap_or(after.expires_at) + self.retention;
        let outcome = self
            .store
            .commit(&Commit {
                id: after.id,
                app: after.app.clone(),
                number: self.keys.number_key(&after.app, &after.to),
                expected,
                previous,
                sealed: record::encode(after, &self.keys)?,
                created_at: after.created_at,
                due,
                keep: kept_until.since(now).max(Duration::from_secs(1)),
            })
            .await?;
        if let (Outcome::Committed(_), Some(due)) = (&outcome, due) {
            self.alarm.set(due);
        }
        Ok(outcome)
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

/// The two things about a verification that chance decides.
#[expect(clippy::disallowed_methods, reason = "the operating system's CSPRNG; decisions get its result as data")]
fn draw(code_length: u8) -> (u128, Code) {
    (rand::random(), Code::draw(code_length, &mut rand::rng()))
}
