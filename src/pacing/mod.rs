//! When a request to Plivo may be made: the account's rate, its pace after a 429, and the hold while an API fails.
//!
//! Plivo allows an account some requests in a window (`PLIVO_RATE`) and answers the others with 429, which count as
//! well. So replicas share the rate out before they ask, instead of finding it by refusals:
//! * **The ledger** (`ledger`) is one small value in the store. It counts the requests of the last window.
//! * **Credit.** A new verification waits for no exchange: it spends from what the last exchange found free, and the
//!   next exchange, a second later at most, counts it. Only while the rate is used up does it wait, for
//!   [`WATCHED_WAIT`] at most.
//! * **Parked requests.** All other requests, and those that have waited too long, are parked: owed in the store, and
//!   listed here by the age of their verification. Each exchange asks for room for some. One that is
//!   seconds old counts as new: it was parked at the end of an outage, or after a 429. Then come those of the last half
//!   minute, the newest first, because a person waits for each; then the oldest.
//!   Once their lease has ended other replicas list them as well. The admission of one that another replica has made
//!   is passed on to the next, so that no room is lost.
//! * **The pace.** A 429 lowers it for all replicas, and its `Retry-After` stops all of them; seconds without a 429
//!   raise it again.
//! * **The hold.** While a circuit breaker of `plivo` is open in this process (it opens for time-outs, 5xx and missing
//!   connections), parked requests stay where they are. One at a time is let through as a trial. The first that Plivo
//!   answers ends the hold, and lets those that had failed follow.
//!
//! How often Plivo is asked for one verification, and when a request is given up, is decided in `verification`.

mod backlog;
mod ledger;
mod local;
#[cfg(test)]
mod model;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::backlog::Parked;
use self::ledger::{Ask, Grant, Ledger};
pub use self::local::Admission;
use self::local::{Local, Waiting};
use crate::plivo::Rate;
use crate::store::{StoreError, SwapOutcome, Values};
use crate::time::Timestamp;

/// How long a new verification waits for room before it is parked: its creation waits for Plivo's answer as well.
const WATCHED_WAIT: Duration = Duration::from_secs(2);

/// How long another request waits for an exchange before it is parked, which takes a commit.
const OWED_WAIT: Duration = Duration::from_millis(250);

/// How long the store keeps the ledger after the last request.
const KEEP: Duration = Duration::from_secs(600);

/// How often an exchange is repeated because another replica came first. Then the next exchange does it.
const TRIES: usize = 8;

/// Shares out requests to Plivo. One for each process.
pub struct Pacer {
    store: Arc<dyn Values>,
    name: String,
    rate: Rate,
    local: Mutex<Local>,
    /// Something has changed that may need an exchange.
    wake: Notify,
}

impl Pacer {
    /// Begins with an empty ledger, or with that of the account's other replicas.
    pub fn new(store: Arc<dyn Values>, auth_id: &str, rate: Rate) -> Self {
        let account = Sha256::digest(auth_id)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let local = Mutex::new(Local::new(rate));
        Self { store, name: format!("pace:{account}"), rate, local, wake: Notify::new() }
    }

    /// Asks to make a request that a person watches. Waits for room, at most [`WATCHED_WAIT`]; then it is parked.
    pub async fn admit_watched(&self, parked: Parked) -> Admission {
        let served = self.rate.of_a_second() * WATCHED_WAIT.as_secs_f64();
        let waiting = self.local().admit_watched(parked, served, Instant::now());
        self.settle(waiting, parked, WATCHED_WAIT).await
    }

    /// Asks to make another request. While none is parked it waits for an exchange; else it is parked.
    pub async fn admit_owed(&self, parked: Parked) -> Admission {
        let waiting = self.local().admit_owed(parked, Instant::now());
        self.settle(waiting, parked, OWED_WAIT).await
    }

    async fn settle(&self, waiting: Waiting, parked: Parked, limit: Duration) -> Admission {
        self.wake_if_sooner();
        let granted = match waiting {
            Waiting::Over(admission) => return admission,
            Waiting::For(granted) => granted,
        };
        match tokio::time::timeout(limit, granted).await {
            Ok(Ok(())) => Admission::Now,
            Ok(Err(_)) | Err(_) => {
                self.local().backlog.park(parked);
                Admission::Later(Duration::ZERO)
            }
        }
    }

