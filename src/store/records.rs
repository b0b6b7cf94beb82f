//! [`Records`]: sealed verifications, their due times, the index of numbers and the lists of apps.

use std::time::Duration;

use async_trait::async_trait;

use super::counters::Increment;
use super::error::StoreError;
use super::links::{NewLink, PendingReport};
use super::lists::{Cursor, Listed, PageRequest};
use super::number_index::{NumberIndex, PurposeKey};
use crate::keyring::NumberKey;
use crate::time::Timestamp;
use crate::verification::{Status, VerificationId};

/// How often a record has been written; 0 before the first time.
pub type Revision = u32;

/// What tells one state of a record from every other: its revision, and the end of its seal.
///
/// The revision alone is not enough for a state that a replica remembers: after a failover another change may have been
/// committed under the revision of a lost one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The revision.
    pub revision: Revision,
    /// The last bytes of the sealed record; zeros stand before a shorter one.
    pub seal_end: [u8; SEAL_END],
}

/// Bytes of a sealed record that tell it from every other.
const SEAL_END: usize = 8;

impl Version {
    /// The version of a sealed record.
    pub fn new(revision: Revision, sealed: &[u8]) -> Self {
        let end = &sealed[sealed.len().saturating_sub(SEAL_END)..];
        let mut seal_end = [0; SEAL_END];
        seal_end[SEAL_END - end.len()..].copy_from_slice(end);
        Self { revision, seal_end }
    }
}

/// A sealed record as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// How often it has been written.
    pub revision: Revision,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

impl StoredRecord {
    /// Its version.
    pub fn version(&self) -> Version {
        Version::new(self.revision, &self.sealed)
    }
}

/// A record that was found by the id of one of its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The id that was asked for.
    pub session: VerificationId,
    /// The id of the record: that of its first session.
    pub id: VerificationId,
    /// The record.
    pub stored: StoredRecord,
}

/// Everything that one commit changes: all of it or nothing. Safe to run twice, and late.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The verification.
    pub id: VerificationId,
    /// The app that may list it.
    pub app: String,
    /// The number whose index finds it.
    pub number: NumberKey,
    /// What it is for. The index names the newest verification of each purpose.
    pub purpose: PurposeKey,
    /// The state of the store that the decision was based on.
    pub mode: CommitMode,
    /// The sealed record.
    pub sealed: Vec<u8>,
    /// When it was created: its place in the app's list.
    pub created_at: Timestamp,
    /// The time of its next tick.
    pub due: Option<Timestamp>,
    /// How long from now the record is kept. Not zero.
    pub ttl: Duration,
    /// The wrong codes of the number, which are in its index, if the decision depends on them.
    pub guesses: Option<GuessesChange>,
    /// How long from now the number's index is kept at least; `None` leaves that as it is. A creation and a change of the
    /// wrong codes need it. The index may outlive the record.
    pub index_ttl: Option<Duration>,
    /// How long from now the number counts as verified, if this verifies it. Not in a commit that adds to the list.
    pub verified_ttl: Option<Duration>,
    /// The session that joins, whose id finds the record from now on. It has the shard of the verification.
    pub session: Option<Cursor>,
    /// The status of what it adds to the list: of the session that joins, or of the verification that it creates.
    pub status: Status,
    /// The entries of the list whose status it changes. Not in a commit that adds to the list.
    pub ended: Vec<(Cursor, Status)>,
    /// What the limits count for its new attempts.
    pub increments: Vec<Increment>,
    /// Ids of Plivo that find its attempts from now on.
    pub links: Vec<NewLink>,
    /// How long any record is kept at most: the TTL of the links, and the age from which a list drops entries whose record
    /// is gone.
    pub longest_ttl: Duration,
    /// The time of the decision, for the windows of the limits.
    pub now: Timestamp,
}

/// The wrong codes of a number before and after a decision.
///
/// All its verifications share them, so the commit is refused if they are not what the decision was based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuessesChange {
    /// What the number's index must hold.
    pub expected: Vec<u8>,
    /// What it holds from now on.
    pub after: Vec<u8>,
}

/// Whether a commit creates or updates, and what it requires of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMode {
    /// Creates the record.
    Create {
        /// The verification that the number's index must name for the purpose. Of two concurrent creations for one
        /// number and purpose, one fails and finds the other.
        previous: Option<VerificationId>,
    },
    /// Replaces the record.
    Update {
        /// The version that the record must have.
        expected: Version,
        /// Whether to write even if the record may be out of date.
        ///
        /// Redis replicates asynchronously. After a failover the promoted replica may hold an older state of the
        /// record than clients have seen. Such a commit is refused with
        /// [`CommitOutcome::PossiblyStale`], unless this is set.
        accept_stale: bool,
    },
}

impl Commit {
    /// The revision that this commit writes.
    pub fn revision(&self) -> Revision {
        match self.mode {
            CommitMode::Create { .. } => 1,
            CommitMode::Update { expected, .. } => expected.revision + 1,
        }
    }

