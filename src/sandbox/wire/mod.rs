//! The HTTP side of Plivo's REST API and PHLO runner: `route` lists every URL.
//!
//! Paths are matched by hand rather than by actix's router, because SDKs differ in the trailing slash and the two
//! services in the case of `account`. Each request runs as a detached task, so that a client's disconnect does not
//! cancel it. Source: plivo-python, plivo-node, plivo-go, plivo-java.

mod answer;
mod call;
mod list;
mod message;
mod number;
mod phlo;
mod request;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use reqwest::Method;
use serde_json::{Map, json};
use subtle::ConstantTimeEq;

use self::answer::ApiAnswer;
use self::request::ApiRequest;
use super::api::Api;
use super::clock::now;
use super::provider::Provider;
use super::request_log::LogEntry;

const BODY_MAX: usize = 64 * 1024;

/// Mounts the API under `/v1/`.
pub(super) fn configure(provider: &Arc<Provider>, config: &mut web::ServiceConfig) {
    let provider = web::Data::from(Arc::clone(provider));
    config.service(
        web::resource("/v1/{tail:.*}").app_data(provider).app_data(web::PayloadConfig::new(BODY_MAX)).to(handle),
    );
}

/// The answer for unknown paths.
pub(super) async fn not_found() -> HttpResponse {
    ApiAnswer::error(404, "not found").respond()
}

async fn handle(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    provider: web::Data<Provider>,
) -> HttpResponse {
    let provider = provider.into_inner();
    let runtime = provider.runtime.clone();
    let is_authorized = is_authorized(&http, &provider);
    let answer = match ApiRequest::read(&http, body) {
        Err(answer) => {
            let answer = if is_authorized { answer } else { unauthorized() };
            let entry = LogEntry::new(now(), http.method().as_str(), http.path(), "unreadable", &Map::new());
            provider.request_log.record_answer(provider.request_log.add(entry), answer.status);
            answer
        }
        Ok(request) => {
            let entry = LogEntry::new(now(), request.method.as_str(), http.path(), request.api_name(), &request.params);
            let id = provider.request_log.add(entry);
            let task = async move {
                let answer = if is_authorized { route(&provider, &request).await } else { unauthorized() };
                provider.request_log.record_answer(id, answer.status);
                answer
            };
            // A worker stops with its server, and this handler is cancelled when the client disconnects.
            runtime.spawn(task).await.unwrap_or_else(|_| ApiAnswer::error(500, "internal error"))
        }
    };
    tokio::time::sleep(answer.delay).await;
    answer.respond()
}

async fn route(provider: &Arc<Provider>, request: &ApiRequest) -> ApiAnswer {
    if provider.rate_limit.refuses(tokio::time::Instant::now()) {
        return ApiAnswer::error(429, "too many requests (a limit that POST /outage began)");
    }
    let account = provider.config.auth_id.as_str();
    match (&request.method, request.segments().as_slice()) {
        // The PHLO runner's paths have `account`, the API's `Account`.
        (&Method::POST, ["account", id, "phlo", phlo]) if *id == account => phlo::run(provider, phlo, request).await,
        (&Method::GET, ["phlo", phlo]) => phlo::show(provider, phlo),
        (&Method::GET, ["phlo", phlo, "runs", run]) => phlo::show_run(provider, phlo, run),
        (&Method::GET, ["Account", id]) if *id == account => show_account(account),
        (&Method::POST, ["Account", id, "Message"]) if *id == account => message::create(provider, request).await,
        (&Method::GET, ["Account", id, "Message"]) if *id == account => message::list(provider, request),
        (&Method::GET, ["Account", id, "Message", uuid]) if *id == account => message::show(provider, uuid),
        (&Method::POST, ["Account", id, "Call"]) if *id == account => call::create(provider, request),
        (&Method::GET, ["Account", id, "Call"]) if *id == account => call::list(provider, request),
        (&Method::GET, ["Account", id, "Call", uuid]) if *id == account => call::show(provider, uuid, request),
        (&Method::DELETE, ["Account", id, "Call" | "Request", uuid]) if *id == account => call::hang_up(provider, uuid),
        (&Method::GET, ["Account", id, "Number", number]) if *id == account => number::show(account, number),
        (_, ["account" | "Account", id, ..]) if *id != account => unauthorized(),
        (_, ["account", _, "phlo", _] | ["phlo", _] | ["phlo", _, "runs", _])
        | (_, ["Account", _, "Message" | "Call"] | ["Account", _, "Message" | "Call" | "Request" | "Number", _]) => {
            ApiAnswer::error(405, "method not allowed")
        }
        _ => ApiAnswer::error(404, "not found"),
    }
}

/// `GET …/Account/{id}/`: a cheap check of credentials.
fn show_account(id: &str) -> ApiAnswer {
    ApiAnswer::new(
        200,
        json!({ "auth_id": id, "name": "Local Plivo", "account_type": "standard", "cash_credits": "100.00000" }),
    )
}

/// How long a request that an outage swallows is not answered.
const SWALLOWED_FOR: Duration = Duration::from_secs(60);

/// The answer of an API that an outage breaks. Requests to send name a number.
fn outage_answer(provider: &Provider, api: Api, to: Option<&str>) -> Option<ApiAnswer> {
    let now = tokio::time::Instant::now();
    if to.is_some_and(|to| provider.outages.swallows(api, to, now)) {
        return Some(ApiAnswer::error(504, "swallowed (an outage that POST /outage began)").with_delay(SWALLOWED_FOR));
    }
    let status = provider.outages.refusal(api, to, now)?;
    Some(ApiAnswer::error(status, "the service is unavailable (an outage that POST /outage began)"))
}

fn unauthorized() -> ApiAnswer {
    ApiAnswer::error(401, "Could not verify your access level for that URL. You have to login with proper credentials")
}

/// Checks Basic auth: the user is the auth id, the password the token.
fn is_authorized(http: &HttpRequest, provider: &Provider) -> bool {
    use base64::Engine as _;
    use secrecy::ExposeSecret;

    let given = http.headers().get("authorization").and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.split_once(' ')) else { return false };
    if !given.0.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(given) = base64::engine::general_purpose::STANDARD.decode(given.1.trim()) else { return false };
    let expected = format!("{}:{}", provider.config.auth_id, provider.config.auth_token.expose_secret());
    given.ct_eq(expected.as_bytes()).into()
}
