//! `/docs`: the API document as a page. Every part of it is served from here.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType, LOCATION};
use actix_web::web::Path;
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::{not_found, openapi};

const DOCUMENT: &str = "/openapi.json";

/// The page loads its scripts as files, but creates some styles while it runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The OpenAPI document. It names only what is served.
pub fn document(with_legacy: bool) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(openapi::json(with_legacy))
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

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    #[test]
    fn the_document_is_built_once() {
        for with_legacy in [false, true] {
            let body = || document(with_legacy).into_body().try_into_bytes().unwrap();
            let (one, other) = (body(), body());
            assert!(!one.is_empty() && one.as_ptr() == other.as_ptr(), "both answers share one text");
            let text: serde_json::Value = serde_json::from_slice(&one).unwrap();
            assert_eq!(text["paths"].get("/verify/{number}").is_some(), with_legacy);
        }
    }
}
