//! [`Engine::create`]: a new verification, or the open one of the same number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::apply::Applied;
use super::batch::Batch;
use super::commit::Write;
use super::key_lock::StoreFailed;
use super::limits::LimitAnswers;
use super::{COMMIT_TRIES, Engine, EngineError};
use crate::escalation::Policy;
use crate::guard::Guesses;
use crate::phone::{Carrier, PhoneNumber};
use crate::store::{CommitMode, CommitOutcome, NumberIndex, NumberKey, PurposeKey, StoreError};
use crate::time::Timestamp;
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{
    Answer, Barred, Code, Context, Decision, Details, Event, Join, Mode, NewSession, Refusal, Request, SessionIndex,
    VerificationId, open,
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
    /// The fields that concern what is sent.
    pub details: Details,
    /// The customer's own data.
    pub metadata: BTreeMap<String, String>,
    /// Whether a repeated creation is a resend in the same session, instead of a session that joins.
    pub is_resend: bool,
    /// What its id is made of, so that a retry finds what the first try has created; `None` for a random one.
    pub seed: Option<u128>,
}

/// The result of a creation.
pub struct Created {
    /// The verification and its effects.
    pub applied: Applied,
    /// Whether an open verification of the number was joined.
    pub joined: bool,
}

/// A verification that the number and purpose have already.
enum Existing {
    /// It was open, and is joined now.
    Joined(Box<Created>),
    /// It has ended: its place in the index can be taken.
    Over,
}

impl Engine {
    /// Creates a verification, or joins the open one of the same app, number and purpose.
    ///
    /// # Errors
    /// As for [`Engine::apply`]; [`EngineError::Refused`] if a limit is reached.
    pub async fn create(&self, creation: Creation) -> Result<Created, EngineError> {
        let engine = self.clone();
        let app = creation.app.clone();
        let created = self.run_detached(async move { engine.create_or_join(creation).await }).await;
        if let Err(EngineError::Refused(Refusal::RateLimited { scope, .. })) = &created {
            self.report_trip(&app, scope.as_str(), "rate_limited");
        }
        created
    }

    /// Serializes concurrent creations for one number within this process: the first sends, the others join it and are
    /// not counted.
    async fn create_or_join(&self, creation: Creation) -> Result<Created, EngineError> {
        let numbers = self.parts.keys.number_keys(&creation.app, &creation.to);
        let number = numbers[0];
        let key = VerificationId::new(number.shard(), u128::from_be_bytes(number.0));
        let lock = self.inner.locks.acquire(key).await.map_err(|failed: StoreFailed| EngineError::from(failed))?;
        let created = self.create_or_join_locked(creation, &numbers).await;
        if let Err(EngineError::Store(StoreError::Unavailable(_))) = &created {
            lock.store_failed();
        }
        created
    }

    async fn create_or_join_locked(
        &self,
        mut creation: Creation,
        numbers: &[NumberKey],
    ) -> Result<Created, EngineError> {
        let (number, older_numbers) = (numbers[0], &numbers[1..]);
        let parts = &self.parts;
        let mut older_guesses = Guesses::default();
        // While `SECRET_KEY` is being rotated, the number may have an open verification under the previous key.
        for older in older_numbers {
            let index = parts.store.number_index(*older).await?;
            if let Some(id) = index.newest_for(PurposeKey::new(*older, &creation.details.purpose))
                && let Existing::Joined(joined) = self.join(id, &creation).await?
            {
                return Ok(*joined);
            }
            older_guesses.merge(&Guesses::from_bytes(&index.guesses));
        }
        let purpose = PurposeKey::new(number, &creation.details.purpose);
        let prefix = parts.learner.prefix_hash(&creation.to);
        let carrier_guess = parts.learner.guess(&creation.to, prefix).await;
        let mut request = self.request(&creation, number, carrier_guess, older_guesses.clone());
        let teacher = parts.learner.teacher(&request.app, prefix, request.details.client_ip);
        let insight = parts.learner.insight(teacher, request.to.country(), request.carrier_guess).await;
        // Most numbers are new, so the first commit assumes that the index is empty, and costs no extra exchange.
        let mut index = NumberIndex::default();
        let (mut limits, mut is_settled) = (LimitAnswers::default(), false);
        for _ in 0..COMMIT_TRIES {
            let now = self.now().await?;
            let context = Context { now, insight: &insight, barred: &[], session: SessionIndex::FIRST };
            let Decision { after, effects, lessons, answer } = open(request.clone(), &parts.rules, &context);
            let after = Arc::new(after);
            let charges = self.charges_of_creation(&after, &limits, now);
            let increments = self.increments_of(&charges, number);
            let mode = CommitMode::Create { previous: index.newest_for(purpose) };
            let guesses = Some(index.guesses.clone());
            let write = Write { mode, guesses, number, teacher: Some(teacher), increments, links: Vec::new(), now };
            let committed = self.commit(None, &after, write).await;
            self.inner.advances.settle(&charges, committed.as_ref().ok().map(|(outcome, _)| outcome), now);
            match committed?.0 {
                CommitOutcome::Committed => {
                    self.publish(None, &after, now);
                    parts.learner.learn(None, &after, &lessons);
                    let performance = self.perform(&after, effects);
                    let applied = Applied { verification: after, session: SessionIndex::FIRST, answer, performance };
                    return Ok(Created { applied, joined: false });
                }
                CommitOutcome::NumberInUse(named) => {
                    index = named;
                    let is_named = index.newest.iter().any(|(_, id)| *id == request.id);
                    if (is_named || creation.seed.is_some())
                        && let Some(created) = self.created_before(&mut creation, &mut request, now).await?
                    {
                        return Ok(created);
                    }
                    if let Some(id) = index.newest_for(purpose)
                        && let Existing::Joined(joined) = self.join(id, &creation).await?
                    {
                        return Ok(*joined);
                    }
                    request.guesses = Guesses::from_bytes(&index.guesses);
                    request.guesses.merge(&older_guesses);
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
                    if let Some(Barred { scope, retry_after, .. }) = limits.barred.first().copied() {
                        return Err(EngineError::Refused(Refusal::RateLimited { scope, retry_after }));
                    }
                }
                CommitOutcome::Changed(_)
                | CommitOutcome::GuessesChanged(_)
                | CommitOutcome::ReportsPending { .. }
                | CommitOutcome::LinksUnavailable
                | CommitOutcome::PossiblyStale => break,
            }
        }
        Err(EngineError::Contention)
    }

