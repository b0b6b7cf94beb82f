//! [`RateLimit`]: Plivo's limit on the requests of an account, which refuses the others with 429.
//!
//! Refused requests count as well, as at Plivo: a client that keeps asking is never served again.
//! Source: plivo.com/docs/voice/concepts/account-limits.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::sync::lock;

/// The limit that is in force, if there is one.
#[derive(Debug, Default)]
pub(super) struct RateLimit(Mutex<Option<Active>>);

#[derive(Debug)]
struct Active {
    until: Instant,
    requests: usize,
    window: Duration,
    /// When the newest requests came, at most one more than the limit.
    taken: VecDeque<Instant>,
}

impl RateLimit {
    /// Allows `requests` within any `window` until `until`; replaces a limit that is in force.
    pub(super) fn begin(&self, requests: usize, window: Duration, until: Instant) {
        *lock(&self.0) = Some(Active { until, requests, window, taken: VecDeque::new() });
    }

    /// Counts a request; returns whether it is one too many.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        let mut limit = lock(&self.0);
        let Some(active) = limit.as_mut().filter(|active| now < active.until) else { return false };
        while active.taken.front().is_some_and(|at| now.duration_since(*at) >= active.window) {
            active.taken.pop_front();
        }
        if active.taken.len() > active.requests {
            active.taken.pop_front();
        }
        active.taken.push_back(now);
        active.taken.len() > active.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_requests_count() {
        let (limit, start) = (RateLimit::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!limit.refuses(at(0)));
        limit.begin(2, Duration::from_secs(1), at(10_000));
        assert_eq!(
            [0, 100, 200, 1050, 1150, 2200].map(|ms| limit.refuses(at(ms))),
            [false, false, true, true, true, false]
        );
        assert!(!limit.refuses(at(10_000)));
    }
}
