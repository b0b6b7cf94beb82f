//! The state that a change is decided on, and where it comes from.

use std::time::Instant;

use super::key_lock::KeyGuard;
use super::{Engine, EngineError, Known};
use crate::verification::{Verification, VerificationId};

/// The turn of a caller to change a verification.
pub(super) type Lock<'a> = KeyGuard<'a, Known>;

/// A state to decide on.
pub(super) struct Base {
    pub(super) known: Known,
    pub(super) source: Source,
    /// When the store was asked for it.
    pub(super) asked_at: Instant,
}

/// Where a state comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// This process's memory; another replica may have changed it.
    Memory,
    /// The store, which was asked for this change.
    Store,
    /// The store, which was asked for another change while this one was waiting.
    Shared,
}

impl Engine {
    /// The state to decide on: as the store has told another caller meanwhile, as it is remembered, or else loaded.
    pub(super) async fn base(
        &self,
        id: VerificationId,
        lock: Option<&Lock<'_>>,
        app: Option<&str>,
    ) -> Result<Base, EngineError> {
        let is_seen = |known: &Known| is_of(app, &known.verification);
        if let Some(known) = lock.and_then(Lock::shared).filter(is_seen) {
            return Ok(Base { known, source: Source::Shared, asked_at: Instant::now() });
        }
        match self.remembered(id).filter(is_seen) {
            Some(known) => Ok(Base { known, source: Source::Memory, asked_at: Instant::now() }),
            None => self.loaded_base(id, app).await,
        }
    }

    pub(super) async fn loaded_base(&self, id: VerificationId, app: Option<&str>) -> Result<Base, EngineError> {
        let asked_at = Instant::now();
        Ok(Base { known: self.load_for(id, app).await?, source: Source::Store, asked_at })
    }

    /// Loads a verification of the app, by the id of one of its sessions.
    pub(super) async fn load_for(&self, id: VerificationId, app: Option<&str>) -> Result<Known, EngineError> {
        let found = self.load(id).await?;
        if found.is_none() && app.is_some() {
            self.spend_one_decryption();
        }
        let found = found.filter(|known| is_of(app, &known.verification)).ok_or(EngineError::NotFound)?;
        self.remember_shared(id, found.verification.id);
        Ok(found)
    }
}

/// Whether the caller may see it: it belongs to the caller's app, or the caller has proved its right.
pub(super) fn is_of(app: Option<&str>, v: &Verification) -> bool {
    app.is_none_or(|app| v.app == app)
}
