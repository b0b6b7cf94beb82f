//! The OpenAPI documents, generated from the handlers: of the API, and of what Plivo sends to this service.
//!
//! Handlers describe their parameters and successful answers. What follows a rule is added here: headers, problems,
//! idempotency keys, and the examples of `examples.json`.

pub mod callback_bodies;
mod callbacks;
mod order;
mod problems;
pub mod words;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use actix_web::web::Bytes;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::error::Problem;
use super::{
    actions, erasures, idempotency, learned_routes, legacy, ops, problem_pages, stream, verifications, webhooks,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "phlo-2fa",
        description = "Phone verification through Plivo that decides by itself when to call.\n\nSend `Authorization: Bearer <secret>`. \
            Every error is a problem (RFC 9457) with a stable `code`; its `type` is a page that explains it.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The service that serves this document")),
    paths(
        verifications::create, actions::check, verifications::read, actions::attempt, actions::cancel, actions::activity,
        verifications::timeline, stream::follow, actions::check_by_number, verifications::list, verifications::search,
        actions::feedback, erasures::erase, webhooks::test, webhooks::failed, webhooks::replay, learned_routes::list, problem_pages::list, problem_pages::explain, ops::live, ops::ready, ops::metrics,
    ),
    components(schemas(Problem)),
    tags(
        (name = "verifications", description = "Prove that a person has a phone number"),
        (name = "checks", description = "Check the code that the person entered"),
        (name = "webhooks", description = "From this service to the back end of an app"),
        (name = "problems", description = "What each error means"),
        (name = "operations", description = "For the operator"),
    )
)]
struct ApiDocument;

#[derive(OpenApi)]
#[openapi(
    info(title = "phlo-2fa", description = ""),
    paths(legacy::verify, legacy::verify_voice, legacy::check),
    tags((name = "legacy", description = "The seed demo's routes, only with `LEGACY_ROUTES=true`: without a key, as app \
        `legacy`. They are GETs that send texts and make calls, with numbers and codes in the path. Prefetches and requests from other sites' pages are refused"))
)]
struct LegacyDocument;

/// Bodies of requests and answers, by operation.
const EXAMPLES: &str = include_str!("examples.json");

/// The document as JSON, of a service with or without legacy routes. It is built once.
pub fn json(with_legacy: bool) -> Bytes {
    static EVERY_ROUTE: LazyLock<Bytes> = LazyLock::new(|| text(&document()));
    static WITHOUT_LEGACY: LazyLock<Bytes> = LazyLock::new(|| text(&without_legacy()));
    if with_legacy { EVERY_ROUTE.clone() } else { WITHOUT_LEGACY.clone() }
}

/// The document of Plivo's callbacks as JSON. It is built once.
pub fn callbacks_json() -> Bytes {
    static CALLBACKS: LazyLock<Bytes> = LazyLock::new(|| text(&callbacks()));
    CALLBACKS.clone()
}

/// A document as text.
///
/// Its keys are strings, so it always has a JSON form.
pub fn text(document: &Value) -> Bytes {
    serde_json::to_vec_pretty(&order::ordered(document, &path_order())).map(Bytes::from).unwrap_or_default()
}

/// The operations of a document with their paths and methods, the creation first.
pub fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    order::operations(document, &path_order())
}

/// The paths in the order of [`ApiDocument`].
fn path_order() -> Vec<String> {
    ApiDocument::openapi().paths.paths.into_keys().collect()
}

/// The document of every route of the API, the legacy ones included.
pub fn document() -> Value {
    complete(ApiDocument::openapi().merge_from(LegacyDocument::openapi()))
}

/// The document of the requests that Plivo and the PHLO send.
pub fn callbacks() -> Value {
    complete(callbacks::document())
}

/// The document of a service without legacy routes.
pub fn without_legacy() -> Value {
    complete(ApiDocument::openapi())
}

