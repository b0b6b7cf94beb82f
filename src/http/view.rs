//! The JSON shapes of verifications, apart from the domain's types: a field here keeps its name and its meaning.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::words;
use super::user_message::{UserMessage, Wording};
use crate::engine::{Found, Renderer};
use crate::time::Timestamp;
use crate::verification::rules::Rules;
use crate::verification::{Attempt, Verification};

/// A verification.
#[derive(Serialize, ToSchema)]
pub struct VerificationView {
    /// The id.
    #[schema(example = "vrf_3f5d7c1a9b2e4f60718293a4b5c6d7e8f9")]
    pub id: String,
    /// `pending`, or one of the final `verified`, `expired`, `canceled`, `max_checks_reached`, `undeliverable`.
    #[schema(value_type = words::VerificationStatus, example = "pending")]
    pub status: &'static str,
    /// The number, masked.
    #[schema(example = "+1••••••••12")]
    pub to: String,
    /// ISO country of the number.
    #[schema(example = "US")]
    pub country: String,
    /// `auto`, `sms` or `call`, as the first of the creations that share it requested.
    #[schema(value_type = words::Mode, example = "auto")]
    pub channel: &'static str,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339; a call moves it to a later time.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// What ended it, where the status does not say: `verified_elsewhere` (the code was entered under another id that shared
    /// it), or `storage_failover` (checks of the code may be lost).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::EndedBy>)]
    pub ended_by: Option<&'static str>,
    /// After an end without the right code: what the person may be told, in the person's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_message: Option<String>,
    /// How many wrong codes may still be entered.
    pub checks_remaining: u8,
    /// Seconds until another attempt on the first channel is allowed.
    pub resend_after: u64,
    /// Whether this creation shares what was sent for an open one of the same number and purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<bool>,
    /// Lets a browser follow this verification; only in the answer to a creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    /// Texts and calls, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The next planned step.
    pub next: Option<NextView>,
    /// Whether the number is a test number, to which nothing is sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// As given at creation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A text or a call.
#[derive(Serialize, ToSchema)]
pub struct AttemptView {
    /// `sms` or `call`.
    #[schema(value_type = words::Channel)]
    pub channel: &'static str,
    /// `triggering`, `triggered`, `queued`, `sent`, `delivered`, `undelivered`, `failed`, `unknown`; of calls
    /// `ringing`, `answered`, `completed`, `no_answer`, `busy`, `rejected`, `machine`.
    #[schema(value_type = words::AttemptStatus)]
    pub status: &'static str,
    /// `phlo`, or `api` for Plivo's Message or Call API; null until one of them has accepted the attempt.
    #[schema(value_type = Option<words::Via>)]
    pub via: Option<&'static str>,
    /// Why a call was made.
    #[schema(value_type = Option<words::EscalationReason>)]
    pub reason: Option<&'static str>,
    /// Message or call UUID.
    pub provider_id: Option<String>,
    /// Why Plivo could not send the text or place the call: its number as digits (a text's error code such as `30`, a call's hangup
    /// code such as `3010`), or the name of a hangup cause without a number in snake case (`originator_cancel`).
    #[schema(example = "30", pattern = "^[0-9a-z_]+$")]
    pub error_code: Option<String>,
    /// When it was first requested from Plivo.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A planned step.
#[derive(Serialize, ToSchema)]
pub struct NextView {
    /// `call`.
    #[schema(value_type = words::Channel)]
    pub channel: &'static str,
    /// When; null if the quiet hours last until the code expires.
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// Why; `quiet_hours` if they prevent the call.
    #[schema(value_type = words::NextReason)]
    pub reason: &'static str,
    /// The end of the quiet hours at the number's place, if they defer the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub quiet_until: Option<String>,
}

/// The result of a check.
#[derive(Serialize, ToSchema)]
pub struct CheckView {
    /// The id of the verification.
    pub id: String,
    /// `verified` or `incorrect`.
    #[schema(value_type = words::CheckResult)]
    pub result: &'static str,
    /// The status of the verification after the check.
    #[schema(value_type = words::VerificationStatus)]
    pub status: &'static str,
    /// When it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub verified_at: Option<String>,
    /// The channel that is credited with the success.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<words::Channel>)]
    pub channel: Option<&'static str>,
    /// How many wrong codes may still be entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks_remaining: Option<u8>,
    /// After a wrong code: what the person may be told, in the person's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Wrong code. Tries left: 3.")]
    pub user_message: Option<String>,
}

/// A page of verifications, newest first.
#[derive(Serialize, ToSchema)]
pub struct PageView {
    /// Its verifications.
    pub verifications: Vec<VerificationView>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl VerificationView {
    /// A verification as one of its sessions sees it at `now`.
    pub fn of(found: &Found, rules: &Rules, now: Timestamp) -> Self {
        let (v, session) = (&found.verification, found.session);
        let status = v.status_at(session, now);
        let resend_at = v.newest(v.mode.first_channel()).map(|a| a.at + rules.resend_cooldown);
        Self {
            id: v.id_of(session).to_string(),
            status: status.as_str(),
            to: v.to.to_string(),
            country: v.to.country().to_string(),
            channel: v.mode.as_str(),
            created_at: v.created_at_of(session).to_string(),
            expires_at: v.expires_at().to_string(),
            ended_by: v.end_of(session).and_then(|end| end.how.ended_by()),
            user_message: UserMessage::of_end(status).map(|message| Wording::of_verification(v).say(message)),
            checks_remaining: v.checks_remaining(session),
            resend_after: resend_at.map_or(0, |at| at.since(now).as_millis().div_ceil(1000) as u64),
            joined: None,
            client_token: None,
            attempts: v.attempts.iter().map(AttemptView::of).collect(),
            next: NextView::of(v).filter(|_| !status.is_final()),
            test: v.details.is_test,
            metadata: v.session(session).metadata.clone(),
        }
    }
}

/// Shows verifications to receivers of webhooks as the API shows them.
pub fn renderer(rules: Arc<Rules>) -> Renderer {
    // A view always has a JSON form.
    Arc::new(move |found, now| serde_json::to_value(VerificationView::of(found, &rules, now)).unwrap_or_default())
}

impl NextView {
    fn of(v: &Verification) -> Option<Self> {
        let (next, quiet_until) = (v.next_call(), v.pending().and_then(|pending| pending.quiet_hours_until));
        if next.is_none() && quiet_until.is_none() {
            return None;
        }
        Some(Self {
            channel: "call",
            at: next.map(|next| next.at.to_string()),
            reason: next.map_or("quiet_hours", |next| next.reason.as_str()),
            quiet_until: quiet_until.map(|until| until.to_string()),
        })
    }
}

impl AttemptView {
    fn of(a: &Attempt) -> Self {
        Self {
            channel: a.channel.as_str(),
            status: a.status.as_str(),
            via: a.via.map(|via| via.as_str()),
            reason: a.reason.map(|reason| reason.as_str()),
            provider_id: a.provider_id.clone(),
            error_code: a.error_code.clone(),
            at: a.at.to_string(),
        }
    }
}
