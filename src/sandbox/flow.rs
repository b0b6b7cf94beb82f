//! The flow file: a PHLO as data. `phlo/two_factor.json` is the one we ship.
//!
//! Nodes and edges as on Plivo's canvas, checked when read, so that running it cannot fail for the
//! file's sake. What matters on the canvas alone (ring timeout, voice, language) stands in the file and
//! is not read here. Source: plivo.com/docs/phlo/components-library.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::liquid::Liquid;
use super::scenario::TextState;

/// A PHLO that can be run.
#[derive(Debug)]
pub struct Flow {
    /// Its name, as the console shows it.
    pub(super) name: String,
    /// The payload keys that the Start node declares; nodes can read no other.
    pub(super) params: Vec<String>,
    start: String,
    nodes: HashMap<String, Node>,
    edges: HashMap<(String, String), String>,
}

/// Why a flow file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// Not JSON of the expected shape.
    #[error("the flow file: {0}")]
    Shape(#[from] serde_json::Error),
    /// Two nodes with one id.
    #[error("the flow has two nodes called {0}")]
    Twice(String),
    /// There must be exactly one Start node.
    #[error("the flow needs exactly one node of type start")]
    Start,
    /// An edge from or to nothing, from an output the node does not have, or a second one from the same.
    #[error("the flow's edge from {from}, output {output}, to {to} does not fit its nodes")]
    Edge {
        /// The node it leaves.
        from: String,
        /// The output it leaves by.
        output: String,
        /// The node it leads to.
        to: String,
    },
    /// A text that is not Liquid.
    #[error("a text of node {node}: {fault}")]
    Text {
        /// Whose text it is.
        node: String,
        /// What is wrong with it.
        fault: String,
    },
}

#[derive(Deserialize)]
struct File {
    name: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    from: String,
    output: String,
    to: String,
}

/// One box on the canvas.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) action: Action,
}

/// What a node does.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Action {
    Start {
        params: Vec<String>,
    },
    Branch {
        variable: String,
        conditions: Vec<Condition>,
    },
    SendSms {
        from: String,
        to: String,
        text: String,
        event_callbacks: Option<EventCallbacks<TextState>>,
    },
    InitiateCall {
        from: String,
        to: String,
        #[serde(default)]
        voicemail_detection: bool,
        event_callbacks: Option<EventCallbacks<CallEvent>>,
    },
    PlayAudio {
        /// SSML, without `<speak>`.
        speak: String,
    },
    HttpRequest {
        method: HttpMethod,
        url: String,
        /// A header that renders empty is left out.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: BTreeMap<String, String>,
    },
}

/// One output of a Branch: taken when the variable equals `value`.
#[derive(Debug, Deserialize)]
pub(super) struct Condition {
    pub(super) alias: String,
    pub(super) operation: Operation,
    pub(super) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Equals,
    NotEquals,
}

/// What a node reports by itself, and where to.
#[derive(Debug, Deserialize)]
pub(super) struct EventCallbacks<State> {
    pub(super) url: String,
    pub(super) states: Vec<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CallEvent {
    Ringing,
    Hangup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum HttpMethod {
    Post,
    Put,
}

impl Flow {
    /// The flow of this repository, `phlo/two_factor.json`.
    ///
    /// # Errors
    /// [`FlowError`] if the file that was built in is wrong, which a test rules out.
    pub fn two_factor() -> Result<Self, FlowError> {
        Self::parse(include_str!("../../phlo/two_factor.json"))
    }

    /// Reads a flow file.
    ///
    /// # Errors
    /// [`FlowError`] names the node or edge that is wrong.
    pub fn parse(json: &str) -> Result<Self, FlowError> {
        let file: File = serde_json::from_str(json)?;
        let mut nodes = HashMap::new();
        let mut starts = Vec::new();
        for node in file.nodes {
            node.check()?;
            if let Action::Start { params } = &node.action {
                starts.push((node.id.clone(), params.clone()));
            }
            if let Some(twice) = nodes.insert(node.id.clone(), node) {
                return Err(FlowError::Twice(twice.id));
            }
        }
        let (start, params) = starts.pop().filter(|_| starts.is_empty()).ok_or(FlowError::Start)?;
        let mut edges = HashMap::new();
        for Edge { from, output, to } in file.edges {
            let fits = nodes.get(&from).is_some_and(|node| node.action.outputs().contains(&output.as_str()))
                && nodes.contains_key(&to);
            if !fits || edges.contains_key(&(from.clone(), output.clone())) {
                return Err(FlowError::Edge { from, output, to });
            }
            edges.insert((from, output), to);
        }
        Ok(Self { name: file.name, params, start, nodes, edges })
    }

    /// Where a run begins.
    pub(super) fn start(&self) -> Option<&Node> {
        self.nodes.get(&self.start)
    }

    /// What is wired to an output, if anything.
    pub(super) fn next(&self, node: &Node, output: &str) -> Option<&Node> {
        self.nodes.get(self.edges.get(&(node.id.clone(), output.to_owned()))?)
    }
}

impl Node {
    fn check(&self) -> Result<(), FlowError> {
        let liquid = Liquid::new();
        let fault = self.action.texts().into_iter().find_map(|text| liquid.fault(text));
        fault.map_or(Ok(()), |fault| Err(FlowError::Text { node: self.id.clone(), fault }))
    }
}

impl Action {
    /// The type as the runner's messages write it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "Start",
            Self::Branch { .. } => "Branch",
            Self::SendSms { .. } => "Send SMS",
            Self::InitiateCall { .. } => "Initiate Call",
            Self::PlayAudio { .. } => "Play Audio",
            Self::HttpRequest { .. } => "HTTP Request",
        }
    }

