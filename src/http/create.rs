//! The body of a creation, checked: a problem names every wrong parameter at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use serde::Deserialize;
use tracing::debug;
use utoipa::ToSchema;

use super::client_ip::address;
use super::error::{ApiError, ErrorCode, ParameterError};
use super::openapi::words;
use super::parameters;
use super::state::Shared;
use super::user_message::Wording;
use crate::engine::Creation;
use crate::escalation::Policy;
use crate::phone::PhoneNumber;
use crate::plivo::language::parse_tag;
use crate::verification::rules::LIFETIME_MAX;
use crate::verification::{CODE_LENGTH_RANGE, Code, Details, Mode};

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
    /// `auto` (a text, then a call if the text fails), `sms` (never escalates) or `call` (`voice` is accepted for it).
    #[schema(value_type = Option<words::RequestedMode>, example = "auto")]
    channel: Option<String>,
    /// BCP 47; without one the main language of the number's country.
    #[schema(example = "en-US")]
    locale: Option<String>,
    /// How many digits the code has, 6 to 9.
    #[schema(minimum = 6, maximum = 9)]
    code_length: Option<u8>,
    /// How many seconds the code is valid, at most 600.
    #[schema(minimum = 1, maximum = 600)]
    ttl: Option<u64>,
    /// When to call, instead of the service's own policy.
    #[schema(example = "fixed+fail:45")]
    escalation: Option<String>,
    /// The customer's own code, 4 to 10 digits.
    code: Option<String>,
    /// The person's IP address; may have a port or brackets, as proxies write it.
    client_ip: Option<String>,
    /// Android's SMS Retriever hash.
    app_hash: Option<String>,
    /// The site on which a browser may fill in the code.
    web_origin: Option<String>,
    /// What the code is for, at most 64 characters. Creations of another purpose get a code of their own.
    #[schema(example = "signin", max_length = 64)]
    purpose: Option<String>,
    /// Returned as given; at most 20 entries.
    metadata: Option<BTreeMap<String, String>>,
}

impl CreateBody {
    /// Checks every parameter, then whether the number may be reached.
    ///
    /// # Errors
    /// 422 that names every wrong parameter; 403 when the number may not be texted or called.
    pub fn checked(self, app: String, shared: &Shared) -> Result<Creation, ApiError> {
        let mut faults = Faults::default();
        let number = self.to.as_deref().map(|to| shared.test_numbers.read(to));
        let mode = faults.check("channel", self.channel, mode);
        let code_length = faults.check("code_length", self.code_length, |length| {
            (6..=9).contains(&length).then_some(length).ok_or("must be 6 to 9")
        });
        let ttl = faults.check("ttl", self.ttl, |seconds| {
            let is_allowed = (1..=LIFETIME_MAX.as_secs()).contains(&seconds);
            is_allowed.then(|| Duration::from_secs(seconds)).ok_or("must be 1 to 600 seconds")
        });
        let policy = faults.check("escalation", self.escalation, |text| text.parse::<Policy>());
        let code = faults.check("code", self.code, |digits| {
            let lengths =
                || format!("must be {} to {} ASCII digits", CODE_LENGTH_RANGE.start(), CODE_LENGTH_RANGE.end());
            Code::parse(&digits).ok_or_else(lengths)
        });
        if let (Some(code), Some(length)) = (&code, code_length)
            && code.length() != length
        {
            faults.add("code_length", "is not the length of the given code");
        }
        let details = Details {
            locale: faults.check("locale", self.locale, locale).unwrap_or_default(),
            client_ip: faults.check("client_ip", self.client_ip, |text| {
                address(text.trim()).ok_or("must be an IP address; brackets and a port are ignored")
            }),
            app_hash: faults.check("app_hash", self.app_hash, app_hash),
            web_origin: faults.check("web_origin", self.web_origin, host),
            purpose: faults.check("purpose", self.purpose, parameters::short_purpose).unwrap_or_default(),
            is_checked_elsewhere: shared.apps.get(&app).is_some_and(|own| own.is_checked_elsewhere),
            is_test: matches!(number, Some(Ok((_, Some(_))))),
        };
        let metadata = faults.check("metadata", self.metadata, bounded).unwrap_or_default();
        let (to, test_code) = match number {
            Some(Ok(number)) => number,
            Some(Err(why)) if faults.0.is_empty() => {
                return Err(ApiError::number("to", why).worded(Wording::of(&details.locale)));
            }
            Some(Err(why)) => return Err(faults.with("to", &why.to_string())),
            None => return Err(faults.with("to", "is required")),
        };
        if !faults.0.is_empty() {
            return Err(ApiError::parameters(faults.0));
        }
        let mode = mode.unwrap_or_default();
        let policy = policy.or_else(|| shared.apps.get(&app)?.escalation);
        // Nothing is sent to a test number, so it may be in any country.
        let (code, code_length, calls_allowed) = match test_code {
            Some(code) => (Some(code), None, true),
            None => {
                let in_language = |problem: ApiError| problem.worded(Wording::of_person(&details.locale, to.country()));
                (code, code_length, reachable(&app, &to, mode, shared).map_err(in_language)?)
            }
        };
        Ok(Creation {
            app,
            code,
            code_length,
            to,
            mode,
            policy,
            ttl,
            calls_allowed,
            details,
            metadata,
            is_resend: false,
            seed: None,
        })
    }
}

