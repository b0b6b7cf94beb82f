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
use super::openapi::words;
use super::request_id::request_id;
use super::user_message::{UserMessage, Wording};
use crate::phone::InvalidNumber;
use crate::verification::VerificationId;

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
pub struct ApiError(pub(super) Box<Content>);

#[derive(Debug)]
pub(super) struct Content {
    code: ErrorCode,
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
    pub(super) errors: Vec<ParameterError>,
    id: Option<VerificationId>,
    provider_status: Option<u16>,
    pub(super) scope: Option<&'static str>,
    wording: Wording,
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
    #[schema(value_type = words::ErrorCode, example = "verification_not_found")]
    code: &'static str,
    /// What happened and what to do next, for the developer.
    detail: String,
    /// What the person who enters the code may be told, in the person's language; absent if only a developer can act.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "This code is no longer valid. Request a new one.")]
    user_message: Option<String>,
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
    #[schema(value_type = Option<words::LimitScope>)]
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
            wording: Wording::default(),
        }))
    }

    /// 422 for several parameters.
    pub fn parameters(errors: Vec<ParameterError>) -> Self {
        Self::unprocessable(ErrorCode::InvalidParameter, errors)
    }

    /// 422 for one parameter.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::parameters(vec![ParameterError::new(name, detail)])
    }

    /// 422 for a number.
    pub fn number(name: &str, why: InvalidNumber) -> Self {
        Self::unprocessable(ErrorCode::InvalidNumber, vec![ParameterError::new(name, why.to_string())])
    }

    /// 422 for a code that is not counted; `length` is how many digits the right one has, if that is known.
    pub fn invalid_code(length: Option<u8>) -> Self {
        let expected =
            length.map_or("the ASCII digits of the code".to_owned(), |length| format!("{length} ASCII digits"));
        let why = format!("must be {expected}; blanks and hyphens between them are ignored. This check is not counted");
        Self::unprocessable(ErrorCode::InvalidCode, vec![ParameterError::new("code", why)])
    }

    /// 422. What is wrong stands in `errors` alone; the detail says which parameters to correct.
    fn unprocessable(code: ErrorCode, errors: Vec<ParameterError>) -> Self {
        // The pointer of the whole body is empty.
        let named: Vec<&str> =
            errors.iter().map(|error| error.pointer.as_str()).filter(|name| !name.is_empty()).collect();
        let what = if named.is_empty() { "the request".to_owned() } else { named.join(", ") };
        let mut problem = Self::new(code, format!("Correct {what}: the field errors says what is wrong."));
        problem.0.errors = errors;
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

    /// Tells the person in this language.
    pub fn worded(mut self, wording: Wording) -> Self {
        self.0.wording = wording;
        self
    }

    /// What the person may be told. Refused credentials say nothing about the person's number.
    fn user_message(&self) -> Option<UserMessage> {
        match self.0.provider_status {
            Some(401) => Some(UserMessage::TryAgain),
            _ => UserMessage::of(self.0.code, self.0.retry_after),
        }
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let Content { code, detail, retry_after, errors, id, provider_status, scope, wording } = &*self.0;
        let status = code.status();
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
            kind: code.path(),
            title: code.title(),
            status: status.as_u16(),
            code: code.as_str(),
            detail: detail.clone(),
            user_message: self.user_message().map(|message| wording.say(message)),
            request_id: request_id(),
            errors: errors.clone(),
            id: *id,
            provider_status: *provider_status,
            scope: *scope,
        })
    }
}
