//! What the engine and the store refuse, as problems.

use std::time::Duration;

use super::error::{ApiError, ErrorCode};
use crate::engine::EngineError;
use crate::guard::Scope;
use crate::store::StoreError;
use crate::verification::{Refusal, Status};

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound => Self::new(
                ErrorCode::VerificationNotFound,
                "This id is unknown to your app, or its verification is no longer kept. Create a new verification.",
            ),
            EngineError::Store(error) => error.into(),
            EngineError::Refused(refusal) => refusal.into(),
            EngineError::Ambiguous => Self::new(
                ErrorCode::AmbiguousCheck,
                "Several creations are open for this number. Check the code under the id of one, or name its purpose.",
            ),
            EngineError::Contention => {
                tracing::warn!("too many concurrent changes of one verification");
                let detail = "Too many requests change this verification at once. Try again.";
                Self::new(ErrorCode::StorageUnavailable, detail).retry_after(Duration::from_secs(1))
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable(why) => {
                tracing::error!(why, "a record cannot be read");
                let detail = "The stored record cannot be read. If this persists, report it to the service's operator.";
                Self::new(ErrorCode::StorageUnavailable, detail).retry_after(Duration::from_secs(5))
            }
            StoreError::Unavailable(_) => {
                tracing::warn!(event = "store_unavailable", %error, "the store did not answer a request");
                let detail = "The store did not answer; the outcome is unknown. Read the verification, or try again.";
                Self::new(ErrorCode::StorageUnavailable, detail).retry_after(Duration::from_secs(1))
            }
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        use ErrorCode as C;
        match refusal {
            Refusal::Final(Status::Verified) => {
                Self::new(C::AlreadyVerified, "This verification has succeeded already; its code works only once.")
            }
            Refusal::Final(Status::Canceled) => {
                Self::new(C::VerificationCanceled, "This verification was canceled. Create a new one.")
            }
            Refusal::Final(Status::Undeliverable) => Self::new(
                C::VerificationUndeliverable,
                "Neither a text nor a call can reach this number. Ask for another number.",
            ),
            Refusal::Final(Status::MaxChecksReached) => {
                Self::new(C::MaxChecksReached, "Too many wrong codes were entered. Create a new verification.")
                    .retry_after(Duration::from_secs(1))
            }
            Refusal::Final(Status::Expired | Status::Pending) => {
                Self::new(C::VerificationExpired, "The code has expired. Create a new verification.")
            }
            Refusal::LostInFailover => Self::new(
                C::VerificationLost,
                "The database failed over while this verification was open. Create a new verification.",
            ),
            Refusal::CodeLength(length) => Self::invalid_code(Some(length)),
            Refusal::CodeConflict => Self::new(
                C::CodeConflict,
                "A verification of this number and purpose is open with another code. Leave code out to share it.",
            ),
            Refusal::TooManySessions { retry_after } => {
                Self::rate_limited(Scope::Number.as_str(), "creations that share one code for this number", retry_after)
            }
            Refusal::CallInProgress => {
                Self::new(C::CallInProgress, "A call to this number is already in progress. Wait until it has ended.")
            }
            Refusal::ResendCooldown { retry_after } => Self::new(
                C::ResendCooldown,
                "The last attempt on this channel may still arrive. Try again after the seconds in Retry-After.",
            )
            .retry_after(retry_after),
            Refusal::MaxAttempts => Self::new(
                C::MaxAttemptsReached,
                "This verification has used all its attempts. Create a new one after it has ended.",
            )
            .retry_after(Duration::from_secs(60)),
            Refusal::Replayed => {
                Self::new(C::InvalidSignature, "The nonce of this callback was used with another body before.")
            }
            Refusal::ChannelNotAllowed => {
                Self::new(C::ChannelNotAllowed, "This verification does not allow calls to this number. Use a text.")
            }
            Refusal::RateLimited { scope, retry_after } => {
                Self::rate_limited(scope.as_str(), scope.in_words(), retry_after)
            }
        }
    }
}
