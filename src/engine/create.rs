//! [`Engine::create`]: a new verification, or the open one of the same number.

use std::time::Duration;

use tracing::error;

use super::key_lock::StoreIsAway;
use super::reserve::{Permit, first_channel};
use super::{Applied, COMMIT_TRIES, Engine, EngineError};
use crate::escalation::Policy;
use crate::guard::Guesses;
use crate::phone::PhoneNumber;
use crate::store::{CommitMode, CommitOutcome, NumberKey, OutageCause, StoreError};
use crate::verification::state::Details;
use crate::verification::{
    Answer, Channel, Code, Decision, Event, Mode, Refusal, Request, Rules, VerificationId, open,
};

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

/// What there is of a number already.
enum Known {
    /// One that is open, and now joined.
    Open(Box<Created>),
    /// One that is over.
    Over(VerificationId, Guesses),
}

impl Engine {
    /// Creates a verification, or joins the open one of the same app and number.
    ///
    /// # Errors
    /// As for [`Engine::apply`].
    pub async fn create(&self, creation: Creation) -> Result<Created, EngineError> {
        let engine = self.clone();
        self.to_its_end(async move { engine.create_or_join(creation).await }).await
    }

    /// Within this process the creations of one number take turns: of a hundred at once one sends, the others join it
    /// and count against no limit.
    async fn create_or_join(&self, creation: Creation) -> Result<Created, EngineError> {
        let number = self.keys.number_key(&creation.app, &creation.to);
        let turn = self.turns.take(VerificationId::new(number.shard(), u128::from_be_bytes(number.0))).await;
        let turn = turn.map_err(|StoreIsAway| StoreError::Unavailable(OutageCause::PredecessorFailed))?;
        let created = self.create_or_join_in_turn(creation, number).await;
        if let Err(EngineError::Store(StoreError::Unavailable(_))) = &created {
            turn.store_is_away();
        }
        created
    }

    async fn create_or_join_in_turn(&self, creation: Creation, number: NumberKey) -> Result<Created, EngineError> {
        let (channel, is_test) = (creation.mode.first_channel(), creation.details.is_test);
        let join = Event::Joined { channel, is_test };
        let mut guesses = Guesses::default();
        // While a SECRET_KEY is being rotated an open one may still be known under the key before.
        for older in self.keys.number_keys(&creation.app, &creation.to).into_iter().skip(1) {
            if let Some(id) = self.store.newest(older).await? {
                match self.join(id, older, &join, None).await? {
                    Known::Open(joined) => return Ok(*joined),
                    Known::Over(_, known) => guesses.merge(&known),
                }
            }
        }
        let length = creation.code_length.unwrap_or(self.rules.code_length);
        let (random, drawn) = draw(length);
        let (id, code) = (VerificationId::new(number.shard(), random), creation.code.unwrap_or(drawn));
        let carrier_guess = self.learner.guess(&creation.to).await;
        let insight = self.learner.insight(creation.to.country(), carrier_guess).await;
        let rules = Rules { insight, ..self.rules.clone() };
        let mut request = Request {
            id,
            app: creation.app,
            to: creation.to,
            mode: creation.mode,
            policy: creation.policy,
            ttl: creation.ttl,
            calls_allowed: creation.calls_allowed,
            carrier_guess,
            code,
            guesses,
            details: creation.details,
        };
        // Most numbers are new: that nothing is there is tried first and costs no exchange of its own.
        let (mut previous, mut is_permitted, mut granted) = (None, is_test, None);
        for _ in 0..COMMIT_TRIES {
            let now = self.clock.now().await?;
            let decision = open(request.clone(), &rules, now);
            if !is_permitted {
                let unless = previous.is_none().then_some(number);
                match self.permit_to_begin(&decision.after, unless, now).await? {
                    Permit::Granted => (is_permitted, granted) = (true, Some(first_channel(&decision.after))),
                    Permit::Found(id) => match self.join(id, number, &join, None).await? {
                        Known::Open(joined) => return Ok(*joined),
                        Known::Over(id, known) => {
                            request.guesses.merge(&known);
                            previous = Some(id);
                            continue;
                        }
                    },
                    Permit::Refused(scope, retry_after) => {
                        // Somebody may have begun one just now, and it serves this one as well.
                        if let Some(id) = self.store.newest(number).await?
                            && previous != Some(id)
                            && let Known::Open(joined) = self.join(id, number, &join, None).await?
                        {
                            return Ok(*joined);
                        }
                        return Err(EngineError::Refused(Refusal::RateLimited { scope, retry_after }));
                    }
                }
            }
            let Decision { after, effects, lessons, answer } = decision;
            if let CommitOutcome::Committed(_) = self.commit(&after, CommitMode::Create { previous }, now).await? {
                self.tell(None, &after, now);
                self.learner.learn(None, &after, &lessons);
                let performance = self.perform(&after, effects);
                let applied = Applied { verification: after, answer, performance };
                return Ok(Created { applied, joined: false });
            }
            previous = self.store.newest(number).await?;
            if let Some(id) = previous {
                // What was counted for this creation is good for what it sends as it joins.
                match self.join(id, number, &join, granted).await? {
                    Known::Open(joined) => return Ok(*joined),
                    Known::Over(_, known) => request.guesses.merge(&known),
                }
            }
        }
        Err(EngineError::Contention)
    }

    /// Joins a verification if it is open. When it is over, its place in the index can be taken, and what was guessed
    /// for its number is carried on.
    async fn join(
        &self,
        id: VerificationId,
        number: NumberKey,
        join: &Event,
        granted: Option<Channel>,
    ) -> Result<Known, EngineError> {
        match self.apply_if(id, join, None, granted).await {
            Ok(Applied { answer: Answer::Refused(Refusal::Final(_) | Refusal::Lost), verification, .. }) => {
                Ok(Known::Over(id, verification.guesses))
            }
            Ok(applied) => Ok(Known::Open(Box::new(Created { applied, joined: true }))),
            // The index outlives the record for the sake of the guesses. One that cannot be read keeps nobody out.
            Err(error @ (EngineError::NotFound | EngineError::Store(StoreError::Unreadable(_)))) => {
                if let EngineError::Store(error) = error {
                    error!(verification.id = %id, %error, "its number begins anew");
                }
                Ok(Known::Over(id, Guesses::from_bytes(&self.store.guesses(number).await?)))
            }
            Err(error) => Err(error),
        }
    }
}

/// The two things about a verification that chance decides.
#[expect(clippy::disallowed_methods, reason = "the operating system's CSPRNG; decisions get its result as data")]
fn draw(code_length: u8) -> (u128, Code) {
    (rand::random(), Code::draw(code_length, &mut rand::rng()))
}
