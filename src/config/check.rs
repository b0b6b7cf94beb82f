//! Faults, and the rules that find them.
//!
//! A rule takes the text of one variable and gives what it means, or what is wrong with it as the end of
//! a sentence that begins with the variable's name. It never repeats the text.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use url::{Host, Url};

use super::VARIABLES;
use super::types::{ApiKey, Countries, LogFormat, Network};
use crate::escalation::Policy;
use crate::phone::{Country, PhoneNumber};
use crate::store::redis::{CaCertificates, Redis};

pub(super) const PHLO_ID_EXAMPLE: &str = "2b1c7f0e-0000-4000-8000-000000000000";

/// One thing that is wrong with one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The variable.
    pub variable: String,
    /// What is wrong; never with the value.
    pub problem: String,
    /// A value that would do.
    pub example: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0} {1}; for example {0}={2}", self.variable, self.problem, self.example)
    }
}

/// Everything that is wrong: one line per fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Fault>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// What a rule says.
pub(super) type Ruled<T> = Result<T, String>;

/// Collects faults while rules run. What could not be had is `None`, and the reason is in here.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, variable: &str, problem: &str, example: &str) {
        self.0.push(Fault { variable: variable.into(), problem: problem.into(), example: example.into() });
    }

    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        given: Option<String>,
        rule: impl FnOnce(&str) -> Ruled<T>,
        example: &str,
    ) -> Option<T> {
        rule(&given?).map_err(|problem| self.add(name, &problem, example)).ok()
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        given: Option<String>,
        rule: impl FnOnce(&str) -> Ruled<T>,
        example: &str,
    ) -> Option<T> {
        // A file that could not be read has said so already.
        if given.is_none() && !self.0.iter().any(|fault| fault.variable.strip_suffix("_FILE") == Some(name)) {
            self.add(name, "is missing", example);
        }
        self.optional(name, given, rule, example)
    }

    /// With the default that [`VARIABLES`] names.
    pub(super) fn defaulted<T>(
        &mut self,
        name: &str,
        given: Option<String>,
        rule: impl FnOnce(&str) -> Ruled<T>,
    ) -> Option<T> {
        let default = VARIABLES.iter().find(|(known, ..)| *known == name).map_or("", |(_, default, _)| default);
        self.optional(name, given.or_else(|| Some(default.into())), rule, default)
    }

    pub(super) fn count<T: TryFrom<u64>>(
        &mut self,
        name: &str,
        given: Option<String>,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        self.defaulted(name, given, |text| {
            let (least, most) = (*range.start(), *range.end());
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let value = text.parse().ok().filter(|n| digits && range.contains(n));
            value.and_then(|n| T::try_from(n).ok()).ok_or(format!("must be a whole number from {least} to {most}"))
        })
    }

    pub(super) fn seconds(
        &mut self,
        name: &str,
        given: Option<String>,
        range: RangeInclusive<u64>,
    ) -> Option<Duration> {
        self.count(name, given, range).map(Duration::from_secs)
    }

    /// The result, if nothing was found.
    pub(super) fn unless_any<T>(self, result: Option<T>) -> Result<T, ConfigErrors> {
        match result {
            Some(result) if self.0.is_empty() => Ok(result),
            _ => Err(ConfigErrors(self.0)),
        }
    }
}

/// What stands in a path as one segment.
pub(super) fn word(text: &str) -> Ruled<String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { Ok(text.into()) } else { Err("may only hold letters, digits, - and _".into()) }
}

pub(super) fn number(text: &str) -> Ruled<PhoneNumber> {
    PhoneNumber::parse(text).map_err(|error| error.to_string())
}

/// A comma-separated list of secrets that can stand in a header.
pub(super) fn secrets(text: &str) -> Ruled<Vec<SecretString>> {
    let list: Vec<&str> = listed(text).collect();
    match list.iter().any(|secret| !secret.bytes().all(|b| b.is_ascii_graphic())) {
        _ if list.is_empty() => Err("is an empty list".into()),
        true => Err("may only hold printable ASCII without blanks, separated by commas".into()),
        false => Ok(list.into_iter().map(SecretString::from).collect()),
    }
}

/// The same, to be typed into URLs.
pub(super) fn path_secrets(text: &str) -> Ruled<Vec<SecretString>> {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let list = secrets(text)?;
    if list.iter().all(|secret| secret.expose_secret().bytes().all(unreserved)) {
        Ok(list)
    } else {
        Err("stands in URLs, so it may only hold letters, digits and -._~".into())
    }
}

