//! Who may hear the code on a call.
//!
//! Plivo fetches what to say when a call of the Call API is answered, and again when a key is pressed. The code is
//! spoken only while the verification is pending and the call lasts.

use std::time::Duration;

use super::decision::Answer;
use super::event::Event;
use super::id::AttemptIndex;
use super::report::{CallReport, ReportFacts};
use super::state::Verification;
use super::trigger::ProviderId;
use super::words::AttemptStatus;
use crate::escalation::CallEnd;

/// The time for which a repeated request gets the same speech.
///
/// Plivo requires an answer within 15 s (plivo.com/docs/voice/concepts/callbacks) and may fetch it again if the first
/// was lost. A later repetition does not come from Plivo.
const REPEAT_MAX: Duration = Duration::from_secs(15);

/// Who is on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// An answering machine.
    Machine,
    /// A person: no machine was detected, and a key was pressed if one is required.
    Person,
    /// Not known before a key is pressed (`VOICE_CONFIRM`).
    Unknown,
}

/// What the call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSpeech {
    /// The code.
    Code,
    /// The request to press a key.
    KeyRequest,
    /// A farewell without the code.
    Goodbye,
}

impl Listener {
    /// Derives the listener from Plivo's request. The request's signature must cover `has_pressed`.
    pub fn of(is_machine: bool, has_pressed: bool, asks_for_a_key: bool) -> Self {
        if is_machine {
            Self::Machine
        } else if has_pressed || !asks_for_a_key {
            Self::Person
        } else {
            Self::Unknown
        }
    }

    /// What the request says about the call.
    pub fn event(self, attempt: AttemptIndex, provider_id: Option<ProviderId>) -> Event {
        let facts = ReportFacts::default();
        let report = match self {
            Self::Machine => CallReport::Ended { end: CallEnd::Machine, cause: None },
            Self::Person => CallReport::Answered,
            Self::Unknown => return Event::CallContinues { attempt, provider_id },
        };
        Event::CallReported { attempt, report, provider_id, facts }
    }
}

/// Decides what a call says, after the request's event was applied with this answer.
pub fn speech(v: &Verification, attempt: AttemptIndex, listener: Listener, answer: Answer) -> CallSpeech {
    let is_stale = match answer {
        Answer::Repeated { after } => after > REPEAT_MAX,
        // The request reuses a nonce, so it is not Plivo's.
        Answer::Refused(_) => true,
        Answer::Noted | Answer::Correct | Answer::Incorrect => false,
    };
    let is_on = v.attempt(attempt).is_some_and(|a| is_on(a.status));
    if v.is_final() || !is_on || is_stale {
        return CallSpeech::Goodbye;
    }
    match listener {
        Listener::Person => CallSpeech::Code,
        Listener::Unknown => CallSpeech::KeyRequest,
        Listener::Machine => CallSpeech::Goodbye,
    }
}

fn is_on(status: AttemptStatus) -> bool {
    use AttemptStatus::{Answered, Ringing, Triggered, Triggering, Unknown};
    matches!(status, Triggering | Unknown | Triggered | Ringing | Answered)
}
