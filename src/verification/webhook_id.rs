//! [`WebhookId`]: names one event of one verification.

use std::fmt;
use std::str::FromStr;

use super::id::{InvalidId, VerificationId};

/// The id of an event: the same whenever the event is sent.
///
/// Displayed as `evt_`, the digits of the verification's id, `_` and the number of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebhookId {
    /// The record: the id of its first session.
    pub id: VerificationId,
    /// The entry of its timeline.
    pub entry: u16,
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.to_string();
        write!(f, "evt_{}_{}", id.trim_start_matches("vrf_"), self.entry)
    }
}

impl FromStr for WebhookId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (digits, number) = text.strip_prefix("evt_").and_then(|rest| rest.split_once('_')).ok_or(InvalidId)?;
        let entry = number.parse().map_err(|_| InvalidId)?;
        let parsed = Self { id: format!("vrf_{digits}").parse()?, entry };
        // One spelling: no sign, no leading zeros.
        if parsed.to_string() == text { Ok(parsed) } else { Err(InvalidId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = WebhookId { id: VerificationId::new(0x0a, 7), entry: 12 };
        assert_eq!(id.to_string(), "evt_0a00000000000000000000000000000007_12");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in
            ["evt_0a00000000000000000000000000000007_+1", "evt_0a00000000000000000000000000000007_01", "evt_", "x"]
        {
            assert_eq!(wrong.parse::<WebhookId>(), Err(InvalidId), "{wrong}");
        }
    }
}
