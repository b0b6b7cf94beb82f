//! Outages on demand: an API that refuses requests, or a network that loses what an API accepted.
//!
//! An outage of kind `status` refuses every request it matches with that status. With `silent` and `fake` the API
//! accepts a request, but nothing arrives: `fake` reports it as delivered, `silent` reports nothing. With `lost` a
//! request to send is not answered for a minute and not acted on. Kind `rate` is the account's limit on requests
//! (`rate_limit`). Durations are real time, because a tester who breaks Plivo watches the service's clock.

use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::api::{Api, Medium};
use super::sync::lock;

const ACTIVE_MAX: usize = 100;

/// The body of `POST /outage`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutageRequest {
    seconds: u64,
    #[serde(default = "unavailable")]
    status: u16,
    #[serde(default)]
    #[serde(rename = "what")]
    scope: OutageScope,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    kind: OutageKind,
    /// For `rate`: the requests that are allowed, and the seconds of the window.
    #[serde(default = "usual_limit")]
    limit: usize,
    #[serde(default = "usual_window")]
    window: u64,
}

/// The API that refuses requests. For `silent` and `fake`, also the medium that gets lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutageScope {
    #[default]
    All,
    Phlo,
    Message,
    Call,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutageKind {
    #[default]
    Status,
    Silent,
    Fake,
    Lost,
    Rate,
}

/// How the network loses a text or call that an API accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing is reported.
    Silent,
    /// Success is reported.
    Fake,
}

fn unavailable() -> u16 {
    503
}

/// Plivo's limit by default (plivo.com/docs/voice/concepts/account-limits).
fn usual_limit() -> usize {
    300
}

fn usual_window() -> u64 {
    5
}

