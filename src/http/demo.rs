//! The page of the demo.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;

use super::page::HtmlPage;

/// The page that shows a verification from its creation to its end.
pub async fn page() -> HttpResponse {
    static PAGE: LazyLock<HtmlPage> = LazyLock::new(|| HtmlPage::new(include_str!("demo.html")));
    PAGE.response()
}

/// Redirects the root to the page.
pub async fn to_page() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/demo")).finish()
}
