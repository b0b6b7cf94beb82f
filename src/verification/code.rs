//! [`Code`]: the digits that are sent and typed back in. It has no printable form.

use std::fmt;

use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The fewest and the most digits a code drawn here, or given by a customer, may have.
pub const CODE_LENGTH_RANGE: std::ops::RangeInclusive<u8> = 4..=10;

/// A code of decimal digits, wiped from memory when dropped.
///
/// It serialises only because records do, and those are sealed before they leave the process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(String);

impl Code {
    /// Draws one of all `10^length` codes with equal chance; leading zeros are codes like others.
    pub fn draw(length: u8, rng: &mut impl CryptoRng) -> Self {
        Self((0..length).map(|_| char::from(b'0' + rng.random_range(0..10u8))).collect())
    }

    /// Parses ASCII digits, as many as a code may have. Does not trim, and accepts no other digits.
    pub fn parse(text: &str) -> Option<Self> {
        let length = u8::try_from(text.len()).ok()?;
        (CODE_LENGTH_RANGE.contains(&length) && text.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.to_owned()))
    }

    /// Whether both are the same, in time that does not tell where they differ.
    pub fn matches(&self, submitted: &Self) -> bool {
        self.0.as_bytes().ct_eq(submitted.0.as_bytes()).into()
    }

    /// The digits, for the message that carries them and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How many digits it has.
    pub fn length(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(••••)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn codes_are_drawn_evenly_and_keep_leading_zeros() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let mut first = [0u32; 10];
        for _ in 0..20_000 {
            let code = Code::draw(6, &mut rng);
            assert_eq!(code.length(), 6);
            first[usize::from(code.reveal().as_bytes()[0] - b'0')] += 1;
        }
        // 2,000 each are expected; six standard deviations are 255.
        assert!(first.iter().all(|n| (1_745..=2_255).contains(n)), "{first:?}");
    }

    #[test]
    fn only_ascii_digits_are_a_code() {
        assert!(Code::parse("012345").is_some());
        for text in
            ["", "123", "12345678901", " 12345", "12345 ", "12345a", "+12345", "１２３４５６", "١٢٣٤٥٦", "12 345"]
        {
            assert!(Code::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_code_matches_itself_alone_and_is_never_shown() {
        let code = Code::parse("012345").unwrap();
        assert!(code.matches(&Code::parse("012345").unwrap()));
        assert!(!code.matches(&Code::parse("012346").unwrap()));
        assert!(!code.matches(&Code::parse("0123456").unwrap()));
        assert!(!format!("{code:?}").contains("012345"));
    }
}
