//! [`UserMessage`]: what a person who enters a code may be told, in the person's language.
//!
//! The sentences are data, in `sentences.json`, written so that no number in them needs a plural. They name no setting,
//! no parameter and no number. What a developer is told is in the `detail` of a problem.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

use super::error_code::ErrorCode;
use crate::phone::Country;
use crate::plivo::language::{locale_or_main, look_up};
use crate::verification::{Status, Verification};

/// By lower-case tag.
static WORDINGS: LazyLock<BTreeMap<String, Sentences>> = LazyLock::new(|| {
    let by_tag: BTreeMap<String, Sentences> = serde_json::from_str(include_str!("sentences.json"))
        .unwrap_or_else(|error| unreachable!("sentences.json: {error}"));
    by_tag.into_iter().map(|(tag, sentences)| (tag.to_ascii_lowercase(), sentences)).collect()
});

const ENGLISH: &str = "en";

/// Waits below this are told in seconds.
const IN_SECONDS: u128 = 120;
/// Waits below this are told in minutes, and longer ones in hours.
const IN_MINUTES: u128 = 120 * 60;

/// A message for the person who enters a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserMessage {
    /// The code is wrong, and this many may still be entered.
    WrongCode(u8),
    /// What was entered is no code.
    NotACode,
    /// The code is no longer valid.
    CodeExpired,
    /// Too many wrong codes were entered.
    TooManyCodes,
    /// The number does not exist.
    InvalidNumber,
    /// The number is not served here.
    NumberRefused,
    /// Neither a text nor a call reaches the number.
    Unreachable,
    /// The number may be texted, but not called.
    CallRefused,
    /// A call to the number is in progress.
    CallInProgress,
    /// The number is verified already.
    AlreadyVerified,
    /// The code is not sent again.
    NoMoreSends,
    /// A limit is reached, for this time.
    Wait(Duration),
    /// The service failed.
    TryAgain,
}

impl UserMessage {
    /// What a person may be told of a problem; `None` if only a developer can act.
    pub fn of(code: ErrorCode, retry_after: Option<Duration>) -> Option<Self> {
        use ErrorCode as C;
        Some(match code {
            C::InvalidCode => Self::NotACode,
            C::VerificationNotFound | C::VerificationExpired | C::VerificationCanceled | C::VerificationLost => {
                Self::CodeExpired
            }
            C::MaxChecksReached => Self::TooManyCodes,
            C::InvalidNumber => Self::InvalidNumber,
            C::CountryNotAllowed | C::DestinationBlocked => Self::NumberRefused,
            C::VerificationUndeliverable | C::RejectedByPlivo => Self::Unreachable,
            C::ChannelNotAllowed => Self::CallRefused,
            C::CallInProgress => Self::CallInProgress,
            C::AlreadyVerified => Self::AlreadyVerified,
            C::MaxAttemptsReached => Self::NoMoreSends,
            C::ResendCooldown | C::RateLimited => Self::Wait(retry_after?),
            C::StorageUnavailable => Self::TryAgain,
            C::MalformedRequest
            | C::MethodNotAllowed
            | C::RequestTimeout
            | C::PayloadTooLarge
            | C::UnsupportedMediaType
            | C::Unauthenticated
            | C::InvalidSignature
            | C::NotFound
            | C::IdempotencyInProgress
            | C::IdempotencyMismatch
            | C::CodeConflict
            | C::AmbiguousCheck
            | C::InvalidParameter => return None,
        })
    }

    /// The message at the end of a verification; `None` while it is open, and after the right code.
    pub fn of_end(status: Status) -> Option<Self> {
        match status {
            Status::Pending | Status::Verified => None,
            Status::Expired | Status::Canceled => Some(Self::CodeExpired),
            Status::MaxChecksReached => Some(Self::TooManyCodes),
            Status::Undeliverable => Some(Self::Unreachable),
        }
    }

    /// The message after a wrong code.
    pub fn of_wrong_code(checks_remaining: u8) -> Self {
        if checks_remaining == 0 { Self::TooManyCodes } else { Self::WrongCode(checks_remaining) }
    }
}

/// The sentences of one language. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Wording(&'static Sentences);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentences {
    wrong_code: String,
    not_a_code: String,
    code_expired: String,
    too_many_codes: String,
    invalid_number: String,
    number_refused: String,
    unreachable: String,
    call_refused: String,
    call_in_progress: String,
    already_verified: String,
    no_more_sends: String,
    wait: String,
    try_again: String,
    seconds: String,
    minutes: String,
    hours: String,
}

impl Wording {
    /// The wording of a locale; English if it is empty, or of a language without sentences.
    pub fn of(locale: &str) -> Self {
        Self(look_up(locale, |tag| WORDINGS.get(tag)).unwrap_or(&WORDINGS[ENGLISH]))
    }

    /// The wording of a person's locale, or else of the main language of the number's country.
    pub fn of_person(locale: &str, country: &Country) -> Self {
        Self::of(&locale_or_main(locale, country))
    }

    /// The same for the person of a verification.
    pub fn of_verification(v: &Verification) -> Self {
        Self::of_person(&v.details.locale, v.to.country())
    }

    /// A message in this language.
    pub fn say(self, message: UserMessage) -> String {
        let sentences = self.0;
        match message {
            UserMessage::WrongCode(left) => sentences.wrong_code.replace("{left}", &left.to_string()),
            UserMessage::NotACode => sentences.not_a_code.clone(),
            UserMessage::CodeExpired => sentences.code_expired.clone(),
            UserMessage::TooManyCodes => sentences.too_many_codes.clone(),
            UserMessage::InvalidNumber => sentences.invalid_number.clone(),
            UserMessage::NumberRefused => sentences.number_refused.clone(),
            UserMessage::Unreachable => sentences.unreachable.clone(),
            UserMessage::CallRefused => sentences.call_refused.clone(),
            UserMessage::CallInProgress => sentences.call_in_progress.clone(),
            UserMessage::AlreadyVerified => sentences.already_verified.clone(),
            UserMessage::NoMoreSends => sentences.no_more_sends.clone(),
            UserMessage::Wait(wait) => sentences.wait.replace("{time}", &self.duration(wait)),
            UserMessage::TryAgain => sentences.try_again.clone(),
        }
    }

    /// A wait in its largest fitting unit, rounded up: a retry a moment too early would be refused again.
    fn duration(self, wait: Duration) -> String {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let (unit, n) = if seconds < IN_SECONDS {
            (&self.0.seconds, seconds)
        } else if seconds < IN_MINUTES {
            (&self.0.minutes, seconds.div_ceil(60))
        } else {
            (&self.0.hours, seconds.div_ceil(3600))
        };
        unit.replace("{n}", &n.to_string())
    }
}

impl Default for Wording {
    fn default() -> Self {
        Self::of(ENGLISH)
    }
}

impl fmt::Debug for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wording")
    }
}

#[cfg(test)]
mod tests;
