//! The OpenAPI document of these routes, apart from that of `/v1`: clients generated from that one need none of them.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{checks, verifications};

#[derive(OpenApi)]
#[openapi(
    info(title = "phlo-2fa: Twilio Verify", description = "What Twilio's SDKs send to Twilio Verify, answered by this service."),
    paths(verifications::create, verifications::fetch, verifications::update, checks::check),
    modifiers(&AppScheme),
    tags((name = "twilio", description = "Twilio Verify's API, for its SDKs with another base URL"))
)]
struct TwilioDocument;

/// Describes the credentials.
struct AppScheme;

impl Modify for AppScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let basic = HttpBuilder::new()
            .scheme(HttpAuthScheme::Basic)
            .description(Some("The name of an app and its secret, from `API_KEYS`."))
            .build();
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("app", SecurityScheme::Http(basic));
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    TwilioDocument::openapi()
}

/// Serves the document, which is built once.
pub async fn serve_document() -> HttpResponse {
    // Its keys are strings, so it always has a JSON form.
    static TEXT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&document()).map(Bytes::from).unwrap_or_default());
    HttpResponse::Ok().content_type(ContentType::json()).body(TEXT.clone())
}
