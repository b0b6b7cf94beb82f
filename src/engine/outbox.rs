//! One effect, one call; the outcome goes back in as an event.
//!
//! Effects run as tasks of the process, not of the request that caused them: a client that hangs up changes
//! nothing. If the process dies instead, the effect is still owed in the store.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tokio::sync::watch;
use tracing::{Instrument, debug, error, warn};

use super::{Engine, EngineError};
use crate::plivo::{Reply, Trigger, Triggered};
use crate::store::{NONCE_TTL, NonceClaim, PendingReport, ReportTarget, StoreError, SwapOutcome};
use crate::verification::Via;
use crate::verification::event::{ProviderId, RefusalScope, TriggerOutcome};
use crate::verification::rules::{LIFETIME_MAX, OUTCOME_HOLD};
use crate::verification::{Answer, AttemptRef, Channel, Effect, Event, Refusal, Seen, Verification};

/// Pauses before Plivo is asked again, unless it named one: doubled each time, with jitter.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// Effects under way, and the state as they leave it.
pub struct Performance(watch::Receiver<Progress>);

struct Progress {
    latest: Verification,
    is_done: bool,
}

impl Performance {
    /// Waits up to `limit` until nothing more follows at once, and gives the state as it is then.
    pub async fn settled(mut self, limit: Duration) -> Verification {
        let _ = tokio::time::timeout(limit, self.0.wait_for(|progress| progress.is_done)).await;
        self.0.borrow().latest.clone()
    }
}

impl Engine {
    /// Performs what a committed decision owes.
    pub(super) fn perform(&self, after: &Verification, effects: Vec<Effect>) -> Option<Performance> {
        if effects.is_empty() {
            return None;
        }
        let (progress, performance) = watch::channel(Progress { latest: after.clone(), is_done: false });
        let (engine, after) = (self.clone(), after.clone());
        let task = async move {
            // Side by side: a text that Plivo takes long over holds up no call.
            let mut under_way = FuturesUnordered::new();
            let start = |v: &Verification, effects: Vec<Effect>| {
                effects.into_iter().map(|effect| engine.clone().carry_out(v.clone(), effect)).collect::<Vec<_>>()
            };
            under_way.extend(start(&after, effects));
            while let Some(done) = under_way.next().await {
                if let Some((after, effects)) = done {
                    under_way.extend(start(&after, effects));
                    progress.send_modify(|progress| progress.latest = after);
                }
            }
            progress.send_modify(|progress| progress.is_done = true);
        };
        self.tasks.spawn_on(task.in_current_span(), &self.runtime);
        Some(Performance(performance))
    }

    /// One effect and what its outcome changes; `None` when that is nothing, or is lost.
    async fn carry_out(self, v: Verification, effect: Effect) -> Option<(Verification, Vec<Effect>)> {
        let event = self.perform_one(&v, effect).await?;
        match self.bring_back(&v, &event).await {
            Ok(after) => Some(after),
            Err(EngineError::NotFound) => {
                self.take_back_what_nobody_knows_of(&v, &event).await;
                None
            }
            Err(error) => {
                error!(verification.id = %v.id, %error, "the outcome of an effect is lost; it stays owed");
                None
            }
        }
    }

