//! [`Breaker`]: a circuit breaker, so that requests fail fast while an API of Plivo does not answer.
//!
//! Each API has one, in this process alone: replicas do not share it. It never waits and never retries. `pacing` explains
//! what becomes of the requests that it rejects.
//! Written by hand: the outcome is one of [`Reply`]'s classes, and a 429 counts neither way.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::Reply;

/// Consecutive failures that open it.
const FAILURES_MAX: u32 = 5;
/// How long it stays open before one trial request is admitted.
///
/// No longer than a creation waits for room (`pacing`): when Plivo recovers, few new texts are late.
const COOL_OFF: Duration = Duration::from_secs(2);
/// How long other requests are rejected during a trial.
const TRIAL: Duration = Duration::from_secs(1);

/// Closed while requests succeed; open after [`FAILURES_MAX`] failures in a row.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// A trial request is under way. If it never ends, another is admitted after `until`.
    Trying {
        until: Instant,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Asks to make a request now.
    ///
    /// # Errors
    /// The time after which to ask again.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until } if now < until => Err(until - now),
            State::Trying { until } if now < until => Err(TRIAL),
            State::Open { .. } | State::Trying { .. } => {
                *state = State::Trying { until: now + COOL_OFF };
                Ok(())
            }
        }
    }

    /// Records the outcome of an admitted request.
    ///
    /// No connection, a timeout and 5xx are failures. A refusal is a success: the API answers. A 429 is neither.
    pub fn record(&self, reply: &Reply, now: Instant) {
        let mut state = self.state();
        *state = match (*state, is_failure(reply)) {
            (_, Some(false)) => State::default(),
            (State::Closed { failures }, Some(true)) if failures + 1 < FAILURES_MAX => {
                State::Closed { failures: failures + 1 }
            }
            // A request from before it opened does not keep it open longer.
            (open @ State::Open { .. }, Some(true)) => open,
            (State::Closed { .. } | State::Trying { .. }, Some(true)) => State::Open { until: now + COOL_OFF },
            (State::Trying { .. }, None) => State::Open { until: now + TRIAL },
            (same, None) => same,
        };
    }

    /// Whether requests are rejected, or only a trial is admitted.
    pub fn is_open(&self) -> bool {
        !matches!(*self.state(), State::Closed { .. })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_failure(reply: &Reply) -> Option<bool> {
    match reply {
        Reply::Success(..) | Reply::Refused(..) => Some(false),
        Reply::NotNow(Some(429), _) => None,
        Reply::NotNow(..) | Reply::Failed(_) | Reply::Silent => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification::RefusalScope;
    use serde_json::Value;

    const WELL: Reply = Reply::Success(202, Value::Null);
    const SECOND: Duration = Duration::from_secs(1);

    fn open_at(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for reply in [Reply::Silent, Reply::NotNow(None, None), Reply::Failed(500), Reply::Silent] {
            breaker.record(&reply, now);
            assert!(!breaker.is_open() && breaker.admit(now).is_ok());
        }
        breaker.record(&Reply::NotNow(Some(503), None), now);
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_trial_is_admitted_later() {
        let now = Instant::now();
        let breaker = open_at(now);
        assert_eq!(breaker.admit(now + SECOND), Err(SECOND));
        breaker.record(&Reply::Silent, now + SECOND);
        assert_eq!(breaker.admit(now + 2 * SECOND), Ok(()), "an earlier request does not keep it open");
        assert_eq!(breaker.admit(now + 2 * SECOND), Err(TRIAL), "one at a time");
        breaker.record(&Reply::Failed(502), now + 3 * SECOND);
        assert_eq!(breaker.admit(now + 4 * SECOND), Err(SECOND));
        assert_eq!(breaker.admit(now + 5 * SECOND), Ok(()));
        assert_eq!(breaker.admit(now + 7 * SECOND), Ok(()), "the trial before never ended");
        breaker.record(&WELL, now + 8 * SECOND);
        assert!(!breaker.is_open() && breaker.admit(now + 8 * SECOND).is_ok());
    }

    #[test]
    fn a_refusal_resets_the_failures_and_a_429_counts_neither_way() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for reply in [WELL, Reply::Refused(400, RefusalScope::Attempt)] {
            for _ in 0..4 {
                breaker.record(&Reply::Silent, now);
            }
            breaker.record(&reply, now);
        }
        for _ in 0..9 {
            breaker.record(&Reply::NotNow(Some(429), None), now);
        }
        assert!(!breaker.is_open());
        let breaker = open_at(now);
        assert_eq!(breaker.admit(now + COOL_OFF), Ok(()));
        breaker.record(&Reply::NotNow(Some(429), None), now + COOL_OFF);
        assert_eq!(breaker.admit(now + COOL_OFF), Err(TRIAL), "the next trial comes soon");
    }
}
