//! Whom lessons come from: hashes of the app, of the number's prefix and of the person's address.
//!
//! The hash of an app is part of the names of its statistics, so it has no key. The others are keyed, so that no visitor
//! can choose numbers or addresses that collide with those of other people.

use std::net::IpAddr;

use super::Learner;
use crate::phone::PhoneNumber;
use crate::route_model::Teacher;

/// The keyed hash of a number without its last four digits.
#[derive(Clone, Copy)]
pub struct PrefixHash(pub(super) u128);

impl Learner {
    /// Hashes a number's prefix, for [`Self::guess`] and [`Self::teacher`]: once, because each hash is costly.
    pub fn prefix_hash(&self, to: &PhoneNumber) -> PrefixHash {
        let digits = to.digits();
        let prefix = &digits[..digits.len().saturating_sub(4)];
        PrefixHash(self.hash(b"prefix", prefix.as_bytes()))
    }

    /// Whom the lessons of a verification of this app, number and address come from.
    pub fn teacher(&self, app: &str, prefix: PrefixHash, client_ip: Option<IpAddr>) -> Teacher {
        let client = client_ip.map(|ip| short(self.hash(b"client", &network_of(ip))));
        Teacher { app: app_hash(app), prefix: short(prefix.0), client: client.unwrap_or_default() }
    }

    fn hash(&self, kind: &[u8], value: &[u8]) -> u128 {
        u128::from_be_bytes(self.keys.sign(&[kind, value]))
    }
}

/// A hash from 1 to 255; 0 stands for an unknown value.
fn short(hash: u128) -> u8 {
    (hash % 255 + 1) as u8
}

/// The hash of an app's name (FNV-1a), by which its statistics are named.
pub fn app_hash(app: &str) -> u32 {
    app.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The address, or the network of an IPv6 address: a person has all of a /64.
fn network_of(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets()[..8].to_vec(),
    }
}
