//! Reading: nothing here changes anything.

use tracing::warn;

use super::{Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::store::Cursor;
use crate::verification::{Status, Verification, VerificationId};

/// Records read from the store for one page of a filtered list; a page may come out short, with a cursor to go
/// on from.
const SCAN_MAX: usize = 500;

/// One page of a list, newest first.
pub struct Page {
    /// What is on it.
    pub verifications: Vec<Verification>,
    /// Where the next one begins, if there may be one.
    pub next: Option<Cursor>,
}

impl Engine {
    /// A verification, for whoever has proved that they may see it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it is unknown or forgotten.
    pub async fn get(&self, id: VerificationId) -> Result<Verification, EngineError> {
        self.load(id).await?.map(|(v, _)| v).ok_or(EngineError::NotFound)
    }

    /// One of an app's verifications.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] also when it is another app's.
    pub async fn get_for(&self, app: &str, id: VerificationId) -> Result<Verification, EngineError> {
        Some(self.get(id).await?).filter(|v| v.app == app).ok_or(EngineError::NotFound)
    }

    /// The newest verification of an app's number.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when it has none.
    pub async fn newest_of(&self, app: &str, to: &PhoneNumber) -> Result<VerificationId, EngineError> {
        self.store.newest(self.keys.number_key(app, to)).await?.ok_or(EngineError::NotFound)
    }

    /// An app's verifications, newest first, of one status or of all; or of one number.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(
        &self,
        app: &str,
        to: Option<&PhoneNumber>,
        status: Option<Status>,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, EngineError> {
        let now = self.clock.now().await?;
        let shard = to.map(|to| self.keys.number_key(app, to).shard());
        let (mut verifications, mut next, mut scanned) = (Vec::new(), before, 0);
        loop {
            let cursors = self.store.list(app, shard, next, limit).await?;
            let is_last = cursors.len() < limit;
            scanned += cursors.len();
            let ids: Vec<_> = cursors.iter().map(|c| c.id).collect();
            for (id, stored) in self.store.load_many(&ids).await? {
                // One that another key sealed, or another version wrote, takes no others along.
                let v = match self.open(id, &stored) {
                    Ok(v) => v,
                    Err(error) => {
                        warn!(verification.id = %id, %error, "left out of a list");
                        continue;
                    }
                };
                next = Some(Cursor { created_at: v.created_at, id });
                let matches = status.is_none_or(|s| v.status_at(now) == s) && to.is_none_or(|to| v.to == *to);
                if matches {
                    verifications.push(v);
                }
                if verifications.len() == limit {
                    return Ok(Page { verifications, next });
                }
            }
            if is_last {
                return Ok(Page { verifications, next: None });
            }
            next = cursors.last().copied();
            if scanned >= SCAN_MAX {
                return Ok(Page { verifications, next });
            }
        }
    }
}
