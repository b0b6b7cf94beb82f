//! Twilio's Verification resource: create, fetch, update.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::create::CreateBody;
use super::super::error::{ApiError, ErrorCode};
use super::super::outcome::{accepted, triggered};
use super::super::state::Shared;
use super::PURPOSE;
use super::account::TwilioAccount;
use super::error::{TwilioError, TwilioErrorBody};
use super::form::Form;
use super::named::{Named, service};
use super::view::{Owner, TwilioVerification};
use crate::engine::Creation;
use crate::verification::{Answer, Event, Mode, Refusal};

/// A creation. Twilio's other parameters are ignored.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TwilioCreation {
    /// E.164. Required.
    #[schema(example = "+14155550112", value_type = String)]
    to: Option<String>,
    /// `sms` (never calls), `call`, or `auto` (a text, then a call if the text fails). Required.
    #[schema(example = "sms", value_type = String)]
    channel: Option<String>,
    /// The language, as BCP 47; without one the main language of the number's country.
    locale: Option<String>,
    /// The customer's own code, 4 to 10 digits.
    custom_code: Option<String>,
    /// Android's SMS Retriever hash.
    app_hash: Option<String>,
    /// The person's IP address.
    device_ip: Option<String>,
    /// Not supported: a code is not bound to a payment.
    amount: Option<String>,
    /// Not supported.
    payee: Option<String>,
    /// Not supported: a call dials no extension.
    send_digits: Option<String>,
}

/// A change.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TwilioChange {
    /// `canceled`. Required.
    #[schema(example = "canceled", value_type = String)]
    status: Option<String>,
}

/// Creates a verification, or sends the code of the number's pending one again.
///
/// In the cooldown of the channel nothing is sent, and the answer is the same.
#[utoipa::path(post, path = "/compat/twilio/v2/Services/{service}/Verifications", operation_id = "twilio_create", tag = "twilio",
    params(("service" = String, Path, description = "Any name; it is the app's one service")),
    request_body(content = TwilioCreation, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = TwilioVerification), (status = "4XX", body = TwilioErrorBody), (status = "5XX", body = TwilioErrorBody)),
    security(("app" = [])))]
pub async fn create(
    account: TwilioAccount,
    shared: Data<Shared>,
    path: Path<String>,
    form: Form<TwilioCreation>,
) -> Result<HttpResponse, TwilioError> {
    let (service, form) = (service(&path)?, form.0);
    let given = form.to.clone();
    let creation = form.checked(&account.app, &shared)?;
    let applied = accepted(shared.engine.create(creation).await?.applied)?;
    let found = triggered(&shared, applied, false).await?;
    let owner = Owner { app: &account.app, service, given_number: given.as_deref() };
    let view = TwilioVerification::of(&found, &owner, &shared, shared.clock.now().await?);
    Ok(HttpResponse::Created().json(view))
}

/// Reads a verification, by SID or by number. An ended one is kept until `RETENTION`.
#[utoipa::path(get, path = "/compat/twilio/v2/Services/{service}/Verifications/{sid}", operation_id = "twilio_fetch", tag = "twilio",
    params(("service" = String, Path), ("sid" = String, Path, description = "The SID, or the number with its `+`")),
    responses((status = 200, body = TwilioVerification), (status = "4XX", body = TwilioErrorBody), (status = "5XX", body = TwilioErrorBody)),
    security(("app" = [])))]
pub async fn fetch(
    account: TwilioAccount,
    shared: Data<Shared>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, TwilioError> {
    let (service, named) = (service(&path.0)?, Named::in_path(&shared, &path.1)?);
    let found = shared.engine.read(named.target(&account.app)).await?;
    let owner = Owner { app: &account.app, service, given_number: named.given_number() };
    Ok(HttpResponse::Ok().json(TwilioVerification::of(&found, &owner, &shared, shared.clock.now().await?)))
}

/// Cancels a verification, by SID or by number.
#[utoipa::path(post, path = "/compat/twilio/v2/Services/{service}/Verifications/{sid}", operation_id = "twilio_update", tag = "twilio",
    params(("service" = String, Path), ("sid" = String, Path, description = "The SID, or the number with its `+`")),
    request_body(content = TwilioChange, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TwilioVerification), (status = "4XX", body = TwilioErrorBody), (status = "5XX", body = TwilioErrorBody)),
    security(("app" = [])))]
pub async fn update(
    account: TwilioAccount,
    shared: Data<Shared>,
    path: Path<(String, String)>,
    form: Form<TwilioChange>,
) -> Result<HttpResponse, TwilioError> {
    let (service, named) = (service(&path.0)?, Named::in_path(&shared, &path.1)?);
    match form.0.status.as_deref() {
        Some("canceled") => {}
        Some("approved") => return Err(TwilioError::parameter("Status", "only a check of the right code approves")),
        _ => return Err(TwilioError::parameter("Status", "must be canceled")),
    }
    let applied = shared.engine.apply(named.target(&account.app), vec![Event::Cancel]).await?;
    // Twilio has forgotten what is over, however it ended.
    if matches!(applied.answer, Answer::Refused(Refusal::Final(_) | Refusal::LostInFailover)) {
        return Err(TwilioError::not_found());
    }
    let found = accepted(applied)?.into();
    let owner = Owner { app: &account.app, service, given_number: named.given_number() };
    Ok(HttpResponse::Ok().json(TwilioVerification::of(&found, &owner, &shared, shared.clock.now().await?)))
}

impl TwilioCreation {
    /// Checks every parameter as the API checks its own.
    ///
    /// # Errors
    /// Those of [`CreateBody::checked`]; 403 for what cannot be ignored, and for a text to a fixed line.
    fn checked(self, app: &str, shared: &Shared) -> Result<Creation, TwilioError> {
        let unsupported = [("Amount", &self.amount), ("Payee", &self.payee), ("SendDigits", &self.send_digits)];
        if let Some((name, _)) = unsupported.iter().find(|(_, given)| given.is_some()) {
            return Err(TwilioError::unsupported(name));
        }
        if self.channel.is_none() {
            return Err(TwilioError::parameter("Channel", "is required"));
        }
        let body = json!({
            "to": self.to, "channel": self.channel, "locale": self.locale, "code": self.custom_code,
            "app_hash": self.app_hash, "client_ip": self.device_ip, "purpose": PURPOSE,
        });
        let body: CreateBody = serde_json::from_value(body)
            .map_err(|_| ApiError::new(ErrorCode::MalformedRequest, "The parameters cannot be read."))?;
        let mut creation = body.checked(app.to_owned(), shared)?;
        let is_text = creation.mode == Mode::Sms && !creation.details.is_test;
        if is_text && creation.to.is_fixed_line() {
            return Err(TwilioError::landline());
        }
        creation.is_resend = true;
        Ok(creation)
    }
}
