//! [`Guard`]: the operator's limits, and the [`Charge`]s that one attempt makes against them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Limit, Limits, Scope};
use crate::phone::PhoneNumber;

/// A limit on all attempts and a limit on calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitPair {
    /// Texts and calls.
    pub any: Limits,
    /// Calls, which count against `any` too.
    pub call: Limits,
}

/// The limits that the operator has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Whether attempts over a limit are counted and allowed (`GUARD=monitor`).
    pub is_monitor: bool,
    /// `LIMIT_NUMBER`.
    pub number: LimitPair,
    /// `LIMIT_PREFIX`.
    pub prefix: LimitPair,
    /// `LIMIT_COUNTRY`.
    pub country: LimitPair,
    /// `LIMIT_APP`.
    pub app: LimitPair,
    /// `LIMIT_IP`.
    pub ip: LimitPair,
    /// `LIMIT_TOTAL`.
    pub total: LimitPair,
    /// `LIMIT_UNVERIFIED`: verifications of one prefix, less [`SENDS_PER_SUCCESS`] for each success.
    pub unverified: Limits,
    /// `DAILY_BUDGET`, in micro-dollars.
    pub budget_u: Option<u64>,
    /// The limits that single apps have of their own.
    pub apps: BTreeMap<String, AppLimits>,
}

/// The limits that one app has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppLimits {
    /// `APP_<NAME>_LIMIT_APP`, in place of `LIMIT_APP`.
    pub pair: LimitPair,
    /// `APP_<NAME>_DAILY_BUDGET`, in micro-dollars: within the budget of all apps.
    pub budget_u: Option<u64>,
}

/// Number of unverified sends that one success offsets.
pub const SENDS_PER_SUCCESS: i64 = 5;

/// An attempt to be counted before it is decided on.
#[derive(Clone, Debug)]
pub struct ProposedAttempt<'a> {
    /// The app that asks for it.
    pub app: &'a str,
    /// The number.
    pub to: &'a PhoneNumber,
    /// The end user's address, as the customer reports it.
    pub client_ip: Option<IpAddr>,
    /// Whether it is a call.
    pub is_call: bool,
    /// Whether it starts a new verification.
    pub is_new: bool,
    /// The expected cost, in micro-dollars.
    pub price_u: u64,
}

/// An amount to add to one counter, unless that exceeds the limits.
#[derive(Clone, PartialEq, Eq)]
pub struct Charge {
    /// What is limited.
    pub scope: Scope,
    /// The counter's subject. Holds numbers and addresses in full: hash it before you store or log it.
    pub subject: String,
    /// The amount to add; a negative amount is returned.
    pub amount: i64,
    /// The limits. If one would be exceeded, no charge of the attempt is added.
    pub limits: Limits,
    /// Whether the amount is added even over the limits; the limits then only define the windows.
    pub ignores_limits: bool,
}

/// Leaves out the subject, which is personal data.
impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:+} of {}", self.scope.as_str(), self.amount, self.limits)
    }
}

impl Guard {
    /// The charges of one attempt, narrow scopes first.
    pub fn charges(&self, attempt: &ProposedAttempt) -> Vec<Charge> {
        let ProposedAttempt { app, to, client_ip, is_call, is_new, price_u } = attempt;
        let in_app = |subject: &str| format!("{app}|{subject}");
        let (number, prefix) = (in_app(&to.identity()), in_app(&prefix(to)));
        let address = client_ip.map(|ip| in_app(&subscriber_network(ip)));
        let pairs = [
            (Scope::Number, Scope::NumberCall, &self.number, Some(number.as_str())),
            (Scope::Ip, Scope::IpCall, &self.ip, address.as_deref()),
            (Scope::Prefix, Scope::PrefixCall, &self.prefix, Some(prefix.as_str())),
            (Scope::App, Scope::AppCall, self.apps.get(*app).map_or(&self.app, |own| &own.pair), Some(*app)),
            (Scope::Country, Scope::CountryCall, &self.country, Some(to.country().as_str())),
            (Scope::Total, Scope::TotalCall, &self.total, Some("")),
        ];
        let mut charges = Vec::with_capacity(14);
        for (any, call, pair, subject) in pairs {
            let Some(subject) = subject else { continue };
            charges.push(Charge::new(any, subject, 1, &pair.any));
            if *is_call {
                charges.push(Charge::new(call, subject, 1, &pair.call));
            }
            if any == Scope::Prefix && *is_new {
                charges.push(Charge::new(Scope::Unverified, subject, 1, &self.unverified));
            }
        }
        // A verification that has started may exceed the budget.
        let costs = self.budget_charges(app, i64::try_from(*price_u).unwrap_or(i64::MAX));
        charges.extend(costs.map(|charge| Charge { ignores_limits: !is_new, ..charge }));
        charges.retain(|charge| !charge.limits.0.is_empty());
        charges
    }

