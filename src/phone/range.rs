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
    /// Satellites and networks of no country.
    Satellite,
    /// Personal numbers, which may be forwarded anywhere.
    Personal,
    /// Pagers.
    Pager,
    /// Voicemail boxes.
    Voicemail,
    /// Companies' universal access numbers.
    Uan,
}

impl SpecialRange {
    /// The name in `BLOCKED_RANGES`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub(super) fn of(kind: PhoneNumberType, country: &Country) -> Option<Self> {
        match kind {
            PhoneNumberType::PremiumRate => Some(Self::Premium),
            PhoneNumberType::SharedCost => Some(Self::SharedCost),
            PhoneNumberType::PersonalNumber => Some(Self::Personal),
            PhoneNumberType::Pager => Some(Self::Pager),
            PhoneNumberType::VoiceMail => Some(Self::Voicemail),
            PhoneNumberType::UAN => Some(Self::Uan),
            _ => (country.as_str() == "001").then_some(Self::Satellite),
        }
    }
}
