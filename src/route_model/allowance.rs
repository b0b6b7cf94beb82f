//! [`Allowances`]: how many verifications without a code each app may teach what all apps share.
//!
//! A verification without a code may be an anonymous visitor's, and then says nothing about the route. So the codes of an
//! app allow a few of its verifications without one to teach: about as many as there usually are.

use super::lesson::Life;
use super::prior::{CODES_MAX, CODES_PER_ALLOWANCE};

/// Apps are told apart by the remainder of their hash; those that share a place share an allowance.
const PLACES: usize = 8;

/// Codes that count towards the next verification without a code, by app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowances([u8; PLACES]);

impl Allowances {
    /// Whether the verification teaches: always with a code, and without one while the allowance lasts.
    pub(super) fn admit(&mut self, life: &Life) -> bool {
        let codes = &mut self.0[life.teacher.app as usize % PLACES];
        if life.is_verified {
            *codes = (*codes + 1).min(CODES_MAX);
            return true;
        }
        let rest = codes.checked_sub(CODES_PER_ALLOWANCE);
        *codes = rest.unwrap_or(*codes);
        rest.is_some()
    }

    /// Four bits for each place.
    pub(super) fn to_bits(self) -> u32 {
        self.0.iter().rev().fold(0, |bits, codes| bits << 4 | u32::from(*codes))
    }

    /// The reverse of [`to_bits`](Self::to_bits).
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(std::array::from_fn(|place| ((bits >> (4 * place)) as u8 & 15).min(CODES_MAX)))
    }
}
