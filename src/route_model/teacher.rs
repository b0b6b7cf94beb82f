//! [`Teacher`] and [`RecentTeachers`]: whom lessons come from, so that no source of texts teaches more than its share.

use serde::{Deserialize, Serialize};

/// Whom a verification's lessons come from, as hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Teacher {
    /// The app.
    pub app: u32,
    /// The number without its last four digits; 0 when it is unknown.
    pub prefix: u8,
    /// The `client_ip` of the creation; 0 when it is unknown.
    pub client: u8,
}

/// Verifications that count as recent.
pub(super) const RECENT: usize = 24;
/// Of the recent verifications, those without a code that one prefix or one client may have taught.
///
/// A quarter: `docs/escalation.md` says why.
pub(super) const UNPROVED_SHARE: usize = RECENT / 4;
/// Recent verifications of others from which on a prefix or a client has a share; with fewer it has the route to itself.
const OTHERS_MIN: usize = 4;

/// One recent verification; the default is an empty place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Recent {
    prefix: u8,
    client: u8,
    state: Proof,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Proof {
    /// There is no such verification.
    #[default]
    Empty,
    /// No code has been entered so far.
    Unproved,
    /// The code was entered.
    Proved,
}

/// Whom the recent verifications of one app on one route came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RecentTeachers {
    recent: [Recent; RECENT],
    next: u8,
}

/// Bytes of the packed form.
pub(super) const PACKED: usize = 3 * RECENT + 4;

impl RecentTeachers {
    /// Adds a verification in place of the oldest.
    pub(super) fn add(&mut self, teacher: Teacher) {
        let at = usize::from(self.next) % RECENT;
        self.recent[at] = Recent { prefix: teacher.prefix, client: teacher.client, state: Proof::Unproved };
        self.next = ((at + 1) % RECENT) as u8;
    }

    /// The code of a verification of this teacher was entered.
    pub(super) fn prove(&mut self, teacher: Teacher) {
        let is_of =
            |r: &&mut Recent| (r.prefix, r.client, r.state) == (teacher.prefix, teacher.client, Proof::Unproved);
        if let Some(recent) = self.recent.iter_mut().find(is_of) {
            recent.state = Proof::Proved;
        }
    }

    /// Whether the teacher's prefix or client has taught its share of verifications without a code.
    pub(super) fn is_share_used_up(&self, teacher: Teacher) -> bool {
        let by_prefix = |r: &Recent| r.prefix == teacher.prefix;
        let by_client = |r: &Recent| r.client == teacher.client;
        (teacher.prefix != 0 && self.is_over(by_prefix)) || (teacher.client != 0 && self.is_over(by_client))
    }

    fn is_over(&self, is_same: impl Fn(&Recent) -> bool) -> bool {
        let known = || self.recent.iter().filter(|r| r.state != Proof::Empty);
        let others = known().filter(|r| !is_same(r)).count();
        let unproved = known().filter(|r| is_same(r) && r.state == Proof::Unproved).count();
        others >= OTHERS_MIN && unproved >= UNPROVED_SHARE
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.next, 0, 0, 0];
        bytes.extend(self.recent.iter().flat_map(|r| [r.prefix, r.client, r.state as u8]));
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; PACKED]) -> Self {
        let (places, _) = bytes[4..].as_chunks::<3>();
        let mut recent = [Recent::default(); RECENT];
        for (to, [prefix, client, state]) in recent.iter_mut().zip(places) {
            let state = match state {
                0 => Proof::Empty,
                1 => Proof::Unproved,
                _ => Proof::Proved,
            };
            *to = Recent { prefix: *prefix, client: *client, state };
        }
        Self { recent, next: bytes[0] }
    }
}
