//! The routes without credentials, for the page and for tests: handsets, the log, outages.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::handset::Handset;
use super::number;
use super::outage::Outage;
use super::provider::Provider;

const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this, so that no server waits for it for ever; browsers come back by themselves.
const STREAM_MAX: Duration = Duration::from_secs(300);

/// Mounts them at the root.
pub(super) fn configure(provider: &Arc<Provider>, config: &mut web::ServiceConfig) {
    let provider = web::Data::from(Arc::clone(provider));
    config
        .service(web::resource("/handset/{to}").app_data(provider.clone()).route(web::get().to(handset)))
        .service(web::resource("/handset/{to}/stream").app_data(provider.clone()).route(web::get().to(follow)))
        .service(web::resource("/log").app_data(provider.clone()).route(web::get().to(log)))
        .service(web::resource("/outage").app_data(provider).route(web::post().to(outage)));
}

async fn handset(to: web::Path<String>, plivo: web::Data<Provider>) -> HttpResponse {
    uncached().json(plivo.handsets.state(&number(&to)))
}

async fn log(plivo: web::Data<Provider>) -> HttpResponse {
    uncached().json(plivo.log.entries())
}

async fn outage(body: web::Bytes, plivo: web::Data<Provider>) -> HttpResponse {
    let fault = |status: u16, error: &str| {
        let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
        HttpResponse::build(status).json(json!({ "error": error }))
    };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return fault(400, "the body must be JSON, as {\"seconds\":60,\"status\":503,\"what\":\"all\"}");
    };
    match serde_json::from_value::<Outage>(value) {
        Err(error) => fault(422, &error.to_string()),
        Ok(outage) => match outage.check() {
            Err(error) => fault(422, error),
            Ok(()) => {
                plivo.outages.begin(outage, Instant::now());
                HttpResponse::NoContent().finish()
            }
        },
    }
}

/// The handset as it is, and again after every change, as Server-Sent Events.
async fn follow(to: web::Path<String>, plivo: web::Data<Provider>) -> HttpResponse {
    let handset = plivo.handsets.watch(&number(&to));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(events(handset, plivo.closed.subscribe(), Instant::now() + STREAM_MAX))
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
            () = tokio::time::sleep(KEEP_ALIVE) => ": still here\n\n".to_owned(),
        };
        Some((Ok(web::Bytes::from(event)), (handset, closed)))
    })
}

fn uncached() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
