//! Callbacks that are sent to ourselves: one as Plivo would sign it, which must be taken, and one that anybody
//! could have sent, which must not.
//!
//! Each names a message that does not exist and a status that none is, so nothing is stored and nothing follows.
//! The service logs those that it refuses.

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::finding::Chart;
use super::web::{Trouble, Web, got};
use crate::config::{Config, is_loopback};
use crate::plivo::signature;

const NAME: &str = "signature";
const MAIN: &str = "main signature";
const SECRET: &str = "callback secret";

/// Whether what answers at `PUBLIC_URL` is our service: it tells a signed callback from a forged one.
pub(super) async fn examine(config: &Config, web: &Web, is_there: bool, chart: &mut Chart<'_>) -> bool {
    if !is_there {
        chart.skip(NAME, "nothing answers at PUBLIC_URL");
        chart.skip(SECRET, "nothing answers at PUBLIC_URL");
        return false;
    }
    let is_ours = examine_signatures(config, web, chart).await;
    if is_ours {
        examine_main(config, web, chart).await;
    }
    if config.callback_secrets.is_empty() {
        if config.phlo_id.is_none() {
            chart.ok(SECRET, "none is set, and none is needed without a PHLO");
        }
    } else if is_ours && !is_private(config) {
        chart.skip(SECRET, "it is not sent over http");
    } else if is_ours {
        examine_secrets(config, web, chart).await;
    } else {
        chart.skip(SECRET, "it is not shown to what does not know our signatures");
    }
    is_ours && is_private(config)
}

/// Whether what is sent to `PUBLIC_URL` is read by nobody on the way.
fn is_private(config: &Config) -> bool {
    config.public_url.starts_with("https:") || is_loopback(&config.public_url)
}

async fn examine_signatures(config: &Config, web: &Web, chart: &mut Chart<'_>) -> bool {
    let url = format!("{}/plivo/message", config.public_url);
    let tokens = &config.plivo_auth_tokens;
    for (token, nth) in tokens.iter().zip(1..) {
        let which = if tokens.len() == 1 { String::new() } else { format!(" with token {nth} of {}", tokens.len()) };
        match answered(signed(web, &url, token, "X-Plivo-Signature-V3")).await {
            Ok(200) => {}
            Ok(401) => {
                let mend = "the running service has another PLIVO_AUTH_TOKEN or PUBLIC_URL than these settings, or the \
                            proxy changes the path: it must arrive as Plivo was given it";
                chart.wrong(NAME, format!("a signed callback to PUBLIC_URL{which} is refused (401)"), mend);
                return false;
            }
            other => {
                unexpected(NAME, &format!("a signed callback to PUBLIC_URL{which}"), other, chart);
                return false;
            }
        }
    }
    match answered(signed(web, &url, &random(), "X-Plivo-Signature-V3")).await {
        Ok(401) => {
            chart.ok(NAME, "a callback with our signature is taken at PUBLIC_URL, one with another is refused");
            true
        }
        Ok(200) => {
            let mend = "find out what answers there: it is not this service, or something takes requests before it";
            chart.wrong(NAME, "a callback with a forged signature is taken as well", mend);
            false
        }
        other => {
            unexpected(NAME, "a callback with a forged signature", other, chart);
            false
        }
    }
}

/// A subaccount's callbacks carry a signature of its main account too, and captures have shown some where only
/// that one holds (`plivo/wire.md` 6).
async fn examine_main(config: &Config, web: &Web, chart: &mut Chart<'_>) {
    let url = format!("{}/plivo/message", config.public_url);
    if config.plivo_main_auth_tokens.is_empty() {
        if config.plivo_auth_id.starts_with("SA") {
            let detail = "PLIVO_AUTH_ID is a subaccount's: callbacks that only its main account signs are refused";
            chart.warn(MAIN, detail, "set PLIVO_MAIN_AUTH_TOKEN to the main account's token");
        }
        return;
    }
    for token in &config.plivo_main_auth_tokens {
        match answered(signed(web, &url, token, "X-Plivo-Signature-Ma-V3")).await {
            Ok(200) => {}
            Ok(401) => {
                let mend = "the running service has another PLIVO_MAIN_AUTH_TOKEN";
                return chart.wrong(MAIN, "a callback signed by the main account is refused (401)", mend);
            }
            other => return unexpected(MAIN, "a callback signed by the main account", other, chart),
        }
    }
    chart.ok(MAIN, "a callback signed by the main account is taken");
}

async fn examine_secrets(config: &Config, web: &Web, chart: &mut Chart<'_>) {
    let url = |secret: &SecretString| format!("{}/plivo/{}/message", config.public_url, secret.expose_secret());
    for secret in &config.callback_secrets {
        match answered(web.http.post(url(secret)).form(&nothing())).await {
            Ok(200) => {}
            Ok(401) => {
                let mend = "give the running service the same CALLBACK_SECRET, and start it again or send it SIGHUP";
                return chart.wrong(SECRET, "the running service does not know CALLBACK_SECRET (401)", mend);
            }
            other => return unexpected(SECRET, "a callback with CALLBACK_SECRET in its path", other, chart),
        }
    }
    match answered(web.http.post(url(&random())).form(&nothing())).await {
        Ok(401) => chart.ok(SECRET, "in the path it is taken, another is refused"),
        Ok(200) => {
            let mend = "find out what answers there: it is not this service alone";
            chart.wrong(SECRET, "any secret in the path is taken", mend);
        }
        other => unexpected(SECRET, "a callback with another secret", other, chart),
    }
}

fn signed(web: &Web, url: &str, token: &SecretString, header: &'static str) -> RequestBuilder {
    let (params, nonce) = (nothing(), Uuid::new_v4().simple().to_string());
    let signature = signature::sign(token.expose_secret(), &signature::v3_payload("POST", url, &params, &nonce));
    web.http.post(url).form(&params).header(header, signature).header("X-Plivo-Signature-V3-Nonce", nonce)
}

/// About nothing: a message that does not exist, in a state that none has.
fn nothing() -> [(String, String); 2] {
    let uuid = format!("doctor-{}", Uuid::new_v4());
    [("MessageUUID".to_owned(), uuid), ("Status".to_owned(), "doctor".to_owned())]
}

fn random() -> SecretString {
    Uuid::new_v4().simple().to_string().into()
}

async fn answered(request: RequestBuilder) -> Result<u16, Trouble> {
    got(request).await.map(|got| got.status)
}

fn unexpected(name: &'static str, what: &str, answer: Result<u16, Trouble>, chart: &mut Chart<'_>) {
    let (said, mend) = match answer {
        Err(Trouble { what, mend }) => (what, mend),
        Ok(404) => {
            ("HTTP 404".to_owned(), "let the proxy lead /plivo/… to the service unchanged, without a prefix of its own")
        }
        Ok(503) => ("HTTP 503".to_owned(), "see the service's log: its store may be away"),
        Ok(status) => (
            format!("HTTP {status}"),
            "let the proxy, its firewall rules and its login let Plivo's POST requests through to /plivo/…",
        ),
    };
    chart.wrong(name, format!("{what} gets no proper answer: {said}"), mend);
}
