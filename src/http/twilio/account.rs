//! [`TwilioAccount`]: the app that a request names as Twilio's SDKs name an account: by Basic authentication.

use std::future::{Ready, ready};

use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use subtle::ConstantTimeEq;

use super::super::auth::{basic, unauthenticated};
use super::super::error::ApiError;
use super::super::state::Shared;

/// The app whose name and secret came with the request.
pub struct TwilioAccount {
    /// Its name.
    pub app: String,
}

impl FromRequest for TwilioAccount {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let keys = request.app_data::<Data<Shared>>().map(|shared| &shared.api_keys);
        let app = basic(request).zip(keys).and_then(|((name, secret), keys)| {
            let app = keys.app_of(&secret)?;
            bool::from(app.as_bytes().ct_eq(name.as_bytes())).then_some(app)
        });
        let detail = "Use an app's name as the user, and its secret as the password.";
        ready(app.map(|app| Self { app }).ok_or_else(|| unauthenticated(request, detail)))
    }
}
