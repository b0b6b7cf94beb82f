//! Performs the effects of committed decisions, and brings their outcomes back as events.
//!
//! A client's disconnect cancels none. If the process dies, the effect is still owed in the store, and another replica
//! performs it when its lease expires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tracing::{debug, error, warn};

use super::apply::Change;
use super::batch::Batch;
use super::failpoint::Failpoint;
use super::performance::{Performance, Progress};
use super::{Engine, EngineError};
use crate::plivo::{Reply, Trigger, Triggered};
use crate::store::StoreError;
use crate::verification::rules::{LIFETIME_MAX, OUTCOME_HOLD};
use crate::verification::{
    AttemptIndex, AttemptRef, Channel, Effect, Event, ProviderId, TriggerOutcome, TriggerReply, TriggerRequest,
    Verification, outcome_of,
};

/// The pauses between tries to commit an outcome.
const COMMIT_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

impl Engine {
    /// The effects of a committed decision, for the caller to wait for, or to drop.
    pub(super) fn perform(&self, after: &Arc<Verification>, effects: Vec<Effect>) -> Option<Performance> {
        let effects = self.start_telling(after, effects);
        if effects.is_empty() {
            return None;
        }
        let (progress, state) = Progress::of(Arc::clone(after), effects.len());
        let (engine, after) = (self.clone(), Arc::clone(after));
        let work = self.run_detached(async move {
            // Concurrently: a text for which Plivo takes long delays no call.
            let mut under_way = FuturesUnordered::new();
            let start = |v: &Arc<Verification>, effects: Vec<Effect>| {
                effects.into_iter().map(|effect| engine.carry_out(Arc::clone(v), effect, &progress)).collect::<Vec<_>>()
            };
            under_way.extend(start(&after, effects));
            while let Some(done) = under_way.next().await {
                let further = done.as_ref().map_or(0, |(_, effects)| effects.len());
                if let Some((after, effects)) = done {
                    under_way.extend(start(&after, effects));
                }
                progress.ended(further);
            }
        });
        Some(Performance::begin(state, work, self.parts.rests.clone()))
    }

    /// Performs one effect and commits its outcome. `None` if there is no outcome, or if it could not be committed.
    async fn carry_out(
        &self,
        v: Arc<Verification>,
        effect: Effect,
        progress: &Progress,
    ) -> Option<(Arc<Verification>, Vec<Effect>)> {
        let event = self.perform_one(&v, effect).await?;
        Failpoint::Answered.reached();
        match self.commit_outcome(&v, &event, Some(progress)).await {
            Ok(Change { after, effects, .. }) => {
                let effects = self.start_telling(&after, effects);
                Some((after, effects))
            }
            Err(EngineError::NotFound) => {
                self.hang_up_erased(&v, &event).await;
                None
            }
            Err(error) => {
                error!(verification.id = %v.id, %error, "the outcome of an effect is lost; the effect stays owed");
                None
            }
        }
    }

