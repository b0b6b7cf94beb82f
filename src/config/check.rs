//! Checks of single variables.
//!
//! A check turns a text into a value, or into a fault worded to follow the variable's name. A fault never contains the text.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use url::{Host, Url};

use super::faults::Checked;
use super::types::{ApiKey, Countries, LogFormat};
use crate::escalation::Policy;
use crate::phone::{Country, PhoneNumber};
use crate::plivo::Proxy;
use crate::plivo::fold::to_gsm7;
use crate::store::redis::{CaCertificates, Redis};
use crate::webhook::WebhookSecret;

pub(super) const PHLO_ID_EXAMPLE: &str = "2b1c7f0e-0000-4000-8000-000000000000";

pub(super) const WEBHOOK_URL_EXAMPLE: &str = "https://shop.example/webhooks/2fa";

/// A text that is one segment of a URL path.
pub(super) fn word(text: &str) -> Checked<String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { Ok(text.into()) } else { Err("may only contain letters, digits, - and _".into()) }
}

pub(super) fn number(text: &str) -> Checked<PhoneNumber> {
    PhoneNumber::parse(text).map_err(|error| error.to_string())
}

/// A comma-separated list of secrets that can be sent in a header.
pub(super) fn secrets(text: &str) -> Checked<Vec<SecretString>> {
    let list: Vec<&str> = listed(text).collect();
    match list.iter().any(|secret| !secret.bytes().all(|b| b.is_ascii_graphic())) {
        _ if list.is_empty() => Err("is an empty list".into()),
        true => Err("may only contain printable ASCII without blanks, separated by commas".into()),
        false => Ok(list.into_iter().map(SecretString::from).collect()),
    }
}

/// A list of secrets that can also be part of a URL path.
pub(super) fn path_secrets(text: &str) -> Checked<Vec<SecretString>> {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let list = secrets(text)?;
    if list.iter().all(|secret| secret.expose_secret().bytes().all(unreserved)) {
        Ok(list)
    } else {
        Err("is part of URLs, so it may only contain letters, digits and -._~".into())
    }
}

/// `name:secret,name:secret`. A fault names an entry by its position, because either half may be secret.
pub(super) fn api_keys(text: &str, plivo_is_local: bool) -> Checked<Vec<ApiKey>> {
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
            Some(key) if key.app != app => return wrong("has the same secret as another name"),
            Some(_) => {}
            None => keys.push(ApiKey { app: app.into(), secret: secret.into() }),
        }
    }
    if keys.is_empty() { Err("is an empty list".into()) } else { Ok(keys) }
}

/// Base64 in either alphabet, with or without padding.
pub(super) fn key(text: &str) -> Checked<SecretSlice<u8>> {
    let any_padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, any_padding);
    match engine.decode(text.replace('-', "+").replace('_', "/")).map(SecretSlice::from) {
        Ok(key) if key.expose_secret().len() >= 32 => Ok(key),
        Ok(_) => Err("must be at least 32 bytes, base64".into()),
        Err(_) => Err("is not base64".into()),
    }
}

/// Scheme, host and port of a server.
pub(super) fn origin(text: &str) -> Checked<String> {
    let url = web_url(text)?;
    if url.path() != "/" {
        Err("must be an origin without a path".into())
    } else {
        Ok(text.trim_end_matches('/').into())
    }
}

/// The public URL as written, because Plivo signs its text.
///
/// Refuses what Plivo's SDKs sign differently: escapes, `;`, non-ASCII, IPv6 hosts and capitals in the scheme.
/// Source: plivo-python, plivo-node and plivo-go compared.
pub(super) fn public_url(text: &str) -> Checked<String> {
    let url = web_url(text)?;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"%;\\".contains(&b));
    if !plain || matches!(url.host(), Some(Host::Ipv6(_))) && !is_loopback(text) {
        return Err("must be plain ASCII without escapes or ';', with a name or an IPv4 address as host".into());
    }
    Ok(text.trim_end_matches('/').into())
}

fn web_url(text: &str) -> Checked<Url> {
    let parsed = Url::parse(text).ok().filter(|_| text.starts_with("http://") || text.starts_with("https://"));
    let url = parsed.ok_or("must be an absolute http or https URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or a fragment".into());
    }
    Ok(url)
}

