//! One call: it rings, somebody or something picks up or not, it ends, and says so once.
//!
//! What is said on it is up to the answer URL ([`conversation`](super::conversation)) or the PHLO
//! ([`run`](super::run)).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::callbacks::{Callback, Target};
use super::carrier::Kind;
use super::code::code_in;
use super::ending::Ending;
use super::handset::CallStatus;
use super::outage::{Api, Lie};
use super::pace::Pace;
use super::provider::Provider;
use super::scenario::Pickup;
use super::{lock, now, plivo_time, record_time, speech, tariff};
use crate::time::Timestamp;

const RINGS: Duration = Duration::from_secs(1);
/// From the beginning of a sentence until its code has been heard.
const HEARD: Duration = Duration::from_millis(500);

/// What one of the APIs was asked to place.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) api: Api,
    pub(super) from: String,
    /// Digits only.
    pub(super) to: String,
    pub(super) on_ring: Option<Target>,
    pub(super) on_hangup: Option<Target>,
}

/// A placed call.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) uuid: String,
    /// Another id than the call's, as third parties see it; both come back in callbacks.
    pub(super) request_uuid: String,
    order: Order,
    /// Who will pick up; `None` if the network lost the call.
    fate: Option<Pickup>,
    /// Whether any phone rings; a faked call only says so.
    real: bool,
    placed: Timestamp,
    pace: Pace,
    progress: Mutex<Progress>,
    /// Set when the customer asks for the end.
    cut: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    answered: Option<Timestamp>,
    machine: bool,
    code_heard: bool,
    ended: Option<(Timestamp, Ending)>,
}

impl Line {
    /// Takes the order. Nothing rings before [`ring`](Self::ring).
    pub(super) fn place(provider: &Provider, order: Order) -> Arc<Self> {
        let fate = provider.carrier.call(&order.to);
        let (fate, real) = match provider.outages.lie(order.api, Kind::Call, &order.to, Instant::now()) {
            None => (Some(fate), true),
            Some(Lie::Silent) => (None, false),
            Some(Lie::Fake) => (Some(Pickup::Answered), false),
        };
        let line = Arc::new(Self {
            uuid: Uuid::new_v4().to_string(),
            request_uuid: Uuid::new_v4().to_string(),
            order,
            fate,
            real,
            placed: now(),
            pace: provider.pace,
            progress: Mutex::default(),
            cut: watch::Sender::new(false),
        });
        provider.keep_line(&line);
        if real {
            provider.handsets.ring(&line.order.to, &line.uuid);
        }
        line
    }

    /// Rings until somebody or something picks up. Otherwise the call is over, and why is what
    /// [`ending`](Self::ending) says; a call the network lost is not over either.
    pub(super) async fn ring(&self, provider: &Arc<Provider>) -> Option<Pickup> {
        let fate = self.fate?;
        if let Some(target) = &self.order.on_ring {
            provider.notify_later(self.callback(target, "Ring", "ringing"));
        }
        tokio::select! {
            () = provider.pace.pass(RINGS) => {}
            () = self.was_cut() => {
                self.end(provider, Ending::CANCELED);
                return None;
            }
        }
        match fate {
            Pickup::Answered | Pickup::Machine => {
                let mut progress = lock(&self.progress);
                progress.answered = Some(now());
                progress.machine = fate == Pickup::Machine;
                drop(progress);
                self.show(provider, if fate == Pickup::Machine { CallStatus::Machine } else { CallStatus::Answered });
                return Some(fate);
            }
            Pickup::Busy => self.end(provider, Ending::BUSY),
            Pickup::Rejected => self.end(provider, Ending::REJECTED),
            Pickup::NoAnswer => self.end(provider, Ending::NO_ANSWER),
            Pickup::Failed => self.end(provider, Ending::FAILED),
        }
        Some(fate)
    }

    /// Says something to whoever picked up, and takes as long as that takes.
    pub(super) async fn say(&self, provider: &Provider, text: &str) {
        let length = speech::duration(text);
        let Some(code) = code_in(text).filter(|_| !self.is_machine()) else { return provider.pace.pass(length).await };
        provider.pace.pass(HEARD).await;
        lock(&self.progress).code_heard = true;
        if self.real {
            provider.handsets.speak(&self.order.to, &self.uuid, &code);
        }
        provider.pace.pass(length.saturating_sub(HEARD)).await;
    }

    /// Ends the call, unless it has ended.
    pub(super) fn end(&self, provider: &Arc<Provider>, ending: Ending) {
        let mut progress = lock(&self.progress);
        if progress.ended.is_some() {
            return;
        }
        progress.ended = Some((now(), ending));
        let machine = progress.machine;
        drop(progress);
        if !machine {
            self.show(provider, ending.seen_as);
        }
        if let Some(target) = &self.order.on_hangup {
            provider.notify_later(self.callback(target, "Hangup", ending.status));
        }
    }

    /// Asks for the end; false when the call is over already.
    pub(super) fn cut(&self) -> bool {
        let live = self.ending().is_none();
        self.cut.send_replace(true);
        live
    }

