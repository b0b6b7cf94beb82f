//! The escalator: wakes what is due and sends it a tick. Whether anybody is called is decided there.
//!
//! Due times live in the store. Whichever replica is awake claims them, with a lease: what a replica claimed
//! and did not get to, another takes up when the lease ends.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Engine, EngineError};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::verification::{Event, VerificationId};

/// How often the store is asked when nothing is known to be due: other replicas may have died.
const POLL: Duration = Duration::from_secs(1);
/// How long a claimed one is ours.
const CLAIM_LEASE: Duration = Duration::from_secs(10);
/// How many are claimed at a time, and how many are decided on at once.
const CLAIM_MAX: usize = 256;
const TICKS_AT_ONCE: usize = 32;

/// Tells the escalator of due times that this process set itself.
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

    /// Everything known up to now is about to be looked at.
    fn reset(&self) {
        self.earliest.store(i64::MAX, Ordering::Release);
    }

    fn earliest(&self) -> Timestamp {
        Timestamp::from_millis(self.earliest.load(Ordering::Acquire))
    }
}

/// Wakes what is due until told to stop.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let mut pause = POLL;
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = engine.wake_due() => next,
        };
        match next {
            Ok(until) => {
                pause = POLL;
                sleep(&engine, until, &stop).await;
            }
            Err(error) => {
                warn!(%error, "the escalator cannot reach the store; it tries again");
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
            () = engine.clock.sleep_until(until) => return,
            () = engine.alarm.rang.notified() => until = until.min(engine.alarm.earliest()),
        }
    }
}

impl Engine {
    /// Sends a tick to all that is due now, and says when to look again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn wake_due(&self) -> Result<Timestamp, StoreError> {
        loop {
            self.alarm.reset();
            let now = self.clock.now().await?;
            let claimed = self.store.claim_due(now, CLAIM_LEASE, CLAIM_MAX).await?;
            if claimed.ids.is_empty() {
                let next = claimed.next.map_or(now + POLL, |next| next.min(now + POLL));
                return Ok(next.min(self.alarm.earliest()));
            }
            stream::iter(claimed.ids).for_each_concurrent(TICKS_AT_ONCE, |id| self.tick(id)).await;
        }
    }

    async fn tick(&self, id: VerificationId) {
        // A record whose tick panics must not take the timers of all others along.
        let ticked = AssertUnwindSafe(self.apply(id, &Event::Tick)).catch_unwind().await;
        let Ok(ticked) = ticked else {
            return error!(verification.id = %id, "the tick of a verification panicked; its lease ends");
        };
        match ticked {
            // Forgotten between the claim and now: nothing is due any more.
            Ok(_) | Err(EngineError::NotFound) => {}
            Err(error) => error!(verification.id = %id, %error, "a due verification was not looked at; its lease ends"),
        }
    }
}
