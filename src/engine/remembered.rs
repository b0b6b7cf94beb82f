//! Open verifications as this process has last committed or loaded them.
//!
//! A change is decided on the remembered state and committed at its version. If another replica has changed the record,
//! the store refuses the commit and answers with the record as it is. So a remembered state saves the exchange of a
//! load, and is never the base of an answer by itself.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Engine;
use crate::route_model::Teacher;
use crate::store::{NumberKey, Version};
use crate::verification::{Verification, VerificationId};

/// How many are remembered; each takes one to four KB.
const REMEMBERED_MAX: usize = 4096;

/// A verification, and the version of its record.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) verification: Arc<Verification>,
    pub(super) version: Version,
    /// The key of the number's index, once a change has needed it.
    pub(super) number: Option<NumberKey>,
    /// Whom its lessons come from, once a change has needed it: a hash of personal data is costly.
    pub(super) teacher: Option<Teacher>,
    /// The keys under which it was read: a removed key makes it unreadable.
    pub(super) keys: u64,
}

pub(super) struct Remembered {
    open: Cache<VerificationId, Known>,
    /// The verifications that sessions have joined.
    shared: Cache<VerificationId, VerificationId>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { open: Cache::new(REMEMBERED_MAX), shared: Cache::new(REMEMBERED_MAX) }
    }
}

impl Engine {
    /// Remembers an open verification, and forgets one that has ended.
    pub(super) fn remember(&self, known: &Known) {
        let (id, remembered) = (known.verification.id, &self.inner.remembered.open);
        if known.verification.is_final() {
            remembered.remove(&id);
        } else {
            remembered.insert(id, known.clone());
        }
    }

    pub(super) fn remembered(&self, id: VerificationId) -> Option<Known> {
        self.inner.remembered.open.get(&id).filter(|known| known.keys == self.parts.keys.generation())
    }

    pub(super) fn forget(&self, id: VerificationId) {
        self.inner.remembered.open.remove(&id);
    }

    /// Remembers which verification a session shares. That never changes.
    pub(super) fn remember_shared(&self, session: VerificationId, id: VerificationId) {
        if session != id {
            self.inner.remembered.shared.insert(session, id);
        }
    }

    /// The verification that a session shares, as far as it is known here: else its own.
    pub(super) fn shared_with(&self, session: VerificationId) -> VerificationId {
        self.inner.remembered.shared.get(&session).unwrap_or(session)
    }
}