/// The URL of a receiver. It may have a query, but no credentials: signatures authenticate a message.
pub(super) fn webhook_url(text: &str) -> Checked<String> {
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = parsed.ok_or("must be an absolute http or https URL")?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must not contain a user name, a password or a fragment".into());
    }
    Ok(url.into())
}

/// A list of secrets for webhooks. A fault names an entry by its position.
pub(super) fn webhook_secrets(text: &str) -> Checked<Vec<WebhookSecret>> {
    let parse = |(i, entry): (usize, &str)| {
        let wrong = || format!("entry {} is not whsec_ and the base64 of 24 to 64 bytes", i + 1);
        WebhookSecret::parse(entry).ok_or_else(wrong)
    };
    let secrets: Vec<_> = listed(text).enumerate().map(parse).collect::<Result<_, _>>()?;
    if secrets.is_empty() { Err("is an empty list".into()) } else { Ok(secrets) }
}

/// Whether a URL's host is this machine.
pub fn is_loopback(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Certificates in PEM, from the file at `path`.
pub(super) fn ca_file(path: &str) -> Checked<CaCertificates> {
    let pem = std::fs::read(path).map_err(|error| format!("names a file that cannot be read ({})", error.kind()))?;
    CaCertificates::from_pem(&pem).map_err(|error| format!("names a file that {error}"))
}

/// A URL that the store accepts.
pub(super) fn redis_url(text: &str) -> Checked<SecretString> {
    let url = SecretString::from(text);
    if text == "memory://" {
        return Ok(url);
    }
    match Redis::check_url(&url) {
        Ok(()) => Ok(url),
        Err(why) => Err(format!("{why}; or memory://")),
    }
}

/// The URL of a proxy, or `environment`.
pub(super) fn proxy(text: &str) -> Checked<Proxy> {
    if text == "environment" {
        return Ok(Proxy::Environment);
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/");
    match url.filter(|url| url.has_host() && url.query().is_none() && url.fragment().is_none()) {
        Some(_) => Ok(Proxy::At(text.into())),
        None => Err("must be the http or https URL of a proxy without a path, or environment".into()),
    }
}

pub(super) fn bind(text: &str) -> Checked<SocketAddr> {
    text.parse().map_err(|_| "must be an IP address and a port".into())
}

/// Addresses, or networks such as `10.0.0.0/8`.
pub(super) fn networks(text: &str) -> Checked<Vec<IpNet>> {
    let parse = |one: &str| one.parse().or_else(|_| one.parse::<IpAddr>().map(IpNet::from));
    let parsed = listed(text).map(parse).collect::<Result<_, _>>();
    parsed.map_err(|_| "must be IP addresses or networks, separated by commas".into())
}

pub(super) fn escalation(text: &str) -> Checked<Policy> {
    text.parse().map_err(|error: crate::escalation::ParsePolicyError| error.to_string())
}

pub(super) fn countries(text: &str) -> Checked<Countries> {
    if text == "*" {
        return Ok(Countries::All);
    }
    let parse = |code: &str| match Country::parse(code) {
        Some(country) if country.has_numbers() => Ok(country),
        Some(country) => {
            Err(format!("contains {country}, which is not a country with phone numbers (the United Kingdom is GB)"))
        }
        None => Err("must be two-letter ISO codes separated by commas, or * for all".into()),
    };
    let listed: BTreeSet<Country> = listed(text).map(parse).collect::<Result<_, String>>()?;
    if listed.is_empty() { Err("is an empty list".into()) } else { Ok(Countries::Only(listed)) }
}

/// A name short enough to keep a text one SMS, in GSM-7 where that has its letters.
pub(super) fn brand(text: &str) -> Checked<String> {
    let brand = to_gsm7(text).unwrap_or_else(|| text.to_owned());
    if brand.chars().count() <= 40 && !text.chars().any(char::is_control) {
        Ok(brand)
    } else {
        Err("must be at most 40 characters in one line".into())
    }
}

pub(super) fn log_format(text: &str) -> Checked<LogFormat> {
    text.parse().map_err(|_| "must be json or pretty".into())
}

pub(super) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty())
}
