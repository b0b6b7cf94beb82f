//! `POST /v1/erasures`: erases a number.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Caller;
use super::body::Json;
use super::error::ApiError;
use super::parameters::{self, write_cursor};
use super::state::Shared;
use crate::engine::Erasures;

/// A number to erase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureBody {
    /// E.164.
    #[schema(example = "+14155550112", value_type = String, pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
    /// `next_cursor` of the erasure before.
    cursor: Option<String>,
}

/// What was erased.
#[derive(Serialize, ToSchema)]
pub struct ErasureView {
    /// How many verifications.
    #[schema(example = 3)]
    erased: usize,
    /// Present when more may be left: send the next request with it as `cursor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Erases the app's verifications of a number, and what else is kept of it.
///
/// Open verifications are canceled first. Two things stay: the times of wrong codes, without the number, for a day; and
/// answers to idempotency keys, sealed and with the number masked, for 24 hours.
#[utoipa::path(post, path = "/v1/erasures", operation_id = "erase_number", tag = "verifications", request_body = ErasureBody,
    responses((status = 200, description = "Erased; `erased` is 0 if there was none", body = ErasureView)),
    security(("api_key" = [])))]
pub async fn erase(caller: Caller, shared: Data<Shared>, body: Json<ErasureBody>) -> Result<HttpResponse, ApiError> {
    let ErasureBody { to, cursor } = body.0;
    let (to, before) = (parameters::number(&shared, to)?, parameters::cursor(cursor.as_deref())?);
    let Erasures { count, next } = shared.engine.erase(&caller.app, &to, before, shared.plivo_wait).await?;
    Ok(HttpResponse::Ok().json(ErasureView { erased: count, next_cursor: next.map(write_cursor) }))
}
