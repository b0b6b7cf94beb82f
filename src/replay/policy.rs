//! The names of policies, as `ESCALATION` has them, and the player for each.
//!
//! A policy that learns nothing is asked the same question as in the live service, after every event; its answer is
//! translated into a player's request.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::adaptive::AdaptivePlayer;
use super::outcome::TTL_MS;
use super::player::{PlayReason, PlayedEvent, Player, PlayerRequest, RouteFacts};
use crate::escalation::{ParsePolicyError, Plan, Policy, Reason, Situation, Text};
use crate::time::Timestamp;
use crate::verification::CostOverrides;

/// A policy that can be played, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayedPolicy(pub Policy);

impl PlayedPolicy {
    /// The policies that a replay compares by default.
    pub fn usual() -> Vec<Self> {
        let names = ["never", "fail", "fixed:30", "fixed+fail:30", "adaptive"];
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// A new player that has learned nothing; the operator's costs replace those of the policy's preset.
    pub fn player(self, costs: &CostOverrides) -> Box<dyn Player> {
        match self.0 {
            Policy::Adaptive(preset) => Box::new(AdaptivePlayer::new(costs.costs(preset))),
            policy => Box::new(StaticPlayer { policy, texts: HashMap::new() }),
        }
    }
}

impl FromStr for PlayedPolicy {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for PlayedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Plays a policy that learns nothing; it remembers what is known of the text of each open verification.
struct StaticPlayer {
    policy: Policy,
    texts: HashMap<u64, Text>,
}

impl Player for StaticPlayer {
    fn on_event(&mut self, id: u64, _: &RouteFacts, event: PlayedEvent, at_ms: u64, age_ms: u64) -> PlayerRequest {
        if event == PlayedEvent::Verified || age_ms >= TTL_MS {
            self.texts.remove(&id);
            return PlayerRequest::Nothing;
        }
        let text = self.texts.entry(id).or_insert(Text::Unreported);
        match event {
            PlayedEvent::Delivered => *text = Text::Delivered,
            // A trace has no transient failures: the service handles those itself.
            PlayedEvent::Failed => *text = Text::Lost(Reason::Undelivered),
            PlayedEvent::Started
            | PlayedEvent::Verified
            | PlayedEvent::Sent
            | PlayedEvent::ResendRequested
            | PlayedEvent::CallKnown { .. }
            | PlayedEvent::Timer => {}
        }
        let (start, now) = (timestamp(at_ms - age_ms), timestamp(at_ms));
        match self.policy.when(&Situation { first_request_at: start, text: *text, planned: Plan::Never }) {
            Plan::CallAt(at, reason) if at <= now => PlayerRequest::Call { reason: play_reason(reason), wake_ms: None },
            Plan::CallAt(at, _) => PlayerRequest::WakeAt { age_ms: millis(at).saturating_sub(millis(start)) },
            Plan::Never => PlayerRequest::Nothing,
        }
    }
}

fn timestamp(at_ms: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

fn play_reason(reason: Reason) -> PlayReason {
    match reason {
        Reason::Undelivered | Reason::Failed | Reason::Landline | Reason::RejectedByPlivo => PlayReason::Failed,
        Reason::Requested => PlayReason::Resend,
        Reason::StuckQueued | Reason::NoReport | Reason::DeliveredUnverified | Reason::RouteUnreliable => {
            PlayReason::Hazard
        }
    }
}
