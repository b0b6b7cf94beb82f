//! The HTTP client: base URL, credentials, timeouts, and what each failure means.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::verification::event::RefusalScope;

/// How Plivo took one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// 2xx, with its JSON body (null where there was none).
    Success(u16, Value),
    /// It said no, for good.
    Refused(u16, RefusalScope),
    /// It was certainly not acted on: no connection, 429, 503.
    NotNow(Option<u16>, Option<Duration>),
    /// It failed and may have been acted on: 500, 502, 504.
    Failed(u16),
    /// No answer, and it may have been acted on.
    Silent,
}

/// What a GET was answered with. The status is data: whoever looks wants to know which it was.
#[derive(Clone, Debug)]
pub struct Seen {
    /// HTTP status.
    pub status: u16,
    /// Its `Date` header.
    pub date: Option<String>,
    /// Its JSON body; null where there was none.
    pub body: Value,
}

/// One connection pool for all of Plivo, with credentials.
pub struct Client {
    http: reqwest::Client,
    api_url: String,
    auth_id: String,
    auth_token: ArcSwap<SecretString>,
}

impl Client {
    /// A client that trusts the roots built in, follows no redirect, and gives up after `timeout`.
    ///
    /// # Errors
    /// When the TLS provider cannot be set up.
    pub fn new(api_url: String, auth_id: String, auth_token: SecretString, timeout: Duration) -> reqwest::Result<Self> {
        // Fails when somebody installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der));
        let http = reqwest::Client::builder()
            .tls_certs_only(roots.collect::<reqwest::Result<Vec<_>>>()?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3).min(timeout))
            .timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("phlo-2fa/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, api_url, auth_id, auth_token: ArcSwap::from_pointee(auth_token) })
    }

    /// Requests from now on carry this token.
    pub fn replace_token(&self, token: SecretString) {
        self.auth_token.store(Arc::new(token));
    }

    /// The account whose credentials it carries.
    pub fn auth_id(&self) -> &str {
        &self.auth_id
    }

    /// A resource of the account: capital `Account`, with the slash at the end (`plivo/wire.md` 1: all SDKs).
    pub fn account_url(&self, resource: &str) -> String {
        format!("{}/v1/Account/{}/{resource}", self.api_url, self.auth_id)
    }

    /// Posts JSON once.
    pub async fn post(&self, url: &str, body: &impl Serialize) -> Reply {
        self.ask(self.http.post(url).json(body)).await
    }

    /// Deletes once.
    pub async fn delete(&self, url: &str) -> Reply {
        self.ask(self.http.delete(url)).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request.basic_auth(&self.auth_id, Some(self.auth_token.load().expose_secret()));
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_connect() || e.is_builder() => return Reply::NotNow(None, None),
            Err(_) => return Reply::Silent,
        };
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        // Some gateways answer with something else than JSON: the body is optional, except that a 2xx whose
        // body breaks off may have said anything.
        let body = match response.bytes().await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(_) if status.is_success() => return Reply::Silent,
            Err(_) => Value::Null,
        };
        read(status, retry_after, body)
    }

    /// Looks something up, once.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn get(&self, url: &str) -> reqwest::Result<Seen> {
        let request = self.http.get(url).basic_auth(&self.auth_id, Some(self.auth_token.load().expose_secret()));
        let response = request.send().await?;
        let status = response.status().as_u16();
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
        let body = response.bytes().await.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Seen { status, date, body: body.unwrap_or(Value::Null) })
    }
}

fn read(status: StatusCode, retry_after: Option<Duration>, body: Value) -> Reply {
    match status.as_u16() {
        code @ 200..=299 => Reply::Success(code, body),
        code @ (429 | 503) => Reply::NotNow(Some(code), retry_after),
        code @ 500..=599 => Reply::Failed(code),
        code => Reply::Refused(code, refusal_scope(code, &body)),
    }
}

/// Which hope a refusal takes. Plivo documents the statuses (`plivo/wire.md` 1, 3.1) and not the texts, so
/// texts are only looked at for words that both its pages and its SDKs use.
fn refusal_scope(status: u16, body: &Value) -> RefusalScope {
    let error = body.get("error").map(ToString::to_string).unwrap_or_default().to_ascii_lowercase();
    match status {
        403 if error.contains("geo") || error.contains("country") => RefusalScope::Number,
        _ if error.contains("insufficient credit") => RefusalScope::Account,
        // No key to the account, no credit. A 403 or 404 says nothing of other channels.
        401 | 402 => RefusalScope::Account,
        _ => RefusalScope::Attempt,
    }
}

/// `Retry-After` in seconds; the HTTP-date form is not known to be used by Plivo and is left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_status_means_what_the_contract_says_may_be_repeated() {
        let read = |code, body| read(StatusCode::from_u16(code).unwrap(), None, body);
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
