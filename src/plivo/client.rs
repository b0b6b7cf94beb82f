//! The HTTP client: credentials, timeouts, and which failures may be retried.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, IntoUrl, NoProxy, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use super::body;
use crate::per_thread::PerThread;
use crate::verification::RefusalScope;

/// The outcome of one request to Plivo.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// 2xx, with its JSON body (null without one).
    Success(u16, Value),
    /// A final refusal.
    Refused(u16, RefusalScope),
    /// Certainly not acted on: no connection, 429 or 503.
    NotNow(Option<u16>, Option<Duration>),
    /// Failed, perhaps after it was acted on: 500, 502 or 504.
    Failed(u16),
    /// No answer; it may have been acted on.
    Silent,
}

/// The answer to a GET, whatever its status.
#[derive(Clone, Debug)]
pub struct LookupResponse {
    /// HTTP status.
    pub status: u16,
    /// The `Date` header.
    pub date: Option<String>,
    /// The JSON body; null without one.
    pub body: Value,
}

/// A connection pool for Plivo's hosts, with credentials.
pub struct Client {
    http: PerThread<reqwest::Client>,
    timeout: Duration,
    proxy: Proxy,
    api_url: String,
    /// Where texts are sent, parsed once: almost every verification sends one.
    messages_url: Url,
    auth_id: String,
    auth_token: ArcSwap<SecretString>,
}

/// The proxy for requests to Plivo. Plivo on this machine is always reached directly.
#[derive(Clone, Debug, Default)]
pub enum Proxy {
    /// No proxy, whatever the environment says.
    #[default]
    None,
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
    /// The proxy with this URL, which may contain a password.
    At(SecretString),
}

impl Proxy {
    fn applied(&self, builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        match self {
            Self::None => Ok(builder.no_proxy()),
            Self::Environment => Ok(builder),
            Self::At(url) => {
                let direct = NoProxy::from_string("localhost,127.0.0.0/8,::1");
                Ok(builder.no_proxy().proxy(reqwest::Proxy::all(url.expose_secret())?.no_proxy(direct)))
            }
        }
    }
}

impl Client {
    /// Creates a client that trusts the bundled roots, follows no redirect and gives up after `timeout`.
    ///
    /// # Errors
    /// When the TLS provider or the proxy cannot be set up, or the URL is none.
    pub fn new(
        api_url: String,
        auth_id: String,
        auth_token: SecretString,
        timeout: Duration,
        proxy: &Proxy,
    ) -> reqwest::Result<Self> {
        // Fails when a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = http_client(timeout, proxy)?;
        let messages_url = http.get(account_url(&api_url, &auth_id, "Message/")).build()?.url().clone();
        let (http, auth_token) = (PerThread::new(http), ArcSwap::from_pointee(auth_token));
        Ok(Self { http, timeout, proxy: proxy.clone(), api_url, messages_url, auth_id, auth_token })
    }

    /// Gives the current thread connections of its own.
    pub fn serve_this_thread(&self) {
        if let Err(error) = self.http.serve_this_thread(|| http_client(self.timeout, &self.proxy)) {
            warn!(%error, "a thread has no connections of its own to Plivo; it uses the shared ones");
        }
    }

    /// Uses this token for all requests from now on.
    pub fn replace_token(&self, token: SecretString) {
        self.auth_token.store(Arc::new(token));
    }

    /// The account id.
    pub fn auth_id(&self) -> &str {
        &self.auth_id
    }

    /// The URL of an account resource: capital `Account`, trailing slash (as all of Plivo's SDKs have it).
    pub fn account_url(&self, resource: &str) -> String {
        account_url(&self.api_url, &self.auth_id, resource)
    }

    /// The URL of `Message/`, to which texts are posted.
    pub fn messages_url(&self) -> &Url {
        &self.messages_url
    }

    /// Posts JSON, once.
    pub async fn post(&self, url: impl IntoUrl, body: &impl Serialize) -> Reply {
        self.send(self.http.get().post(url).json(body)).await
    }

