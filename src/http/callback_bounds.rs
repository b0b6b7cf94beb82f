//! How large a callback may be, checked before any cryptography.
//!
//! Its sender has proved nothing yet. To parse, sort and sign a body of 30,000 parameters takes milliseconds. Plivo sends
//! about 30 parameters, and at most four signatures.

use actix_web::HttpRequest;

use super::error::{ApiError, ErrorCode};
use crate::plivo::callback::Params;
use crate::plivo::signature::SignatureHeaders;

/// Parameters of query and body together.
const PARAMETERS_MAX: usize = 128;
/// Bytes of the query.
const QUERY_MAX: usize = 4096;
/// Signatures in one header.
const SIGNATURES_MAX: usize = 8;

/// Checks the query.
///
/// # Errors
/// 413 when it is longer, or has more parameters, than a callback may have.
pub fn check_query(request: &HttpRequest) -> Result<(), ApiError> {
    let query = request.query_string();
    if query.len() > QUERY_MAX {
        let detail = "The query of a callback has at most 4096 bytes. Send its parameters in the body.";
        return Err(ApiError::new(ErrorCode::PayloadTooLarge, detail));
    }
    check_count(in_form(query.as_bytes()))
}

/// Checks a form before it is parsed, together with the query beside it.
///
/// # Errors
/// 413 for too many parameters.
pub fn check_form(request: &HttpRequest, body: &[u8]) -> Result<(), ApiError> {
    check_count(in_form(request.query_string().as_bytes()) + in_form(body))
}

/// Checks a parsed JSON body, together with the query beside it.
///
/// # Errors
/// 413 for too many parameters.
pub fn check_json(request: &HttpRequest, params: &Params) -> Result<(), ApiError> {
    check_count(in_form(request.query_string().as_bytes()) + params.pairs().len())
}

/// Whether no header lists more signatures than there can be live tokens.
pub fn has_few_signatures(headers: &SignatureHeaders<'_>) -> bool {
    let all = [headers.v2, headers.ma_v2, headers.v3, headers.ma_v3];
    all.into_iter().flatten().all(|list| list.split(',').take(SIGNATURES_MAX + 1).count() <= SIGNATURES_MAX)
}

fn check_count(parameters: usize) -> Result<(), ApiError> {
    if parameters <= PARAMETERS_MAX {
        return Ok(());
    }
    let detail = "A callback has at most 128 parameters, in query and body together.";
    Err(ApiError::new(ErrorCode::PayloadTooLarge, detail))
}

/// The most parameters that a form can have, without parsing it.
fn in_form(bytes: &[u8]) -> usize {
    if bytes.is_empty() { 0 } else { 1 + bytes.iter().filter(|byte| **byte == b'&').count() }
}
