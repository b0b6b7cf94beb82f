//! The local Plivo over its own wire, against a receiver that stands in for the service.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::*;
use crate::plivo::signature::{self, SignatureHeaders, Tokens};

const ACCOUNT: &str = "MADEMO00000000000000";

/// One request the receiver got: path, body, whether its V3 signature holds, its Authorization.
#[derive(Clone, Debug)]
struct Received {
    path: String,
    body: String,
    signed: bool,
    authorization: Option<String>,
}

impl Received {
    fn form(&self) -> std::collections::HashMap<String, String> {
        serde_urlencoded::from_str(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A local Plivo at speed 20, and the service it calls back.
struct Scene {
    plivo: String,
    service: String,
    received: Arc<Mutex<Vec<Received>>>,
    client: reqwest::Client,
    sandbox: Sandbox,
}

impl Scene {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        serve_receiver(listener, service.clone(), Arc::clone(&received));

        let config = SandboxConfig {
            auth_id: ACCOUNT.to_owned(),
            auth_token: "demo".into(),
            public_url: format!("{service}/"),
            callback_secret: Some("typed-on-the-canvas".into()),
            speed: 20.0,
            seed: 1,
        };
        let sandbox = Sandbox::new(config, Flow::two_factor().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let plivo = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(sandbox.serve(listener).unwrap());

        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        Self { plivo, service, received, client, sandbox }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.plivo)).basic_auth(ACCOUNT, Some("demo")).json(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn run(&self, to: &str, mode: &str) -> (u16, Value) {
        let payload = json!({ "from": "14155550000", "to": to, "otp": "482913", "mode": mode, "ref": "r_1" });
        self.post(&format!("/v1/account/{ACCOUNT}/phlo/any"), &payload).await
    }

    async fn text(&self, to: &str) -> (u16, Value) {
        let url = format!("{}/plivo/message/r_1", self.service);
        let body = json!({ "src": "14155550000", "dst": to, "text": "482913 is your code", "url": url });
        self.post(&format!("/v1/Account/{ACCOUNT}/Message/"), &body).await
    }

    async fn call(&self, to: &str) -> (u16, Value) {
        let (answer, hangup) = (format!("{}/answer", self.service), format!("{}/plivo/call/r_1", self.service));
        let body = json!({ "from": "14155550000", "to": to, "answer_url": answer, "hangup_url": hangup,
            "machine_detection": "hangup" });
        self.post(&format!("/v1/Account/{ACCOUNT}/Call/"), &body).await
    }

    async fn delete(&self, path: &str) -> u16 {
        let request = self.client.delete(format!("{}{path}", self.plivo)).basic_auth(ACCOUNT, Some("demo"));
        request.send().await.unwrap().status().as_u16()
    }

    async fn open(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.plivo)).send().await.unwrap().json().await.unwrap()
    }

    /// What the service got at a path, as soon as `enough` of it has come.
    async fn received(&self, path: &str, enough: usize) -> Vec<Received> {
        let at_path = || self.received.lock().unwrap().iter().filter(|r| r.path == path).cloned().collect::<Vec<_>>();
        eventually(|| Some(at_path()).filter(|received| received.len() >= enough)).await
    }

    async fn statuses(&self, path: &str, enough: usize) -> Vec<String> {
        self.received(path, enough).await.iter().map(|received| received.form()["Status"].clone()).collect()
    }

    /// The handset once it looks as it should.
    async fn handset(&self, to: &str, ready: impl Fn(&Value) -> bool) -> Value {
        eventually(|| Some(serde_json::to_value(self.sandbox.0.handsets.state(to)).unwrap()).filter(&ready)).await
    }
}

/// Looks every few milliseconds, for ten seconds at most: real servers talk to each other here.
async fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen within ten seconds");
}

