//! The routes of the seed demo: GETs without a key, with numbers and codes in the path, and the bodies it had.
//!
//! They exist only with `LEGACY_ROUTES=true`, for pages that were written against that demo. They act as app `legacy` on
//! the engine of the API and deliberately have no rules of their own: they refuse what the API refuses, with shorter
//! answers. As GETs with effects they refuse prefetches and what another site's page asks for.

use std::sync::LazyLock;

use actix_web::http::header::{ContentType, ORIGIN};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use tracing::info;
use url::Url;
use utoipa::ToSchema;

use super::client_ip::client_ip;
use super::create::CreateBody;
use super::error::{ApiError, ErrorCode};
use super::outcome::{accepted, triggered};
use super::page::HtmlPage;
use super::parameters::typed_code;
use super::state::Shared;
use crate::engine::{EngineError, Target};
use crate::verification::{Answer, Event, Refusal, Status};

/// The app of these verifications. An API key of an app with this name sees them.
const APP: &str = "legacy";

/// Every answer but `Error encountered`.
#[derive(Serialize, ToSchema)]
pub struct LegacyBody {
    /// `success`, `rejected` or `failed`.
    #[schema(example = "success")]
    status: &'static str,
    /// A sentence that goes with the status.
    #[schema(example = "verification initiated")]
    message: &'static str,
}

const INITIATED: LegacyBody = LegacyBody { status: "success", message: "verification initiated" };
const MATCH: LegacyBody = LegacyBody { status: "success", message: "codes match, number verified" };
const MISMATCH: LegacyBody = LegacyBody { status: "rejected", message: "codes do not match, number not verified" };
const UNKNOWN: LegacyBody = LegacyBody { status: "failed", message: "number not found" };
const ERROR: &str = "Error encountered";

/// Sends a code by text. Exists only with `LEGACY_ROUTES=true`.
///
/// An open verification of the number is joined: once the cooldown is over the same code is sent again.
#[utoipa::path(get, path = "/verify/{number}", operation_id = "legacy_verify", tag = "legacy",
    params(("number" = String, Path, description = "E.164, with or without the `+`")),
    responses((status = 200, description = "The text is being sent", body = LegacyBody),
        (status = 400, description = "`Error encountered`, for every failure", body = String, content_type = "text/plain")))]
pub async fn verify(request: HttpRequest, shared: Data<Shared>, number: Path<String>) -> HttpResponse {
    begin(&request, &shared, &number, "auto").await
}

/// Calls with the code at once. Exists only with `LEGACY_ROUTES=true`.
///
/// An open verification of the number gets a call with its code. While such a call is in progress, nothing is done.
#[utoipa::path(get, path = "/verify_voice/{number}", operation_id = "legacy_verify_voice", tag = "legacy",
    params(("number" = String, Path, description = "E.164, with or without the `+`")),
    responses((status = 200, description = "The call is being placed", body = LegacyBody),
        (status = 400, description = "`Error encountered`, for every failure", body = String, content_type = "text/plain")))]
pub async fn verify_voice(request: HttpRequest, shared: Data<Shared>, number: Path<String>) -> HttpResponse {
    begin(&request, &shared, &number, "call").await
}

/// Checks a code. Exists only with `LEGACY_ROUTES=true`.
#[utoipa::path(get, path = "/checkcode/{number}/{code}", operation_id = "legacy_checkcode", tag = "legacy",
    params(("number" = String, Path, description = "E.164, with or without the `+`"), ("code" = String, Path)),
    responses((status = 200, description = "The code is right; it works once", body = LegacyBody),
        (status = 404, description = "The code is wrong, or too many were entered", body = LegacyBody),
        (status = 500, description = "The number has no open verification", body = LegacyBody),
        (status = 400, description = "`Error encountered`, for a prefetch or another site's page", body = String, content_type = "text/plain")))]
