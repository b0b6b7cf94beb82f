//! [`ApiError`]: one table of status and code. Every refusal of the API is one of these, as
//! `application/problem+json` (RFC 9457).

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::middleware;
use crate::engine::EngineError;
use crate::store::StoreError;
use crate::verification::{Refusal, Status, VerificationId};

/// The media type of problems.
pub const PROBLEM: &str = "application/problem+json";

/// What can be wrong. The contract's table, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained by its title below")]
pub enum Kind {
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
    VerificationExpired,
    VerificationLost,
    InvalidNumber,
    InvalidParameter,
    IdempotencyMismatch,
    MaxChecksReached,
    ResendCooldown,
    MaxAttemptsReached,
    RateLimited,
    RejectedByPlivo,
    StorageUnavailable,
}

impl Kind {
    /// Status, code, title.
    fn contract(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => (S::BAD_REQUEST, "malformed_request", "The request cannot be read"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method_not_allowed", "Not with this method"),
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "request_timeout", "The request took too long to arrive"),
            Self::PayloadTooLarge => (S::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large"),
            Self::UnsupportedMediaType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Bodies are plain JSON here")
            }
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "A valid API key is needed"),
            Self::InvalidSignature => (S::UNAUTHORIZED, "invalid_signature", "The callback proves no origin"),
            Self::CountryNotAllowed => (S::FORBIDDEN, "country_not_allowed", "Numbers of this country are not served"),
            Self::DestinationBlocked => (S::FORBIDDEN, "destination_blocked", "Numbers of this range are not served"),
            Self::ChannelNotAllowed => (S::FORBIDDEN, "channel_not_allowed", "This channel is not allowed here"),
            Self::VerificationNotFound => (S::NOT_FOUND, "verification_not_found", "There is no such verification"),
            Self::NotFound => (S::NOT_FOUND, "not_found", "There is nothing here"),
            Self::AlreadyVerified => (S::CONFLICT, "already_verified", "The code was used already"),
            Self::VerificationCanceled => (S::CONFLICT, "verification_canceled", "The verification was canceled"),
            Self::VerificationUndeliverable => {
                (S::CONFLICT, "verification_undeliverable", "The number cannot be reached")
            }
            Self::CallInProgress => (S::CONFLICT, "call_in_progress", "A call is under way"),
            Self::IdempotencyInProgress => {
                (S::CONFLICT, "idempotency_in_progress", "The first request with this key is not done")
            }
            Self::VerificationExpired => (S::GONE, "verification_expired", "The code has expired"),
            Self::VerificationLost => (S::GONE, "verification_lost", "The verification was lost"),
            Self::InvalidNumber => (S::UNPROCESSABLE_ENTITY, "invalid_number", "Not a phone number"),
            Self::InvalidParameter => (S::UNPROCESSABLE_ENTITY, "invalid_parameter", "A parameter is wrong"),
            Self::IdempotencyMismatch => {
                (S::UNPROCESSABLE_ENTITY, "idempotency_mismatch", "This key belongs to another request")
            }
            Self::MaxChecksReached => (S::TOO_MANY_REQUESTS, "max_checks_reached", "Too many wrong codes"),
            Self::ResendCooldown => (S::TOO_MANY_REQUESTS, "resend_cooldown", "Too soon after the last attempt"),
            Self::MaxAttemptsReached => (S::TOO_MANY_REQUESTS, "max_attempts_reached", "No attempts are left"),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "rate_limited", "Too many requests"),
            Self::RejectedByPlivo => (S::BAD_GATEWAY, "rejected_by_plivo", "Plivo refused to send the code"),
            Self::StorageUnavailable => (S::SERVICE_UNAVAILABLE, "storage_unavailable", "The store does not answer"),
        }
    }
}

/// One parameter that is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ParameterError {
    /// JSON pointer into the request's body.
    #[schema(example = "/code_length")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl ParameterError {
    /// Names a parameter at the top of the body.
    pub fn new(name: &str, detail: impl Into<String>) -> Self {
        Self { pointer: format!("/{name}"), detail: detail.into() }
    }
}

/// A refusal, for a person and for a program.
#[derive(Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: Kind,
    detail: String,
    retry_after: Option<Duration>,
    errors: Vec<ParameterError>,
    id: Option<VerificationId>,
    provider_status: Option<u16>,
    scope: Option<&'static str>,
}

/// A problem as it is sent.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/` and the code with hyphens.
    #[serde(rename = "type")]
    #[schema(example = "/problems/verification-not-found")]
    kind: String,
    /// The same for every problem of this code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable; what programs look at.
    #[schema(example = "verification_not_found")]
    code: &'static str,
    /// This one, for a person.
    detail: String,
    /// As in `X-Request-Id`.
    request_id: String,
    /// The parameters that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ParameterError>,
    /// The verification that was kept in spite of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    id: Option<VerificationId>,
    /// Plivo's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_status: Option<u16>,
    /// Which limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

