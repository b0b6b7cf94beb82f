//! The key of a request, and what follows from it.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};

use crate::engine::Creation;
use crate::http::error::ApiError;
use crate::keyring::Keyring;

/// The header, as documented.
pub const HEADER: &str = "Idempotency-Key";
/// The same, as header maps look it up: a text would be checked and lowered for each request.
pub(super) const HEADER_NAME: HeaderName = HeaderName::from_static("idempotency-key");

const KEY_MAX: usize = 255;

/// Reads the key.
pub(super) fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut given = headers.get_all(HEADER_NAME);
    let wrong = |detail| ApiError::parameter(HEADER, detail);
    let (first, None) = (given.next(), given.next()) else { return Err(wrong("must be given once")) };
    let is_key = |key: &&str| (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    let key = first.and_then(|key| key.to_str().ok()).filter(is_key);
    key.map(str::to_owned).ok_or_else(|| wrong("must be 1 to 255 visible ASCII characters"))
}

/// What the id of a creation with a key is made of: if its answer is lost, a repetition finds what it has created.
pub fn seed(request: &HttpRequest, creation: &Creation, keyring: &Keyring) -> Option<u128> {
    let key = request.headers().get(HEADER_NAME)?;
    let Creation { app, to, details, .. } = creation;
    // With what decides which verification is shared: a key that is used again for another one names no record of this.
    let (to, purpose) = (to.identity(), &details.purpose);
    let parts = [&b"creation"[..], app.as_bytes(), to.as_bytes(), purpose.as_bytes(), key.as_bytes()];
    Some(u128::from_be_bytes(keyring.sign(&parts)))
}
