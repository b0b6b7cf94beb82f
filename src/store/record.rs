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
    Ok(keys.seal(&plain(verification)?, &verification.id.to_bytes()))
}

/// What is sealed.
///
/// # Errors
/// As for [`encode`].
pub fn plain(verification: &Verification) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(verification).map_err(|_| StoreError::Unreadable("cannot be written"))
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

/// The work of [`decode`] for nothing, done with what is no secret: whoever asks for an id that is unknown is to wait
/// as long as for one that is another app's.
pub fn decode_in_vain(plain: &[u8], keys: &Keyring) {
    // Sealing takes as long as opening.
    let sealed = keys.seal(plain, &[]);
    std::hint::black_box((sealed, rmp_serde::from_slice::<Verification>(plain).is_ok()));
}
