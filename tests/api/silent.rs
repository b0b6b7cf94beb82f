//! A service whose Plivo accepts every connection and never answers.
//!
//! The test alone decides what is reported and when.

use std::net::TcpListener;
use std::ops::Deref;

use phlo_2fa::plivo::reference::{self, Purpose};
use phlo_2fa::plivo::signature;
use phlo_2fa::verification::{AttemptIndex, AttemptRef};
use serde_json::{Value, json};

use crate::support::{Answer, CALLBACK_SECRET, Setup, TestApp};

/// The auth token of the demo's account, which signs callbacks.
pub(crate) const TOKEN: &str = "demo";

/// The service and the socket that never answers.
pub(crate) struct Silent {
    app: TestApp,
    _silence: TcpListener,
}

impl Deref for Silent {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl Silent {
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(Vec::new()).await
    }

    pub(crate) async fn spawn_with(mut env: Vec<(&'static str, String)>) -> Self {
        let silence = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silence.local_addr().unwrap());
        env.extend([("PLIVO_API_URL", url.clone()), ("PLIVO_PHLO_URL", url)]);
        if !env.iter().any(|(name, _)| *name == "PLIVO_WAIT") {
            env.push(("PLIVO_WAIT", "0".into()));
        }
        let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
        Self { app, _silence: silence }
    }

    /// Creates a verification whose first attempt stays `triggering`.
    pub(crate) async fn open(&self, mut body: Value) -> Answer {
        body["to"] = json!("+14155550103");
        let created = self.post("/v1/verifications", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        created
    }

    /// The ref of an attempt, as in the request to Plivo.
    pub(crate) fn reference(&self, id: &str, attempt: u8) -> String {
        let to = AttemptRef { id: id.parse().unwrap(), attempt: AttemptIndex::new(attempt) };
        reference::issue(&self.keyring, to, Purpose::Phlo)
    }

    /// Reports an event as the flow's nodes do, with ref and secret.
    pub(crate) async fn flow_says(&self, id: &str, attempt: u8, event: &str, more: Value) -> Answer {
        let mut body = json!({ "ref": self.reference(id, attempt), "event": event });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(self.keyless("POST", "/plivo/phlo").bearer_auth(CALLBACK_SECRET).json(&body)).await
    }

    /// Reports on a text or call as Plivo does, to the URL with the secret.
    pub(crate) async fn plivo_says(&self, kind: &str, params: &[(&str, &str)]) -> Answer {
        self.send(self.keyless("POST", &format!("/plivo/{CALLBACK_SECRET}/{kind}")).form(params)).await
    }
}

/// Signs a callback in V3 with `token`, for `url`.
pub(crate) fn signed_v3(
    request: reqwest::RequestBuilder,
    token: &str,
    method: &str,
    url: &str,
    params: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    signed_v3_with(request, token, method, url, params, &nonce())
}

/// A new nonce in Plivo's format.
pub(crate) fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Signs a callback in V3 with a given nonce.
pub(crate) fn signed_v3_with(
    request: reqwest::RequestBuilder,
    token: &str,
    method: &str,
    url: &str,
    params: &[(&str, &str)],
    nonce: &str,
) -> reqwest::RequestBuilder {
    let params: Vec<_> = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let signature = signature::sign(token, &signature::v3_payload(method, url, &params, nonce));
    request.header("X-Plivo-Signature-V3", signature).header("X-Plivo-Signature-V3-Nonce", nonce)
}

/// Signs a callback in V2, which covers no parameter.
pub(crate) fn signed_v2(request: reqwest::RequestBuilder, token: &str, url: &str) -> reqwest::RequestBuilder {
    signed_v2_with(request, token, url, &nonce())
}

/// Signs a callback in V2 with a given nonce.
pub(crate) fn signed_v2_with(
    request: reqwest::RequestBuilder,
    token: &str,
    url: &str,
    nonce: &str,
) -> reqwest::RequestBuilder {
    let signature = signature::sign(token, &signature::v2_payload(url, nonce));
    request.header("X-Plivo-Signature-V2", signature).header("X-Plivo-Signature-V2-Nonce", nonce)
}
