//! A service whose Plivo is scripted by the test, for each API, and records every request.
//!
//! Nothing is sent, and nothing is reported unless the test reports it.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};
use phlo_2fa::plivo::signature;
use phlo_2fa::store::Store;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::silent::TOKEN;
use crate::support::{Answer, Setup, TestApp, stub_server};

/// One request that Plivo received.
#[derive(Clone, Debug)]
pub(crate) struct PlivoRequest {
    pub(crate) api: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// The answer of an API.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// This status with this body.
    Status(u16, Value),
    /// Plivo's usual success, with new ids.
    Well,
    /// The usual success, one second later.
    Late,
    /// No answer until the client times out.
    Nothing,
}

#[derive(Default)]
struct Script {
    /// The answers of each API, last one first; the last one is repeated.
    says: Vec<(&'static str, Vec<Says>)>,
    asked: Vec<PlivoRequest>,
}

/// The service and its Plivo.
pub(crate) struct Stub {
    app: TestApp,
    script: Arc<Mutex<Script>>,
    server: actix_web::dev::ServerHandle,
}

impl Deref for Stub {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl Stub {
    /// Starts a service with a PHLO, unless the settings say `PHLO_ID=`.
    pub(crate) async fn spawn(env: Vec<(&'static str, String)>) -> Self {
        Self::spawn_on(None, env).await
    }

    /// Starts a service without a PHLO on the given store.
    pub(crate) async fn direct_on(store: Arc<dyn Store>, mut env: Vec<(&'static str, String)>) -> Self {
        env.push(("PHLO_ID", String::new()));
        Self::spawn_on(Some(store), env).await
    }

    async fn spawn_on(store: Option<Arc<dyn Store>>, mut env: Vec<(&'static str, String)>) -> Self {
        let script = Arc::new(Mutex::new(Script::default()));
        let (url, server) = stub_server::start(web::Data::from(Arc::clone(&script)), |app| {
            app.default_service(web::to(take));
        });
        env.extend([("PLIVO_API_URL", url.clone()), ("PLIVO_PHLO_URL", url)]);
        let app = TestApp::spawn_with(Setup { env, store, ..Setup::default() }).await;
        Self { app, script, server }
    }

    /// Starts a service without a PHLO.
    pub(crate) async fn direct(mut env: Vec<(&'static str, String)>) -> Self {
        env.push(("PHLO_ID", String::new()));
        Self::spawn(env).await
    }

    /// Scripts the next answers of an API (`phlo`, `run`, `message`, `list`, `call`, `hangup`); the last one is repeated.
    pub(crate) fn says(&self, api: &'static str, says: &[Says]) {
        let mut script = self.script.lock().unwrap();
        script.says.retain(|(known, _)| *known != api);
        script.says.push((api, says.iter().rev().cloned().collect()));
    }

    /// Makes an API answer with one status from now on.
    pub(crate) fn answers(&self, api: &'static str, status: u16) {
        self.says(api, &[Says::Status(status, json!({ "error": "said by a test" }))]);
    }

    /// Every request that Plivo received.
    pub(crate) fn asked(&self) -> Vec<PlivoRequest> {
        self.script.lock().unwrap().asked.clone()
    }

    /// The API of each request, in order.
    pub(crate) fn requested(&self) -> Vec<&'static str> {
        self.asked().iter().map(|asked| asked.api).collect()
    }

    /// The last request to an API.
    #[track_caller]
    pub(crate) fn last(&self, api: &str) -> PlivoRequest {
        let asked = self.asked().into_iter().rfind(|asked| asked.api == api);
        asked.unwrap_or_else(|| panic!("no request to {api}: {:?}", self.requested()))
    }

    /// The path of a callback URL in the last request to an API.
    #[track_caller]
    pub(crate) fn callback(&self, api: &str, name: &str) -> String {
        let body = self.last(api).body;
        let url = body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}"));
        url.strip_prefix(&self.url).unwrap_or_else(|| panic!("{url} is not a URL of the service")).to_owned()
    }

    /// Waits until Plivo has received this many requests.
    pub(crate) async fn until_asked(&self, times: usize) {
        for _ in 0..6000 {
            if self.asked().len() >= times {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("not {times} requests: {:?}", self.requested());
    }

    /// Sends a callback signed in V3, as Plivo does.
    pub(crate) async fn plivo_posts(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.send(self.signed(path, params)).await
    }

    /// Sends a callback signed in V3; returns status, media type and body.
    pub(crate) async fn plivo_fetches(&self, path: &str, params: &[(&str, &str)]) -> (u16, String, String) {
        let response = self.signed(path, params).send().await.unwrap();
        let media = response.headers().get("content-type").map(|media| media.to_str().unwrap().to_owned());
        (response.status().as_u16(), media.unwrap_or_default(), response.text().await.unwrap())
    }

    fn signed(&self, path: &str, params: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let request = self.keyless("POST", path).form(params);
        crate::silent::signed_v3(request, TOKEN, "POST", &format!("{}{path}", self.url), params)
    }

    /// Sends a callback signed in V2, which covers no parameter.
    pub(crate) async fn plivo_posts_v2(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        let nonce = Uuid::new_v4().simple().to_string();
        let url = format!("{}{path}", self.url);
        let signature = signature::sign(TOKEN, &signature::v2_payload(&url, &nonce));
        let request = self.keyless("POST", path).form(params);
        let request = request.header("X-Plivo-Signature-V2", signature).header("X-Plivo-Signature-V2-Nonce", nonce);
        self.send(request).await
    }

    /// Creates a verification of a number that is no scenario.
    pub(crate) async fn open(&self, mut body: Value) -> Answer {
        if body.get("to").is_none() {
            body["to"] = json!("+14155550103");
        }
        let created = self.post("/v1/verifications", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        created
    }
}

async fn take(request: HttpRequest, body: web::Bytes, script: web::Data<Mutex<Script>>) -> HttpResponse {
    let path = request.path().to_owned();
    let is_read = request.method() == actix_web::http::Method::GET;
    let api = match path.split('/').filter(|part| !part.is_empty()).skip(1).collect::<Vec<_>>().as_slice() {
        ["account", _, "phlo", _] => "phlo",
        ["phlo", _, "runs", _] => "run",
        ["Account", _, "Message"] if is_read => "list",
        ["Account", _, "Message"] => "message",
        ["Account", _, "Call"] => "call",
        ["Account", _, "Request" | "Call", _] => "hangup",
        _ => panic!("unexpected request to {path}"),
    };
    let method = request.method().to_string();
    let says = {
        let mut script = script.lock().unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        script.asked.push(PlivoRequest { api, method, path, body });
        let says = script.says.iter_mut().find(|(known, _)| *known == api);
        says.map_or(Says::Well, |(_, says)| if says.len() > 1 { says.pop().unwrap() } else { says[0].clone() })
    };
    let id = Uuid::new_v4().to_string();
    if matches!(says, Says::Late) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let (status, body) = match says {
        Says::Status(status, body) => (status, body),
        Says::Nothing => {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            (504, Value::Null)
        }
        Says::Well | Says::Late => match api {
            "phlo" => (201, json!({ "api_id": id, "phlo_run_id": id, "message": "API request executed" })),
            "run" => (200, json!({ "run_id": id, "message_uuids": [], "call_uuids": [] })),
            "message" => (202, json!({ "message": "message(s) queued", "message_uuid": [id] })),
            "list" => (200, json!({ "objects": [] })),
            "call" => (201, json!({ "message": "call fired", "request_uuid": id })),
            _ => (204, Value::Null),
        },
    };
    let mut response = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
    if status == 204 { response.finish() } else { response.json(body) }
}
