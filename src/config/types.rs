//! Types of settings that belong to no other module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;

use crate::phone::{Country, InvalidNumber, PhoneNumber, SpecialRange};
use crate::verification::Code;

/// A secret of an app; an app has several during a rotation.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The app, which sees only its own verifications.
    pub app: String,
    /// The bearer token of the app's back end.
    pub secret: SecretString,
}

/// The countries that may be texted or called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Countries {
    /// All countries (`*`).
    All,
    /// Only the listed ones.
    Only(BTreeSet<Country>),
}

impl Countries {
    /// Whether numbers of this country are allowed.
    pub fn allow(&self, country: &Country) -> bool {
        match self {
            Self::All => true,
            Self::Only(listed) => listed.contains(country),
        }
    }
}

/// Numbers that are never texted or called, by range or by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockedNumbers {
    pub(super) ranges: BTreeSet<SpecialRange>,
    /// Each begins with `+`.
    pub(super) prefixes: Vec<String>,
}

impl BlockedNumbers {
    /// The range that blocks this number, or `prefix`; `None` if it is not blocked.
    pub fn reason(&self, to: &PhoneNumber) -> Option<&'static str> {
        let range = to.range().filter(|range| self.ranges.contains(range)).map(SpecialRange::as_str);
        let begins = |prefix: &String| to.e164().starts_with(prefix) || to.identity().starts_with(prefix);
        range.or_else(|| self.prefixes.iter().any(begins).then_some("prefix"))
    }
}

impl FromStr for BlockedNumbers {
    type Err = ();

    /// Parses `premium,satellite,+1900`, or `none`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut blocked = Self::default();
        for one in text.split(',').map(str::trim).filter(|one| !one.is_empty() && *one != "none") {
            let is_prefix =
                one.strip_prefix('+').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
            match one.parse::<SpecialRange>() {
                Ok(range) => drop(blocked.ranges.insert(range)),
                Err(_) if is_prefix => blocked.prefixes.push(one.to_owned()),
                Err(_) => return Err(()),
            }
        }
        Ok(blocked)
    }
}

/// Numbers that are never sent to, each with a fixed code: for app reviewers and customers' tests.
#[derive(Clone, Default)]
pub struct TestNumbers(pub(super) BTreeMap<String, (PhoneNumber, Code)>);

/// Leaves out the keys, which are full numbers.
impl fmt::Debug for TestNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.values()).finish()
    }
}

impl TestNumbers {
    /// Parses a number, and looks up its fixed code. A test number need not exist.
    ///
    /// # Errors
    /// When it is neither a test number nor a valid number.
    pub fn read(&self, text: &str) -> Result<(PhoneNumber, Option<Code>), InvalidNumber> {
        match self.0.get(text) {
            Some((number, code)) => Ok((number.clone(), Some(code.clone()))),
            None => Ok((PhoneNumber::parse(text)?, None)),
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Coloured text for a terminal.
    Pretty,
}
