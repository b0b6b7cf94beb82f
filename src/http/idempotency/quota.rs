//! [`AnswerQuota`]: how many answers an app may have kept, in count and bytes. They lie in the store for a day, and one app
//! must not fill it for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::engine::Clock;
use crate::guard::{Limit, Limits};
use crate::store::{Increment, IncrementOutcome, Store, StoreError};

/// Bytes that an answer may take on average.
const ANSWER_BYTES: u64 = 1024;
/// How often a process tells the store what it has kept. Until then it may keep more than is allowed.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What each app has kept through this process, and whether it may keep more.
pub struct AnswerQuota {
    count: Limits,
    bytes: Limits,
    apps: Mutex<HashMap<String, Kept>>,
}

#[derive(Default)]
struct Kept {
    /// What the store does not know yet.
    count: i64,
    bytes: i64,
    told_at: Option<Instant>,
    full_until: Option<Instant>,
}

impl AnswerQuota {
    /// A quota of this many answers, of a kilobyte each on average.
    pub fn new(count: Limits) -> Self {
        let in_bytes = |limit: &Limit| Limit { max: limit.max.saturating_mul(ANSWER_BYTES), ..*limit };
        let bytes = Limits(count.0.iter().map(in_bytes).collect());
        Self { count, bytes, apps: Mutex::default() }
    }

    /// How long an app must wait that has used up its quota.
    pub(super) fn wait(&self, app: &str) -> Option<Duration> {
        let until = self.apps().get(app)?.full_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    /// Counts an answer that was kept, and tells the store from time to time.
    pub(super) async fn count(&self, app: &str, bytes: usize, store: &Arc<dyn Store>, clock: &Clock) {
        let Some((count, bytes)) = self.untold(app, bytes) else { return };
        match self.tell(app, count, bytes, store, clock).await {
            Ok(IncrementOutcome::Added) => {}
            Ok(IncrementOutcome::OverLimit { wait, .. }) => {
                warn!(event = "limit_reached", scope = "idempotency", app, "no more answers are kept for this app");
                // Room may appear one step after the end of the window. What a client is told is never longer than that.
                let window = self.count.0.iter().map(|limit| limit.window).max().unwrap_or(wait);
                let until = Instant::now() + wait.min(window);
                self.apps().entry(app.to_owned()).or_default().full_until = Some(until);
            }
            Err(error) => debug!(%error, "the answers that an app has kept could not be counted"),
        }
    }

    /// Adds an answer; returns what is to be told now.
    fn untold(&self, app: &str, bytes: usize) -> Option<(i64, i64)> {
        let mut apps = self.apps();
        let kept = apps.entry(app.to_owned()).or_default();
        kept.count += 1;
        kept.bytes = kept.bytes.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        if kept.told_at.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            return None;
        }
        kept.told_at = Some(Instant::now());
        Some((std::mem::take(&mut kept.count), std::mem::take(&mut kept.bytes)))
    }

    async fn tell(
        &self,
        app: &str,
        count: i64,
        bytes: i64,
        store: &Arc<dyn Store>,
        clock: &Clock,
    ) -> Result<IncrementOutcome, StoreError> {
        let of = |what: &str, amount, limits: &Limits| Increment {
            counter: format!("{what}:{app}"),
            amount,
            limits: limits.clone(),
            ignores_limits: false,
        };
        let increments = [of("idempotency", count, &self.count), of("idempotency_bytes", bytes, &self.bytes)];
        store.increment(&increments, clock.now().await?).await
    }

    fn apps(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
