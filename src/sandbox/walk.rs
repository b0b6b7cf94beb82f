//! One run of a PHLO: walks the flow from node to node, and answers whoever started it.
//!
//! As at Plivo, the run's answer comes once the first text or call has been submitted, in prose that
//! quotes the Message or Call API's answer; the rest of the flow goes on behind it. A node that fails is
//! no error of the run: it is a 2xx that says `output state: failed`. Sources: plivo-go's fixture
//! `phloRunResponse`; plivo-php issue 127.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::call::{self, Line};
use super::callbacks::Target;
use super::ending::Ending;
use super::flow::{Action, CallEvent, Condition, EventCallbacks, HttpMethod, Node, Operation};
use super::liquid::Form;
use super::outage::Api;
use super::provider::Provider;
use super::scenario::{Pickup, Scenario, TextState};
use super::text::{self, Reports};
use super::{lock, number, speech, tariff};

/// A flow may have loops; a run ends all the same.
const NODES_MAX: usize = 100;
/// How long an answer that callbacks shall overtake (scenario 0118) waits for an HTTP Request node.
const HELD: Duration = Duration::from_secs(3);

/// What can be asked about a run later.
#[derive(Debug)]
pub(super) struct Run {
    /// Also the `api_id` of the request that started it, as Plivo's docs have it.
    pub(super) id: String,
    pub(super) phlo_id: String,
    sent: Mutex<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    texts: Vec<String>,
    calls: Vec<String>,
}

impl Run {
    /// What `GET …/runs/{run}` shows. Source: plivo-java's `PhloRun` bean.
    pub(super) fn record(&self) -> Value {
        let sent = lock(&self.sent);
        json!({
            "phlo_id": self.phlo_id,
            "run_id": self.id,
            "phlo_run_id": self.id,
            "message_uuids": sent.texts,
            "call_uuids": sent.calls,
            "recording_ids": [],
        })
    }
}

/// Starts a run. `answer` gets the message that the run's answer carries.
pub(super) fn start(
    provider: &Arc<Provider>,
    phlo_id: &str,
    payload: &Map<String, Value>,
    answer: oneshot::Sender<String>,
) -> Arc<Run> {
    let run = Arc::new(Run { id: Uuid::new_v4().to_string(), phlo_id: phlo_id.to_owned(), sent: Mutex::default() });
    provider.keep_run(&run);
    let walk = Walk {
        provider: Arc::clone(provider),
        run: Arc::clone(&run),
        variables: variables(provider, payload),
        answer: Some(answer),
        held: None,
        line: None,
    };
    provider.runtime.spawn(walk.walk());
    run
}

/// Only what the Start node declares can be read.
fn variables(provider: &Provider, payload: &Map<String, Value>) -> Map<String, Value> {
    let declared = provider.flow.params.iter().filter_map(|key| Some((key.clone(), payload.get(key)?.clone())));
    let mut variables = Map::new();
    variables.insert("Start".to_owned(), json!({ "http": { "params": declared.collect::<Map<_, _>>() } }));
    variables.insert("canvas".to_owned(), provider.config.canvas());
    variables
}

struct Walk {
    provider: Arc<Provider>,
    run: Arc<Run>,
    variables: Map<String, Value>,
    answer: Option<oneshot::Sender<String>>,
    /// The answer's message, while callbacks shall overtake it.
    held: Option<String>,
    /// The call that is up.
    line: Option<Arc<Line>>,
}

impl Walk {
    async fn walk(mut self) {
        let provider = Arc::clone(&self.provider);
        let mut next = provider.flow.start();
        for _ in 0..NODES_MAX {
            let Some(node) = next else { break };
            let Some(output) = self.visit(node).await else { break };
            next = provider.flow.next(node, output);
            if next.is_none() {
                self.reply(format!("stopped. next node uuid not found for {}", self.outcome(node, output)));
            } else if output == "failed" && matches!(node.action, Action::SendSms { .. } | Action::InitiateCall { .. })
            {
                self.reply(format!("executed {}", self.outcome(node, output)));
            }
        }
        self.release();
        if let Some(line) = self.line.take() {
            let ending = if line.is_machine() { Ending::MACHINE } else { Ending::COMPLETED };
            line.end(&provider, ending);
        }
    }

