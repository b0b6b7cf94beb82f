//! Outages on demand: an API that answers with a failure, or a network that lies.
//!
//! `status` breaks an API: every request it hits gets that status and nothing is sent. `silent` and
//! `fake` break what lies behind it: a request is accepted, but nothing arrives; `fake` reports it
//! delivered all the same, `silent` reports nothing. Lengths are real time, as whoever breaks it on
//! purpose watches the service's clock.

use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::carrier::Kind;
use super::lock;

/// How many may last at a time.
const ACTIVE: usize = 100;

/// What `POST /outage` takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outage {
    seconds: u64,
    #[serde(default = "unavailable")]
    status: u16,
    #[serde(default)]
    what: Scope,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    kind: How,
}

/// Which API breaks; for a network that lies: what is sent through it, or by which API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    #[default]
    All,
    Phlo,
    Message,
    Call,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    #[default]
    Status,
    Silent,
    Fake,
}

/// One of Plivo's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Phlo,
    Message,
    Call,
}

/// How the network fails what it accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// No reports, nothing arrives.
    Silent,
    /// Reported as if all were well, nothing arrives.
    Fake,
}

fn unavailable() -> u16 {
    503
}

impl Outage {
    /// # Errors
    /// What is out of bounds, in a sentence.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.seconds > 86_400 {
            return Err("seconds must be at most 86400; 0 ends the outages it would have begun");
        }
        if !(400..=599).contains(&self.status) {
            return Err("status must be an HTTP error, 400 to 599");
        }
        match &self.prefix {
            Some(prefix) if digits(prefix).is_empty() => Err("prefix must have digits, as \"1415\""),
            _ => Ok(()),
        }
    }

    fn hits_number(&self, to: Option<&str>) -> bool {
        match &self.prefix {
            None => true,
            Some(prefix) => to.is_some_and(|to| to.starts_with(&digits(prefix))),
        }
    }

    fn hits_api(&self, api: Api) -> bool {
        match self.what {
            Scope::All => true,
            Scope::Phlo => api == Api::Phlo,
            Scope::Message => api == Api::Message,
            Scope::Call => api == Api::Call,
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Those that last.
#[derive(Debug, Default)]
pub(super) struct Outages(Mutex<Vec<(Instant, Outage)>>);

impl Outages {
    /// Begins one. With `seconds: 0` it ends those of the same scope and prefix, all of them for `all`
    /// without a prefix.
    pub(super) fn begin(&self, outage: Outage, now: Instant) {
        let mut outages = lock(&self.0);
        outages.retain(|(until, _)| *until > now);
        if outage.seconds == 0 {
            let ends = |other: &Outage| {
                (outage.what == Scope::All || outage.what == other.what)
                    && (outage.prefix.is_none() || outage.prefix == other.prefix)
            };
            outages.retain(|(_, other)| !ends(other));
            return;
        }
        if outages.len() == ACTIVE {
            outages.remove(0);
        }
        outages.push((now + Duration::from_secs(outage.seconds), outage));
    }

    /// The status a request is refused with, if its API is broken. The latest outage counts.
    pub(super) fn refusal(&self, api: Api, to: Option<&str>, now: Instant) -> Option<u16> {
        let hits = |outage: &Outage| outage.kind == How::Status && outage.hits_api(api) && outage.hits_number(to);
        self.latest(now, hits).map(|outage| outage.status)
    }

    /// Whether what was accepted by `api` gets lost.
    pub(super) fn lie(&self, api: Api, kind: Kind, to: &str, now: Instant) -> Option<Lie> {
        let sent = match kind {
            Kind::Text => Api::Message,
            Kind::Call => Api::Call,
        };
        let hits = |outage: &Outage| {
            outage.kind != How::Status
                && (outage.hits_api(api) || outage.hits_api(sent))
                && outage.hits_number(Some(to))
        };
        self.latest(now, hits).map(|outage| if outage.kind == How::Fake { Lie::Fake } else { Lie::Silent })
    }

    fn latest(&self, now: Instant, hits: impl Fn(&Outage) -> bool) -> Option<Outage> {
        let outages = lock(&self.0);
        outages.iter().rev().find(|(until, outage)| *until > now && hits(outage)).map(|(_, outage)| outage.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(outages: &Outages, json: &str, now: Instant) {
        let outage: Outage = serde_json::from_str(json).unwrap();
        outage.check().unwrap();
        outages.begin(outage, now);
    }

    #[test]
    fn an_outage_hits_its_api_and_prefix_until_it_ends() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60,"status":502,"what":"phlo","prefix":"+1415"}"#, now);
        assert_eq!(outages.refusal(Api::Phlo, Some("14155550100"), now), Some(502));
        assert_eq!(outages.refusal(Api::Phlo, Some("12125550100"), now), None);
        assert_eq!(outages.refusal(Api::Message, Some("14155550100"), now), None);
        assert_eq!(outages.refusal(Api::Phlo, Some("14155550100"), now + Duration::from_secs(60)), None);
    }

    #[test]
    fn it_is_503_of_everything_unless_said_otherwise_and_zero_seconds_end_it() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60}"#, now);
        for api in [Api::Phlo, Api::Message, Api::Call] {
            assert_eq!(outages.refusal(api, None, now), Some(503));
        }
        begin(&outages, r#"{"seconds":0}"#, now);
        assert_eq!(outages.refusal(Api::Phlo, None, now), None);
    }

    #[test]
    fn a_lying_network_refuses_nothing() {
        let (outages, now) = (Outages::default(), Instant::now());
        begin(&outages, r#"{"seconds":60,"what":"message","kind":"fake"}"#, now);
        assert_eq!(outages.refusal(Api::Message, Some("1"), now), None);
        assert_eq!(outages.lie(Api::Message, Kind::Text, "1", now), Some(Lie::Fake));
        assert_eq!(outages.lie(Api::Phlo, Kind::Text, "1", now), Some(Lie::Fake));
        assert_eq!(outages.lie(Api::Phlo, Kind::Call, "1", now), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [r#"{}"#, r#"{"seconds":-1}"#, r#"{"seconds":1,"what":"sms"}"#, r#"{"seconds":1,"typo":1}"#] {
            assert!(serde_json::from_str::<Outage>(json).is_err(), "{json}");
        }
        for json in [r#"{"seconds":90000}"#, r#"{"seconds":1,"status":200}"#, r#"{"seconds":1,"prefix":"+"}"#] {
            assert!(serde_json::from_str::<Outage>(json).unwrap().check().is_err(), "{json}");
        }
    }
}
