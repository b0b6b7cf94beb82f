//! The JSON shapes of Twilio's resources. A field has the name and the form that Twilio documents.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::state::Shared;
use super::sid;
use crate::engine::Found;
use crate::time::Timestamp;
use crate::verification::{Status, Verification};

/// The account and the service that a resource belongs to, as the request names them.
pub struct Owner<'a> {
    /// The app, which stands for the account.
    pub app: &'a str,
    /// The service, as the request names it.
    pub service: &'a str,
    /// The number, where the request names it.
    pub given_number: Option<&'a str>,
}

/// A verification.
#[derive(Serialize, ToSchema)]
pub struct TwilioVerification {
    #[serde(flatten)]
    common: TwilioCommon,
    /// Always empty: numbers are not looked up.
    #[schema(value_type = Object)]
    lookup: Map<String, Value>,
    /// The texts and calls, oldest first.
    send_code_attempts: Vec<TwilioAttempt>,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    sna: Option<Value>,
    /// The URL of this resource.
    url: String,
}

/// The result of a check.
#[derive(Serialize, ToSchema)]
pub struct TwilioCheck {
    #[serde(flatten)]
    common: TwilioCommon,
    /// Always null.
    #[schema(value_type = Option<Vec<Object>>)]
    sna_attempts_error_codes: Option<Value>,
}

/// The fields that both have.
#[derive(Serialize, ToSchema)]
pub struct TwilioCommon {
    /// `VE`, then 32 digits.
    #[schema(example = "VEaB0f62cE94b7D3580F12cd6A9eBb41d7E0")]
    sid: String,
    /// The service, as the request names it.
    service_sid: String,
    /// `AC` and 32 digits that stand for the app.
    account_sid: String,
    /// The number as the request names it; masked if the request names the SID.
    #[schema(example = "+14155550112")]
    to: String,
    /// `sms` or `call`: the newest attempt's.
    #[schema(example = "sms")]
    channel: &'static str,
    /// `pending`, `approved`, `canceled`, `max_attempts_reached`, `expired` or `failed`.
    #[schema(example = "pending")]
    status: &'static str,
    /// Whether the status is `approved`.
    valid: bool,
    /// Always null.
    amount: Option<String>,
    /// Always null.
    payee: Option<String>,
    /// ISO 8601, in whole seconds: the SDKs read no other form.
    #[schema(example = "2026-11-24T09:30:00Z")]
    date_created: String,
    /// When something last happened to it.
    #[schema(example = "2026-11-24T09:30:05Z")]
    date_updated: String,
}

/// A text or a call.
#[derive(Serialize, ToSchema)]
pub struct TwilioAttempt {
    /// `VL`, then 32 digits.
    attempt_sid: String,
    /// `sms` or `call`.
    channel: &'static str,
    /// ISO 8601.
    time: String,
}

impl TwilioVerification {
    /// A verification at `now`.
    pub fn of(found: &Found, owner: &Owner<'_>, shared: &Shared, now: Timestamp) -> Self {
        let (v, common) = (&found.verification, TwilioCommon::of(found, owner, now));
        let base = &shared.public_url;
        Self {
            lookup: Map::new(),
            send_code_attempts: attempts(v),
            sna: None,
            url: format!("{base}/compat/twilio/v2/Services/{}/Verifications/{}", owner.service, common.sid),
            common,
        }
    }
}

impl TwilioCheck {
    /// The state after a check.
    pub fn of(found: &Found, owner: &Owner<'_>, now: Timestamp) -> Self {
        Self { common: TwilioCommon::of(found, owner, now), sna_attempts_error_codes: None }
    }
}

impl TwilioCommon {
    fn of(found: &Found, owner: &Owner<'_>, now: Timestamp) -> Self {
        let (v, session) = (&found.verification, found.session);
        let status = v.status_at(session, now);
        let first = v.mode.first_channel();
        Self {
            sid: sid::write(v.id_of(session)),
            service_sid: owner.service.to_owned(),
            account_sid: sid::of_account(owner.app),
            to: owner.given_number.map_or_else(|| v.to.to_string(), str::to_owned),
            channel: v.attempts.last().map_or(first, |newest| newest.channel).as_str(),
            status: in_words(status),
            valid: status == Status::Verified,
            amount: None,
            payee: None,
            date_created: in_seconds(v.created_at_of(session)),
            date_updated: in_seconds(v.timeline.last().map_or(v.created_at, |entry| entry.at)),
        }
    }
}

fn attempts(v: &Verification) -> Vec<TwilioAttempt> {
    let all = v.indexes().zip(&v.attempts);
    all.map(|(index, attempt)| TwilioAttempt {
        attempt_sid: sid::of_attempt(v.id, index),
        channel: attempt.channel.as_str(),
        time: attempt.at.to_string(),
    })
    .collect()
}

fn in_words(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Verified => "approved",
        Status::Canceled => "canceled",
        Status::MaxChecksReached => "max_attempts_reached",
        Status::Expired => "expired",
        Status::Undeliverable => "failed",
    }
}

/// Without milliseconds.
fn in_seconds(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
