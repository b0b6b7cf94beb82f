//! The findings of `doctor`, in a healthy deployment and in faulty ones.

use std::sync::{Arc, Mutex};

use actix_web::http::header::{AUTHORIZATION, DATE};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use phlo_2fa::phone::PhoneNumber;
use serde_json::{Value, json};

use crate::support::redis_server::RedisServer;
use crate::support::stub_server;
use crate::world::{
    API_KEY, AUTH_ID, AUTH_TOKEN, CALLBACK_SECRET, NUMBER, Plivo, Process, SECRET_KEY, Service, defaults, free_port,
    plivo_listener, until,
};

/// Answers of a stub for Plivo's API and PHLO runner.
#[derive(Clone)]
struct Answers {
    account: (u16, Value),
    date: Option<&'static str>,
    number: (u16, Value),
    phlo: (u16, Value),
    run: (u16, Value),
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            account: (200, json!({ "account_type": "standard", "cash_credits": "100.00000" })),
            date: None,
            number: (200, json!({ "sms_enabled": true, "voice_enabled": true, "active": true })),
            phlo: (200, json!({ "name": "2FA" })),
            run: (
                201,
                json!({ "message": "stopped. next node uuid not found for b'Start' - b'Start' with output state: http" }),
            ),
        }
    }
}

/// A server that gives the configured answers.
struct Stub {
    url: String,
    answers: Arc<Mutex<Answers>>,
    server: actix_web::dev::ServerHandle,
}

impl Stub {
    fn serve() -> Self {
        let answers = Arc::new(Mutex::new(Answers::default()));
        let (url, server) = stub_server::start(web::Data::new(Arc::clone(&answers)), |app| {
            app.default_service(web::to(answer));
        });
        Self { url, answers, server }
    }

    fn answer(&self, change: impl FnOnce(&mut Answers)) {
        let mut answers = Answers::default();
        change(&mut answers);
        *self.answers.lock().unwrap() = answers;
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn answer(request: HttpRequest, answers: web::Data<Arc<Mutex<Answers>>>) -> HttpResponse {
    let answers = answers.lock().unwrap().clone();
    let expected = base64::engine::general_purpose::STANDARD.encode(format!("{AUTH_ID}:{AUTH_TOKEN}"));
    let given = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let path = request.path();
    let (status, body) = match request.method().as_str() {
        _ if given != Some(format!("Basic {expected}")) => (401, json!({ "error": "no" })),
        "POST" => answers.run,
        _ if path.contains("/Number/") => answers.number,
        _ if path.contains("/phlo/") => answers.phlo,
        _ => answers.account,
    };
    let mut response = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap());
    if let Some(date) = answers.date {
        response.insert_header((DATE, date));
    }
    response.json(body)
}

/// A running deployment.
struct World {
    redis: RedisServer,
    stub: Stub,
    plivo: Plivo,
    service: Service,
}

impl World {
    async fn start() -> Self {
        let stub = Stub::serve();
        let url = stub.url.clone();
        Self::start_with(stub, &[("PLIVO_API_URL", &url)]).await
    }

    /// A service that sends through the local Plivo's API.
    async fn without_phlo() -> Self {
        Self::start_with(Stub::serve(), &[("PHLO_ID", "")]).await
    }

    async fn start_with(stub: Stub, settings: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start_with(&["--appendonly", "yes"]);
        let (listener, plivo_url) = plivo_listener();
        let (redis_url, mut all) = (redis.url(), settings.to_vec());
        for (name, url) in [("REDIS_URL", &redis_url), ("PLIVO_API_URL", &plivo_url), ("PLIVO_PHLO_URL", &plivo_url)] {
            if all.iter().all(|(set, _)| *set != name) {
                all.push((name, url));
            }
        }
        let service = Service::start(&all).await;
        let plivo = Plivo::serve(listener, &service.url, 50.0);
        service.until_ready().await;
        Self { redis, stub, plivo, service }
    }

    fn env(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let redis = self.redis.url();
        let own = [
            ("REDIS_URL", redis.as_str()),
            ("PLIVO_API_URL", &self.stub.url),
            ("PLIVO_PHLO_URL", &self.plivo.url),
            ("PUBLIC_URL", &self.service.url),
            ("BIND", self.service.url.trim_start_matches("http://")),
        ];
        env(&[&own, changes].concat())
    }

