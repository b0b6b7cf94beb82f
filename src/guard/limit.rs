//! [`Limits`]: sliding-window rate limits, and the arithmetic that memory and Redis share.
//!
//! A window is divided into [`STEPS`] steps of equal length. A step counts until all of it is older than the window.
//! So no window ever holds more than the limit allows, and room appears at most one step late.
//! `store/redis/lua/increment.lua` does the same arithmetic; the store's tests compare the two.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Timestamp;

/// Number of steps in a window.
pub const STEPS: u64 = 20;

/// At most `max` within any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The largest allowed sum.
    pub max: u64,
    /// The length of the window, from one second to [`WINDOW_MAX`].
    pub window: Duration,
}

/// The longest window that is accepted.
pub const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);

/// Limits that all apply at once; an empty list is no limit. Each attempt copies several, so a copy allocates nothing.
///
/// Written as `5/10m,20/1d`, or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits(pub Arc<[Limit]>);

/// A text that does not describe limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be NUMBER/TIME pairs separated by commas, each TIME once, such as 30s, 10m, 1h or 1d, up to 31d; or none"
)]
pub struct InvalidLimits;

impl Limit {
    /// The length of a step, in milliseconds.
    pub fn step_ms(&self) -> u64 {
        (u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX) / STEPS).max(1)
    }

    /// The first step that still counts at `now`, numbered from 1970.
    pub fn first_step(&self, now: Timestamp) -> u64 {
        self.step(now).saturating_sub(STEPS)
    }

    /// The step that `now` is in.
    pub fn step(&self, now: Timestamp) -> u64 {
        u64::try_from(now.as_millis()).unwrap_or(0) / self.step_ms()
    }

    /// The time until `amount` fits, given the counts of the steps, oldest first.
    ///
    /// `None` when it fits now; the whole window when it can never fit.
    pub fn wait(
        &self,
        steps: impl Iterator<Item = (u64, i64)> + Clone,
        amount: u64,
        now: Timestamp,
    ) -> Option<Duration> {
        let first = self.first_step(now);
        let counted = steps.filter(|(step, _)| *step >= first);
        let mut held: i64 = counted.clone().map(|(_, count)| count).sum();
        let room = i64::try_from(self.max).unwrap_or(i64::MAX).saturating_sub_unsigned(amount);
        if held <= room {
            return None;
        }
        for (step, count) in counted {
            held -= count;
            if held <= room {
                let gone_at = (step + STEPS + 1).saturating_mul(self.step_ms());
                return Some(Duration::from_millis(gone_at.saturating_sub(now.as_millis().unsigned_abs())));
            }
        }
        Some(self.window)
    }
}

impl Limits {
    /// No limit.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same windows, each with `factor` times the maximum.
    pub fn times(&self, factor: u64) -> Self {
        self.with_max(|max| max.saturating_mul(factor))
    }

    /// The same windows, each maximum divided; only a zero becomes zero.
    pub fn divided_by(&self, divisor: u64) -> Self {
        self.with_max(|max| (max / divisor).max(max.min(1)))
    }

    fn with_max(&self, max: impl Fn(u64) -> u64) -> Self {
        Self(self.0.iter().map(|limit| Limit { max: max(limit.max), ..*limit }).collect())
    }
}

impl FromStr for Limits {
    type Err = InvalidLimits;

    fn from_str(text: &str) -> Result<Self, InvalidLimits> {
        if text == "none" {
            return Ok(Self::none());
        }
        let limits: Vec<Limit> =
            text.split(',').map(|one| parse_limit(one.trim()).ok_or(InvalidLimits)).collect::<Result<_, _>>()?;
        // The store keeps one counter per window, so a window may appear only once.
        let is_new = |i: usize, limit: &Limit| limits[..i].iter().all(|earlier| earlier.window != limit.window);
        limits
            .iter()
            .enumerate()
            .all(|(i, limit)| is_new(i, limit))
            .then(|| Self(limits.as_slice().into()))
            .ok_or(InvalidLimits)
    }
}

fn parse_limit(text: &str) -> Option<Limit> {
    let (max, window) = text.split_once('/')?;
    let unit = match window.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let whole = |digits: &str| -> Option<u64> {
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let seconds = whole(&window[..window.len() - 1])?.checked_mul(unit)?;
    let window = Duration::from_secs(seconds);
    let max = whole(max).filter(|max| *max <= 1_000_000_000)?;
    (seconds >= 1 && window <= WINDOW_MAX).then_some(Limit { max, window })
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, Limit { max, window }) in self.0.iter().enumerate() {
            let seconds = window.as_secs();
            let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
            let (unit, name) = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "s"));
            write!(f, "{}{max}/{}{name}", if i == 0 { "" } else { "," }, seconds / unit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn limits_are_read_and_written_alike() {
        for text in ["5/10m,20/1d", "600/1m", "0/1s", "1/1h", "none", "7/90s"] {
            assert_eq!(text.parse::<Limits>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "5",
            "5/",
            "5/10",
            "/10m",
            "5/0m",
            "-1/1m",
            "5/10w",
            "5/10m,",
            "5/32d",
            "5/10m,20/600s",
            "+5/1m",
            "5/１m",
        ] {
            assert!(text.parse::<Limits>().is_err(), "{text}");
        }
    }

    #[test]
    fn within_any_window_there_are_never_more_than_the_limit() {
        let limit = Limit { max: 3, window: Duration::from_secs(600) };
        let mut taken: Vec<i64> = Vec::new();
        for now in 0..4000 {
            let mut steps = std::collections::BTreeMap::new();
            taken.iter().for_each(|t| *steps.entry(limit.step(at(*t))).or_insert(0) += 1);
            if limit.wait(steps.iter().map(|(s, n)| (*s, *n)), 1, at(now)).is_none() {
                taken.push(now);
            }
        }
        for (i, later) in taken.iter().enumerate().skip(3) {
            let apart = later - taken[i - 3];
            assert!((600..=660).contains(&apart), "{apart}");
        }
        assert!(taken.len() >= 18);
    }

    #[test]
    fn the_announced_wait_is_sufficient_and_not_too_long() {
        let limit = Limit { max: 2, window: Duration::from_secs(60) };
        let steps = [(limit.step(at(100)), 1), (limit.step(at(130)), 1)];
        let wait = limit.wait(steps.into_iter(), 1, at(140)).unwrap();
        let then = at(140) + wait;
        assert_eq!(limit.wait(steps.into_iter(), 1, then), None);
        assert!(limit.wait(steps.into_iter(), 1, then - Duration::from_millis(1)).is_some());
        assert!(wait <= Duration::from_secs(23), "{wait:?}");
        assert_eq!(limit.wait(steps.into_iter(), 3, at(140)), Some(limit.window), "three never fit");
    }
}