fn serve_receiver(listener: TcpListener, url: String, received: Arc<Mutex<Vec<Received>>>) {
    let take = move |http: HttpRequest, body: String| {
        let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
        let params: Vec<(String, String)> = serde_urlencoded::from_str(&body).unwrap_or_default();
        let tokens = Tokens::new(["demo".into()], []);
        let request = signature::Request {
            method: http.method().as_str(),
            url: &format!("{url}{}", http.uri()),
            params: &params,
        };
        let signed = header("X-Plivo-Signature-V3").is_some()
            && signature::verify(&tokens, SignatureHeaders::read(header), request).is_ok();
        received.lock().unwrap().push(Received {
            path: http.path().to_owned(),
            body,
            signed,
            authorization: header("Authorization").map(str::to_owned),
        });
        let answers = http.path() == "/answer";
        async move {
            if answers {
                HttpResponse::Ok()
                    .content_type("application/xml")
                    .body("<Response><Speak voice=\"Polly.Joanna\">Your code is 4, 8, 2, 9, 1, 3.</Speak></Response>")
            } else {
                HttpResponse::Ok().finish()
            }
        }
    };
    let app = move || App::new().default_service(web::to(take.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
    tokio::spawn(server);
}

fn all_arrived(handset: &Value) -> bool {
    handset["messages"].as_array().is_some_and(|messages| !messages.is_empty())
}

fn call_is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |handset| handset["calls"].as_array().and_then(|calls| calls.last()).is_some_and(|c| c["status"] == status)
}

#[tokio::test]
async fn a_phlo_run_sends_a_text_and_reports_it() {
    let scene = Scene::new();
    let (status, run) = scene.run("14155550100", "sms").await;
    assert_eq!((status, &run["phlo_run_id"], &run["phlo_id"]), (201, &run["api_id"], &json!("any")));

    let handset = scene.handset("14155550100", all_arrived).await;
    assert_eq!(handset["messages"][0]["code"], "482913");

    let node = &scene.received("/plivo/phlo", 1).await[0];
    let uuid = node.json()["message_uuid"].as_str().unwrap().to_owned();
    assert_eq!(node.json(), json!({ "ref": "r_1", "event": "sms_sent", "message_uuid": uuid }));
    assert_eq!(node.authorization.as_deref(), Some("Bearer typed-on-the-canvas"));
    let expected = format!("'message': 'message(s) queued', 'message_uuid': ['{uuid}']}}");
    assert!(run["message"].as_str().unwrap().ends_with(&expected), "{run}");

    let reports = scene.received("/plivo/message", 3).await;
    assert!(reports.iter().all(|report| report.signed && report.form()["MessageUUID"] == uuid), "{reports:?}");
    assert_eq!(scene.statuses("/plivo/message", 3).await, ["queued", "sent", "delivered"]);
}

#[tokio::test]
async fn a_phlo_run_calls_and_speaks_the_code() {
    let scene = Scene::new();
    let (status, run) = scene.run("+1 415-555-0100", "call").await;
    assert_eq!(status, 201);
    assert!(run["message"].as_str().unwrap().contains("'message': 'call fired', 'request_uuid': '"), "{run}");
    let handset = scene.handset("14155550100", call_is("completed")).await;
    assert_eq!(handset["calls"][0]["code"], "482913");
    assert_eq!(scene.received("/plivo/phlo", 1).await[0].json()["event"], "call_answered");
    let hangup = &scene.received("/plivo/call", 1).await[0];
    assert!(hangup.signed);
    assert_eq!((hangup.form()["Event"].as_str(), hangup.form()["CallStatus"].as_str()), ("Hangup", "completed"));
    assert!(run["message"].as_str().unwrap().contains(&hangup.form()["RequestUUID"]));
}

#[tokio::test]
async fn a_call_that_nobody_takes_leaves_the_node_by_its_output() {
    let scene = Scene::new();
    for (to, event, cause) in [
        ("14155550107", "call_busy", json!("USER_BUSY")),
        ("14155550108", "call_no_answer", json!("NO_ANSWER")),
        ("14155550109", "call_machine", Value::Null),
    ] {
        scene.received.lock().unwrap().clear();
        scene.run(to, "call").await;
        let node = scene.received("/plivo/phlo", 1).await[0].json();
        assert_eq!((&node["event"], &node["cause"]), (&json!(event), &cause), "{to}");
        scene.received("/plivo/call", 1).await;
    }
    assert_eq!(scene.handset("14155550109", call_is("machine")).await["calls"][0]["code"], Value::Null);
}

#[tokio::test]
async fn a_failed_node_is_a_201_that_says_so() {
    let scene = Scene::new();
    let (status, run) = scene.run("14155550110", "sms").await;
    assert_eq!(status, 201);
    assert!(run["message"].as_str().unwrap().contains("output state: failed - phlo_run_id"), "{run}");
    assert_eq!(scene.received("/plivo/phlo", 1).await[0].json(), json!({ "ref": "r_1", "event": "sms_failed" }));
    let (_, run) = scene.run("14155550100", "fax").await;
    assert!(run["message"].as_str().unwrap().starts_with("stopped. next node uuid not found for b'Branch'"), "{run}");
}

#[tokio::test]
async fn callbacks_overtake_the_answer_when_the_scenario_says_so() {
    let scene = Scene::new();
    scene.run("14155550118", "sms").await;
    let order: Vec<String> = scene.received.lock().unwrap().iter().map(|received| received.path.clone()).collect();
    assert_eq!(order, ["/plivo/message", "/plivo/message", "/plivo/phlo"]);
    scene.text("14165550118").await;
    assert!(scene.received.lock().unwrap().iter().any(|received| received.path == "/plivo/message/r_1"));
}

#[tokio::test]
async fn a_client_that_leaves_a_hanging_answer_changes_nothing() {
    let scene = Scene::new();
    let left = tokio::time::timeout(Duration::from_millis(500), scene.run("14155550113", "sms")).await;
    assert!(left.is_err(), "the answer should hang");
    scene.handset("14155550113", all_arrived).await;
    scene.received("/plivo/phlo", 1).await;
}

#[tokio::test]
async fn the_message_api_reports_to_the_url_it_was_given() {
    let scene = Scene::new();
    let (status, answer) = scene.text("+14155550101").await;
    assert_eq!((status, &answer["message"]), (202, &json!("message(s) queued")));
    let reports = scene.received("/plivo/message/r_1", 3).await;
    assert!(reports.iter().all(|report| report.signed));
    let last = reports[2].form();
    assert_eq!(
        (last["Status"].as_str(), last["ErrorCode"].as_str(), last["Sequence"].as_str()),
        ("undelivered", "30", "3")
    );
    assert_eq!(json!([last["MessageUUID"]]), answer["message_uuid"]);
    let (status, error) =
        scene.post(&format!("/v1/Account/{ACCOUNT}/Message/"), &json!({ "dst": "14155550100" })).await;
    assert_eq!((status, error["error"].is_string(), error["api_id"].is_string()), (400, true, true));
}

#[tokio::test]
async fn doubled_reports_come_out_of_order() {
    let scene = Scene::new();
    scene.text("14155550114").await;
    let statuses = scene.statuses("/plivo/message/r_1", 6).await;
    assert_eq!(statuses, ["delivered", "sent", "delivered", "queued", "queued", "sent"]);
}

#[tokio::test]
async fn a_late_text_waits_for_the_call() {
    let scene = Scene::new();
    scene.text("14155550115").await;
    assert_eq!(scene.statuses("/plivo/message/r_1", 2).await, ["queued", "sent"]);
    scene.call("14155550115").await;
    let handset = scene.handset("14155550115", all_arrived).await;
    assert_eq!((&handset["messages"][0]["code"], &handset["calls"][0]["code"]), (&json!("482913"), &json!("482913")));
}

#[tokio::test]
async fn the_call_api_speaks_what_the_answer_url_says() {
    let scene = Scene::new();
    let (status, answer) = scene.call("14155550106").await;
    assert_eq!((status, &answer["message"]), (201, &json!("call fired")));
    let handset = scene.handset("14155550106", call_is("completed")).await;
    assert_eq!(handset["calls"][0]["code"], "482913");
    let asked = &scene.received("/answer", 1).await[0];
    assert!(asked.signed && asked.form()["Event"] == "StartApp");
    let hangup = scene.received("/plivo/call/r_1", 1).await[0].form();
    assert_eq!(
        (hangup["HangupCauseCode"].as_str(), hangup["RequestUUID"].as_str()),
        ("4010", answer["request_uuid"].as_str().unwrap())
    );
}

#[tokio::test]
async fn a_ringing_call_can_be_cancelled_once() {
    let scene = Scene::new();
    let (_, answer) = scene.call("14155550100").await;
    let path = format!("/v1/Account/{ACCOUNT}/Request/{}/", answer["request_uuid"].as_str().unwrap());
    assert_eq!(scene.delete(&path).await, 204);
    let handset = scene.handset("14155550100", call_is("canceled")).await;
    assert_eq!(handset["calls"][0]["code"], Value::Null);
    assert_eq!(scene.received("/plivo/call/r_1", 1).await[0].form()["CallStatus"], "cancel");
    assert_eq!(scene.delete(&path).await, 404);
}

#[tokio::test]
async fn only_the_account_gets_in_and_everything_is_logged() {
    let scene = Scene::new();
    let url = format!("{}/v1/account/{ACCOUNT}/phlo/any/", scene.plivo);
    let wrong = scene.client.post(&url).basic_auth(ACCOUNT, Some("wrong")).json(&json!({})).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert!(wrong.json::<Value>().await.unwrap()["error"].is_string());
    assert_eq!(scene.post("/v1/account/MAOTHER0000000000000/phlo/any", &json!({})).await.0, 401);
    assert_eq!(scene.post("/v1/nowhere/", &json!({})).await.0, 404);
    let statuses =
        [scene.text("14155550111").await.0, scene.text("14155550111").await.0, scene.text("14155550111").await.0];
    assert_eq!(statuses, [429, 429, 202]);
    let log = scene.open("/log").await;
    let logged: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["what"].as_str().unwrap(), entry["status"].as_u64()))
        .collect();
    assert_eq!(
        logged,
        [
            ("phlo", Some(401)),
            ("phlo", Some(401)),
            ("other", Some(404)),
            ("message", Some(429)),
            ("message", Some(429)),
            ("message", Some(202))
        ]
    );
    assert!(!log.to_string().contains("482913"), "{log}");
}

