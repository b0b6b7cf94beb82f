//! Webhooks: a test event for the app's receiver, and the events that it has not taken.

use std::time::Duration;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;
use tracing::info;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::auth::Caller;
use super::error::{ApiError, ErrorCode, ParameterError};
use super::query;
use super::state::Shared;
use super::verifications::{list_place, page_limit};
use crate::engine::{EngineError, FailedDelivery};
use crate::store::DeadLetter;
use crate::time::Timestamp;
use crate::verification::WebhookId;
use crate::webhook::{DeliveryFailure, WebhookMessage, body};

/// The name of the test event.
const TEST_EVENT: &str = "webhook.test";
/// How long a test waits for its turn among the app's deliveries.
const TURN_MAX: Duration = Duration::from_secs(1);

/// What came of a test event.
#[derive(Serialize, ToSchema)]
pub struct WebhookTestView {
    /// The `webhook-id` of the event.
    #[schema(example = "evt_test_0c4e1d0a5f6b4a7e9d8c7b6a59483726")]
    pub id: String,
    /// `webhook.test`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether the receiver answered with a 2xx.
    pub delivered: bool,
    /// The HTTP status of the answer; null without one.
    pub status: Option<u16>,
    /// How long the request took.
    pub seconds: f64,
    /// Why the event does not count as delivered: `private_address`, `no_connection`, `no_answer`, `redirected` or `refused`.
    pub failure: Option<&'static str>,
    /// The same in a sentence.
    pub detail: Option<&'static str>,
}

/// Sends an event `webhook.test` to the app's receiver, once, and answers with what came back.
#[utoipa::path(post, path = "/v1/webhooks/test", operation_id = "test_webhook", tag = "webhooks",
    responses((status = 200, description = "What came back", body = WebhookTestView)),
    security(("api_key" = [])))]
pub async fn test(caller: Caller, shared: Data<Shared>) -> Result<HttpResponse, ApiError> {
    let (app, webhooks) = (&caller.app, &shared.webhooks);
    if !webhooks.has_url(app) {
        let missing =
            "This app has no webhook URL, so there is no receiver to test. Ask the service's operator to set one.";
        return Err(ApiError::parameters(vec![ParameterError { pointer: String::new(), detail: missing.to_owned() }]));
    }
    let Some(_place) = webhooks.place(app, TURN_MAX).await else {
        shared.metrics.refusal("webhooks");
        return Err(ApiError::rate_limited("webhooks", "concurrent webhooks", TURN_MAX));
    };
    let (id, now) = (format!("evt_test_{}", Uuid::new_v4().simple()), shared.clock.now().await?);
    let data = json!({ "message": "A test of this receiver, sent on request." });
    let message = WebhookMessage { id: &id, timestamp: now.as_millis() / 1000, body: body(TEST_EVENT, now, &data) };
    let receipt = webhooks.post(app, message).await;
    shared.metrics.webhooks.request(TEST_EVENT, &receipt);
    let (failure, seconds) = (receipt.failure, receipt.took.as_secs_f64());
    info!(
        event = "webhook_tested",
        app,
        status = receipt.status,
        failure = failure.map(DeliveryFailure::as_str),
        seconds
    );
    Ok(HttpResponse::Ok().json(WebhookTestView {
        id,
        kind: TEST_EVENT,
        delivered: failure.is_none(),
        status: receipt.status,
        seconds,
        failure: failure.map(DeliveryFailure::as_str),
        detail: failure.map(in_words),
    }))
}

/// An event that the app's receiver has not taken.
#[derive(Serialize, ToSchema)]
pub struct DeliveryView {
    /// The `webhook-id` of the event.
    #[schema(example = "evt_3f5d7c1a9b2e4f60718293a4b5c6d7e8f9_7")]
    pub id: String,
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(example = "verification.verified")]
    pub kind: &'static str,
    /// `failed`; after a replay `pending`, until the receiver has taken it or it has failed again.
    pub status: &'static str,
    /// The id of the verification.
    pub verification: String,
    /// When the event happened, RFC 3339.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// When it was given up, RFC 3339.
    #[schema(format = DateTime)]
    pub failed_at: String,
}

