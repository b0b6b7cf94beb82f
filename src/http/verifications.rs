//! Verifications: create, read, list, search, check, ask for attempts, cancel.

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::body::Json;
use super::error::{ApiError, ParameterError, Problem};
use super::timeline::TimelineView;
use super::view::{CheckView, PageView, VerificationView, read_cursor, write_cursor};
use super::{Shared, create};
use crate::engine::{Applied, Created};
use crate::phone::PhoneNumber;
use crate::plivo::reference::{self, Purpose};
use crate::store::Cursor;
use crate::verification::event::Activity;
use crate::verification::{
    Answer, AttemptRef, AttemptStatus, Channel, Code, Event, Status, Verification, VerificationId,
};

type Answered = Result<HttpResponse, ApiError>;

/// How long a creation waits for Plivo while Plivo is not answering.
const WAIT_IN_TROUBLE: Duration = Duration::from_millis(500);

/// How many verifications a page has at most.
const PAGE_MAX: usize = 100;
/// How many where nothing is said.
const PAGE_DEFAULT: usize = 20;

/// A code that was typed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The digits, as they stand.
    #[schema(example = "042917", value_type = String, pattern = "^[0-9]{4,10}$")]
    code: Option<String>,
}

/// A code and the number it was sent to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckByNumberBody {
    /// E.164.
    #[schema(example = "+14155550112", value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
    /// The digits, as they stand.
    #[schema(example = "042917", value_type = String, pattern = "^[0-9]{4,10}$")]
    code: Option<String>,
}

/// Another attempt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptBody {
    /// `sms` or `call` (`voice` is accepted for it).
    #[schema(example = "call", value_type = String, pattern = "^(sms|call|voice)$")]
    channel: Option<String>,
}

/// A number to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// E.164.
    #[schema(example = "+14155550112", value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What the person does.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivityBody {
    /// `typing`, `received` or `not_received`.
    #[schema(example = "typing", value_type = String, pattern = "^(typing|received|not_received)$")]
    kind: Option<String>,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents what `list` reads, one by one, so that each fault has its name")]
pub struct ListQuery {
    /// Only those of this status.
    status: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Creates a verification and sends the code.
///
/// An open one for the same app and number is joined: 200, `joined: true`, the same code.
#[utoipa::path(post, path = "/v1/verifications", tag = "verifications", request_body = create::CreateBody,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for Plivo")),
    responses((status = 201, description = "Created", body = VerificationView),
        (status = 200, description = "Joined an open one", body = VerificationView),
        (status = "4XX", description = "Refused", body = Problem), (status = "5XX", description = "Failed", body = Problem)),
    security(("api_key" = [])))]
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    shared: Data<Shared>,
    body: Json<create::CreateBody>,
) -> Answered {
    let creation = body.0.checked(caller.app, &shared)?;
    let Created { applied, joined } = shared.engine.create(creation).await?;
    let v = settled(&shared, refused(applied)?, prefers_async(&request)).await?;
    let mut view = view(&shared, &v).await?;
    view.joined = Some(joined);
    let to = AttemptRef { id: v.id, attempt: 0 };
    view.client_token = Some(reference::issue(&shared.engine.keys, to, Purpose::Client));
    Ok(if joined {
        HttpResponse::Ok().json(view)
    } else {
        HttpResponse::Created().insert_header((LOCATION, format!("/v1/verifications/{}", v.id))).json(view)
    })
}

