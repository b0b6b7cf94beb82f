//! [`Clock`]: the one place that reads the time.
//!
//! Time is the store's, so that replicas agree on what is due and what has expired. A reading is extended for a few
//! seconds by this machine's monotonic clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// How long a reading of the store's clock is extended.
const READING_TTL: Duration = Duration::from_secs(5);

/// Returns the time and waits for it. Cheap to clone.
#[derive(Clone)]
pub enum Clock {
    /// The store's clock.
    Store(Arc<StoreClock>),
    /// A test's clock; only [`Clock::advance`] moves it.
    Manual(Arc<watch::Sender<Timestamp>>),
}

/// The store's clock and its last reading.
pub struct StoreClock {
    store: Arc<dyn Store>,
    reading: Mutex<Option<(Instant, Timestamp)>>,
}

impl Clock {
    /// The clock of `store`.
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self::Store(Arc::new(StoreClock { store, reading: Mutex::new(None) }))
    }

    /// A clock that stands at `start`.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(watch::Sender::new(start)))
    }

    /// The time now.
    ///
    /// # Errors
    /// When the store must be asked and fails.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        match self {
            Self::Manual(now) => Ok(*now.borrow()),
            Self::Store(clock) => clock.now().await,
        }
    }

    /// Advances a manual clock; the store's cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(now) = self {
            now.send_modify(|now| *now = *now + by);
        }
    }

    /// Waits until `at`.
    pub async fn sleep_until(&self, at: Timestamp) {
        match self {
            Self::Manual(now) => {
                let _ = now.subscribe().wait_for(|now| *now >= at).await;
            }
            Self::Store(clock) => {
                let now = clock.extended().unwrap_or(at);
                tokio::time::sleep(at.since(now)).await;
            }
        }
    }
}

impl StoreClock {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        let reading = *self.reading();
        if let Some((read_at, then)) = reading
            && read_at.elapsed() < READING_TTL
        {
            return Ok(then + read_at.elapsed());
        }
        let asked_at = Instant::now();
        let now = self.store.now().await?;
        *self.reading() = Some((asked_at, now));
        Ok(now)
    }

    fn extended(&self) -> Option<Timestamp> {
        let (read_at, then) = (*self.reading())?;
        Some(then + read_at.elapsed())
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Timestamp)>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
