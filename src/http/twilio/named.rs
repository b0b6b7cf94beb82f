//! [`Named`]: the verification that a request names, by SID or by number, in a service and an account.

use super::super::state::Shared;
use super::error::TwilioError;
use super::{PURPOSE, sid};
use crate::engine::Target;
use crate::phone::PhoneNumber;
use crate::verification::VerificationId;

/// The longest name of a service.
const SERVICE_MAX: usize = 64;

/// A verification.
pub enum Named {
    /// By its SID.
    Sid(VerificationId),
    /// By its number.
    Number {
        /// The number.
        to: PhoneNumber,
        /// The number as the request has it. An answer repeats it, because the sender knows it.
        given: String,
    },
}

impl Named {
    /// The verification that the last part of a path names.
    ///
    /// # Errors
    /// 404 for a text that is neither a SID nor a number.
    pub fn in_path(shared: &Shared, text: &str) -> Result<Self, TwilioError> {
        if text.starts_with('+') {
            return Self::number(shared, text.to_owned()).ok_or_else(TwilioError::not_found);
        }
        Self::sid(text)
    }

    /// The verification of a SID.
    ///
    /// # Errors
    /// 404 for a text that is no SID.
    pub fn sid(text: &str) -> Result<Self, TwilioError> {
        sid::read(text).map(Self::Sid).ok_or_else(TwilioError::not_found)
    }

    /// The verification of a number; `None` for a text that is no number.
    pub fn number(shared: &Shared, given: String) -> Option<Self> {
        let (to, _) = shared.test_numbers.read(&given).ok()?;
        Some(Self::Number { to, given })
    }

    /// The same for the engine.
    pub fn target<'a>(&'a self, app: &'a str) -> Target<'a> {
        match self {
            Self::Sid(id) => Target::OfApp(app, *id),
            Self::Number { to, .. } => Target::OfNumber(app, to, Some(PURPOSE)),
        }
    }

    /// The number as the request has it.
    pub fn given_number(&self) -> Option<&str> {
        match self {
            Self::Sid(_) => None,
            Self::Number { given, .. } => Some(given),
        }
    }
}

/// Checks the name of a service. Any name stands for the app's one service, and answers repeat it.
///
/// # Errors
/// 404 for a text that is neither a SID nor a plain name.
pub fn service(name: &str) -> Result<&str, TwilioError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_name = (1..=SERVICE_MAX).contains(&name.len()) && name.bytes().all(is_plain);
    is_name.then_some(name).ok_or_else(TwilioError::not_found)
}
