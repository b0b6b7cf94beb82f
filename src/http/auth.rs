//! [`Caller`]: the app whose API key a request carries. Its query names only parameters of the route.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing::warn;

use super::client_ip::client_ip;
use super::error::{ApiError, ErrorCode};
use super::query;
use super::state::Shared;

/// The app whose key came with the request.
pub struct Caller {
    /// Its name.
    pub app: String,
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let keys = request.app_data::<Data<Shared>>().map(|shared| &shared.api_keys);
        let app = bearer(request).zip(keys).and_then(|(secret, keys)| keys.app_of(secret));
        let detail = "The API key is missing or unknown. Send 'Authorization: Bearer <secret>'.";
        let app = app.ok_or_else(|| unauthenticated(request, detail));
        // Here, because every route of the API has a caller, and only a known one is told what is wrong.
        ready(app.and_then(|app| query::refuse_unknown(request).map(|()| Self { app })))
    }
}

/// The secret of an `Authorization: Bearer` header.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let (scheme, secret) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The user and the password of an `Authorization: Basic` header (RFC 7617).
pub fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let (scheme, credentials) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// 401 for a request without valid credentials, with a log line for the operator.
pub fn unauthenticated(request: &HttpRequest, detail: &str) -> ApiError {
    warn!(event = "unauthenticated", peer = peer(request).map(display), "an API key is missing or unknown");
    ApiError::new(ErrorCode::Unauthenticated, detail)
}

/// The address that a refused request comes from, for the log: the peer, or what a trusted proxy names.
pub fn peer(request: &HttpRequest) -> Option<IpAddr> {
    let trusted = request.app_data::<Data<Shared>>().map_or(&[][..], |shared| &shared.trusted_proxies);
    client_ip(request, trusted)
}
