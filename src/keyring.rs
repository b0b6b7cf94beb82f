//! [`Keyring`]: seals records, hashes numbers and signs refs, all with keys derived from `SECRET_KEY`.
//!
//! Records are sealed with an AEAD. The verification's id is its associated data, so a record cannot replace another one.
//! Numbers in store keys, and our refs, are keyed hashes. While a previous key is set, data under it is still read. Keys
//! can be replaced while other threads use the ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::phone::PhoneNumber;

const NONCE: usize = 24;

/// A keyed hash of app and number, used in store keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberKey(pub [u8; 16]);

impl NumberKey {
    /// The shard that holds everything about this app and number.
    pub fn shard(self) -> u8 {
        self.0[0]
    }
}

/// No live key opens the sealed data in its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no SECRET_KEY opens the sealed data")]
pub struct Unopenable;

/// The current key and the previous keys.
pub struct Keyring {
    keys: ArcSwap<Vec<Derived>>,
    generation: AtomicU64,
}

struct Derived {
    cipher: XChaCha20Poly1305,
    mac: Hmac<Sha256>,
}

impl Derived {
    /// Derives one key per purpose, so that neither reveals the other.
    fn of(secret: &[u8]) -> Self {
        let root = hmac(secret);
        Self {
            cipher: XChaCha20Poly1305::new((&tag(root.clone(), &[b"seal"])).into()),
            mac: hmac(&tag(root, &[b"mac"])),
        }
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

/// Authenticates the parts with their lengths, so that no two lists give the same bytes.
fn tag(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Keyring {
    /// Seals and signs with `current`; opens and verifies with `previous` too.
    pub fn new(current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) -> Self {
        Self { keys: ArcSwap::from_pointee(derive_all(current, previous)), generation: AtomicU64::new(0) }
    }

    /// Replaces the keys for all users of the ring. A running operation finishes with the old keys.
    pub fn replace(&self, current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) {
        self.keys.store(Arc::new(derive_all(current, previous)));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// How often the keys were replaced. What was read before that must be read again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Seals `plain` so that it opens only under `context`.
    #[expect(clippy::disallowed_methods, reason = "a nonce of 192 bits is unique only when it is random")]
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: plain, aad: context };
        let sealed = self.keys.load()[0]
            .cipher
            .encrypt((&nonce).into(), payload)
            .unwrap_or_else(|_| unreachable!("the AEAD only fails beyond 256 GiB"));
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// [`Unopenable`] when no key opens it under `context`.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, Unopenable> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE>().ok_or(Unopenable)?;
        let keys = self.keys.load();
        keys.iter()
            .find_map(|key| key.cipher.decrypt(nonce.into(), Payload { msg, aad: context }).ok())
            .ok_or(Unopenable)
    }

    /// The store key of a number in an app, under the current key.
    pub fn number_key(&self, app: &str, number: &PhoneNumber) -> NumberKey {
        number_key(&self.keys.load()[0], app, number)
    }

    /// The store keys of a number under every live key, the current one first.
    ///
    /// The others find records that were written before a rotation.
    pub fn number_keys(&self, app: &str, number: &PhoneNumber) -> Vec<NumberKey> {
        self.keys.load().iter().map(|key| number_key(key, app, number)).collect()
    }

    /// Signs the parts with the current key: 128 bits.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 16] {
        sign(&self.keys.load()[0], parts)
    }

    /// Signatures under every live key, the current one first.
    pub fn sign_with_each(&self, parts: &[&[u8]]) -> Vec<[u8; 16]> {
        self.keys.load().iter().map(|key| sign(key, parts)).collect()
    }

    /// Whether a live key signed the parts. Takes constant time.
    pub fn is_signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        let keys = self.keys.load();
        let matches = keys.iter().map(|key| sign(key, parts).ct_eq(signature));
        matches.fold(subtle::Choice::from(0), |any, one| any | one).into()
    }
}

fn derive_all(current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) -> Vec<Derived> {
    std::iter::once(current).chain(previous).map(|secret| Derived::of(secret.expose_secret())).collect()
}

fn number_key(key: &Derived, app: &str, number: &PhoneNumber) -> NumberKey {
    NumberKey(sign(key, &[b"number", app.as_bytes(), number.identity().as_bytes()]))
}

fn sign(key: &Derived, parts: &[&[u8]]) -> [u8; 16] {
    let mut signature = [0; 16];
    signature.copy_from_slice(&tag(key.mac.clone(), parts)[..16]);
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretSlice<u8> {
        SecretSlice::from(vec![byte; 32])
    }

    #[test]
    fn sealed_data_opens_only_with_its_key_and_in_its_context() {
        let ring = Keyring::new(&secret(1), &[]);
        let sealed = ring.seal(b"042917", b"vrf_a");
        assert!(!sealed.windows(6).any(|w| w == b"042917"));
        assert_eq!(ring.open(&sealed, b"vrf_a").unwrap(), b"042917");
        assert!(ring.open(&sealed, b"vrf_b").is_err());
        assert!(ring.open(&sealed[..20], b"vrf_a").is_err());
        assert!(Keyring::new(&secret(2), &[]).open(&sealed, b"vrf_a").is_err());
    }

    #[test]
    fn the_previous_key_still_opens_but_never_seals() {
        let old = Keyring::new(&secret(1), &[]);
        let new = Keyring::new(&secret(2), &[secret(1)]);
        assert_eq!(new.open(&old.seal(b"x", b""), b"").unwrap(), b"x");
        assert!(new.is_signed(&[b"a"], &old.sign(&[b"a"])));
        assert!(old.open(&new.seal(b"x", b""), b"").is_err());
        assert!(!old.is_signed(&[b"a"], &new.sign(&[b"a"])));
    }

    #[test]
    fn replaced_keys_apply_at_once() {
        let ring = Keyring::new(&secret(1), &[]);
        let (sealed, signature) = (ring.seal(b"x", b""), ring.sign(&[b"a"]));
        ring.replace(&secret(2), &[secret(1)]);
        assert_eq!(ring.open(&sealed, b"").unwrap(), b"x");
        assert!(ring.is_signed(&[b"a"], &signature) && ring.sign(&[b"a"]) != signature);
        ring.replace(&secret(2), &[]);
        assert!(ring.open(&sealed, b"").is_err() && !ring.is_signed(&[b"a"], &signature));
    }

    #[test]
    fn a_signature_depends_on_where_each_part_ends() {
        let ring = Keyring::new(&secret(1), &[]);
        assert!(!ring.is_signed(&[b"ab", b"c"], &ring.sign(&[b"a", b"bc"])));
        assert!(!ring.is_signed(&[b"ab"], &ring.sign(&[b"ab"])[..15]));
    }
}