    fn request(
        &self,
        creation: &Creation,
        number: NumberKey,
        carrier_guess: Option<Carrier>,
        guesses: Guesses,
    ) -> Request {
        let length = creation.code_length.unwrap_or(self.parts.rules.code_length);
        let (drawn_id, drawn) = draw(length);
        let random = creation.seed.unwrap_or(drawn_id);
        Request {
            id: VerificationId::new(number.shard(), random),
            app: creation.app.clone(),
            to: creation.to.clone(),
            mode: creation.mode,
            policy: creation.policy,
            ttl: creation.ttl,
            calls_allowed: creation.calls_allowed,
            carrier_guess,
            code: creation.code.clone().unwrap_or(drawn),
            guesses,
            details: creation.details.clone(),
            metadata: creation.metadata.clone(),
            is_told: self.parts.webhooks.has_url(&creation.app),
        }
    }

    /// What an earlier try of this creation has made: a commit whose acknowledgement was lost, or a request with the same
    /// idempotency key whose answer was.
    async fn created_before(
        &self,
        creation: &mut Creation,
        request: &mut Request,
        now: Timestamp,
    ) -> Result<Option<Created>, EngineError> {
        let known = self.load(request.id).await?.map(|known| known.verification);
        let Some(verification) = known.filter(|v| v.app == creation.app && v.to == creation.to) else {
            return Ok(None);
        };
        let Some(session) = verification.session_of(request.id) else { return Ok(None) };
        if verification.is_final() || now.since(verification.created_at_of(session)) > LIFETIME_MAX {
            // That one is over, as after a refusal by Plivo: this try begins another.
            creation.seed = None;
            request.id = VerificationId::new(request.id.shard(), random());
            return Ok(None);
        }
        let applied = Applied { verification, session, answer: Answer::Noted, performance: None };
        Ok(Some(Created { applied, joined: session != SessionIndex::FIRST }))
    }

    /// Joins a verification if it is open.
    async fn join(&self, id: VerificationId, creation: &Creation) -> Result<Existing, EngineError> {
        let session = VerificationId::new(id.shard(), creation.seed.unwrap_or_else(random));
        let new = NewSession { id: session, metadata: creation.metadata.clone() };
        let join = Event::Joined(Join {
            channel: creation.mode.first_channel(),
            is_test: creation.details.is_test,
            code: creation.code.clone(),
            session: (!creation.is_resend).then_some(new),
        });
        match Box::pin(self.apply_here(id, Batch::new(vec![join]), None)).await {
            Ok(Applied { answer: Answer::Refused(Refusal::Final(_) | Refusal::LostInFailover), .. }) => {
                Ok(Existing::Over)
            }
            Ok(mut applied) => {
                if let Some(joined) = applied.verification.session_of(session) {
                    applied.session = joined;
                    self.remember_shared(session, id);
                }
                Ok(Existing::Joined(Box::new(Created { applied, joined: true })))
            }
            // The index outlives the record, because it holds the guesses. An unreadable record blocks no creation.
            Err(error @ (EngineError::NotFound | EngineError::Store(StoreError::Unreadable(_)))) => {
                if let EngineError::Store(error) = error {
                    error!(verification.id = %id, %error, "the number's last record is unreadable; a new one begins");
                }
                Ok(Existing::Over)
            }
            Err(error) => Err(error),
        }
    }
}

/// Draws the two random parts of a verification.
#[expect(clippy::disallowed_methods, reason = "the operating system's CSPRNG; decisions get its result as data")]
fn draw(code_length: u8) -> (u128, Code) {
    (random(), Code::draw(code_length, &mut rand::rng()))
}

#[expect(clippy::disallowed_methods, reason = "the operating system's CSPRNG; decisions get its result as data")]
fn random() -> u128 {
    rand::random()
}
