//! All that can follow from a decision. Effects are saved as owed with the state, performed after the
//! commit, and struck off by the event that brings their outcome back: a crash may repeat one, never lose
//! one.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Ask Plivo for attempt number `attempt`.
    Trigger {
        /// Index in `attempts`.
        attempt: u8,
    },
    /// Take the call back that is attempt number `attempt`: it may be ringing, and all is over.
    HangUp {
        /// Index in `attempts`.
        attempt: u8,
    },
    /// Ask the PHLO which text or call its run made, since nothing has said so.
    Identify {
        /// Index in `attempts`.
        attempt: u8,
        /// Plivo's id of the run.
        run_id: String,
    },
    /// Make callbacks that carry only `provider_id` find attempt number `attempt`.
    Link {
        /// Message or call UUID.
        provider_id: String,
        /// Index in `attempts`.
        attempt: u8,
    },
}

/// An effect that is not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// What.
    pub effect: Effect,
    /// When somebody (again) takes it up: the end of the lease of whoever is at it, or of a pause.
    pub due: Timestamp,
    /// Whether somebody is at it; then a `due` that passes means that they died.
    pub in_flight: bool,
    /// How often it was taken up again. An outcome that belongs to an earlier round says nothing of this one.
    pub round: u16,
    /// Whether it was taken over once already.
    pub taken_over: bool,
}