/// A page of events that the app's receiver has not taken, newest first.
#[derive(Serialize, ToSchema)]
pub struct DeliveriesView {
    /// The events. A page may be short, or empty, and still have a next one.
    pub deliveries: Vec<DeliveryView>,
    /// For the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A page of the list of deliveries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents what `failed` reads one by one, so that each fault names its parameter")]
pub struct DeliveriesQuery {
    /// `failed`: only these are kept, for seven days.
    #[param(inline, pattern = "^failed$")]
    status: String,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Lists the events that the app's receiver has not taken for a day, newest first.
#[utoipa::path(get, path = "/v1/webhooks/deliveries", operation_id = "list_failed_webhooks", tag = "webhooks", params(DeliveriesQuery),
    responses((status = 200, description = "A page of events, newest first", body = DeliveriesView)),
    security(("api_key" = [])))]
pub async fn failed(request: HttpRequest, caller: Caller, shared: Data<Shared>) -> Result<HttpResponse, ApiError> {
    let given = |name| query::parameter(request.query_string(), name);
    if given("status")?.as_deref() != Some("failed") {
        return Err(ApiError::parameter("status", "must be failed"));
    }
    let wrong = || ApiError::parameter("cursor", "must be a next_cursor of this list");
    let before = given("cursor")?.map(|text| read_cursor(&text).ok_or_else(wrong)).transpose()?;
    let limit = page_limit(given("limit")?.as_deref())?;
    let _place = list_place(&shared, &caller.app)?;
    let page = shared.engine.failed_deliveries(&caller.app, before, limit).await?;
    Ok(HttpResponse::Ok().json(DeliveriesView {
        deliveries: page.found.iter().map(|delivery| DeliveryView::of(delivery, "failed")).collect(),
        next_cursor: page.next.map(|DeadLetter { at, id }| format!("{}-{id}", at.as_millis())),
    }))
}

/// Sends an event again that the app's receiver has not taken. If this fails too, the event is listed again.
#[utoipa::path(post, path = "/v1/webhooks/deliveries/{id}/replay", operation_id = "replay_webhook", tag = "webhooks",
    params(("id" = String, Path, description = "The id of the event")),
    responses((status = 202, description = "It is being sent", body = DeliveryView)),
    security(("api_key" = [])))]
pub async fn replay(caller: Caller, shared: Data<Shared>, id: Path<String>) -> Result<HttpResponse, ApiError> {
    let unknown = || {
        let detail = "No failed event has this id: it was delivered, or given up more than seven days ago.";
        ApiError::new(ErrorCode::NotFound, detail)
    };
    let id: WebhookId = id.parse().map_err(|_| unknown())?;
    match shared.engine.replay(&caller.app, id).await {
        Ok(replayed) => Ok(HttpResponse::Accepted().json(DeliveryView::of(&replayed, "pending"))),
        Err(EngineError::NotFound) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

impl DeliveryView {
    fn of(delivery: &FailedDelivery, status: &'static str) -> Self {
        let found = &delivery.found;
        Self {
            id: delivery.id.to_string(),
            kind: delivery.event.as_str(),
            status,
            verification: found.verification.id_of(found.session).to_string(),
            timestamp: delivery.at.to_string(),
            failed_at: delivery.failed_at.to_string(),
        }
    }
}

fn read_cursor(text: &str) -> Option<DeadLetter> {
    let (millis, id) = text.split_once('-')?;
    Some(DeadLetter { at: Timestamp::from_millis(millis.parse().ok()?), id: id.parse().ok()? })
}

fn in_words(failure: DeliveryFailure) -> &'static str {
    match failure {
        DeliveryFailure::NoUrl => "The app has no webhook URL.",
        DeliveryFailure::Busy => "Too many requests to the receiver are under way.",
        DeliveryFailure::PrivateAddress => {
            "The URL leads to a private address, which this service does not connect to."
        }
        DeliveryFailure::NoConnection => "No connection could be made: check the host, the port and the certificate.",
        DeliveryFailure::NoAnswer => "The receiver did not answer within 10 s.",
        DeliveryFailure::Redirected => {
            "The receiver answered with a redirect, which is not followed: use its final URL."
        }
        DeliveryFailure::Refused => "The receiver answered with a status other than 2xx.",
    }
}
