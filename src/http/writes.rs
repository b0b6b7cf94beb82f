//! [`WriteCheck`]: whether the store answers, and whether it takes writes. The latter is tried at most once a second, however
//! often `/readyz` is asked.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::store::{OutageCause, ServerRefusal, Store, StoreError};

/// How long the answer to a write holds.
const FRESH: Duration = Duration::from_secs(1);
/// How long the store has to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the store did with the last write of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writes {
    /// It took it.
    Taken,
    /// It answered and refused it.
    Refused(ServerRefusal),
    /// It did not answer.
    Unanswered,
}

/// The last answer, shared by all who ask.
#[derive(Default)]
pub struct WriteCheck(Mutex<Option<(Instant, Writes)>>);

impl WriteCheck {
    /// Asks the store, and writes to it unless that was tried within the last second.
    pub async fn check(&self, store: &dyn Store) -> Writes {
        if !matches!(tokio::time::timeout(PATIENCE, store.ping()).await, Ok(Ok(()))) {
            return Writes::Unanswered;
        }
        // Other requests wait meanwhile, and get the same answer.
        let mut last = self.0.lock().await;
        if let Some((at, writes)) = &*last
            && at.elapsed() < FRESH
        {
            return writes.clone();
        }
        let writes = match tokio::time::timeout(PATIENCE, store.probe()).await {
            Ok(Ok(())) => Writes::Taken,
            Ok(Err(StoreError::Unavailable(OutageCause::Refused(why)))) => Writes::Refused(why),
            Ok(Err(_)) | Err(_) => Writes::Unanswered,
        };
        *last = Some((Instant::now(), writes.clone()));
        writes
    }
}
