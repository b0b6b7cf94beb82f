//! JSON shapes, apart from the domain's types: what stands here keeps its name and meaning.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Cursor;
use crate::time::Timestamp;
use crate::verification::rules::Rules;
use crate::verification::{Attempt, Verification, VerificationId};

/// A verification.
#[derive(Serialize, ToSchema)]
pub struct VerificationView {
    /// Its id.
    #[schema(example = "vrf_3f5d7c1a9b2e4f60718293a4b5c6d7e8f9")]
    pub id: String,
    /// `pending`, or one of the final `verified`, `expired`, `canceled`, `max_checks_reached`, `undeliverable`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// The number, masked.
    #[schema(example = "+1••••••••12")]
    pub to: String,
    /// ISO country of the number.
    #[schema(example = "US")]
    pub country: String,
    /// `auto`, `sms` or `call`, as asked for.
    #[schema(example = "auto")]
    pub channel: &'static str,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; a call moves it.
    pub expires_at: String,
    /// Wrong codes it still takes.
    pub checks_remaining: u8,
    /// Seconds until another attempt on its first channel can be asked for.
    pub resend_after: u64,
    /// Whether this creation joined an open verification of the same number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined: Option<bool>,
    /// For a browser to follow this verification with; only in the answer to a creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    /// Texts and calls, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The next planned step.
    pub next: Option<NextView>,
    /// Whether the number is one of `TEST_NUMBERS`: nothing was sent.
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
    pub channel: &'static str,
    /// `triggering`, `triggered`, `queued`, `sent`, `delivered`, `undelivered`, `failed`, `unknown`; of calls
    /// `ringing`, `answered`, `completed`, `no_answer`, `busy`, `rejected`, `machine`.
    pub status: &'static str,
    /// Which of Plivo's doors it went through: `phlo`, or `api` for the Message or Call API; null while none has taken it.
    pub via: Option<&'static str>,
    /// Why a call was made.
    pub reason: Option<&'static str>,
    /// Message or call UUID.
    pub provider_id: Option<String>,
    /// Plivo's error code or hangup cause.
    pub error_code: Option<String>,
    /// When Plivo was first asked for it.
    pub at: String,
}

/// A planned step.
#[derive(Serialize, ToSchema)]
pub struct NextView {
    /// `call`.
    pub channel: &'static str,
    /// When; null where QUIET_HOURS leave no time for it while the code lives.
    pub at: Option<String>,
    /// Why; `quiet_hours` where that is why not.
    pub reason: &'static str,
    /// Until when it is night at the number's place, where that puts the call off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_until: Option<String>,
}

/// What became of a code.
#[derive(Serialize, ToSchema)]
pub struct CheckView {
    /// The verification.
    pub id: String,
    /// `verified` or `incorrect`.
    pub result: &'static str,
    /// The verification's status after it.
    pub status: &'static str,
    /// When it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    /// The channel the success is put down to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'static str>,
    /// Wrong codes it still takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks_remaining: Option<u8>,
}

/// A page of verifications, newest first.
#[derive(Serialize, ToSchema)]
pub struct PageView {
    /// What is on it.
    pub verifications: Vec<VerificationView>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl VerificationView {
    /// As a reader sees it at `now`.
    pub fn of(v: &Verification, rules: &Rules, now: Timestamp) -> Self {
        let resend_at = v.newest(v.mode.first_channel()).map(|a| a.at + rules.resend_cooldown);
        Self {
            id: v.id.to_string(),
            status: v.status_at(now).as_str(),
            to: v.to.to_string(),
            country: v.to.country().to_string(),
            channel: v.mode.as_str(),
            created_at: v.created_at.to_string(),
            expires_at: v.expires_at.to_string(),
            checks_remaining: v.checks_remaining(),
            resend_after: resend_at.map_or(0, |at| at.since(now).as_millis().div_ceil(1000) as u64),
            joined: None,
            client_token: None,
            attempts: v.attempts.iter().map(AttemptView::of).collect(),
            next: NextView::of(v).filter(|_| now < v.expires_at),
            test: v.details.is_test,
            metadata: v.details.metadata.clone(),
        }
    }
}

impl NextView {
    fn of(v: &Verification) -> Option<Self> {
        let next = v.next_call();
        if next.is_none() && (v.night_until.is_none() || v.status.is_final()) {
            return None;
        }
        Some(Self {
            channel: "call",
            at: next.map(|next| next.at.to_string()),
            reason: next.map_or("quiet_hours", |next| next.reason.as_str()),
            quiet_until: v.night_until.map(|until| until.to_string()),
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

/// A cursor as it stands in a URL: it names a verification by id, which is no secret between us and its app.
pub fn write_cursor(cursor: Cursor) -> String {
    format!("{}-{}", cursor.created_at.as_millis(), cursor.id)
}

/// The reverse of [`write_cursor`].
pub fn read_cursor(text: &str) -> Option<Cursor> {
    let (millis, id) = text.split_once('-')?;
    let id: VerificationId = id.parse().ok()?;
    Some(Cursor { created_at: Timestamp::from_millis(millis.parse().ok()?), id })
}
