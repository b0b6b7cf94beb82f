//! `/problems` and `/problems/<code>`: what a problem means, as HTML for people and as JSON for programs.

use actix_web::http::header::{ACCEPT, VARY};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::error_code::ErrorCode;
use super::explanation::Explanation;
use super::not_found;
use super::openapi::words;
use super::page::{HtmlPage, render};
use super::user_message::{UserMessage, Wording};

/// The wait in the example of what a person is told.
const EXAMPLE_WAIT: std::time::Duration = std::time::Duration::from_secs(30);

/// What a problem means.
#[derive(Serialize, ToSchema)]
pub struct ProblemExplanation {
    /// The path of this explanation.
    #[serde(rename = "type")]
    #[schema(example = "/problems/resend-cooldown")]
    kind: String,
    /// The same for every problem of this code.
    #[schema(example = "Too soon after the last attempt")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 429)]
    status: u16,
    /// The code.
    #[schema(value_type = words::ErrorCode)]
    code: &'static str,
    /// When it occurs.
    when: &'static str,
    /// What to do.
    action: &'static str,
    /// Whether the same request may succeed later.
    may_succeed_later: bool,
    /// What the person who enters a code may be told, in English; null if only a developer can act.
    user_message: Option<String>,
}

impl ProblemExplanation {
    fn of(code: ErrorCode) -> Self {
        let Explanation { when, action, may_succeed_later } = Explanation::of(code);
        let user_message = UserMessage::of(code, Some(EXAMPLE_WAIT)).map(|message| Wording::default().say(message));
        let (title, status) = (code.title(), code.status().as_u16());
        Self { kind: code.path(), title, status, code: code.as_str(), when, action, may_succeed_later, user_message }
    }
}

/// Explains every problem.
#[utoipa::path(get, path = "/problems", operation_id = "list_problems", tag = "problems",
    responses((status = 200, description = "Every problem, by status", body = Vec<ProblemExplanation>)))]
pub async fn list(request: HttpRequest) -> HttpResponse {
    let all: Vec<_> = ErrorCode::ALL.iter().map(|code| ProblemExplanation::of(*code)).collect();
    if prefers_html(&request) { html(&all, "Problems") } else { HttpResponse::Ok().json(all) }
}

/// Explains the problem that a `type` names.
///
/// Browsers get a page.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "explain_problem", tag = "problems",
    params(("code" = String, Path, description = "The code of a problem, with hyphens", example = "resend-cooldown")),
    responses((status = 200, description = "What it means", body = ProblemExplanation)))]
pub async fn explain(request: HttpRequest, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let Some(code) = ErrorCode::ALL.iter().find(|code| code.path() == format!("/problems/{name}")) else {
        return not_found().await;
    };
    let problem = ProblemExplanation::of(*code);
    Ok(if prefers_html(&request) {
        let title = problem.title;
        html(&[problem], title)
    } else {
        HttpResponse::Ok().insert_header((VARY, "Accept")).json(problem)
    })
}

fn html(problems: &[ProblemExplanation], title: &str) -> HttpResponse {
    let page = HtmlPage::new(&render(include_str!("problems.html"), context! { title, problems }));
    let mut response = page.response();
    response.headers_mut().insert(VARY, actix_web::http::header::HeaderValue::from_static("Accept"));
    response
}

/// Whether a client asks for HTML before JSON, as browsers do. `*/*` gets JSON.
fn prefers_html(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let weight = |wanted: &[&str]| {
        let weights = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_wanted = parts.next().is_some_and(|media| wanted.contains(&media.to_ascii_lowercase().as_str()));
            let q = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            is_wanted.then_some(q)
        });
        weights.fold(0.0, f32::max)
    };
    weight(&["text/html", "application/xhtml+xml"]) > weight(&["application/json", "application/problem+json"])
}
