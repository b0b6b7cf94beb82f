//! Everything that can happen to a verification.
//!
//! Provider facts arrive already parsed: `plivo::callback` and `plivo::phlo` turn Plivo's words into these types.

use super::code::Code;
use super::id::AttemptIndex;
use super::nonces::CallbackNonce;
use super::report::{CallReport, ReportFacts, TextReport};
use super::session::NewSession;
use super::telling::DeliveryOutcome;
use super::trigger::{Lookup, ProviderId, TriggerOutcome};
use super::words::{Activity, Channel, Feedback};
use crate::phone::Carrier;

/// A creation that finds an open verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The channel that it asks for.
    pub channel: Channel,
    /// Whether the number is one of `TEST_NUMBERS` now.
    pub is_test: bool,
    /// The customer's own code.
    pub code: Option<Code>,
    /// The session that it begins; `None` where a number is one session, and a repeated creation a resend.
    pub session: Option<NewSession>,
}

/// One thing that happened. What the customer asks for is of one session: [`Context::session`](super::rules::Context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A code was submitted in the session.
    CodeSubmitted(Code),
    /// The customer cancels the session.
    Cancel,
    /// Every session ends, because the number is to be forgotten.
    CancelAll,
    /// The customer asks for another text or a call.
    AttemptRequested(Channel),
    /// Another creation for the same number and purpose joins this verification.
    Joined(Join),
    /// The customer's page reports what the person does.
    Activity(Activity),
    /// The customer says what became of a code that is checked elsewhere.
    Feedback(Feedback),
    /// A request to Plivo ended.
    Triggered {
        /// The attempt.
        attempt: AttemptIndex,
        /// Its result.
        outcome: TriggerOutcome,
    },
    /// A request that had to wait may be made now.
    Admitted {
        /// The attempt.
        attempt: AttemptIndex,
    },
    /// A request is not made by this replica, which stops: another one may make it at once.
    HandedBack {
        /// The attempt.
        attempt: AttemptIndex,
    },
    /// Plivo was asked to hang up a call.
    HungUp {
        /// The attempt.
        attempt: AttemptIndex,
        /// Whether no retry is needed: the call is over, or Plivo refused to hang it up.
        is_done: bool,
    },
    /// Plivo fetched what to say on a call, so the call continues.
    CallContinues {
        /// The attempt.
        attempt: AttemptIndex,
        /// Call UUID.
        provider_id: Option<ProviderId>,
    },
    /// The PHLO was asked what its run created.
    Identified {
        /// The attempt.
        attempt: AttemptIndex,
        /// Message or call UUID, if the PHLO named it.
        provider_id: Option<ProviderId>,
    },
    /// A text whose request was not answered was looked up.
    LookedUp {
        /// The attempt.
        attempt: AttemptIndex,
        /// What Plivo's list of sent messages says.
        lookup: Lookup,
    },
    /// A UUID was mapped to its attempt.
    Linked {
        /// Message or call UUID.
        provider_id: String,
    },
    /// A delivery to the app's receiver of webhooks ended.
    Told {
        /// The entry of the timeline.
        entry: u16,
        /// The round of the delivery.
        round: u16,
        /// Its result.
        outcome: DeliveryOutcome,
    },
    /// The customer asks for a webhook that was given up.
    Replay {
        /// The entry of the timeline.
        entry: u16,
    },
    /// Plivo reported on a text.
    TextReported {
        /// The attempt.
        attempt: AttemptIndex,
        /// The report.
        report: TextReport,
        /// Message UUID.
        provider_id: Option<ProviderId>,
        /// Network and price.
        facts: ReportFacts,
    },
    /// The PHLO reported that its SMS node failed.
    TextRefused {
        /// The attempt.
        attempt: AttemptIndex,
    },
    /// Plivo reported on a call.
    CallReported {
        /// The attempt.
        attempt: AttemptIndex,
        /// The report.
        report: CallReport,
        /// Call UUID.
        provider_id: Option<ProviderId>,
        /// Network and price.
        facts: ReportFacts,
    },
    /// The events after this one arrived in one signed callback, whose nonce counts once.
    SignedCallback(CallbackNonce),
    /// Redis failed over: acknowledged changes (wrong codes, the use of the code) may be missing from this record.
    FailedOver,
    /// Time has passed.
    Tick,
}

impl Event {
    /// Whether it compares a code.
    pub fn is_check(&self) -> bool {
        matches!(self, Self::CodeSubmitted(_))
    }