    /// The version that this commit writes.
    pub fn version(&self) -> Version {
        Version::new(self.revision(), &self.sealed)
    }

    /// What it adds to the list of the app.
    pub(super) fn listed(&self) -> Option<Cursor> {
        let created = Cursor { created_at: self.created_at, id: self.id };
        self.session.or(matches!(self.mode, CommitMode::Create { .. }).then_some(created))
    }
}

/// The result of a commit. Unless it is `Committed`, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The store holds it.
    Committed,
    /// Another commit of the record came first. Decide again, on the record as it is now; `None` if it is gone.
    Changed(Option<StoredRecord>),
    /// The number's index is not what the creation expected, but this.
    NumberInUse(NumberIndex),
    /// Wrong codes of the number were changed by another verification. Decide again, with these.
    GuessesChanged(Vec<u8>),
    /// A counter would exceed a limit.
    OverLimit {
        /// The position of its increment in the commit.
        index: usize,
        /// How long until there is room.
        wait: Duration,
    },
    /// Reports waited for one of the links. Decide again with their events, and count them in [`NewLink::applied`].
    ReportsPending {
        /// The position of the link in the commit.
        index: usize,
        /// The reports, in the order of arrival.
        reports: Vec<PendingReport>,
    },
    /// In a cluster: the node of one of the links does not answer. Decide again, and leave the links to be made later.
    LinksUnavailable,
    /// The record was written before the last failover, so that later changes to it may be lost.
    PossiblyStale,
}

/// What one erasure removes: everything that commits have written of one verification. Safe to run twice, and late.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The verification.
    pub id: VerificationId,
    /// The app that lists it.
    pub app: String,
    /// The ids of the sessions that joined it.
    pub joined: Vec<VerificationId>,
    /// The number whose index may name it, under every live key. Such an index keeps the wrong codes, and a tombstone id.
    pub numbers: Vec<NumberKey>,
    /// The revision that the record must have.
    pub expected: Revision,
    /// How long from now that index is kept without wrong codes. Not zero: the index also refuses a creation that arrives
    /// late.
    pub index_ttl: Duration,
    /// The same with wrong codes.
    pub guesses_ttl: Duration,
}

/// The result of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureOutcome {
    /// The record is removed.
    Erased,
    /// There was no record.
    Absent,
    /// The record has another revision; nothing is removed. Load and decide again.
    Changed,
}

/// Due verifications that a replica has leased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Due now, and leased to the caller.
    pub records: Vec<(VerificationId, StoredRecord)>,
    /// The earliest due time that is left, leases included, where the back end knows it.
    pub next: Option<Timestamp>,
}

/// Reads and writes verifications, each with an optimistic commit.
///
/// Record, due time, number index and list entry change together, and only if the record still has the revision that
/// the decision was based on.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Loads one record by the id of one of its sessions. For a session that joined, two round trips.
    async fn load(&self, id: VerificationId) -> Result<Option<Loaded>, StoreError>;

    /// Loads several records, in the order of `ids`, without those that are gone.
    async fn load_many(&self, ids: &[VerificationId]) -> Result<Vec<Loaded>, StoreError>;

    /// Writes record, due time, number index, list entry, counters and links, or nothing.
    ///
    /// A commit whose exact bytes are stored already answers `Committed` again. In a cluster, where counters, list and
    /// links have slots of their own, they are written first, in further round trips. If the commit is refused
    /// then, the counters are given back, and a list entry or link without a record is left for its TTL. A retry there may
    /// count twice.
    async fn commit(&self, commit: &Commit) -> Result<CommitOutcome, StoreError>;

    /// Removes a record with its due time, index and list entry.
    ///
    /// No later commit revives it: an update finds no record, and a creation finds a tombstone id in the number's
    /// index for [`Erasure::index_ttl`].
    async fn erase(&self, erasure: &Erasure) -> Result<ErasureOutcome, StoreError>;

    /// Reads what is known of a number.
    async fn number_index(&self, number: NumberKey) -> Result<NumberIndex, StoreError>;

    /// Whether the number was verified within the TTL that a commit gave.
    async fn is_verified(&self, number: NumberKey) -> Result<bool, StoreError>;

    /// Forgets that numbers were verified.
    async fn forget_verified(&self, numbers: &[NumberKey]) -> Result<(), StoreError>;

    /// Lists an app's verifications, newest first.
    ///
    /// The records of some entries may be gone.
    async fn list(&self, query: &PageRequest<'_>) -> Result<Listed, StoreError>;

    /// Leases up to `limit` verifications that are due at `now`, until `now + lease`.
    ///
    /// No other caller gets them before that. A commit sets a new due time and so ends the lease. A due time whose
    /// record is gone is dropped.
    async fn claim_due(&self, now: Timestamp, lease: Duration, limit: usize) -> Result<Claimed, StoreError>;
}
