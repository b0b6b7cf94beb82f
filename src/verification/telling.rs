//! Webhooks: what a receiver is told of, and how far it has been told. `tell.rs` is the phase of `decide`.
//!
//! The timeline is the ordered log of a verification, so the outbox of its webhooks is a place in it: entries before that
//! place need no delivery any more. An event is part of the commit that notes its entry, takes no bytes of its own, and is
//! told only after the one before it. One delivery is owed at a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::timeline::Note;
use super::words::{Channel, Ending, Status};
use crate::escalation::Reason;
use crate::time::Timestamp;

/// How long an event is sent again until a receiver takes it.
pub const TELL_FOR: Duration = Duration::from_secs(24 * 3600);

/// How long an event that no receiver has taken is kept with its record.
pub const UNTOLD_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The lease of one delivery: a wait for its turn, one request of ten seconds, and the commit of its outcome.
pub const TELL_LEASE: Duration = Duration::from_secs(20);

/// The pause after the first failure. It doubles with each further one, up to half a minute, so that a receiver that fails
/// now and then, or restarts, hears of an event soon.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_SOON: Duration = Duration::from_secs(30);
/// After so many failures, some four minutes, it doubles again, up to the longest.
const SOON: u16 = 12;
const PAUSE_MAX: Duration = Duration::from_secs(4 * 3600);

/// An event that a receiver of webhooks is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
pub enum WebhookEvent {
    /// The right code was entered.
    #[strum(serialize = "verification.verified")]
    Verified,
    /// The code's lifetime ended first.
    #[strum(serialize = "verification.expired")]
    Expired,
    /// It was canceled, or verified in another session.
    #[strum(serialize = "verification.canceled")]
    Canceled,
    /// Too many wrong codes were entered.
    #[strum(serialize = "verification.max_checks_reached")]
    MaxChecksReached,
    /// No channel can reach the number.
    #[strum(serialize = "verification.undeliverable")]
    Undeliverable,
    /// A report or a refusal has changed a text or a call.
    #[strum(serialize = "attempt.updated")]
    AttemptUpdated,
    /// A call was placed by escalation; its repetition is no event of its own.
    #[strum(serialize = "escalation.executed")]
    EscalationExecuted,
    /// A call was due, and a limit refused it.
    #[strum(serialize = "escalation.skipped")]
    EscalationSkipped,
}

impl WebhookEvent {
    /// The `type` of the event.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<Ending> for WebhookEvent {
    fn from(how: Ending) -> Self {
        match how.status() {
            Status::Verified => Self::Verified,
            // No verification ends as pending.
            Status::Expired | Status::Pending => Self::Expired,
            Status::Canceled => Self::Canceled,
            Status::MaxChecksReached => Self::MaxChecksReached,
            Status::Undeliverable => Self::Undeliverable,
        }
    }
}

impl Note {
    /// The event that a receiver is told of; `None` for what concerns no customer.
    pub fn webhook_event(&self) -> Option<WebhookEvent> {
        match self {
            Self::Ended { how } => Some((*how).into()),
            Self::AttemptDecided { channel: Channel::Call, reason: Some(reason), is_repeat: false, .. } => {
                (*reason != Reason::Requested).then_some(WebhookEvent::EscalationExecuted)
            }
            Self::CallBarred { .. } => Some(WebhookEvent::EscalationSkipped),
            Self::TextReported { .. } | Self::CallReported { .. } | Self::CallSilent { .. } | Self::Refused { .. } => {
                Some(WebhookEvent::AttemptUpdated)
            }
            Self::AttemptDecided { .. }
            | Self::Created { .. }
            | Self::Joined
            | Self::Weighed { .. }
            | Self::QuietHours { .. }
            | Self::Accepted { .. }
            | Self::TimedOut { .. }
            | Self::NotSent { .. }
            | Self::PassedOn { .. }
            | Self::Deferred { .. }
            | Self::TakenOver { .. }
            | Self::TakenBack { .. }
            | Self::CodeIncorrect { .. }
            | Self::Activity { .. }
            | Self::Dropped { .. }
            | Self::Feedback { .. } => None,
        }
    }
}

/// How far a receiver has been told of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Entries of the timeline before this one need no delivery any more.
    pub until: u16,
    /// Those of them that no receiver has taken in time, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Untold>,
}

/// An event that no receiver has taken in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untold {
    /// Its entry of the timeline.
    pub entry: u16,
    /// When it was given up.
    pub at: Timestamp,
}

/// The result of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// The receiver has taken the event.
    Delivered,
    /// The receiver has not; the next try may begin after this pause.
    Failed {
        /// The pause.
        retry_after: Duration,
    },
    /// The receiver has not, and is not asked again: see [`Verification::is_given_up`](super::Verification::is_given_up).
    ///
    /// The engine decides so, because it lists the event before this is committed.
    GivenUp,
}

/// The pause after the failed delivery of a round. `jitter` is a factor that spreads retries, from 0.5 to 1.
pub fn retry_pause(round: u16, jitter: f64) -> Duration {
    let doubled = |pause: Duration, times: u16| pause.saturating_mul(2_u32.saturating_pow(times.into()));
    let soon = doubled(PAUSE_MIN, round).min(PAUSE_SOON);
    doubled(soon, round.saturating_add(1).saturating_sub(SOON)).min(PAUSE_MAX).mul_f64(jitter)
}
