//! Bodies: bounded in size and time, JSON where JSON is due, and a problem that says which part is wrong.

use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::error::{ApiError, Kind, ParameterError};
use crate::verification::CODE_LENGTH_RANGE;

/// The largest body that is read.
const BODY_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bodies are waited for at once whose senders have proved nothing. What Plivo sends arrives whole; each that
/// does not, holds some 150 KiB, here and in the HTTP library, for as long as it is waited for.
static STRANGERS: Semaphore = Semaphore::const_new(128);
/// How long the others have: head and body may come apart.
const GRACE: Duration = Duration::from_secs(1);

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (media, payload) = (media_type(request), payload.take());
        let (encoded, announced) = (is_encoded(request), announced(request));
        Box::pin(async move {
            if encoded || !(media == "application/json" || media.ends_with("+json")) {
                let detail = "Send 'Content-Type: application/json', without Content-Encoding.";
                return Err(ApiError::new(Kind::UnsupportedMediaType, detail));
            }
            parse(&read(payload, announced, Sender::Known).await?).map(Self)
        })
    }
}

/// A body as it comes, with its media type.
pub struct Raw {
    /// Without parameters, lower case.
    pub media: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// Whose body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Somebody who has proved something.
    Known,
    /// Anybody.
    Stranger,
}

impl Raw {
    /// Reads it.
    ///
    /// # Errors
    /// 415 for one that is encoded, 413 for one that is too large, 408 for one that takes too long, and for one of a
    /// stranger's that is not there yet while too many others are waited for.
    pub async fn read(request: &HttpRequest, payload: &mut Payload, sender: Sender) -> Result<Self, ApiError> {
        if is_encoded(request) {
            return Err(ApiError::new(Kind::UnsupportedMediaType, "Send the body without Content-Encoding."));
        }
        Ok(Self { media: media_type(request), bytes: read(payload.take(), announced(request), sender).await? })
    }
}

fn media_type(request: &HttpRequest) -> String {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A compressed body could be larger than it looks.
fn is_encoded(request: &HttpRequest) -> bool {
    request.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity")
}

/// How long the body says it is.
fn announced(request: &HttpRequest) -> usize {
    let header = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    header.and_then(|length| length.parse().ok()).unwrap_or(0)
}

async fn read(payload: Payload, announced: usize, sender: Sender) -> Result<Bytes, ApiError> {
    if announced > BODY_MAX {
        return Err(too_large());
    }
    let late = |_| ApiError::new(Kind::RequestTimeout, "The body did not arrive in 10 s.");
    tokio::time::timeout(BODY_TIMEOUT, collect(payload, sender)).await.map_err(late)?
}

fn too_large() -> ApiError {
    ApiError::new(Kind::PayloadTooLarge, "Bodies are 64 KiB at most.")
}

async fn collect(mut payload: Payload, sender: Sender) -> Result<Bytes, ApiError> {
    let mut body = actix_web::web::BytesMut::new();
    let place = if sender == Sender::Stranger { STRANGERS.try_acquire().ok() } else { None };
    let grace = Instant::now() + GRACE;
    loop {
        // What has arrived comes at once; only whoever lets us wait for longer needs a place.
        let chunk = if sender == Sender::Known || place.is_some() {
            payload.next().await
        } else {
            timeout_at(grace, payload.next()).await.map_err(|_| crowded())?
        };
        let Some(chunk) = chunk else { return Ok(body.freeze()) };
        let chunk = chunk.map_err(|_| ApiError::new(Kind::MalformedRequest, "The body broke off."))?;
        if body.len() + chunk.len() > BODY_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
}

fn crowded() -> ApiError {
    let detail = "The body did not come with its head, and too many others are waited for.";
    ApiError::new(Kind::RequestTimeout, detail)
}

/// What is no JSON is 400; JSON that does not fit is 422 and says where. Serde's messages repeat values it did
/// not expect, which may be codes or numbers: only its first words are passed on.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // All of it before any of it: a body that breaks off later is no JSON, whatever stands at its start.
    let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    // Serde would take an array for an object, value by value.
    if !value.is_object() {
        let detail = "must be an object".to_owned();
        return Err(ApiError::parameters(vec![ParameterError { pointer: String::new(), detail }]));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if !error.inner().is_data() {
        return Err(malformed(error.inner()));
    }
    let (pointer, is_whole) = pointer(error.path());
    let said = error.inner().to_string();
    let detail = match said.split_once(", expected ") {
        _ if !is_whole => "does not fit, at a key that is not repeated here".to_owned(),
        _ if said.starts_with("unknown field") => "is not a parameter of this request".to_owned(),
        Some((_, expected)) => match expected.split(" at line").next().unwrap_or_default() {
            "u8" | "u16" | "u32" | "u64" => "must be a whole number".to_owned(),
            expected => format!("must be {expected}"),
        },
        None => "does not fit".to_owned(),
    };
    Err(ApiError::parameters(vec![ParameterError { pointer, detail }]))
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    ApiError::new(Kind::MalformedRequest, format!("Not JSON, at line {line} column {column}."))
}

/// Where it is, up to a key that may be a number or a code put in the wrong place, and whether that is all of it.
fn pointer(path: &serde_path_to_error::Path) -> (String, bool) {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } if has_a_code(key) => return (pointer, false),
            Segment::Seq { index } => pointer += &format!("/{index}"),
            Segment::Map { key } => pointer += &format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer += &format!("/{variant}"),
            Segment::Unknown => pointer.push('/'),
        }
    }
    (pointer, true)
}

/// Whether it has as many digits in a row as a code.
fn has_a_code(key: &str) -> bool {
    key.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= usize::from(*CODE_LENGTH_RANGE.start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Body {
        code: String,
        length: Option<u8>,
    }

    #[test]
    fn a_wrong_type_is_named_without_its_value() {
        for body in [r#"{"code":917263}"#, r#"{"code":"1","length":"917263"}"#, r#"{"code":"1","length":917263}"#] {
            let error = parse::<Body>(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidParameter);
            assert!(!format!("{error:?}").contains("917263"), "{error:?}");
        }
        let error = parse::<Body>(br#"{"code":"1","917263":1}"#).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidParameter);
        assert!(!format!("{error:?}").contains("917263"), "{error:?}");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "nope", "{\"code\":\"1\"} x", "{\"none\":1", "{\"code\":\"\\ud800\"}", "\u{feff}{}"] {
            assert_eq!(parse::<Body>(body.as_bytes()).unwrap_err().kind(), Kind::MalformedRequest, "{body:?}");
        }
    }
}
