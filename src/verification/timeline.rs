//! The timeline of a verification: each event and decision, with its reason and inputs.

use serde::{Deserialize, Serialize};

use super::id::{AttemptIndex, SessionIndex};
use super::report::{CallReport, TextReport};
use super::words::{Activity, Channel, Ending, Feedback, Mode, Via};
use crate::escalation::{Policy, Reason};
use crate::guard::Scope;
use crate::route_model::AdviceSummary;
use crate::time::Timestamp;

/// The length from which entries that a client can repeat at will (activity, deferrals) are no longer kept.
pub const ENTRIES_MAX: usize = 64;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub note: Note,
    /// Whose it is, if it is of one session only: see [`Note::is_of_one_session`].
    #[serde(default, skip_serializing_if = "SessionIndex::is_first")]
    pub session: SessionIndex,
}

impl Entry {
    /// Whether the session is shown this entry.
    pub fn is_shown_to(&self, session: SessionIndex) -> bool {
        self.session == session || !self.note.is_of_one_session()
    }
}

/// What happened or was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "field names are those of the types they hold")]
pub enum Note {
    /// It was created.
    Created { mode: Mode, policy: Policy },
    /// The session joined: a further creation for the same number and purpose.
    Joined,
    /// An attempt was decided on. `waited_ms` counts from the first request to Plivo.
    AttemptDecided {
        attempt: AttemptIndex,
        channel: Channel,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_repeat: bool,
        waited_ms: u64,
    },
    /// The figures behind the adaptive policy's decision on the attempt that follows.
    Weighed { attempt: AttemptIndex, weighed: AdviceSummary },
    /// The planned call falls into quiet hours and is deferred to their end.
    QuietHours { until: Timestamp },
    /// A limit refused the call that was due.
    CallBarred { reason: Reason, is_repeat: bool, scope: Scope },
    /// Plivo accepted the attempt.
    Accepted { attempt: AttemptIndex, via: Via },
    /// Plivo refused the attempt. `stop`: no further attempt will be accepted.
    Refused { attempt: AttemptIndex, provider_status: u16, stop: bool },
    /// The outcome of the request is unknown: Plivo may have sent it.
    TimedOut { attempt: AttemptIndex },
    /// The PHLO could not run the attempt, so the direct API is asked.
    PassedOn { attempt: AttemptIndex, provider_status: Option<u16> },
    /// Plivo could not be asked now.
    Deferred { attempt: AttemptIndex, provider_status: Option<u16>, retry_at: Timestamp },
    /// The replica that asked Plivo died, so another asks again.
    TakenOver { attempt: AttemptIndex },
    /// A delivery report changed a text.
    TextReported { attempt: AttemptIndex, report: TextReport },
    /// A report changed a call.
    CallReported { attempt: AttemptIndex, report: CallReport },
    /// Silence about a call counts as no answer.
    CallSilent { attempt: AttemptIndex },
    /// A call that may still ring is hung up, because the verification has ended.
    TakenBack { attempt: AttemptIndex },
    /// A wrong code was entered.
    CodeIncorrect { checks_remaining: u8 },
    /// The customer's page reported what the person does.
    Activity { kind: Activity },
    /// An attempt that Plivo had not been asked for was given up, because the verification has ended.
    Dropped { attempt: AttemptIndex },
    /// The session became final.
    Ended { how: Ending },
    /// The customer said what became of the code.
    Feedback { feedback: Feedback },
    /// Plivo's list of sent messages lacks the text, so it is requested again.
    NotSent { attempt: AttemptIndex },
}

impl Note {
    /// Whether it concerns the creation, checks, activity or end of one session. All else concerns what is sent, which is
    /// shared.
    pub fn is_of_one_session(&self) -> bool {
        matches!(
            self,
            Self::Created { .. }
                | Self::Joined
                | Self::CodeIncorrect { .. }
                | Self::Activity { .. }
                | Self::Ended { .. }
        )
    }
}
