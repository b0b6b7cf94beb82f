//! The demo's page.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;

use super::page::Page;

/// One page that shows a verification living.
pub async fn page() -> HttpResponse {
    static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("demo.html")));
    PAGE.response()
}

/// From the root to the page.
pub async fn to_page() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/demo")).finish()
}
