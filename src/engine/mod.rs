//! The engine: loads a verification, decides, commits, and only then performs the effects.
//!
//! The API, callbacks and timers change verifications through [`Engine::apply`], [`Engine::create`], [`Engine::report`]
//! and [`Engine::erase`]; the outbox commits Plivo's answers in the same way. The engine decides nothing itself:
//! `verification::decide` does. Its parts are private; callers see methods only.
//!
//! # One exchange for one change
//! What an operation costs is round trips to the store, so a change waits for one. It is decided on the state that this
//! process remembers, or else has loaded (`remembered`), and one commit carries all that belongs to it: record, due time, number index, list
//! entry, the counters of the limits, and the links of Plivo's ids (`commit`). If the base of the decision is out of date, a
//! limit is reached or reports wait for a link, the store changes nothing and says so, and the decision is made again with
//! what it said (`apply`). So no step of a change can be lost between two exchanges. Wide limits are counted some attempts
//! ahead (`advances`), counters that only follow a change are adjusted in batches (`adjustments`), and a claim of due timers
//! brings the records with it (`timers`).

mod adjustments;
mod advances;
mod apply;
mod base;
mod batch;
mod clock;
mod commit;
mod create;
mod deliveries;
mod detached;
mod erase;
mod failpoint;
mod key_lock;
mod limits;
mod look_up;
mod outbox;
mod performance;
mod read;
mod remembered;
mod report;
pub mod room;
mod target;
mod tell;
pub mod timers;
mod trip;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use apply::Applied;
pub use clock::Clock;
pub use create::{Created, Creation};
pub use deliveries::{FailedDeliveries, FailedDelivery};
pub use erase::Erasures;
pub use performance::Performance;
pub use read::Page;
pub use report::Reported;
pub use target::{Found, Target};
pub use tell::Renderer;

use crate::guard::Guard;
use crate::keyring::Keyring;
use crate::learner::Learner;
use crate::metrics::Metrics;
use crate::pacing::Pacer;
use crate::plivo::Plivo;
use crate::store::{NumberKey, Store, StoreError, StoredRecord, record};
use crate::time::Timestamp;
use crate::verification::{Refusal, Rules, Verification, VerificationId};
use crate::webhook::Webhooks;
use adjustments::Adjustments;
use advances::Advances;
use detached::Detached;
use key_lock::KeyLock;
use remembered::{Known, Remembered};
use timers::Alarm;
use trip::Trips;

/// Applies events to verifications. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    parts: Arc<Parts>,
    inner: Arc<Inner>,
}

/// What an engine is made of.
pub struct Parts {
    /// The store of verifications.
    pub store: Arc<dyn Store>,
    /// The client for Plivo.
    pub plivo: Arc<Plivo>,
    /// The receivers of apps.
    pub webhooks: Arc<Webhooks>,
    /// Shows a verification to a receiver.
    pub render: Renderer,
    /// Shares out the requests to Plivo.
    pub pacer: Arc<Pacer>,
    /// The store's time.
    pub clock: Clock,
    /// Seals records, signs refs, hashes numbers.
    pub keys: Arc<Keyring>,
    /// The rules of new and open verifications.
    pub rules: Arc<Rules>,
    /// The limits of texts and calls.
    pub guard: Guard,
    /// How long a final state can be read.
    pub retention: Duration,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// What is learned of routes.
    pub learner: Arc<Learner>,
    /// The runtime of effects. The HTTP workers have runtimes of their own, which end before it.
    pub runtime: Handle,
    /// Detached work under way, for a stop to wait for.
    pub tasks: TaskTracker,
    /// Work that has outlasted its request in the request's runtime. Once it is closed, requests end with their work.
    pub rests: TaskTracker,
    /// Cancels requests to Plivo when a stop can no longer wait for them.
    pub closing: CancellationToken,
}

/// What an engine makes for itself.
#[derive(Default)]
struct Inner {
    /// Wakes the timers when something is due earlier than they know.
    alarm: Alarm,
    /// Serializes changes of one verification.
    locks: KeyLock<Known>,
    /// Open verifications as they were last committed or loaded here.
    remembered: Remembered,
    /// Adjustments of counters that are not in the store yet.
    adjustments: Adjustments,
    /// What this replica has counted ahead.
    advances: Advances,
    /// When an app was last told of a tripped guard.
    trips: Trips,
}

/// Why an event was not applied.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The verification is unknown or forgotten, or belongs to another app.
    #[error("there is no such verification")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new verification may not begin now.
    #[error("the creation is refused")]
    Refused(Refusal),
    /// Several sessions of the number are open, and the caller names none of them.
    #[error("several verifications of the number are open")]
    Ambiguous,
    /// Other changes of the same verification came first, [`COMMIT_TRIES`] times.
    #[error("too many changes of one verification at a time")]
    Contention,
}

/// How often a change is decided again after a conflict.
///
/// Each conflict means that another change was committed, and a verification takes few changes before it is final.
const COMMIT_TRIES: usize = 64;

impl Engine {
    /// Assembles an engine.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), inner: Arc::default() }
    }

    /// Runs `work` so that a client's disconnect cannot cancel it between commit and effects.
    fn run_detached<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Detached<T> {
        Detached::new(work, &self.parts.runtime, &self.parts.tasks)
    }

    /// Starts `work` as a detached task without waiting for it.
    fn spawn_detached(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.parts.tasks.spawn_on(work.in_current_span(), &self.parts.runtime);
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.parts.clock.now().await
    }

    /// Loads a verification by the id of one of its sessions.
    async fn load(&self, id: VerificationId) -> Result<Option<Known>, StoreError> {
        let loaded = self.parts.store.load(id).await?;
        loaded.map(|loaded| self.open_record(loaded.id, &loaded.stored)).transpose()
    }

    fn open_record(&self, id: VerificationId, stored: &StoredRecord) -> Result<Known, StoreError> {
        let keys = self.parts.keys.generation();
        let verification = Arc::new(record::decode(id, stored, &self.parts.keys)?);
        Ok(Known { verification, version: stored.version(), number: None, teacher: None, keys })
    }

    /// The key of the number under which the verification was created.
    ///
    /// So a commit stays in one shard and finds the index of its creation, however often `SECRET_KEY` was changed.
    fn number_key(&self, v: &Verification) -> NumberKey {
        let keys = self.parts.keys.number_keys(&v.app, &v.to);
        let created_under = keys.iter().find(|key| key.shard() == v.id.shard());
        created_under.copied().unwrap_or(keys[0])
    }
}
