//! [`Country`]: the country whose numbering plan a number belongs to.

use std::fmt;

use rlibphonenumber::PHONE_NUMBER_UTIL;
use serde::{Deserialize, Serialize};

/// An ISO 3166 code, or `001` for numbers of no country.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Country(pub(super) String);

impl Country {
    /// Parses two ASCII letters in either case.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic())).then(|| Self(text.to_ascii_uppercase()))
    }

    /// Whether the country has numbers: GB has, UK is not a code.
    pub fn has_numbers(&self) -> bool {
        PHONE_NUMBER_UTIL.get_supported_regions().any(|region| region.to_string() == self.0)
    }

    /// The two letters, or `001`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
