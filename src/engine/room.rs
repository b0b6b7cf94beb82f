//! Room for requests to Plivo: asked of the pacer before each request, and used by those that were parked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::batch::Batch;
use super::{Engine, EngineError};
use crate::escalation::Reason;
use crate::pacing::{Admission, Parked};
use crate::plivo::{Reply, Triggered};
use crate::verification::{AttemptIndex, AttemptRef, Channel, Effect, Event, Owed, TriggerOutcome, Verification};

/// Parked requests that a stopping replica hands back at a time.
const HANDED_BACK_AT_ONCE: usize = 32;

/// The pause after an exchange that the store did not answer.
const PAUSE: Duration = Duration::from_millis(500);

impl Engine {
    /// Asks to request an attempt now. Otherwise returns what becomes of the request.
    pub(super) async fn admit(
        &self,
        v: &Verification,
        owed: &Owed,
        attempt: AttemptIndex,
    ) -> Result<(), Option<Event>> {
        let pacer = &self.parts.pacer;
        let parked = parked(v, attempt);
        let is_watched = owed.round == 0 || v.attempt(attempt).is_some_and(|a| a.is_passed_on);
        let is_watched = is_watched && !is_automatic_call(v, attempt);
        let admission = if is_watched { pacer.admit_watched(parked).await } else { pacer.admit_owed(parked).await };
        if let Admission::Later(expected) = admission {
            let outcome = TriggerOutcome::Waiting { expected, round: owed.round };
            return Err(Some(Event::Triggered { attempt, outcome }));
        }
        // The process may have been stopped for a while: then another replica has taken the request over.
        let is_leased = self.parts.clock.now().await.is_ok_and(|now| now < owed.due);
        if !is_leased {
            warn!(verification.id = %v.id, "the lease of a request has expired before the request was made");
            return Err(None);
        }
        Ok(())
    }

    /// Tells the pacer what Plivo answered. Returns the outcome if the circuit breaker did not let the request through.
    pub(super) fn heed(
        &self,
        v: &Verification,
        owed: &Owed,
        attempt: AttemptIndex,
        triggered: &Triggered,
    ) -> Option<Event> {
        let (pacer, parked) = (&self.parts.pacer, parked(v, attempt));
        match &triggered.reply {
            Reply::NotNow(_, pause) if !triggered.was_asked => {
                pacer.held(parked, pause.unwrap_or_default());
                let outcome = TriggerOutcome::Waiting { expected: Duration::ZERO, round: owed.round };
                return Some(Event::Triggered { attempt, outcome });
            }
            Reply::NotNow(Some(429), retry_after) => pacer.refused(*retry_after),
            Reply::Success(..) | Reply::Refused(..) => pacer.answered(),
            Reply::NotNow(..) | Reply::Failed(_) => pacer.failed(parked),
            Reply::Silent => {}
        }
        None
    }

    /// Makes a parked request, for which there is room now, or else the next one that is still owed.
    async fn resume(&self, parked: Parked) {
        let mut next = Some(parked);
        while let Some(parked) = next {
            next = self.resume_one(parked).await;
        }
    }

    /// Returns the request that may be made instead, if this one has ended or another replica has made it.
    async fn resume_one(&self, parked: Parked) -> Option<Parked> {
        let AttemptRef { id, attempt } = parked.attempt;
        let change = self.change(id, Batch::new(vec![Event::Admitted { attempt }]), None, None).await;
        match change {
            Ok(change) => {
                let is_made = change.effects.contains(&Effect::Trigger { attempt });
                drop(self.perform(&change.after, change.effects));
                if is_made { None } else { self.parts.pacer.pass_on(parked) }
            }
            Err(EngineError::NotFound) => self.parts.pacer.pass_on(parked),
            Err(error) => {
                self.parts.pacer.withdraw(parked);
                debug!(verification.id = %id, %error, "a parked request stays owed");
                None
            }
        }
    }

    /// Lets other replicas make the requests that are parked here.
    pub async fn hand_back(&self) {
        let parked = self.parts.pacer.hand_back();
        stream::iter(parked)
            .for_each_concurrent(HANDED_BACK_AT_ONCE, |Parked { attempt: AttemptRef { id, attempt }, .. }| async move {
                let change = self.change(id, Batch::new(vec![Event::HandedBack { attempt }]), None, None).await;
                if let Err(error) = change {
                    debug!(verification.id = %id, %error, "a parked request is taken over when its lease ends");
                }
            })
            .await;
    }
}

/// Makes parked requests as the pacer finds room, until `stop` is cancelled.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let pacer = Arc::clone(&engine.parts.pacer);
    loop {
        pacer.next_exchange(&stop).await;
        if stop.is_cancelled() {
            return;
        }
        let exchanged = match engine.now().await {
            Ok(now) => pacer.exchange(now).await,
            Err(error) => Err(error),
        };
        match exchanged {
            Ok(admitted) => {
                for parked in admitted {
                    let engine = engine.clone();
                    engine.clone().spawn_detached(async move { engine.resume(parked).await });
                }
            }
            Err(error) => {
                debug!(%error, "requests to Plivo could not be counted; they are counted later");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn parked(v: &Verification, attempt: AttemptIndex) -> Parked {
    Parked { created_at: v.created_at, attempt: AttemptRef { id: v.id, attempt } }
}

/// Whether it is a call that no person has asked for.
fn is_automatic_call(v: &Verification, attempt: AttemptIndex) -> bool {
    v.attempt(attempt).is_some_and(|a| a.channel == Channel::Call && a.reason != Some(Reason::Requested))
}