    /// Sends a DELETE, once.
    pub async fn delete(&self, url: &str) -> Reply {
        self.send(self.http.get().delete(url)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request.basic_auth(&self.auth_id, Some(self.auth_token.load().expose_secret()));
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_connect() || e.is_builder() => return Reply::NotNow(None, None),
            Err(_) => return Reply::Silent,
        };
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        // Gateways may answer with something other than JSON, so the body is optional. A 2xx with an incomplete or huge body may
        // have said anything.
        let body = match body::read(response).await {
            Some(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            None if status.is_success() => return Reply::Silent,
            None => Value::Null,
        };
        classify(status, retry_after, body)
    }

    /// Sends a GET, once.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, url: &str) -> reqwest::Result<LookupResponse> {
        let request = self.http.get().get(url).basic_auth(&self.auth_id, Some(self.auth_token.load().expose_secret()));
        let response = request.send().await?;
        let status = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        let body = body::read(response).await.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(LookupResponse { status, date, body: body.unwrap_or(Value::Null) })
    }
}

fn account_url(api_url: &str, auth_id: &str, resource: &str) -> String {
    format!("{api_url}/v1/Account/{auth_id}/{resource}")
}

fn http_client(timeout: Duration, proxy: &Proxy) -> reqwest::Result<reqwest::Client> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der));
    let builder = reqwest::Client::builder()
        .tls_certs_only(roots.collect::<reqwest::Result<Vec<_>>>()?)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(3).min(timeout))
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("phlo-2fa/", env!("CARGO_PKG_VERSION")));
    proxy.applied(builder)?.build()
}

/// Whether a text has the form of Plivo's ids, which are used in URLs.
pub(super) fn is_id(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(is_part)
}

fn classify(status: StatusCode, retry_after: Option<Duration>, body: Value) -> Reply {
    match status.as_u16() {
        code @ 200..=299 => Reply::Success(code, body),
        code @ (429 | 503) => Reply::NotNow(Some(code), retry_after),
        code @ 500..=599 => Reply::Failed(code),
        code => Reply::Refused(code, refusal_scope(code, &body)),
    }
}

/// What a refusal rules out: this attempt, the number or the account.
///
/// Plivo documents statuses (plivo.com/docs/messaging/api/response) but not error texts. So texts are searched only for
/// words that both its pages and its SDKs use.
fn refusal_scope(status: u16, body: &Value) -> RefusalScope {
    let error = body.get("error").map(ToString::to_string).unwrap_or_default().to_ascii_lowercase();
    match status {
        403 if error.contains("geo") || error.contains("country") => RefusalScope::Number,
        _ if error.contains("insufficient credit") => RefusalScope::Account,
        // Wrong credentials, no credit. A 403 or 404 does not rule out another channel.
        401 | 402 => RefusalScope::Account,
        _ => RefusalScope::Attempt,
    }
}

/// `Retry-After` in seconds; Plivo is not known to use the HTTP-date form.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_status_is_classified_by_what_may_be_retried() {
        let read = |code, body| classify(StatusCode::from_u16(code).unwrap(), None, body);
        assert_eq!(read(429, Value::Null), Reply::NotNow(Some(429), None));
        assert_eq!(read(503, Value::Null), Reply::NotNow(Some(503), None));
        for code in [500, 502, 504] {
            assert_eq!(read(code, Value::Null), Reply::Failed(code));
        }
        assert_eq!(read(400, json!({"error": "bad"})), Reply::Refused(400, RefusalScope::Attempt));
        for (code, scope) in [(401, RefusalScope::Account), (402, RefusalScope::Account), (404, RefusalScope::Attempt)]
        {
            assert_eq!(read(code, Value::Null), Reply::Refused(code, scope));
        }
        let geo = json!({"error": "Geo permission to destination country is not enabled"});
        assert_eq!(read(403, geo), Reply::Refused(403, RefusalScope::Number));
        assert_eq!(read(403, json!({"error": "IP not allowed"})), Reply::Refused(403, RefusalScope::Attempt));
        let credit = json!({"error": "Insufficient Credit"});
        assert_eq!(read(400, credit), Reply::Refused(400, RefusalScope::Account));
    }
}
