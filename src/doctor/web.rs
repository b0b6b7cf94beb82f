//! The client that requests `PUBLIC_URL` as Plivo would, and descriptions of failed connections.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::config::is_loopback;
use crate::plivo::body;
use reqwest::{Certificate, Client, RequestBuilder};
use serde_json::Value;

/// Plivo expects an answer within 15 s (plivo.com/docs/voice/concepts/callbacks).
const TIMEOUT: Duration = Duration::from_secs(15);

/// The HTTP client for the service.
pub(super) struct WebClient {
    pub(super) http: Client,
    /// Without a proxy, for addresses of this machine.
    pub(super) local: Client,
}

/// The service's answer.
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    /// Null if it is not JSON.
    pub(super) body: Value,
}

/// Why there is no answer, and what to do about it.
pub(super) struct ConnectionFault {
    pub(super) problem: String,
    pub(super) remedy: &'static str,
}

impl WebClient {
    /// Creates a client that trusts the bundled roots and follows no redirect, as Plivo is not known to.
    pub(super) fn new(public_url: &str) -> reqwest::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der));
        let roots = roots.collect::<reqwest::Result<Vec<_>>>()?;
        let builder = || {
            Client::builder()
                .tls_certs_only(roots.clone())
                .redirect(reqwest::redirect::Policy::none())
                .timeout(TIMEOUT)
                .user_agent(concat!("phlo-2fa-doctor/", env!("CARGO_PKG_VERSION")))
        };
        let local = builder().no_proxy().build()?;
        let http = if is_loopback(public_url) { local.clone() } else { builder().build()? };
        Ok(Self { http, local })
    }

    pub(super) async fn get(&self, url: &str) -> Result<HttpAnswer, ConnectionFault> {
        fetch(self.http.get(url)).await
    }
}

pub(super) async fn fetch(request: RequestBuilder) -> Result<HttpAnswer, ConnectionFault> {
    let response = request.send().await.map_err(|error| connection_fault(&error))?;
    let status = response.status().as_u16();
    let body = body::read(response).await.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(HttpAnswer { status, body: body.unwrap_or(Value::Null) })
}

/// Describes a failure without the URL, which may contain a secret.
pub(super) fn connection_fault(error: &reqwest::Error) -> ConnectionFault {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(this) = cause {
        if let Some(found) = known(this) {
            return found;
        }
        cause = this.source();
    }
    let (problem, remedy) = if error.is_timeout() {
        ("no answer in time", "a firewall may drop the packets, or the host is down")
    } else if error.is_connect() {
        ("no connection", "check the network: address, port, firewall, HTTPS_PROXY")
    } else {
        ("the connection was closed before an answer", "check for a proxy in between, or a server of another protocol")
    };
    ConnectionFault { problem: problem.to_owned(), remedy }
}

fn known(cause: &(dyn Error + 'static)) -> Option<ConnectionFault> {
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        // An IO error's inner error is not its source. TLS errors are wrapped in this way, twice.
        if let Some(inner) = io.get_ref() {
            return known(inner);
        }
        let refused = "no process listens there: start it, or correct address and port";
        return (io.kind() == io::ErrorKind::ConnectionRefused)
            .then(|| ConnectionFault { problem: "connection refused".to_owned(), remedy: refused });
    }
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(bad_tls(tls));
    }
    let said = cause.to_string();
    if said.starts_with("dns error") {
        let remedy = "correct the name, or check this machine's DNS";
        return Some(ConnectionFault { problem: "its name does not resolve".to_owned(), remedy });
    }
    said.starts_with("tunnel error").then(|| ConnectionFault {
        problem: "the proxy in HTTPS_PROXY refuses to connect to it".to_owned(),
        remedy: "allow the host at the proxy, or add it to NO_PROXY",
    })
}

fn bad_tls(error: &rustls::Error) -> ConnectionFault {
    let remedy = match error {
        rustls::Error::InvalidCertificate(_) => {
            "install a certificate for that name from a public authority, with its whole chain; or correct this machine's clock"
        }
        _ => "check that the port uses TLS, 1.2 or newer",
    };
    ConnectionFault { problem: format!("TLS fails ({error})"), remedy }
}

/// A foreign text for display: one short line, without long runs of digits, which may be numbers or codes.
pub(super) fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    let mut shown = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_ascii_digit() {
            run.push(c);
            continue;
        }
        shown += if run.len() > 4 { "…" } else { &run };
        run.clear();
        shown.push(c);
    }
    shown.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_are_shown_without_numbers() {
        assert_eq!(plain("Two-Factor\n2FA, 1234"), "Two-Factor 2FA, 1234");
        assert_eq!(plain("to +14155550112: code 042917"), "to +…: code …");
        assert!(plain(&"a".repeat(1000)).len() <= 160);
    }
}
