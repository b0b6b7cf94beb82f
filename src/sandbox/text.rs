//! [`SentText`]: a text that Plivo accepted, with its status callbacks and its API record.
//!
//! It does no IO: [`send`](super::send) takes it through its steps.

use std::sync::Mutex;

use serde_json::{Value, json};
use uuid::Uuid;

use super::api::Api;
use super::callbacks::{CallbackTarget, PlivoCallback};
use super::clock::{callback_time, now, record_time};
use super::scenario::TextState;
use super::sync::lock;
use super::tariff;
use crate::time::Timestamp;

/// What an API was asked to send.
#[derive(Debug)]
pub(super) struct TextOrder {
    pub(super) api: Api,
    pub(super) from: String,
    /// Digits only.
    pub(super) to: String,
    pub(super) text: String,
    pub(super) reports: Option<ReportSubscription>,
}

/// Where status reports go, and which states are reported.
#[derive(Debug)]
pub(super) struct ReportSubscription {
    pub(super) target: CallbackTarget,
    /// `None` means all, as for the Message API; a PHLO's node lists its states.
    pub(super) states: Option<Vec<TextState>>,
}

#[derive(Debug)]
pub(super) struct SentText {
    pub(super) uuid: String,
    pub(super) order: TextOrder,
    pub(super) accepted: Timestamp,
    progress: Mutex<TextProgress>,
}

#[derive(Clone, Copy, Debug)]
struct TextProgress {
    state: TextState,
    error: Option<u16>,
    sent: Option<Timestamp>,
    /// When the final report came.
    reported: Option<Timestamp>,
}

impl SentText {
    pub(super) fn new(order: TextOrder) -> Self {
        let progress = TextProgress { state: TextState::Queued, error: None, sent: None, reported: None };
        Self { uuid: Uuid::new_v4().to_string(), order, accepted: now(), progress: Mutex::new(progress) }
    }

    /// Updates the record. Reports may come out of order, but the record never moves back.
    pub(super) fn record_report(&self, state: TextState, error: Option<u16>) {
        let mut progress = lock(&self.progress);
        match state {
            TextState::Queued => {}
            TextState::Sent => {
                progress.sent.get_or_insert_with(now);
                if progress.reported.is_none() {
                    progress.state = state;
                }
            }
            TextState::Delivered | TextState::Undelivered | TextState::Failed => {
                progress.reported.get_or_insert_with(now);
                if state != TextState::Failed {
                    progress.sent.get_or_insert_with(now);
                }
                (progress.state, progress.error) = (state, error);
            }
        }
    }

    /// The callback for a report; `None` when the order does not subscribe to `state`.
    /// Source of the fields: plivo.com/docs/messaging/api/message/message-status-callbacks.
    pub(super) fn status_callback(&self, state: TextState, error: Option<u16>, sequence: u32) -> Option<PlivoCallback> {
        let ReportSubscription { target, states } = self.order.reports.as_ref()?;
        if states.as_ref().is_some_and(|states| !states.contains(&state)) {
            return None;
        }
        let progress = *lock(&self.progress);
        let (mcc, mnc) = tariff::network(&self.order.to);
        let price = self.price(state);
        let mut params = vec![
            ("MessageUUID", self.uuid.clone()),
            ("ParentMessageUUID", self.uuid.clone()),
            ("From", self.order.from.clone()),
            ("To", self.order.to.clone()),
            ("Type", "sms".to_owned()),
            ("Status", state.to_string()),
            ("Sequence", sequence.to_string()),
            ("Units", price.units.to_string()),
            ("TotalRate", price.rate),
            ("TotalAmount", price.amount),
            ("MCC", mcc.to_owned()),
            ("MNC", mnc.to_owned()),
            ("MessageTime", callback_time(self.accepted)),
            ("QueuedTime", callback_time(self.accepted)),
        ];
        params.extend(error.map(|code| ("ErrorCode", code.to_string())));
        params.extend(progress.sent.map(|at| ("SentTime", callback_time(at))));
        if let (TextState::Delivered | TextState::Undelivered, Some(reported)) = (state, progress.reported) {
            params.push(("DeliveryReportTime", callback_time(reported)));
        }
        let params = params.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Some(PlivoCallback { target: target.clone(), params })
    }

    /// The body of `GET …/Message/{uuid}/`.
    ///
    /// Source: plivo-python, fixture `messageGetResponse.json`. In `messageListResponse.json` the error code of a
    /// delivered text is `000`, that of a text that was only sent is null.
    pub(super) fn record(&self, account: &str) -> Value {
        let progress = *lock(&self.progress);
        let price = self.price(progress.state);
        let delivered_code = (progress.state == TextState::Delivered).then(|| "000".to_owned());
        json!({
            "message_uuid": self.uuid,
            "message_state": progress.state,
            "message_direction": "outbound",
            "message_type": "sms",
            "message_time": record_time(self.accepted),
            "message_sent_time": progress.sent.map(record_time),
            "message_updated_time": record_time(progress.reported.or(progress.sent).unwrap_or(self.accepted)),
            "error_code": progress.error.map(|code| code.to_string()).or(delivered_code),
            "error_message": "",
            "from_number": self.order.from,
            "to_number": self.order.to,
            "units": price.units,
            "total_rate": price.rate,
            "total_amount": price.amount,
            "resource_uri": format!("/v1/Account/{account}/Message/{}/", self.uuid),
        })
    }

    /// A text that never reached a carrier costs nothing.
    fn price(&self, state: TextState) -> Price {
        let units = tariff::units(&self.order.text);
        let rate = if state == TextState::Failed { 0.0 } else { tariff::text_rate(&self.order.to) };
        #[expect(clippy::cast_precision_loss, reason = "a text is never 2^52 units long")]
        let amount = rate * units as f64;
        Price { units, rate: format!("{rate:.5}"), amount: format!("{amount:.5}") }
    }
}

/// USD, with five decimals.
struct Price {
    units: usize,
    rate: String,
    amount: String,
}
