//! The timers: claim due verifications and apply a tick to each. `verification::decide` decides what the tick does.
//!
//! Due times are in the store. A replica claims them with a lease. If it does not finish, another replica claims them
//! when the lease expires.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::batch::Batch;
use super::failpoint::Failpoint;
use super::{Engine, EngineError};
use crate::store::{StoreError, StoredRecord};
use crate::time::Timestamp;
use crate::verification::{Event, VerificationId};

/// The longest pause between two claims: another replica may have died and left due timers.
const POLL: Duration = Duration::from_secs(1);
/// The lease of a claim.
const CLAIM_LEASE: Duration = Duration::from_secs(10);
/// Verifications claimed at a time, and ticks decided concurrently.
const CLAIM_MAX: usize = 256;
const TICKS_MAX: usize = 32;

/// The earliest due time that this process has committed since the timers last looked.
#[derive(Default)]
pub struct Alarm {
    earliest: AtomicI64,
    rang: Notify,
}

impl Alarm {
    /// Something is due at `at`.
    pub fn set(&self, at: Timestamp) {
        if at.as_millis() < self.earliest.fetch_min(at.as_millis(), Ordering::AcqRel) {
            self.rang.notify_one();
        }
    }

    /// The timers look at everything that is due now.
    fn reset(&self) {
        self.earliest.store(i64::MAX, Ordering::Release);
    }

    fn earliest(&self) -> Timestamp {
        Timestamp::from_millis(self.earliest.load(Ordering::Acquire))
    }
}

/// Applies ticks to due verifications until `stop` is cancelled.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let (mut pause, mut failing_since) = (POLL, None);
    loop {
        // Not interrupted: what is claimed would wait for the end of its lease.
        let next = engine.wake_due_until(&stop).await;
        if stop.is_cancelled() {
            return;
        }
        match next {
            Ok(until) => {
                pause = POLL;
                if let Some(since) = failing_since.take().map(|since: Instant| since.elapsed()) {
                    info!(
                        event = "store_available",
                        seconds = since.as_secs_f64(),
                        "the store answers the timers again"
                    );
                }
                sleep(&engine, until, &stop).await;
            }
            Err(error) => {
                failing_since.get_or_insert_with(Instant::now);
                warn!(event = "store_unavailable", %error, "the timers cannot reach the store; they try again");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
                }
            }
        }
    }
}

/// Sleeps until `until`, or until something is due earlier than that.
async fn sleep(engine: &Engine, mut until: Timestamp, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.parts.clock.sleep_until(until) => return,
            () = engine.inner.alarm.rang.notified() => until = until.min(engine.inner.alarm.earliest()),
        }
    }
}

impl Engine {
    /// Sends a tick to everything that is due now, and returns when to look again.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn wake_due(&self) -> Result<Timestamp, StoreError> {
        self.wake_due_until(&CancellationToken::new()).await
    }

    async fn wake_due_until(&self, stop: &CancellationToken) -> Result<Timestamp, StoreError> {
        loop {
            self.inner.alarm.reset();
            let now = self.now().await?;
            if stop.is_cancelled() {
                return Ok(now);
            }
            let claimed = self.parts.store.claim_due(now, CLAIM_LEASE, CLAIM_MAX).await?;
            if claimed.records.is_empty() {
                let next = claimed.next.map_or(now + POLL, |next| next.min(now + POLL));
                return Ok(next.min(self.inner.alarm.earliest()));
            }
            Failpoint::Claimed.reached();
            stream::iter(claimed.records)
                .for_each_concurrent(TICKS_MAX, |(id, stored)| async move {
                    self.remember_claimed(id, &stored);
                    self.tick(id).await;
                })
                .await;
        }
    }

    /// Remembers a claimed record, unless it is known already. One that cannot be read is reported by its tick.
    fn remember_claimed(&self, id: VerificationId, stored: &StoredRecord) {
        if self.remembered(id).is_some_and(|known| known.version == stored.version()) {
            return;
        }
        match self.open_record(id, stored) {
            Ok(known) => self.remember(&known),
            Err(_) => self.forget(id),
        }
    }

    async fn tick(&self, id: VerificationId) {
        // A record whose tick panics must not stop the timers of all others.
        let ticked = AssertUnwindSafe(self.apply_here(id, Batch::new(vec![Event::Tick]), None)).catch_unwind().await;
        let Ok(ticked) = ticked else {
            return error!(verification.id = %id, "the tick of a verification panicked; it is retried when its lease expires");
        };
        match ticked {
            // It was forgotten after the claim: nothing is due any more.
            Ok(_) | Err(EngineError::NotFound) => {}
            Err(error) => {
                error!(verification.id = %id, %error, "the tick of a verification failed; it is retried when its lease expires")
            }
        }
    }
}
