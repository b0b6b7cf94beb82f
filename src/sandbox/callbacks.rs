//! Callbacks: the signed requests that Plivo makes to its customer.
//!
//! Signed in both versions and for both kinds of account, as captures show, with a fresh nonce each
//! time. An answer is waited for eight seconds; without a 2xx the callback is repeated 60, 120 and 240
//! seconds later. Source: plivo.com/docs/messaging/concepts/callbacks, support.plivo.com article
//! 360041344652. Redirects are not followed, and no proxy stands between us and the service.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::pace::Pace;
use crate::plivo::signature;

const TIMEOUT: Duration = Duration::from_secs(8);
/// Shorter than servers keep an idle connection, lest a callback is lost on one that is just being closed.
const IDLE: Duration = Duration::from_secs(2);
const GAPS: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(240)];
/// Plivo reads XML of at most 100 KB. Source: plivo.com/docs/voice/concepts/callbacks.
const REPLY_MAX: usize = 100 * 1024;

/// Where to post something, as a request to the API or the canvas says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) method: Method,
}

/// One callback: form parameters, in the body of a POST or the query of a GET.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    pub(super) target: Target,
    pub(super) params: Vec<(String, String)>,
}

/// What the customer answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The client that makes them.
pub(super) struct Callbacks {
    client: Client,
    token: SecretString,
    pace: Pace,
}

impl Callbacks {
    pub(super) fn new(token: SecretString, pace: Pace) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self { client, token, pace })
    }

    /// Tries until it is taken or the schedule ends; `tried` hears when the first try is over.
    pub(super) async fn deliver(&self, callback: &Callback, tried: oneshot::Sender<()>) {
        let first = self.attempt(callback).await;
        let _ = tried.send(());
        let mut taken = first.is_some_and(|reply| reply.is_success());
        for gap in GAPS {
            if taken {
                return;
            }
            self.pace.pass(gap).await;
            taken = self.attempt(callback).await.is_some_and(|reply| reply.is_success());
        }
        if !taken {
            tracing::warn!("a callback was not taken: every try of Plivo's schedule failed");
        }
    }

    /// One try. `None` when nothing was answered.
    pub(super) async fn attempt(&self, callback: &Callback) -> Option<Reply> {
        let Target { url, method } = &callback.target;
        let encoded = serde_urlencoded::to_string(&callback.params).ok()?;
        // A fragment tunes the fetch at Plivo; it is neither sent nor signed.
        let url = url.split('#').next().unwrap_or_default();
        if *method == Method::GET {
            let url = format!("{url}{}{encoded}", if url.contains('?') { '&' } else { '?' });
            send(self.signed(self.client.get(&url), "GET", &url, &[])).await
        } else {
            let request = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded);
            send(self.signed(request, "POST", url, &callback.params)).await
        }
    }

    /// The request of an HTTP Request node, which Plivo does not sign.
    pub(super) async fn unsigned(&self, build: impl FnOnce(&Client) -> RequestBuilder) -> Option<Reply> {
        send(build(&self.client)).await
    }

    fn signed(&self, request: RequestBuilder, method: &str, url: &str, params: &[(String, String)]) -> RequestBuilder {
        let nonce = Uuid::new_v4().simple().to_string();
        let token = self.token.expose_secret();
        let v3 = signature::sign(token, &signature::v3_payload(method, url, params, &nonce));
        let v2 = signature::sign(token, &signature::v2_payload(url, &nonce));
        request
            .header("X-Plivo-Signature-V3", &v3)
            .header("X-Plivo-Signature-Ma-V3", &v3)
            .header("X-Plivo-Signature-V3-Nonce", &nonce)
            .header("X-Plivo-Signature-V2", &v2)
            .header("X-Plivo-Signature-Ma-V2", &v2)
            .header("X-Plivo-Signature-V2-Nonce", &nonce)
    }
}

async fn send(request: RequestBuilder) -> Option<Reply> {
    // The error would name the URL, which may carry a ref.
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "no answer to a callback");
            return None;
        }
    };
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > REPLY_MAX {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Some(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
}
