//! [`ApiRequest`]: a request as the API reads it, from JSON, a form or the query.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, web};
use reqwest::Method;
use serde_json::{Map, Value};

use super::answer::ApiAnswer;

/// The method, path and parameters of a request.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) params: Map<String, Value>,
}

impl ApiRequest {
    /// # Errors
    /// The 400, 413 or 415 for an unreadable body.
    pub(super) fn read(http: &HttpRequest, body: Result<web::Bytes, actix_web::Error>) -> Result<Self, ApiAnswer> {
        let body = body.map_err(|error| {
            let status = error.as_response_error().status_code().as_u16();
            ApiAnswer::error(status, "the body could not be read")
        })?;
        let content_type = http.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Third parties found that a PHLO reads the query too; the body wins.
        let mut params = form(http.query_string().as_bytes());
        if content_type.starts_with("application/x-www-form-urlencoded") {
            params.extend(form(&body));
        } else if !body.trim_ascii().is_empty() {
            let object: Map<String, Value> = serde_json::from_slice(&body)
                .map_err(|_| ApiAnswer::error(400, "the body must be a JSON object or a form"))?;
            params.extend(object);
        }
        let method = Method::from_bytes(http.method().as_str().as_bytes()).unwrap_or_default();
        Ok(Self { method, path: http.path().to_owned(), params })
    }

    /// The path after `/v1/`; a trailing slash does not count.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect()
    }

    /// The name of the API in the request log.
    pub(super) fn api_name(&self) -> &'static str {
        match self.segments().as_slice() {
            ["account", _, "phlo", _] => "phlo",
            ["phlo", _, "runs", _] => "phlo_run",
            ["phlo", ..] => "phlo_info",
            ["Account", _, "Message", ..] => "message",
            ["Account", _, "Call", ..] => "call",
            ["Account", _, "Request", ..] => "request",
            ["Account", _, "Number", ..] => "number",
            _ => "other",
        }
    }

    /// A parameter as text: JSON clients also send numbers and booleans.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.params.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
        .filter(|text| !text.is_empty())
    }

    /// # Errors
    /// The 400 that names the missing parameter.
    pub(super) fn required(&self, key: &str) -> Result<String, ApiAnswer> {
        self.text(key).ok_or_else(|| ApiAnswer::error(400, &format!("{key} parameter is missing")))
    }
}

fn form(encoded: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(encoded)
        .map(|(key, value)| (key.into_owned(), Value::from(value.into_owned())))
        .collect()
}
