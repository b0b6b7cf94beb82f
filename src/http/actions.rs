//! What can be done to an open verification: check a code, ask for an attempt, cancel, report activity.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::body::Json;
use super::error::ApiError;
use super::openapi::words;
use super::outcome::{accepted, triggered, view};
use super::parameters::{self, verification_id};
use super::speaker::Speaker;
use super::state::Shared;
use super::user_message::{UserMessage, Wording};
use super::view::{CheckView, VerificationView};
use crate::engine::{Applied, Found, Target};
use crate::verification::{Activity, Answer, Channel, Code, Event, Feedback};

/// A code that was typed in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The digits, as typed: blanks and hyphens between them are ignored.
    #[schema(example = "042917", value_type = String, pattern = "^[0-9]([ -]*[0-9]){3,9}$")]
    code: Option<String>,
}

/// A code and the number it was sent to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckByNumberBody {
    /// E.164.
    #[schema(example = "+14155550112", value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
    /// The digits, as typed: blanks and hyphens between them are ignored.
    #[schema(example = "042917", value_type = String, pattern = "^[0-9]([ -]*[0-9]){3,9}$")]
    code: Option<String>,
    /// The `purpose` of the creation; needed if the number is being verified for several.
    #[schema(example = "signin", max_length = 64)]
    purpose: Option<String>,
}

/// Another attempt.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptBody {
    /// `sms` or `call` (`voice` is accepted for it).
    #[schema(value_type = words::RequestedChannel, example = "call")]
    channel: Option<String>,
}

/// What the person does at the moment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivityBody {
    /// `typing`, `received` or `not_received`.
    #[schema(value_type = words::ActivityKind, example = "typing")]
    kind: Option<String>,
}

/// What became of a code that is checked elsewhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackBody {
    /// `converted` or `not_converted`.
    #[schema(value_type = words::FeedbackOutcome, example = "converted")]
    outcome: Option<String>,
}

/// Checks a code.
///
/// A wrong code is a normal answer; a final state is a problem.
#[utoipa::path(post, path = "/v1/verifications/{id}/checks", operation_id = "check_code", tag = "checks", params(("id" = String, Path, description = "The id of the verification")),
    request_body = CheckBody,
    responses((status = 200, description = "The result of the check; a wrong code is one too", body = CheckView)),
    security(("api_key" = [])))]
pub async fn check(
    caller: Caller,
    shared: Data<Shared>,
    id: Path<String>,
    body: Json<CheckBody>,
) -> Result<HttpResponse, ApiError> {
    let target = Target::OfApp(&caller.app, verification_id(&id)?);
    let code = typed_code(&shared, target, body.0.code).await?;
    respond_to_check(shared.engine.apply(target, vec![Event::CodeSubmitted(code)]).await?)
}

/// Checks a code against the open verification of a number.
///
/// If several creations are open for the number and purpose, only the id of one of them says whose code it is: 409
/// `ambiguous_check`.
#[utoipa::path(post, path = "/v1/checks", operation_id = "check_code_by_number", tag = "checks", request_body = CheckByNumberBody,
    responses((status = 200, description = "The result of the check; a wrong code is one too", body = CheckView)),
    security(("api_key" = [])))]
pub async fn check_by_number(
    caller: Caller,
    shared: Data<Shared>,
    body: Json<CheckByNumberBody>,
) -> Result<HttpResponse, ApiError> {
    let CheckByNumberBody { to, code, purpose } = body.0;
    let to = parameters::number(&shared, to)?;
    let purpose = purpose.map(parameters::purpose).transpose()?;
    let target = Target::OfNumber(&caller.app, &to, purpose.as_deref());
    let code = typed_code(&shared, target, code).await?;
    let applied = shared.engine.apply(target, vec![Event::CodeSubmitted(code)]).await;
    let of_country = Wording::of_person("", to.country());
    respond_to_check(applied.map_err(|error| ApiError::from(error).worded(of_country))?)
}

/// Sends the code again, or calls now.
///
/// The `client_token` of the creation opens it too, and then the answer shows states only.
#[utoipa::path(post, path = "/v1/verifications/{id}/attempts", operation_id = "request_attempt", tag = "verifications", params(("id" = String, Path, description = "The id of the verification")),
    request_body = AttemptBody,
    responses((status = 201, description = "The code is being sent again", body = VerificationView)),
    security(("api_key" = []), ("client_token" = [])))]
pub async fn attempt(
    speaker: Speaker,
    shared: Data<Shared>,
    id: Path<String>,
    body: Json<AttemptBody>,
) -> Result<HttpResponse, ApiError> {
    let id = verification_id(&id)?;
    let channel = match body.0.channel.as_deref() {
        Some("sms") => Channel::Sms,
        Some("call" | "voice") => Channel::Call,
        _ => return Err(ApiError::parameter("channel", "must be sms or call")),
    };
    let applied = shared.engine.apply(speaker.target(id)?, vec![Event::AttemptRequested(channel)]).await?;
    let found = triggered(&shared, accepted(applied)?, false).await?;
    Ok(HttpResponse::Created().json(speaker.shown(view(&shared, &found).await?)))
}

