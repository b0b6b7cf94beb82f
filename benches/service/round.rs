//! One target in one round: what is measured, in which order.

use std::time::Duration;

use serde_json::Value;

use crate::load::{Answers, Expected, send};
use crate::redis_work::RedisWork;
use crate::settings::Settings;
use crate::target::{API_KEY, Running, Target};

const CODE: &str = "042917";
const WRONG_CODE: &str = "170924";
const CREATED: Expected = Expected { status: 201, word: "pending" };
const VERIFIED: Expected = Expected { status: 200, word: "verified" };
const INCORRECT: Expected = Expected { status: 200, word: "incorrect" };

/// Operations before the measured ones: they load scripts, fill pools and warm the caches of the processor.
const WARM_UP: usize = 300;

/// The figures of one round, by name, in the order of the table.
pub type Figures = Vec<(String, f64)>;

/// Measures a target once. `numbers` continues from round to round, so that no number is used twice.
pub fn measure(target: &Target, plivo_url: &str, settings: &Settings, numbers: &mut u32) -> Figures {
    let running = target.start(plivo_url);
    let load = Load { running: &running, connections: settings.connections };
    let mut figures = Figures::new();

    let warm = load.at_full_speed(&creations(&running.address, numbers, WARM_UP), CREATED).0;
    load.at_full_speed(&checks(&running.address, &warm, WRONG_CODE), INCORRECT);
    load.at_full_speed(&checks(&running.address, &warm, CODE), VERIFIED);

    let requests = creations(&running.address, numbers, settings.operations);
    let (created, used) = load.at_full_speed(&requests, CREATED);
    figures.extend(at_speed("create", used));
    let (_, used) = load.at_full_speed(&checks(&running.address, &created, WRONG_CODE), INCORRECT);
    figures.extend(at_speed("wrong check", used));
    let (_, used) = load.at_full_speed(&checks(&running.address, &created, CODE), VERIFIED);
    figures.extend(at_speed("right check", used));

    let requests = creations(&running.address, numbers, settings.rate * settings.seconds);
    let (created, used) = load.send(Some(settings.rate), &requests, CREATED);
    figures.extend(at_rate("create", &created, used));
    let (checked, used) = load.send(Some(settings.rate), &checks(&running.address, &created, CODE), VERIFIED);
    figures.extend(at_rate("right check", &checked, used));

    figures.extend(running.process.map(|process| ("RSS, MiB".to_owned(), process.resident_mib())));
    figures.extend(running.started_in.map(|time| ("start, ms".to_owned(), millis(time))));
    figures
}

struct Load<'a> {
    running: &'a Running,
    connections: usize,
}

/// What a batch took.
struct Used {
    per_second: f64,
    processor_seconds: Option<f64>,
    redis: Option<RedisWork>,
    operations: f64,
}

impl Load<'_> {
    fn at_full_speed(&self, requests: &[String], expected: Expected) -> (Answers, Used) {
        self.send(None, requests, expected)
    }

    fn send(&self, rate: Option<usize>, requests: &[String], expected: Expected) -> (Answers, Used) {
        let running = self.running;
        if let Some(redis) = &running.redis {
            // Else earlier verifications are woken during this batch, and count with it.
            redis.command(&["EVAL", include_str!("../../tests/data/postpone_timers.lua"), "0", "0"]);
        }
        let processor = || running.process.map(|process| process.processor_seconds());
        let before = processor();
        let mut answers = None;
        let mut work = || answers = Some(send(&running.address, self.connections, rate, requests, expected));
        let redis = match &running.redis {
            Some(redis) => Some(RedisWork::during(redis, work)),
            None => {
                work();
                None
            }
        };
        let answers = answers.expect("the work was done");
        let operations = requests.len() as f64;
        let used = Used {
            per_second: operations / answers.took.as_secs_f64(),
            processor_seconds: processor().zip(before).map(|(after, before)| after - before),
            redis,
            operations,
        };
        (answers, used)
    }
}

/// At full speed. Redis then reads requests that arrive together at once.
fn at_speed(operation: &str, used: Used) -> Figures {
    let Used { per_second, processor_seconds, redis, operations } = used;
    let mut figures = vec![(format!("{operation}, a second"), per_second)];
    figures
        .extend(processor_seconds.map(|s| (format!("{operation}, processor s / 10,000"), s / operations * 10_000.0)));
    if let Some(RedisWork { reads, commands, processor_seconds }) = redis {
        figures.push((format!("{operation}, Redis reads"), reads as f64 / operations));
        figures.push((format!("{operation}, Redis commands"), commands as f64 / operations));
        figures.push((format!("{operation}, Redis processor s / 10,000"), processor_seconds / operations * 10_000.0));
    }
    figures
}

/// Latencies, and how often Redis has read: at a low rate it reads each request by itself, so that these are exchanges.
fn at_rate(operation: &str, answers: &Answers, used: Used) -> Figures {
    let mut sorted = answers.latencies.clone();
    sorted.sort_unstable();
    let at = |share: f64| sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)];
    let percentile = |(name, share)| (format!("{operation}, {name} ms"), millis(at(share)));
    let mut figures = Figures::from([("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map(percentile));
    figures
        .extend(used.redis.map(|work| (format!("{operation}, Redis exchanges"), work.reads as f64 / used.operations)));
    figures
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Creations for numbers that were not used before.
fn creations(address: &str, numbers: &mut u32, count: usize) -> Vec<String> {
    let bodies = (0..count).map(|_| {
        *numbers += 1;
        format!(r#"{{"to":"+1212{:07}","code":"{CODE}"}}"#, *numbers)
    });
    bodies.map(|body| post(address, "/v1/verifications", &body)).collect()
}

/// A check of each verification that was created.
fn checks(address: &str, created: &Answers, code: &str) -> Vec<String> {
    let body = format!(r#"{{"code":"{code}"}}"#);
    let ids = created.bodies.iter().map(|body| {
        let answer: Value = serde_json::from_str(body).expect("JSON");
        answer["id"].as_str().expect("an id").to_owned()
    });
    ids.map(|id| post(address, &format!("/v1/verifications/{id}/checks"), &body)).collect()
}

fn post(address: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {API_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
