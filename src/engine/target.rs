//! [`Target`]: which verification, and which of its sessions, a caller means.

use std::sync::Arc;

use super::{Engine, EngineError};
use crate::phone::PhoneNumber;
use crate::store::PurposeKey;
use crate::verification::{SessionIndex, Verification, VerificationId};

/// The verification that a caller means.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// This one, for a caller that has proved its right to it by a ref or a token.
    Proved(VerificationId),
    /// This one, if it belongs to the app.
    OfApp(&'a str, VerificationId),
    /// The app's one for a number and a purpose. Without a purpose the number must have one open session only.
    OfNumber(&'a str, &'a PhoneNumber, Option<&'a str>),
}

/// A verification, as one of its sessions sees it.
#[derive(Clone)]
pub struct Found {
    /// The verification.
    pub verification: Arc<Verification>,
    /// The session.
    pub session: SessionIndex,
}

impl Engine {
    /// The verification of an app's number: of a purpose the newest; else the one that is open, or the newest if none is.
    pub(super) async fn find(
        &self,
        app: &str,
        to: &PhoneNumber,
        purpose: Option<&str>,
    ) -> Result<VerificationId, EngineError> {
        let mut ids = Vec::new();
        // There are several keys only while `SECRET_KEY` is being rotated.
        for number in self.parts.keys.number_keys(app, to) {
            let index = self.parts.store.number_index(number).await?;
            match purpose {
                Some(purpose) => ids.extend(index.newest_for(PurposeKey::new(number, purpose))),
                None => ids.extend(index.newest.into_iter().map(|(_, id)| id)),
            }
        }
        if ids.len() <= 1 {
            return ids.pop().ok_or(EngineError::NotFound);
        }
        let now = self.now().await?;
        let mut found = Vec::new();
        for loaded in self.parts.store.load_many(&ids).await? {
            let v = self.open_record(loaded.id, &loaded.stored)?.verification;
            found.push((v.is_open_at(now), v.created_at, v.id));
        }
        let open = found.iter().filter(|(is_open, ..)| *is_open).count();
        if purpose.is_none() && open > 1 {
            return Err(EngineError::Ambiguous);
        }
        found.into_iter().max().map(|(.., id)| id).ok_or(EngineError::NotFound)
    }
}
