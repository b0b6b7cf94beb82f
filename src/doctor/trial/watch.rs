//! One verification through the running service's API: creates it, follows its timeline, cancels it.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::super::finding::Reporter;
use super::super::web::{ConnectionFault, HttpAnswer, WebClient, fetch, plain};
use crate::config::{ApiKey, Config};
use crate::verification::Channel;

/// The interval between two reads of the timeline.
const PAUSE: Duration = Duration::from_millis(500);

/// The service, and the app in whose name the trial is made.
pub(super) struct Service<'a> {
    pub(super) config: &'a Config,
    pub(super) web: &'a WebClient,
    pub(super) key: &'a ApiKey,
}

/// What the timeline shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) via: Option<String>,
    pub(super) is_refused: bool,
    /// Statuses, in the order they were reported.
    pub(super) statuses: Vec<String>,
    /// The last error code.
    pub(super) error_code: Option<String>,
}

impl Observed {
    fn is_final(&self) -> bool {
        let not_final = ["queued", "sent", "ringing", "answered"];
        self.is_refused || self.statuses.iter().any(|status| !not_final.contains(&status.as_str()))
    }

    /// Records a timeline entry, and describes it if it is about Plivo.
    fn note(&mut self, first: &Value, entry: &Value) -> Option<String> {
        let word = |name: &str| entry[name].as_str().map(str::to_owned);
        let after = after(first, entry).map(|s| format!("after {s:.1} s: ")).unwrap_or_default();
        let text = plain(entry["text"].as_str().unwrap_or_default());
        match entry["event"].as_str()? {
            "accepted" => {
                self.via = word("via");
                let via = self.via.as_deref().map(plain).unwrap_or_default();
                Some(format!("{after}{text} (via {via})"))
            }
            "refused" => {
                self.is_refused = true;
                Some(format!("{after}{text}"))
            }
            "text_reported" | "call_reported" => {
                self.statuses.extend(word("status"));
                self.error_code = word("error_code").or(self.error_code.take());
                Some(format!("{after}{text}"))
            }
            "timed_out" | "deferred" | "passed_on" | "call_silent" => Some(format!("{after}{text}")),
            _ => None,
        }
    }
}

fn after(first: &Value, entry: &Value) -> Option<f64> {
    let at = |entry: &Value| entry["at"].as_str()?.parse::<jiff::Timestamp>().ok();
    Some((at(entry)?.as_millisecond() - at(first)?.as_millisecond()) as f64 / 1000.0)
}

impl Service<'_> {
    /// Creates the verification, and returns its id.
    ///
    /// # Errors
    /// What is wrong, and the remedy.
    pub(super) async fn create(&self, to: &str, channel: Channel) -> Result<String, (String, &'static str)> {
        let url = format!("{}/v1/verifications", self.config.public_url);
        let body = json!({ "to": to, "channel": channel.as_str() });
        let request = self.web.http.post(url).bearer_auth(self.key.secret.expose_secret()).json(&body);
        let HttpAnswer { status, body } =
            fetch(request).await.map_err(|ConnectionFault { problem, remedy }| (problem, remedy))?;
        match (status, body["id"].as_str()) {
            (201, Some(id)) => Ok(id.to_owned()),
            (200, Some(_)) => Err((
                "the number has an open verification already, which is left as it is".to_owned(),
                "wait until it ends",
            )),
            (401, _) => Err((
                "the running service does not accept the first of API_KEYS (401)".to_owned(),
                "give the running service the same API_KEYS",
            )),
            _ => {
                let word = |name: &str| plain(body[name].as_str().unwrap_or_default());
                let remedy = "see docs/errors.md for the reason of the refusal, and the service's log";
                Err((format!("refused (HTTP {status}) {} {}", word("code"), word("detail")), remedy))
            }
        }
    }

    /// Reads the timeline until a final status, and reports each entry about Plivo.
    pub(super) async fn follow(
        &self,
        id: &str,
        watch: Duration,
        name: &'static str,
        report: &mut Reporter<'_>,
    ) -> Observed {
        let url = format!("{}/v1/verifications/{id}/timeline", self.config.public_url);
        let (started, mut reported, mut observed) = (Instant::now(), 0, Observed::default());
        loop {
            let is_last = started.elapsed() >= watch;
            if let Ok(answer) = fetch(self.web.http.get(&url).bearer_auth(self.key.secret.expose_secret())).await {
                let entries = answer.body["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
                for entry in entries.iter().skip(reported) {
                    if let Some(description) = observed.note(&entries[0], entry) {
                        report.ok(name, description);
                    }
                }
                reported = reported.max(entries.len());
            }
            if is_last || observed.is_final() {
                return observed;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Cancels the verification: nothing follows, and no second call is made. Whether it has ended.
    pub(super) async fn cancel(&self, id: &str) -> bool {
        let url = format!("{}/v1/verifications/{id}/cancel", self.config.public_url);
        let canceled = fetch(self.web.http.post(url).bearer_auth(self.key.secret.expose_secret())).await;
        matches!(canceled, Ok(HttpAnswer { status: 200 | 409, .. }))
    }
}
