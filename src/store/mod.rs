//! Where verifications live between two events.
//!
//! One small trait, two real back ends: [`Memory`] (embedded, one process, lost on restart) and
//! [`redis`] (pooled, shared by replicas). Both take an optimistic commit: record, due time and number
//! index change together, and only if nobody else changed the record since it was loaded. What happens to a
//! verification is not decided here.
//!
//! Records are sealed before they reach a back end ([`record`]); numbers stand in keys only as keyed hashes.

mod memory;
pub mod record;
pub mod redis;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use memory::Memory;

use crate::guard::Limits;
pub use crate::keyring::NumberKey;
use crate::time::Timestamp;
pub use crate::verification::AttemptRef;
use crate::verification::VerificationId;
use crate::verification::event::{CallReport, Facts, TextReport};

/// How often a record has been written; 0 before the first time.
pub type Revision = u32;

/// A sealed record as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How often it has been written.
    pub revision: Revision,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// All that one commit changes. Safe to run twice, and late.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Whose record.
    pub id: VerificationId,
    /// The app that may list it.
    pub app: String,
    /// The number it is found by. The newest verification of a number owns this index.
    pub number: NumberKey,
    /// The revision the decision was made on; 0 creates.
    pub expected: Revision,
    /// For a creation: the verification the number index must (still) name, so that of two parallel
    /// creations for one number one finds the other.
    pub previous: Option<VerificationId>,
    /// The sealed record.
    pub sealed: Vec<u8>,
    /// When it was created: its place in the app's list.
    pub created_at: Timestamp,
    /// When somebody must look at it again.
    pub due: Option<Timestamp>,
    /// How long from now the record is kept. Not zero.
    pub keep: Duration,
    /// The wrong codes of the number, kept with its index, which outlives the record for their sake.
    pub guesses: Vec<u8>,
    /// How long from now the index is kept at least, if they are any.
    pub keep_guesses: Duration,
    /// Whether it may go on from a record that a fail-over has left behind what callers were told.
    pub may_lack: bool,
}

/// What one erasure removes: what commits have written of one verification. Safe to run twice, and late.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Whose record, due time and place in the list.
    pub id: VerificationId,
    /// The app that lists it.
    pub app: String,
    /// The number whose index may name it, under every live key.
    pub numbers: Vec<NumberKey>,
    /// The revision that the decision was made on.
    pub expected: Revision,
    /// The wrong codes of the number: an index that names the verification holds these instead, and names nobody.
    pub guesses: Vec<u8>,
    /// How long from now that index is kept. Not zero: it also tells a creation that comes late that it is late.
    pub keep: Duration,
}

/// What became of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// It was there and is no more.
    Gone,
    /// It was not there.
    Absent,
    /// It has changed since; nothing is erased. Load and decide again.
    Changed,
}

/// Something that is counted, and how much of it there may be.
#[derive(Clone, Debug)]
pub struct Count {
    /// Whose count: says nothing of anybody.
    pub name: String,
    /// How much is added.
    pub amount: i64,
    /// How much there may be.
    pub limits: Limits,
    /// Whether it is added whatever the limits say.
    pub is_free: bool,
}

impl Count {
    /// How long until there is room for it, given what each window's steps hold, oldest first; `None` when there is.
    fn wait<I: Iterator<Item = (u64, i64)> + Clone>(
        &self,
        now: Timestamp,
        steps: impl Fn(u64) -> I,
    ) -> Option<Duration> {
        let amount = u64::try_from(self.amount).unwrap_or(0);
        let waits = self.limits.0.iter().filter_map(|limit| limit.wait(steps(limit.window.as_secs()), amount, now));
        waits.max().filter(|_| !self.is_free)
    }
}

/// What became of counts that were to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// All were.
    All,
    /// None was, as the number has a verification.
    Found(VerificationId),
    /// This one would have been over its limit; none was taken, and in a cluster those before it were given back.
    Full {
        /// Its place among those asked for.
        which: usize,
        /// How long until there is room.
        wait: Duration,
    },
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the store, at this revision.
    Committed(Revision),
    /// Somebody was faster; nothing changed. Load and decide again.
    Conflict,
    /// The server was a replica when the record was written: later changes that callers were told of may be missing.
    /// Nothing changed; the record is at the revision that was expected.
    MayLack,
}

/// What became of a memo that was to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// It stands there.
    Written,
    /// Somebody else has written this, or nothing is there any more.
    Changed(Option<Vec<u8>>),
}

/// A report that came before its attempt was known by UUID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parked {
    /// Of a text.
    Text(TextReport, Facts),
    /// Of a call.
    Call(CallReport, Facts),
}

/// How long a report waits for its attempt to become known, and how many wait for one UUID.
///
/// How many UUIDs wait is bounded by Plivo alone: only what it has signed, or who knows `CALLBACK_SECRET`, is parked,
/// and the same report once. So it is what Plivo tells in ten minutes of texts and calls that are not ours (yet).
pub const PARKED_TTL: Duration = Duration::from_secs(600);
/// See [`PARKED_TTL`].
pub const PARKED_MAX: usize = 16;
/// How long it is remembered what a nonce came with, where no verification does.
pub const NONCE_TTL: Duration = Duration::from_secs(600);

/// A signed callback that names no verification, as a memo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// The memo's name.
    pub name: String,
    /// What it came with.
    pub told: [u8; 8],
}

/// Where a report belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// To this attempt.
    Attempt(AttemptRef),
    /// To none that is known; it is kept.
    Parked,
    /// Nowhere: its nonce came with another body before.
    Replayed,
}

