//! Liveness, readiness and metrics, for the operator.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::Data;
use serde_json::json;

use super::state::Shared;
use super::writes::Writes;
use crate::metrics;

/// Tells that the process answers.
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, description = "Alive")))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "alive" }))
}

/// Tells whether requests can be served: the store takes writes and no stop has begun.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Ready"), (status = 503, description = "Not now")))]
pub async fn ready(shared: Data<Shared>) -> HttpResponse {
    let unready = |why: &str| {
        HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, "1"))
            .json(json!({ "status": "unready", "reason": why }))
    };
    if shared.readiness.is_withdrawn() {
        return unready("stopping");
    }
    match shared.writes.check(&*shared.store).await {
        Writes::Taken => HttpResponse::Ok().json(json!({ "status": "ready" })),
        Writes::Refused(why) => unready(&format!("the store refuses writes ({why})")),
        Writes::Unanswered => unready("the store does not answer"),
    }
}

/// The metrics, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text")))]
pub async fn metrics(shared: Data<Shared>) -> HttpResponse {
    if let Some((connections, idle)) = shared.store.pool() {
        shared.metrics.pool(connections, idle);
    }
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(shared.metrics.encode())
}