    /// Does what the node does and says by which output it was left; `None` ends the run.
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
                self.release();
                Some(output)
            }
        }
    }

    fn branch<'a>(&self, variable: &str, conditions: &'a [Condition]) -> &'a str {
        let left = self.text(variable);
        let holds = |condition: &&Condition| match condition.operation {
            Operation::Equals => left == self.text(&condition.value),
            Operation::NotEquals => left != self.text(&condition.value),
        };
        conditions.iter().find(holds).map_or("no_match", |condition| &condition.alias)
    }

    async fn send_sms(
        &mut self,
        node: &Node,
        texts: [&String; 3],
        callbacks: Option<&EventCallbacks<TextState>>,
    ) -> &'static str {
        let [from, to, text] = texts.map(|text| self.text(text));
        let to = number(&to);
        let refused = from.is_empty() || to.is_empty() || text.is_empty() || tariff::is_too_long(&text);
        if refused || Scenario::of(&to) == Scenario::NodeFails {
            return "failed";
        }
        let callbacks_first = Scenario::of(&to) == Scenario::CallbackFirst;
        let reports = callbacks.map(|EventCallbacks { url, states }| Reports {
            target: Target { url: self.text(url), method: Method::POST },
            states: Some(states.clone()),
        });
        let order = text::Order { api: Api::Phlo, from: number(&from), to, text, reports };
        let uuid = text::send(&self.provider, order).await.uuid.clone();
        lock(&self.run.sent).texts.push(uuid.clone());
        let response = format!("'message': 'message(s) queued', 'message_uuid': ['{uuid}']");
        let message = self.executed(node, &response);
        if callbacks_first {
            self.held = Some(message);
        } else {
            self.reply(message);
        }
        self.variables.insert(node.id.clone(), json!({ "message_uuid": uuid }));
        "sent"
    }

    async fn initiate_call(
        &mut self,
        node: &Node,
        texts: [&String; 2],
        voicemail_detection: bool,
        callbacks: Option<&EventCallbacks<CallEvent>>,
    ) -> Option<&'static str> {
        let [from, to] = texts.map(|text| self.text(text));
        let to = number(&to);
        if from.is_empty() || to.is_empty() {
            return Some("failed");
        }
        let target = |event| {
            let callbacks = callbacks.filter(|callbacks| callbacks.states.contains(&event))?;
            Some(Target { url: self.text(&callbacks.url), method: Method::POST })
        };
        let order = call::Order {
            api: Api::Phlo,
            from: number(&from),
            to,
            on_ring: target(CallEvent::Ringing),
            on_hangup: target(CallEvent::Hangup),
        };
        let line = Line::place(&self.provider, order);
        lock(&self.run.sent).calls.push(line.uuid.clone());
        let response = format!("'message': 'call fired', 'request_uuid': '{}'", line.request_uuid);
        self.reply(self.executed(node, &response));

        let pickup = line.ring(&self.provider).await?;
        let cause = line.ending().map(|ending| ending.cause);
        let variables = json!({ "uuid": line.uuid, "request_uuid": line.request_uuid, "hangup_cause": cause });
        self.variables.insert(node.id.clone(), variables);
        Some(match pickup {
            Pickup::NoAnswer => "no_answer",
            Pickup::Busy | Pickup::Rejected => "busy_rejected",
            Pickup::Failed => "failed",
            Pickup::Answered | Pickup::Machine => {
                self.line = Some(line);
                if voicemail_detection && pickup == Pickup::Machine { "voicemail" } else { "answered" }
            }
        })
    }

    /// Speaks on the call that is up. A call that is cut meanwhile ends the run.
    async fn play_audio(&mut self, speak: &str) -> Option<&'static str> {
        let ssml = self.provider.liquid.render(Form::Xml, speak, &self.variables);
        let said = speech::spoken(&ssml).unwrap_or_default();
        let line = Arc::clone(self.line.as_ref()?);
        tokio::select! {
            () = line.say(&self.provider, &said) => Some("completed"),
            () = line.was_cut() => {
                line.end(&self.provider, Ending::HUNG_UP);
                None
            }
        }
    }

    async fn http_request(&self, action: &Action) -> &'static str {
        let Action::HttpRequest { method, url, headers, body } = action else { return "failed" };
        let body: Map<String, Value> =
            body.iter().map(|(key, text)| (key.clone(), Value::from(self.text(text)))).collect();
        let headers = headers.iter().map(|(name, text)| (name, self.text(text))).filter(|(_, text)| !text.is_empty());
        let method = match method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let posted = self.provider.callbacks.unsigned(|client| {
            headers.fold(client.request(method, self.text(url)).json(&body), |request, (name, text)| {
                request.header(name, text)
            })
        });
        let reply =
            if self.held.is_some() { tokio::time::timeout(HELD, posted).await.ok().flatten() } else { posted.await };
        if reply.is_some_and(|reply| reply.is_success()) { "success" } else { "failed" }
    }

    fn text(&self, text: &str) -> String {
        self.provider.liquid.render(Form::Text, text, &self.variables)
    }

    /// `b'Send SMS' - b'Send_SMS_1' with phlo_run_uuid: … executed with response: {…}`.
    fn executed(&self, node: &Node, response: &str) -> String {
        if self.provider.config.terse_runs {
            return "API request executed".to_owned();
        }
        let api_id = Uuid::new_v4();
        format!(
            "b'{}' - b'{}' with phlo_run_uuid: {} executed with response: {{'api_id': '{api_id}', {response}}}",
            node.action.kind(),
            node.id,
            self.run.id
        )
    }

    fn outcome(&self, node: &Node, output: &str) -> String {
        let kind = node.action.kind();
        format!("b'{kind}' - b'{}' with output state: {output} - phlo_run_id {}", node.id, self.run.id)
    }

    /// Answers the run, the first time it is called. Nobody may be listening any more.
    fn reply(&mut self, message: String) {
        if self.held.is_some() {
            return;
        }
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(message);
        }
    }

    fn release(&mut self) {
        if let Some(message) = self.held.take() {
            self.reply(message);
        }
    }
}
