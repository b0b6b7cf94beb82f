//! Twilio's VerificationCheck resource.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::outcome::accepted;
use super::super::parameters::typed_code;
use super::super::state::Shared;
use super::account::TwilioAccount;
use super::error::{TwilioError, TwilioErrorBody};
use super::form::Form;
use super::named::{Named, service};
use super::view::{Owner, TwilioCheck};
use crate::engine::Found;
use crate::verification::{Answer, Event, Refusal};

/// A code, and the verification it is of.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TwilioSubmission {
    /// The digits, as typed. Required.
    #[schema(example = "042917", value_type = String)]
    code: Option<String>,
    /// The number. Either this or `VerificationSid` is required.
    #[schema(example = "+14155550112")]
    to: Option<String>,
    /// The SID.
    verification_sid: Option<String>,
    /// Not supported: a code is not bound to a payment.
    amount: Option<String>,
    /// Not supported.
    payee: Option<String>,
}

/// Checks a code. A wrong one is a normal answer: `pending`, and `valid` is false.
#[utoipa::path(post, path = "/compat/twilio/v2/Services/{service}/VerificationCheck", operation_id = "twilio_check", tag = "twilio",
    params(("service" = String, Path)),
    request_body(content = TwilioSubmission, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TwilioCheck), (status = "4XX", body = TwilioErrorBody), (status = "5XX", body = TwilioErrorBody)),
    security(("app" = [])))]
pub async fn check(
    account: TwilioAccount,
    shared: Data<Shared>,
    path: Path<String>,
    form: Form<TwilioSubmission>,
) -> Result<HttpResponse, TwilioError> {
    let service = service(&path)?;
    let TwilioSubmission { code, to, verification_sid, amount, payee } = form.0;
    for (name, given) in [("Amount", &amount), ("Payee", &payee)] {
        if given.is_some() {
            return Err(TwilioError::unsupported(name));
        }
    }
    let code = code.as_deref().and_then(typed_code);
    let code = code.ok_or_else(|| TwilioError::parameter("Code", "must be 4 to 10 digits"))?;
    let named = match (to, verification_sid) {
        (Some(to), None) => {
            Named::number(&shared, to).ok_or_else(|| TwilioError::parameter("To", "must be a number in E.164"))?
        }
        (None, Some(sid)) => Named::sid(&sid)?,
        (None, None) => return Err(TwilioError::no_target()),
        // They could differ, and then it would be open whose code it is.
        (Some(_), Some(_)) => return Err(TwilioError::parameter("VerificationSid", "must come without To")),
    };
    let applied = shared.engine.apply(named.target(&account.app), vec![Event::CodeSubmitted(code)]).await?;
    let found: Found = match applied.answer {
        // To Twilio a code of another length is a wrong one. It is not counted.
        Answer::Refused(Refusal::CodeLength(_)) => applied.into(),
        _ => accepted(applied)?.into(),
    };
    let owner = Owner { app: &account.app, service, given_number: named.given_number() };
    Ok(HttpResponse::Ok().json(TwilioCheck::of(&found, &owner, shared.clock.now().await?)))
}
