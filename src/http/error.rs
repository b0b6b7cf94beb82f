//! [`ApiError`]: a refusal of the API, sent as `application/problem+json` (RFC 9457).
//!
//! A `detail` says what happened and what to do next. It never names a setting: its reader may not be the operator.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

pub use super::error_code::ErrorCode;
use super::request_id::request_id;
use crate::engine::EngineError;
use crate::guard::Scope;
use crate::phone::InvalidNumber;
use crate::store::StoreError;
use crate::verification::{Refusal, Status, VerificationId};

/// The media type of problems.
pub const PROBLEM: &str = "application/problem+json";

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
pub struct ApiError(Box<Content>);

#[derive(Debug)]
struct Content {
    code: ErrorCode,
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
    /// Stable; programs look at this field.
    #[schema(example = "verification_not_found")]
    code: &'static str,
    /// What happened and what to do next, for the developer.
    detail: String,
    /// As in `X-Request-Id`.
    request_id: String,
    /// The parameters that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ParameterError>,
    /// The verification, if one exists although the request failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    id: Option<VerificationId>,
    /// Plivo's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_status: Option<u16>,
    /// The limit that is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
}

impl ApiError {
    /// A problem with this code.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Content {
            code,
            detail: detail.into(),
            retry_after: None,
            errors: Vec::new(),
            id: None,
            provider_status: None,
            scope: None,
        }))
    }

    /// 422 for several parameters.
    pub fn parameters(errors: Vec<ParameterError>) -> Self {
        let described = errors.iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect::<Vec<_>>();
        // The pointer of the whole body is empty.
        let mut problem = Self::new(ErrorCode::InvalidParameter, described.join("; ").trim_start());
        problem.0.errors = errors;
        problem
    }

    /// 422 for one parameter.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::parameters(vec![ParameterError::new(name, detail)])
    }

    /// 422 for a number.
    pub fn number(name: &str, why: InvalidNumber) -> Self {
        let mut problem = Self::new(ErrorCode::InvalidNumber, format!("/{name} {why}"));
        problem.0.errors = vec![ParameterError::new(name, why.to_string())];
        problem
    }

    /// 422 for a code that is not counted; `expected` is what the code consists of.
    pub fn invalid_code(expected: &str) -> Self {
        let why = format!("must be {expected}; blanks and hyphens between them are ignored. This check is not counted");
        let mut problem = Self::new(ErrorCode::InvalidCode, format!("/code {why}"));
        problem.0.errors = vec![ParameterError::new("code", why)];
        problem
    }

    /// 502 for a verification that has no channel left.
    pub fn rejected_by_plivo(id: VerificationId, provider_status: u16) -> Self {
        let detail = format!(
            "Plivo answered {provider_status} and no allowed channel is left. The verification is kept as undeliverable."
        );
        let mut problem = Self::new(ErrorCode::RejectedByPlivo, detail);
        (problem.0.id, problem.0.provider_status) = (Some(id), Some(provider_status));
        problem
    }

    /// 429 for a limit; `limited` names in words what is limited.
    pub fn rate_limited(scope: &'static str, limited: &str, retry_after: Duration) -> Self {
        let detail = format!("The limit on {limited} is reached. Try again after the seconds in Retry-After.");
        let mut problem = Self::new(ErrorCode::RateLimited, detail);
        problem.0.scope = Some(scope);
        problem.retry_after(retry_after)
    }

    /// Adds `Retry-After`.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }
}

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
                tracing::warn!(%error, "the store did not answer a request");
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
            Refusal::CodeLength(length) => Self::invalid_code(&format!("{length} ASCII digits")),
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

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.into())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let Content { code, detail, retry_after, errors, id, provider_status, scope } = &*self.0;
        let (status, name): (_, &'static str) = (code.status(), code.into());
        let mut response = HttpResponse::build(status);
        if let Some(after) = retry_after {
            // Whole seconds, rounded up: a retry a moment too early would be refused again.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.content_type(PROBLEM).json(Problem {
            kind: format!("/problems/{}", name.replace('_', "-")),
            title: code.title(),
            status: status.as_u16(),
            code: name,
            detail: detail.clone(),
            request_id: request_id(),
            errors: errors.clone(),
            id: *id,
            provider_status: *provider_status,
            scope: *scope,
        })
    }
}
