//! [`SpecialRange`]: number ranges that a service may refuse to verify.

use rlibphonenumber::PhoneNumberType;
use serde::{Deserialize, Serialize};

use super::Country;

/// A range that no ordinary user has, or whose owner earns from traffic.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SpecialRange {
    /// Premium rate.
    Premium,
    /// Shared cost.
    SharedCost,
    /// Satellite phones, and networks of no country.
    Satellite,
    /// Personal numbers, which may be forwarded anywhere.
    Personal,
    /// Pagers.
    Pager,
    /// Voicemail boxes.
    Voicemail,
    /// Companies' universal access numbers.
    Uan,
    /// Internet telephony.
    Voip,
}

/// Satellite phones that have numbers of a country, by first digits.
///
/// The numbering plans of Australia (ACMA: 0145, 0147), Canada (CNAC: area 600), China (1349 China Satcom, 1740 Tiantong),
/// Indonesia (0868 PSN) and Russia (954 GlobalTel).
const NATIONAL_SATELLITES: [&str; 7] = ["+61145", "+61147", "+1600", "+861349", "+861740", "+62868", "+7954"];

impl SpecialRange {
    /// The name in `BLOCKED_RANGES`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub(super) fn of(e164: &str, kind: PhoneNumberType, country: &Country) -> Option<Self> {
        let is_satellite = country.as_str() == "001" || NATIONAL_SATELLITES.iter().any(|one| e164.starts_with(one));
        match kind {
            PhoneNumberType::PremiumRate => Some(Self::Premium),
            PhoneNumberType::SharedCost => Some(Self::SharedCost),
            PhoneNumberType::PersonalNumber => Some(Self::Personal),
            PhoneNumberType::Pager => Some(Self::Pager),
            PhoneNumberType::VoiceMail => Some(Self::Voicemail),
            PhoneNumberType::UAN => Some(Self::Uan),
            // Before VoIP, which libphonenumber takes some of them for.
            _ if is_satellite => Some(Self::Satellite),
            PhoneNumberType::VoIP => Some(Self::Voip),
            _ => None,
        }
    }
}
