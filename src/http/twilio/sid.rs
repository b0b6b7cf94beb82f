//! SIDs: Twilio's ids, made from ours.
//!
//! A SID is two letters and 32 hex digits; Twilio documents the pattern `^VE[0-9a-fA-F]{32}$`, and databases have columns of
//! that length. Our ids have 136 bits, and 32 hex digits hold 128. But the pattern allows both cases, so each digit can be
//! one of 22, and 22³² exceeds 2¹³⁶: a `VE` SID is the id in base 22. It is reversible and case-sensitive.

use sha2::{Digest, Sha256};

use crate::verification::{AttemptIndex, VerificationId};

/// The digits that the pattern allows, by value.
const DIGITS: &[u8; 22] = b"0123456789abcdefABCDEF";
const BASE: u16 = 22;
const LENGTH: usize = 32;

/// The SID of a verification.
pub fn write(id: VerificationId) -> String {
    let (mut rest, mut sid) = (id.to_bytes(), [b'0'; LENGTH]);
    for digit in sid.iter_mut().rev() {
        *digit = DIGITS[usize::from(divide(&mut rest))];
    }
    format!("VE{}", String::from_utf8_lossy(&sid))
}

/// The verification that a SID names; `None` for a text that [`write`] does not produce.
pub fn read(sid: &str) -> Option<VerificationId> {
    let digits = sid.strip_prefix("VE").filter(|digits| digits.len() == LENGTH)?;
    let mut id = [0; 17];
    for digit in digits.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        append(&mut id, u16::try_from(value).ok()?)?;
    }
    Some(VerificationId::from_bytes(id))
}

/// The SID of an attempt. Nothing is found by it, so it is a hash.
pub fn of_attempt(id: VerificationId, attempt: AttemptIndex) -> String {
    hashed("VL", &[&id.to_bytes()[..], &[attempt.get()]].concat())
}

/// The SID of the account that stands for an app: always the same.
pub fn of_account(app: &str) -> String {
    hashed("AC", app.as_bytes())
}

fn hashed(prefix: &str, what: &[u8]) -> String {
    let digest = Sha256::new().chain_update(prefix).chain_update(what).finalize();
    digest.iter().take(LENGTH / 2).fold(prefix.to_owned(), |sid, byte| format!("{sid}{byte:02x}"))
}

/// Divides a big-endian number by [`BASE`] in place, and returns the remainder.
fn divide(number: &mut [u8; 17]) -> u8 {
    let mut remainder = 0;
    for byte in number {
        let dividend = u16::from_be_bytes([remainder, *byte]);
        *byte = (dividend / BASE) as u8;
        remainder = (dividend % BASE) as u8;
    }
    remainder
}

/// Multiplies a big-endian number by [`BASE`] in place and adds a digit; `None` if the result has more than 17 bytes.
fn append(number: &mut [u8; 17], digit: u16) -> Option<()> {
    let mut carry = digit;
    for byte in number.iter_mut().rev() {
        let [high, low] = (u16::from(*byte) * BASE + carry).to_be_bytes();
        *byte = low;
        carry = u16::from(high);
    }
    (carry == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sid_has_twilios_pattern_and_names_its_id(shard: u8, random: u128) {
            let id = VerificationId::new(shard, random);
            let sid = write(id);
            let digits = sid.strip_prefix("VE").unwrap();
            prop_assert!(digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{sid}");
            prop_assert_eq!(read(&sid), Some(id));
        }

        #[test]
        fn each_sid_is_the_only_one_of_its_id(digits in "[0-9a-fA-F]{32}") {
            let sid = format!("VE{digits}");
            prop_assert!(read(&sid).is_none_or(|id| write(id) == sid), "{sid}");
        }
    }

    #[test]
    fn the_least_and_the_greatest_id_have_sids_and_no_text_beyond_names_one() {
        let (least, greatest) = (VerificationId::new(0, 0), VerificationId::new(u8::MAX, u128::MAX));
        assert_eq!(write(least), format!("VE{}", "0".repeat(32)));
        assert_eq!(read(&write(greatest)), Some(greatest));
        for text in ["", "VE", "VA00000000000000000000000000000000", "VE0", "+14155550100"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&format!("VE{}", "F".repeat(32))), None, "beyond the greatest id");
        assert_eq!(read(&format!("VE{}g", "0".repeat(31))), None);
        assert_eq!(read(&format!("{}0", write(least))), None);
    }

    #[test]
    fn sids_of_accounts_and_attempts_are_distinct() {
        let (shop, bank) = (of_account("shop"), of_account("bank"));
        assert!(shop != bank && shop == of_account("shop") && shop.len() == 34 && shop.starts_with("AC"), "{shop}");
        let id = VerificationId::new(7, 1);
        let [first, second] = [0, 1].map(|attempt| of_attempt(id, AttemptIndex::new(attempt)));
        assert!(first != second && first.len() == 34 && first.starts_with("VL"), "{first}");
    }
}