#[tokio::test]
async fn an_outage_breaks_what_it_names() {
    let scene = Scene::new();
    let begin = async |outage: Value| {
        let request = scene.client.post(format!("{}/outage", scene.plivo)).json(&outage);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(begin(json!({ "seconds": 60, "status": 502, "what": "phlo" })).await, 204);
    assert_eq!(scene.run("14155550100", "sms").await.0, 502);
    assert_eq!(scene.text("14155550100").await.0, 202);
    assert_eq!(begin(json!({ "seconds": 0 })).await, 204);
    assert_eq!(begin(json!({ "seconds": 60, "kind": "fake" })).await, 204);
    assert_eq!(scene.run("14165550100", "sms").await.0, 201);
    assert_eq!(scene.statuses("/plivo/message", 3).await, ["queued", "sent", "delivered"]);
    assert_eq!(scene.open("/handset/14165550100").await, json!({ "messages": [], "calls": [] }));
    assert_eq!(begin(json!({ "seconds": "soon" })).await, 422);
}

#[tokio::test]
async fn a_handset_stream_begins_with_the_state_and_ends_when_closed() {
    let scene = Scene::new();
    let mut stream = scene.client.get(format!("{}/handset/14155550100/stream", scene.plivo)).send().await.unwrap();
    let mut next = async || stream.chunk().await.unwrap().map(|chunk| String::from_utf8(chunk.to_vec()).unwrap());
    assert_eq!(next().await.as_deref(), Some("data: {\"messages\":[],\"calls\":[]}\n\n"));
    scene.text("14155550100").await;
    assert!(next().await.is_some_and(|event| event.contains("482913")));
    scene.sandbox.close_streams();
    assert_eq!(next().await, None);
}
