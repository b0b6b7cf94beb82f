//! Everything that customers, their users, Plivo and passers-by do to a service, and what they are answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::search::Needles;
use crate::support::wrong;
use crate::world::{API_KEY, CALLBACK_SECRET, Service, handset, until};

/// Numbers that a text or a call brings the code to before long.
const TOLD: [&str; 13] =
    ["0100", "0101", "0102", "0103", "0104", "0105", "0106", "0110", "0111", "0113", "0114", "0115", "0118"];
/// The others, and how the last of their attempts stands before they are given up.
const UNTOLD: [(&str, &[&str]); 6] = [
    ("0107", &["busy"]),
    ("0108", &["no_answer"]),
    ("0109", &["machine"]),
    // A slow machine may find the minute of errors over, and the text or the call under way.
    (
        "0112",
        &["triggering", "unknown", "triggered", "queued", "sent", "delivered", "ringing", "answered", "completed"],
    ),
    ("0116", &["failed"]),
    ("0117", &["undelivered"]),
];

/// What was answered, what is not to be found, and what must be.
#[derive(Default)]
pub struct Noted {
    /// Every answer: status, headers, body.
    pub answers: String,
    /// Numbers, codes and secrets that were used.
    pub needles: Needles,
    /// Verifications.
    pub ids: Vec<String>,
}

/// Somebody who visits one service.
pub struct Visitor<'a> {
    pub service: &'a Service,
    pub plivo_url: &'a str,
    pub http: reqwest::Client,
    /// The numbers are its own: `+1` and an area.
    pub area: &'static str,
    pub noted: Mutex<Noted>,
}

