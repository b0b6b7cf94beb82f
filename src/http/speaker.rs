//! [`Speaker`]: who asks for an attempt, or reports what a person does: the app, or a browser with the `client_token`.

use std::future::{Ready, ready};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    HeaderValue,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse};

use super::auth::{Caller, bearer};
use super::error::ApiError;
use super::state::Shared;
use super::view::VerificationView;
use super::{browser, query};
use crate::engine::{EngineError, Target};
use crate::plivo::reference::{self, Purpose};
use crate::verification::VerificationId;

/// Seconds for which a browser remembers that another site's page may ask.
const PREFLIGHT_SECONDS: &str = "600";

/// Who speaks for a verification.
pub enum Speaker {
    /// An app, about each of its verifications.
    App(String),
    /// A browser, about the one verification of its token.
    Browser(VerificationId),
}

impl Speaker {
    /// The verification of this id.
    ///
    /// # Errors
    /// 404 when a browser names another one than its own.
    pub fn target(&self, id: VerificationId) -> Result<Target<'_>, ApiError> {
        match self {
            Self::App(app) => Ok(Target::OfApp(app, id)),
            Self::Browser(own) if *own == id => Ok(Target::Proved(id)),
            Self::Browser(_) => Err(EngineError::NotFound.into()),
        }
    }

    /// What the speaker may see of a verification.
    pub fn shown(&self, view: VerificationView) -> VerificationView {
        match self {
            Self::App(_) => view,
            Self::Browser(_) => browser::verification(view),
        }
    }
}

impl FromRequest for Speaker {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let shared = request.app_data::<Data<Shared>>();
        let own = bearer(request)
            .zip(shared)
            .and_then(|(token, shared)| reference::read(&shared.keyring, token, Purpose::Client).map(|to| to.id));
        ready(match own {
            Some(id) => query::refuse_unknown(request).map(|()| Self::Browser(id)),
            None => Caller::from_request(request, payload).into_inner().map(|caller| Self::App(caller.app)),
        })
    }
}

/// Lets the pages of every site ask: the token or key in the header is the only credential, and no cookie is.
///
/// # Errors
/// Those of the route.
pub async fn from_any_page<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let mut response = if request.method() == Method::OPTIONS {
        let allowed = HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "POST"))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"))
            .insert_header((ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS))
            .finish();
        request.into_response(allowed).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}