impl OutageRequest {
    /// # Errors
    /// The message for the caller that names the value out of bounds.
    pub(super) fn validate(&self) -> Result<(), &'static str> {
        if self.seconds > 86_400 {
            return Err("seconds must be at most 86400; 0 ends outages of the same scope and prefix");
        }
        if !(400..=599).contains(&self.status) {
            return Err("status must be an HTTP error, 400 to 599");
        }
        if !(1..=1_000_000).contains(&self.limit) || !(1..=60).contains(&self.window) {
            return Err("limit must be at most 1000000 requests, window at most 60 seconds; neither 0");
        }
        match &self.prefix {
            Some(prefix) if digits(prefix).is_empty() => Err("prefix must contain digits, for example \"1415\""),
            _ => Ok(()),
        }
    }

    /// The limit that it sets, if its kind is `rate`: requests, window and duration.
    pub(super) fn rate(&self) -> Option<(usize, Duration, Duration)> {
        let seconds = Duration::from_secs;
        (self.kind == OutageKind::Rate).then(|| (self.limit, seconds(self.window), seconds(self.seconds)))
    }

    fn matches_number(&self, to: Option<&str>) -> bool {
        self.prefix_digits().is_none_or(|prefix| to.is_some_and(|to| to.starts_with(&prefix)))
    }

    fn matches_api(&self, api: Api) -> bool {
        match self.scope {
            OutageScope::All => true,
            OutageScope::Phlo => api == Api::Phlo,
            OutageScope::Message => api == Api::Message,
            OutageScope::Call => api == Api::Call,
        }
    }

    /// Whether this request, with `seconds: 0`, ends `other`.
    fn ends(&self, other: &Self) -> bool {
        (self.scope == OutageScope::All || self.scope == other.scope)
            && (self.prefix.is_none() || self.prefix_digits() == other.prefix_digits())
    }

    fn prefix_digits(&self) -> Option<String> {
        self.prefix.as_deref().map(digits)
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// The active outages, oldest first, each with its end.
#[derive(Debug, Default)]
pub(super) struct Outages(Mutex<Vec<(Instant, OutageRequest)>>);

impl Outages {
    /// Begins an outage; with `seconds: 0` it ends those of the same scope and prefix.
    ///
    /// Scope `all` matches every scope, a missing prefix every prefix.
    pub(super) fn begin(&self, outage: OutageRequest, now: Instant) {
        let mut outages = lock(&self.0);
        outages.retain(|(until, _)| *until > now);
        if outage.seconds == 0 {
            outages.retain(|(_, other)| !outage.ends(other));
            return;
        }
        if outages.len() == ACTIVE_MAX {
            outages.remove(0);
        }
        outages.push((now + Duration::from_secs(outage.seconds), outage));
    }

    /// The status with which an outage refuses a request; the newest outage wins.
    pub(super) fn refusal(&self, api: Api, to: Option<&str>, now: Instant) -> Option<u16> {
        let refuses = |outage: &OutageRequest| {
            outage.kind == OutageKind::Status && outage.matches_api(api) && outage.matches_number(to)
        };
        self.newest(now, refuses).map(|outage| outage.status)
    }

    /// Whether an outage swallows a request to send to this number.
    pub(super) fn swallows(&self, api: Api, to: &str, now: Instant) -> bool {
        let swallows = |outage: &OutageRequest| {
            outage.kind == OutageKind::Lost && outage.matches_api(api) && outage.matches_number(Some(to))
        };
        self.newest(now, swallows).is_some()
    }

    /// How a text or call that `api` accepted gets lost, if an outage loses it.
    pub(super) fn loss(&self, api: Api, medium: Medium, to: &str, now: Instant) -> Option<Loss> {
        let loses = |outage: &OutageRequest| {
            matches!(outage.kind, OutageKind::Silent | OutageKind::Fake)
                && (outage.matches_api(api) || outage.matches_api(medium.api()))
                && outage.matches_number(Some(to))
        };
        self.newest(now, loses).map(|outage| if outage.kind == OutageKind::Fake { Loss::Fake } else { Loss::Silent })
    }

    fn newest(&self, now: Instant, matches: impl Fn(&OutageRequest) -> bool) -> Option<OutageRequest> {
        let outages = lock(&self.0);
        outages.iter().rev().find(|(until, outage)| *until > now && matches(outage)).map(|(_, outage)| outage.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(outages: &Outages, json: &str, now: Instant) {
        let outage: OutageRequest = serde_json::from_str(json).unwrap();
        outage.validate().unwrap();
        outages.begin(outage, now);
    }

    #[test]
    fn an_outage_refuses_its_api_and_prefix_until_it_ends() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60,"status":502,"what":"phlo","prefix":"+1415"}"#, now);
        assert_eq!(outages.refusal(Api::Phlo, Some("14155550100"), now), Some(502));
        assert_eq!(outages.refusal(Api::Phlo, Some("12125550100"), now), None);
        assert_eq!(outages.refusal(Api::Message, Some("14155550100"), now), None);
        assert_eq!(outages.refusal(Api::Phlo, Some("14155550100"), now + Duration::from_secs(60)), None);
    }

    #[test]
    fn by_default_every_api_answers_503_until_zero_seconds_end_it() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60}"#, now);
        for api in [Api::Phlo, Api::Message, Api::Call] {
            assert_eq!(outages.refusal(api, None, now), Some(503));
        }
        begin(&outages, r#"{"seconds":0}"#, now);
        assert_eq!(outages.refusal(Api::Phlo, None, now), None);
    }

    #[test]
    fn a_prefix_ends_its_outage_however_it_is_written() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60,"prefix":"+1 415"}"#, now);
        begin(&outages, r#"{"seconds":0,"prefix":"1416"}"#, now);
        assert_eq!(outages.refusal(Api::Phlo, Some("14155550100"), now), Some(503));
        begin(&outages, r#"{"seconds":0,"prefix":"1415"}"#, now);
        assert_eq!(outages.refusal(Api::Phlo, Some("14155550100"), now), None);
    }

    #[test]
    fn an_outage_that_loses_texts_refuses_no_request() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60,"what":"message","kind":"fake"}"#, now);
        assert_eq!(outages.refusal(Api::Message, Some("1"), now), None);
        assert_eq!(outages.loss(Api::Message, Medium::Text, "1", now), Some(Loss::Fake));
        assert_eq!(outages.loss(Api::Phlo, Medium::Text, "1", now), Some(Loss::Fake));
        assert_eq!(outages.loss(Api::Phlo, Medium::Call, "1", now), None);
    }

    #[test]
    fn an_outage_that_swallows_requests_to_send_leaves_the_lists_readable() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60,"what":"message","kind":"lost"}"#, now);
        assert_eq!(outages.refusal(Api::Message, None, now), None);
        assert!(outages.swallows(Api::Message, "1", now) && !outages.swallows(Api::Phlo, "1", now));
    }

    #[test]
    fn an_invalid_request_is_refused() {
        for json in [r#"{}"#, r#"{"seconds":-1}"#, r#"{"seconds":1,"what":"sms"}"#, r#"{"seconds":1,"typo":1}"#] {
            assert!(serde_json::from_str::<OutageRequest>(json).is_err(), "{json}");
        }
        for json in [r#"{"seconds":90000}"#, r#"{"seconds":1,"status":200}"#, r#"{"seconds":1,"prefix":"+"}"#] {
            assert!(serde_json::from_str::<OutageRequest>(json).unwrap().validate().is_err(), "{json}");
        }
    }
}
