//! [`ErrorCode`]: every problem the API answers with, one row each.

use actix_web::http::StatusCode;
use strum::{IntoStaticStr, VariantArray};

/// The `code` of a problem, which programs look at. A code never changes its status or its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the titles below explain them")]
pub enum ErrorCode {
    MalformedRequest,
    MethodNotAllowed,
    RequestTimeout,
    PayloadTooLarge,
    UnsupportedMediaType,
    Unauthenticated,
    InvalidSignature,
    CountryNotAllowed,
    DestinationBlocked,
    ChannelNotAllowed,
    VerificationNotFound,
    NotFound,
    AlreadyVerified,
    VerificationCanceled,
    VerificationUndeliverable,
    CallInProgress,
    IdempotencyInProgress,
    CodeConflict,
    AmbiguousCheck,
    VerificationExpired,
    VerificationLost,
    InvalidNumber,
    InvalidCode,
    InvalidParameter,
    IdempotencyMismatch,
    MaxChecksReached,
    ResendCooldown,
    MaxAttemptsReached,
    RateLimited,
    RejectedByPlivo,
    StorageUnavailable,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The name that programs look at.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The path that explains it, which is the `type` of its problems.
    pub fn path(self) -> String {
        format!("/problems/{}", self.as_str().replace('_', "-"))
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        self.contract().0
    }

    /// The title, the same for every problem of this code.
    pub fn title(self) -> &'static str {
        self.contract().1
    }

    fn contract(self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => (S::BAD_REQUEST, "The request cannot be read"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "This path does not support this method"),
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "The request took too long to arrive"),
            Self::PayloadTooLarge => (S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => (S::UNSUPPORTED_MEDIA_TYPE, "The body is not plain JSON"),
            Self::Unauthenticated => (S::UNAUTHORIZED, "A valid API key is needed"),
            Self::InvalidSignature => (S::UNAUTHORIZED, "The callback does not prove its origin"),
            Self::CountryNotAllowed => (S::FORBIDDEN, "Numbers of this country are not served"),
            Self::DestinationBlocked => (S::FORBIDDEN, "Numbers of this range are not served"),
            Self::ChannelNotAllowed => (S::FORBIDDEN, "This channel is not allowed here"),
            Self::VerificationNotFound => (S::NOT_FOUND, "There is no such verification"),
            Self::NotFound => (S::NOT_FOUND, "There is nothing here"),
            Self::AlreadyVerified => (S::CONFLICT, "The number is verified already"),
            Self::VerificationCanceled => (S::CONFLICT, "The verification was canceled"),
            Self::VerificationUndeliverable => (S::CONFLICT, "The number cannot be reached"),
            Self::CallInProgress => (S::CONFLICT, "A call is in progress"),
            Self::IdempotencyInProgress => (S::CONFLICT, "The first request with this key is in progress"),
            Self::CodeConflict => (S::CONFLICT, "Another code is open for this number"),
            Self::AmbiguousCheck => (S::CONFLICT, "Several verifications of this number are open"),
            Self::VerificationExpired => (S::GONE, "The code has expired"),
            Self::VerificationLost => (S::GONE, "The verification was lost"),
            Self::InvalidNumber => (S::UNPROCESSABLE_ENTITY, "The phone number is not valid"),
            Self::InvalidCode => (S::UNPROCESSABLE_ENTITY, "This cannot be the code"),
            Self::InvalidParameter => (S::UNPROCESSABLE_ENTITY, "A parameter is not valid"),
            Self::IdempotencyMismatch => (S::UNPROCESSABLE_ENTITY, "This key belongs to another request"),
            Self::MaxChecksReached => (S::TOO_MANY_REQUESTS, "Too many wrong codes"),
            Self::ResendCooldown => (S::TOO_MANY_REQUESTS, "Too soon after the last attempt"),
            Self::MaxAttemptsReached => (S::TOO_MANY_REQUESTS, "No attempts are left"),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "Too many requests"),
            Self::RejectedByPlivo => (S::BAD_GATEWAY, "Plivo refused to send the code"),
            Self::StorageUnavailable => (S::SERVICE_UNAVAILABLE, "The store does not answer"),
        }
    }
}
