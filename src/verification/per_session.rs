//! A verification as one of its sessions sees it. Nothing here changes anything.

use super::id::{SessionIndex, VerificationId};
use super::session::{Session, SessionEnd};
use super::state::{State, Verification};
use super::words::Status;
use crate::time::Timestamp;

impl Verification {
    /// A session. Every index comes from the verification that it is used with, so the session exists.
    pub fn session(&self, index: SessionIndex) -> &Session {
        self.sessions.get(index.position()).unwrap_or(&self.sessions[0])
    }

    pub(super) fn session_mut(&mut self, index: SessionIndex) -> Option<&mut Session> {
        self.sessions.get_mut(index.position())
    }

    /// All sessions, oldest first.
    pub fn session_indexes(&self) -> impl DoubleEndedIterator<Item = SessionIndex> + use<> {
        (0..u8::try_from(self.sessions.len()).unwrap_or(u8::MAX)).map(SessionIndex::new)
    }

    /// The session of an id.
    pub fn session_of(&self, id: VerificationId) -> Option<SessionIndex> {
        self.session_indexes().find(|index| self.id_of(*index) == id)
    }

    /// The id of a session.
    pub fn id_of(&self, index: SessionIndex) -> VerificationId {
        self.session(index).joined.map_or(self.id, |joined| joined.id)
    }

    /// When the session was created.
    pub fn created_at_of(&self, index: SessionIndex) -> Timestamp {
        self.session(index).joined.map_or(self.created_at, |joined| joined.at)
    }

    /// Wrong codes that the session still takes.
    pub fn checks_remaining(&self, index: SessionIndex) -> u8 {
        self.checks_max.saturating_sub(self.session(index).checks_used)
    }

    /// How and when the session ended: by itself, or with the verification.
    pub fn end_of(&self, index: SessionIndex) -> Option<SessionEnd> {
        let with_all = self.ended().map(|ended| SessionEnd { at: ended.at, how: ended.how });
        self.session(index).ended.or(with_all)
    }

    /// The status of a session, as last committed.
    pub fn status_of(&self, index: SessionIndex) -> Status {
        self.end_of(index).map_or(Status::Pending, |end| end.how.status())
    }

    /// The status of a session that a reader sees at `now`: past its lifetime an open one has expired, committed or not.
    pub fn status_at(&self, index: SessionIndex, now: Timestamp) -> Status {
        match (&self.state, self.status_of(index)) {
            (State::Pending(pending), Status::Pending) if now >= pending.expires_at => Status::Expired,
            (_, status) => status,
        }
    }

    /// Whether a session is open at `now`.
    pub fn is_open_at(&self, now: Timestamp) -> bool {
        self.pending().is_some_and(|pending| now < pending.expires_at)
    }

    /// The sessions that have not ended.
    pub fn open_sessions(&self) -> impl Iterator<Item = SessionIndex> {
        self.session_indexes().filter(|index| self.end_of(*index).is_none())
    }

    /// The session that is meant where only the number is named: the one that is open. If none is, that which ended with the
    /// verification, and of several the newest.
    ///
    /// `None` if several are open.
    pub fn only_session(&self) -> Option<SessionIndex> {
        let mut open = self.open_sessions();
        match (open.next(), open.next()) {
            (Some(_), Some(_)) => None,
            (Some(only), None) => Some(only),
            (None, _) => {
                let ended_with_it = self.session_indexes().rev().find(|index| self.session(*index).ended.is_none());
                ended_with_it.or(self.session_indexes().next_back())
            }
        }
    }
}
