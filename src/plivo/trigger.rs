//! [`Trigger`] and [`Triggered`]: a request for one attempt, and what became of it.

use super::client::Reply;
use crate::phone::PhoneNumber;
use crate::verification::{AttemptRef, Channel, Code, Details, Via};

/// A request for one attempt.
pub struct Trigger<'a> {
    /// The app that asks for it.
    pub app: &'a str,
    /// The attempt to make.
    pub attempt: AttemptRef,
    /// Text or call.
    pub channel: Channel,
    /// The number to reach.
    pub to: &'a PhoneNumber,
    /// The code to deliver.
    pub code: &'a Code,
    /// Locale and other details of the verification.
    pub details: &'a Details,
}

/// The result of a trigger.
#[derive(Debug, PartialEq)]
pub struct Triggered {
    /// The API that was used.
    pub via: Via,
    /// Plivo's answer.
    pub reply: Reply,
    /// Whether a request was made; `false` when the circuit breaker was open.
    pub was_asked: bool,
    /// Message or call UUID, if the answer contains one.
    pub provider_id: Option<String>,
    /// The id of the PHLO run.
    pub run_id: Option<String>,
}
