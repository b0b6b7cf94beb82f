//! Sends callbacks to the service: correctly signed ones, which it must accept, and forged ones, which it must refuse.
//!
//! Each names a message and a status that do not exist, so the service stores nothing and takes no action. The forged ones are
//! marked, so that their refusal is no alarm.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::finding::Reporter;
use super::web::{ConnectionFault, WebClient, fetch};
use crate::config::{Config, is_loopback};
use crate::plivo::{probe, signature};

const NAME: &str = "signature";
const MAIN: &str = "main signature";
const SECRET: &str = "callback secret";

/// Whether the service at `PUBLIC_URL` is ours: it accepts signed callbacks and refuses forged ones.
pub(super) async fn examine(config: &Config, web: &WebClient, is_there: bool, report: &mut Reporter<'_>) -> bool {
    if !is_there {
        report.skip(NAME, "no server answers at PUBLIC_URL");
        report.skip(SECRET, "no server answers at PUBLIC_URL");
        return false;
    }
    let is_ours = examine_signatures(config, web, report).await;
    if is_ours {
        examine_main(config, web, report).await;
    }
    if config.callback_secrets.is_empty() {
        if config.phlo_id.is_none() {
            report.ok(SECRET, "not set, and not needed without a PHLO");
        }
    } else if is_ours && !is_private(config) {
        report.skip(SECRET, "a secret is not sent over http");
    } else if is_ours {
        examine_secrets(config, web, report).await;
    } else {
        report.skip(SECRET, "a secret is not sent to a server that does not verify our signatures");
    }
    is_ours && is_private(config)
}

/// Whether requests to `PUBLIC_URL` are encrypted or stay on this machine.
fn is_private(config: &Config) -> bool {
    config.public_url.starts_with("https:") || is_loopback(&config.public_url)
}

async fn examine_signatures(config: &Config, web: &WebClient, report: &mut Reporter<'_>) -> bool {
    let url = format!("{}/plivo/message", config.public_url);
    let tokens = &config.plivo_auth_tokens;
    for (token, nth) in tokens.iter().zip(1..) {
        let which = if tokens.len() == 1 { String::new() } else { format!(" with token {nth} of {}", tokens.len()) };
        match status_of(signed(web, &url, token, "X-Plivo-Signature-V3")).await {
            Ok(200) => {}
            Ok(401) => {
                let remedy = "give the service these settings' PLIVO_AUTH_TOKEN and PUBLIC_URL, and check that the proxy \
                           keeps the path: Plivo signs the URL that it was given";
                report.wrong(NAME, format!("a signed callback to PUBLIC_URL{which} is refused (401)"), remedy);
                return false;
            }
            other => {
                unexpected(NAME, &format!("a signed callback to PUBLIC_URL{which}"), other, report);
                return false;
            }
        }
    }
    let forged = signed(web, &url, &random(), "X-Plivo-Signature-V3");
    match status_of(marked(config, forged)).await {
        Ok(401) => {
            report.ok(NAME, "PUBLIC_URL accepts a callback with our signature and refuses one with another");
            true
        }
        Ok(200) => {
            let remedy = "check which server answers at PUBLIC_URL: it is not this service, or a proxy answers instead";
            report.wrong(NAME, "a callback with a forged signature is accepted", remedy);
            false
        }
        other => {
            unexpected(NAME, "a callback with a forged signature", other, report);
            false
        }
    }
}

