//! [`TwilioError`]: a refusal in Twilio's words, which its SDKs raise as their exceptions.
//!
//! Codes and their meanings: <https://www.twilio.com/docs/api/errors>, one page for each code.

use std::fmt;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error::{ApiError, ErrorCode, ParameterError};
use crate::engine::EngineError;
use crate::guard::Scope;
use crate::store::StoreError;

/// A refusal.
#[derive(Debug)]
pub struct TwilioError {
    status: StatusCode,
    code: u32,
    message: String,
    retry_after: Option<Duration>,
}

/// A refusal as it is sent.
#[derive(Serialize, ToSchema)]
pub struct TwilioErrorBody {
    /// Twilio's code; programs look at this field.
    #[schema(example = 60202)]
    code: u32,
    /// What happened. Where Twilio documents the text, it begins with that.
    #[schema(example = "Max check attempts reached")]
    message: String,
    /// Twilio's page about the code.
    #[schema(example = "https://www.twilio.com/docs/errors/60202")]
    more_info: String,
    /// The HTTP status.
    #[schema(example = 429)]
    status: u16,
}

impl TwilioError {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// 400 for one parameter, by its name in Twilio's API.
    pub fn parameter(name: &str, detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 60200, format!("Invalid parameter: {name} ({detail})"))
    }

    /// 400 for a check that names neither a number nor a SID.
    pub fn no_target() -> Self {
        Self::new(StatusCode::BAD_REQUEST, 60221, "No target verification specified: give To or VerificationSid")
    }

    /// 403 for a parameter that changes what a code proves or whom it reaches, so that it cannot be ignored.
    pub fn unsupported(name: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, 60204, format!("Service does not support this feature: {name}"))
    }

    /// 403 for a text to a number that cannot receive one.
    pub fn landline() -> Self {
        Self::new(StatusCode::FORBIDDEN, 60205, "SMS is not supported by landline phone number")
    }

    /// 404. Twilio's message repeats the path, which may hold a number.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
    }

    fn max_checks() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, 60202, "Max check attempts reached")
    }

    fn max_sends() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, 60203, "Max send attempts reached")
    }
}

impl From<&ApiError> for TwilioError {
    fn from(problem: &ApiError) -> Self {
        use {ErrorCode as C, StatusCode as S};
        let (code, own_status) = (problem.code(), problem.code().status());
        let explained = |title: &str| format!("{title}: {}", problem.0.detail);
        let is_of = |scopes: &[Scope]| scopes.iter().any(|scope| problem.0.scope == Some(scope.as_str()));
        // Twilio forgets a verification once it is over, however it ended.
        let mut error = match code {
            C::Unauthenticated | C::InvalidSignature => Self::new(own_status, 20003, explained("Authenticate")),
            C::MethodNotAllowed => Self::new(own_status, 20004, explained("Method not allowed")),
            C::VerificationNotFound
            | C::NotFound
            | C::AlreadyVerified
            | C::VerificationCanceled
            | C::VerificationUndeliverable
            | C::VerificationExpired
            | C::VerificationLost => Self::not_found(),
            C::InvalidNumber | C::InvalidCode | C::InvalidParameter => {
                Self::new(S::BAD_REQUEST, 60200, invalid(&problem.0.errors))
            }
            C::CodeConflict => {
                Self::parameter("CustomCode", "another code is pending for this number; cancel it first")
            }
            C::AmbiguousCheck => Self::parameter("To", "several verifications are pending; give VerificationSid"),
            C::MalformedRequest | C::RequestTimeout | C::PayloadTooLarge | C::UnsupportedMediaType => {
                Self::new(own_status, 60200, explained("Invalid request"))
            }
            C::CountryNotAllowed | C::ChannelNotAllowed => {
                Self::new(S::FORBIDDEN, 60605, explained("Verification delivery attempt blocked"))
            }
            C::DestinationBlocked => Self::new(S::FORBIDDEN, 60410, explained("Verification delivery attempt blocked")),
            C::MaxChecksReached => Self::max_checks(),
            C::MaxAttemptsReached => Self::max_sends(),
            C::RateLimited if is_of(&[Scope::Guesses]) => Self::max_checks(),
            C::RateLimited if is_of(&[Scope::Number, Scope::NumberCall]) => Self::max_sends(),
            // As Twilio's Fraud Guard does, these stop a range of numbers for a time.
            C::RateLimited if is_of(&[Scope::Prefix, Scope::PrefixCall, Scope::Unverified]) => {
                Self::new(S::FORBIDDEN, 60410, explained("Verification delivery attempt blocked"))
            }
            C::RateLimited => Self::new(own_status, 20429, explained("Too many requests")),
            C::ResendCooldown | C::CallInProgress | C::IdempotencyInProgress | C::IdempotencyMismatch => {
                Self::new(S::TOO_MANY_REQUESTS, 60212, explained("Too many concurrent requests for phone number"))
            }
            C::RejectedByPlivo => Self::new(S::INTERNAL_SERVER_ERROR, 20500, explained("Internal Server Error")),
            C::StorageUnavailable => Self::new(own_status, 20503, explained("Service unavailable")),
        };
        error.retry_after = problem.0.retry_after;
        error
    }
}

/// Names the parameters of a creation as Twilio does. The details never repeat a value.
fn invalid(errors: &[ParameterError]) -> String {
    let named = errors.iter().map(|error| {
        let name = match error.pointer.trim_start_matches('/') {
            "to" => "To",
            "channel" => "Channel",
            "locale" => "Locale",
            "code" => "CustomCode",
            "app_hash" => "AppHash",
            "client_ip" => "DeviceIp",
            other => other,
        };
        format!("{name} ({})", error.detail)
    });
    format!("Invalid parameter: {}", named.collect::<Vec<_>>().join(", "))
}

impl From<ApiError> for TwilioError {
    fn from(problem: ApiError) -> Self {
        Self::from(&problem)
    }
}

impl From<EngineError> for TwilioError {
    fn from(error: EngineError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<StoreError> for TwilioError {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl fmt::Display for TwilioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)
    }
}

impl ResponseError for TwilioError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(after) = self.retry_after {
            response.insert_header((RETRY_AFTER, after.as_millis().div_ceil(1000).max(1).to_string()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"phlo-2fa\""));
        }
        response.json(TwilioErrorBody {
            code: self.code,
            message: self.message.clone(),
            more_info: format!("https://www.twilio.com/docs/errors/{}", self.code),
            status: self.status.as_u16(),
        })
    }
}

/// Wraps a route: problems of the common parts, such as authentication and bodies, become Twilio's errors too.
pub async fn in_twilios_words(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let response = next.call(request).await?;
    let problem = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let Some(error) = problem.map(TwilioError::from) else { return Ok(response) };
    let mut translated = error.error_response();
    if let Some(allow) = response.headers().get(ALLOW) {
        translated.headers_mut().insert(ALLOW, allow.clone());
    }
    Ok(response.into_response(translated))
}