    /// The amount that a success returns to the counter of unverified sends.
    pub fn credit_of_success(&self, app: &str, to: &PhoneNumber) -> Option<Charge> {
        let charge =
            Charge::new(Scope::Unverified, &format!("{app}|{}", prefix(to)), -SENDS_PER_SUCCESS, &self.unverified);
        (!charge.limits.0.is_empty()).then_some(Charge { ignores_limits: true, ..charge })
    }

    /// Adjusts the budgets by the difference between actual and expected cost, in micro-dollars.
    pub fn cost_corrections(&self, app: &str, difference_u: i64) -> impl Iterator<Item = Charge> {
        let charges = self.budget_charges(app, difference_u).filter(move |_| difference_u != 0);
        charges.map(|charge| Charge { ignores_limits: true, ..charge })
    }

    /// What counts against the budget of the app, where it has one, and that of all apps.
    fn budget_charges(&self, app: &str, amount_u: i64) -> impl Iterator<Item = Charge> + use<> {
        let own_u = self.apps.get(app).and_then(|own| own.budget_u);
        let budgets = [own_u.map(|max| (app, max)), self.budget_u.map(|max| ("", max))];
        let charges = budgets.map(|budget| {
            let (subject, max) = budget?;
            let limits = Limits([Limit { max, window: Duration::from_secs(86_400) }].into());
            Some(Charge::new(Scope::Budget, subject, amount_u, &limits))
        });
        charges.into_iter().flatten()
    }
}

impl Charge {
    fn new(scope: Scope, subject: &str, amount: i64, limits: &Limits) -> Self {
        Self { scope, subject: subject.to_owned(), amount, limits: limits.clone(), ignores_limits: false }
    }
}

/// A number without its last four digits.
fn prefix(to: &PhoneNumber) -> String {
    let mut digits = to.identity().into_owned();
    digits.truncate(digits.len().saturating_sub(4));
    digits
}

/// The addresses of one subscriber: an IPv4 address, or the 64-bit prefix of an IPv6 site.
fn subscriber_network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{:x}", v6.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let pair = |any: &str, call: &str| LimitPair { any: any.parse().unwrap(), call: call.parse().unwrap() };
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

    fn scopes(charges: &[Charge]) -> Vec<&'static str> {
        charges.iter().map(|charge| charge.scope.as_str()).collect()
    }

    #[test]
    fn a_call_counts_as_an_attempt_and_as_a_call() {
        let to = PhoneNumber::parse("+14155550112").unwrap();
        let attempt =
            ProposedAttempt { app: "shop", to: &to, client_ip: None, is_call: false, is_new: true, price_u: 8000 };
        let charges = guard().charges(&attempt);
        assert_eq!(scopes(&charges), ["number", "prefix", "unverified", "total", "budget"]);
        assert!(charges.iter().all(|charge| !charge.ignores_limits));
        let attempt =
            ProposedAttempt { is_call: true, is_new: false, client_ip: "203.0.113.9".parse().ok(), ..attempt };
        let charges = guard().charges(&attempt);
        let expected = ["number", "number_call", "ip", "ip_call", "prefix", "prefix_call", "total", "budget"];
        assert_eq!(scopes(&charges), expected);
        assert_eq!(charges.last().map(|charge| (charge.amount, charge.ignores_limits)), Some((8000, true)));
    }

    #[test]
    fn subjects_differ_by_app_and_are_left_out_of_debug() {
        let to = PhoneNumber::parse("+14155550112").unwrap();
        let charges_of = |app| {
            let ip = "2001:db8::1".parse().ok();
            guard().charges(&ProposedAttempt { app, to: &to, client_ip: ip, is_call: false, is_new: true, price_u: 0 })
        };
        let (one, other) = (charges_of("shop"), charges_of("bank"));
        assert_ne!(one[0].subject, other[0].subject);
        assert_eq!(one[2].subject, "shop|+1415555");
        assert_eq!(one[1].subject, "shop|20010db800000000");
        assert!(!format!("{one:?}").contains("415555"));
    }

    #[test]
    fn both_spellings_of_an_argentine_number_share_their_limits() {
        let [with, without] = ["+5491123456789", "+541123456789"].map(|to| {
            let to = PhoneNumber::parse(to).unwrap();
            let attempt =
                ProposedAttempt { app: "shop", to: &to, client_ip: None, is_call: true, is_new: true, price_u: 0 };
            guard().charges(&attempt)
        });
        assert_eq!(with, without);
    }
}
