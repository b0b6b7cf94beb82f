//! Runs a PHLO: walks the flow from node to node and answers the request that started it.
//!
//! As at Plivo, the answer comes once the first text or call has been submitted, in prose that quotes the answer of
//! the Message or Call API. The rest of the flow goes on in a detached task. A failed node is no error of the run:
//! the answer is a 2xx that says `output state: failed`. Sources: plivo-go, fixture `phloRunResponse`; plivo-php,
//! issue 127.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::api::{Api, normalize_number};
use super::call::{CallOrder, PlacedCall};
use super::callbacks::CallbackTarget;
use super::ending::Ending;
use super::flow::{Action, CallEvent, Condition, EventCallbacks, HttpMethod, Node, Operation};
use super::liquid::Escaping;
use super::provider::Provider;
use super::run_record::RunRecord;
use super::scenario::{RingResult, Scenario, TextState};
use super::text::{ReportSubscription, TextOrder};
use super::{ring, send, speech, tariff};

/// Ends the run of a flow that loops.
const NODES_MAX: usize = 100;
/// How long the held answer of scenario 0118 waits for an HTTP Request node.
const HELD_ANSWER_MAX: Duration = Duration::from_secs(3);

/// Starts a run; `answer` receives the message of its answer.
pub(super) fn start(
    provider: &Arc<Provider>,
    phlo_id: &str,
    payload: &Map<String, Value>,
    answer: oneshot::Sender<String>,
) -> Arc<RunRecord> {
    let record = Arc::new(RunRecord::new(phlo_id));
    provider.keep_run(&record);
    let walk = Walk {
        provider: Arc::clone(provider),
        record: Arc::clone(&record),
        variables: initial_variables(provider, payload),
        answer: Some(answer),
        held_message: None,
        call: None,
    };
    provider.runtime.spawn(walk.run());
    record
}

/// Keys that the Start node does not declare cannot be read.
fn initial_variables(provider: &Provider, payload: &Map<String, Value>) -> Map<String, Value> {
    let declared = provider.flow.params.iter().filter_map(|key| Some((key.clone(), payload.get(key)?.clone())));
    let mut variables = Map::new();
    variables.insert("Start".to_owned(), json!({ "http": { "params": declared.collect::<Map<_, _>>() } }));
    variables.insert("canvas".to_owned(), provider.config.canvas());
    variables
}

struct Walk {
    provider: Arc<Provider>,
    record: Arc<RunRecord>,
    variables: Map<String, Value>,
    /// Taken when the run is answered.
    answer: Option<oneshot::Sender<String>>,
    /// The message of an answer that waits for the first callbacks (scenario 0118).
    held_message: Option<String>,
    /// The answered call, until the run ends it.
    call: Option<Arc<PlacedCall>>,
}

impl Walk {
    async fn run(mut self) {
        let provider = Arc::clone(&self.provider);
        let mut next = provider.flow.start();
        for _ in 0..NODES_MAX {
            let Some(node) = next else { break };
            let Some(output) = self.visit(node).await else { break };
            next = provider.flow.next(node, output);
            if next.is_none() {
                self.answer(format!("stopped. next node uuid not found for {}", self.output_text(node, output)));
            } else if output == "failed" && matches!(node.action, Action::SendSms { .. } | Action::InitiateCall { .. })
            {
                self.answer(format!("executed {}", self.output_text(node, output)));
            }
        }
        self.release_held_answer();
        if let Some(call) = self.call.take() {
            let ending = if call.is_machine() { Ending::MACHINE } else { Ending::COMPLETED };
            ring::end(&provider, &call, ending);
        }
    }

