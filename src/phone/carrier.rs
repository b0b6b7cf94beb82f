//! [`Carrier`]: the mobile network that a number is in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A mobile country code and a mobile network code, as one number. `Display` is `310-150`.
///
/// An MCC has three digits and does not begin with zero, so the two codes can be separated again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carrier(u32);

impl Carrier {
    /// Parses both codes as Plivo writes them.
    pub fn parse(mcc: &str, mnc: &str) -> Option<Self> {
        let is_code = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let fits = mcc.len() == 3 && !mcc.starts_with('0') && (2..=3).contains(&mnc.len());
        if fits && is_code(mcc) && is_code(mnc) { format!("{mcc}{mnc}").parse().ok().map(Self) } else { None }
    }

    /// The reverse of [`Self::code`].
    pub fn from_code(code: u32) -> Option<Self> {
        let digits = code.to_string();
        let (mcc, mnc) = digits.split_at_checked(3)?;
        Self::parse(mcc, mnc)
    }

    /// Both codes in one number.
    pub fn code(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let (mcc, mnc) = digits.split_at(digits.len().min(3));
        write!(f, "{mcc}-{mnc}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_keeps_the_zeros_of_its_codes() {
        for (mcc, mnc, shown) in [("310", "150", "310-150"), ("262", "01", "262-01"), ("310", "004", "310-004")] {
            assert_eq!(Carrier::parse(mcc, mnc).unwrap().to_string(), shown);
        }
        assert_ne!(Carrier::parse("310", "04"), Carrier::parse("310", "004"));
        for (mcc, mnc) in [("", ""), ("31", "150"), ("010", "15"), ("310", "1"), ("310", "1500"), ("3l0", "15")] {
            assert_eq!(Carrier::parse(mcc, mnc), None, "{mcc} {mnc}");
        }
    }
}
