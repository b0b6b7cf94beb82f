//! What a decision returns: the state after it, the effects, the lessons, and the answer.

use std::time::Duration;

use super::effect::Effect;
use super::state::Verification;
use super::words::{Ending, Status};
use crate::guard::Scope;
use crate::route_model::Lesson;

/// The result of one decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The state to commit.
    pub after: Verification,
    /// What to do once that is committed. Each effect is owed in `after` already.
    pub effects: Vec<Effect>,
    /// What the change teaches about the number's route, to be learned once it is committed.
    pub lessons: Vec<Lesson>,
    /// The reply to the sender of the events.
    pub answer: Answer,
}

impl Decision {
    /// Changes nothing.
    pub(super) fn unchanged(before: &Verification, answer: Answer) -> Self {
        Self { after: before.clone(), effects: Vec::new(), lessons: Vec::new(), answer }
    }
}

/// The reply to the sender of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The event was recorded.
    Noted,
    /// The code was right.
    Correct,
    /// The code was wrong.
    Incorrect,
    /// The same signed callback was applied before; this one changed nothing.
    Repeated {
        /// The time since, in whole seconds.
        after: Duration,
    },
    /// The event was refused and changed nothing it asked for.
    Refused(Refusal),
}

impl From<Ending> for Refusal {
    /// Why nothing more is done in what has ended so.
    fn from(how: Ending) -> Self {
        match how {
            Ending::LostInFailover => Self::LostInFailover,
            how => Self::Final(how.status()),
        }
    }
}

/// Why an event was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The verification has ended.
    Final(Status),
    /// The verification was open when Redis failed over, and was ended for that.
    LostInFailover,
    /// The code has another number of digits than this verification's; it was not counted.
    CodeLength(u8),
    /// The verification is open with another code than the creation brings.
    CodeConflict,
    /// As many sessions share what is sent as may.
    TooManySessions {
        /// The time until the code expires.
        retry_after: Duration,
    },
    /// A call is ringing or being spoken.
    CallInProgress,
    /// The last attempt on this channel is too recent.
    ResendCooldown {
        /// The time until it can be asked for again.
        retry_after: Duration,
    },
    /// The verification has had as many attempts as it may have.
    MaxAttempts,
    /// The number's country may not be called, or the verification allows texts only.
    ChannelNotAllowed,
    /// A limit is reached.
    RateLimited {
        /// Which limit.
        scope: Scope,
        /// The time until there is room.
        retry_after: Duration,
    },
    /// The nonce of this callback was used before, with other content.
    Replayed,
}
