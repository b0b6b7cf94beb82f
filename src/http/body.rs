//! Reads request bodies within a size and a time limit; errors of JSON bodies name the wrong field.

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

use super::error::{ApiError, ErrorCode, ParameterError};
use crate::verification::CODE_LENGTH_RANGE;

/// The largest body that is read.
const BODY_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum concurrent slow bodies from unauthenticated clients. Each holds about 150 KiB, here and in the HTTP library.
/// Plivo's callbacks arrive complete and need no permit.
static ANONYMOUS_BODIES: Semaphore = Semaphore::const_new(128);
/// How long an anonymous body without a permit may take: its head and body may arrive in separate packets.
const ANONYMOUS_GRACE: Duration = Duration::from_secs(1);

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// A JSON object, read into `T`.
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
                return Err(ApiError::new(ErrorCode::UnsupportedMediaType, detail));
            }
            parse(&read(payload, announced, BodySource::Authenticated).await?).map(Self)
        })
    }
}

/// A body as it arrived, with its media type.
pub struct RawBody {
    /// In lower case, without parameters.
    pub media: String,
    /// The content.
    pub bytes: Bytes,
}

/// Whether the sender of a body has proved anything before the body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySource {
    /// By an API key, a ref or the callback secret.
    Authenticated,
    /// Not yet.
    Anonymous,
}

impl RawBody {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 415 for a body that is encoded, 413 for one that is too large, 408 for one that takes too long. While too many
    /// slow ones are under way, an anonymous body has one second.
    pub async fn read(request: &HttpRequest, payload: &mut Payload, source: BodySource) -> Result<Self, ApiError> {
        if is_encoded(request) {
            return Err(ApiError::new(ErrorCode::UnsupportedMediaType, "Send the body without Content-Encoding."));
        }
        Ok(Self { media: media_type(request), bytes: read(payload.take(), announced(request), source).await? })
    }
}

fn media_type(request: &HttpRequest) -> String {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Encoded bodies are refused: a compressed one could exceed the limit after it is read.
fn is_encoded(request: &HttpRequest) -> bool {
    request.headers().get(CONTENT_ENCODING).is_some_and(|value| value != "identity")
}

/// The length in `Content-Length`; 0 without one.
fn announced(request: &HttpRequest) -> usize {
    let header = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    header.and_then(|length| length.parse().ok()).unwrap_or(0)
}

async fn read(payload: Payload, announced: usize, source: BodySource) -> Result<Bytes, ApiError> {
    if announced > BODY_MAX {
        return Err(too_large());
    }
    let timed_out = |_| ApiError::new(ErrorCode::RequestTimeout, "The body did not arrive within 10 s. Send it again.");
    tokio::time::timeout(BODY_TIMEOUT, collect(payload, source)).await.map_err(timed_out)?
}

fn too_large() -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, "The body is larger than 64 KiB. Send a smaller one.")
}

async fn collect(mut payload: Payload, source: BodySource) -> Result<Bytes, ApiError> {
    let mut body = actix_web::web::BytesMut::new();
    let permit = if source == BodySource::Anonymous { ANONYMOUS_BODIES.try_acquire().ok() } else { None };
    let grace_end = Instant::now() + ANONYMOUS_GRACE;
    loop {
        // A body that has arrived already is read at once; only a slow one needs a permit.
        let chunk = if source == BodySource::Authenticated || permit.is_some() {
            payload.next().await
        } else {
            timeout_at(grace_end, payload.next()).await.map_err(|_| too_many_slow_bodies())?
        };
        let Some(chunk) = chunk else { return Ok(body.freeze()) };
        let chunk = chunk.map_err(|_| {
            ApiError::new(ErrorCode::MalformedRequest, "The connection broke while the body arrived. Send it again.")
        })?;
        if body.len() + chunk.len() > BODY_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
}

fn too_many_slow_bodies() -> ApiError {
    let detail = "The server is busy with slow requests. Send headers and body together, or try again later.";
    ApiError::new(ErrorCode::RequestTimeout, detail)
}

/// Reads JSON: 400 for what is not JSON, 422 with a pointer for JSON of another shape.
///
/// Serde's messages repeat unexpected values, which may be codes or numbers: only their other words are passed on.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // First as a whole: otherwise a body that breaks off late could be reported as one of another shape.
    let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    // Serde would read an array as the fields of an object, in order.
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
    let message = error.inner().to_string();
    let detail = match message.split_once(", expected ") {
        _ if !is_whole => "does not fit, at a key that is not shown because it looks like a code".to_owned(),
        _ if message.starts_with("unknown field") => "is not a parameter of this request".to_owned(),
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
    ApiError::new(
        ErrorCode::MalformedRequest,
        format!("The body is not JSON, at line {line} column {column}. Correct it and send it again."),
    )
}

/// The JSON pointer of a path, and whether it is complete: it ends before a key that may be a number or a code.
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

/// Whether it has as many digits in a row as the shortest code.
pub fn has_a_code(key: &str) -> bool {
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
            assert_eq!(error.code(), ErrorCode::InvalidParameter);
            assert!(!format!("{error:?}").contains("917263"), "{error:?}");
        }
        let error = parse::<Body>(br#"{"code":"1","917263":1}"#).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidParameter);
        assert!(!format!("{error:?}").contains("917263"), "{error:?}");
    }

    #[test]
    fn a_body_that_is_not_json_is_malformed() {
        for body in ["", "{", "nope", "{\"code\":\"1\"} x", "{\"none\":1", "{\"code\":\"\\ud800\"}", "\u{feff}{}"] {
            assert_eq!(parse::<Body>(body.as_bytes()).unwrap_err().code(), ErrorCode::MalformedRequest, "{body:?}");
        }
    }
}
