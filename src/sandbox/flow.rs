//! [`Flow`]: a PHLO as data, read from a file such as `phlo/two_factor.json`.
//!
//! Nodes and edges are those of Plivo's canvas. They are checked once, so that a run cannot fail because of the file.
//! Fields that matter on the canvas only (ring timeout, voice, language) are not read here. Source:
//! plivo.com/docs/phlo/components-library.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::liquid::Liquid;
use super::scenario::TextState;

/// A checked PHLO.
#[derive(Debug)]
pub struct Flow {
    /// The name that the console shows.
    pub(super) name: String,
    /// The payload keys that the Start node declares; nodes cannot read others.
    pub(super) params: Vec<String>,
    start: String,
    nodes: HashMap<String, Node>,
    edges: HashMap<(String, String), String>,
}

/// A fault in a flow file.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The file is not JSON of the expected shape.
    #[error("the flow file cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// Two nodes share an id.
    #[error("the flow has two nodes with the id {0}")]
    DuplicateNode(String),
    /// There is no Start node, or more than one.
    #[error("the flow needs exactly one node of type start")]
    Start,
    /// An edge names an unknown node or output, or an output has two edges.
    #[error(
        "the flow's edge from {from}, output {output}, to {to} names an unknown node or output, or doubles an edge"
    )]
    Edge {
        /// The node it leaves.
        from: String,
        /// The output it starts at.
        output: String,
        /// The node it leads to.
        to: String,
    },
    /// A text is not valid Liquid.
    #[error("a text of node {node} is not valid Liquid: {error}")]
    Text {
        /// The node that has the text.
        node: String,
        /// The syntax error.
        error: String,
    },
}

#[derive(Deserialize)]
struct FlowFile {
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

/// The type of a node and its fields. The name displayed is the one in the runner's messages.
#[derive(Debug, Deserialize, strum::Display)]
#[serde(tag = "type", rename_all = "snake_case")]
#[strum(serialize_all = "title_case")]
pub(super) enum Action {
    Start {
        params: Vec<String>,
    },
    Branch {
        variable: String,
        conditions: Vec<Condition>,
    },
    #[strum(serialize = "Send SMS")]
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
    #[strum(serialize = "HTTP Request")]
    HttpRequest {
        method: HttpMethod,
        url: String,
        /// A header that renders empty is not sent.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: BTreeMap<String, String>,
    },
}

/// One output of a Branch, taken when the variable compares to `value`.
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

/// Where a node sends its own callbacks, and for which states.
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
    /// [`FlowError`] if the built-in file is faulty; a test excludes that.
    pub fn two_factor() -> Result<Self, FlowError> {
        Self::parse(include_str!("../../phlo/two_factor.json"))
    }

    /// Reads a flow file.
    ///
    /// # Errors
    /// [`FlowError`] names the node or edge that is wrong.
    pub fn parse(json: &str) -> Result<Self, FlowError> {
        let file: FlowFile = serde_json::from_str(json)?;
        let mut nodes = HashMap::new();
        let mut starts = Vec::new();
        for node in file.nodes {
            node.check()?;
            if let Action::Start { params } = &node.action {
                starts.push((node.id.clone(), params.clone()));
            }
            if let Some(duplicate) = nodes.insert(node.id.clone(), node) {
                return Err(FlowError::DuplicateNode(duplicate.id));
            }
        }
        let (start, params) = starts.pop().filter(|_| starts.is_empty()).ok_or(FlowError::Start)?;
        let mut edges = HashMap::new();
        for Edge { from, output, to } in file.edges {
            let is_known = nodes.get(&from).is_some_and(|node| node.action.outputs().contains(&output.as_str()))
                && nodes.contains_key(&to);
            if !is_known || edges.contains_key(&(from.clone(), output.clone())) {
                return Err(FlowError::Edge { from, output, to });
            }
            edges.insert((from, output), to);
        }
        Ok(Self { name: file.name, params, start, nodes, edges })
    }

    /// The Start node.
    pub(super) fn start(&self) -> Option<&Node> {
        self.nodes.get(&self.start)
    }

    /// The node that an output leads to.
    pub(super) fn next(&self, node: &Node, output: &str) -> Option<&Node> {
        self.nodes.get(self.edges.get(&(node.id.clone(), output.to_owned()))?)
    }
}

impl Node {
    fn check(&self) -> Result<(), FlowError> {
        let liquid = Liquid::new();
        match self.action.texts().into_iter().find_map(|text| liquid.syntax_error(text)) {
            None => Ok(()),
            Some(error) => Err(FlowError::Text { node: self.id.clone(), error }),
        }
    }
}

impl Action {
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
    fn the_built_in_flow_is_valid() {
        let flow = Flow::two_factor().unwrap();
        assert_eq!(flow.params, ["from", "to", "otp", "mode", "ref", "text", "language"]);
        let branch = flow.next(flow.start().unwrap(), "http").unwrap();
        assert_eq!(flow.next(branch, "sms").unwrap().id, "Send_SMS_1");
        assert_eq!(flow.next(branch, "call").unwrap().id, "Initiate_Call_1");
        assert!(flow.next(branch, "no_match").is_none());
    }

    #[test]
    fn nodes_are_displayed_as_in_the_runner_s_messages() {
        let flow = Flow::two_factor().unwrap();
        let names: std::collections::BTreeSet<String> =
            flow.nodes.values().map(|node| node.action.to_string()).collect();
        let expected = ["Branch", "HTTP Request", "Initiate Call", "Play Audio", "Send SMS", "Start"];
        assert!(names.iter().eq(expected), "{names:?}");
    }

    #[test]
    fn an_inconsistent_file_is_refused() {
        let start = r#"{"id":"S","type":"start","params":[]}"#;
        let file = |nodes: &str, edges: &str| format!(r#"{{"name":"x","nodes":[{nodes}],"edges":[{edges}]}}"#);
        let error = |nodes: &str, edges: &str| Flow::parse(&file(nodes, edges)).unwrap_err();
        assert!(matches!(error("", ""), FlowError::Start));
        assert!(matches!(error(&format!("{start},{start}"), ""), FlowError::DuplicateNode(_)));
        for edge in [r#"{"from":"S","output":"http","to":"T"}"#, r#"{"from":"S","output":"sent","to":"S"}"#] {
            assert!(matches!(error(start, edge), FlowError::Edge { .. }), "{edge}");
        }
        let broken = r#"{"id":"A","type":"play_audio","speak":"{% if %}"}"#;
        assert!(matches!(error(&format!("{start},{broken}"), ""), FlowError::Text { .. }));
    }
}