impl ApiError {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            kind,
            detail,
            retry_after: None,
            errors: Vec::new(),
            id: None,
            provider_status: None,
            scope: None,
        }))
    }

    /// 422 for parameters.
    pub fn parameters(errors: Vec<ParameterError>) -> Self {
        let detail = errors
            .iter()
            .map(|e| format!("{} {}", e.pointer, e.detail))
            .collect::<Vec<_>>()
            .join("; ")
            .trim_start()
            .to_owned();
        let mut error = Self::new(Kind::InvalidParameter, detail);
        error.0.errors = errors;
        error
    }

    /// 422 for a number.
    pub fn number(name: &str, why: crate::phone::InvalidNumber) -> Self {
        let mut error = Self::new(Kind::InvalidNumber, format!("/{name} {why}"));
        error.0.errors = vec![ParameterError::new(name, why.to_string())];
        error
    }

    /// 502 for a verification that Plivo left no channel for.
    pub fn rejected_by_plivo(id: VerificationId, provider_status: u16) -> Self {
        let detail = format!(
            "Plivo answered {provider_status} and no allowed channel is left. The verification is kept as undeliverable."
        );
        let mut error = Self::new(Kind::RejectedByPlivo, detail);
        (error.0.id, error.0.provider_status) = (Some(id), Some(provider_status));
        error
    }

    /// 429 for a limit.
    pub fn rate_limited(scope: &'static str) -> Self {
        Self::limited(scope, scope, Duration::from_secs(5))
    }

    fn limited(scope: &'static str, what: &str, retry_after: Duration) -> Self {
        let mut error = Self::new(Kind::RateLimited, format!("The limit on {what} is reached."));
        error.0.scope = Some(scope);
        error.retry_after(retry_after)
    }

    /// With `Retry-After`.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Which kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound => Self::new(
                Kind::VerificationNotFound,
                "It does not exist, is another app's, or its retention has passed.",
            ),
            EngineError::Store(StoreError::Unreadable(why)) => {
                tracing::error!(why, "a record cannot be read");
                Self::new(Kind::StorageUnavailable, "The record cannot be read.").retry_after(Duration::from_secs(5))
            }
            EngineError::Store(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(%error, "the store did not answer a request");
                Self::new(Kind::StorageUnavailable, "Try again; reading the verification tells what became of it.")
                    .retry_after(Duration::from_secs(1))
            }
            EngineError::Refused(refusal) => refusal.into(),
            EngineError::Contention => {
                tracing::warn!("too many changes of one verification at a time");
                Self::new(Kind::StorageUnavailable, "Too many requests change this verification at a time.")
                    .retry_after(Duration::from_secs(1))
            }
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Final(Status::Verified) => Self::new(Kind::AlreadyVerified, "A code is good once."),
            Refusal::Final(Status::Canceled) => Self::new(Kind::VerificationCanceled, "Create a new verification."),
            Refusal::Final(Status::Undeliverable) => {
                Self::new(Kind::VerificationUndeliverable, "Neither a text nor a call can reach this number.")
            }
            Refusal::Final(Status::MaxChecksReached) => {
                Self::new(Kind::MaxChecksReached, "Create a new verification.").retry_after(Duration::from_secs(1))
            }
            Refusal::Final(Status::Expired | Status::Pending) => {
                Self::new(Kind::VerificationExpired, "Create a new verification.")
            }
            Refusal::Lost => Self::new(
                Kind::VerificationLost,
                "It was open when Redis failed over, and wrong codes may be forgotten. Create a new verification.",
            ),
            Refusal::CodeLength(length) => Self::parameters(vec![ParameterError::new(
                "code",
                format!("must be {length} ASCII digits; not counted"),
            )]),
            Refusal::CallInProgress => Self::new(Kind::CallInProgress, "It is about to ring, rings, or speaks."),
            Refusal::ResendCooldown { retry_after } => {
                Self::new(Kind::ResendCooldown, "The last attempt on this channel may still arrive.")
                    .retry_after(retry_after)
            }
            Refusal::MaxAttempts => {
                Self::new(Kind::MaxAttemptsReached, "Create a new verification once this one ends.")
                    .retry_after(Duration::from_secs(60))
            }
            Refusal::Replayed => Self::new(Kind::InvalidSignature, "This nonce came with another body before."),
            Refusal::ChannelNotAllowed => {
                Self::new(Kind::ChannelNotAllowed, "Calls are not allowed for this number or this verification.")
            }
            Refusal::RateLimited { scope, retry_after } => Self::limited(scope.as_str(), scope.in_words(), retry_after),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.contract().1)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.kind.contract().0
    }

    fn error_response(&self) -> HttpResponse {
        let Parts { kind, detail, retry_after, errors, id, provider_status, scope } = &*self.0;
        let (status, code, title) = kind.contract();
        let mut response = HttpResponse::build(status);
        if let Some(after) = retry_after {
            // Whole seconds, rounded up: coming back a moment early would be refused again.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.content_type(PROBLEM).json(Problem {
            kind: format!("/problems/{}", code.replace('_', "-")),
            title,
            status: status.as_u16(),
            code,
            detail: detail.clone(),
            request_id: middleware::request_id(),
            errors: errors.clone(),
            id: *id,
            provider_status: *provider_status,
            scope: *scope,
        })
    }
}
