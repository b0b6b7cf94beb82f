//! Who may be texted and called how often: the limits, what each attempt counts against, the guesses of a number,
//! and the hours in which nobody is rung.
//!
//! Pure. What has been counted lives in the store ([`Take`] says where, and how much there may be); an engine asks it
//! before a text or call is decided on, in one exchange, and a refusal names its [`Scope`]. Narrow scopes come first, so
//! that whoever floods one number is refused for that number and uses up nothing that others need.
//!
//! Counts of numbers, ranges and addresses are kept per app: one app's abuser cannot use up what a number may have in
//! another. Countries, the total and the budget are everybody's. Counts are not given back when an attempt does not come
//! about after all, but for the budget.

pub mod guesses;
pub mod limit;
pub mod quiet;

use std::net::IpAddr;
use std::time::Duration;

pub use guesses::{GuessRules, Guesses};
pub use limit::{Limit, Limits};
pub use quiet::QuietHours;

use serde::{Deserialize, Serialize};

use crate::phone::PhoneNumber;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the settings, LIMIT_NUMBER and so on")]
pub enum Scope {
    Number,
    NumberCall,
    Ip,
    IpCall,
    Prefix,
    PrefixCall,
    /// Sends to one prefix that nobody verifies.
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
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Number,
        Self::NumberCall,
        Self::Ip,
        Self::IpCall,
        Self::Prefix,
        Self::PrefixCall,
        Self::Unverified,
        Self::App,
        Self::AppCall,
        Self::Country,
        Self::CountryCall,
        Self::Total,
        Self::TotalCall,
        Self::Budget,
        Self::Guesses,
    ];

    /// As the API, the timeline and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::NumberCall => "number_call",
            Self::Ip => "ip",
            Self::IpCall => "ip_call",
            Self::Prefix => "prefix",
            Self::PrefixCall => "prefix_call",
            Self::Unverified => "unverified",
            Self::App => "app",
            Self::AppCall => "app_call",
            Self::Country => "country",
            Self::CountryCall => "country_call",
            Self::Total => "total",
            Self::TotalCall => "total_call",
            Self::Budget => "budget",
            Self::Guesses => "guesses",
        }
    }

    /// For a person: the limit on what.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Number => "attempts to this number",
            Self::NumberCall => "calls to this number",
            Self::Ip => "attempts from this address",
            Self::IpCall => "calls from this address",
            Self::Prefix => "attempts to numbers like this",
            Self::PrefixCall => "calls to numbers like this",
            Self::Unverified => "attempts to numbers like this that nobody verifies",
            Self::App => "this app's attempts",
            Self::AppCall => "this app's calls",
            Self::Country => "attempts to this country",
            Self::CountryCall => "calls to this country",
            Self::Total => "all attempts",
            Self::TotalCall => "all calls",
            Self::Budget => "what may be spent in a day",
            Self::Guesses => "wrong codes for this number",
        }
    }

    /// Whether its subject is a person, or nearly one.
    pub fn is_of_somebody(self) -> bool {
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

    /// Whether `GUARD=monitor` only counts what it would have refused.
    pub fn is_relaxed_by_monitor(self) -> bool {
        !matches!(self, Self::Budget | Self::Guesses)
    }
}

/// The limits of texts and calls together, and those of calls alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// Attempts of either kind.
    pub any: Limits,
    /// Calls; they count against `any` too.
    pub call: Limits,
}

/// The operator's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Whether what is over a limit is only counted.
    pub is_monitor: bool,
    /// `LIMIT_NUMBER`.
    pub number: Pair,
    /// `LIMIT_PREFIX`.
    pub prefix: Pair,
    /// `LIMIT_COUNTRY`.
    pub country: Pair,
    /// `LIMIT_APP`.
    pub app: Pair,
    /// `LIMIT_IP`.
    pub ip: Pair,
    /// `LIMIT_TOTAL`.
    pub total: Pair,
    /// `LIMIT_UNVERIFIED`: verifications of one prefix, less [`VERIFIED_WEIGHS`] for each that succeeds.
    pub unverified: Limits,
    /// `DAILY_BUDGET`, in micro-dollars.
    pub budget_u: Option<u64>,
}

/// So many sends that come to nothing does one that is verified make up for.
pub const VERIFIED_WEIGHS: i64 = 5;

/// An attempt that is about to be decided on.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Whose.
    pub app: &'a str,
    /// The number.
    pub to: &'a PhoneNumber,
    /// The person's address, as the customer saw it.
    pub client_ip: Option<IpAddr>,
    /// Whether it is a call.
    pub is_call: bool,
    /// Whether a new verification begins with it.
    pub is_new: bool,
    /// What it is expected to cost, in micro-dollars.
    pub price_u: u64,
}

/// One count, and how much of it there may be.
#[derive(Clone, PartialEq, Eq)]
pub struct Take {
    /// What is limited.
    pub scope: Scope,
    /// Whose count: holds numbers and addresses in full, so it is hashed before it goes anywhere.
    pub subject: String,
    /// How much is added; negative gives back.
    pub amount: i64,
    /// How much there may be. Beyond it nothing is added, to this count and to all those that are taken with it.
    pub limits: Limits,
    /// Whether it is added whatever the limits say: then they are the windows it is counted in.
    pub is_free: bool,
}

/// Of a take whose subject may not be shown.
impl std::fmt::Debug for Take {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:+} of {}", self.scope.as_str(), self.amount, self.limits)
    }
}

