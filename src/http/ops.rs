//! Liveness, readiness and metrics, for the operator.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::Shared;
use super::writes::Writes;
use crate::metrics;

/// Whether the service lives, or can serve.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `alive`, `ready` or `unready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Health {
    fn is(status: &'static str) -> Self {
        Self { status, reason: None }
    }
}

/// Tells that the process answers.
#[utoipa::path(get, path = "/livez", operation_id = "read_liveness", tag = "operations", responses((status = 200, description = "Alive", body = Health)))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Health::is("alive"))
}

/// Tells whether requests can be served.
///
/// The store takes writes and no stop has begun.
#[utoipa::path(get, path = "/readyz", operation_id = "read_readiness", tag = "operations",
    responses((status = 200, description = "Ready", body = Health), (status = 503, description = "Not now", body = Health)))]
pub async fn ready(shared: Data<Shared>) -> HttpResponse {
    let unready = |why: &str| {
        HttpResponse::ServiceUnavailable()
            .insert_header((RETRY_AFTER, "1"))
            .json(Health { status: "unready", reason: Some(why.to_owned()) })
    };
    if shared.readiness.is_withdrawn() {
        return unready("stopping");
    }
    match shared.writes.check(&*shared.store).await {
        Writes::Taken => HttpResponse::Ok().json(Health::is("ready")),
        Writes::Refused(why) => unready(&format!("the store refuses writes ({why})")),
        Writes::Unanswered => unready("the store does not answer"),
    }
}

/// The metrics, for Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "read_metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text", body = String)))]
pub async fn metrics(shared: Data<Shared>) -> HttpResponse {
    if let Some((connections, idle)) = shared.store.pool() {
        shared.metrics.pool(connections, idle);
    }
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(shared.metrics.encode())
}
