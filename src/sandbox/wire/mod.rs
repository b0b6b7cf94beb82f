//! Plivo's REST API and PHLO runner as the local Plivo speaks them: every URL on one screen.
//!
//! Paths are matched by hand rather than by actix's router, because SDKs differ in the trailing slash
//! and the two services in the case of `account`. Whatever a request sets off runs on its own task: a
//! client that leaves changes nothing. Source: plivo-python, plivo-node, plivo-go, plivo-java.

mod answer;
mod call;
mod list;
mod message;
mod number;
mod phlo;
mod request;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use reqwest::Method;
use serde_json::{Map, json};
use subtle::ConstantTimeEq;

use self::answer::Answer;
use self::request::Request;
use super::log::Entry;
use super::now;
use super::outage::Api;
use super::provider::Provider;

/// The largest body that is read.
const BODY_MAX: usize = 64 * 1024;

/// Mounts the wire under `/v1/`.
pub(super) fn configure(provider: &Arc<Provider>, config: &mut web::ServiceConfig) {
    let provider = web::Data::from(Arc::clone(provider));
    config.service(
        web::resource("/v1/{tail:.*}").app_data(provider).app_data(web::PayloadConfig::new(BODY_MAX)).to(take),
    );
}

/// What paths nobody knows are answered with.
pub(super) async fn not_found() -> HttpResponse {
    Answer::error(404, "not found").respond()
}

async fn take(
    http: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    plivo: web::Data<Provider>,
) -> HttpResponse {
    let plivo = plivo.into_inner();
    let runtime = plivo.runtime.clone();
    let allowed = allowed(&http, &plivo);
    let answer = match Request::read(&http, body) {
        Err(answer) => {
            let answer = if allowed { answer } else { unauthorized() };
            let entry = Entry::new(now(), http.method().as_str(), http.path(), "unreadable", &Map::new());
            plivo.log.answered(plivo.log.take(entry), answer.status);
            answer
        }
        Ok(request) => {
            let entry = Entry::new(now(), request.method.as_str(), http.path(), request.what(), &request.params);
            let id = plivo.log.take(entry);
            let task = async move {
                let answer = if allowed { route(&plivo, &request).await } else { unauthorized() };
                plivo.log.answered(id, answer.status);
                answer
            };
            // A worker stops with its server, and this handler ends when the client leaves.
            runtime.spawn(task).await.unwrap_or_else(|_| Answer::error(500, "internal error"))
        }
    };
    tokio::time::sleep(answer.hangs).await;
    answer.respond()
}

async fn route(plivo: &Arc<Provider>, request: &Request) -> Answer {
    let account = plivo.config.auth_id.as_str();
    match (&request.method, request.segments().as_slice()) {
        // The PHLO runner writes `account`, the API `Account`.
        (&Method::POST, ["account", id, "phlo", phlo]) if *id == account => phlo::run(plivo, phlo, request).await,
        (&Method::GET, ["phlo", phlo]) => phlo::show(plivo, phlo),
        (&Method::GET, ["phlo", phlo, "runs", run]) => phlo::show_run(plivo, phlo, run),
        (&Method::GET, ["Account", id]) if *id == account => show_account(account),
        (&Method::POST, ["Account", id, "Message"]) if *id == account => message::create(plivo, request).await,
        (&Method::GET, ["Account", id, "Message"]) if *id == account => message::list(plivo, request),
        (&Method::GET, ["Account", id, "Message", uuid]) if *id == account => message::show(plivo, uuid),
        (&Method::POST, ["Account", id, "Call"]) if *id == account => call::create(plivo, request),
        (&Method::GET, ["Account", id, "Call"]) if *id == account => call::list(plivo, request),
        (&Method::GET, ["Account", id, "Call", uuid]) if *id == account => call::show(plivo, uuid, request),
        (&Method::DELETE, ["Account", id, "Call" | "Request", uuid]) if *id == account => call::cut(plivo, uuid),
        (&Method::GET, ["Account", id, "Number", number]) if *id == account => number::show(account, number),
        (_, ["account" | "Account", id, ..]) if *id != account => unauthorized(),
        (_, ["account", _, "phlo", _] | ["phlo", _] | ["phlo", _, "runs", _])
        | (_, ["Account", _, "Message" | "Call"] | ["Account", _, "Message" | "Call" | "Request" | "Number", _]) => {
            Answer::error(405, "method not allowed")
        }
        _ => Answer::error(404, "not found"),
    }
}

/// `GET …/Account/{id}/`: a cheap way to see whether credentials are good.
fn show_account(id: &str) -> Answer {
    Answer::new(
        200,
        json!({ "auth_id": id, "name": "Local Plivo", "account_type": "standard", "cash_credits": "100.00000" }),
    )
}

/// The failure a request meets when its API is broken on purpose.
fn outage(plivo: &Provider, api: Api, to: Option<&str>) -> Option<Answer> {
    let status = plivo.outages.refusal(api, to, tokio::time::Instant::now())?;
    Some(Answer::error(status, "the service is unavailable (an outage asked for at /outage)"))
}

fn unauthorized() -> Answer {
    Answer::error(401, "Could not verify your access level for that URL. You have to login with proper credentials")
}

/// Basic auth: user and password are auth id and token.
fn allowed(http: &HttpRequest, plivo: &Provider) -> bool {
    use base64::Engine as _;
    use secrecy::ExposeSecret;

    let given = http.headers().get("authorization").and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.split_once(' ')) else { return false };
    if !given.0.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(given) = base64::engine::general_purpose::STANDARD.decode(given.1.trim()) else { return false };
    let expected = format!("{}:{}", plivo.config.auth_id, plivo.config.auth_token.expose_secret());
    given.ct_eq(expected.as_bytes()).into()
}
