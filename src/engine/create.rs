//! [`Engine::create`]: a new verification, or the open one of the same number.

use std::time::Duration;

use tracing::error;

use super::apply::Applied;
use super::key_lock::StoreFailed;
use super::reserve::{Reservation, first_channel};
use super::{COMMIT_TRIES, Engine, EngineError};
use crate::escalation::Policy;
use crate::guard::Guesses;
use crate::phone::PhoneNumber;
use crate::store::{CommitMode, CommitOutcome, NumberKey, StoreError};
use crate::verification::{
    Answer, Channel, Code, Context, Decision, Details, Event, Mode, Refusal, Request, VerificationId, open,
};

/// What a customer asks for.
pub struct Creation {
    /// The app.
    pub app: String,
    /// The customer's own code.
    pub code: Option<Code>,
    /// Digits of a code drawn here, if not the rules'.
    pub code_length: Option<u8>,
    /// The number.
    pub to: PhoneNumber,
    /// The channels.
    pub mode: Mode,
    /// When to call, if not by the rules' policy.
    pub policy: Option<Policy>,
    /// The life of the code, if not the rules'.
    pub ttl: Option<Duration>,
    /// Whether the number's country may be called.
    pub calls_allowed: bool,
    /// The other fields.
    pub details: Details,
}

/// The result of a creation.
pub struct Created {
    /// The verification and its effects.
    pub applied: Applied,
    /// Whether an open verification of the number was joined.
    pub joined: bool,
}

/// A verification that the number has already.
enum Existing {
    /// It was open, and is joined now.
    Joined(Box<Created>),
    /// It has ended: its place in the index can be taken, and its guesses count on.
    Over(VerificationId, Guesses),
}

impl Engine {
    /// Creates a verification, or joins the open one of the same app and number.
    ///
    /// # Errors
    /// As for [`Engine::apply`]; [`EngineError::Refused`] if a limit is reached.
    pub async fn create(&self, creation: Creation) -> Result<Created, EngineError> {
        let engine = self.clone();
        self.run_detached(async move { engine.create_or_join(creation).await }).await
    }

    /// Serializes concurrent creations for one number within this process: the first sends, the others join it and are
    /// not counted.
    async fn create_or_join(&self, creation: Creation) -> Result<Created, EngineError> {
        let number = self.parts.keys.number_key(&creation.app, &creation.to);
        let key = VerificationId::new(number.shard(), u128::from_be_bytes(number.0));
        let lock = self.inner.locks.acquire(key).await.map_err(|failed: StoreFailed| EngineError::from(failed))?;
        let created = self.create_or_join_locked(creation, number).await;
        if let Err(EngineError::Store(StoreError::Unavailable(_))) = &created {
            lock.store_failed();
        }
        created
    }