    pub(super) async fn was_cut(&self) {
        // The sender lives as long as `self`: this cannot fail.
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        lock(&self.progress).ended.map(|(_, ending)| ending)
    }

    pub(super) fn is_machine(&self) -> bool {
        lock(&self.progress).machine
    }

    /// Whether a person has heard a code.
    pub(super) fn code_heard(&self) -> bool {
        lock(&self.progress).code_heard
    }

    fn show(&self, provider: &Provider, status: CallStatus) {
        if self.real {
            provider.handsets.call_is(&self.order.to, &self.uuid, status);
        }
    }

    /// A callback of this call. Source of the fields: plivo.com/docs/voice/concepts/callbacks.
    pub(super) fn callback(&self, target: &Target, event: &str, status: &str) -> Callback {
        let progress = *lock(&self.progress);
        let mut params = vec![
            ("CallUUID", self.uuid.clone()),
            ("RequestUUID", self.request_uuid.clone()),
            ("ALegUUID", self.uuid.clone()),
            ("ALegRequestUUID", self.request_uuid.clone()),
            ("From", self.order.from.clone()),
            ("To", self.order.to.clone()),
            ("Direction", "outbound".to_owned()),
            ("CallStatus", status.to_owned()),
            ("Event", event.to_owned()),
            ("BillRate", format!("{:.5}", tariff::call_rate(&self.order.to))),
            ("SessionStart", plivo_time(self.placed)),
        ];
        if progress.machine {
            params.push(("Machine", "true".to_owned()));
        }
        if let Some((ended, ending)) = progress.ended {
            let (duration, billed, cost) = self.bill();
            params.extend([
                ("HangupCause", ending.cause.to_owned()),
                ("HangupCauseName", ending.name.to_owned()),
                ("HangupCauseCode", ending.code.to_string()),
                ("HangupSource", ending.source.to_owned()),
                ("Duration", duration.to_string()),
                ("BillDuration", billed.to_string()),
                ("TotalCost", cost),
                ("StartTime", plivo_time(self.placed)),
                ("EndTime", plivo_time(ended)),
            ]);
            params.extend(progress.answered.map(|at| ("AnswerTime", plivo_time(at))));
        }
        let params = params.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Callback { target: target.clone(), params }
    }

    /// What `GET …/Call/{uuid}/?status=live` shows; `None` once the call has ended.
    /// Source: plivo-python, fixture `liveCallGetResponse.json`.
    pub(super) fn live(&self) -> Option<Value> {
        let progress = *lock(&self.progress);
        progress.ended.is_none().then(|| {
            json!({
                "call_uuid": self.uuid,
                "request_uuid": self.request_uuid,
                "call_status": if progress.answered.is_some() { "in-progress" } else { "ringing" },
                "caller_name": "",
                "direction": "outbound",
                "from": self.order.from,
                "to": self.order.to,
                "session_start": plivo_time(self.placed),
            })
        })
    }

    /// What `GET …/Call/{uuid}/` shows, of a live call as of one that has ended.
    /// Source: plivo-python, fixture `callGetResponse.json`; in `callListResponse.json` `bill_duration` is as
    /// long as the call, `billed_duration` whole minutes.
    pub(super) fn record(&self, account: &str) -> Value {
        let progress = *lock(&self.progress);
        let (duration, billed, cost) = self.bill();
        let ending = progress.ended.map(|(_, ending)| ending);
        let status = match (ending, progress.answered) {
            (Some(ending), _) => ending.status,
            (None, Some(_)) => "in-progress",
            (None, None) => "ringing",
        };
        json!({
            "call_uuid": self.uuid,
            "request_uuid": self.request_uuid,
            "call_status": status,
            "call_state": if ending.is_some() { "ENDED" } else { "LIVE" },
            "call_direction": "outbound",
            "from_number": self.order.from,
            "to_number": self.order.to,
            "parent_call_uuid": null,
            "initiation_time": record_time(self.placed),
            "answer_time": progress.answered.map(record_time),
            "end_time": progress.ended.map(|(at, _)| record_time(at)),
            "call_duration": duration,
            "bill_duration": duration,
            "billed_duration": billed,
            "total_rate": format!("{:.5}", tariff::call_rate(&self.order.to)),
            "total_amount": cost,
            "hangup_cause_name": ending.map(|ending| ending.name),
            "hangup_cause_code": ending.map(|ending| ending.code),
            "hangup_source": ending.map(|ending| ending.source),
            "resource_uri": format!("/v1/Account/{account}/Call/{}/", self.uuid),
        })
    }

    /// Seconds of its time, billed seconds (by the minute) and their price.
    fn bill(&self) -> (u64, u64, String) {
        let progress = *lock(&self.progress);
        let (Some(answered), Some((ended, _))) = (progress.answered, progress.ended) else {
            return (0, 0, "0.00000".to_owned());
        };
        let talked = self.pace.its(ended.since(answered));
        let seconds = talked.as_millis().div_ceil(1000).max(1);
        let minutes = u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX);
        let cost = f64::from(minutes) * tariff::call_rate(&self.order.to);
        (u64::try_from(seconds).unwrap_or(u64::MAX), u64::from(minutes) * 60, format!("{cost:.5}"))
    }
}