    /// Performs the node and returns the output by which the run leaves it; `None` ends the run.
    async fn visit<'a>(&mut self, node: &'a Node) -> Option<&'a str> {
        match &node.action {
            Action::Start { .. } => Some("http"),
            Action::Branch { variable, conditions } => Some(self.branch(variable, conditions)),
            Action::SendSms { from, to, text, event_callbacks } => {
                Some(self.send_sms(node, [from, to, text], event_callbacks.as_ref()).await)
            }
            Action::InitiateCall { from, to, voicemail_detection, event_callbacks } => {
                self.initiate_call(node, [from, to], *voicemail_detection, event_callbacks.as_ref()).await
            }
            Action::PlayAudio { speak } => self.play_audio(speak).await,
            Action::HttpRequest { .. } => {
                let output = self.http_request(&node.action).await;
                self.release_held_answer();
                Some(output)
            }
        }
    }

    fn branch<'a>(&self, variable: &str, conditions: &'a [Condition]) -> &'a str {
        let left = self.render(variable);
        let holds = |condition: &&Condition| match condition.operation {
            Operation::Equals => left == self.render(&condition.value),
            Operation::NotEquals => left != self.render(&condition.value),
        };
        conditions.iter().find(holds).map_or("no_match", |condition| &condition.alias)
    }

    async fn send_sms(
        &mut self,
        node: &Node,
        fields: [&String; 3],
        callbacks: Option<&EventCallbacks<TextState>>,
    ) -> &'static str {
        let [from, to, text] = fields.map(|field| self.render(field));
        let to = normalize_number(&to);
        let is_invalid = from.is_empty() || to.is_empty() || text.is_empty() || tariff::is_too_long(&text);
        let scenario = Scenario::of(&to);
        if is_invalid || scenario == Scenario::NodeFails {
            return "failed";
        }
        let reports = callbacks.map(|EventCallbacks { url, states }| ReportSubscription {
            target: CallbackTarget { url: self.render(url), method: Method::POST },
            states: Some(states.clone()),
        });
        let order = TextOrder { api: Api::Phlo, from: normalize_number(&from), to, text, reports };
        let uuid = send::send(&self.provider, order).await.uuid.clone();
        self.record.add_text(&uuid);
        let response = format!("'message': 'message(s) queued', 'message_uuid': ['{uuid}']");
        let message = self.execution_text(node, &response);
        if scenario == Scenario::CallbackFirst {
            self.held_message = Some(message);
        } else {
            self.answer(message);
        }
        self.variables.insert(node.id.clone(), json!({ "message_uuid": uuid }));
        "sent"
    }

    async fn initiate_call(
        &mut self,
        node: &Node,
        fields: [&String; 2],
        voicemail_detection: bool,
        callbacks: Option<&EventCallbacks<CallEvent>>,
    ) -> Option<&'static str> {
        let [from, to] = fields.map(|field| self.render(field));
        let to = normalize_number(&to);
        if from.is_empty() || to.is_empty() {
            return Some("failed");
        }
        let target = |event| {
            let callbacks = callbacks.filter(|callbacks| callbacks.states.contains(&event))?;
            Some(CallbackTarget { url: self.render(&callbacks.url), method: Method::POST })
        };
        let order = CallOrder {
            api: Api::Phlo,
            from: normalize_number(&from),
            to,
            on_ring: target(CallEvent::Ringing),
            on_hangup: target(CallEvent::Hangup),
        };
        let call = ring::place(&self.provider, order);
        self.record.add_call(&call.uuid);
        let response = format!("'message': 'call fired', 'request_uuid': '{}'", call.request_uuid);
        self.answer(self.execution_text(node, &response));

        let result = ring::ring(&self.provider, &call).await?;
        let cause = call.ending().map(|ending| ending.cause);
        let variables = json!({ "uuid": call.uuid, "request_uuid": call.request_uuid, "hangup_cause": cause });
        self.variables.insert(node.id.clone(), variables);
        Some(match result {
            RingResult::NoAnswer => "no_answer",
            RingResult::Busy | RingResult::Rejected => "busy_rejected",
            RingResult::Failed => "failed",
            RingResult::Answered | RingResult::Machine => {
                self.call = Some(call);
                if voicemail_detection && result == RingResult::Machine { "voicemail" } else { "answered" }
            }
        })
    }

    /// Speaks on the answered call. A hangup by the customer ends the run.
    async fn play_audio(&mut self, speak: &str) -> Option<&'static str> {
        let ssml = self.provider.liquid.render(Escaping::Xml, speak, &self.variables);
        let text = speech::spoken_text(&ssml).unwrap_or_default();
        let call = Arc::clone(self.call.as_ref()?);
        tokio::select! {
            () = ring::speak(&self.provider, &call, &text) => Some("completed"),
            () = call.hangup_requested() => {
                ring::end(&self.provider, &call, Ending::HUNG_UP);
                None
            }
        }
    }

    async fn http_request(&self, action: &Action) -> &'static str {
        let Action::HttpRequest { method, url, headers, body } = action else { return "failed" };
        let body: Map<String, Value> =
            body.iter().map(|(key, text)| (key.clone(), Value::from(self.render(text)))).collect();
        let headers = headers.iter().map(|(name, text)| (name, self.render(text))).filter(|(_, text)| !text.is_empty());
        let method = match method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let response = self.provider.callbacks.send_unsigned(|client| {
            headers.fold(client.request(method, self.render(url)).json(&body), |request, (name, text)| {
                request.header(name, text)
            })
        });
        let reply = if self.held_message.is_some() {
            tokio::time::timeout(HELD_ANSWER_MAX, response).await.ok().flatten()
        } else {
            response.await
        };
        if reply.is_some_and(|reply| reply.is_success()) { "success" } else { "failed" }
    }

    fn render(&self, text: &str) -> String {
        self.provider.liquid.render(Escaping::None, text, &self.variables)
    }

    /// `b'Send SMS' - b'Send_SMS_1' with phlo_run_uuid: … executed with response: {…}`.
    fn execution_text(&self, node: &Node, response: &str) -> String {
        if self.provider.config.terse_runs {
            return "API request executed".to_owned();
        }
        let api_id = Uuid::new_v4();
        format!(
            "b'{}' - b'{}' with phlo_run_uuid: {} executed with response: {{'api_id': '{api_id}', {response}}}",
            node.action, node.id, self.record.id
        )
    }

    fn output_text(&self, node: &Node, output: &str) -> String {
        format!("b'{}' - b'{}' with output state: {output} - phlo_run_id {}", node.action, node.id, self.record.id)
    }

    /// Answers the run, unless it has been answered or its answer is held.
    fn answer(&mut self, message: String) {
        if self.held_message.is_some() {
            return;
        }
        if let Some(answer) = self.answer.take() {
            // The client may have disconnected.
            let _ = answer.send(message);
        }
    }

    fn release_held_answer(&mut self) {
        if let Some(message) = self.held_message.take() {
            self.answer(message);
        }
    }
}
