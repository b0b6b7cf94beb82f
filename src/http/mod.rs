//! Our HTTP API. [`routes`] shows every URL on one screen, for server and tests alike.
//!
//! Requests are authenticated and read here, and numbers outside the allowed countries are refused. Everything else is
//! the engine's: a handler builds an event, has it applied, and turns the result into a view.

mod actions;
mod auth;
mod body;
mod browser;
mod callback_bounds;
mod callback_proof;
mod callbacks;
mod client_ip;
mod connection;
mod connections;
mod create;
mod demo;
mod direct;
mod docs;
mod erasures;
mod error;
mod error_code;
mod explanation;
mod idempotency;
mod learned_routes;
mod legacy;
mod middleware;
pub mod openapi;
mod ops;
mod outcome;
mod page;
mod parameters;
mod places;
mod problem_pages;
mod query;
mod reference;
mod refusals;
mod request_id;
mod speaker;
mod state;
mod stream;
mod timeline;
mod timeline_words;
pub mod twilio;
mod user_message;
mod verifications;
mod view;
mod webhooks;
mod widget;
mod writes;

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig, get, head, post, to};
use actix_web::{Error, FromRequest, Handler, HttpResponse, Resource, Responder};

pub use connections::{Connections, HEAD_MAX, KEEP_ALIVE};
pub use error::{ApiError, ErrorCode, PROBLEM};
pub use idempotency::AnswerQuota;
pub use middleware::observe;
pub use places::{Places, StreamPlaces};
pub use state::{ApiKeys, CallbackSecrets, Readiness, Shared};
pub use view::renderer;
pub use writes::WriteCheck;