/// Where in an app's list, newest first, a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the last one on the page was created.
    pub created_at: Timestamp,
    /// Which it is.
    pub id: VerificationId,
}

/// What was claimed, and when the next one will be due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Due now, and ours until the lease ends.
    pub ids: Vec<VerificationId>,
    /// The earliest due time among the rest, leases included, where the back end knows it.
    pub next: Option<Timestamp>,
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away, starting, failing over, full or slow; trying again later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What it holds cannot be read: another key, or damage.
    #[error("a record cannot be read: {0}")]
    Unreadable(&'static str),
}

/// The back end's side of the bargain. Every method is one exchange, unless it says more, and takes effect wholly or
/// not at all, but for [`Store::take`] in a cluster.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The store's own time.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// The record of `id`.
    async fn load(&self, id: VerificationId) -> Result<Option<Stored>, StoreError>;

    /// The records of several, in the order asked for, without those that are gone.
    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<(VerificationId, Stored)>, StoreError>;

    /// Writes record, due time, number index and list entry, if the revision is the expected one. A commit
    /// whose very bytes are already there has happened: it answers `Committed` again.
    async fn commit(&self, commit: &Commit) -> Result<Outcome, StoreError>;

    /// Removes a record with all that is written beside it, if the revision is the expected one. No commit brings it
    /// back: one that changes it finds nothing to change, and one that creates it finds the number's index taken, by
    /// an id that is nobody's, for as long as the erasure says.
    async fn erase(&self, erasure: &Erasure) -> Result<Erased, StoreError>;

    /// The newest verification of a number. Where it is forgotten, or was erased, the id finds nothing.
    async fn newest(&self, number: NumberKey) -> Result<Option<VerificationId>, StoreError>;

    /// The wrong codes of a number, as the last commit of its newest verification left them.
    async fn guesses(&self, number: NumberKey) -> Result<Vec<u8>, StoreError>;

    /// Adds to all of these counts, unless one of them would be over its limit, or unless the number has a verification.
    async fn take(&self, counts: &[Count], unless: Option<NumberKey>, now: Timestamp) -> Result<Taken, StoreError>;

    /// An app's verifications before `before`, newest first; of one shard, or of all. Fewer than `limit` are all there
    /// are. What is gone is passed by, by as many exchanges as it takes so that none takes long.
    async fn list(
        &self,
        app: &str,
        shard: Option<u8>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Cursor>, StoreError>;

    /// Takes up to `limit` of those that are due at `now` and makes them due again at `now + lease`, so that
    /// nobody else takes them meanwhile. A commit sets a new due time and so ends the lease. What has outlived
    /// its record is not due any more.
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError>;

    /// Makes `provider_id` find an attempt for as long as `keep`, unless it finds another verification's, and returns the
    /// reports that had been waiting for that. They stay until [`Store::unpark`], so that whoever links it again, after
    /// a failure, gets them again.
    async fn link(&self, provider_id: &str, to: AttemptRef, keep: Duration) -> Result<Vec<Parked>, StoreError>;

    /// Finds the attempt of `provider_id`; if there is none (yet), keeps the report for [`Store::link`].
    async fn find_or_park(&self, provider_id: &str, report: &Parked) -> Result<Option<AttemptRef>, StoreError>;

    /// The same for a report that is signed: the nonce is claimed for what it came with, before all else. A claim is
    /// not confirmed: that a report which comes again has no second effect is remembered where it had the first, by
    /// its verification or among those that wait.
    async fn find_or_park_once(&self, nonce: &Nonce, provider_id: &str, report: &Parked) -> Result<Found, StoreError> {
        claim_then_find(self, nonce, provider_id, report).await
    }

    /// Forgets the reports that waited for `provider_id`, once they are applied.
    async fn unpark(&self, provider_id: &str) -> Result<(), StoreError>;

    /// Forgets what `provider_id` finds, unless that is another verification's, and the reports that wait for it.
    async fn unlink(&self, provider_id: &str, of: VerificationId) -> Result<(), StoreError>;

    /// Memos: small values by name, apart from all verifications: what has been learned, the answers to idempotency
    /// keys, nonces of callbacks. They may be lost, and a name says nothing of anybody. In the order asked for, `None`
    /// where there is none.
    async fn memos(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Writes a memo if it is still what was read (`None`: nothing), and keeps it for so long from now.
    async fn swap_memo(
        &self,
        name: &str,
        before: Option<&[u8]>,
        after: &[u8],
        keep: Duration,
    ) -> Result<Swap, StoreError>;

    /// Whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What is wrong with how it is set up, for a person.
    async fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Connections of the pool: in all, and idle ones.
    fn pool(&self) -> Option<(usize, usize)> {
        None
    }
}

/// Whom the index of a number names whose newest verification was erased: an id that is nobody's, and after the next
/// erasure another, so that no creation that comes late finds what it expected.
fn nobody(instead_of: VerificationId) -> VerificationId {
    let [shard, random @ ..] = instead_of.to_bytes();
    VerificationId::new(shard, !u128::from_be_bytes(random))
}

/// [`Store::find_or_park_once`] in two exchanges.
async fn claim_then_find(
    store: &(impl Store + ?Sized),
    nonce: &Nonce,
    provider_id: &str,
    report: &Parked,
) -> Result<Found, StoreError> {
    match store.swap_memo(&nonce.name, None, &nonce.told, NONCE_TTL).await? {
        Swap::Changed(_) => Ok(Found::Replayed),
        Swap::Written => Ok(store.find_or_park(provider_id, report).await?.map_or(Found::Parked, Found::Attempt)),
    }
}