    /// Whether it comes from the service itself: a timer, or the result of an effect.
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Tick
            | Self::Triggered { .. }
            | Self::Admitted { .. }
            | Self::HandedBack { .. }
            | Self::Linked { .. }
            | Self::Told { .. }
            | Self::HungUp { .. }
            | Self::Identified { .. }
            | Self::LookedUp { .. }
            | Self::FailedOver => true,
            Self::CodeSubmitted(_)
            | Self::Cancel
            | Self::CancelAll
            | Self::AttemptRequested(_)
            | Self::Joined(_)
            | Self::Activity(_)
            | Self::Feedback(_)
            | Self::Replay { .. }
            | Self::CallContinues { .. }
            | Self::TextReported { .. }
            | Self::TextRefused { .. }
            | Self::CallReported { .. }
            | Self::SignedCallback(_) => false,
        }
    }

    /// The network that the event reports for the number.
    pub fn carrier(&self) -> Option<Carrier> {
        match self {
            Self::TextReported { facts, .. } | Self::CallReported { facts, .. } => facts.carrier,
            Self::CodeSubmitted(_)
            | Self::Cancel
            | Self::CancelAll
            | Self::AttemptRequested(_)
            | Self::Joined(_)
            | Self::Activity(_)
            | Self::Feedback(_)
            | Self::Replay { .. }
            | Self::Triggered { .. }
            | Self::Admitted { .. }
            | Self::HandedBack { .. }
            | Self::HungUp { .. }
            | Self::CallContinues { .. }
            | Self::Identified { .. }
            | Self::LookedUp { .. }
            | Self::Linked { .. }
            | Self::Told { .. }
            | Self::TextRefused { .. }
            | Self::SignedCallback(_)
            | Self::FailedOver
            | Self::Tick => None,
        }
    }

    /// The UUID of the text or call that the event is about.
    pub fn provider_id(&self) -> Option<&str> {
        let provider_id = match self {
            Self::Triggered { outcome: TriggerOutcome::Accepted { provider_id, .. }, .. }
            | Self::CallContinues { provider_id, .. }
            | Self::Identified { provider_id, .. }
            | Self::TextReported { provider_id, .. }
            | Self::CallReported { provider_id, .. } => provider_id.as_ref(),
            Self::LookedUp { lookup: Lookup::Sent(provider_id), .. } => Some(provider_id),
            Self::Linked { provider_id } => return Some(provider_id),
            Self::CodeSubmitted(_)
            | Self::Cancel
            | Self::CancelAll
            | Self::AttemptRequested(_)
            | Self::Joined(_)
            | Self::Activity(_)
            | Self::Feedback(_)
            | Self::Replay { .. }
            | Self::Triggered { .. }
            | Self::Admitted { .. }
            | Self::HandedBack { .. }
            | Self::HungUp { .. }
            | Self::LookedUp { .. }
            | Self::TextRefused { .. }
            | Self::SignedCallback(_)
            | Self::Told { .. }
            | Self::FailedOver
            | Self::Tick => None,
        };
        provider_id.map(|id| id.uuid.as_str())
    }

    /// The UUID that the event names, to change whether it is linked.
    pub fn provider_id_mut(&mut self) -> Option<&mut ProviderId> {
        self.named_mut().map(|(_, provider_id)| provider_id)
    }

    /// The attempt and the UUID of the event, if the store does not map the UUID to the attempt yet.
    pub fn unlinked_mut(&mut self) -> Option<(AttemptIndex, &mut ProviderId)> {
        self.named_mut().filter(|(_, provider_id)| !provider_id.is_linked)
    }

    fn named_mut(&mut self) -> Option<(AttemptIndex, &mut ProviderId)> {
        match self {
            Self::Triggered { attempt, outcome: TriggerOutcome::Accepted { provider_id, .. } }
            | Self::CallContinues { attempt, provider_id }
            | Self::Identified { attempt, provider_id }
            | Self::TextReported { attempt, provider_id, .. }
            | Self::CallReported { attempt, provider_id, .. } => Some((*attempt, provider_id.as_mut()?)),
            Self::LookedUp { attempt, lookup: Lookup::Sent(provider_id) } => Some((*attempt, provider_id)),
            Self::CodeSubmitted(_)
            | Self::Cancel
            | Self::CancelAll
            | Self::AttemptRequested(_)
            | Self::Joined(_)
            | Self::Activity(_)
            | Self::Feedback(_)
            | Self::Replay { .. }
            | Self::Triggered { .. }
            | Self::Admitted { .. }
            | Self::HandedBack { .. }
            | Self::HungUp { .. }
            | Self::LookedUp { .. }
            | Self::Linked { .. }
            | Self::Told { .. }
            | Self::TextRefused { .. }
            | Self::SignedCallback(_)
            | Self::FailedOver
            | Self::Tick => None,
        }
    }
}