impl Visitor<'_> {
    /// One verification of every scenario, by itself and called, from creation to end.
    pub async fn live_through_every_scenario(&self) {
        let told = TOLD.iter().enumerate().map(|(n, last_four)| self.is_told(n, last_four));
        let untold = UNTOLD.iter().enumerate().map(|(n, (last_four, ends))| self.is_given_up(50 + n, last_four, ends));
        let called =
            ["0100", "0103", "0106"].iter().enumerate().map(|(n, last_four)| self.is_called(70 + n, last_four));
        tokio::join!(join_all(told), join_all(untold), join_all(called));
    }

    async fn is_told(&self, n: usize, last_four: &str) {
        let to = self.number(520 + n, last_four);
        // Half of the codes are the customer's own.
        let own = n.is_multiple_of(2).then(|| self.own_code(n));
        let id =
            self.create(&to, &own, json!({ "escalation": "fixed+fail:1", "metadata": { "note": self.note() } })).await;
        self.ask_about(&id, &to).await;
        let follower = self.follow(&id).await;
        let code = self.told_code(&to).await;
        self.check_wrongly(&id, &code).await;
        let checked = self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        assert_eq!(checked["result"], "verified", "{last_four}: {checked}");
        self.post(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await;
        self.ask_about(&id, &to).await;
        // It ends with the verification.
        self.record("a stream", &follower.text().await.unwrap());
    }

    async fn is_given_up(&self, n: usize, last_four: &str, ends: &[&str]) {
        let (to, code) = (self.number(520 + n, last_four), self.own_code(n));
        let id = self.create(&to, &Some(code.clone()), json!({ "escalation": "fixed+fail:1" })).await;
        self.check_wrongly(&id, &code).await;
        let is_over = |v: &Value| {
            let last = v["attempts"].as_array().unwrap().last().unwrap();
            ends.contains(&last["status"].as_str().unwrap()) || v["status"] != "pending"
        };
        self.service.until(&id, last_four, is_over).await;
        self.ask_about(&id, &to).await;
        self.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    }

    async fn is_called(&self, n: usize, last_four: &str) {
        let to = self.number(520 + n, last_four);
        let id = self.create(&to, &None, json!({ "channel": "call", "locale": "de-DE" })).await;
        self.post(&format!("/v1/verifications/{id}/activity"), json!({ "kind": "not_received" })).await;
        let code = self.told_code(&to).await;
        self.check_wrongly(&id, &code).await;
        let checked = self.post(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await;
        assert_eq!(checked["result"], "verified", "{last_four}: {checked}");
    }

    /// Creates one and joins it.
    async fn create(&self, to: &str, own: &Option<String>, more: Value) -> String {
        let mut body = json!({ "to": to, "client_ip": "203.0.113.9" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if let Some(code) = own {
            self.noted.lock().unwrap().needles.code(code);
            body["code"] = code.as_str().into();
        }
        self.noted.lock().unwrap().needles.number(to);
        let created = self.post("/v1/verifications", body.clone()).await;
        let id = created["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        self.noted.lock().unwrap().ids.push(id.clone());
        self.post("/v1/verifications", body).await;
        id
    }

    /// All that can be asked for without ending it.
    async fn ask_about(&self, id: &str, to: &str) {
        let at = |path: &str| format!("/v1/verifications/{id}{path}");
        self.post(&at("/activity"), json!({ "kind": "typing" })).await;
        self.post(&at("/attempts"), json!({ "channel": "sms" })).await;
        self.post("/v1/verifications/search", json!({ "to": to })).await;
        for path in [at(""), at("/timeline"), "/v1/verifications?limit=3".to_owned()] {
            self.get(&path).await;
        }
    }

    /// Wrong codes, and what is no body for one.
    async fn check_wrongly(&self, id: &str, code: &str) {
        let (path, wrong) = (format!("/v1/verifications/{id}/checks"), wrong(code));
        {
            let needles = &mut self.noted.lock().unwrap().needles;
            needles.code(code);
            needles.code(&wrong);
        }
        self.post(&path, json!({ "code": wrong })).await;
        self.post(&path, json!({ "code": wrong.parse::<u64>().unwrap() })).await;
        self.post(&path, json!({ "code": [wrong], wrong.clone(): wrong })).await;
        self.post(&path, json!({ wrong.clone(): wrong })).await;
        let broken = format!("{{\"code\":\"{code}\"");
        for (media, body) in
            [("application/json", &broken), ("application/json", &code.to_owned()), ("text/plain", &broken)]
        {
            let with = |request: RequestBuilder| {
                request.bearer_auth(API_KEY).header("content-type", media).body(body.to_owned())
            };
            self.send("POST", &path, with).await;
        }
    }

    async fn follow(&self, id: &str) -> reqwest::Response {
        let url = format!("{}/v1/verifications/{id}/stream", self.service.url);
        self.http.get(url).bearer_auth(API_KEY).send().await.unwrap()
    }

    /// The code as it is on the handset, once it is there.
    async fn told_code(&self, to: &str) -> String {
        let read = async || {
            let handset = handset(&self.http, self.plivo_url, to).await;
            let mut told =
                [&handset["messages"], &handset["calls"]].into_iter().flat_map(|all| all.as_array().unwrap());
            told.find_map(|one| one["code"].as_str().map(str::to_owned))
        };
        until(to, async || read().await.is_some()).await;
        read().await.unwrap()
    }

    /// The routes of the seed, which have numbers and codes in their paths.
    pub async fn use_the_old_routes(&self) {
        let (texted, called) = (self.number(610, "0100"), self.number(611, "0100"));
        for (route, to) in [("verify", &texted), ("verify_voice", &called)] {
            self.noted.lock().unwrap().needles.number(to);
            self.get(&format!("/{route}/{to}")).await;
            let code = self.told_code(to).await;
            let wrong = wrong(&code);
            for code in [&wrong, &code] {
                self.noted.lock().unwrap().needles.code(code);
                self.get(&format!("/checkcode/{to}/{code}")).await;
            }
            self.get(&format!("/{route}/{}", &to[1..])).await;
        }
        self.get(&format!("/verify/{}x", &texted[1..])).await;
        self.get("/").await;
    }

    /// Numbers are forgotten, an open one among them, and every request is sent twice with a key.
    pub async fn have_numbers_forgotten(&self) {
        let (open, ended) = (self.number(613, "0103"), self.number(614, "0100"));
        for (n, to) in [&open, &ended].into_iter().enumerate() {
            let code = self.own_code(70 + n);
            let id = self.create(to, &Some(code.clone()), json!({ "metadata": { "note": self.note() } })).await;
            if to == &ended {
                self.check_wrongly(&id, &code).await;
                self.twice(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await;
            }
            self.twice("/v1/verifications", json!({ "to": to })).await;
            self.twice("/v1/verifications/search", json!({ "to": to })).await;
            self.twice("/v1/erasures", json!({ "to": to })).await;
            let again = self.post("/v1/erasures", json!({ "to": to })).await;
            assert_eq!(again["erased"], 0, "{again}");
            let gone = self.get(&format!("/v1/verifications/{id}")).await;
            assert_eq!(gone["code"], "verification_not_found", "{gone}");
        }
        let routes = self.get("/v1/routes").await;
        assert!(routes["routes"].is_array(), "{routes}");
    }

    /// With a key of its own; the second time it is the answer to the first, or what became of it.
    async fn twice(&self, path: &str, body: Value) {
        let key = {
            let mut noted = self.noted.lock().unwrap();
            let key = format!("a-key-for-one-request-{}-{}", self.area, noted.needles.len());
            noted.needles.secret("an idempotency key", &key);
            key
        };
        for _ in 0..2 {
            let with =
                |request: RequestBuilder| request.bearer_auth(API_KEY).header("Idempotency-Key", &key).json(&body);
            self.send("POST", path, with).await;
        }
    }

    /// Whoever comes by, with what may be somebody's number or code where it does not belong.
    pub async fn come_by(&self, refs: &[String]) {
        let (to, code) = (self.number(612, "0100"), self.own_code(80));
        let mut secrets = vec!["somebody-elses-key-7351".to_owned(), "a-secret-that-was-guessed-0815".to_owned()];
        secrets.extend(["bm9uY2Utb2YtYS1mb3JnZXJ5".to_owned(), "Zm9yZ2VkLXNpZ25hdHVyZS1vZi1ub2JvZHk9".to_owned()]);
        {
            let needles = &mut self.noted.lock().unwrap().needles;
            needles.number(&to);
            needles.code(&code);
            secrets.iter().for_each(|secret| needles.secret("what was forged", secret));
        }
        let id = format!("vrf_{}", "0".repeat(34));
        for path in [
            format!("/{to}/{code}"),
            format!("/v1/verifications/{to}"),
            format!("/v1/verifications/{id}/{code}"),
            format!("/v1/verifications?to={to}&code={code}"),
            format!("/v1/verifications?status={code}"),
            format!("/v1/verifications?cursor={code}&limit={code}"),
            format!("/v1/verifications/{id}/stream?client_token={code}{to}"),
            format!("/docs/{to}/{code}"),
            format!("/livez/{to}"),
        ] {
            self.get(&path).await;
            self.send("DELETE", &path, |request| request).await;
        }
        self.send("GET", "/v1/verifications", |request| request.bearer_auth(&secrets[0])).await;
        self.send("GET", "/v1/verifications", |request| request.basic_auth(&to, Some(&code))).await;
        for id in [to.as_str(), &to[1..], &code, &format!("{to}/{code}")] {
            self.send("GET", "/livez", |request| request.header("x-request-id", id)).await;
            self.send("GET", "/nowhere", |request| request.header("x-request-id", id)).await;
        }
        self.send("GET", &format!("/nowhere?{to}"), |request| {
            request
                .header("user-agent", &to)
                .header("x-forwarded-for", &to)
                .header("referer", format!("http://x/{code}"))
        })
        .await;
        for body in [
            json!({ "to": format!("{to}0000000") }),
            json!({ "to": to[1..].to_owned() }),
            json!({ "to": to[1..].parse::<u64>().unwrap() }),
            json!({ "to": { &to: code } }),
            json!({ &to: code }),
            json!({ "to": to, "code": format!("{code}1") }),
            json!({ "to": to, "code": code.parse::<u64>().unwrap() }),
            json!({ "to": to, "channel": code, "locale": code, "escalation": to, "client_ip": to, "app_hash": to }),
            json!({ "to": to, "web_origin": to, "code_length": code, "ttl": code.parse::<u64>().unwrap() }),
            json!({ "to": to, "metadata": { &code: 1 } }),
            json!({ "to": to, "metadata": { &code: "x".repeat(1000) } }),
            json!([to, code]),
            json!(to),
        ] {
            for path in ["/v1/verifications", "/v1/checks", "/v1/verifications/search", "/v1/erasures"] {
                self.post(path, body.clone()).await;
            }
            self.twice("/v1/erasures", body).await;
        }
        self.forge_callbacks(&to, &code, &secrets, refs).await;
        for request in [
            format!("GET /checkcode/{to}/{code} HTTP/7.7\r\n\r\n"),
            format!("{to} {code}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{to} {code}\r\n\r\n"),
            format!("POST /v1/checks HTTP/1.1\r\nhost: x\r\ncontent-length: {code}{code}{code}\r\n\r\n{to}"),
        ] {
            self.say(&request);
        }
    }

    /// Reports with a number, a text and a code in them that Plivo did not send; the last ones it might have.
    async fn forge_callbacks(&self, to: &str, code: &str, secrets: &[String], refs: &[String]) {
        let fields = json!({ "MessageUUID": "none", "CallUUID": "none", "Status": "delivered", "CallStatus": "busy",
            "To": to[1..], "From": to, "Text": format!("{code} is your code"), "ErrorCode": code, "HangupCause": to,
            "Digits": code, "event": "call_failed", "cause": to, "ref": refs[0], code: to });
        let mut paths: Vec<String> = ["message", "call", "phlo"].map(|kind| format!("/plivo/{kind}")).into();
        for reference in refs.iter().chain([&secrets[1], &code.to_owned()]) {
            paths.extend(["message", "call", "answer", "phlo"].map(|kind| format!("/plivo/{kind}/{reference}")));
        }
        for secret in [secrets[1].as_str(), code, CALLBACK_SECRET] {
            paths.extend(["message", "call", "phlo"].map(|kind| format!("/plivo/{secret}/{kind}")));
            paths.extend(refs.iter().map(|reference| format!("/plivo/{secret}/phlo/{reference}")));
        }
        for path in paths {
            let signed = |request: RequestBuilder| {
                let request = request.header("x-plivo-signature-v3-nonce", &secrets[2]);
                request.header("x-plivo-signature-v3", &secrets[3]).header("x-plivo-signature-v2", &secrets[3])
            };
            self.send("POST", &path, |request| signed(request).form(&fields)).await;
            self.send("POST", &path, |request| signed(request).bearer_auth(&secrets[1]).json(&fields)).await;
            self.send("GET", &path, |request| signed(request).query(&[("To", to), ("ErrorCode", code)])).await;
        }
    }

    /// A number that nothing is ever sent to.
    pub async fn try_a_test_number(&self, to: &str, code: &str) {
        let created = self.post("/v1/verifications", json!({ "to": to, "channel": "sms" })).await;
        let id = created["id"].as_str().unwrap();
        self.ask_about(id, to).await;
        self.check_wrongly(id, code).await;
        let checked = self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        assert_eq!(checked["result"], "verified", "{checked}");
        let british = self.post("/v1/verifications", json!({ "to": "+447400123457", "channel": "sms" })).await;
        assert!(british["id"].is_string(), "{british}");
        self.noted.lock().unwrap().needles.number("+447400123457");
    }

    /// A few requests while Redis, or Plivo, is away.
    pub async fn insist(&self, nth: usize) {
        let (to, code) = (self.number(620 + nth, "0100"), self.own_code(90 + nth));
        {
            let needles = &mut self.noted.lock().unwrap().needles;
            needles.number(&to);
            needles.code(&code);
        }
        self.post("/v1/verifications", json!({ "to": to, "code": code })).await;
        self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        self.post("/v1/verifications/search", json!({ "to": to })).await;
        self.twice("/v1/erasures", json!({ "to": to })).await;
        self.get("/v1/routes").await;
        self.get(&format!("/checkcode/{to}/{code}")).await;
        let fields = json!({ "MessageUUID": "none", "Status": "delivered", "To": to });
        self.send("POST", &format!("/plivo/{CALLBACK_SECRET}/message"), |request| request.form(&fields)).await;
    }

    /// Ten digits: no time, port or id has them by chance.
    fn own_code(&self, n: usize) -> String {
        format!("90715{}{n:02}", self.area)
    }

    fn number(&self, exchange: usize, last_four: &str) -> String {
        format!("+1{}{exchange}{last_four}", self.area)
    }

    /// A number that a customer keeps with a verification: the answers give it back, nothing else has it.
    fn note(&self) -> String {
        let note = self.number(999, "9876");
        self.noted.lock().unwrap().needles.secret("metadata", &note[2..]);
        note
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, |request| request.bearer_auth(API_KEY)).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send("POST", path, |request| request.bearer_auth(API_KEY).json(&body)).await
    }

    async fn send(&self, method: &str, path: &str, with: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Value {
        let request = with(self.http.request(method.parse().unwrap(), format!("{}{path}", self.service.url)));
        let answer = request.send().await.unwrap();
        let said = format!("{} {:?}", answer.status(), answer.headers());
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        // The one answer that a token belongs in.
        match body["client_token"].as_str() {
            Some(token) => {
                self.noted.lock().unwrap().needles.secret("a client token", token);
                self.record(&said, &text.replace(token, "[token]"));
            }
            None => self.record(&said, &text),
        }
        body
    }

    /// What no client says.
    fn say(&self, request: &str) {
        let mut stream = TcpStream::connect(self.service.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut answer);
        self.record("raw", &String::from_utf8_lossy(&answer));
    }

    fn record(&self, said: &str, body: &str) {
        let answers = &mut self.noted.lock().unwrap().answers;
        answers.extend([said, " ", body, "\n"]);
    }
}
