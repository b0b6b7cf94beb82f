//! A creation's body, checked: every parameter that is wrong is named, all at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::error::{ApiError, Kind, ParameterError};
use crate::engine::Creation;
use crate::escalation::Policy;
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::state::Details;
use crate::verification::{CODE_LENGTH_RANGE, Code, Mode};

const METADATA_MAX: usize = 20;
const METADATA_KEY_MAX: usize = 40;
const METADATA_VALUE_MAX: usize = 500;

/// What to verify, and how. Only `to` is required.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBody {
    /// E.164: `+`, then digits.
    #[schema(example = "+14155550112", value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
    /// `auto` (a text, and a call when it is not going to make it), `sms` (never escalates) or `call`.
    #[schema(example = "auto")]
    channel: Option<String>,
    /// BCP 47.
    #[schema(example = "en-US")]
    locale: Option<String>,
    /// Digits of the code, 6 to 9.
    #[schema(minimum = 6, maximum = 9)]
    code_length: Option<u8>,
    /// Seconds the code lives, at most 600.
    #[schema(minimum = 1, maximum = 600)]
    ttl: Option<u64>,
    /// When to call, instead of the operator's `ESCALATION`.
    #[schema(example = "fixed+fail:45")]
    escalation: Option<String>,
    /// The customer's own code, 4 to 10 digits.
    code: Option<String>,
    /// The person's address.
    client_ip: Option<String>,
    /// Android's SMS Retriever hash.
    app_hash: Option<String>,
    /// The site a browser may fill the code in for.
    web_origin: Option<String>,
    /// Given back unread; at most 20 entries.
    metadata: Option<BTreeMap<String, String>>,
}

impl CreateBody {
    /// Checks everything.
    ///
    /// # Errors
    /// 422 with every parameter that is wrong; 403 when the number's country is not served.
    pub fn checked(self, app: String, shared: &Shared) -> Result<Creation, ApiError> {
        let mut faults = Faults::default();
        let number = self.to.as_deref().map(|to| shared.test_numbers.read(to));
        let mode = faults.take("channel", self.channel.as_deref(), "must be auto, sms or call", |text| match text {
            "auto" => Some(Mode::Auto),
            "sms" => Some(Mode::Sms),
            "call" | "voice" => Some(Mode::Call),
            _ => None,
        });
        let code_length =
            faults.take("code_length", self.code_length, "must be 6 to 9", |n| (6..=9).contains(&n).then_some(n));
        let ttl = faults.take("ttl", self.ttl, "must be 1 to 600 seconds", |seconds| {
            (1..=LIFETIME_MAX.as_secs()).contains(&seconds).then(|| Duration::from_secs(seconds))
        });
        let policy = "must be fixed:SECONDS, fixed+fail:SECONDS, fail or never";
        let policy = faults.take("escalation", self.escalation.as_deref(), policy, |text| text.parse::<Policy>().ok());
        let lengths = format!("must be {} to {} ASCII digits", CODE_LENGTH_RANGE.start(), CODE_LENGTH_RANGE.end());
        let code = faults.take("code", self.code.as_deref(), &lengths, Code::parse);
        if let (Some(code), Some(length)) = (&code, code_length)
            && code.length() != length
        {
            faults.add("code_length", "is not the length of the code given");
        }
        let details = Details {
            locale: faults.take("locale", self.locale, "must be a BCP 47 tag, as en-US", is_locale).unwrap_or_default(),
            client_ip: faults.take("client_ip", self.client_ip, "must be an IP address", |t| t.parse::<IpAddr>().ok()),
            app_hash: faults.take("app_hash", self.app_hash, "must be the 11 characters of an app hash", is_app_hash),
            web_origin: faults.take("web_origin", self.web_origin, "must be a host name, as shop.example", is_host),
            metadata: faults
                .take("metadata", self.metadata, "has too many or too long entries (20 of 40 and 500 characters)", fits)
                .unwrap_or_default(),
            is_test: matches!(number, Some(Ok((_, Some(_))))),
        };
        let (to, test_code) = match number {
            Some(Ok(number)) => number,
            Some(Err(why)) if faults.0.is_empty() => return Err(ApiError::number("to", why)),
            Some(Err(why)) => return Err(faults.with("to", &why.to_string())),
            None => return Err(faults.with("to", "is required")),
        };
        if !faults.0.is_empty() {
            return Err(ApiError::parameters(faults.0));
        }
        let mode = mode.unwrap_or_default();
        if let Some(code) = test_code {
            let (code, code_length, calls_allowed) = (Some(code), None, true);
            return Ok(Creation { app, code, code_length, to, mode, policy, ttl, calls_allowed, details });
        }
        if let Some(range) = shared.blocked.reason(&to) {
            shared.engine.metrics.refusal("destination");
            let detail = format!("BLOCKED_RANGES names what this number is: {range}.");
            return Err(ApiError::new(Kind::DestinationBlocked, detail));
        }
        let calls_allowed = shared.countries_call.allow(to.country());
        if !shared.countries.allow(to.country()) {
            shared.engine.metrics.refusal("country");
            let detail = format!("COUNTRIES does not name {}.", to.country());
            return Err(ApiError::new(Kind::CountryNotAllowed, detail));
        }
        if mode == Mode::Call && !calls_allowed {
            shared.engine.metrics.refusal("country_call");
            let detail = format!("COUNTRIES_CALL does not name {}.", to.country());
            return Err(ApiError::new(Kind::ChannelNotAllowed, detail));
        }
        Ok(Creation { app, code, code_length, to, mode, policy, ttl, calls_allowed, details })
    }
}

#[derive(Default)]
struct Faults(Vec<ParameterError>);

impl Faults {
    fn add(&mut self, name: &str, detail: &str) {
        self.0.push(ParameterError::new(name, detail));
    }

    fn with(mut self, name: &str, detail: &str) -> ApiError {
        self.0.insert(0, ParameterError::new(name, detail));
        ApiError::parameters(self.0)
    }

    /// The value checked; a value that fails is a fault.
    fn take<T, U>(
        &mut self,
        name: &str,
        given: Option<T>,
        must: &str,
        check: impl FnOnce(T) -> Option<U>,
    ) -> Option<U> {
        let checked = check(given?);
        if checked.is_none() {
            self.add(name, must);
        }
        checked
    }
}

fn is_locale(text: String) -> Option<String> {
    let mut parts = text.split(['-', '_']);
    let language =
        parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    let rest = parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    (language && rest && text.len() <= 35).then_some(text)
}

/// Source: Google's SMS Retriever documentation: 11 characters of base64.
fn is_app_hash(text: String) -> Option<String> {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    (text.len() == 11 && text.bytes().all(is_base64)).then_some(text)
}

fn is_host(text: String) -> Option<String> {
    let is_label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    (text.len() <= 64 && text.split('.').all(is_label)).then_some(text)
}

fn fits(metadata: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let fits = |(key, value): (&String, &String)| {
        key.chars().count() <= METADATA_KEY_MAX && value.chars().count() <= METADATA_VALUE_MAX
    };
    (metadata.len() <= METADATA_MAX && metadata.iter().all(fits)).then_some(metadata)
}
