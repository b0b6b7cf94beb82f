//! A verification as bytes: MessagePack with field names, sealed.
//!
//! Two versions of the service run side by side during a deployment. A field that is added later needs
//! `#[serde(default)]`, and unknown fields are ignored.

use super::error::StoreError;
use super::records::StoredRecord;
use crate::keyring::Keyring;
use crate::verification::{Verification, VerificationId};

/// Seals a verification for the store.
///
/// # Errors
/// [`StoreError::Unreadable`] if it cannot be serialized, which no value of the type should cause.
pub fn encode(verification: &Verification, keys: &Keyring) -> Result<Vec<u8>, StoreError> {
    Ok(keys.seal(&plain(verification)?, &verification.id.to_bytes()))
}

/// Serializes a verification without sealing it.
///
/// # Errors
/// As for [`encode`].
pub fn plain(verification: &Verification) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(verification).map_err(|_| StoreError::Unreadable("cannot be written"))
}

/// Opens a stored verification.
///
/// # Errors
/// [`StoreError::Unreadable`] if it was sealed with another key, for another id, or is damaged.
pub fn decode(id: VerificationId, stored: &StoredRecord, keys: &Keyring) -> Result<Verification, StoreError> {
    let plain =
        keys.open(&stored.sealed, &id.to_bytes()).map_err(|_| StoreError::Unreadable("no SECRET_KEY opens it"))?;
    rmp_serde::from_slice(&plain).map_err(|_| StoreError::Unreadable("is of a shape this version does not know"))
}

/// Spends the time of one [`decode`] on a record that is not secret.
///
/// Without it the response time for an unknown id would differ from that for another app's id.
pub fn spend_decode_time(plain: &[u8], keys: &Keyring) {
    // Sealing takes as long as opening.
    let sealed = keys.seal(plain, &[]);
    std::hint::black_box((sealed, rmp_serde::from_slice::<Verification>(plain).is_ok()));
}