    async fn perform_one(&self, v: &Verification, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Trigger { attempt } => self.trigger(v, attempt).await,
            Effect::HangUp { attempt } => self.hang_up(v, attempt).await,
            Effect::Identify { attempt, run_id } => self.identify(v, attempt, &run_id).await,
            Effect::LookUp { attempt } => Some(self.look_up(v, attempt).await),
            Effect::Link { provider_id, attempt } => {
                match self.link(&provider_id, AttemptRef { id: v.id, attempt }).await {
                    Ok(()) => Some(Event::Linked { provider_id }),
                    Err(error) => {
                        warn!(verification.id = %v.id, %error, "a UUID could not be mapped; the effect stays owed");
                        None
                    }
                }
            }
            // Started apart: see `tell.rs`.
            Effect::Tell { .. } => None,
        }
    }

    /// Asks Plivo for an attempt, once.
    async fn trigger(&self, v: &Verification, attempt: AttemptIndex) -> Option<Event> {
        // Once a stop has run out of time nothing new starts: the effect is left to other replicas.
        if self.parts.closing.is_cancelled() {
            return Some(Event::HandedBack { attempt });
        }
        let to = AttemptRef { id: v.id, attempt };
        let (a, pending) = (v.attempt(attempt)?, v.pending()?);
        let trigger = Trigger {
            app: &v.app,
            attempt: to,
            channel: a.channel,
            to: &v.to,
            code: &pending.code,
            details: &v.details,
        };
        let owed = v.owed.iter().find(|owed| owed.effect == Effect::Trigger { attempt })?;
        if let Err(outcome) = self.admit(v, owed, attempt).await {
            return outcome;
        }
        let started = Instant::now();
        let triggered = tokio::select! {
            triggered = self.parts.plivo.trigger(&trigger, a.is_passed_on) => Some(triggered),
            () = self.parts.closing.cancelled() => None,
        };
        // A request that a stop cut off counts as unanswered, so that it is not repeated.
        let Some(triggered) = triggered else {
            return Some(Event::Triggered { attempt, outcome: TriggerOutcome::TimedOut { via: None } });
        };
        if let Some(outcome) = self.heed(v, owed, attempt, &triggered) {
            return Some(outcome);
        }
        let Triggered { via, reply, provider_id, run_id, .. } = triggered;
        self.parts.metrics.plivo_request(a.channel, via, &reply, started.elapsed());
        let reply = match reply {
            Reply::Success(..) => TriggerReply::Accepted { provider_id: provider_id.map(unlinked), run_id },
            Reply::Refused(status, scope) => TriggerReply::Refused { status, scope },
            Reply::NotNow(status, retry_after) => TriggerReply::NotNow { status, retry_after },
            Reply::Failed(status) => TriggerReply::Failed { status },
            Reply::Silent => TriggerReply::Silent,
        };
        let request = TriggerRequest { channel: a.channel, via, round: owed.round, failed: a.failed_requests };
        let outcome = outcome_of(request, reply, jitter(0.9));
        Some(Event::Triggered { attempt, outcome })
    }

    /// Asks Plivo to hang up a call that may still ring. A call that is over needs no retry.
    async fn hang_up(&self, v: &Verification, attempt: AttemptIndex) -> Option<Event> {
        let uuid = v.attempt(attempt)?.provider_id.as_deref()?;
        self.parts.pacer.spend();
        let is_done = match self.parts.plivo.cancel_call(uuid).await {
            Reply::Success(..) | Reply::Refused(404, _) => true,
            Reply::Refused(status, _) => {
                warn!(verification.id = %v.id, status, "Plivo refused to hang up a call; it may still ring");
                true
            }
            reply @ (Reply::NotNow(..) | Reply::Failed(_) | Reply::Silent) => {
                warn!(verification.id = %v.id, ?reply, "a call could not be hung up; the request is repeated");
                false
            }
        };
        Some(Event::HungUp { attempt, is_done })
    }

    /// Hangs up a call whose verification was erased while Plivo was asked for it: no record leads to it any more.
    async fn hang_up_erased(&self, v: &Verification, event: &Event) {
        let Event::Triggered { attempt, .. } = event else { return };
        let is_call = v.attempt(*attempt).is_some_and(|a| a.channel == Channel::Call);
        if let Some(uuid) = event.provider_id().filter(|_| is_call) {
            let reply = self.parts.plivo.cancel_call(uuid).await;
            debug!(verification.id = %v.id, ?reply, "the call of an erased verification is hung up");
        }
    }

    /// Asks what a run of the PHLO created, so that reports that carry only its UUID find their attempt.
    async fn identify(&self, v: &Verification, attempt: AttemptIndex, run_id: &str) -> Option<Event> {
        let channel = v.attempt(attempt)?.channel;
        if !self.parts.pacer.admit_lookup() {
            return Some(Event::Identified { attempt, provider_id: None });
        }
        let provider_id = self.parts.plivo.find_provider_id(&v.app, run_id, channel).await.map(unlinked);
        Some(Event::Identified { attempt, provider_id })
    }

    /// Commits an outcome, and retries while the store fails.
    ///
    /// The effects that follow are returned, because the caller performs them. Retries last for [`OUTCOME_HOLD`] if the
    /// effect is re-issued anyway. Other outcomes exist only in this process: losing one could place a second call.
    pub(super) async fn commit_outcome(
        &self,
        v: &Verification,
        event: &Event,
        progress: Option<&Progress>,
    ) -> Result<Change, EngineError> {
        let hold = match event {
            Event::Triggered { outcome, .. } => match outcome {
                TriggerOutcome::Deferred { .. } | TriggerOutcome::PassedOn { .. } | TriggerOutcome::Waiting { .. } => {
                    OUTCOME_HOLD
                }
                TriggerOutcome::Accepted { .. } | TriggerOutcome::Refused { .. } | TriggerOutcome::TimedOut { .. } => {
                    LIFETIME_MAX
                }
            },
            // Every other outcome: the lease of the effect re-issues it.
            _ => OUTCOME_HOLD,
        };
        let (first, most) = COMMIT_PAUSE;
        let pauses = ExponentialBuilder::default().with_min_delay(first).with_max_delay(most).without_max_times();
        // backon's own limit counts the pauses alone, not the time that the store takes to fail.
        let started = Instant::now();
        (|| self.change(v.id, Batch::new(vec![event.clone()]), None, progress))
            .retry(pauses)
            .when(|error| {
                let is_temporary = matches!(error, EngineError::Store(StoreError::Unavailable(_)));
                is_temporary && started.elapsed() < hold && !self.parts.closing.is_cancelled()
            })
            .await
    }
}

/// A provider id that the commit of its outcome links.
pub(super) fn unlinked(uuid: String) -> ProviderId {
    ProviderId { uuid, is_linked: false }
}

/// A factor from `least` to 1, by which pauses differ.
#[expect(clippy::disallowed_methods, reason = "jitter; the decision gets it as data")]
pub(super) fn jitter(least: f64) -> f64 {
    rand::rng().random_range(least..=1.0)
}
