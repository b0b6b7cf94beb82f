//! Requests of customers, users, Plivo and strangers to a service, and a record of every answer.

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

/// Scenarios in which a text or a call delivers the code.
const DELIVERED: [&str; 13] =
    ["0100", "0101", "0102", "0103", "0104", "0105", "0106", "0110", "0111", "0113", "0114", "0115", "0118"];
/// The other scenarios, with the statuses of the last attempt at which the test cancels.
const UNDELIVERED: [(&str, &[&str]); 6] = [
    ("0107", &["busy"]),
    ("0108", &["no_answer"]),
    ("0109", &["machine"]),
    // On a slow machine the minute of errors may be over, and the text or the call in flight.
    (
        "0112",
        &["triggering", "unknown", "triggered", "queued", "sent", "delivered", "ringing", "answered", "completed"],
    ),
    ("0116", &["failed"]),
    ("0117", &["undelivered"]),
];

/// The answers, and the needles and ids to look for.
#[derive(Default)]
pub struct Record {
    /// Every answer: status, headers, body.
    pub answers: String,
    /// Numbers, codes and secrets that were used.
    pub needles: Needles,
    /// Ids of verifications.
    pub ids: Vec<String>,
}

/// A client of one service.
pub struct Visitor<'a> {
    pub service: &'a Service,
    pub plivo_url: &'a str,
    pub http: reqwest::Client,
    /// The area code of its numbers, which no other visitor uses.
    pub area: &'static str,
    pub record: Mutex<Record>,
}

