//! The escalation policies and their names.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Plan, Situation, Text};
use crate::route_model::CostPreset;

/// When a text is given up for a call. The names are those of `ESCALATION` and of a creation's `escalation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Policy {
    /// `fixed:35`: this long after the first request, whatever is reported.
    Fixed(Duration),
    /// `fixed+fail:35`: at this timer, and at once when the text is known to be lost.
    FixedOrFail(Duration),
    /// `fail`: only when the text is known to be lost.
    Fail,
    /// `never`: only on request.
    Never,
    /// `adaptive`: when, by the route's history, waiting costs more than calling; at once when the text is known to be
    /// lost.
    Adaptive(CostPreset),
}

impl Policy {
    /// Answers when, if ever, to call.
    pub fn when(self, s: &Situation) -> Plan {
        let timer = |after| Plan::CallAt(s.first_request_at + after, s.text.timer_reason());
        match (self, s.text) {
            (Self::FixedOrFail(_) | Self::Fail | Self::Adaptive(_), Text::Lost(reason)) => {
                Plan::CallAt(s.first_request_at, reason)
            }
            (Self::Fixed(after) | Self::FixedOrFail(after), _) => timer(after),
            (Self::Fail | Self::Never, _) => Plan::Never,
            (Self::Adaptive(_), _) => s.planned,
        }
    }
}

/// The text is not the name of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be adaptive, adaptive:thrifty, adaptive:balanced, adaptive:eager, fixed:SECONDS, fixed+fail:SECONDS \
     (1 to 600 seconds), fail or never"
)]
pub struct ParsePolicyError;

impl FromStr for Policy {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, ParsePolicyError> {
        let seconds = |digits: &str| match digits.parse::<u64>() {
            Ok(n @ 1..=600) if digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Duration::from_secs(n)),
            _ => Err(ParsePolicyError),
        };
        match text.split_once(':') {
            None if text == "adaptive" => Ok(Self::Adaptive(CostPreset::Balanced)),
            Some(("adaptive", "thrifty")) => Ok(Self::Adaptive(CostPreset::Thrifty)),
            Some(("adaptive", "balanced")) => Ok(Self::Adaptive(CostPreset::Balanced)),
            Some(("adaptive", "eager")) => Ok(Self::Adaptive(CostPreset::Eager)),
            None if text == "fail" => Ok(Self::Fail),
            None if text == "never" => Ok(Self::Never),
            Some(("fixed", after)) => Ok(Self::Fixed(seconds(after)?)),
            Some(("fixed+fail", after)) => Ok(Self::FixedOrFail(seconds(after)?)),
            _ => Err(ParsePolicyError),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(after) => write!(f, "fixed:{}", after.as_secs()),
            Self::FixedOrFail(after) => write!(f, "fixed+fail:{}", after.as_secs()),
            Self::Fail => f.write_str("fail"),
            Self::Never => f.write_str("never"),
            Self::Adaptive(CostPreset::Thrifty) => f.write_str("adaptive:thrifty"),
            Self::Adaptive(CostPreset::Balanced) => f.write_str("adaptive"),
            Self::Adaptive(CostPreset::Eager) => f.write_str("adaptive:eager"),
        }
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> Self {
        policy.to_string()
    }
}

impl TryFrom<String> for Policy {
    type Error = ParsePolicyError;

    fn try_from(text: String) -> Result<Self, ParsePolicyError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalation::Reason;
    use crate::time::Timestamp;

    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn plan(policy: &str, text: Text) -> Plan {
        policy.parse::<Policy>().unwrap().when(&Situation { first_request_at: START, text, planned: Plan::Never })
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for name in ["fixed:35", "fixed+fail:45", "fail", "never", "adaptive", "adaptive:thrifty", "adaptive:eager"] {
            assert_eq!(name.parse::<Policy>().unwrap().to_string(), name);
        }
        for name in
            ["", "fixed", "fixed:", "fixed:0", "fixed:601", "fixed:+5", "fixed:5s", "Fail", "fail:3", "sometimes"]
        {
            assert_eq!(name.parse::<Policy>(), Err(ParsePolicyError), "{name:?}");
        }
    }

    #[test]
    fn a_lost_text_is_called_for_at_once_unless_the_timer_alone_decides() {
        let lost = Text::Lost(Reason::Undelivered);
        let at = |seconds| Plan::CallAt(START + Duration::from_secs(seconds), Reason::Undelivered);
        assert_eq!(plan("fixed+fail:35", lost), at(0));
        assert_eq!(plan("fail", lost), at(0));
        assert_eq!(plan("fixed:35", lost), at(35));
        assert_eq!(plan("never", lost), Plan::Never);
    }

    #[test]
    fn a_timer_says_what_it_had_been_waiting_for() {
        for (text, reason) in [
            (Text::Unreported, Reason::NoReport),
            (Text::Queued, Reason::StuckQueued),
            (Text::Delivered, Reason::DeliveredUnverified),
            (Text::Faltering(Reason::Failed), Reason::Failed),
        ] {
            assert_eq!(plan("fixed+fail:35", text), Plan::CallAt(START + Duration::from_secs(35), reason));
            assert_eq!(plan("fail", text), Plan::Never);
        }
    }
}
