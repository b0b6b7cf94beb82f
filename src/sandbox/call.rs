//! [`PlacedCall`]: a call that Plivo accepted, with its callbacks and its API records.
//!
//! It does no IO: [`ring`](super::ring) takes it from the first ring to its end.

use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::api::Api;
use super::callbacks::{CallbackTarget, PlivoCallback};
use super::clock::{callback_time, now, record_time};
use super::ending::Ending;
use super::scenario::RingResult;
use super::speed::Speed;
use super::sync::lock;
use super::tariff;
use crate::time::Timestamp;

/// What an API was asked to place.
#[derive(Debug)]
pub(super) struct CallOrder {
    pub(super) api: Api,
    pub(super) from: String,
    /// Digits only.
    pub(super) to: String,
    pub(super) on_ring: Option<CallbackTarget>,
    pub(super) on_hangup: Option<CallbackTarget>,
}

#[derive(Debug)]
pub(super) struct PlacedCall {
    pub(super) uuid: String,
    /// Differs from `uuid`, as third parties report; callbacks carry both.
    pub(super) request_uuid: String,
    pub(super) order: CallOrder,
    /// How the ringing will end; `None` for a call that the network lost.
    pub(super) ring_result: Option<RingResult>,
    /// False for a call that an outage loses or fakes.
    pub(super) reaches_handset: bool,
    placed: Timestamp,
    speed: Speed,
    progress: Mutex<CallProgress>,
    hangup_requested: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct CallProgress {
    answered: Option<Timestamp>,
    is_machine: bool,
    code_heard: bool,
    ended: Option<(Timestamp, Ending)>,
}

impl PlacedCall {
    pub(super) fn new(order: CallOrder, ring_result: Option<RingResult>, reaches_handset: bool, speed: Speed) -> Self {
        Self {
            uuid: Uuid::new_v4().to_string(),
            request_uuid: Uuid::new_v4().to_string(),
            order,
            ring_result,
            reaches_handset,
            placed: now(),
            speed,
            progress: Mutex::default(),
            hangup_requested: watch::Sender::new(false),
        }
    }

    pub(super) fn record_answer(&self, is_machine: bool) {
        let mut progress = lock(&self.progress);
        progress.answered = Some(now());
        progress.is_machine = is_machine;
    }

    pub(super) fn record_code_heard(&self) {
        lock(&self.progress).code_heard = true;
    }

    /// Records the end of the call; false when it had ended before.
    pub(super) fn record_end(&self, ending: Ending) -> bool {
        let mut progress = lock(&self.progress);
        let is_first = progress.ended.is_none();
        progress.ended.get_or_insert_with(|| (now(), ending));
        is_first
    }

    /// Asks for the end of the call; false when it has ended already.
    pub(super) fn request_hangup(&self) -> bool {
        let is_live = self.ending().is_none();
        self.hangup_requested.send_replace(true);
        is_live
    }

    /// Waits until the customer asks for the end.
    pub(super) async fn hangup_requested(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.hangup_requested.subscribe().wait_for(|requested| *requested).await;
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        lock(&self.progress).ended.map(|(_, ending)| ending)
    }

    pub(super) fn is_machine(&self) -> bool {
        lock(&self.progress).is_machine
    }

    /// Whether a person has heard a code.
    pub(super) fn is_code_heard(&self) -> bool {
        lock(&self.progress).code_heard
    }

    /// A callback about this call. Source of the fields: plivo.com/docs/voice/concepts/callbacks.
    pub(super) fn callback(&self, target: &CallbackTarget, event: &str, status: &str) -> PlivoCallback {
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
            ("SessionStart", callback_time(self.placed)),
        ];
        if progress.is_machine {
            params.push(("Machine", "true".to_owned()));
        }
        if let Some((ended, ending)) = progress.ended {
            let bill = self.bill();
            params.extend([
                ("HangupCause", ending.cause.to_owned()),
                ("HangupCauseName", ending.name.to_owned()),
                ("HangupCauseCode", ending.code.to_string()),
                ("HangupSource", ending.source.to_owned()),
                ("Duration", bill.seconds.to_string()),
                ("BillDuration", bill.billed_seconds.to_string()),
                ("TotalCost", bill.cost),
                ("StartTime", callback_time(self.placed)),
                ("EndTime", callback_time(ended)),
            ]);
            params.extend(progress.answered.map(|at| ("AnswerTime", callback_time(at))));
        }
        let params = params.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        PlivoCallback { target: target.clone(), params }
    }

    /// The body of `GET …/Call/{uuid}/?status=live`; `None` once the call has ended.
    /// Source: plivo-python, fixture `liveCallGetResponse.json`.
    pub(super) fn live_record(&self) -> Option<Value> {
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
                "session_start": callback_time(self.placed),
            })
        })
    }

    /// The body of `GET …/Call/{uuid}/`, for live and for ended calls.
    ///
    /// Source: plivo-python, fixture `callGetResponse.json`. In `callListResponse.json`, `bill_duration` is the
    /// call's length and `billed_duration` counts whole minutes.
    pub(super) fn record(&self, account: &str) -> Value {
        let progress = *lock(&self.progress);
        let bill = self.bill();
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
            "call_duration": bill.seconds,
            "bill_duration": bill.seconds,
            "billed_duration": bill.billed_seconds,
            "total_rate": format!("{:.5}", tariff::call_rate(&self.order.to)),
            "total_amount": bill.cost,
            "hangup_cause_name": ending.map(|ending| ending.name),
            "hangup_cause_code": ending.map(|ending| ending.code),
            "hangup_source": ending.map(|ending| ending.source),
            "resource_uri": format!("/v1/Account/{account}/Call/{}/", self.uuid),
        })
    }

    fn bill(&self) -> Bill {
        let progress = *lock(&self.progress);
        let (Some(answered), Some((ended, _))) = (progress.answered, progress.ended) else {
            return Bill { seconds: 0, billed_seconds: 0, cost: "0.00000".to_owned() };
        };
        let talk_time = self.speed.to_simulated(ended.since(answered));
        let seconds = talk_time.as_millis().div_ceil(1000).max(1);
        let minutes = u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX);
        let cost = f64::from(minutes) * tariff::call_rate(&self.order.to);
        Bill {
            seconds: u64::try_from(seconds).unwrap_or(u64::MAX),
            billed_seconds: u64::from(minutes) * 60,
            cost: format!("{cost:.5}"),
        }
    }
}

/// What a call lasted and cost, in simulated time.
struct Bill {
    seconds: u64,
    /// Whole minutes.
    billed_seconds: u64,
    /// USD, with five decimals.
    cost: String,
}
