//! Verifications: create, read, list, search.

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::body::Json;
use super::create::CreateBody;
use super::error::ApiError;
use super::idempotency;
use super::openapi::words;
use super::outcome::{accepted, triggered, view};
use super::parameters::{self, prefers_async, verification_id, write_cursor};
use super::places::Place;
use super::query;
use super::state::Shared;
use super::timeline::TimelineView;
use super::user_message::Wording;
use super::view::{PageView, VerificationView};
use crate::engine::{Created, Page, Target};
use crate::plivo::reference::{self, Purpose};
use crate::verification::{AttemptRef, Status};

/// How many verifications a page has at most.
const PAGE_MAX: usize = 100;
/// How many a page has by default.
const PAGE_DEFAULT: usize = 20;

/// A number to search for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// E.164.
    #[schema(example = "+14155550112", value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents what `list` reads one by one, so that each fault names its parameter")]
pub struct ListQuery {
    /// Only verifications of this status.
    #[param(value_type = Option<words::VerificationStatus>)]
    status: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Creates a verification and sends the code.
///
/// While one of the same app, number and purpose is open, what was sent for it is shared: 200, `joined: true`, the same
/// code. Each creation has an id, a client token, metadata and guesses of its own, and is verified by its own check alone.
#[utoipa::path(post, path = "/v1/verifications", operation_id = "create_verification", tag = "verifications", request_body = CreateBody,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for Plivo")),
    responses((status = 201, description = "Created; the code is being sent", body = VerificationView),
        (status = 200, description = "The creation shares what was sent for an open verification", body = VerificationView)),
    security(("api_key" = [])))]
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    shared: Data<Shared>,
    body: Json<CreateBody>,
) -> Result<HttpResponse, ApiError> {
    let mut creation = body.0.checked(caller.app, &shared)?;
    creation.seed = idempotency::seed(&request, &creation, &shared.keyring);
    let (locale, country) = (creation.details.locale.clone(), creation.to.country().clone());
    let in_language = |error| ApiError::from(error).worded(Wording::of_person(&locale, &country));
    let Created { applied, joined } = shared.engine.create(creation).await.map_err(in_language)?;
    let found = triggered(&shared, accepted(applied)?, prefers_async(&request)).await?;
    let id = found.verification.id_of(found.session);
    let mut view = view(&shared, &found).await?;
    view.joined = Some(joined);
    let to = AttemptRef { id, attempt: crate::verification::AttemptIndex::FIRST };
    view.client_token = Some(reference::issue(&shared.keyring, to, Purpose::Client));
    Ok(if joined {
        HttpResponse::Ok().json(view)
    } else {
        HttpResponse::Created().insert_header((LOCATION, format!("/v1/verifications/{id}"))).json(view)
    })
}

/// Reads a verification.
#[utoipa::path(get, path = "/v1/verifications/{id}", operation_id = "read_verification", tag = "verifications", params(("id" = String, Path, description = "The id of the verification")),
    responses((status = 200, description = "The verification", body = VerificationView)),
    security(("api_key" = [])))]
pub async fn read(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let found = shared.engine.read(Target::OfApp(&caller.app, verification_id(&id)?)).await?;
    Ok(HttpResponse::Ok().json(view(&shared, &found).await?))
}

/// Reads every event and decision of a verification, with its reason.
#[utoipa::path(get, path = "/v1/verifications/{id}/timeline", operation_id = "read_timeline", tag = "verifications", params(("id" = String, Path, description = "The id of the verification")),
    responses((status = 200, description = "Every event and decision, oldest first", body = TimelineView)),
    security(("api_key" = [])))]
pub async fn timeline(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let found = shared.engine.read(Target::OfApp(&caller.app, verification_id(&id)?)).await?;
    Ok(HttpResponse::Ok().json(TimelineView::of(&found)))
}

/// Lists the app's own verifications, newest first.
#[utoipa::path(get, path = "/v1/verifications", operation_id = "list_verifications", tag = "verifications", params(ListQuery),
    responses((status = 200, description = "A page of verifications, newest first", body = PageView)),
    security(("api_key" = [])))]
pub async fn list(request: HttpRequest, caller: Caller, shared: Data<Shared>) -> Result<HttpResponse, ApiError> {
    let given = |name| query::parameter(request.query_string(), name);
    let status = |text: String| {
        let named = Status::ALL.iter().copied().find(|status| status.as_str() == text);
        named.ok_or_else(|| ApiError::parameter("status", "must be the status of a verification"))
    };
    let status = given("status")?.map(status).transpose()?;
    let before = parameters::cursor(given("cursor")?.as_deref())?;
    let limit = page_limit(given("limit")?.as_deref())?;
    let _place = list_place(&shared, &caller.app)?;
    let page = shared.engine.list(&caller.app, None, status, before, limit).await?;
    respond_with_page(&shared, page).await
}

/// Lists the app's verifications of a number, newest first.
///
/// A POST, so that no number stands in a URL.
#[utoipa::path(post, path = "/v1/verifications/search", operation_id = "search_verifications", tag = "verifications", request_body = SearchBody,
    responses((status = 200, description = "A page of the number's verifications, newest first", body = PageView)),
    security(("api_key" = [])))]
pub async fn search(caller: Caller, shared: Data<Shared>, body: Json<SearchBody>) -> Result<HttpResponse, ApiError> {
    let SearchBody { to, cursor } = body.0;
    let (to, before) = (parameters::number(&shared, to)?, parameters::cursor(cursor.as_deref())?);
    let _place = list_place(&shared, &caller.app)?;
    let page = shared.engine.list(&caller.app, Some(&to), None, before, PAGE_MAX).await?;
    respond_with_page(&shared, page).await
}

/// How many entries a page is to have.
pub(super) fn page_limit(given: Option<&str>) -> Result<usize, ApiError> {
    let limit = given.map_or(Some(PAGE_DEFAULT), |text| text.parse().ok());
    let limit = limit.filter(|n| (1..=PAGE_MAX).contains(n));
    limit.ok_or_else(|| ApiError::parameter("limit", "must be 1 to 100"))
}

/// A place for a list: one app that reads many at once must not slow the store down for others.
pub(super) fn list_place(shared: &Shared, app: &str) -> Result<Place<String>, ApiError> {
    let place = shared.lists.take(app.to_owned());
    place.ok_or_else(|| {
        shared.metrics.refusal("lists");
        ApiError::rate_limited("lists", "concurrent lists", Duration::from_secs(1))
    })
}

async fn respond_with_page(shared: &Shared, page: Page) -> Result<HttpResponse, ApiError> {
    let now = shared.clock.now().await?;
    Ok(HttpResponse::Ok().json(PageView {
        verifications: page.found.iter().map(|found| VerificationView::of(found, &shared.rules, now)).collect(),
        next_cursor: page.next.map(write_cursor),
    }))
}
