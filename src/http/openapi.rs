//! The OpenAPI document, generated from the handlers.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::error::PROBLEM;
use super::{actions, callbacks, direct, erasures, idempotency, learned_routes, legacy, ops, stream, verifications};

#[derive(OpenApi)]
#[openapi(
    info(title = "phlo-2fa", description = "Phone verification through Plivo that decides by itself when to call."),
    paths(
        verifications::create, verifications::read, verifications::list, verifications::search,
        actions::check, actions::check_by_number, actions::attempt, actions::cancel, actions::activity, actions::feedback,
        verifications::timeline, stream::follow, erasures::erase,
        callbacks::message, callbacks::message_by_secret, callbacks::call, callbacks::call_by_secret,
        direct::message, direct::call, direct::answer,
        callbacks::phlo, callbacks::phlo_by_ref, callbacks::phlo_by_secret, callbacks::phlo_by_secret_and_ref,
        learned_routes::list, ops::live, ops::ready, ops::metrics,
    ),
    modifiers(&ApiKeyScheme, &CallbacksAndProblems, &IdempotencyKeys, &ResponseHeaders),
    tags(
        (name = "verifications", description = "Prove that a person has a phone number"),
        (name = "checks", description = "Check the code that the person entered"),
        (name = "callbacks", description = "From Plivo to this service"),
        (name = "operations", description = "For the operator"),
    )
)]
struct ApiDocument;

#[derive(OpenApi)]
#[openapi(
    paths(legacy::verify, legacy::verify_voice, legacy::check),
    modifiers(&CallbacksAndProblems, &ResponseHeaders),
    tags((name = "legacy", description = "The seed demo's routes, only with `LEGACY_ROUTES=true`: without a key, as app \
        `legacy`. They are GETs that send texts and make calls, with numbers and codes in the path. Prefetches and requests from other sites' pages are refused"))
)]
struct LegacyDocument;

/// Describes the API key.
struct ApiKeyScheme;

impl Modify for ApiKeyScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The secret of an app, from `API_KEYS`."))
            .build();
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    }
}

/// Adds `Idempotency-Key` and its problems to every POST of the API.
struct IdempotencyKeys;

impl Modify for IdempotencyKeys {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let posts = openapi.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/v1/"));
        for post in posts.filter_map(|(_, item)| item.post.as_mut()) {
            let key = ParameterBuilder::new()
                .name(idempotency::HEADER)
                .parameter_in(ParameterIn::Header)
                .description(Some(
                    "1 to 255 visible ASCII characters. If the same request is sent again within 24 hours, it has no \
                     second effect and gets the same answer, with `Idempotent-Replayed: true`. Not replayed are 5xx, \
                     429, 409 `call_in_progress` and `idempotency_in_progress`, 400, 401, 408, 413 and 415",
                ))
                .schema(Some(Object::with_type(Type::String)));
            post.parameters.get_or_insert_default().push(key.build().into());
            for (status, description) in [
                ("409", "Refused; `idempotency_in_progress`: the first request with this key is in progress"),
                ("422", "A parameter is wrong; `idempotency_mismatch`: the key was used with another request"),
            ] {
                let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
                let response = ResponseBuilder::new().description(description).content(PROBLEM, problem);
                post.responses.responses.entry(status.to_owned()).or_insert_with(|| response.build().into());
            }
        }
    }
}

/// Adds GET to the callbacks, as Plivo may be told to use it, and gives problems their own media type.
struct CallbacksAndProblems;

impl Modify for CallbacksAndProblems {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            if path.starts_with("/plivo/")
                && let Some(post) = &item.post
            {
                let mut get = post.clone();
                get.operation_id = get.operation_id.map(|id| format!("{id}_by_get"));
                item.get = Some(get);
            }
            let operations = [&mut item.get, &mut item.post].into_iter().flatten();
            for response in operations.flat_map(|operation| operation.responses.responses.values_mut()) {
                let RefOr::T(response) = response else { continue };
                if response.content.get("application/json").is_some_and(is_a_problem)
                    && let Some(problem) = response.content.swap_remove("application/json")
                {
                    response.content.insert(PROBLEM.to_owned(), problem);
                }
            }
        }
    }
}

/// Adds the headers of answers.
struct ResponseHeaders;

impl Modify for ResponseHeaders {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut openapi.paths.paths {
            let operations = [(&mut item.get, false), (&mut item.post, path.starts_with("/v1/"))];
            for (operation, is_post) in operations {
                for (status, response) in operation.iter_mut().flat_map(|o| o.responses.responses.iter_mut()) {
                    let RefOr::T(response) = response else { continue };
                    name_headers(response, status, path == "/v1/verifications", is_post);
                }
            }
        }
    }
}

fn name_headers(response: &mut Response, status: &str, is_creation: bool, may_be_replayed: bool) {
    let mut name = |header: &str, kind: Type, description: &str| {
        let described = HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(description));
        response.headers.insert(header.to_owned(), described.build().into());
    };
    name("X-Request-Id", Type::String, "The client's own id if it can stand in a log, else a new one");
    if matches!(status, "429" | "503") {
        name("Retry-After", Type::Integer, "Seconds to wait before the next request");
    }
    if is_creation && status == "201" {
        name("Location", Type::String, "Where the verification can be read");
    }
    if may_be_replayed && !status.starts_with('5') {
        name(
            "Idempotent-Replayed",
            Type::String,
            "`true` if this is the stored answer to an earlier request with this key",
        );
    }
}

fn is_a_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(content) = content else { return false };
    matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.ends_with("/Problem"))
}

/// The document as JSON, of a service with or without legacy routes. It is built once.
pub fn json(with_legacy: bool) -> Bytes {
    static EVERY_ROUTE: LazyLock<Bytes> = LazyLock::new(|| serialized(&document()));
    static WITHOUT_LEGACY: LazyLock<Bytes> = LazyLock::new(|| serialized(&without_legacy()));
    if with_legacy { EVERY_ROUTE.clone() } else { WITHOUT_LEGACY.clone() }
}

fn serialized(document: &utoipa::openapi::OpenApi) -> Bytes {
    // Its keys are strings, so it always has a JSON form.
    serde_json::to_vec(document).map(Bytes::from).unwrap_or_default()
}

/// The document of every route, the legacy ones included.
pub fn document() -> utoipa::openapi::OpenApi {
    without_legacy().merge_from(LegacyDocument::openapi())
}

/// The document of a service without legacy routes.
fn without_legacy() -> utoipa::openapi::OpenApi {
    ApiDocument::openapi()
}
