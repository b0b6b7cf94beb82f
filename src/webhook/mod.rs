//! Webhooks: signs a message after the Standard Webhooks specification and posts it to an app's receiver.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! The receiver's URL is the customer's, so a request must not reach what only this machine can reach: unless the operator
//! allows it, private addresses are refused when the connection is made. No redirect is followed and no proxy is used.
//!
//! One request is made per call. What is sent when, and what is sent again, is decided by `verification` and performed by
//! `engine`.

mod address;
mod sign;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Response};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Host, Url};

pub use address::is_public;
use address::{NotPublic, PublicResolver};
pub use sign::WebhookSecret;

use crate::time::Timestamp;

/// How long one request may take, from the connection to the end of the answer.
pub const REQUEST_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The part of an answer's body that is read, so that the connection can be used again. Its content has no meaning.
const ANSWER_BODY_MAX: usize = 16 * 1024;
/// Requests under way to the receiver of one app, in this process: a slow receiver must hold up no other app.
const PLACES_PER_APP: usize = 32;

/// Where messages go, and what they are signed with.
pub struct WebhookSettings {
    /// The URL of each app that has one.
    pub urls: BTreeMap<String, String>,
    /// The secrets in force; each makes one signature.
    pub secrets: Vec<WebhookSecret>,
    /// Whether a receiver may have a private address.
    pub allow_private: bool,
}

/// A client for the receivers of all apps.
pub struct Webhooks {
    http: reqwest::Client,
    receivers: BTreeMap<String, Receiver>,
    secrets: ArcSwap<Vec<WebhookSecret>>,
    allow_private: bool,
}

struct Receiver {
    url: Url,
    places: Arc<Semaphore>,
}

/// One message.
pub struct WebhookMessage<'a> {
    /// `webhook-id`: the same each time the message is sent, so that a receiver can drop repetitions.
    pub id: &'a str,
    /// `webhook-timestamp`: the time of this request, in seconds since 1970.
    pub timestamp: i64,
    /// The body, JSON.
    pub body: String,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookReceipt {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why the message does not count as delivered; `None` if it does.
    pub failure: Option<DeliveryFailure>,
    /// How long the request took.
    pub took: Duration,
}

impl WebhookReceipt {
    /// Nothing was sent: no place became free.
    pub fn busy() -> Self {
        Self { status: None, failure: Some(DeliveryFailure::Busy), took: Duration::ZERO }
    }
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryFailure {
    /// The app has no URL.
    NoUrl,
    /// As many requests to the receiver as may were under way for too long.
    Busy,
    /// The URL names a private address, and that is not allowed.
    PrivateAddress,
    /// The name is unknown, the connection was refused, or TLS failed.
    NoConnection,
    /// The receiver did not answer in time, or broke off.
    NoAnswer,
    /// The receiver answered with a redirect, which is not followed.
    Redirected,
    /// The receiver answered with another status than 2xx.
    Refused,
}

/// The body of an event: its type, its time and its data.
pub fn body(kind: &str, at: Timestamp, data: &Value) -> String {
    json!({ "type": kind, "timestamp": at.to_string(), "data": data }).to_string()
}

impl DeliveryFailure {
    /// The name in the API, in logs and in metrics.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Webhooks {
    /// Creates a client that trusts the bundled roots.
    ///
    /// # Errors
    /// When the TLS provider cannot be set up.
    pub fn new(settings: WebhookSettings) -> reqwest::Result<Self> {
        // Fails when a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der));
        let mut builder = reqwest::Client::builder()
            .tls_certs_only(roots.collect::<reqwest::Result<Vec<_>>>()?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_MAX)
            .timeout(REQUEST_MAX)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("phlo-2fa/", env!("CARGO_PKG_VERSION")));
        if !settings.allow_private {
            builder = builder.dns_resolver(PublicResolver);
        }
        let receiver = |(app, url): (String, String)| {
            let url = Url::parse(&url).ok()?;
            Some((app, Receiver { url, places: Arc::new(Semaphore::new(PLACES_PER_APP)) }))
        };
        Ok(Self {
            http: builder.build()?,
            receivers: settings.urls.into_iter().filter_map(receiver).collect(),
            secrets: ArcSwap::from_pointee(settings.secrets),
            allow_private: settings.allow_private,
        })
    }

    /// Signs with these secrets from now on.
    pub fn replace_secrets(&self, secrets: Vec<WebhookSecret>) {
        self.secrets.store(Arc::new(secrets));
    }

    /// Whether the app has a receiver.
    pub fn has_url(&self, app: &str) -> bool {
        self.receivers.contains_key(app)
    }

    /// Waits up to `patience` for a place among the requests to the app's receiver; `None` when none becomes free.
    pub async fn place(&self, app: &str, patience: Duration) -> Option<OwnedSemaphorePermit> {
        let places = Arc::clone(&self.receivers.get(app)?.places);
        tokio::time::timeout(patience, places.acquire_owned()).await.ok()?.ok()
    }

    /// Posts a message to the app's receiver, once. A 2xx means that it is delivered.
    pub async fn post(&self, app: &str, message: WebhookMessage<'_>) -> WebhookReceipt {
        let started = Instant::now();
        let (status, failure) = match self.send(app, message).await {
            Ok(status @ 200..=299) => (Some(status), None),
            Ok(status @ 300..=399) => (Some(status), Some(DeliveryFailure::Redirected)),
            Ok(status) => (Some(status), Some(DeliveryFailure::Refused)),
            Err(failure) => (None, Some(failure)),
        };
        WebhookReceipt { status, failure, took: started.elapsed() }
    }

    async fn send(&self, app: &str, message: WebhookMessage<'_>) -> Result<u16, DeliveryFailure> {
        let url = &self.receivers.get(app).ok_or(DeliveryFailure::NoUrl)?.url;
        // The resolver is not asked for a host that is an address already.
        if !self.allow_private && literal(url).is_some_and(|address| !is_public(address)) {
            return Err(DeliveryFailure::PrivateAddress);
        }
        let WebhookMessage { id, timestamp, body } = message;
        let timestamp = timestamp.to_string();
        let signature = sign::signatures(&self.secrets.load(), id, &timestamp, &body);
        let request = self
            .http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        let response = request.send().await.map_err(|error| failure_of(&error))?;
        let status = response.status().as_u16();
        discard_body(response).await;
        Ok(status)
    }
}

/// The address that a URL names as its host.
fn literal(url: &Url) -> Option<std::net::IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn failure_of(error: &reqwest::Error) -> DeliveryFailure {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return DeliveryFailure::PrivateAddress;
        }
        cause = error.source();
    }
    if error.is_connect() { DeliveryFailure::NoConnection } else { DeliveryFailure::NoAnswer }
}

/// Reads the body up to a bound. A longer one costs the connection, not memory.
async fn discard_body(mut response: Response) {
    let mut length = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        length += chunk.len();
        if length > ANSWER_BODY_MAX {
            return;
        }
    }
}
