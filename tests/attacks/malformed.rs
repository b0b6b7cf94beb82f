//! Random malformed requests: each is answered in time, without a 5xx, and as the OpenAPI document says.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use phlo_2fa::http::openapi;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::raw::{Response, ask};
use crate::support::{CALLBACK_SECRET, Setup, TestApp};

const AT_ONCE: usize = 16;
/// Longer than the ten seconds in which a body must arrive.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_get_documented_answers() {
    attack(3_000, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-attacks"]
async fn fifty_thousand_malformed_requests_get_documented_answers() {
    attack(50_000, 2).await;
}

async fn attack(requests: usize, seed: u64) {
    let env = [("GUARD", "monitor"), ("DAILY_BUDGET", "1000000"), ("PLIVO_WAIT", "0")];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    let app = TestApp::spawn_with(Setup { env, ..Setup::default() }).await;
    let created = app.post("/v1/verifications", json!({ "to": "+14155550103", "escalation": "never" })).await;
    let document = Document::read();
    let mut forger = Forger { rng: StdRng::seed_from_u64(seed), id: created.id().to_owned() };
    let asking = iter((0..requests).map(|_| forger.request())).map(|forged| {
        let url = app.url.clone();
        async move {
            let answer = ask(&url, &forged.bytes, PATIENCE).await;
            (forged, answer)
        }
    });
    let mut answers = asking.buffer_unordered(AT_ONCE);
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    while let Some((forged, answer)) = answers.next().await {
        let shown = || String::from_utf8_lossy(&forged.bytes[..forged.bytes.len().min(2_000)]).into_owned();
        let answer = answer.unwrap_or_else(|| panic!("no answer in time to {}", shown()));
        *counts.entry(answer.status).or_default() += 1;
        if let Err(why) = document.judge(&forged, &answer) {
            panic!(
                "{why}\n--- request\n{}\n--- answer\n{}\n{}",
                shown(),
                answer.head,
                String::from_utf8_lossy(&answer.body)
            );
        }
    }
    assert_eq!(app.get("/v1/verifications").await.status, 200);
    println!("malformed: {requests} requests, no 5xx, all answers documented and in time; by status {counts:?}");
}

/// A request as it goes over the wire.
struct Forged {
    method: &'static str,
    /// The path pattern in the document; empty if the path matches none.
    path: &'static str,
    /// Whether it is valid HTTP.
    is_plain: bool,
    bytes: Vec<u8>,
}

/// The OpenAPI document, as the judge of answers.
struct Document(Value);

impl Document {
    fn read() -> Self {
        let mut document = openapi::document();
        let callbacks = openapi::callbacks()["paths"].as_object().unwrap().clone();
        document["paths"].as_object_mut().unwrap().extend(callbacks);
        Self(document)
    }

    fn judge(&self, forged: &Forged, answer: &Response) -> Result<(), String> {
        let status = answer.status;
        // actix itself answers, or closes, a request that is not valid HTTP.
        if !forged.is_plain && matches!(status, 0 | 400 | 408 | 417 | 431) {
            return Ok(());
        }
        if !(200..500).contains(&status) {
            return Err(format!("status {status}"));
        }
        if status >= 400 && forged.method != "HEAD" {
            let problem: Value =
                serde_json::from_slice(&answer.body).map_err(|_| "the error body is not JSON".to_owned())?;
            let is_complete =
                problem["code"].is_string() && problem["status"] == status && problem["request_id"].is_string();
            if answer.header("content-type") != "application/problem+json" || !is_complete {
                return Err("the problem lacks a field".to_owned());
            }
        }
        if answer.header("cache-control") != "no-store" || answer.header("x-request-id").is_empty() {
            return Err("a header is missing".to_owned());
        }
        if !forged.is_plain || forged.path.is_empty() {
            return Ok(());
        }
        let operations = &self.0["paths"][forged.path];
        match operations.get(forged.method.to_lowercase()) {
            Some(operation) => {
                let names = [status.to_string(), format!("{}XX", status / 100)];
                let is_known = names.iter().any(|name| !operation["responses"][name].is_null());
                if is_known { Ok(()) } else { Err(format!("{status} is not documented for {}", forged.path)) }
            }
            // Monitors use HEAD, which the document leaves out.
            None if matches!(forged.path, "/livez" | "/readyz") && forged.method == "HEAD" => Ok(()),
            // A browser asks before a page of another site may post there.
            None if forged.method == "OPTIONS" && status == 204 && is_open_to_pages(forged.path) => Ok(()),
            None if operations.is_null() => Ok(()),
            None if status == 405 && !answer.header("allow").is_empty() => Ok(()),
            None => Err(format!("{status} to an undocumented method")),
        }
    }
}

fn is_open_to_pages(path: &str) -> bool {
    matches!(path, "/v1/verifications/{id}/activity" | "/v1/verifications/{id}/attempts")
}

/// The attacked paths, each with a valid body.
const ROUTES: &[(&str, &str)] = &[
    ("/v1/verifications", r#"{"to":"+14155550199","channel":"auto","ttl":300,"metadata":{"a":"b"},"locale":"en-US"}"#),
    ("/v1/verifications/search", r#"{"to":"+14155550103","cursor":"x"}"#),
    ("/v1/verifications/{id}", ""),
    ("/v1/verifications/{id}/checks", r#"{"code":"042917"}"#),
    ("/v1/verifications/{id}/attempts", r#"{"channel":"call"}"#),
    ("/v1/verifications/{id}/cancel", "{}"),
    ("/v1/verifications/{id}/activity", r#"{"kind":"typing"}"#),
    ("/v1/verifications/{id}/timeline", ""),
    ("/v1/routes", ""),
    ("/v1/checks", r#"{"to":"+14155550103","code":"042917"}"#),
    ("/v1/erasures", r#"{"to":"+14155550188","cursor":"x"}"#),
    ("/plivo/message", "MessageUUID=x&Status=delivered&ErrorCode=000"),
    ("/plivo/call", "CallUUID=x&CallStatus=completed"),
    ("/plivo/phlo", r#"{"ref":"x","event":"sms_sent"}"#),
    ("/plivo/phlo/{ref}", r#"{"event":"call_busy","cause":"x"}"#),
    ("/plivo/message/{ref}", "MessageUUID=x&Status=failed"),
    ("/plivo/call/{ref}", "CallUUID=x"),
    ("/plivo/answer/{ref}", "CallUUID=x&Digits=1"),
    ("/plivo/{secret}/message", "MessageUUID=x&Status=queued&MCC=310&MNC=150"),
    ("/plivo/{secret}/call", r#"{"CallUUID":"x","Event":"Ring","HangupCauseCode":"3010"}"#),
    ("/plivo/{secret}/phlo", r#"{"ref":"x","event":"call_answered"}"#),
    ("/plivo/{secret}/phlo/{ref}", ""),
    ("/livez", ""),
    ("/readyz", ""),
    ("/metrics", ""),
    ("/openapi.json", ""),
    ("/docs", ""),
];
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "BREW"];
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\0",
    "\\u0000",
    "\\ud800",
    "1e999",
    "-0",
    "null",
    "true",
    "%",
    "%00",
    "%ff",
    "%zz",
    "&",
    "=",
    ";",
    "+",
    "/",
    "..",
    "\u{202e}",
    "📞",
    "٣",
    "\r",
    "\n",
    "' OR 1=1 --",
    "<script>",
    "{{",
    "${x}",
];
const KINDS: &[&str] = &[
    "application/json; charset=utf-8",
    "application/x-www-form-urlencoded",
    "application/problem+json",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/xml",
    "",
    "x",
    "/;;",
];

/// Generates malformed requests.
struct Forger {
    rng: StdRng,
    id: String,
}

impl Forger {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn request(&mut self) -> Forged {
        let (path, body) = self.one(ROUTES);
        let usual = if body.is_empty() { "GET" } else { "POST" };
        let method = if self.chance(75) { usual } else { self.one(METHODS) };
        let mut forged = Forged { method, path, is_plain: true, bytes: Vec::new() };
        let mut target = self.filled(path);
        if self.chance(10) {
            // A path that the document does not have.
            let piece = self.encoded();
            let at = self.rng.random_range(1..=target.len());
            target.insert_str(at, &piece);
            forged.path = "";
        }
        if self.chance(30) {
            let (name, value) = (self.one(&["status", "cursor", "limit", "client_token", "x"]), self.encoded());
            target += &format!("?{name}={value}&{}", self.encoded());
        }
        let body = self.body(body);
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        if self.chance(85) {
            head += "Authorization: Bearer demo\r\n";
        } else if self.chance(50) {
            head += &format!("Authorization: {}\r\n", self.printable(40));
        }
        let kind = if self.chance(70) { "application/json" } else { self.one(KINDS) };
        head += &format!("Content-Type: {kind}\r\n");
        for _ in 0..self.rng.random_range(0..3) {
            let name = self.one(&[
                "X-Request-Id",
                "Prefer",
                "Idempotency-Key",
                "Accept",
                "X-Forwarded-For",
                "X-Plivo-Signature-V3",
                "Range",
                "X-Plivo-Signature-V3-Nonce",
                "X-Plivo-Signature-V2",
                "Content-Encoding",
                "If-Match",
                "Cookie",
                "X-Odd",
            ]);
            let length = self.rng.random_range(0..200);
            // A key with blanks is refused at once, so half of the keys have none.
            let is_key = name == "Idempotency-Key" && self.chance(50);
            let value = if is_key { self.encoded() } else { self.printable(length) };
            head += &format!("{name}: {value}\r\n");
        }
        match self.rng.random_range(0..20) {
            // Not HTTP: an invalid length, chunks that are none, missing bytes, a broken header line.
            0 => {
                forged.is_plain = false;
                head +=
                    &format!("Content-Length: {}\r\n", self.one(&["-1", "x", "99999999999999999999", "5, 6", "0x10"]));
            }
            1 => {
                forged.is_plain = false;
                head += "Transfer-Encoding: chunked\r\n";
            }
            2 => {
                forged.is_plain = false;
                let more = self.rng.random_range(1..9);
                head += &format!("Content-Length: {}\r\n", body.len() + more);
            }
            3 => {
                forged.is_plain = false;
                head += &format!("{}\r\nContent-Length: {}\r\n", self.printable(30), body.len());
            }
            _ => head += &format!("Content-Length: {}\r\n", body.len()),
        }
        forged.bytes = [head.as_bytes(), b"\r\n", &body].concat();
        if self.chance(3) {
            forged.is_plain = false;
            let at = self.rng.random_range(0..forged.bytes.len().min(80));
            forged.bytes[at] = self.rng.random();
        }
        forged
    }

    fn filled(&mut self, path: &str) -> String {
        let id = if self.chance(60) { self.id.clone() } else { self.encoded() };
        let secret = if self.chance(60) { CALLBACK_SECRET.to_owned() } else { self.encoded() };
        path.replace("{id}", &id).replace("{secret}", &secret).replace("{ref}", &self.encoded())
    }

    /// A non-empty path segment that no route uses.
    fn encoded(&mut self) -> String {
        let length = self.rng.random_range(1..30);
        let byte = |rng: &mut StdRng| match rng.random_range(0..4) {
            0 => format!("%{:02X}", rng.random::<u8>()),
            _ => char::from(b"abcdefXYZ0123456789-._~"[rng.random_range(0..23)]).to_string(),
        };
        (0..length).fold("z".to_owned(), |text, _| text + &byte(&mut self.rng)).replace("%2F", "%2E")
    }

    fn printable(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.rng.random_range(b' '..=b'~'))).collect()
    }

    /// A valid body, a mutation of it, or random bytes.
    fn body(&mut self, like: &str) -> Vec<u8> {
        let mut body = like.as_bytes().to_vec();
        match self.rng.random_range(0..10) {
            0 => return (0..self.rng.random_range(0..300)).map(|_| self.rng.random()).collect(),
            1 => {
                return self
                    .one(&["[", "{\"a\":", "\"", "1e9", "[[[[[["])
                    .repeat(self.rng.random_range(1..20_000))
                    .into_bytes();
            }
            2 => return vec![b' '; self.rng.random_range(60_000..70_000)],
            3 => return Vec::new(),
            4 => return body,
            _ => {}
        }
        for _ in 0..self.rng.random_range(1..5) {
            let at = self.rng.random_range(0..=body.len());
            let to = self.rng.random_range(at..=body.len().min(at + 6));
            let piece = if self.chance(80) { self.one(PIECES).as_bytes().to_vec() } else { vec![self.rng.random()] };
            body.splice(at..to, piece);
        }
        body
    }
}
