//! The ref: our signed reference to one attempt, carried through Plivo and back.
//!
//! It names a verification, an attempt and one purpose, and cannot be guessed or altered. Its holder may report on that
//! attempt, so it never appears in a log.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::keyring::Keyring;
use crate::verification::{AttemptIndex, AttemptRef, VerificationId};

/// What a ref authorizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reports from the PHLO's HTTP Request nodes.
    Phlo = 1,
    /// Status callbacks of a text sent through the Message API.
    Message = 2,
    /// Callbacks of a call placed through the Call API.
    Call = 3,
    /// Fetching the XML of such a call, which speaks the code.
    Answer = 4,
    /// Following one verification from a browser (`client_token`).
    Client = 5,
}

/// Issues the ref of an attempt for one purpose: 35 bytes in URL-safe base64.
pub fn issue(keys: &Keyring, to: AttemptRef, purpose: Purpose) -> String {
    let body = body(to, purpose);
    BASE64.encode([body.as_slice(), &keys.sign(&[b"ref", &body])].concat())
}

/// Reads a ref issued for `purpose`; `None` for anything else.
pub fn read(keys: &Keyring, text: &str, purpose: Purpose) -> Option<AttemptRef> {
    let bytes = BASE64.decode(text).ok()?;
    let (body, signature) = bytes.split_first_chunk::<19>()?;
    let (id, [attempt, for_what]) = body.split_first_chunk::<17>()? else { return None };
    let is_signed = keys.is_signed(&[b"ref", body], signature);
    (is_signed && *for_what == purpose as u8)
        .then(|| AttemptRef { id: VerificationId::from_bytes(*id), attempt: AttemptIndex::new(*attempt) })
}

fn body(to: AttemptRef, purpose: Purpose) -> [u8; 19] {
    let mut body = [0; 19];
    body[..17].copy_from_slice(&to.id.to_bytes());
    body[17..].copy_from_slice(&[to.attempt.get(), purpose as u8]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretSlice;

    #[test]
    fn a_ref_works_only_for_its_attempt_and_purpose_and_unaltered() {
        let keys = Keyring::new(&SecretSlice::from(vec![1; 32]), &[]);
        let to = AttemptRef { id: VerificationId::new(9, 12345), attempt: AttemptIndex::new(1) };
        let text = issue(&keys, to, Purpose::Phlo);
        assert_eq!(read(&keys, &text, Purpose::Phlo), Some(to));
        assert_eq!(read(&keys, &text, Purpose::Client), None);
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(forged == text || read(&keys, &forged, Purpose::Phlo).is_none(), "byte {at}");
        }
        for text in ["", "A", &text[..40], &format!("{text}AAAA"), &format!("{text}=")] {
            assert_eq!(read(&keys, text, Purpose::Phlo), None, "{text:?}");
        }
    }
}
