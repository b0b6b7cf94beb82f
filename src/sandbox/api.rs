//! The words in which every request is described: the API, the medium and the number.

/// One of Plivo's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Phlo,
    Message,
    Call,
}

/// What a request asks Plivo to send: a PHLO run can ask for either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Text,
    Call,
}

impl Medium {
    /// The direct API that sends this medium.
    pub(super) fn api(self) -> Api {
        match self {
            Self::Text => Api::Message,
            Self::Call => Api::Call,
        }
    }
}

/// A number as Plivo reads it: blanks and `/ - . + ( )` do not count.
/// Source: plivo.com/docs/messaging/api/message/send-a-message.
pub(super) fn normalize_number(written: &str) -> String {
    written.chars().filter(|c| !c.is_whitespace() && !"/-.+()".contains(*c)).collect()
}
