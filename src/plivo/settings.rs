//! [`Settings`]: what the client is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::client::Proxy;
use super::language::Languages;
use super::message::Dlt;
use super::sender::Senders;
use crate::phone::PhoneNumber;

/// The Plivo account, its addresses, and how texts and calls are worded.
pub struct Settings {
    /// Account id.
    pub auth_id: String,
    /// Account token.
    pub auth_token: SecretString,
    /// Source number.
    pub from: PhoneNumber,
    /// Other sources, by destination country.
    pub senders: Senders,
    /// Registration ids for texts to India.
    pub dlt: Dlt,
    /// The 2FA PHLO; without one the Message and Call APIs are used.
    pub phlo_id: Option<String>,
    /// Origin of the PHLO runner.
    pub phlo_url: String,
    /// Origin of the REST API.
    pub api_url: String,
    /// The base of our callback URLs, without a trailing slash.
    pub public_url: String,
    /// The time limit of one request.
    pub timeout: Duration,
    /// The proxy for requests.
    pub proxy: Proxy,
    /// The customer's name, for texts and calls.
    pub brand: Option<String>,
    /// What single apps have of their own.
    pub apps: BTreeMap<String, AppSettings>,
    /// Whether a key must be pressed before a call speaks the code.
    pub voice_confirm: bool,
    /// The wordings of texts and calls.
    pub languages: Languages,
}

/// What one app has of its own; `None` where the common setting holds.
#[derive(Clone, Debug, Default)]
pub struct AppSettings {
    /// The name in texts and calls.
    pub brand: Option<String>,
    /// The 2FA PHLO.
    pub phlo_id: Option<String>,
}