    async fn perform_one(&self, v: &Verification, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Trigger { attempt } => self.trigger(v, attempt).await,
            Effect::HangUp { attempt } => self.hang_up(v, attempt).await,
            Effect::Identify { attempt, run_id } => self.identify(v, attempt, &run_id).await,
            Effect::Link { provider_id, attempt } => {
                match self.link(&provider_id, AttemptRef { id: v.id, attempt }).await {
                    Ok(()) => Some(Event::Linked { provider_id }),
                    Err(error) => {
                        warn!(verification.id = %v.id, %error, "a link could not be made; it stays owed");
                        None
                    }
                }
            }
        }
    }

    async fn trigger(&self, v: &Verification, attempt: u8) -> Option<Event> {
        // Nothing new is begun once a stop has run out of time: it stays owed, for others.
        if self.closing.is_cancelled() {
            return None;
        }
        let to = AttemptRef { id: v.id, attempt };
        let (Some(a), Some(code)) = (v.attempts.get(usize::from(attempt)), &v.code) else { return None };
        let trigger = Trigger { attempt: to, channel: a.channel, to: &v.to, code, details: &v.details };
        let round = v.owed.iter().find(|o| o.effect == Effect::Trigger { attempt }).map_or(0, |o| o.round);
        let started = std::time::Instant::now();
        let triggered = tokio::select! {
            triggered = self.plivo.trigger(&trigger, a.is_passed_on) => Some(triggered),
            () = self.closing.cancelled() => None,
        };
        // A stop that cannot wait any longer: as if Plivo had not answered, so that nobody asks again.
        let Some(Triggered { via, reply, was_asked, provider_id, run_id }) = triggered else {
            return Some(Event::Triggered { attempt, outcome: TriggerOutcome::TimedOut { via: None } });
        };
        if was_asked {
            self.metrics.plivo_request(a.channel, via, &reply, started.elapsed());
        }
        let (is_text, is_run) = (a.channel == Channel::Sms, via == Via::Phlo);
        let outcome = match reply {
            Reply::Success(..) => {
                let provider_id = self.linked(provider_id, to).await;
                TriggerOutcome::Accepted { via, provider_id, run_id }
            }
            // The direct API may take what the runner does not. With these credentials it will not, and a country
            // that is barred, or a node inside a run that failed (2xx), fail there as well.
            Reply::Refused(provider_status @ 300..500, RefusalScope::Attempt | RefusalScope::Account)
                if is_run && provider_status != 401 =>
            {
                TriggerOutcome::PassedOn { provider_status: Some(provider_status), round }
            }
            Reply::Refused(provider_status, scope) => TriggerOutcome::Refused { via, provider_status, scope },
            Reply::NotNow(provider_status, _) if is_run => TriggerOutcome::PassedOn { provider_status, round },
            // A doubled text carries the same code; a doubled call rings twice.
            Reply::Failed(status) if is_run && is_text => {
                TriggerOutcome::PassedOn { provider_status: Some(status), round }
            }
            Reply::NotNow(provider_status, asked) => self.put_off(provider_status, asked, round),
            Reply::Failed(status) if is_text => self.put_off(Some(status), None, round),
            Reply::Failed(_) | Reply::Silent => TriggerOutcome::TimedOut { via: Some(via) },
        };
        Some(Event::Triggered { attempt, outcome })
    }

    fn put_off(&self, provider_status: Option<u16>, asked: Option<Duration>, round: u16) -> TriggerOutcome {
        // Never sooner than we would have come back anyway: a Retry-After of 0 asks for a flood.
        // Not all at the same moment either, where all were told the same.
        let retry_after = asked.map(|asked| asked + self.backoff(0)).unwrap_or_default().max(self.backoff(round));
        TriggerOutcome::Deferred { provider_status, retry_after, round }
    }

    /// Takes a call back that may still ring. One that is over is as good; what could not be asked stays owed for
    /// as long as the phone may ring.
    async fn hang_up(&self, v: &Verification, attempt: u8) -> Option<Event> {
        let uuid = v.attempts.get(usize::from(attempt))?.provider_id.as_deref()?;
        match self.plivo.cancel_call(uuid).await {
            Reply::Success(..) | Reply::Refused(404, _) => {}
            Reply::Refused(status, _) => {
                warn!(verification.id = %v.id, status, "Plivo would not take a call back; it may still ring");
            }
            reply @ (Reply::NotNow(..) | Reply::Failed(_) | Reply::Silent) => {
                warn!(verification.id = %v.id, ?reply, "a call could not be taken back; it is tried again");
                return Some(Event::HungUp { attempt, is_done: false });
            }
        }
        Some(Event::HungUp { attempt, is_done: true })
    }

    /// Its verification was erased while Plivo was asked for a call: nobody else can take that back any more.
    async fn take_back_what_nobody_knows_of(&self, v: &Verification, event: &Event) {
        let Event::Triggered { attempt, .. } = event else { return };
        if v.attempts.get(usize::from(*attempt)).is_some_and(|a| a.channel == Channel::Call) {
            for uuid in event.provider_ids() {
                let reply = self.plivo.cancel_call(uuid).await;
                debug!(verification.id = %v.id, ?reply, "a call of an erased verification is taken back");
            }
        }
    }

    /// Asks what a run of the PHLO made, so that reports that carry only its UUID find their attempt.
    async fn identify(&self, v: &Verification, attempt: u8, run_id: &str) -> Option<Event> {
        let channel = v.attempts.get(usize::from(attempt))?.channel;
        let uuid = self.plivo.find_provider_id(run_id, channel).await;
        let provider_id = self.linked(uuid, AttemptRef { id: v.id, attempt }).await;
        Some(Event::Identified { attempt, provider_id })
    }

    #[expect(clippy::disallowed_methods, reason = "jitter; what is decided on is the pause that comes of it")]
    fn backoff(&self, round: u16) -> Duration {
        let (first, most) = BACKOFF;
        let full = first.saturating_mul(2u32.saturating_pow(u32::from(round))).min(most);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// Links a UUID before it is told of. If that cannot be done now it is owed with what is told.
    pub async fn linked(&self, uuid: Option<String>, to: AttemptRef) -> Option<ProviderId> {
        let uuid = uuid?;
        let is_linked = self.link(&uuid, to).await.is_ok();
        Some(ProviderId { uuid, is_linked })
    }

    /// Makes callbacks that carry only a UUID find their attempt, and applies those that came before.
    ///
    /// # Errors
    /// When the store does not take part of it; all of it can be done again.
    async fn link(&self, provider_id: &str, to: AttemptRef) -> Result<(), EngineError> {
        let parked = self.store.link(provider_id, to, self.retention + LIFETIME_MAX).await?;
        if parked.is_empty() {
            return Ok(());
        }
        for report in parked {
            self.apply(to.id, &reported(to.attempt, report, provider_id)).await?;
        }
        Ok(self.store.forget_pending(provider_id).await?)
    }

    /// Applies a report that carries no ref, once if it is signed, or keeps it until its attempt is known.
    ///
    /// # Errors
    /// When the store did not take it, and then it must be sent again; or its verification is forgotten since.
    pub async fn report(
        &self,
        provider_id: &str,
        report: PendingReport,
        seen: Option<Seen>,
    ) -> Result<Reported, EngineError> {
        let found = match seen {
            Some(seen) => self.store.claim_then_find_or_keep(&nonce(seen), provider_id, &report).await?,
            None => self
                .store
                .find_or_keep(provider_id, &report)
                .await?
                .map_or(ReportTarget::Pending, ReportTarget::Attempt),
        };
        let to = match found {
            ReportTarget::Attempt(to) => to,
            ReportTarget::Pending => return Ok(Reported::Parked),
            ReportTarget::Replayed => return Ok(Reported::Replayed),
        };
        let event = reported(to.attempt, report, provider_id);
        let event = match seen {
            Some(seen) => Event::Signed { seen, told: vec![event] },
            None => event,
        };
        Ok(Reported::of(self.apply(to.id, &event).await?.answer))
    }

    /// Claims the nonce of a signed callback whose words are unknown. False when it came with other words before.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn claim(&self, seen: Seen) -> Result<bool, EngineError> {
        let nonce = nonce(seen);
        Ok(self.store.compare_and_swap(&nonce.name, None, &nonce.content_hash, NONCE_TTL).await?
            == SwapOutcome::Written)
    }

    /// Applies an outcome, holding on to it while the store is away. What follows from it is returned, not
    /// performed: the caller is the one performing.
    ///
    /// That something is to be asked again is kept in the store in any case, by the lease. Everything else is known
    /// here alone, and without it a phone might ring twice.
    async fn bring_back(&self, v: &Verification, event: &Event) -> Result<(Verification, Vec<Effect>), EngineError> {
        let hold = match event {
            Event::Triggered { outcome: TriggerOutcome::Deferred { .. } | TriggerOutcome::PassedOn { .. }, .. }
            | Event::Linked { .. }
            | Event::HungUp { .. }
            | Event::Identified { .. } => OUTCOME_HOLD,
            _ => LIFETIME_MAX,
        };
        let (started, mut pause) = (std::time::Instant::now(), Duration::from_millis(100));
        loop {
            match self.decide_and_commit(v.id, event, None, None).await {
                Err(EngineError::Store(StoreError::Unavailable(_)))
                    if started.elapsed() < hold && !self.closing.is_cancelled() =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                other => return other.map(|(after, effects, _)| (after, effects)),
            }
        }
    }
}

/// What became of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It was taken down.
    Applied,
    /// It waits for its attempt to become known.
    Parked,
    /// It had been taken down before.
    Repeated,
    /// Refused: its nonce came with another body before.
    Replayed,
}

impl Reported {
    /// As a verification answered.
    pub fn of(answer: Answer) -> Self {
        match answer {
            Answer::Repeated { .. } => Self::Repeated,
            Answer::Refused(Refusal::Replayed) => Self::Replayed,
            Answer::Noted | Answer::Correct | Answer::Incorrect | Answer::Refused(_) => Self::Applied,
        }
    }
}

/// Where it is remembered for a while what a callback came with that may be of no verification.
fn nonce(seen: Seen) -> NonceClaim {
    NonceClaim { name: format!("n:{:016x}", seen.nonce), content_hash: seen.told.to_be_bytes() }
}

fn reported(attempt: u8, report: PendingReport, provider_id: &str) -> Event {
    let provider_id = Some(ProviderId { uuid: provider_id.to_owned(), is_linked: true });
    match report {
        PendingReport::Text(report, facts) => Event::TextReported { attempt, report, provider_id, facts },
        PendingReport::Call(report, facts) => Event::CallReported { attempt, report, provider_id, facts },
    }
}
