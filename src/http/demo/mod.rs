//! The page of the demo, built from the files of this folder, and what only the demo can do.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::Data;

use super::auth::Caller;
use super::error::ApiError;
use super::page::HtmlPage;
use super::state::Shared;
use crate::engine::EngineError;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
/// The parts of one script.
const SCRIPT: [&str; 8] = [
    include_str!("state.js"),
    include_str!("server.js"),
    include_str!("watching.js"),
    include_str!("phone.js"),
    include_str!("sound.js"),
    include_str!("words.js"),
    include_str!("drawing.js"),
    include_str!("start.js"),
];

/// The page that shows a verification from its creation to its end.
pub async fn page() -> HttpResponse {
    static BUILT: LazyLock<HtmlPage> = LazyLock::new(|| {
        HtmlPage::new(&PAGE.replace("/*= style.css */\n", STYLE).replace("//= script.js\n", &SCRIPT.concat()))
    });
    BUILT.response()
}

/// Redirects the root to the page.
pub async fn to_page() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/demo")).finish()
}

/// Forgets what was learned of all routes, so that a scenario can be shown again as if it were the first.
pub async fn forget(_caller: Caller, shared: Data<Shared>) -> Result<HttpResponse, ApiError> {
    shared.learner.forget().await.map_err(EngineError::Store)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({})))
}
