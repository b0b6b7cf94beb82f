//! `/docs/` and the OpenAPI documents. Every part of the page is served from here.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{ContentType, LOCATION};

use super::page::HtmlPage;
use super::{openapi, reference};

/// The OpenAPI document. It names only what is served.
pub fn document(with_legacy: bool) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(openapi::json(with_legacy))
}

/// The OpenAPI document of what Plivo sends.
pub async fn callbacks() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(openapi::callbacks_json())
}

/// Redirects to the page.
pub async fn to_page() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/docs/")).finish()
}

/// The page, with the demo's API key filled in if this is the demo.
pub fn page(is_demo: bool) -> HttpResponse {
    static OF_DEMO: LazyLock<HtmlPage> = LazyLock::new(|| reference::page(&openapi::without_legacy(), true));
    static OF_SERVICE: LazyLock<HtmlPage> = LazyLock::new(|| reference::page(&openapi::without_legacy(), false));
    if is_demo { OF_DEMO.response() } else { OF_SERVICE.response() }
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