impl Guard {
    /// What an attempt counts against, narrow scopes first.
    pub fn takes(&self, ask: &Ask) -> Vec<Take> {
        let Ask { app, to, client_ip, is_call, is_new, price_u } = ask;
        let in_app = |subject: &str| format!("{app}|{subject}");
        let (number, prefix) = (number(app, to), in_app(prefix(to)));
        let address = client_ip.map(|ip| in_app(&network(ip)));
        let country = to.country().to_string();
        let pairs = [
            (Scope::Number, Scope::NumberCall, &self.number, Some(number.as_str())),
            (Scope::Ip, Scope::IpCall, &self.ip, address.as_deref()),
            (Scope::Prefix, Scope::PrefixCall, &self.prefix, Some(prefix.as_str())),
            (Scope::App, Scope::AppCall, &self.app, Some(*app)),
            (Scope::Country, Scope::CountryCall, &self.country, Some(country.as_str())),
            (Scope::Total, Scope::TotalCall, &self.total, Some("")),
        ];
        let mut takes = Vec::with_capacity(14);
        for (any, call, pair, subject) in pairs {
            let Some(subject) = subject else { continue };
            takes.push(Take::new(any, subject, 1, &pair.any));
            if *is_call {
                takes.push(Take::new(call, subject, 1, &pair.call));
            }
            if any == Scope::Prefix && *is_new {
                takes.push(Take::new(Scope::Unverified, subject, 1, &self.unverified));
            }
        }
        // What is under way goes on, and costs what it costs.
        let spent = self.spending(i64::try_from(*price_u).unwrap_or(i64::MAX));
        takes.extend(spent.map(|take| Take { is_free: !is_new, ..take }));
        takes.retain(|take| !take.limits.0.is_empty());
        takes
    }

    /// What a success gives back to its prefix.
    pub fn verified(&self, app: &str, to: &PhoneNumber) -> Option<Take> {
        let take = Take::new(Scope::Unverified, &format!("{app}|{}", prefix(to)), -VERIFIED_WEIGHS, &self.unverified);
        (!take.limits.0.is_empty()).then_some(Take { is_free: true, ..take })
    }

    /// Micro-dollars that went, or did not go after all, beside what was expected.
    pub fn spent(&self, difference_u: i64) -> Option<Take> {
        self.spending(difference_u).map(|take| Take { is_free: true, ..take }).filter(|_| difference_u != 0)
    }

    fn spending(&self, amount_u: i64) -> Option<Take> {
        let limits = Limits(vec![Limit { max: self.budget_u?, window: Duration::from_secs(86_400) }]);
        Some(Take::new(Scope::Budget, "", amount_u, &limits))
    }
}

impl Take {
    fn new(scope: Scope, subject: &str, amount: i64, limits: &Limits) -> Self {
        Self { scope, subject: subject.to_owned(), amount, limits: limits.clone(), is_free: false }
    }
}

fn number(app: &str, to: &PhoneNumber) -> String {
    format!("{app}|{}", to.e164())
}

/// A number without its last four digits.
fn prefix(to: &PhoneNumber) -> &str {
    let e164 = to.e164();
    &e164[..e164.len().saturating_sub(4)]
}

/// What one subscriber has: an IPv4 address, or the 64 bits that an IPv6 network gives to a site.
fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{:x}", v6.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let pair = |any: &str, call: &str| Pair { any: any.parse().unwrap(), call: call.parse().unwrap() };
        Guard {
            number: pair("5/10m", "3/10m"),
            prefix: pair("20/10m", "5/10m"),
            ip: pair("20/10m", "4/10m"),
            total: pair("3000/1m", "none"),
            unverified: "40/1h".parse().unwrap(),
            budget_u: Some(50_000_000),
            ..Guard::default()
        }
    }

    fn scopes(takes: &[Take]) -> Vec<&'static str> {
        takes.iter().map(|take| take.scope.as_str()).collect()
    }

    #[test]
    fn a_call_counts_as_an_attempt_and_as_a_call() {
        let to = PhoneNumber::parse("+14155550112").unwrap();
        let ask = Ask { app: "shop", to: &to, client_ip: None, is_call: false, is_new: true, price_u: 8000 };
        let takes = guard().takes(&ask);
        assert_eq!(scopes(&takes), ["number", "prefix", "unverified", "total", "budget"]);
        assert!(takes.iter().all(|take| !take.is_free));
        let ask = Ask { is_call: true, is_new: false, client_ip: "203.0.113.9".parse().ok(), ..ask };
        let takes = guard().takes(&ask);
        let expected = ["number", "number_call", "ip", "ip_call", "prefix", "prefix_call", "total", "budget"];
        assert_eq!(scopes(&takes), expected);
        assert_eq!(takes.last().map(|take| (take.amount, take.is_free)), Some((8000, true)));
    }

    #[test]
    fn subjects_are_an_apps_own_and_never_shown() {
        let to = PhoneNumber::parse("+14155550112").unwrap();
        let of = |app| {
            let ip = "2001:db8::1".parse().ok();
            guard().takes(&Ask { app, to: &to, client_ip: ip, is_call: false, is_new: true, price_u: 0 })
        };
        let (one, other) = (of("shop"), of("bank"));
        assert_ne!(one[0].subject, other[0].subject);
        assert_eq!(one[2].subject, "shop|+1415555");
        assert_eq!(one[1].subject, "shop|20010db800000000");
        assert!(!format!("{one:?}").contains("415555"));
    }
}