impl Visitor<'_> {
    /// Runs one verification of every scenario from creation to end, and three by call.
    pub async fn run_every_scenario(&self) {
        let delivered = DELIVERED.iter().enumerate().map(|(n, last_four)| self.verify(n, last_four));
        let undelivered =
            UNDELIVERED.iter().enumerate().map(|(n, (last_four, ends))| self.give_up(50 + n, last_four, ends));
        let called =
            ["0100", "0103", "0106"].iter().enumerate().map(|(n, last_four)| self.verify_by_call(70 + n, last_four));
        tokio::join!(join_all(delivered), join_all(undelivered), join_all(called));
    }

    async fn verify(&self, n: usize, last_four: &str) {
        let to = self.number(520 + n, last_four);
        // Half of the verifications have the customer's own code.
        let own = n.is_multiple_of(2).then(|| self.own_code(n));
        let id = self
            .create(&to, &own, json!({ "escalation": "fixed+fail:1", "metadata": { "note": self.metadata_note() } }))
            .await;
        self.read_and_resend(&id, &to).await;
        let follower = self.follow(&id).await;
        let code = self.received_code(&to).await;
        self.submit_wrong_codes(&id, &code).await;
        // The second creation shares the code, so the number alone does not say whose it is.
        let ambiguous = self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        assert_eq!(ambiguous["code"], "ambiguous_check", "{last_four}: {ambiguous}");
        let checked = self.post(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await;
        assert_eq!(checked["result"], "verified", "{last_four}: {checked}");
        self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        self.read_and_resend(&id, &to).await;
        // The stream ends with the verification.
        self.record_answer("a stream", &follower.text().await.unwrap());
    }

    async fn give_up(&self, n: usize, last_four: &str, ends: &[&str]) {
        let (to, code) = (self.number(520 + n, last_four), self.own_code(n));
        let id = self.create(&to, &Some(code.clone()), json!({ "escalation": "fixed+fail:1" })).await;
        self.submit_wrong_codes(&id, &code).await;
        let is_over = |v: &Value| {
            let last = v["attempts"].as_array().unwrap().last().unwrap();
            ends.contains(&last["status"].as_str().unwrap()) || v["status"] != "pending"
        };
        self.service.until(&id, last_four, is_over).await;
        self.read_and_resend(&id, &to).await;
        self.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    }

    async fn verify_by_call(&self, n: usize, last_four: &str) {
        let to = self.number(520 + n, last_four);
        let id = self.create(&to, &None, json!({ "channel": "call", "locale": "de-DE" })).await;
        self.post(&format!("/v1/verifications/{id}/activity"), json!({ "kind": "not_received" })).await;
        let code = self.received_code(&to).await;
        self.submit_wrong_codes(&id, &code).await;
        let checked = self.post(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await;
        assert_eq!(checked["result"], "verified", "{last_four}: {checked}");
    }

    /// Creates a verification and joins it.
    async fn create(&self, to: &str, own: &Option<String>, more: Value) -> String {
        let mut body = json!({ "to": to, "client_ip": "203.0.113.9" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if let Some(code) = own {
            self.record.lock().unwrap().needles.code(code);
            body["code"] = code.as_str().into();
        }
        self.record.lock().unwrap().needles.number(to);
        let created = self.post("/v1/verifications", body.clone()).await;
        let id = created["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        self.record.lock().unwrap().ids.push(id.clone());
        self.post("/v1/verifications", body).await;
        id
    }

    /// Sends every request that does not end the verification.
    async fn read_and_resend(&self, id: &str, to: &str) {
        let at = |path: &str| format!("/v1/verifications/{id}{path}");
        self.post(&at("/activity"), json!({ "kind": "typing" })).await;
        self.post(&at("/attempts"), json!({ "channel": "sms" })).await;
        self.post("/v1/verifications/search", json!({ "to": to })).await;
        for path in [at(""), at("/timeline"), "/v1/verifications?limit=3".to_owned()] {
            self.get(&path).await;
        }
    }

    /// Submits wrong codes and invalid bodies.
    async fn submit_wrong_codes(&self, id: &str, code: &str) {
        let (path, wrong) = (format!("/v1/verifications/{id}/checks"), wrong(code));
        {
            let needles = &mut self.record.lock().unwrap().needles;
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

    /// Waits until the code is on the handset and returns it.
    async fn received_code(&self, to: &str) -> String {
        let read = async || {
            let handset = handset(&self.http, self.plivo_url, to).await;
            let mut received =
                [&handset["messages"], &handset["calls"]].into_iter().flat_map(|all| all.as_array().unwrap());
            received.find_map(|message| message["code"].as_str().map(str::to_owned))
        };
        until(to, async || read().await.is_some()).await;
        read().await.unwrap()
    }

    /// Uses the legacy routes, which have numbers and codes in their paths.
    pub async fn use_legacy_routes(&self) {
        let (texted, called) = (self.number(610, "0100"), self.number(611, "0100"));
        for (route, to) in [("verify", &texted), ("verify_voice", &called)] {
            self.record.lock().unwrap().needles.number(to);
            self.get(&format!("/{route}/{to}")).await;
            let code = self.received_code(to).await;
            let wrong = wrong(&code);
            for code in [&wrong, &code] {
                self.record.lock().unwrap().needles.code(code);
                self.get(&format!("/checkcode/{to}/{code}")).await;
            }
            self.get(&format!("/{route}/{}", &to[1..])).await;
        }
        self.get(&format!("/verify/{}x", &texted[1..])).await;
        self.get("/").await;
    }

    /// Uses Twilio's API, with numbers in bodies and paths. An answer repeats the number only if the request names it.
    pub async fn use_twilio_routes(&self) {
        let (to, code) = (self.number(615, "0100"), self.own_code(60));
        let wrong = wrong(&code);
        {
            let needles = &mut self.record.lock().unwrap().needles;
            needles.number(&to);
            [&code, &wrong].into_iter().for_each(|code| needles.code(code));
        }
        let repeated = format!("\"{to}\"");
        let send = async |method: &str, path: &str, form: Value| {
            let path = format!("/compat/twilio/v2/Services/VA0/{path}");
            let with = |request: RequestBuilder| request.basic_auth("shop", Some(API_KEY)).form(&form);
            self.send_and_hide(&repeated, method, &path, with).await
        };
        let creation = json!({ "To": to, "Channel": "sms", "CustomCode": code });
        let created = send("POST", "Verifications", creation.clone()).await;
        let sid = created["sid"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        send("POST", "Verifications", creation).await;
        for name in [to.as_str(), &sid, &code, &to[1..]] {
            send("GET", &format!("Verifications/{name}"), json!({})).await;
            send("POST", &format!("Verifications/{name}"), json!({ "Status": code })).await;
        }
        for other in [json!({ "To": to, "Channel": code, "Locale": to }), json!({ "To": to[1..], "Channel": "sms" })] {
            send("POST", "Verifications", other).await;
        }
        for code in [&wrong, &format!("{code}1"), &to, &code] {
            send("POST", "VerificationCheck", json!({ "To": to, "Code": code })).await;
        }
        let approved = send("GET", &format!("Verifications/{sid}"), json!({})).await;
        assert_eq!(approved["status"], "approved", "{approved}");
    }

    /// Erases a number with an open verification and one with an ended one. Sends each request twice with a key.
    pub async fn erase_numbers(&self) {
        let (open, ended) = (self.number(613, "0103"), self.number(614, "0100"));
        for (n, to) in [&open, &ended].into_iter().enumerate() {
            let code = self.own_code(70 + n);
            let id =
                self.create(to, &Some(code.clone()), json!({ "metadata": { "note": self.metadata_note() } })).await;
            if to == &ended {
                self.submit_wrong_codes(&id, &code).await;
                self.post_twice(&format!("/v1/verifications/{id}/checks"), json!({ "code": code })).await;
            }
            self.post_twice("/v1/verifications", json!({ "to": to })).await;
            self.post_twice("/v1/verifications/search", json!({ "to": to })).await;
            self.post_twice("/v1/erasures", json!({ "to": to })).await;
            let again = self.post("/v1/erasures", json!({ "to": to })).await;
            assert_eq!(again["erased"], 0, "{again}");
            let gone = self.get(&format!("/v1/verifications/{id}")).await;
            assert_eq!(gone["code"], "verification_not_found", "{gone}");
        }
        let routes = self.get("/v1/routes").await;
        assert!(routes["routes"].is_array(), "{routes}");
    }

    /// Posts twice with one idempotency key.
    async fn post_twice(&self, path: &str, body: Value) {
        let key = {
            let mut record = self.record.lock().unwrap();
            let key = format!("a-key-for-one-request-{}-{}", self.area, record.needles.len());
            record.needles.secret("an idempotency key", &key);
            key
        };
        for _ in 0..2 {
            let with =
                |request: RequestBuilder| request.bearer_auth(API_KEY).header("Idempotency-Key", &key).json(&body);
            self.send("POST", path, with).await;
        }
    }

    /// Sends requests of strangers, with numbers and codes in every wrong place.
    pub async fn send_foreign_requests(&self, refs: &[String]) {
        let (to, code) = (self.number(612, "0100"), self.own_code(80));
        let mut secrets = vec!["an-unknown-api-key-7351".to_owned(), "a-guessed-secret-0815".to_owned()];
        secrets.extend(["bm9uY2Utb2YtYS1mb3JnZXJ5".to_owned(), "Zm9yZ2VkLXNpZ25hdHVyZS1vZi1ub2JvZHk9".to_owned()]);
        {
            let needles = &mut self.record.lock().unwrap().needles;
            needles.number(&to);
            needles.code(&code);
            secrets.iter().for_each(|secret| needles.secret("a forged secret", secret));
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
            self.post_twice("/v1/erasures", body).await;
        }
        self.forge_callbacks(&to, &code, &secrets, refs).await;
        for request in [
            format!("GET /checkcode/{to}/{code} HTTP/7.7\r\n\r\n"),
            format!("{to} {code}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\n{to} {code}\r\n\r\n"),
            format!("POST /v1/checks HTTP/1.1\r\nhost: x\r\ncontent-length: {code}{code}{code}\r\n\r\n{to}"),
        ] {
            self.send_raw(&request);
        }
    }

    /// Sends forged callbacks with a number, a text and a code. The last ones have the right callback secret.
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

    /// Verifies a test number, to which nothing is sent.
    pub async fn try_a_test_number(&self, to: &str, code: &str) {
        let created = self.post("/v1/verifications", json!({ "to": to, "channel": "sms" })).await;
        let id = created["id"].as_str().unwrap();
        self.read_and_resend(id, to).await;
        self.submit_wrong_codes(id, code).await;
        let checked = self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        assert_eq!(checked["result"], "verified", "{checked}");
        let british = self.post("/v1/verifications", json!({ "to": "+447400123457", "channel": "sms" })).await;
        assert!(british["id"].is_string(), "{british}");
        self.record.lock().unwrap().needles.number("+447400123457");
    }

    /// Sends a few requests while Redis or Plivo is down.
    pub async fn send_during_outage(&self, nth: usize) {
        let (to, code) = (self.number(620 + nth, "0100"), self.own_code(90 + nth));
        {
            let needles = &mut self.record.lock().unwrap().needles;
            needles.number(&to);
            needles.code(&code);
        }
        self.post("/v1/verifications", json!({ "to": to, "code": code })).await;
        self.post("/v1/checks", json!({ "to": to, "code": code })).await;
        self.post("/v1/verifications/search", json!({ "to": to })).await;
        self.post_twice("/v1/erasures", json!({ "to": to })).await;
        self.get("/v1/routes").await;
        self.get(&format!("/checkcode/{to}/{code}")).await;
        let fields = json!({ "MessageUUID": "none", "Status": "delivered", "To": to });
        self.send("POST", &format!("/plivo/{CALLBACK_SECRET}/message"), |request| request.form(&fields)).await;
    }

    /// A code of ten digits, which no time, port or id contains by chance.
    fn own_code(&self, n: usize) -> String {
        format!("90715{}{n:02}", self.area)
    }

    fn number(&self, exchange: usize, last_four: &str) -> String {
        format!("+1{}{exchange}{last_four}", self.area)
    }

    /// A number for the metadata, which only answers may contain.
    fn metadata_note(&self) -> String {
        let note = self.number(999, "9876");
        self.record.lock().unwrap().needles.secret("metadata", &note[2..]);
        note
    }

    async fn get(&self, path: &str) -> Value {
        self.send("GET", path, |request| request.bearer_auth(API_KEY)).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send("POST", path, |request| request.bearer_auth(API_KEY).json(&body)).await
    }

    async fn send(&self, method: &str, path: &str, with: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Value {
        self.send_and_hide("", method, path, with).await
    }

    /// Sends a request, and records the answer without a text that it may repeat.
    async fn send_and_hide(
        &self,
        repeated: &str,
        method: &str,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Value {
        let request = with(self.http.request(method.parse().unwrap(), format!("{}{path}", self.service.url)));
        let answer = request.send().await.unwrap();
        let head = format!("{} {:?}", answer.status(), answer.headers());
        let text = answer.text().await.unwrap();
        let text = if repeated.is_empty() { text } else { text.replace(repeated, r#""[repeated]""#) };
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        // Only this answer may contain the token.
        match body["client_token"].as_str() {
            Some(token) => {
                self.record.lock().unwrap().needles.secret("a client token", token);
                self.record_answer(&head, &text.replace(token, "[token]"));
            }
            None => self.record_answer(&head, &text),
        }
        body
    }

    /// Sends raw bytes, for requests that no HTTP client makes.
    fn send_raw(&self, request: &str) {
        let mut stream = TcpStream::connect(self.service.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut answer);
        self.record_answer("raw", &String::from_utf8_lossy(&answer));
    }

    fn record_answer(&self, head: &str, body: &str) {
        let answers = &mut self.record.lock().unwrap().answers;
        answers.extend([head, " ", body, "\n"]);
    }
}