/// Whether a number that may be texted may be called as well.
///
/// # Errors
/// 403 when the number may not be reached in this mode. Only the log names the settings behind it.
fn reachable(app: &str, to: &PhoneNumber, mode: Mode, shared: &Shared) -> Result<bool, ApiError> {
    let refused = |scope, setting, code: ErrorCode, detail: String| {
        shared.metrics.refusal(scope);
        shared.engine.report_trip(app, scope, code.into());
        debug!(event = "creation_refused", scope, setting, "the settings exclude this number");
        ApiError::new(code, detail)
    };
    if let Some(range) = shared.blocked.reason(to) {
        let detail = match range {
            "prefix" => "Numbers that begin like this one cannot be verified. Ask for another number.".to_owned(),
            range => {
                let range = in_words(range);
                format!("This kind of number ({range}) cannot be verified. Ask for a mobile number.")
            }
        };
        return Err(refused("destination", "BLOCKED_RANGES", ErrorCode::DestinationBlocked, detail));
    }
    let country = to.country();
    let own = shared.apps.get(app);
    let countries = own.and_then(|own| own.countries.as_ref()).unwrap_or(&shared.countries);
    if !countries.allow(country) {
        let detail =
            format!("Numbers of this country ({country}) cannot be verified. Ask for a number of another one.");
        return Err(refused("country", "COUNTRIES", ErrorCode::CountryNotAllowed, detail));
    }
    // Where an app has its own countries alone, these may be called too.
    let own_call = own.and_then(|own| own.countries_call.as_ref().or(own.countries.as_ref()));
    let calls_allowed = own_call.unwrap_or(&shared.countries_call).allow(country);
    if mode == Mode::Call && !calls_allowed {
        let detail = format!("Numbers of this country ({country}) cannot be called. Use the channel sms.");
        return Err(refused("country_call", "COUNTRIES_CALL", ErrorCode::ChannelNotAllowed, detail));
    }
    Ok(calls_allowed)
}

/// A blocked range as a person calls it.
fn in_words(range: &str) -> &str {
    match range {
        "premium" => "premium rate",
        "shared_cost" => "shared cost",
        "personal" => "personal number",
        "uan" => "company access number",
        "voip" => "internet telephony",
        range => range,
    }
}

/// The parameters that are wrong so far.
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

    /// The checked value; `None` if it is absent, or wrong and noted as a fault.
    fn check<T, U, E: Display>(
        &mut self,
        name: &str,
        given: Option<T>,
        check: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        check(given?).map_err(|wrong| self.add(name, &wrong.to_string())).ok()
    }
}

fn mode(channel: String) -> Result<Mode, &'static str> {
    match channel.as_str() {
        "auto" => Ok(Mode::Auto),
        "sms" => Ok(Mode::Sms),
        "call" | "voice" => Ok(Mode::Call),
        _ => Err("must be auto, sms or call"),
    }
}

fn locale(text: String) -> Result<String, &'static str> {
    parse_tag(&text).map(|_| text).ok_or("must be a BCP 47 tag, such as en-US")
}

/// Source: Google's SMS Retriever documentation: 11 characters of base64.
fn app_hash(text: String) -> Result<String, &'static str> {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let is_hash = text.len() == 11 && text.bytes().all(is_base64);
    is_hash.then_some(text).ok_or("must be the 11 characters of an app hash")
}

fn host(text: String) -> Result<String, &'static str> {
    let is_label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let is_host = text.len() <= 64 && text.split('.').all(is_label);
    is_host.then_some(text).ok_or("must be a host name, such as shop.example")
}

fn bounded(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, &'static str> {
    let fits = |(key, value): (&String, &String)| {
        key.chars().count() <= METADATA_KEY_MAX && value.chars().count() <= METADATA_VALUE_MAX
    };
    let is_bounded = metadata.len() <= METADATA_MAX && metadata.iter().all(fits);
    is_bounded
        .then_some(metadata)
        .ok_or("must have at most 20 entries, with keys of at most 40 and values of at most 500 characters")
}
