//! What follows from a decision outside the record.
//!
//! An effect is saved as owed together with the state, performed after the commit, and removed by the event that
//! brings its outcome. So a crash may repeat an effect and never loses one.

use serde::{Deserialize, Serialize};

use super::id::AttemptIndex;
use crate::time::Timestamp;

/// Something to do outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Ask Plivo for an attempt.
    Trigger {
        /// Which attempt.
        attempt: AttemptIndex,
    },
    /// Hang up a call that may still ring, because the verification has ended.
    HangUp {
        /// Which attempt.
        attempt: AttemptIndex,
    },
    /// Ask the PHLO which text or call its run created, because no callback has said so.
    Identify {
        /// Which attempt.
        attempt: AttemptIndex,
        /// Plivo's id of the run.
        run_id: String,
    },
    /// Map Plivo's UUID to an attempt, for callbacks that carry only the UUID.
    Link {
        /// Message or call UUID.
        provider_id: String,
        /// Which attempt.
        attempt: AttemptIndex,
    },
    /// Tell the app's receiver of an entry of the timeline.
    Tell {
        /// The position of the entry.
        entry: u16,
    },
    /// Ask Plivo's list of sent messages for a text whose request was not answered.
    LookUp {
        /// Which attempt.
        attempt: AttemptIndex,
    },
}

impl Effect {
    /// Whether the sender of an event may wait for its outcome. A receiver of webhooks may be slow.
    pub fn is_awaited(&self) -> bool {
        !matches!(self, Self::Tell { .. })
    }
}

/// An effect that is not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The effect.
    pub effect: Effect,
    /// When it is issued again: at the end of the lease, or of a pause.
    pub due: Timestamp,
    /// Whether a replica performs it now. If `due` passes meanwhile, that replica counts as dead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_flight: bool,
    /// How often it was issued again. An outcome of an earlier round says nothing about this one.
    pub round: u16,
    /// Whether another replica has taken it over once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
}