    async fn doctor(&self, args: &[&str], changes: &[(&str, &str)]) -> Report {
        doctor(args, &self.env(changes)).await
    }
}

/// The usual settings, changed.
fn env(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut env = defaults();
    for (name, value) in changes {
        env.retain(|(known, _)| known != name);
        env.push(((*name).to_owned(), (*value).to_owned()));
    }
    env
}

#[derive(Debug)]
struct Report {
    exit: Option<i32>,
    out: String,
}

impl Report {
    /// Asserts that a line has this start and contains this text.
    #[track_caller]
    fn has(&self, start: &str, text: &str) -> &Self {
        let matches = |line: &str| line.starts_with(start) && line.contains(text);
        assert!(self.out.lines().any(matches), "no line {start:?} with {text:?}:\n{}", self.out);
        self
    }

    #[track_caller]
    fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.exit, Some(code), "{}", self.out);
        self
    }

    /// The number of lines with a verdict.
    fn count(&self, word: &str) -> usize {
        self.out.lines().filter(|line| line.starts_with(word)).count()
    }
}

/// Runs `doctor`, and asserts that its output contains no secret and no number.
async fn doctor(args: &[&str], env: &[(String, String)]) -> Report {
    let args = [&["doctor"], args].concat();
    let (mut process, lines) = Process::start_and_read(&args, env);
    let status = process.end().await;
    let out = lines.iter().collect::<Vec<_>>().join("\n");
    let all = format!("{out}\n{}", process.log());
    for secret in [AUTH_TOKEN, API_KEY, CALLBACK_SECRET, SECRET_KEY, AUTH_ID, "hunter2"] {
        assert!(!all.contains(secret), "the output contains {secret}:\n{all}");
    }
    for number in [NUMBER, "+14155550100", "+14155550103"] {
        assert!(!all.contains(number.trim_start_matches('+')), "the output contains a number:\n{all}");
    }
    Report { exit: status.code(), out }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_deployment_is_reported_as_such() {
    let world = World::start().await;
    let report = world.doctor(&["--run", "--send", "+14155550100"], &[]).await;
    report.exits(0);
    println!("{}", report.out);
    for (check, text) in [
        ("settings", "complete"),
        ("redis", "one server"),
        ("redis setup", "noeviction, append-only file"),
        ("redis scripts", "expires within seconds"),
        ("credentials", "account MA…00 (standard), credit 100.00 USD"),
        ("clock", "no more than 2 s apart"),
        ("number", "can text and call"),
        ("phlo", "exists"),
        ("phlo keys", "branches on mode"),
        ("public url", ""),
        ("service", "answers at PUBLIC_URL"),
        ("signature", "accepts a callback with our signature"),
        ("callback secret", "another is refused"),
        ("send", "(via phlo)"),
        ("delivery reports", "up to delivered"),
        ("flow reports", "Start declares ref"),
    ] {
        report.has(&format!("ok    {check}: "), text);
    }
    assert_eq!(report.out.lines().last(), Some("all well"));
    // One text was sent, and its verification canceled; the run of the PHLO sent nothing.
    assert_eq!(world.plivo.requests("+14155550100").await, ["sms"]);
    let handset = world.plivo.handset(NUMBER).await;
    assert_eq!((&handset["messages"], &handset["calls"]), (&json!([]), &json!([])));
    let listed = world.service.get("/v1/verifications").await;
    assert_eq!(listed.body["verifications"][0]["status"], "canceled", "{listed:?}");
    // The records in Redis expire.
    let keys = async || world.redis.command(&["KEYS", "phlo2fa:*:app:DOCTOR*"]).is_empty();
    until("doctor's record to expire", keys).await;

    // Without the options it runs no PHLO and sends nothing.
    let report = world.doctor(&[], &[]).await;
    report.exits(0).has("skip  phlo keys: ", "--run");
    assert_eq!((report.count("warn"), report.out.lines().last()), (0, Some("1 skipped")), "{}", report.out);
    assert_eq!(world.plivo.requests("+14155550100").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_differ_from_the_running_services_are_found() {
    let world = World::start().await;
    let report = world.doctor(&[], &[("PLIVO_AUTH_TOKEN", "hunter2-another")]).await;
    report.exits(1).has("WRONG credentials: ", "(401)").has("skip  number: ", "").has("skip  phlo: ", "");
    report.has("WRONG signature: ", "(401)").has("skip  callback secret: ", "");

    // The first token authenticates requests, but all of them verify callbacks.
    let both = format!("{AUTH_TOKEN},hunter2-another");
    world.doctor(&[], &[("PLIVO_AUTH_TOKEN", &both)]).await.exits(1).has("WRONG signature: ", "token 2 of 2");

    let elsewhere = world.service.url.replace("127.0.0.1", "localhost");
    let report = world.doctor(&["--send", "+14155550100"], &[("PUBLIC_URL", &elsewhere)]).await;
    report.exits(1).has("WRONG signature: ", "(401)").has("      remedy: ", "PLIVO_AUTH_TOKEN and PUBLIC_URL");
    report.has("skip  send: ", "no API key");

    let report = world.doctor(&[], &[("CALLBACK_SECRET", "hunter2-hunter2-hunter2")]).await;
    report.exits(1).has("WRONG callback secret: ", "(401)");

    let keys = [("API_KEYS", "shop:hunter2-hunter2-hunter2")];
    world.doctor(&["--send", "+14155550100"], &keys).await.exits(1).has("WRONG send: ", "API_KEYS (401)");
    assert_eq!(world.plivo.requests("+14155550100").await.len(), 0);

    let report = world.doctor(&[], &[("PUBLIC_URL", &format!("http://127.0.0.1:{}", free_port()))]).await;
    report.exits(1).has("WRONG service: ", "connection refused").has("      remedy: ", "Check that the service");
    report.has("skip  signature: ", "");
    let tls = world.service.url.replace("http:", "https:");
    world.doctor(&[], &[("PUBLIC_URL", &tls)]).await.exits(1).has("WRONG service: ", "TLS fails (");
    // Another server answers there.
    let report = world.doctor(&[], &[("PUBLIC_URL", &world.stub.url)]).await;
    report.exits(1).has("warn  service: ", "HTTP 401").has("WRONG signature: ", "").has("skip  callback secret: ", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faulty_settings_nothing_else_is_checked() {
    let report = doctor(&[], &env(&[("SECRET_KEY", "hunter2"), ("PUBLIC_URL", "hunter2")])).await;
    report.exits(1).has("WRONG settings: ", "SECRET_KEY").has("WRONG settings: ", "PUBLIC_URL");
    report.has("      remedy: ", "for example SECRET_KEY=");
    assert_eq!(report.out.lines().last(), Some("2 wrong, 1 skipped"));

    let report = doctor(&["--json"], &env(&[("SECRET_KEY", "hunter2"), ("PUBLIC_URL", "http://127.0.0.1:9")])).await;
    report.exits(1);
    let findings: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!((&findings[0]["name"], &findings[0]["result"]), (&json!("settings"), &json!("wrong")));
    assert!(findings[0]["detail"].is_string() && findings[0]["remedy"].is_string() && findings[1]["remedy"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_redis_and_its_setup_is_checked() {
    let world = World::start().await;
    world.redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let report = world.doctor(&[], &[]).await;
    report.exits(1).has("WRONG redis setup: ", "allkeys-lru").has("      remedy: ", "set maxmemory-policy noeviction");

    let careless = RedisServer::start();
    let report = world.doctor(&[], &[("REDIS_URL", &careless.url())]).await;
    report.exits(0).has("warn  redis setup: ", "nothing on disk").has("      remedy: ", "set appendonly yes");

    let (cluster, sentinel) = (RedisServer::start_cluster(), RedisServer::start_sentinel(&careless));
    for (server, named) in [(&cluster, "cluster"), (&sentinel, "Sentinel")] {
        let report = world.doctor(&[], &[("REDIS_URL", &server.url())]).await;
        report.exits(0).has("ok    redis: ", named).has("ok    redis scripts: ", "");
    }

    let mut rule = vec!["ACL", "SETUSER", "phlo", "reset", "on", ">hunter2", "~phlo2fa:*", "+@all", "-zadd"];
    assert_eq!(careless.command(&rule), "OK");
    let port = careless.port;
    let url = |password: &str| format!("redis://phlo:{password}@127.0.0.1:{port}");
    let report = world.doctor(&[], &[("REDIS_URL", &url("hunter2"))]).await;
    report.exits(1).has("WRONG redis scripts: commit: Redis refuses", "").has("      remedy: ", "+zadd");
    rule.extend(["+zadd", "-config", "-info"]);
    assert_eq!(careless.command(&rule), "OK");
    let report = world.doctor(&[], &[("REDIS_URL", &url("hunter2"))]).await;
    report.exits(0).has("warn  redis setup: ", "cannot be read").has("ok    redis scripts: ", "");
    let report = world.doctor(&[], &[("REDIS_URL", &url("hunter2hunter2"))]).await;
    report.exits(1).has("WRONG redis: ", "").has("      remedy: ", "user and password");

    drop(careless);
    let report = world.doctor(&[], &[("REDIS_URL", &url("hunter2"))]).await;
    report.exits(1).has("WRONG redis: ", "connection refused").has("skip  redis scripts: ", "");
    report.has("ok    clock: ", "Plivo's, this machine's").has("ok    signature: ", "");

    let report = world.doctor(&[], &[("REDIS_URL", "memory://")]).await;
    report.exits(0).has("warn  redis: ", "a restart loses every verification");
    assert_eq!(report.count("warn"), 1, "{}", report.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_of_plivo_are_reported() {
    let world = World::start().await;
    let stub = &world.stub;
    let runner = [("PLIVO_PHLO_URL", stub.url.as_str())];
    let masked = PhoneNumber::parse(NUMBER).unwrap().to_string();

    stub.answer(|a| a.number.1 = json!({ "sms_enabled": true, "voice_enabled": false }));
    world.doctor(&[], &[]).await.exits(1).has(&format!("WRONG number: {masked}"), "cannot call");
    stub.answer(|a| a.number = (404, json!({ "error": "not found" })));
    world.doctor(&[], &[]).await.exits(1).has("WRONG number: ", "not a number of this account");
    let senders = [("SENDERS", "SHOP"), ("COUNTRIES", "US,IN")];
    stub.answer(|_| {});
    world.doctor(&[], &senders).await.exits(0).has("skip  senders: ", "(IN, US)");

    stub.answer(|a| a.account.1 = json!({ "account_type": "developer", "cash_credits": "0.5" }));
    world.doctor(&[], &[]).await.exits(0).has("warn  credentials: ", "a trial");
    stub.answer(|a| a.account = (503, Value::Null));
    world.doctor(&[], &[]).await.exits(1).has("WRONG credentials: ", "503").has("ok    phlo: ", "");

    stub.answer(|a| a.date = Some("Tue, 01 Jan 2030 00:00:00 GMT"));
    world.doctor(&[], &[]).await.exits(1).has("WRONG clock: ", "Plivo's and this machine's");

    stub.answer(|a| a.phlo = (404, json!({ "error": "not found" })));
    world.doctor(&[], &runner).await.exits(1).has("WRONG phlo: ", "not published (404)");
    stub.answer(|_| {});
    world.doctor(&["--run"], &runner).await.exits(1).has("WRONG phlo keys: ", "nothing is wired");
    stub.answer(|a| a.run.1 = json!({ "message": "… 'message(s) queued', 'message_uuid': ['8b1f']" }));
    world.doctor(&["--run"], &runner).await.exits(1).has("WRONG phlo keys: ", "does not branch on mode");
    stub.answer(|a| a.run.1 = json!({ "message": format!("something about {NUMBER}") }));
    world.doctor(&["--run"], &runner).await.exits(0).has("warn  phlo keys: ", "something about +…");
    world.doctor(&["--run"], &[("PHLO_ID", "")]).await.exits(0).has("ok    phlo: none", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_delivery_reports_are_reported() {
    let world = World::start().await;
    // This scenario reports sent and nothing more, so doctor watches to the end.
    let report = world.doctor(&["--send", "+14155550103", "--watch", "3"], &[]).await;
    report.exits(0).has("warn  delivery reports: ", "").has("ok    send: ", "(via phlo)");
    let report = world.doctor(&["--send", "14155550103"], &[]).await;
    report.exits(1).has("WRONG send: ", "must be E.164");
    let tests = [("TEST_NUMBERS", "+15555550100:000000")];
    world.doctor(&["--send", "+15555550100"], &tests).await.exits(1).has("WRONG send: ", "TEST_NUMBERS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_tried_and_its_reports_are_shown() {
    let world = World::start().await;
    let report = world.doctor(&["--call", "+14155550100"], &[]).await;
    report
        .exits(0)
        .has("ok    call: ", "answer it")
        .has("ok    call: ", "(via phlo)")
        .has("ok    call: ", "was answered");
    report.has("ok    call reports: ", "up to the end of the call").has("ok    flow reports: ", "Call_Answered");
    assert_eq!(world.plivo.requests("+14155550100").await, ["call"]);
    let listed = world.service.get("/v1/verifications").await;
    assert_eq!(listed.body["verifications"][0]["status"], "canceled", "{listed:?}");

    // Busy at first. The service would call again after 20 s; the trial has canceled that.
    let report = world.doctor(&["--call", "+14155550107"], &[]).await;
    report.exits(0).has("warn  call reports: ", "up to busy");
    assert_eq!(world.plivo.requests("+14155550107").await, ["call"]);
    world.doctor(&["--call", "4155550107"], &[]).await.exits(1).has("WRONG call: ", "must be E.164");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_phlo_a_text_and_a_call_are_tried_through_the_apis() {
    let world = World::without_phlo().await;
    let no_phlo = [("PHLO_ID", "")];
    let report = world.doctor(&["--send", "+14155550100", "--call", "+14155550100"], &no_phlo).await;
    report.exits(0).has("ok    send: ", "(via api)").has("ok    delivery reports: ", "up to delivered");
    report.has("ok    call: ", "(via api)").has("ok    call reports: ", "up to the end of the call");
    assert_eq!(
        (report.count("ok    flow reports"), report.out.lines().last()),
        (0, Some("all well")),
        "{}",
        report.out
    );
    let handset = world.plivo.handset("+14155550100").await;
    assert_eq!(["messages", "calls"].map(|kind| handset[kind].as_array().unwrap().len()), [1, 1], "{handset}");
    let report = world.doctor(&["--call", "+14155550109", "--watch", "60"], &no_phlo).await;
    report.exits(0).has("warn  call reports: ", "a machine answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_at_once_do_not_meet_and_do_not_alarm_the_service() {
    let world = World::start().await;
    let (env, mut runs) = (world.env(&[]), tokio::task::JoinSet::new());
    for _ in 0..24 {
        let env = env.clone();
        runs.spawn(async move { doctor(&[], &env).await });
        if runs.len() == 4 {
            runs.join_next().await.unwrap().unwrap().exits(0).has("ok    redis scripts: ", "");
        }
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap().exits(0).has("ok    redis scripts: ", "").has("ok    callback secret: ", "another is refused");
    }
    let log = world.service.process.log();
    let alarms: Vec<&str> =
        log.lines().filter(|l| l.contains(r#""level":"WARN""#) || l.contains(r#""level":"ERROR""#)).collect();
    assert!(log.contains("callback_forged_by_doctor"), "{log}");
    assert_eq!(alarms, Vec::<&str>::new());
    // A stranger's forgery is one.
    let forged =
        reqwest::Client::new().post(format!("{}/plivo/message", world.service.url)).header("X-Phlo-2fa-Probe", "a b");
    assert_eq!(forged.send().await.unwrap().status(), 401);
    until("the forgery is logged", async || world.service.process.log().contains("callback_unproved")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_url_must_be_reachable_by_plivo() {
    let redis = RedisServer::start_with(&["--appendonly", "yes"]);
    // An API on another host, which does not resolve: not the local Plivo, and unreachable.
    let real = [
        ("REDIS_URL", redis.url()),
        ("PLIVO_API_URL", "http://api.plivo.invalid".to_owned()),
        ("PLIVO_PHLO_URL", "http://phlorunner.plivo.invalid".to_owned()),
        ("PUBLIC_URL", format!("http://127.0.0.1:{}", free_port())),
    ];
    let real = real.each_ref().map(|(name, value)| (*name, value.as_str()));
    let report = doctor(&[], &env(&real)).await;
    report.exits(1).has("WRONG public url: ", "127.0.0.1").has("WRONG credentials: ", "").has("skip  number: ", "");
    let report = doctor(&[], &env(&[&real[..3], &[("PUBLIC_URL", "https://otp.invalid")]].concat())).await;
    report.exits(1).has("WRONG public url: ", "does not resolve").has("WRONG service: ", "");
}
