//! The names of policies, as `ESCALATION` has them, and the player behind each.
//!
//! A policy that learns nothing is asked here just as the live service asks it: by its one question, after every
//! event. Its answer is only put into a player's words.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::escalation::{ParsePolicyError, Plan, Policy, Reason, Situation, Text};
use crate::replay::adaptive::Adaptive;
use crate::replay::player::{PlayReason, PlayedEvent, Player, RouteFacts, Wish};
use crate::route_model::Costs;
use crate::time::Timestamp;

use super::outcome::TTL_MS;

/// A policy by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named(pub Policy);

impl Named {
    /// What is compared when nobody asks for anything else.
    pub fn usual() -> Vec<Self> {
        let names = ["never", "fail", "fixed:30", "fixed+fail:30", "adaptive"];
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// A fresh one, which has seen nothing.
    pub fn player(self) -> Box<dyn Player> {
        match self.0 {
            Policy::Adaptive(mood) => Box::new(Adaptive::new(Costs::of(mood))),
            policy => Box::new(Asked { policy, open: HashMap::new() }),
        }
    }
}

impl FromStr for Named {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Asks a static policy after every event, and remembers no more than what is known of each open text.
struct Asked {
    policy: Policy,
    open: HashMap<u64, Text>,
}

impl Player for Asked {
    fn see(&mut self, id: u64, _: &RouteFacts, seen: PlayedEvent, at_ms: u64, age_ms: u64) -> Wish {
        if seen == PlayedEvent::Verified || age_ms >= TTL_MS {
            self.open.remove(&id);
            return Wish::Nothing;
        }
        let text = self.open.entry(id).or_insert(Text::Unreported);
        match seen {
            PlayedEvent::Delivered => *text = Text::Delivered,
            // Every failure in a trace is for good: what may pass is the service's own business.
            PlayedEvent::Failed => *text = Text::Lost(Reason::Undelivered),
            PlayedEvent::Started
            | PlayedEvent::Verified
            | PlayedEvent::Sent
            | PlayedEvent::ResendPressed
            | PlayedEvent::CallKnown { .. }
            | PlayedEvent::Timer => {}
        }
        let (start, now) = (timestamp(at_ms - age_ms), timestamp(at_ms));
        match self.policy.when(&Situation { first_request_at: start, text: *text, worked_out: Plan::Never }) {
            Plan::CallAt(at, reason) if at <= now => Wish::Call { reason: played(reason), wake_ms: None },
            Plan::CallAt(at, _) => Wish::WakeAt { age_ms: millis(at).saturating_sub(millis(start)) },
            Plan::Never => Wish::Nothing,
        }
    }
}

fn timestamp(at_ms: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

/// The service's reasons in the four words of a decisions file.
fn played(reason: Reason) -> PlayReason {
    match reason {
        Reason::Undelivered | Reason::Failed | Reason::Landline | Reason::RejectedByPlivo => PlayReason::Failed,
        Reason::Requested => PlayReason::Resend,
        Reason::StuckQueued | Reason::NoReport | Reason::DeliveredUnverified | Reason::RouteUnreliable => {
            PlayReason::Hazard
        }
    }
}
