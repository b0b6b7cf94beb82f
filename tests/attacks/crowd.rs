//! Many requests at once, and counts of their answers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::Value;

use crate::support::{Answer, client};
use crate::world::Service;

/// Requests in flight at most. More would only wait in a queue.
pub const AT_ONCE: usize = 200;

/// Runs `act` `size` times, at most `at_once` at a time.
pub async fn crowd<T>(size: usize, at_once: usize, act: impl AsyncFn(usize) -> T) -> Vec<T> {
    iter((0..size).map(|n| act(n))).buffer_unordered(at_once).collect().await
}

/// Awaits a future, and returns its result and duration.
pub async fn timed<T>(act: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let result = act.await;
    (result, start.elapsed())
}

/// A back end of one app, with its key.
pub struct Customer {
    http: reqwest::Client,
    key: String,
}

impl Customer {
    pub fn new(key: &str) -> Self {
        Self { http: client(), key: key.to_owned() }
    }

    pub async fn post(&self, service: &Service, path: &str, body: &Value) -> Answer {
        let request = self.http.post(format!("{}{path}", service.url)).bearer_auth(&self.key).json(body);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        Answer { status, headers, body }
    }
}

/// Counts of answers by result, by problem code with its scope, or by status.
#[derive(Default)]
pub struct Tally(BTreeMap<String, usize>);

impl Tally {
    /// Counts the answers, and asserts that none is 5xx.
    #[track_caller]
    pub fn of<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Self {
        let mut tally = Self::default();
        for answer in answers {
            assert!(answer.status < 500, "{answer:?}");
            let said = |name: &str| answer.body[name].as_str().map(str::to_owned);
            let problem =
                said("code").map(|code| said("scope").map_or(code.clone(), |scope| format!("{code} {scope}")));
            tally.add(&said("result").or(problem).unwrap_or_else(|| answer.status.to_string()), 1);
        }
        tally
    }

    pub fn add(&mut self, what: &str, times: usize) {
        *self.0.entry(what.to_owned()).or_default() += times;
    }

    pub fn get(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or_default()
    }

    pub fn all(&self) -> usize {
        self.0.values().sum()
    }

    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.add(what, *times));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(what, times)| format!("{times} {what}"));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}
