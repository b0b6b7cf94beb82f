//! A verification as bytes: MessagePack with field names, sealed. Two versions run side by side during a
//! deployment: a field that comes later needs `#[serde(default)]`, and one that is not known is passed over.

use super::{StoreError, Stored};
use crate::keyring::Keyring;
use crate::verification::{Verification, VerificationId};

/// Seals a verification for the store.
///
/// # Errors
/// [`StoreError::Unreadable`] if it cannot be written, which no value of the type should cause.
pub fn encode(verification: &Verification, keys: &Keyring) -> Result<Vec<u8>, StoreError> {
    let plain = rmp_serde::to_vec_named(verification).map_err(|_| StoreError::Unreadable("cannot be written"))?;
    Ok(keys.seal(&plain, &verification.id.to_bytes()))
}

/// Opens a stored verification.
///
/// # Errors
/// [`StoreError::Unreadable`] when it was sealed with another key, for another id, or is damaged.
pub fn decode(id: VerificationId, stored: &Stored, keys: &Keyring) -> Result<Verification, StoreError> {
    let plain =
        keys.open(&stored.sealed, &id.to_bytes()).map_err(|_| StoreError::Unreadable("no SECRET_KEY opens it"))?;
    rmp_serde::from_slice(&plain).map_err(|_| StoreError::Unreadable("is of a shape this version does not know"))
}