pub async fn check(
    request: HttpRequest,
    shared: Data<Shared>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    if is_unrequested(&request, &shared.public_url) {
        return Ok(error());
    }
    let (number, code) = path.into_inner();
    let answer = match compare(&shared, &number, &code).await {
        Ok(answer) => answer,
        Err(EngineError::NotFound) => return Ok(HttpResponse::InternalServerError().json(UNKNOWN)),
        // An API key of the app has opened several; whose code it is, this route cannot say.
        Err(EngineError::Ambiguous) => return Ok(HttpResponse::NotFound().json(MISMATCH)),
        // Not "number not found": the code may be right once the store answers.
        Err(error) => return Err(error.into()),
    };
    Ok(match answer {
        Answer::Correct => HttpResponse::Ok().json(MATCH),
        Answer::Refused(
            Refusal::LostInFailover
            | Refusal::Final(
                Status::Verified | Status::Expired | Status::Canceled | Status::Undeliverable | Status::Pending,
            ),
        ) => HttpResponse::InternalServerError().json(UNKNOWN),
        Answer::Incorrect | Answer::Noted | Answer::Repeated { .. } | Answer::Refused(_) => {
            HttpResponse::NotFound().json(MISMATCH)
        }
    })
}

/// The page of the seed demo.
pub async fn page() -> HttpResponse {
    static PAGE: LazyLock<HtmlPage> = LazyLock::new(|| HtmlPage::new(include_str!("legacy.html")));
    PAGE.response()
}

async fn begin(request: &HttpRequest, shared: &Shared, number: &str, channel: &str) -> HttpResponse {
    if is_unrequested(request, &shared.public_url) {
        return error();
    }
    match create_or_join(request, shared, number, channel).await {
        Ok(()) => HttpResponse::Ok().json(INITIATED),
        Err(why) => {
            // The body does not say why, so this line is the only place that does.
            info!(event = "legacy_refused", %why);
            error()
        }
    }
}

/// Creates or joins a verification exactly as the API does.
async fn create_or_join(request: &HttpRequest, shared: &Shared, number: &str, channel: &str) -> Result<(), ApiError> {
    let body = json!({ "to": e164(number), "channel": channel });
    let body: CreateBody = serde_json::from_value(body)
        .map_err(|_| ApiError::new(ErrorCode::MalformedRequest, "The number cannot be read."))?;
    let mut creation = body.checked(APP.to_owned(), shared)?;
    creation.is_resend = true;
    creation.details.client_ip = client_ip(request, &shared.trusted_proxies);
    let applied = accepted(shared.engine.create(creation).await?.applied)?;
    let v = triggered(shared, applied, false).await?.verification;
    if v.status() == Status::Undeliverable { Err(Refusal::Final(v.status()).into()) } else { Ok(()) }
}

async fn compare(shared: &Shared, number: &str, code: &str) -> Result<Answer, EngineError> {
    let engine = &shared.engine;
    let to = shared.test_numbers.read(&e164(number)).map_err(|_| EngineError::NotFound)?.0;
    let target = Target::OfNumber(APP, &to, Some(""));
    if let Some(code) = typed_code(code) {
        return Ok(engine.apply(target, vec![Event::CodeSubmitted(code)]).await?.answer);
    }
    // Text that cannot be a code is answered like a wrong code, but not counted, while a verification is open.
    let found = engine.read(target).await?;
    let status = found.verification.status_at(found.session, shared.clock.now().await?);
    Ok(if status.is_final() { Answer::Refused(Refusal::Final(status)) } else { Answer::Incorrect })
}

/// Adds the `+` where it is missing.
fn e164(number: &str) -> String {
    format!("+{}", number.strip_prefix('+').unwrap_or(number))
}

fn error() -> HttpResponse {
    HttpResponse::BadRequest().insert_header(ContentType::plaintext()).body(ERROR)
}

/// Whether no person asked for this request on our own page: it is a prefetch, or comes from another site.
///
/// `Sec-Purpose: prefetch;prerender` and `Sec-Fetch-Site` are from the Fetch standard; `Purpose` is the older form.
/// Clients that are no browsers send none of these headers.
fn is_unrequested(request: &HttpRequest, public_url: &str) -> bool {
    let is = |name: &str, word: &str| {
        let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split([';', ','])).any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    is("sec-purpose", "prefetch")
        || is("purpose", "prefetch")
        || is("sec-fetch-site", "cross-site")
        || has_foreign_origin(request, public_url)
}

/// Whether an `Origin` header names another origin than that of `public_url`. `null` does (RFC 6454, 7.3).
fn has_foreign_origin(request: &HttpRequest, public_url: &str) -> bool {
    let mut given = request.headers().get_all(ORIGIN).peekable();
    if given.peek().is_none() {
        return false;
    }
    // `public_url` is valid: the settings were checked. If it were not, every origin would be foreign.
    let own = Url::parse(public_url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    given.any(|origin| origin.as_bytes() != own.as_bytes())
}
