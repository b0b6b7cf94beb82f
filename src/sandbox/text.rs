//! One accepted text: it lives through its steps, reports as it goes, and may arrive.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::callbacks::{Callback, Target};
use super::carrier::Kind;
use super::outage::{Api, Lie};
use super::provider::Provider;
use super::scenario::{Scenario, Step, TextState, What, delivered_after};
use super::{lock, now, plivo_time, record_time, tariff};
use crate::time::Timestamp;

/// A text that waits for a call gives up after this: real time, as it is the service that would call.
const CALL_AWAITED: Duration = Duration::from_secs(90);

/// What one of the APIs was asked to send.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) api: Api,
    pub(super) from: String,
    /// Digits only.
    pub(super) to: String,
    pub(super) text: String,
    pub(super) reports: Option<Reports>,
}

/// Where reports go, and which of them: all for the Message API, picked ones for a PHLO's node.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) target: Target,
    pub(super) states: Option<Vec<TextState>>,
}

/// A text that Plivo has a UUID for.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) uuid: String,
    order: Order,
    accepted: Timestamp,
    progress: Mutex<Progress>,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    state: TextState,
    error: Option<u16>,
    sent: Option<Timestamp>,
    reported: Option<Timestamp>,
}

/// Accepts a text and sends it on its way.
///
/// Returns at once, except for scenario 0118: then the first reports are delivered before, so that they
/// overtake the answer to whoever asked.
pub(super) async fn send(provider: &Arc<Provider>, order: Order) -> Arc<Text> {
    let steps = provider.carrier.text(&order.to);
    let steps = match provider.outages.lie(order.api, Kind::Text, &order.to, tokio::time::Instant::now()) {
        None => steps,
        Some(Lie::Silent) => Vec::new(),
        Some(Lie::Fake) => {
            delivered_after(Duration::from_secs(1)).into_iter().filter(|step| step.what != What::Arrive).collect()
        }
    };
    let callbacks_first = Scenario::of(&order.to) == Scenario::CallbackFirst;
    let progress = Progress { state: TextState::Queued, error: None, sent: None, reported: None };
    let text =
        Arc::new(Text { uuid: Uuid::new_v4().to_string(), order, accepted: now(), progress: Mutex::new(progress) });
    provider.keep_text(&text);

    let (before, after) = steps.split_at(if callbacks_first { 2.min(steps.len()) } else { 0 });
    for step in before {
        text.live(provider, step).await;
    }
    let (provider, after, living) = (Arc::clone(provider), after.to_vec(), Arc::clone(&text));
    provider.runtime.clone().spawn(async move {
        for step in after {
            living.live(&provider, &step).await;
        }
    });
    text
}

impl Text {
    async fn live(&self, provider: &Arc<Provider>, step: &Step) {
        provider.pace.pass(step.after).await;
        match step.what {
            What::Arrive => provider.handsets.receive(&self.order.to, &self.order.text),
            What::AwaitCall => {
                let mut handset = provider.handsets.watch(&self.order.to);
                let answered = handset.wait_for(|handset| handset.answered_since(self.accepted));
                let _ = tokio::time::timeout(CALL_AWAITED, answered).await;
            }
            What::Report { state, error, sequence } => {
                self.progress(state, error);
                if let Some(callback) = self.report(state, error, sequence) {
                    provider.notify(callback).await;
                }
            }
        }
    }

    /// Reports may come out of order; the record only moves on.
    fn progress(&self, state: TextState, error: Option<u16>) {
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

    /// The form fields of a status callback. Source: plivo.com/docs/messaging/api/message/
    /// message-status-callbacks.
    fn report(&self, state: TextState, error: Option<u16>, sequence: u32) -> Option<Callback> {
        let Reports { target, states } = self.order.reports.as_ref()?;
        if states.as_ref().is_some_and(|picked| !picked.contains(&state)) {
            return None;
        }
        let progress = *lock(&self.progress);
        let (mcc, mnc) = tariff::network(&self.order.to);
        let (units, rate, amount) = self.price(state);
        let mut params = vec![
            ("MessageUUID", self.uuid.clone()),
            ("ParentMessageUUID", self.uuid.clone()),
            ("From", self.order.from.clone()),
            ("To", self.order.to.clone()),
            ("Type", "sms".to_owned()),
            ("Status", state.as_str().to_owned()),
            ("Sequence", sequence.to_string()),
            ("Units", units.to_string()),
            ("TotalRate", rate),
            ("TotalAmount", amount),
            ("MCC", mcc.to_owned()),
            ("MNC", mnc.to_owned()),
            ("MessageTime", plivo_time(self.accepted)),
            ("QueuedTime", plivo_time(self.accepted)),
        ];
        if let Some(code) = error {
            params.push(("ErrorCode", code.to_string()));
        }
        if let Some(sent) = progress.sent {
            params.push(("SentTime", plivo_time(sent)));
        }
        if let (TextState::Delivered | TextState::Undelivered, Some(reported)) = (state, progress.reported) {
            params.push(("DeliveryReportTime", plivo_time(reported)));
        }
        let params = params.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Some(Callback { target: target.clone(), params })
    }

    /// What `GET …/Message/{uuid}/` shows. Source: plivo-python, fixture `messageGetResponse.json`; in
    /// `messageListResponse.json` the error code of what was delivered is `000`, of what was merely sent null.
    pub(super) fn record(&self, account: &str) -> Value {
        let progress = *lock(&self.progress);
        let (units, rate, amount) = self.price(progress.state);
        let fine = (progress.state == TextState::Delivered).then(|| "000".to_owned());
        json!({
            "message_uuid": self.uuid,
            "message_state": progress.state,
            "message_direction": "outbound",
            "message_type": "sms",
            "message_time": record_time(self.accepted),
            "message_sent_time": progress.sent.map(record_time),
            "message_updated_time": record_time(progress.reported.or(progress.sent).unwrap_or(self.accepted)),
            "error_code": progress.error.map(|code| code.to_string()).or(fine),
            "error_message": "",
            "from_number": self.order.from,
            "to_number": self.order.to,
            "units": units,
            "total_rate": rate,
            "total_amount": amount,
            "resource_uri": format!("/v1/Account/{account}/Message/{}/", self.uuid),
        })
    }

    /// Units, rate and amount. What never reached a carrier costs nothing.
    fn price(&self, state: TextState) -> (usize, String, String) {
        let units = tariff::units(&self.order.text);
        let rate = if state == TextState::Failed { 0.0 } else { tariff::text_rate(&self.order.to) };
        #[expect(clippy::cast_precision_loss, reason = "a text is never 2^52 units long")]
        let amount = rate * units as f64;
        (units, format!("{rate:.5}"), format!("{amount:.5}"))
    }
}
