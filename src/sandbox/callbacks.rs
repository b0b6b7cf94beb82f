//! Callbacks: the signed requests that Plivo makes to its customer.
//!
//! As captures show, each is signed in both versions, for the account and its main account, with a fresh nonce. Plivo
//! waits eight seconds for an answer; without a 2xx it repeats the callback after 60, 120 and 240 seconds. Source:
//! plivo.com/docs/messaging/concepts/callbacks, support.plivo.com article 360041344652.
//!
//! Redirects are not followed, and no proxy is used between the local Plivo and the service.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::speed::Speed;
use crate::plivo::signature;

const TIMEOUT: Duration = Duration::from_secs(8);
/// Shorter than servers keep an idle connection, so that no callback meets a connection that is being closed.
const IDLE_MAX: Duration = Duration::from_secs(2);
const RETRY_GAPS: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(240)];
/// Plivo reads XML of at most 100 KB. Source: plivo.com/docs/voice/concepts/callbacks.
const REPLY_MAX: usize = 100 * 1024;

/// Where a callback goes, as a request to the API or the canvas names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallbackTarget {
    pub(super) url: String,
    pub(super) method: Method,
}

/// One callback: its parameters form the body of a POST or the query of a GET.
#[derive(Clone, Debug)]
pub(super) struct PlivoCallback {
    pub(super) target: CallbackTarget,
    pub(super) params: Vec<(String, String)>,
}

/// The customer's answer.
#[derive(Debug)]
pub(super) struct CallbackReply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl CallbackReply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The HTTP client for callbacks.
pub(super) struct CallbackClient {
    client: Client,
    token: SecretString,
    speed: Speed,
}

impl CallbackClient {
    pub(super) fn new(token: SecretString, speed: Speed) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
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
            .pool_idle_timeout(IDLE_MAX)
            .build()?;
        Ok(Self { client, token, speed })
    }

    /// Tries until a 2xx comes or the schedule ends, and signals `tried` after the first try.
    ///
    /// By hand rather than with `backon`, because callers wait for the first try only.
    pub(super) async fn deliver(&self, callback: &PlivoCallback, tried: oneshot::Sender<()>) {
        let first = self.try_once(callback).await;
        let _ = tried.send(());
        let mut is_accepted = first.is_some_and(|reply| reply.is_success());
        for gap in RETRY_GAPS {
            if is_accepted {
                return;
            }
            self.speed.sleep(gap).await;
            is_accepted = self.try_once(callback).await.is_some_and(|reply| reply.is_success());
        }
        if !is_accepted {
            tracing::warn!("callback dropped: no try of Plivo's retry schedule was answered with a 2xx");
        }
    }

    /// Makes one request; `None` without an answer.
    pub(super) async fn try_once(&self, callback: &PlivoCallback) -> Option<CallbackReply> {
        let CallbackTarget { url, method } = &callback.target;
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&callback.params).finish();
        // At Plivo a fragment configures the request; it is neither sent nor signed.
        let url = url.split('#').next().unwrap_or_default();
        if *method == Method::GET {
            let url = format!("{url}{}{encoded}", if url.contains('?') { '&' } else { '?' });
            send(self.signed(self.client.get(&url), "GET", &url, &[])).await
        } else {
            let request = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded);
            send(self.signed(request, "POST", url, &callback.params)).await
        }
    }

    /// Makes the request of an HTTP Request node, which Plivo does not sign.
    pub(super) async fn send_unsigned(&self, build: impl FnOnce(&Client) -> RequestBuilder) -> Option<CallbackReply> {
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

async fn send(request: RequestBuilder) -> Option<CallbackReply> {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            // The URL may carry a ref.
            tracing::debug!(error = %error.without_url(), "callback not answered");
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
    Some(CallbackReply { status, body: String::from_utf8_lossy(&body).into_owned() })
}
