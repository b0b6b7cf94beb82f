//! The routes of the seed demo: GETs without a key, numbers and codes in the path, the bodies it had. They exist
//! only with `LEGACY_ROUTES=true`, for pages that were written against that demo.
//!
//! They act as app `legacy` on the engine that the API uses, and deliberately have no rules of their own: what the
//! API would refuse they refuse, they only say less about it. They are GETs that change something, so whoever
//! fetches pages ahead of time is turned away; no other method does anything.

use std::sync::LazyLock;

use actix_web::http::header::ContentType;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use tracing::info;
use utoipa::ToSchema;

use super::create::CreateBody;
use super::error::{ApiError, Kind, Problem};
use super::page::Page;
use super::verifications::{refused, settled};
use super::{Shared, client_ip};
use crate::engine::EngineError;
use crate::verification::{Answer, Code, Event, Refusal, Status};

/// Whose verifications these are. An app of `API_KEYS` that has this name sees them.
const APP: &str = "legacy";

/// What is answered, apart from `Error encountered`.
#[derive(Serialize, ToSchema)]
pub struct LegacyBody {
    /// `success`, `rejected` or `failed`.
    #[schema(example = "success")]
    status: &'static str,
    /// One sentence for each.
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
    responses((status = 200, description = "On its way", body = LegacyBody),
        (status = 400, description = "`Error encountered`: whatever was wrong", body = String, content_type = "text/plain")))]
pub async fn verify(request: HttpRequest, shared: Data<Shared>, number: Path<String>) -> HttpResponse {
    begin(&request, &shared, &number, "auto").await
}

/// Calls with the code, now. Exists only with `LEGACY_ROUTES=true`.
///
/// An open verification of the number is called with the code it has; while that call is under way there is
/// nothing to do.
#[utoipa::path(get, path = "/verify_voice/{number}", operation_id = "legacy_verify_voice", tag = "legacy",
    params(("number" = String, Path, description = "E.164, with or without the `+`")),
    responses((status = 200, description = "It is about to ring", body = LegacyBody),
        (status = 400, description = "`Error encountered`: whatever was wrong", body = String, content_type = "text/plain")))]
pub async fn verify_voice(request: HttpRequest, shared: Data<Shared>, number: Path<String>) -> HttpResponse {
    begin(&request, &shared, &number, "call").await
}

/// Compares a code. Exists only with `LEGACY_ROUTES=true`.
#[utoipa::path(get, path = "/checkcode/{number}/{code}", operation_id = "legacy_checkcode", tag = "legacy",
    params(("number" = String, Path, description = "E.164, with or without the `+`"), ("code" = String, Path)),
    responses((status = 200, description = "Right; it is good once", body = LegacyBody),
        (status = 404, description = "Wrong, or one too many", body = LegacyBody),
        (status = 500, description = "No open verification of that number", body = LegacyBody),
        (status = 400, description = "`Error encountered`: marked as a prefetch", body = String, content_type = "text/plain"),
        (status = 503, description = "The store does not answer", body = Problem)))]
pub async fn check(
    request: HttpRequest,
    shared: Data<Shared>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    if is_unasked(&request) {
        return Ok(error());
    }
    let (number, code) = path.into_inner();
    let answer = match compare(&shared, &number, &code).await {
        Ok(answer) => answer,
        Err(EngineError::NotFound) => return Ok(HttpResponse::InternalServerError().json(UNKNOWN)),
        // "Number not found" would be a lie: the code may still be good in a moment.
        Err(error) => return Err(error.into()),
    };
    Ok(match answer {
        Answer::Correct => HttpResponse::Ok().json(MATCH),
        Answer::Refused(
            Refusal::Lost
            | Refusal::Final(
                Status::Verified | Status::Expired | Status::Canceled | Status::Undeliverable | Status::Pending,
            ),
        ) => HttpResponse::InternalServerError().json(UNKNOWN),
        Answer::Incorrect | Answer::Noted | Answer::Repeated { .. } | Answer::Refused(_) => {
            HttpResponse::NotFound().json(MISMATCH)
        }
    })
}

/// The seed's page: a number, a code, done.
pub async fn page() -> HttpResponse {
    static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("legacy.html")));
    PAGE.response()
}

async fn begin(request: &HttpRequest, shared: &Shared, number: &str, channel: &str) -> HttpResponse {
    if is_unasked(request) {
        return error();
    }
    match created_or_joined(request, shared, number, channel).await {
        Ok(()) => HttpResponse::Ok().json(INITIATED),
        Err(why) => {
            // The body does not say it, so here is the only place where it can be looked up.
            info!(event = "legacy_refused", %why);
            error()
        }
    }
}

/// As if the API had been asked to create one with this channel: a creation also joins, and a join asks for the
/// channel and is content with what is on its way.
async fn created_or_joined(
    request: &HttpRequest,
    shared: &Shared,
    number: &str,
    channel: &str,
) -> Result<(), ApiError> {
    let body = json!({ "to": e164(number), "channel": channel });
    let body: CreateBody = serde_json::from_value(body)
        .map_err(|_| ApiError::new(Kind::MalformedRequest, "These two make no creation."))?;
    let mut creation = body.checked(APP.to_owned(), shared)?;
    creation.details.client_ip = client_ip::client_ip(request, &shared.trusted_proxies);
    let applied = refused(shared.engine.create(creation).await?.applied)?;
    let v = settled(shared, applied, false).await?;
    if v.status == Status::Undeliverable { Err(Refusal::Final(v.status).into()) } else { Ok(()) }
}

async fn compare(shared: &Shared, number: &str, code: &str) -> Result<Answer, EngineError> {
    let engine = &shared.engine;
    let to = shared.test_numbers.read(&e164(number)).map_err(|_| EngineError::NotFound)?.0;
    let id = engine.newest_of(APP, &to).await?;
    if let Some(code) = Code::parse(code) {
        return Ok(engine.apply_for(APP, id, &Event::CodeSubmitted(code)).await?.answer);
    }
    // What cannot be a code is a wrong one, not counted, as long as there is one that it could have been.
    let v = engine.get_for(APP, id).await?;
    let status = v.status_at(engine.clock.now().await?);
    Ok(if status.is_final() { Answer::Refused(Refusal::Final(status)) } else { Answer::Incorrect })
}

/// The one spelling that goes further; what is no number stays none.
fn e164(number: &str) -> String {
    format!("+{}", number.strip_prefix('+').unwrap_or(number))
}

fn error() -> HttpResponse {
    HttpResponse::BadRequest().insert_header(ContentType::plaintext()).body(ERROR)
}

/// Whether nobody has asked for it: a browser that fetches ahead of time, or another site's page that has it fetched
/// as an image or the like. `Sec-Purpose: prefetch;prerender` and `Sec-Fetch-…` are the Fetch standard's, `Purpose`
/// what came before it.
fn is_unasked(request: &HttpRequest) -> bool {
    let is = |name: &str, word: &str| {
        let values = request.headers().get_all(name).filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split([';', ','])).any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    let is_elsewhere = is("sec-fetch-site", "cross-site") && is("sec-fetch-mode", "no-cors");
    is("sec-purpose", "prefetch") || is("purpose", "prefetch") || is_elsewhere
}
