//! [`Keyring`]: the one secret, and what is derived from it.
//!
//! Records are sealed with an AEAD, the verification's id as associated data, so that one cannot be put in
//! another's place. Numbers in keys and our own references are keyed hashes. While a previous key is set,
//! what it sealed is still read. Keys can be replaced while the ring is in use by many.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::phone::PhoneNumber;

const NONCE: usize = 24;

/// A keyed hash of app and number: what stands in the store's keys instead of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberKey(pub [u8; 16]);

impl NumberKey {
    /// The shard in which everything about this app and number is kept together.
    pub fn shard(self) -> u8 {
        self.0[0]
    }
}

/// No key opens it where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no SECRET_KEY opens it")]
pub struct Unopenable;

/// The current key and those still read.
pub struct Keyring {
    keys: ArcSwap<Vec<Derived>>,
}

struct Derived {
    cipher: XChaCha20Poly1305,
    mac: Hmac<Sha256>,
}

impl Derived {
    /// Two keys for two purposes, so that neither says anything of the other.
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

/// The parts are written with their lengths: no two lists of parts are the same bytes.
fn tag(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Keyring {
    /// `current` seals and signs; it and `previous` are read.
    pub fn new(current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) -> Self {
        Self { keys: ArcSwap::from_pointee(derived(current, previous)) }
    }

    /// Goes by these keys from now on, wherever the ring is in use. What is under way ends with those it began with.
    pub fn replace(&self, current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) {
        self.keys.store(Arc::new(derived(current, previous)));
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

    /// What stands in keys for a number of an app, under the current key.
    pub fn number_key(&self, app: &str, number: &PhoneNumber) -> NumberKey {
        number_key(&self.keys.load()[0], app, number)
    }

    /// The same under every live key, the current one first: what was written before a rotation is found too.
    pub fn number_keys(&self, app: &str, number: &PhoneNumber) -> Vec<NumberKey> {
        self.keys.load().iter().map(|key| number_key(key, app, number)).collect()
    }

    /// Signs the parts, with 128 bits.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 16] {
        sign(&self.keys.load()[0], parts)
    }

    /// The same under every live key, the current one first: what was written before a rotation is found too.
    pub fn sign_with_each(&self, parts: &[&[u8]]) -> Vec<[u8; 16]> {
        self.keys.load().iter().map(|key| sign(key, parts)).collect()
    }

    /// Whether a live key signed the parts so. Takes the same time whatever the answer.
    pub fn is_signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        let keys = self.keys.load();
        let hits = keys.iter().map(|key| sign(key, parts).ct_eq(signature));
        hits.fold(subtle::Choice::from(0), |any, hit| any | hit).into()
    }
}

fn derived(current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) -> Vec<Derived> {
    std::iter::once(current).chain(previous).map(|secret| Derived::of(secret.expose_secret())).collect()
}

fn number_key(key: &Derived, app: &str, number: &PhoneNumber) -> NumberKey {
    NumberKey(sign(key, &[b"number", app.as_bytes(), number.e164().as_bytes()]))
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
    fn what_is_sealed_opens_only_with_its_key_and_in_its_place() {
        let ring = Keyring::new(&secret(1), &[]);
        let sealed = ring.seal(b"042917", b"vrf_a");
        assert!(!sealed.windows(6).any(|w| w == b"042917"));
        assert_eq!(ring.open(&sealed, b"vrf_a").unwrap(), b"042917");
        assert!(ring.open(&sealed, b"vrf_b").is_err());
        assert!(ring.open(&sealed[..20], b"vrf_a").is_err());
        assert!(Keyring::new(&secret(2), &[]).open(&sealed, b"vrf_a").is_err());
    }

    #[test]
    fn the_previous_key_is_still_read_but_seals_nothing() {
        let old = Keyring::new(&secret(1), &[]);
        let new = Keyring::new(&secret(2), &[secret(1)]);
        assert_eq!(new.open(&old.seal(b"x", b""), b"").unwrap(), b"x");
        assert!(new.is_signed(&[b"a"], &old.sign(&[b"a"])));
        assert!(old.open(&new.seal(b"x", b""), b"").is_err());
        assert!(!old.is_signed(&[b"a"], &new.sign(&[b"a"])));
    }

    #[test]
    fn a_ring_goes_by_other_keys_once_they_are_replaced() {
        let ring = Keyring::new(&secret(1), &[]);
        let (sealed, signature) = (ring.seal(b"x", b""), ring.sign(&[b"a"]));
        ring.replace(&secret(2), &[secret(1)]);
        assert_eq!(ring.open(&sealed, b"").unwrap(), b"x");
        assert!(ring.is_signed(&[b"a"], &signature) && ring.sign(&[b"a"]) != signature);
        ring.replace(&secret(2), &[]);
        assert!(ring.open(&sealed, b"").is_err() && !ring.is_signed(&[b"a"], &signature));
    }

    #[test]
    fn a_signature_knows_where_one_part_ends() {
        let ring = Keyring::new(&secret(1), &[]);
        assert!(!ring.is_signed(&[b"ab", b"c"], &ring.sign(&[b"a", b"bc"])));
        assert!(!ring.is_signed(&[b"ab"], &ring.sign(&[b"ab"])[..15]));
    }
}
