//! Searches everything that a service writes for codes, keys and full numbers.
//!
//! Two services run through every scenario. Then the test searches their logs, metrics, answers, Redis data, Redis
//! commands and requests to Plivo.

mod search;
mod visits;

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::client;
use crate::support::redis_server::RedisServer;
use crate::world::{
    API_KEY, AUTH_ID, AUTH_TOKEN, CALLBACK_SECRET, NUMBER, SECRET_KEY, Service, get_json, service_and_plivo,
};
use search::Needles;
use visits::Visitor;

const BRITISH_SENDER: &str = "+447400123456";
const TEST_NUMBER: &str = "+15555550142";
const TEST_CODE: &str = "9071534142";

#[tokio::test(flavor = "multi_thread")]
async fn no_code_key_or_number_leaks() {
    let mut redis = RedisServer::start();
    let mut commands = vec![Commands::watch(&redis)];
    let (mut by_phlo, plivo, plivo_url) = service_and_plivo("50", &settings(&redis.url())).await;
    // The second one has no PHLO, asks for a key press, and logs for people. Colours would split the needles.
    let more = [("PHLO_ID", ""), ("VOICE_CONFIRM", "true"), ("LOG_FORMAT", "pretty"), ("NO_COLOR", "1")];
    let urls = [("PLIVO_API_URL", plivo_url.as_str()), ("PLIVO_PHLO_URL", &plivo_url)];
    let mut by_api = Service::start(&[&settings(&redis.url())[..], &urls, &more].concat()).await;
    let visitor =
        |service, area| Visitor { service, plivo_url: &plivo_url, http: client(), area, record: Mutex::default() };
    let (first, second) = (visitor(&by_phlo, "415"), visitor(&by_api, "212"));
    let visitors = [&first, &second];

    for visitor in visitors {
        visitor.service.until_ready().await;
    }
    tokio::join!(first.run_every_scenario(), second.run_every_scenario());
    let urls = Urls::read(&plivo_url).await;
    for visitor in visitors {
        visitor.use_legacy_routes().await;
        visitor.use_twilio_routes().await;
        visitor.send_foreign_requests(&urls.one_ref_of_each_kind()).await;
        visitor.try_a_test_number(TEST_NUMBER, TEST_CODE).await;
        visitor.erase_numbers().await;
    }
    let outage = async |what: Value| client().post(format!("{plivo_url}/outage")).json(&what).send().await.unwrap();
    outage(json!({ "seconds": 600, "status": 500 })).await;
    tokio::join!(first.send_during_outage(0), second.send_during_outage(0));
    outage(json!({ "seconds": 0 })).await;
    let mut stored = redis.everything();
    redis.kill();
    tokio::join!(first.send_during_outage(1), second.send_during_outage(1));
    redis.restart();
    commands.push(Commands::watch(&redis));
    for visitor in visitors {
        visitor.service.until_ready().await;
    }
    tokio::join!(first.send_during_outage(2), second.send_during_outage(2));
    stored += &redis.everything();

    let metrics = [by_phlo.get("/metrics").await, by_api.get("/metrics").await];
    let (first, second) = (first.record.into_inner().unwrap(), second.record.into_inner().unwrap());
    let urls = Urls::read(&plivo_url).await;
    let mut needles = secrets_of_the_operator();
    for record in [&first, &second] {
        needles.extend(&record.needles);
    }
    urls.refs.iter().for_each(|reference| needles.secret("a ref", reference));
    for service in [&mut by_phlo, &mut by_api] {
        service.process.terminate();
        service.process.end().await;
    }

    // Two exceptions: callback URLs contain refs, and answers contain the customer's metadata.
    let in_urls = needles.without(&["a ref"]);
    let in_answers = needles.without(&["metadata"]);
    let logged = |service: &Service| format!("{}{}", service.process.log(), service.process.output());
    let has_ids = |log: &str, ids: &[String]| ids.iter().all(|id| log.contains(id.as_str()));
    let (log_by_phlo, log_by_api) = (logged(&by_phlo), logged(&by_api));
    assert!(log_by_phlo.contains("\"+1••••••••00\"") && has_ids(&log_by_phlo, &first.ids));
    assert!(log_by_api.contains("to=+1••••••••00") && has_ids(&log_by_api, &second.ids));
    assert!([&log_by_phlo, &log_by_api].iter().all(|log| log.contains("number_erased")));
    assert!([&first, &second].iter().all(|record| record.answers.contains("\"idempotent-replayed\": \"true\"")));
    assert!(log_by_phlo.contains("\"level\":\"TRACE\"") && log_by_api.contains(" TRACE "));
    let commands: String = commands.into_iter().map(Commands::end).collect();
    let haystacks = [
        ("the log of the service with a PHLO", log_by_phlo, &needles, "\"verification_ended\""),
        ("the log of the service without one", log_by_api, &needles, "verification_ended"),
        ("the metrics", metrics.map(|answer| answer.body.as_str().unwrap().to_owned()).concat(), &needles, "phlo2fa_"),
        ("the answers with a PHLO", first.answers, &in_answers, "+1••••••••00"),
        ("the answers without one", second.answers, &in_answers, "+1••••••••00"),
        ("the URLs requested from and given to Plivo", urls.text, &in_urls, "/plivo/answer/"),
        ("Redis", stored, &needles, "phlo2fa:{"),
        ("the commands to Redis", commands, &needles, "phlo2fa:{"),
        ("the log of the local Plivo", format!("{}{}", plivo.log(), plivo.output()), &needles, "listens on"),
    ];
    for status in ["200 ", "201 ", "400 ", "401 ", "404 ", "405 ", "409 ", "415 ", "422 ", "429 ", "503 "] {
        assert!(
            haystacks[3..5].iter().all(|(_, answers, ..)| has_line(answers, status)),
            "no answer has the status {status}"
        );
    }
    let mut leaks = Vec::new();
    for (place, text, needles, witness) in &haystacks {
        println!("{place}: {} lines, {} bytes, {} needles", text.lines().count(), text.len(), needles.len());
        assert!(text.contains(witness), "{place} lacks {witness}");
        let found = needles.find(text);
        leaks.extend(found.into_iter().map(|(what, line)| format!("{what} in {place}: {line}")));
        // The search would find each needle in this text.
        let planted: String = needles.all().map(|needle| format!("\"{needle}\"\n{text:.1000}\n")).collect();
        assert_eq!(needles.find(&planted).len(), needles.len(), "the search misses planted needles in {place}");
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    let kept: Vec<_> = haystacks[3..5].iter().map(|(_, text, ..)| needles.find(text)).collect();
    assert!(
        kept.iter().all(|kept| kept.iter().any(|(what, _)| what == "metadata")),
        "the answers contain the metadata"
    );
}

fn has_line(text: &str, start: &str) -> bool {
    text.lines().any(|line| line.starts_with(start))
}

/// The secrets of the deployment.
fn secrets_of_the_operator() -> Needles {
    let mut needles = Needles::default();
    let key = STANDARD.decode(SECRET_KEY).unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    for (what, secret) in [
        ("the API key", API_KEY),
        ("the auth token", AUTH_TOKEN),
        ("the callback secret", CALLBACK_SECRET),
        ("the secret key", SECRET_KEY.trim_end_matches('=')),
        ("the secret key", &URL_SAFE_NO_PAD.encode(&key)),
        ("the secret key", &String::from_utf8(key).unwrap()),
        ("the secret key", &hex),
        // As Basic authentication sends them.
        ("the credentials", STANDARD.encode(format!("{AUTH_ID}:{AUTH_TOKEN}")).trim_end_matches('=')),
        ("the credentials", STANDARD.encode(format!("shop:{API_KEY}")).trim_end_matches('=')),
    ] {
        needles.secret(what, secret);
    }
    [NUMBER, BRITISH_SENDER, TEST_NUMBER].iter().for_each(|number| needles.number(number));
    needles.code(TEST_CODE);
    needles
}

fn settings(redis_url: &str) -> Vec<(&str, &str)> {
    const SENDERS: &str = "GB=+447400123456,IN=SHOPIN";
    const TEST_NUMBERS: &str = "+15555550142:9071534142";
    vec![
        ("REDIS_URL", redis_url),
        ("PLIVO_TIMEOUT", "1"),
        ("COUNTRIES", "US,CA,GB"),
        ("LEGACY_ROUTES", "true"),
        ("BRAND", "Shop"),
        ("SENDERS", SENDERS),
        ("TEST_NUMBERS", TEST_NUMBERS),
        // The greatest length: six digits would occur by chance.
        ("CODE_LENGTH", "9"),
        ("RUST_LOG", "trace"),
    ]
}

/// The requests to Plivo: their paths, callback URLs and refs.
struct Urls {
    text: String,
    refs: Vec<String>,
}

impl Urls {
    async fn read(plivo_url: &str) -> Self {
        let (mut text, mut refs) = (String::new(), Vec::new());
        let log = get_json(&client(), &format!("{plivo_url}/log")).await;
        for entry in log.as_array().unwrap() {
            text += &format!("{} {}\n", entry["method"], entry["path"]);
            for (name, value) in entry["body"].as_object().into_iter().flatten() {
                let Some(value) = value.as_str() else { continue };
                if name == "ref" {
                    refs.push(value.to_owned());
                } else if value.starts_with("http") {
                    text += &format!("{name} {value}\n");
                    refs.extend(value.rsplit('/').next().map(str::to_owned));
                }
            }
        }
        refs.sort();
        refs.dedup();
        Self { text, refs }
    }

    /// Eight refs for forged callbacks, spread over all.
    fn one_ref_of_each_kind(&self) -> Vec<String> {
        let all = &self.refs;
        (0..8).map(|n| all[n * (all.len() - 1) / 7].clone()).collect()
    }
}

/// Every command to Redis, as `MONITOR` reports it.
struct Commands {
    text: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
    stream: std::net::TcpStream,
}

impl Commands {
    fn watch(redis: &RedisServer) -> Self {
        let stream = redis.send(&["MONITOR"]);
        let text = Arc::<Mutex<String>>::default();
        let (mut from, to) = (BufReader::new(stream.try_clone().unwrap()), Arc::clone(&text));
        let mut first = String::new();
        from.read_line(&mut first).unwrap();
        assert_eq!(first.trim_end(), "+OK");
        let reader = std::thread::spawn(move || {
            let mut line = Vec::new();
            while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader, stream }
    }

    fn end(self) -> String {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        self.reader.join().unwrap();
        Arc::try_unwrap(self.text).unwrap().into_inner().unwrap()
    }
}