    fn outputs(&self) -> Vec<&str> {
        match self {
            Self::Start { .. } => vec!["http"],
            Self::Branch { conditions, .. } => {
                conditions.iter().map(|condition| condition.alias.as_str()).chain(["no_match"]).collect()
            }
            Self::SendSms { .. } => vec!["sent", "failed"],
            Self::InitiateCall { .. } => vec!["answered", "no_answer", "busy_rejected", "failed", "voicemail"],
            Self::PlayAudio { .. } => vec!["completed"],
            Self::HttpRequest { .. } => vec!["success", "failed"],
        }
    }

    fn texts(&self) -> Vec<&String> {
        match self {
            Self::Start { .. } => Vec::new(),
            Self::Branch { variable, conditions } => {
                [variable].into_iter().chain(conditions.iter().map(|condition| &condition.value)).collect()
            }
            Self::SendSms { from, to, text, event_callbacks } => {
                [from, to, text].into_iter().chain(event_callbacks.as_ref().map(|callbacks| &callbacks.url)).collect()
            }
            Self::InitiateCall { from, to, event_callbacks, .. } => {
                [from, to].into_iter().chain(event_callbacks.as_ref().map(|callbacks| &callbacks.url)).collect()
            }
            Self::PlayAudio { speak } => vec![speak],
            Self::HttpRequest { url, headers, body, .. } => {
                [url].into_iter().chain(headers.values()).chain(body.values()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flow_we_ship_is_sound() {
        let flow = Flow::two_factor().unwrap();
        assert_eq!(flow.params, ["from", "to", "otp", "mode", "ref", "text", "language"]);
        let branch = flow.next(flow.start().unwrap(), "http").unwrap();
        assert_eq!(flow.next(branch, "sms").unwrap().id, "Send_SMS_1");
        assert_eq!(flow.next(branch, "call").unwrap().id, "Initiate_Call_1");
        assert!(flow.next(branch, "no_match").is_none());
    }

    #[test]
    fn a_file_that_does_not_hold_together_is_refused() {
        let start = r#"{"id":"S","type":"start","params":[]}"#;
        let file = |nodes: &str, edges: &str| format!(r#"{{"name":"x","nodes":[{nodes}],"edges":[{edges}]}}"#);
        let error = |nodes: &str, edges: &str| Flow::parse(&file(nodes, edges)).unwrap_err();
        assert!(matches!(error("", ""), FlowError::Start));
        assert!(matches!(error(&format!("{start},{start}"), ""), FlowError::Twice(_)));
        for edge in [r#"{"from":"S","output":"http","to":"T"}"#, r#"{"from":"S","output":"sent","to":"S"}"#] {
            assert!(matches!(error(start, edge), FlowError::Edge { .. }), "{edge}");
        }
        let broken = r#"{"id":"A","type":"play_audio","speak":"{% if %}"}"#;
        assert!(matches!(error(&format!("{start},{broken}"), ""), FlowError::Text { .. }));
    }
}
