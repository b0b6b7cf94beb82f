//! [`Watched`]: what this process has seen of one server with replicas.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::history::{History, Server};
use crate::store::error::StoreError;

/// How long commits are refused after a server has lost a replica.
///
/// A planned failover of Sentinel takes a second or two from the promotion until the sentinels name the new primary.
const FENCE: Duration = Duration::from_secs(8);
/// Within this time of the loss no process has gone on without the replica. Shorter than [`FENCE`], because another process
/// may have noticed the loss a second earlier.
const PROVABLE: Duration = Duration::from_secs(6);
/// A server that did not answer for so long may be demoted soon: what it shows may be what no replica has. It is observed
/// each second, and a failover takes longer than this.
const UNSEEN_MAX: Duration = Duration::from_millis(2500);
/// A server that was not seen for so long may have gone on without this process.
const SEEN_WITHIN: Duration = Duration::from_secs(120);

/// What a batch has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// All replicas that keep up have everything that the server had when the batch began.
    Held,
    /// Another server answers now.
    OtherHistory,
}

/// One server with replicas.
pub(super) struct Watched {
    pub(super) server: Server,
    /// The last batch that has ended; locked while one runs.
    pub(super) finished: tokio::sync::Mutex<Finished>,
    /// Batches that have begun.
    pub(super) begun: AtomicU64,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct Finished {
    pub(super) number: u64,
    pub(super) result: Option<Result<Receipt, StoreError>>,
}

pub(super) struct State {
    /// How many replicas must have a commit.
    pub(super) required: usize,
    /// When fewer than that began to answer.
    pub(super) short_since: Option<Instant>,
    /// The last mark that counts.
    pub(super) mark: Option<Mark>,
    pub(super) seen_at: Instant,
    /// The groups of keys that it was seen to hold: shards in a cluster, else one for all.
    pub(super) groups: HashSet<u8>,
    /// Another server has taken its place.
    pub(super) is_over: bool,
    /// Which other histories have everything of this one.
    pub(super) judged: Vec<(History, bool)>,
    /// What of that other processes have not been told.
    pub(super) untold: Vec<(Server, bool)>,
}

#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) group: u8,
    pub(super) number: u64,
}

/// What one exchange says of the replicas.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Enough,
    /// There are more replicas than were asked for.
    More,
    Short,
}

impl State {
    fn new() -> Self {
        Self {
            required: 0,
            short_since: None,
            mark: None,
            seen_at: Instant::now(),
            groups: HashSet::new(),
            is_over: false,
            judged: Vec::new(),
            untold: Vec::new(),
        }
    }

    /// `acknowledged` replicas have the mark of an exchange at `now`, and `in_sync` keep up.
    pub(super) fn observe(&mut self, acknowledged: usize, in_sync: usize, now: Instant) -> Observed {
        self.seen_at = now;
        if in_sync > self.required {
            self.required = in_sync;
            return Observed::More;
        }
        if acknowledged >= self.required {
            self.short_since = None;
            return Observed::Enough;
        }
        let since = *self.short_since.get_or_insert(now);
        if now.saturating_duration_since(since) < FENCE {
            return Observed::Short;
        }
        self.required = in_sync.min(acknowledged);
        self.short_since = None;
        Observed::Enough
    }

    /// Whether it has lost a replica, which may have been promoted.
    pub(super) fn is_short(&self) -> bool {
        !self.is_over && self.short_since.is_some()
    }

    /// Whether it has not answered for so long that it may have been frozen.
    pub(super) fn is_unseen(&self) -> bool {
        !self.is_over && self.seen_at.elapsed() >= UNSEEN_MAX
    }

    /// The mark that a later server must have to have everything.
    pub(super) fn provable(&self) -> Option<Mark> {
        let is_fenced = self.short_since.is_none_or(|since| since.elapsed() < PROVABLE);
        self.mark.filter(|_| is_fenced && self.seen_at.elapsed() < SEEN_WITHIN)
    }
}

impl Watched {
    pub(super) fn new(server: Server) -> Self {
        let (finished, begun) = Default::default();
        Self { server, finished, begun, state: Mutex::new(State::new()) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_replica_is_left_out_after_the_fence_and_not_before() {
        let (mut state, start) = (State::new(), Instant::now());
        assert_eq!(state.observe(0, 1, start), Observed::More);
        assert_eq!(state.observe(1, 1, start), Observed::Enough);
        assert_eq!(state.observe(0, 1, start), Observed::Short);
        let just_before = start + FENCE - Duration::from_millis(1);
        assert_eq!(state.observe(0, 0, just_before), Observed::Short);
        assert_eq!(state.observe(0, 0, start + FENCE), Observed::Enough);
        assert_eq!(state.observe(0, 0, start + FENCE), Observed::Enough);
        assert_eq!(state.observe(0, 1, start + FENCE), Observed::More, "it is required again once it is back");
    }

    #[test]
    fn a_loss_that_is_over_starts_no_fence() {
        let (mut state, start) = (State::new(), Instant::now());
        state.observe(0, 1, start);
        assert_eq!(state.observe(0, 1, start), Observed::Short);
        assert_eq!(state.observe(1, 1, start + FENCE), Observed::Enough);
        assert_eq!(state.observe(0, 1, start + FENCE), Observed::Short);
    }

    #[test]
    fn a_server_that_was_frozen_is_observed_before_a_record_is_read_from_it() {
        let mut state = State::new();
        assert!(!state.is_unseen());
        state.seen_at = Instant::now().checked_sub(UNSEEN_MAX).unwrap();
        assert!(state.is_unseen());
        state.is_over = true;
        assert!(!state.is_unseen(), "another server has taken its place");
        state.is_over = false;
        state.observe(1, 1, Instant::now());
        assert!(!state.is_unseen() && !state.is_short());
        state.observe(0, 1, Instant::now());
        assert!(!state.is_unseen() && state.is_short());
    }

    #[test]
    fn nothing_is_provable_without_a_mark_or_long_after_a_loss() {
        let mut state = State::new();
        assert!(state.provable().is_none());
        state.mark = Some(Mark { group: 0, number: 1 });
        assert!(state.provable().is_some());
        state.short_since = Instant::now().checked_sub(PROVABLE);
        assert!(state.provable().is_none());
    }
}