    async fn create_or_join_locked(&self, creation: Creation, number: NumberKey) -> Result<Created, EngineError> {
        let parts = &self.parts;
        let join = Event::Joined { channel: creation.mode.first_channel(), is_test: creation.details.is_test };
        let mut guesses = Guesses::default();
        // While `SECRET_KEY` is being rotated, the number may have an open verification under the previous key.
        for older in parts.keys.number_keys(&creation.app, &creation.to).into_iter().skip(1) {
            if let Some(id) = parts.store.newest(older).await? {
                match self.join(id, older, &join, None).await? {
                    Existing::Joined(joined) => return Ok(*joined),
                    Existing::Over(_, known) => guesses.merge(&known),
                }
            }
        }
        let mut is_reserved = creation.details.is_test;
        let mut request = self.request(creation, number, guesses).await;
        let insight = parts.learner.insight(request.to.country(), request.carrier_guess).await;
        // Most numbers are new, so the first commit assumes that the index is empty, and costs no extra exchange.
        let (mut previous, mut reserved) = (None, None);
        for _ in 0..COMMIT_TRIES {
            let now = self.now().await?;
            let context = Context { now, insight: &insight, barred: &[] };
            let Decision { after, effects, lessons, answer } = open(request.clone(), &parts.rules, &context);
            if !is_reserved {
                let unless = previous.is_none().then_some(number);
                match self.reserve_first(&after, unless, now).await? {
                    Reservation::Granted => (is_reserved, reserved) = (true, Some(first_channel(&after))),
                    Reservation::Found(id) => match self.join(id, number, &join, None).await? {
                        Existing::Joined(joined) => return Ok(*joined),
                        Existing::Over(id, known) => {
                            request.guesses.merge(&known);
                            previous = Some(id);
                            continue;
                        }
                    },
                    Reservation::Refused(scope, retry_after) => {
                        // Another creation may have opened one just now, and it serves this one too.
                        if let Some(id) = parts.store.newest(number).await?
                            && previous != Some(id)
                            && let Existing::Joined(joined) = self.join(id, number, &join, None).await?
                        {
                            return Ok(*joined);
                        }
                        return Err(EngineError::Refused(Refusal::RateLimited { scope, retry_after }));
                    }
                }
            }
            if let CommitOutcome::Committed(_) = self.commit(&after, CommitMode::Create { previous }, now).await? {
                self.publish(None, &after, now);
                parts.learner.learn(None, &after, &lessons);
                let performance = self.perform(&after, effects);
                let applied = Applied { verification: after, answer, performance };
                return Ok(Created { applied, joined: false });
            }
            previous = parts.store.newest(number).await?;
            if let Some(id) = previous {
                // The attempt that is counted for this creation also covers the attempt that its join sends.
                match self.join(id, number, &join, reserved).await? {
                    Existing::Joined(joined) => return Ok(*joined),
                    Existing::Over(_, known) => request.guesses.merge(&known),
                }
            }
        }
        Err(EngineError::Contention)
    }

    async fn request(&self, creation: Creation, number: NumberKey, guesses: Guesses) -> Request {
        let length = creation.code_length.unwrap_or(self.parts.rules.code_length);
        let (random, drawn) = draw(length);
        let carrier_guess = self.parts.learner.guess(&creation.to).await;
        Request {
            id: VerificationId::new(number.shard(), random),
            app: creation.app,
            to: creation.to,
            mode: creation.mode,
            policy: creation.policy,
            ttl: creation.ttl,
            calls_allowed: creation.calls_allowed,
            carrier_guess,
            code: creation.code.unwrap_or(drawn),
            guesses,
            details: creation.details,
        }
    }

    /// Joins a verification if it is open.
    async fn join(
        &self,
        id: VerificationId,
        number: NumberKey,
        join: &Event,
        reserved: Option<Channel>,
    ) -> Result<Existing, EngineError> {
        match self.apply_detached(id, vec![join.clone()], None, reserved).await {
            Ok(Applied {
                answer: Answer::Refused(Refusal::Final(_) | Refusal::LostInFailover), verification, ..
            }) => Ok(Existing::Over(id, verification.guesses)),
            Ok(applied) => Ok(Existing::Joined(Box::new(Created { applied, joined: true }))),
            // The index outlives the record, because it holds the guesses. An unreadable record blocks no creation.
            Err(error @ (EngineError::NotFound | EngineError::Store(StoreError::Unreadable(_)))) => {
                if let EngineError::Store(error) = error {
                    error!(verification.id = %id, %error, "the number's last record is unreadable; a new one begins");
                }
                Ok(Existing::Over(id, Guesses::from_bytes(&self.parts.store.guesses(number).await?)))
            }
            Err(error) => Err(error),
        }
    }
}

/// Draws the two random parts of a verification.
#[expect(clippy::disallowed_methods, reason = "the operating system's CSPRNG; decisions get its result as data")]
fn draw(code_length: u8) -> (u128, Code) {
    (rand::random(), Code::draw(code_length, &mut rand::rng()))
}
