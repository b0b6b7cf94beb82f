//! The shapes of settings that no other module has a type for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use secrecy::SecretString;

use crate::phone::{Country, InvalidNumber, PhoneNumber, SpecialRange};
use crate::verification::Code;

/// One secret of one app. An app has several while a secret is being replaced.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The app: it sees only its own verifications.
    pub app: String,
    /// What its back end sends as bearer token.
    pub secret: SecretString,
}

/// The countries that may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Countries {
    /// `*`
    All,
    /// These and no other.
    Only(BTreeSet<Country>),
}

impl Countries {
    /// Whether numbers of this country may be reached.
    pub fn allow(&self, country: &Country) -> bool {
        match self {
            Self::All => true,
            Self::Only(these) => these.contains(country),
        }
    }
}

/// Numbers that are neither texted nor called: of some ranges, or beginning with some digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    pub(super) ranges: BTreeSet<SpecialRange>,
    /// With `+`.
    pub(super) prefixes: Vec<String>,
}

impl Blocked {
    /// Whether this number is one of them, and as what.
    pub fn reason(&self, to: &PhoneNumber) -> Option<&'static str> {
        let range = to.range().filter(|range| self.ranges.contains(range)).map(SpecialRange::as_str);
        range.or_else(|| self.prefixes.iter().any(|prefix| to.e164().starts_with(prefix)).then_some("prefix"))
    }
}

impl FromStr for Blocked {
    type Err = ();

    /// `premium,satellite,+1900`, or `none`.
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

/// Numbers that are never sent to, each with the code it always has: for the reviewers of apps, and for
/// customers' own tests.
#[derive(Clone, Default)]
pub struct TestNumbers(pub(super) BTreeMap<String, (PhoneNumber, Code)>);

/// The keys are full numbers.
impl fmt::Debug for TestNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.values()).finish()
    }
}

impl TestNumbers {
    /// A number as it was written, which need not exist when it is one of these; and its code then.
    ///
    /// # Errors
    /// When it is neither one of these nor a valid number.
    pub fn read(&self, text: &str) -> Result<(PhoneNumber, Option<Code>), InvalidNumber> {
        match self.0.get(text) {
            Some((number, code)) => Ok((number.clone(), Some(code.clone()))),
            None => Ok((PhoneNumber::parse(text)?, None)),
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// Coloured text, for a person at a terminal.
    Pretty,
}

/// An address, or all addresses that begin with the same bits (`10.0.0.0/8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether the address belongs to it. An IPv4 address written as IPv6 (`::ffff:…`), as dual-stack
    /// sockets report peers, counts as the IPv4 address it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(drop)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(drop))?;
        if bits > most { Err(()) } else { Ok(Self { address, bits }) }
    }
}
