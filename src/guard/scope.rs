//! [`Scope`]: what a limit is about, as the API, logs and metrics name it.

use serde::{Deserialize, Serialize};

/// What is limited.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "named after the settings, LIMIT_NUMBER and so on")]
pub enum Scope {
    Number,
    NumberCall,
    Ip,
    IpCall,
    Prefix,
    PrefixCall,
    /// Verifications of one prefix that do not succeed.
    Unverified,
    App,
    AppCall,
    Country,
    CountryCall,
    Total,
    TotalCall,
    /// `DAILY_BUDGET`.
    Budget,
    /// `LIMIT_GUESSES`.
    Guesses,
}

impl Scope {
    /// The name in the API, the timeline and the metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What the limit counts, for a person.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Number => "attempts to this number",
            Self::NumberCall => "calls to this number",
            Self::Ip => "attempts from this address",
            Self::IpCall => "calls from this address",
            Self::Prefix => "attempts to numbers like this",
            Self::PrefixCall => "calls to numbers like this",
            Self::Unverified => "unverified attempts to numbers like this",
            Self::App => "this app's attempts",
            Self::AppCall => "this app's calls",
            Self::Country => "attempts to this country",
            Self::CountryCall => "calls to this country",
            Self::Total => "all attempts",
            Self::TotalCall => "all calls",
            Self::Budget => "daily spending",
            Self::Guesses => "wrong codes for this number",
        }
    }

    /// Whether the subject is personal data: a number, a prefix or an address.
    pub fn is_personal(self) -> bool {
        !matches!(
            self,
            Self::App
                | Self::AppCall
                | Self::Country
                | Self::CountryCall
                | Self::Total
                | Self::TotalCall
                | Self::Budget
        )
    }

    /// Whether it limits numbers that begin alike.
    pub fn is_of_prefix(self) -> bool {
        matches!(self, Self::Prefix | Self::PrefixCall | Self::Unverified)
    }

    /// Whether attempts for `TEST_NUMBERS` count, to which nothing is sent.
    pub fn counts_test_numbers(self) -> bool {
        matches!(self, Self::App | Self::AppCall | Self::Total | Self::TotalCall)
    }

    /// Whether `GUARD=monitor` counts an attempt over this limit instead of refusing it.
    pub fn is_relaxed_by_monitor(self) -> bool {
        !matches!(self, Self::Budget | Self::Guesses)
    }
}
