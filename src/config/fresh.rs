//! Fresh secrets: a demo's own, those of a new settings file, and the examples in faults.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A `SECRET_KEY`: 32 random bytes in base64.
pub(super) fn key() -> String {
    STANDARD.encode(bytes::<32>())
}

/// A secret for a header or a URL: 24 random bytes in hexadecimal digits.
pub(super) fn token() -> String {
    bytes::<24>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One of `WEBHOOK_SECRETS`.
pub(super) fn webhook_secret() -> String {
    format!("whsec_{}", key())
}

#[expect(clippy::disallowed_methods, reason = "secrets are made once, at a start, and no decision depends on them")]
fn bytes<const N: usize>() -> [u8; N] {
    rand::random()
}