/// Reads a verification.
#[utoipa::path(get, path = "/v1/verifications/{id}", tag = "verifications", params(("id" = String, Path)),
    responses((status = 200, body = VerificationView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn read(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Answered {
    let v = shared.engine.get_for(&caller.app, known(&id)?).await?;
    Ok(HttpResponse::Ok().json(view(&shared, &v).await?))
}

/// Tells everything that happened to a verification, and why.
#[utoipa::path(get, path = "/v1/verifications/{id}/timeline", tag = "verifications", params(("id" = String, Path)),
    responses((status = 200, body = TimelineView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn timeline(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Answered {
    let v = shared.engine.get_for(&caller.app, known(&id)?).await?;
    Ok(HttpResponse::Ok().json(TimelineView::of(&v)))
}

/// Lists the app's own verifications, newest first.
#[utoipa::path(get, path = "/v1/verifications", tag = "verifications", params(ListQuery),
    responses((status = 200, body = PageView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn list(request: HttpRequest, caller: Caller, shared: Data<Shared>) -> Answered {
    let given = |name| query_parameter(request.query_string(), name);
    let wrong = |name, detail: &str| ApiError::parameters(vec![ParameterError::new(name, detail)]);
    let is_named = |text: &str| Status::ALL.into_iter().find(|s| s.as_str() == text);
    let status =
        given("status")?.map(|text| is_named(&text).ok_or_else(|| wrong("status", "is not a status"))).transpose()?;
    let before = page_after(given("cursor")?.as_deref())?;
    let limit = given("limit")?.map_or(Some(PAGE_DEFAULT), |text| text.parse().ok());
    let limit = limit.filter(|n| (1..=PAGE_MAX).contains(n)).ok_or_else(|| wrong("limit", "must be 1 to 100"))?;
    let page = shared.engine.list(&caller.app, None, status, before, limit).await?;
    page_view(&shared, page).await
}

/// Finds the app's verifications of a number, newest first. A POST, so that no number stands in a URL.
#[utoipa::path(post, path = "/v1/verifications/search", tag = "verifications", request_body = SearchBody,
    responses((status = 200, body = PageView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn search(caller: Caller, shared: Data<Shared>, body: Json<SearchBody>) -> Answered {
    let SearchBody { to, cursor } = body.0;
    let (to, before) = (number(&shared, to)?, page_after(cursor.as_deref())?);
    let page = shared.engine.list(&caller.app, Some(&to), None, before, PAGE_MAX).await?;
    page_view(&shared, page).await
}

/// Checks a code. A wrong code is a normal answer; a final state is a problem.
#[utoipa::path(post, path = "/v1/verifications/{id}/checks", tag = "checks", params(("id" = String, Path)),
    request_body = CheckBody,
    responses((status = 200, body = CheckView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn check(caller: Caller, shared: Data<Shared>, id: Path<String>, body: Json<CheckBody>) -> Answered {
    let id = known(&id)?;
    let event = Event::CodeSubmitted(code(body.0.code)?);
    checked(shared.engine.apply_for(&caller.app, id, &event).await?)
}

/// Checks a code against the newest verification of a number.
#[utoipa::path(post, path = "/v1/checks", tag = "checks", request_body = CheckByNumberBody,
    responses((status = 200, body = CheckView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn check_by_number(caller: Caller, shared: Data<Shared>, body: Json<CheckByNumberBody>) -> Answered {
    let CheckByNumberBody { to, code: submitted } = body.0;
    let (to, event) = (number(&shared, to)?, Event::CodeSubmitted(code(submitted)?));
    let id = shared.engine.newest_of(&caller.app, &to).await?;
    checked(shared.engine.apply_for(&caller.app, id, &event).await?)
}

/// Sends the code once more, or calls now.
#[utoipa::path(post, path = "/v1/verifications/{id}/attempts", tag = "verifications", params(("id" = String, Path)),
    request_body = AttemptBody,
    responses((status = 201, body = VerificationView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn attempt(caller: Caller, shared: Data<Shared>, id: Path<String>, body: Json<AttemptBody>) -> Answered {
    let id = known(&id)?;
    let channel = match body.0.channel.as_deref() {
        Some("sms") => Channel::Sms,
        Some("call" | "voice") => Channel::Call,
        _ => return Err(ApiError::parameters(vec![ParameterError::new("channel", "must be sms or call")])),
    };
    let applied = shared.engine.apply_for(&caller.app, id, &Event::AttemptRequested(channel)).await?;
    let v = settled(&shared, refused(applied)?, false).await?;
    Ok(HttpResponse::Created().json(view(&shared, &v).await?))
}

/// Gives a verification up.
#[utoipa::path(post, path = "/v1/verifications/{id}/cancel", tag = "verifications", params(("id" = String, Path)),
    responses((status = 200, body = VerificationView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn cancel(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Answered {
    let applied = refused(shared.engine.apply_for(&caller.app, known(&id)?, &Event::Cancel).await?)?;
    Ok(HttpResponse::Ok().json(view(&shared, &applied.verification).await?))
}

/// Tells what the person does: nobody is rung while typing, and at once when nothing came.
#[utoipa::path(post, path = "/v1/verifications/{id}/activity", tag = "verifications", params(("id" = String, Path)),
    request_body = ActivityBody,
    responses((status = 200, body = VerificationView), (status = "4XX", body = Problem), (status = "5XX", body = Problem)),
    security(("api_key" = [])))]
pub async fn activity(caller: Caller, shared: Data<Shared>, id: Path<String>, body: Json<ActivityBody>) -> Answered {
    let id = known(&id)?;
    let kind = match body.0.kind.as_deref() {
        Some("typing") => Activity::Typing,
        Some("received") => Activity::Received,
        Some("not_received") => Activity::NotReceived,
        _ => {
            let error = ParameterError::new("kind", "must be typing, received or not_received");
            return Err(ApiError::parameters(vec![error]));
        }
    };
    let applied = refused(shared.engine.apply_for(&caller.app, id, &Event::Activity(kind)).await?)?;
    Ok(HttpResponse::Ok().json(view(&shared, &applied.verification).await?))
}

/// A parameter of the query; one that is empty is as good as none.
pub(super) fn query_parameter(query: &str, name: &str) -> Result<Option<String>, ApiError> {
    let mut given = url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    match (given.next(), given.next()) {
        (Some(_), Some(_)) => Err(ApiError::parameters(vec![ParameterError::new(name, "is given twice")])),
        (given, _) => Ok(given.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())),
    }
}

/// Whether the caller does not want to wait for Plivo (RFC 7240: a list, in any case, each with parameters).
fn prefers_async(request: &HttpRequest) -> bool {
    let preferences = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    let mut names = preferences.flat_map(|list| list.split(',')).map(|one| one.split(';').next().unwrap_or_default());
    names.any(|name| name.trim().eq_ignore_ascii_case("respond-async"))
}

/// Where the page before ended.
pub(super) fn page_after(cursor: Option<&str>) -> Result<Option<Cursor>, ApiError> {
    let wrong = || ApiError::parameters(vec![ParameterError::new("cursor", "is not a cursor of this list")]);
    cursor.map(|text| read_cursor(text).ok_or_else(wrong)).transpose()
}

/// What cannot be an id is an unknown one.
pub(super) fn known(id: &str) -> Result<VerificationId, ApiError> {
    id.parse().map_err(|_| crate::engine::EngineError::NotFound.into())
}

pub(super) fn number(shared: &Shared, to: Option<String>) -> Result<PhoneNumber, ApiError> {
    let to = to.ok_or_else(|| ApiError::parameters(vec![ParameterError::new("to", "is required")]))?;
    shared.test_numbers.read(&to).map(|(to, _)| to).map_err(|why| ApiError::number("to", why))
}

fn code(code: Option<String>) -> Result<Code, ApiError> {
    code.as_deref().and_then(Code::parse).ok_or_else(|| {
        ApiError::parameters(vec![ParameterError::new(
            "code",
            "must be the code's ASCII digits, nothing else; not counted",
        )])
    })
}

pub(super) fn refused(applied: Applied) -> Result<Applied, ApiError> {
    match applied.answer {
        Answer::Refused(refusal) => Err(refusal.into()),
        Answer::Noted | Answer::Correct | Answer::Incorrect | Answer::Repeated { .. } => Ok(applied),
    }
}

fn checked(applied: Applied) -> Answered {
    let applied = refused(applied)?;
    let v = &applied.verification;
    let is_correct = applied.answer == Answer::Correct;
    Ok(HttpResponse::Ok().json(CheckView {
        id: v.id.to_string(),
        result: if is_correct { "verified" } else { "incorrect" },
        status: v.status.as_str(),
        verified_at: v.ended_at.filter(|_| is_correct).map(|at| at.to_string()),
        channel: is_correct.then(|| v.verified_by().as_str()),
        checks_remaining: (!is_correct).then(|| v.checks_remaining()),
    }))
}

/// Waits for Plivo's answer, within `PLIVO_WAIT`. A verification that Plivo left no channel for is a 502.
pub(super) async fn settled(shared: &Shared, applied: Applied, is_async: bool) -> Result<Verification, ApiError> {
    let Applied { verification, performance, .. } = applied;
    let is_troubled = shared.engine.plivo.is_troubled(verification.mode.first_channel());
    let wait = if is_troubled { shared.plivo_wait.min(WAIT_IN_TROUBLE) } else { shared.plivo_wait };
    let v = match performance {
        Some(performance) if !is_async => tokio::select! {
            v = performance.settled(wait) => reported_meanwhile(shared, v).await,
            // A stop has no time for Plivo; what it answers is written down all the same.
            () = shared.readiness.withdrawn() => verification,
        },
        _ => verification,
    };
    match v.attempts.iter().rev().find_map(|a| a.refused) {
        Some(status) if v.status == Status::Undeliverable => Err(ApiError::rejected_by_plivo(v.id, status)),
        _ => Ok(v),
    }
}

/// While Plivo's answer was waited for in vain its reports may have come.
async fn reported_meanwhile(shared: &Shared, v: Verification) -> Verification {
    let is_waiting = v.attempts.iter().any(|a| a.status == AttemptStatus::Triggering);
    let found = if is_waiting { shared.engine.get(v.id).await.ok() } else { None };
    found.unwrap_or(v)
}

async fn view(shared: &Shared, v: &Verification) -> Result<VerificationView, ApiError> {
    let now = shared.engine.clock.now().await.map_err(crate::engine::EngineError::Store)?;
    Ok(VerificationView::of(v, &shared.engine.rules, now))
}

async fn page_view(shared: &Shared, page: crate::engine::Page) -> Answered {
    let now = shared.engine.clock.now().await.map_err(crate::engine::EngineError::Store)?;
    let of = |v| VerificationView::of(v, &shared.engine.rules, now);
    Ok(HttpResponse::Ok().json(PageView {
        verifications: page.verifications.iter().map(of).collect(),
        next_cursor: page.next.map(write_cursor),
    }))
}