/// Every URL. The legacy routes need no key, so they exist only on request.
pub fn routes(app: &mut ServiceConfig, is_demo: bool, with_legacy: bool) {
    use {actions as a, callbacks as c, direct as d, legacy as l, ops as o, twilio as t, verifications as v};
    let at = |path: &str, allow: &'static str| resource(vec![path.to_owned()], allow);
    // Wraps every POST under /v1.
    let once = || from_fn(idempotency::answer_once);
    let open = || from_fn(speaker::from_any_page);
    // Wraps every route of Twilio's API.
    let translated = || from_fn(t::in_twilios_words);
    // The router tries one route after the other. Paths without a parameter need no regular expression, so they come first,
    // and the others follow by how often they are used.
    app.service(at("/v1/verifications", "GET, POST").route(post().to(v::create).wrap(once())).route(get().to(v::list)))
        .service(at("/v1/verifications/search", "POST").route(post().to(v::search).wrap(once())))
        .service(at("/v1/checks", "POST").route(post().to(a::check_by_number).wrap(once())))
        .service(at("/v1/erasures", "POST").route(post().to(erasures::erase).wrap(once())))
        .service(at("/v1/webhooks/test", "POST").route(post().to(webhooks::test).wrap(once())))
        .service(at("/v1/webhooks/deliveries", "GET").route(get().to(webhooks::failed)))
        .service(at("/v1/routes", "GET").route(get().to(learned_routes::list)))
        .service(callback(at("/plivo/message", "GET, POST"), c::message))
        .service(callback(at("/plivo/call", "GET, POST"), c::call))
        .service(callback(at("/plivo/phlo", "GET, POST"), c::phlo))
        // Monitors and load balancers often use HEAD.
        .service(at("/livez", "GET, HEAD").route(get().to(o::live)).route(head().to(o::live)))
        .service(at("/readyz", "GET, HEAD").route(get().to(o::ready)).route(head().to(o::ready)))
        .service(at("/metrics", "GET").route(get().to(o::metrics)))
        .service(at("/docs", "GET").route(get().to(docs::to_page)))
        .service(at("/v1/verifications/{id}/checks", "POST").route(post().to(a::check).wrap(once())))
        .service(callback(at("/plivo/message/{ref}", "GET, POST"), d::message))
        .service(at("/v1/verifications/{id}", "GET").route(get().to(v::read)))
        .service(callback(at("/plivo/phlo/{ref}", "GET, POST"), c::phlo_by_ref))
        .service(callback(at("/plivo/call/{ref}", "GET, POST"), d::call))
        .service(callback(at("/plivo/answer/{ref}", "GET, POST"), d::answer))
        .service(at("/v1/verifications/{id}/attempts", "POST").route(post().to(a::attempt).wrap(once())).wrap(open()))
        .service(at("/v1/verifications/{id}/activity", "POST").route(post().to(a::activity).wrap(once())).wrap(open()))
        .service(at("/v1/verifications/{id}/feedback", "POST").route(post().to(a::feedback).wrap(once())))
        .service(at("/v1/verifications/{id}/stream", "GET").route(get().to(stream::follow)))
        .service(at("/v1/verifications/{id}/cancel", "POST").route(post().to(a::cancel).wrap(once())))
        .service(at("/v1/webhooks/deliveries/{id}/replay", "POST").route(post().to(webhooks::replay).wrap(once())))
        .service(at("/v1/verifications/{id}/timeline", "GET").route(get().to(v::timeline)))
        .service(callback(at("/plivo/{secret}/message", "GET, POST"), c::message_by_secret))
        .service(callback(at("/plivo/{secret}/call", "GET, POST"), c::call_by_secret))
        .service(callback(at("/plivo/{secret}/phlo", "GET, POST"), c::phlo_by_secret))
        .service(callback(at("/plivo/{secret}/phlo/{ref}", "GET, POST"), c::phlo_by_secret_and_ref));
    let document = move || async move { docs::document(with_legacy) };
    let page = move || async move { docs::page(is_demo) };
    app.service(at("/openapi.json", "GET").route(get().to(document)))
        .service(at("/widget.js", "GET, HEAD").route(get().to(widget::script)).route(head().to(widget::script)))
        .service(at("/openapi-callbacks.json", "GET").route(get().to(docs::callbacks)))
        .service(at("/docs/", "GET").route(get().to(page)))
        .service(at("/problems", "GET").route(get().to(problem_pages::list)))
        .service(at("/problems/{code}", "GET").route(get().to(problem_pages::explain)));
    app.service(at("/openapi-twilio.json", "GET").route(get().to(t::serve_document)))
        .service(
            at("/compat/twilio/v2/Services/{service}/Verifications", "POST")
                .route(post().to(t::create))
                .wrap(translated()),
        )
        .service(
            at("/compat/twilio/v2/Services/{service}/VerificationCheck", "POST")
                .route(post().to(t::check))
                .wrap(translated()),
        )
        .service(
            at("/compat/twilio/v2/Services/{service}/Verifications/{sid}", "GET, POST")
                .route(get().to(t::fetch))
                .route(post().to(t::update))
                .wrap(translated()),
        );
    if with_legacy {
        app.service(at("/", "GET, HEAD").route(get().to(l::page)).route(head().to(l::page)));
        app.service(at("/verify/{number}", "GET").route(get().to(l::verify)));
        app.service(at("/verify_voice/{number}", "GET").route(get().to(l::verify_voice)));
        app.service(at("/checkcode/{number}/{code}", "GET").route(get().to(l::check)));
    } else {
        if is_demo {
            app.service(at("/", "GET").route(get().to(demo::to_page)));
        }
    }
    if is_demo {
        app.service(at("/demo", "GET").route(get().to(demo::page)))
            .service(at("/demo/forget", "POST").route(post().to(demo::forget)));
    }
    // Last, because Plivo asks for a URL as it was entered, which is seldom with a slash.
    let slashed = |path: &str| resource(vec![path.to_owned(), format!("{path}/")], "GET, POST");
    app.service(callback(slashed("/plivo/message"), c::message))
        .service(callback(slashed("/plivo/call"), c::call))
        .service(callback(slashed("/plivo/phlo"), c::phlo))
        .service(callback(slashed("/plivo/message/{ref}"), d::message))
        .service(callback(slashed("/plivo/phlo/{ref}"), c::phlo_by_ref))
        .service(callback(slashed("/plivo/call/{ref}"), d::call))
        .service(callback(slashed("/plivo/answer/{ref}"), d::answer))
        .service(callback(slashed("/plivo/{secret}/message"), c::message_by_secret))
        .service(callback(slashed("/plivo/{secret}/call"), c::call_by_secret))
        .service(callback(slashed("/plivo/{secret}/phlo"), c::phlo_by_secret))
        .service(callback(slashed("/plivo/{secret}/phlo/{ref}"), c::phlo_by_secret_and_ref));
    app.default_service(to(not_found));
}

/// A resource of the callbacks: Plivo can be told to use either method.
fn callback<T, F, Args>(resource: Resource<T>, handler: F) -> Resource<T>
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = Error, InitError = ()>,
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource.route(get().to(handler.clone())).route(post().to(handler))
}

/// A resource that refuses other methods with a problem, and whose requests take a limited time.
///
/// Logs and metrics show the first of `paths` for all of them.
fn resource(
    paths: Vec<String>,
    allow: &'static str,
) -> Resource<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()> + use<>,
> {
    let refuse = move || async move {
        let detail = format!("This path allows only {allow}.");
        let mut refused = HttpResponse::from_error(ApiError::new(ErrorCode::MethodNotAllowed, detail));
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        refused
    };
    web::resource(paths).wrap(from_fn(middleware::limit_time)).default_service(to(refuse))
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(ErrorCode::NotFound, "There is nothing at this path. See /docs for every path."))
}
