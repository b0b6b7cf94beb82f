//! [`Note`]: what is written down of each event and decision, with its reason and inputs.

use serde::{Deserialize, Serialize};

use super::attempt::Via;
use super::event::{CallReport, TextReport};
use super::state::{Channel, Mode, Status};
use crate::escalation::{Policy, Reason};
use crate::guard::Scope;
use crate::route_model::AdviceSummary;
use crate::time::Timestamp;

/// Entries after which those that can be repeated at will (joins, activity, deferrals) are kept no more.
pub const ENTRIES_MAX: usize = 64;

/// One line of a verification's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub note: Note,
}

/// What happened or was decided. Attempts are named by their index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "field names are those of the types they hold")]
pub enum Note {
    /// It was created.
    Created { mode: Mode, policy: Policy },
    /// A further creation for the same number joined it.
    Joined,
    /// An attempt was decided on. `waited_ms` counts from the first request.
    AttemptDecided { attempt: u8, channel: Channel, reason: Option<Reason>, is_repeat: bool, waited_ms: u64 },
    /// What the adaptive policy decided on the attempt that follows.
    Weighed { attempt: u8, weighed: AdviceSummary },
    /// A call is planned for what is night at the number's place.
    Night { until: Timestamp },
    /// A call was due and the guard refused it.
    CallBarred { reason: Reason, is_repeat: bool, scope: Scope },
    /// Plivo took it.
    Accepted { attempt: u8, via: Via },
    /// Plivo refused it.
    Refused { attempt: u8, provider_status: u16, stop: bool },
    /// Plivo did not answer in time: perhaps sent.
    TimedOut { attempt: u8 },
    /// The PHLO could not run it, so the direct API is asked.
    PassedOn { attempt: u8, provider_status: Option<u16> },
    /// Plivo could not be asked now.
    Deferred { attempt: u8, provider_status: Option<u16>, retry_at: Timestamp },
    /// Whoever was asking Plivo died; it is asked again.
    TakenOver { attempt: u8 },
    /// A text moved on.
    TextReported { attempt: u8, report: TextReport },
    /// A call moved on.
    CallReported { attempt: u8, report: CallReport },
    /// Nothing was heard of a call.
    CallSilent { attempt: u8 },
    /// A call that may still ring is taken back, since it is all over.
    TakenBack { attempt: u8 },
    /// Somebody entered a wrong code.
    CodeIncorrect { checks_remaining: u8 },
    /// The customer's page told what the person does.
    Activity { kind: super::event::Activity },
    /// An attempt was decided on and will not be made, since it is all over.
    Dropped { attempt: u8 },
    /// It became final.
    Ended { status: Status },
}