/// `name:secret,name:secret`. Entries are counted, not shown, in what is wrong: either half may be secret.
pub(super) fn api_keys(text: &str, plivo_is_local: bool) -> Ruled<Vec<ApiKey>> {
    let mut keys: Vec<ApiKey> = Vec::new();
    for (i, entry) in listed(text).enumerate() {
        let wrong = |problem: &str| Err(format!("entry {} {problem}", i + 1));
        let Some((app, secret)) = entry.split_once(':') else { return wrong("is not name:secret") };
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if !(1..=32).contains(&app.len()) || !app.bytes().all(named) {
            return wrong("has a name that is not 1 to 32 of a-z, 0-9, _ and -");
        }
        if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong("has a secret that is not printable ASCII without blanks");
        }
        if secret.len() < 20 && !plivo_is_local {
            return wrong("has a secret of fewer than 20 characters, which only a local Plivo allows");
        }
        match keys.iter().find(|key| key.secret.expose_secret() == secret) {
            Some(key) if key.app != app => return wrong("has the secret of another name"),
            Some(_) => {}
            None => keys.push(ApiKey { app: app.into(), secret: secret.into() }),
        }
    }
    if keys.is_empty() { Err("is an empty list".into()) } else { Ok(keys) }
}

/// Base64 in either alphabet, with or without padding.
pub(super) fn key(text: &str) -> Ruled<SecretSlice<u8>> {
    let any_padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, any_padding);
    match engine.decode(text.replace('-', "+").replace('_', "/")).map(SecretSlice::from) {
        Ok(key) if key.expose_secret().len() >= 32 => Ok(key),
        Ok(_) => Err("must be at least 32 bytes, base64".into()),
        Err(_) => Err("is not base64".into()),
    }
}

/// An origin, as requests are made to: scheme, host and port.
pub(super) fn origin(text: &str) -> Ruled<String> {
    let url = web_url(text)?;
    if url.path() != "/" {
        Err("must be an origin, without a path".into())
    } else {
        Ok(text.trim_end_matches('/').into())
    }
}

/// Kept as written, because Plivo signs the text and not its meaning. What the SDKs sign in different
/// ways is refused: escapes, `;`, non-ASCII, IPv6 hosts, capitals in the scheme.
/// Source: plivo-python, plivo-node and plivo-go compared.
pub(super) fn public_url(text: &str) -> Ruled<String> {
    let url = web_url(text)?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"%;\\".contains(&b));
    if !plain || matches!(url.host(), Some(Host::Ipv6(_))) && !is_loopback(text) {
        return Err("must be plain ASCII without escapes or ';', and its host a name or an IPv4 address".into());
    }
    Ok(text.trim_end_matches('/').into())
}

fn web_url(text: &str) -> Ruled<Url> {
    let parsed = Url::parse(text).ok().filter(|_| text.starts_with("http://") || text.starts_with("https://"));
    let url = parsed.ok_or("must be an absolute http or https URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment".into());
    }
    Ok(url)
}

/// Whether a URL leads to this machine.
pub fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What the store takes.
/// Certificates in PEM, from the file at `path`.
pub(super) fn ca_file(path: &str) -> Ruled<CaCertificates> {
    let pem = std::fs::read(path).map_err(|error| format!("names a file that cannot be read ({})", error.kind()))?;
    CaCertificates::from_pem(&pem).map_err(|error| format!("names a file that {error}"))
}

pub(super) fn redis_url(text: &str) -> Ruled<SecretString> {
    let url = SecretString::from(text);
    if text == "memory://" {
        return Ok(url);
    }
    match Redis::check_url(&url) {
        Ok(()) => Ok(url),
        Err(why) => Err(format!("{why}; or memory://")),
    }
}

pub(super) fn bind(text: &str) -> Ruled<SocketAddr> {
    text.parse().map_err(|_| "must be an IP address and a port".into())
}

pub(super) fn networks(text: &str) -> Ruled<Vec<Network>> {
    let parse = |one: &str| one.parse().map_err(|()| "must be IP addresses or networks, separated by commas".into());
    listed(text).map(parse).collect()
}

pub(super) fn escalation(text: &str) -> Ruled<Policy> {
    text.parse().map_err(|error: crate::escalation::ParsePolicyError| error.to_string())
}

pub(super) fn countries(text: &str) -> Ruled<Countries> {
    if text == "*" {
        return Ok(Countries::All);
    }
    let parse = |code: &str| match Country::parse(code) {
        Some(country) if country.has_numbers() => Ok(country),
        Some(country) => Err(format!("holds {country}, which is no country with numbers (the United Kingdom is GB)")),
        None => Err("must be two-letter ISO codes separated by commas, or * for all".into()),
    };
    let these: BTreeSet<Country> = listed(text).map(parse).collect::<Result<_, String>>()?;
    if these.is_empty() { Err("is an empty list".into()) } else { Ok(Countries::Only(these)) }
}

/// Short enough to leave a text in one part.
pub(super) fn brand(text: &str) -> Ruled<String> {
    if text.chars().count() <= 40 && !text.chars().any(char::is_control) {
        Ok(text.into())
    } else {
        Err("must be at most 40 characters in one line".into())
    }
}

pub(super) fn log_format(text: &str) -> Ruled<LogFormat> {
    match text {
        "json" => Ok(LogFormat::Json),
        "pretty" => Ok(LogFormat::Pretty),
        _ => Err("must be json or pretty".into()),
    }
}

pub(super) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty())
}
