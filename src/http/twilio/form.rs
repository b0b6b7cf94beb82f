//! [`Form`]: the body of a request, as Twilio's SDKs send it.

use std::pin::Pin;

use actix_web::web::Query;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;

use super::super::body::{BodySource, RawBody};
use super::super::error::{ApiError, ErrorCode};

const MEDIA: &str = "application/x-www-form-urlencoded";

/// A form, read into `T`. Fields that `T` does not have are ignored, as Twilio ignores them.
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            // Every handler has authenticated the sender before this is polled.
            let RawBody { media, bytes } = RawBody::read(&request, &mut payload, BodySource::Authenticated).await?;
            if media != MEDIA {
                let detail = format!("Send 'Content-Type: {MEDIA}'.");
                return Err(ApiError::new(ErrorCode::UnsupportedMediaType, detail));
            }
            // The reason is left out: it may repeat a value.
            let form = std::str::from_utf8(&bytes).ok().and_then(|form| Query::<T>::from_query(form).ok());
            let form = form.ok_or_else(|| {
                ApiError::new(ErrorCode::MalformedRequest, "The body must be a form in UTF-8 that has each field once.")
            })?;
            Ok(Self(form.into_inner()))
        })
    }
}