    /// Counts a request that is made in any case, or answers `false` while others wait.
    pub fn admit_lookup(&self) -> bool {
        let is_admitted = self.local().spend_for_lookup(Instant::now());
        self.wake_if_sooner();
        is_admitted
    }

    /// Counts a request that cannot wait: to hang up a phone that rings.
    pub fn spend(&self) {
        self.local().unreported += 1;
        self.wake_if_sooner();
    }

    /// Takes back an admission of which no request came.
    pub fn withdraw(&self, parked: Parked) {
        self.local().withdraw(parked);
    }

    /// Passes an admission on, because another replica has made the request. Returns the parked request that may be made.
    pub fn pass_on(&self, parked: Parked) -> Option<Parked> {
        self.local().pass_on(parked)
    }

    /// Records that the circuit breaker let an admitted request not through, and for how long.
    pub fn held(&self, parked: Parked, pause: Duration) {
        self.local().hold(parked, Instant::now() + pause);
        self.wake_if_sooner();
    }

    /// Records a 429.
    pub fn refused(&self, retry_after: Option<Duration>) {
        self.local().refuse(retry_after);
        self.wake_if_sooner();
    }

    /// Records that Plivo failed for a request, which has its own pause.
    pub fn failed(&self, parked: Parked) {
        self.local().backlog.note_failed(parked);
    }

    /// Records that Plivo answered.
    pub fn answered(&self) {
        if self.local().release() {
            info!(event = "plivo_answers_again");
            self.wake_if_sooner();
        }
    }

    /// Forgets every parked request, and returns them: another replica may take them over.
    pub fn hand_back(&self) -> Vec<Parked> {
        self.local().backlog.take_all()
    }

    /// Wakes the exchanges if one is useful before the planned one: a wake costs a creation two switches between threads.
    fn wake_if_sooner(&self) {
        let is_sooner = self.local().is_exchange_sooner(Instant::now());
        if is_sooner {
            self.wake.notify_one();
        }
    }

    /// Waits until an exchange is useful.
    pub async fn next_exchange(&self, stop: &CancellationToken) {
        loop {
            let wait = self.local().plan_exchange(Instant::now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = sleep_for(wait) => return,
            }
        }
    }

    /// Makes an exchange with the ledger, and returns the parked requests that may be made now.
    ///
    /// # Errors
    /// When the store fails. Nothing is granted then, and the next exchange counts what was spent.
    pub async fn exchange(&self, now: Timestamp) -> Result<Vec<Parked>, StoreError> {
        let ask = self.local().ask(Instant::now(), now);
        let taken = self.take(&ask, now).await;
        let mut local = self.local();
        match taken {
            Ok(grant) => Ok(local.granted(&ask, grant, Instant::now(), now)),
            Err(error) => {
                local.not_exchanged(&ask, Instant::now());
                Err(error)
            }
        }
    }

    async fn take(&self, ask: &Ask, now: Timestamp) -> Result<Grant, StoreError> {
        let mut before = self.local().last_value.clone();
        for _ in 0..TRIES {
            let known = before.as_deref().and_then(|value| serde_json::from_slice::<Ledger>(value).ok());
            let mut ledger = known.unwrap_or_else(|| Ledger::new(now));
            let pace = ledger.pace();
            let grant = ledger.take(ask, self.rate, now);
            ledger.writer = writer();
            let after = serde_json::to_vec(&ledger).unwrap_or_default();
            match self.store.compare_and_swap(&self.name, before.as_deref(), &after, KEEP).await? {
                SwapOutcome::Written => {
                    self.local().last_value = Some(after);
                    if ledger.pace() < pace {
                        warn!(
                            event = "plivo_pace",
                            thousandths = ledger.pace(),
                            "Plivo answered 429: the pace is lowered"
                        );
                    }
                    return Ok(grant);
                }
                SwapOutcome::Changed(current) => before = current,
            }
        }
        self.local().last_value = before;
        // Many replicas write at the same time: what was spent is counted by the next exchange.
        Err(StoreError::Unreadable("was changed too often"))
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep_for(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

#[expect(clippy::disallowed_methods, reason = "tells equal values apart; no secret")]
fn writer() -> u64 {
    rand::rng().random()
}
