//! The control routes, for the demo's page and for tests: handsets, request log and outages, without credentials.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::api::normalize_number;
use super::handset::Handset;
use super::outage::OutageRequest;
use super::provider::Provider;

const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// Ends a stream, so that no server waits for it for ever; browsers reconnect by themselves.
const STREAM_MAX: Duration = Duration::from_secs(300);

/// Mounts the routes at the root.
pub(super) fn configure(provider: &Arc<Provider>, config: &mut web::ServiceConfig) {
    let provider = web::Data::from(Arc::clone(provider));
    config
        .service(web::resource("/handset/{to}").app_data(provider.clone()).route(web::get().to(show_handset)))
        .service(web::resource("/handset/{to}/stream").app_data(provider.clone()).route(web::get().to(stream_handset)))
        .service(web::resource("/log").app_data(provider.clone()).route(web::get().to(show_log)))
        .service(web::resource("/outage").app_data(provider).route(web::post().to(begin_outage)));
}

async fn show_handset(to: web::Path<String>, provider: web::Data<Provider>) -> HttpResponse {
    uncached().json(provider.handsets.state(&normalize_number(&to)))
}

async fn show_log(provider: web::Data<Provider>) -> HttpResponse {
    uncached().json(provider.request_log.entries())
}

async fn begin_outage(body: web::Bytes, provider: web::Data<Provider>) -> HttpResponse {
    let refuse = |status: u16, error: &str| {
        let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
        HttpResponse::build(status).json(json!({ "error": error }))
    };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return refuse(400, "the body must be JSON, for example {\"seconds\":60,\"status\":503,\"what\":\"all\"}");
    };
    match serde_json::from_value::<OutageRequest>(value) {
        Err(error) => refuse(422, &error.to_string()),
        Ok(outage) => match outage.validate() {
            Err(error) => refuse(422, error),
            Ok(()) => {
                let now = Instant::now();
                match outage.rate() {
                    Some((requests, window, duration)) => provider.rate_limit.begin(requests, window, now + duration),
                    None => provider.outages.begin(outage, now),
                }
                HttpResponse::NoContent().finish()
            }
        },
    }
}

/// Sends the handset now and after every change, as Server-Sent Events.
async fn stream_handset(to: web::Path<String>, provider: web::Data<Provider>) -> HttpResponse {
    let handset = provider.handsets.watch(&normalize_number(&to));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(events(handset, provider.streams_closed.subscribe(), Instant::now() + STREAM_MAX))
}

fn events(
    mut handset: watch::Receiver<Handset>,
    closed: watch::Receiver<bool>,
    until: Instant,
) -> impl Stream<Item = Result<web::Bytes, actix_web::Error>> {
    handset.mark_changed();
    stream::unfold((handset, closed), move |(mut handset, mut closed)| async move {
        let event = tokio::select! {
            _ = closed.wait_for(|closed| *closed) => return None,
            () = tokio::time::sleep_until(until) => return None,
            changed = handset.changed() => {
                changed.ok()?;
                let state = handset.borrow_and_update().clone();
                format!("data: {}\n\n", serde_json::to_string(&state).ok()?)
            }
            () = tokio::time::sleep(COMMENT_INTERVAL) => ": still here\n\n".to_owned(),
        };
        Some((Ok(web::Bytes::from(event)), (handset, closed)))
    })
}

fn uncached() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
