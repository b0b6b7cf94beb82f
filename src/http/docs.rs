//! `/docs`: the API document as a page. Every part of it is served from here.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::web::Path;
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::{not_found, openapi};

const DOCUMENT: &str = "/openapi.json";

/// The page loads its scripts as files, but creates some styles while it runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The OpenAPI document.
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().json(openapi::document())
}

/// Redirects to the directory: the links of the page are relative to it.
pub async fn to_page() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/docs/")).finish()
}

/// The page and its files.
pub async fn file(path: Path<String>) -> Result<HttpResponse, ApiError> {
    match utoipa_swagger_ui::serve(&path, Arc::new(Config::from(DOCUMENT))) {
        Ok(Some(file)) => Ok(HttpResponse::Ok()
            .content_type(file.content_type)
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .body(file.bytes.into_owned())),
        Ok(None) | Err(_) => not_found().await,
    }
}
