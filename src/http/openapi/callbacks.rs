//! The document of the requests that Plivo and the PHLO send to this service.

use utoipa::OpenApi;

use super::super::error::Problem;
use super::super::{callbacks, direct};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "phlo-2fa: callbacks",
        description = "What Plivo and the PHLO send to the service. Clients of the service have no use for it.\n\nEach URL is \
            proved by a ref or the callback secret in it, by Plivo's signature, or by both.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "The service that serves this document")),
    paths(
        direct::message, direct::call, direct::answer, callbacks::phlo, callbacks::phlo_by_ref, callbacks::message,
        callbacks::call, callbacks::message_by_secret, callbacks::call_by_secret, callbacks::phlo_by_secret,
        callbacks::phlo_by_secret_and_ref,
    ),
    components(schemas(Problem)),
    tags((name = "callbacks", description = "From Plivo to this service"))
)]
struct CallbackDocument;

/// The document. Plivo can be told to use GET too, with the same fields in the query.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    let mut document = CallbackDocument::openapi();
    for item in document.paths.paths.values_mut() {
        item.get = item.post.clone().map(|mut operation| {
            operation.operation_id = operation.operation_id.map(|id| format!("{id}_by_get"));
            operation.request_body = None;
            operation
        });
    }
    document
}
