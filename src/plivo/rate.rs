//! [`Rate`]: the setting `PLIVO_RATE`.

use std::str::FromStr;
use std::time::Duration;

use crate::guard::{Limit, Limits};

/// The longest window: a request that waits for room must still find its code alive.
const WINDOW_MAX: Duration = Duration::from_secs(60);

/// At most `requests` to Plivo within any `window`, by all replicas of an account together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The requests.
    pub requests: u32,
    /// The length of the window.
    pub window: Duration,
}

/// A text that does not describe a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be requests/time with a time from 1s to 1m, as Plivo states the account's limit")]
pub struct InvalidRate;

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let Ok(Limits(limits)) = text.parse() else { return Err(InvalidRate) };
        let [Limit { max, window }] = limits[..] else { return Err(InvalidRate) };
        let requests = u32::try_from(max).ok().filter(|max| (1..=1_000_000).contains(max)).ok_or(InvalidRate)?;
        if window > WINDOW_MAX { Err(InvalidRate) } else { Ok(Self { requests, window }) }
    }
}

impl Rate {
    /// Requests that are kept for new verifications, and requests that are never made: one in a hundred each, at least one.
    ///
    /// The latter cover what a replica spends before the others know, and requests that take different times to arrive.
    pub fn hundredth(self) -> u32 {
        if self.requests < 10 { 0 } else { (self.requests / 100).max(1) }
    }

    /// The requests of a window that the replicas share.
    pub fn shared(self) -> u32 {
        self.requests - self.hundredth()
    }

    /// The requests of a second.
    pub fn of_a_second(self) -> f64 {
        f64::from(self.shared()) / self.window.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_limit_of_a_short_window() {
        let five = Duration::from_secs(5);
        assert_eq!("300/5s".parse(), Ok(Rate { requests: 300, window: five }));
        for wrong in ["", "300", "300/5", "0/5s", "300/2m", "300/5s,10/1s", "none"] {
            assert_eq!(wrong.parse::<Rate>(), Err(InvalidRate), "{wrong:?}");
        }
    }
}
