//! The client that asks `PUBLIC_URL`, as Plivo would; and words for why there was no answer.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::config::is_loopback;
use reqwest::{Certificate, Client, RequestBuilder};
use serde_json::Value;

/// Plivo wants an answer within 15 s (plivo.com/docs/voice/concepts/callbacks).
const TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the service.
pub(super) struct Web {
    pub(super) http: Client,
    /// For this machine itself, which is never asked through a proxy.
    pub(super) local: Client,
}

/// What came back.
pub(super) struct Got {
    pub(super) status: u16,
    /// Null where it is no JSON.
    pub(super) body: Value,
}

/// Why nothing did.
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) mend: &'static str,
}

impl Web {
    /// Trusts the roots built in, as a machine of Plivo's would trust its own, and follows no redirect: Plivo is
    /// not known to.
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

    pub(super) async fn get(&self, url: &str) -> Result<Got, Trouble> {
        got(self.http.get(url)).await
    }
}

pub(super) async fn got(request: RequestBuilder) -> Result<Got, Trouble> {
    let response = request.send().await.map_err(|error| trouble(&error))?;
    let status = response.status().as_u16();
    let body = response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(Got { status, body: body.unwrap_or(Value::Null) })
}

/// What failed, without the URL, which may hold a secret.
pub(super) fn trouble(error: &reqwest::Error) -> Trouble {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(this) = cause {
        if let Some(found) = known(this) {
            return found;
        }
        cause = this.source();
    }
    let (what, mend) = if error.is_timeout() {
        ("no answer in time", "a firewall may drop the packets, or the host is down")
    } else if error.is_connect() {
        ("no connection", "see the way there: address, port, firewall, HTTPS_PROXY")
    } else {
        ("the connection broke off before there was an answer", "see what stands between: a proxy, or another protocol")
    };
    Trouble { what: what.to_owned(), mend }
}

fn known(cause: &(dyn Error + 'static)) -> Option<Trouble> {
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        // What an IO error was made of is no source of it; TLS errors are wrapped so, twice.
        if let Some(inner) = io.get_ref() {
            return known(inner);
        }
        let refused = "nothing listens there: start it, or correct the address and port";
        return (io.kind() == io::ErrorKind::ConnectionRefused)
            .then(|| Trouble { what: "connection refused".to_owned(), mend: refused });
    }
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(bad_tls(tls));
    }
    let said = cause.to_string();
    if said.starts_with("dns error") {
        let mend = "correct the name, or see this machine's DNS";
        return Some(Trouble { what: "its name does not resolve".to_owned(), mend });
    }
    said.starts_with("tunnel error").then(|| Trouble {
        what: "the proxy of HTTPS_PROXY refuses to lead there".to_owned(),
        mend: "allow the host at the proxy, or name it in NO_PROXY",
    })
}

fn bad_tls(error: &rustls::Error) -> Trouble {
    let mend = match error {
        rustls::Error::InvalidCertificate(_) => {
            "install a certificate for that name from a public authority, with its whole chain; or set this machine's clock"
        }
        _ => "see that the port speaks TLS, 1.2 or newer",
    };
    Trouble { what: format!("TLS fails ({error})"), mend }
}

/// A foreign text as it may be shown: one line, short, and without long runs of digits, which may be numbers
/// or codes.
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
    fn what_others_say_is_shown_without_numbers() {
        assert_eq!(plain("Two-Factor\n2FA, 1234"), "Two-Factor 2FA, 1234");
        assert_eq!(plain("to +14155550112: code 042917"), "to +…: code …");
        assert!(plain(&"a".repeat(1000)).len() <= 160);
    }
}
