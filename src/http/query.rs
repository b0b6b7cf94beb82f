//! Reads query strings under `/v1`: each parameter is known and given once.
//!
//! An ignored parameter would widen a question in silence: `GET /v1/verifications?to=…` would list every number.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::Method;

use super::body::has_a_code;
use super::error::{ApiError, ParameterError};

/// The routes under `/v1` that take query parameters, and their names. A test compares them with the OpenAPI document.
const KNOWN: [(&str, &[&str]); 3] = [
    ("/v1/verifications", &["status", "cursor", "limit"]),
    ("/v1/verifications/{id}/stream", &["client_token"]),
    ("/v1/webhooks/deliveries", &["status", "cursor", "limit"]),
];

/// The longest name that an answer repeats.
const NAME_MAX: usize = 64;
/// The most parameters that one answer names.
const ERRORS_MAX: usize = 16;

/// Refuses query parameters that the route of a request does not take.
///
/// # Errors
/// 422 that names each of them. A name that may be a number or a code is not repeated.
pub fn refuse_unknown(request: &HttpRequest) -> Result<(), ApiError> {
    if request.query_string().is_empty() {
        return Ok(());
    }
    let pattern = request.match_pattern().unwrap_or_default();
    let known = known(request.method(), &pattern);
    let mut unknown: Vec<Cow<'_, str>> = pairs(request.query_string()).map(|(name, _)| name).collect();
    unknown.retain(|name| !known.contains(&name.as_ref()));
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort_unstable();
    unknown.dedup();
    Err(ApiError::parameters(unknown.iter().take(ERRORS_MAX).map(|name| unknown_parameter(name)).collect()))
}

/// A parameter of the query; an empty one counts as absent.
///
/// # Errors
/// 422 when it is given twice.
pub fn parameter(query: &str, name: &str) -> Result<Option<String>, ApiError> {
    let mut given = pairs(query).filter(|(key, _)| key == name);
    match (given.next(), given.next()) {
        (Some(_), Some(_)) => Err(ApiError::parameter(name, "must be given once")),
        (given, _) => Ok(given.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())),
    }
}

fn pairs(query: &str) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(query.as_bytes())
}

/// The parameters of a route. Only GETs take any.
fn known(method: &Method, pattern: &str) -> &'static [&'static str] {
    let route = KNOWN.iter().find(|(route, _)| *method == Method::GET && *route == pattern);
    route.map_or(&[], |(_, names)| names)
}

fn unknown_parameter(name: &str) -> ParameterError {
    let is_shown = name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_graphic()) && !has_a_code(name);
    if is_shown {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        ParameterError { pointer, detail: "is not a query parameter of this request".to_owned() }
    } else {
        let detail = "a query parameter is unknown; its name is not shown because it may be a number or a code";
        ParameterError { pointer: String::new(), detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_known_parameters_are_those_of_the_openapi_document() {
        let document = serde_json::to_value(crate::http::openapi::document()).unwrap();
        let mut compared = 0;
        for (path, methods) in
            document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/"))
        {
            for (method, operation) in methods.as_object().unwrap() {
                let all = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
                let in_query = all.iter().filter(|parameter| parameter["in"] == "query");
                let named: Vec<&str> = in_query.filter_map(|parameter| parameter["name"].as_str()).collect();
                let method: Method = method.to_uppercase().parse().unwrap();
                assert_eq!(known(&method, path), named, "{method} {path}");
                compared += named.len();
            }
        }
        assert_eq!(compared, KNOWN.iter().map(|(_, names)| names.len()).sum::<usize>());
    }

    #[test]
    fn a_name_that_may_be_a_number_or_a_code_is_not_repeated() {
        for name in ["+14155550103", "code042917", "a b", "\u{202a}x", &"x".repeat(65)] {
            let ParameterError { pointer, detail } = unknown_parameter(name);
            assert!(pointer.is_empty() && !detail.contains(name), "{name}: {pointer} {detail}");
        }
        assert_eq!(unknown_parameter("to").pointer, "/to");
        assert_eq!(serde_json::to_value(unknown_parameter("a/b~")).unwrap()["pointer"], Value::from("/a~1b~0"));
    }
}