/// Cancels a verification.
///
/// Others that share its code stay open.
#[utoipa::path(post, path = "/v1/verifications/{id}/cancel", operation_id = "cancel_verification", tag = "verifications", params(("id" = String, Path, description = "The id of the verification")),
    responses((status = 200, description = "The canceled verification", body = VerificationView)),
    security(("api_key" = [])))]
pub async fn cancel(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let target = Target::OfApp(&caller.app, verification_id(&id)?);
    let applied = accepted(shared.engine.apply(target, vec![Event::Cancel]).await?)?;
    Ok(HttpResponse::Ok().json(view(&shared, &applied.into()).await?))
}

/// Reports what the person does.
///
/// No call is made within 10 s of typing, and one is made now if no text came. The `client_token` of the creation opens it too,
/// and then the answer shows states only.
#[utoipa::path(post, path = "/v1/verifications/{id}/activity", operation_id = "report_activity", tag = "verifications", params(("id" = String, Path, description = "The id of the verification")),
    request_body = ActivityBody,
    responses((status = 200, description = "The verification", body = VerificationView)),
    security(("api_key" = []), ("client_token" = [])))]
pub async fn activity(
    speaker: Speaker,
    shared: Data<Shared>,
    id: Path<String>,
    body: Json<ActivityBody>,
) -> Result<HttpResponse, ApiError> {
    let id = verification_id(&id)?;
    let activity = match body.0.kind.as_deref() {
        Some("typing") => Activity::Typing,
        Some("received") => Activity::Received,
        Some("not_received") => Activity::NotReceived,
        _ => return Err(ApiError::parameter("kind", "must be typing, received or not_received")),
    };
    let applied = accepted(shared.engine.apply(speaker.target(id)?, vec![Event::Activity(activity)]).await?)?;
    Ok(HttpResponse::Ok().json(speaker.shown(view(&shared, &applied.into()).await?)))
}

/// Says what became of a code that is checked elsewhere.
///
/// Its route learns from it.
///
/// The first word counts, also after the end. `converted` is worth most when it is sent as it happens. It does not verify.
#[utoipa::path(post, path = "/v1/verifications/{id}/feedback", operation_id = "report_feedback", tag = "verifications", params(("id" = String, Path, description = "The id of the verification")),
    request_body = FeedbackBody,
    responses((status = 200, description = "The verification", body = VerificationView)),
    security(("api_key" = [])))]
pub async fn feedback(
    caller: Caller,
    shared: Data<Shared>,
    id: Path<String>,
    body: Json<FeedbackBody>,
) -> Result<HttpResponse, ApiError> {
    let id = verification_id(&id)?;
    let feedback = match body.0.outcome.as_deref() {
        Some("converted") => Feedback::Converted,
        Some("not_converted") => Feedback::NotConverted,
        _ => return Err(ApiError::parameter("outcome", "must be converted or not_converted")),
    };
    let target = Target::OfApp(&caller.app, id);
    let applied = accepted(shared.engine.apply(target, vec![Event::Feedback(feedback)]).await?)?;
    Ok(HttpResponse::Ok().json(view(&shared, &applied.into()).await?))
}

/// The code that a person typed in.
///
/// # Errors
/// 422 in the language of the verification. It is English if the verification cannot be read: that the code is none is
/// certain all the same.
async fn typed_code(shared: &Shared, target: Target<'_>, code: Option<String>) -> Result<Code, ApiError> {
    let code = code.ok_or_else(|| ApiError::parameter("code", "is required; this check is not counted"))?;
    if let Some(code) = parameters::typed_code(&code) {
        return Ok(code);
    }
    Err(match shared.engine.read(target).await {
        Ok(Found { verification: v, .. }) => {
            ApiError::invalid_code(Some(v.code_length)).worded(Wording::of_verification(&v))
        }
        Err(_) => ApiError::invalid_code(None),
    })
}

fn respond_to_check(applied: Applied) -> Result<HttpResponse, ApiError> {
    let applied = accepted(applied)?;
    let (v, session) = (&applied.verification, applied.session);
    let is_correct = applied.answer == Answer::Correct;
    let left = v.checks_remaining(session);
    Ok(HttpResponse::Ok().json(CheckView {
        id: v.id_of(session).to_string(),
        result: if is_correct { "verified" } else { "incorrect" },
        status: v.status_of(session).as_str(),
        verified_at: v.ended_at().filter(|_| is_correct).map(|at| at.to_string()),
        channel: is_correct.then(|| v.verified_by().as_str()),
        checks_remaining: (!is_correct).then_some(left),
        user_message: (!is_correct).then(|| Wording::of_verification(v).say(UserMessage::of_wrong_code(left))),
    }))
}