/// A subaccount's callbacks are signed by its main account too. Captures of other projects show callbacks where only that
/// signature is valid.
async fn examine_main(config: &Config, web: &WebClient, report: &mut Reporter<'_>) {
    let url = format!("{}/plivo/message", config.public_url);
    if config.plivo_main_auth_tokens.is_empty() {
        if config.plivo_auth_id.starts_with("SA") {
            let detail = "PLIVO_AUTH_ID is a subaccount's: callbacks that only the main account signs are refused";
            report.warn(MAIN, detail, "set PLIVO_MAIN_AUTH_TOKEN to the main account's token");
        }
        return;
    }
    for token in &config.plivo_main_auth_tokens {
        match status_of(signed(web, &url, token, "X-Plivo-Signature-Ma-V3")).await {
            Ok(200) => {}
            Ok(401) => {
                let remedy = "give the running service the same PLIVO_MAIN_AUTH_TOKEN";
                return report.wrong(MAIN, "a callback signed by the main account is refused (401)", remedy);
            }
            other => return unexpected(MAIN, "a callback signed by the main account", other, report),
        }
    }
    report.ok(MAIN, "a callback signed by the main account is accepted");
}

async fn examine_secrets(config: &Config, web: &WebClient, report: &mut Reporter<'_>) {
    let url = |secret: &SecretString| format!("{}/plivo/{}/message", config.public_url, secret.expose_secret());
    for secret in &config.callback_secrets {
        match status_of(web.http.post(url(secret)).form(&without_effect())).await {
            Ok(200) => {}
            Ok(401) => {
                let remedy = "give the running service the same CALLBACK_SECRET, then restart it or send it SIGHUP";
                return report.wrong(SECRET, "the running service does not know CALLBACK_SECRET (401)", remedy);
            }
            other => return unexpected(SECRET, "a callback with CALLBACK_SECRET in its path", other, report),
        }
    }
    let forged = web.http.post(url(&random())).form(&without_effect());
    match status_of(marked(config, forged)).await {
        Ok(401) => report.ok(SECRET, "in the path it is accepted, another is refused"),
        Ok(200) => {
            let remedy = "check which server answers at PUBLIC_URL: it is not this service alone";
            report.wrong(SECRET, "any secret in the path is accepted", remedy);
        }
        other => unexpected(SECRET, "a callback with another secret", other, report),
    }
}

fn signed(web: &WebClient, url: &str, token: &SecretString, header: &'static str) -> RequestBuilder {
    let (params, nonce) = (without_effect(), Uuid::new_v4().simple().to_string());
    let signature = signature::sign(token.expose_secret(), &signature::v3_payload("POST", url, &params, &nonce));
    web.http.post(url).form(&params).header(header, signature).header("X-Plivo-Signature-V3-Nonce", nonce)
}

/// A forged callback that the service refuses without an alarm in its log.
fn marked(config: &Config, forged: RequestBuilder) -> RequestBuilder {
    let token = config.plivo_auth_tokens.first().map_or("", |token| token.expose_secret());
    forged.header(probe::HEADER, probe::mark(token))
}

/// The parameters of a callback without effect: a message and a status that do not exist.
fn without_effect() -> [(String, String); 2] {
    let uuid = format!("doctor-{}", Uuid::new_v4());
    [("MessageUUID".to_owned(), uuid), ("Status".to_owned(), "doctor".to_owned())]
}

fn random() -> SecretString {
    Uuid::new_v4().simple().to_string().into()
}

async fn status_of(request: RequestBuilder) -> Result<u16, ConnectionFault> {
    fetch(request).await.map(|answer| answer.status)
}

fn unexpected(name: &'static str, request: &str, answer: Result<u16, ConnectionFault>, report: &mut Reporter<'_>) {
    let (problem, remedy) = match answer {
        Err(ConnectionFault { problem, remedy }) => (problem, remedy),
        Ok(404) => (
            "HTTP 404".to_owned(),
            "configure the proxy to forward /plivo/… to the service unchanged, without a prefix",
        ),
        Ok(503) => ("HTTP 503".to_owned(), "see the service's log: its store may be unavailable"),
        Ok(status) => (
            format!("HTTP {status}"),
            "let Plivo's POST requests to /plivo/… pass the proxy, its firewall rules and its login",
        ),
    };
    report.wrong(name, format!("{request} gets an unexpected answer: {problem}"), remedy);
}
