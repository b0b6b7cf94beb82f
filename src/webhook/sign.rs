//! The signature of a message, and the secrets that make it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// How a secret begins in text.
const PREFIX: &str = "whsec_";
/// Bytes of a secret. Source: the specification, "Signature schemes".
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that a receiver verifies messages with.
#[derive(Clone, Debug)]
pub struct WebhookSecret(SecretSlice<u8>);

impl WebhookSecret {
    /// Parses `whsec_` and the base64 of 24 to 64 bytes; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        LENGTHS.contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// Whether both are the same secret. The time that it takes depends on the secrets.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// The value of `webhook-signature`: one signature for each secret, so that a receiver may have either during a rotation.
pub(super) fn signatures(secrets: &[WebhookSecret], id: &str, timestamp: &str, body: &str) -> String {
    let signed = secrets.iter().map(|secret| {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.0.expose_secret()).ok()?;
        for part in [id, ".", timestamp, ".", body] {
            mac.update(part.as_bytes());
        }
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        // Source: the example of Svix' documentation, which the specification's libraries test with.
        let body = r#"{"test": 2432232314}"#;
        let header = signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the verifier compares the time with the machine's")]
    fn the_published_verifier_accepts_a_message_under_either_secret() {
        let new = format!("whsec_{}", STANDARD.encode([7; 32]));
        let secrets = [SECRET, &new].map(|text| WebhookSecret::parse(text).unwrap());
        let timestamp = jiff::Timestamp::now().as_second().to_string();
        let body = r#"{"type":"webhook.test"}"#;
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("webhook-id", "evt_1".parse().unwrap());
        headers.insert("webhook-timestamp", timestamp.parse().unwrap());
        headers.insert("webhook-signature", signatures(&secrets, "evt_1", &timestamp, body).parse().unwrap());
        for secret in [SECRET, &new] {
            let verifier = standardwebhooks::Webhook::new(secret).unwrap();
            verifier.verify(body.as_bytes(), &headers).unwrap();
            assert!(verifier.verify(b"{}", &headers).is_err());
        }
        let other = format!("whsec_{}", STANDARD.encode([8; 32]));
        assert!(standardwebhooks::Webhook::new(&other).unwrap().verify(body.as_bytes(), &headers).is_err());
    }

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        let of = |length| format!("whsec_{}", STANDARD.encode(vec![1; length]));
        for good in [24, 32, 64] {
            assert!(WebhookSecret::parse(&of(good)).is_some(), "{good}");
        }
        for wrong in [of(23), of(65), SECRET[6..].to_owned(), "whsec_".to_owned(), "whsec_!".to_owned()] {
            assert!(WebhookSecret::parse(&wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_has_no_printable_form() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        assert!(!format!("{secret:?}").contains("MfKQ"), "{secret:?}");
    }
}
