//! The values that requests name: ids, numbers, codes, cursors, preferences.

use actix_web::HttpRequest;

use super::error::ApiError;
use super::state::Shared;
use crate::engine::EngineError;
use crate::phone::PhoneNumber;
use crate::store::Cursor;
use crate::time::Timestamp;
use crate::verification::{Code, VerificationId};

/// Reads an id. Text that is no id gets the same answer as an unknown id.
pub fn verification_id(text: &str) -> Result<VerificationId, ApiError> {
    text.parse().map_err(|_| EngineError::NotFound.into())
}

/// Reads the required parameter `to`.
pub fn number(shared: &Shared, to: Option<String>) -> Result<PhoneNumber, ApiError> {
    let to = to.ok_or_else(|| ApiError::parameter("to", "is required"))?;
    shared.test_numbers.read(&to).map(|(to, _)| to).map_err(|why| ApiError::number("to", why))
}

/// Parses a code as people type it: ASCII digits, with blanks and hyphens between them.
pub fn typed_code(text: &str) -> Option<Code> {
    let is_separator = |c: char| c == ' ' || c == '-';
    let is_bounded = !text.starts_with(is_separator) && !text.ends_with(is_separator);
    if is_bounded { Code::parse(&text.replace(is_separator, "")) } else { None }
}

/// The longest `purpose`, in characters.
const PURPOSE_MAX: usize = 64;

/// Checks what a code is for.
///
/// # Errors
/// What is wrong with it.
pub fn short_purpose(purpose: String) -> Result<String, &'static str> {
    let is_short = purpose.chars().count() <= PURPOSE_MAX;
    is_short.then_some(purpose).ok_or("must be at most 64 characters")
}

/// Reads the parameter `purpose`.
pub fn purpose(purpose: String) -> Result<String, ApiError> {
    short_purpose(purpose).map_err(|wrong| ApiError::parameter("purpose", wrong))
}

/// Whether the client does not want to wait for Plivo.
///
/// Source: RFC 7240: `Prefer` is a list, its names are case-insensitive, and each may have parameters.
pub fn prefers_async(request: &HttpRequest) -> bool {
    let preferences = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    let mut names = preferences.flat_map(|list| list.split(',')).map(|one| one.split(';').next().unwrap_or_default());
    names.any(|name| name.trim().eq_ignore_ascii_case("respond-async"))
}

/// Reads the cursor of a page, written by [`write_cursor`].
pub fn cursor(text: Option<&str>) -> Result<Option<Cursor>, ApiError> {
    let wrong = || ApiError::parameter("cursor", "must be a next_cursor of this list");
    text.map(|text| read_cursor(text).ok_or_else(wrong)).transpose()
}

/// Writes a cursor for a URL. It names a verification by id, which the app knows anyway.
pub fn write_cursor(cursor: Cursor) -> String {
    format!("{}-{}", cursor.created_at.as_millis(), cursor.id)
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let (millis, id) = text.split_once('-')?;
    let id: VerificationId = id.parse().ok()?;
    Some(Cursor { created_at: Timestamp::from_millis(millis.parse().ok()?), id })
}