fn complete(document: utoipa::openapi::OpenApi) -> Value {
    // Its keys are strings, so it always has a JSON form.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_else(|error| unreachable!("examples.json: {error}"));
    let mut used = BTreeSet::new();
    for (path, item) in entries(document.get_mut("paths")) {
        for (method, operation) in entries(Some(item)) {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            // Operations without a key say so, as linters ask for.
            object(operation).entry("security").or_insert_with(|| json!([]));
            let is_post_of_api = path.starts_with("/v1/") && method == "post";
            if is_post_of_api {
                add_idempotency_key(operation);
            }
            add_examples(operation, &examples[&id]);
            let codes = problems::of(path, method, &id);
            problems::add(object(&mut operation["responses"]), &codes);
            used.extend(codes.iter().map(|code| code.as_str()));
            for (status, response) in entries(operation.get_mut("responses")) {
                add_headers(response, status, id == "create_verification", is_post_of_api);
            }
        }
    }
    let components = object(&mut document["components"]);
    components.insert("examples".into(), problems::examples(&used));
    components.insert("headers".into(), headers());
    let scheme = json!({ "type": "http", "scheme": "bearer", "description": "The secret of an app." });
    let token = json!({ "type": "http", "scheme": "bearer", "description": "The `client_token` of the creation, for a browser." });
    components.insert("securitySchemes".into(), json!({ "api_key": scheme, "client_token": token }));
    document
}

fn add_idempotency_key(operation: &mut Value) {
    let parameter = json!({
        "name": idempotency::HEADER, "in": "header", "required": false,
        "description": "1 to 255 visible ASCII characters. If the same request is sent again within 24 hours, it has no \
            second effect and gets the same answer, with `Idempotent-Replayed: true`. Not replayed are 5xx, 429, 409 \
            `call_in_progress` and `idempotency_in_progress`, 400, 401, 408, 413 and 415.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
    });
    let parameters = object(operation).entry("parameters").or_insert_with(|| json!([]));
    parameters.as_array_mut().into_iter().for_each(|all| all.push(parameter.clone()));
}

fn add_examples(operation: &mut Value, examples: &Value) {
    for (_, content) in entries(operation.pointer_mut("/requestBody/content")) {
        if !examples["request"].is_null() {
            content["example"] = examples["request"].clone();
        }
    }
    for (status, response) in entries(operation.get_mut("responses")) {
        for (media, content) in entries(response.get_mut("content")) {
            let example = &examples[status.as_str()];
            // An answer that comes in several types has an example of each.
            let example = example.get(media).unwrap_or(example);
            if !example.is_null() {
                content["example"] = example.clone();
            }
        }
    }
}

/// The headers of answers, by name.
fn headers() -> Value {
    let header = |kind: &str, text: &str| json!({ "description": text, "schema": { "type": kind } });
    json!({
        "X-Request-Id": header("string", "The client's own id if it can stand in a log, else a new one."),
        "Retry-After": header("integer", "Seconds to wait before the next request."),
        "Location": header("string", "Where the verification can be read."),
        "Idempotent-Replayed": header("string", "`true` if this is the stored answer to an earlier request with this key."),
    })
}

fn add_headers(response: &mut Value, status: &str, is_creation: bool, may_be_replayed: bool) {
    let is_there = |name: &str| match name {
        "Retry-After" => matches!(status, "429" | "503"),
        "Location" => is_creation && status == "201",
        "Idempotent-Replayed" => may_be_replayed && !status.starts_with('5'),
        _ => true,
    };
    let names =
        ["X-Request-Id", "Retry-After", "Location", "Idempotent-Replayed"].into_iter().filter(|name| is_there(name));
    let refs = names.map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })));
    response["headers"] = Value::Object(refs.collect());
}

/// The entries of a JSON object, if there is one.
fn entries(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flat_map(Map::iter_mut)
}

/// A value that is a JSON object, as every operation is.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().unwrap_or_else(|| unreachable!("it is an object"))
}
