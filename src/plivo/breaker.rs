//! [`Breaker`]: stops asking somebody who does not answer, so that nobody waits for them in vain.
//!
//! One stands before each of Plivo's doors, in this process alone: replicas find out for themselves. It waits
//! for nothing and repeats nothing; what it turns away is asked for again by whoever asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::Reply;

/// So many failures in a row open it.
const FAILURES_MAX: u32 = 5;
/// For how long it stays open before one request may try.
const COOL_OFF: Duration = Duration::from_secs(10);
/// How long others wait while one tries.
const TRIAL: Duration = Duration::from_secs(1);

/// Closed while all is well; open after [`FAILURES_MAX`] failures in a row.
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
    /// One request is trying. It may never come back, so another may follow after `until`.
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
    /// Whether a request may be made now.
    ///
    /// # Errors
    /// After how long it is worth asking again.
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

    /// Takes note of how an admitted request went. No connection, no answer in time and 5xx are failures; a 429
    /// is neither failure nor success, and a refusal shows that somebody is there.
    pub fn heard(&self, reply: &Reply, now: Instant) {
        let mut state = self.state();
        *state = match (*state, is_failure(reply)) {
            (_, Some(false)) => State::default(),
            (State::Closed { failures }, Some(true)) if failures + 1 < FAILURES_MAX => {
                State::Closed { failures: failures + 1 }
            }
            // What had been asked before it opened does not hold it open for longer.
            (open @ State::Open { .. }, Some(true)) => open,
            (State::Closed { .. } | State::Trying { .. }, Some(true)) => State::Open { until: now + COOL_OFF },
            (State::Trying { .. }, None) => State::Open { until: now + TRIAL },
            (same, None) => same,
        };
    }

    /// Whether requests are turned away, or one is only trying.
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
    use crate::verification::event::RefusalScope;
    use serde_json::Value;

    const WELL: Reply = Reply::Success(202, Value::Null);
    const SECOND: Duration = Duration::from_secs(1);

    fn open_at(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for reply in [Reply::Silent, Reply::NotNow(None, None), Reply::Failed(500), Reply::Silent] {
            breaker.heard(&reply, now);
            assert!(!breaker.is_open() && breaker.admit(now).is_ok());
        }
        breaker.heard(&Reply::NotNow(Some(503), None), now);
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_request_tries_later() {
        let now = Instant::now();
        let breaker = open_at(now);
        assert_eq!(breaker.admit(now + SECOND), Err(9 * SECOND));
        breaker.heard(&Reply::Silent, now + 5 * SECOND);
        assert_eq!(breaker.admit(now + 10 * SECOND), Ok(()), "what was asked before does not hold it open");
        assert_eq!(breaker.admit(now + 10 * SECOND), Err(TRIAL), "one at a time");
        breaker.heard(&Reply::Failed(502), now + 11 * SECOND);
        assert_eq!(breaker.admit(now + 12 * SECOND), Err(9 * SECOND));
        assert_eq!(breaker.admit(now + 21 * SECOND), Ok(()));
        assert_eq!(breaker.admit(now + 31 * SECOND), Ok(()), "the one before never came back");
        breaker.heard(&WELL, now + 32 * SECOND);
        assert!(!breaker.is_open() && breaker.admit(now + 32 * SECOND).is_ok());
    }

    #[test]
    fn whoever_answers_is_there_and_a_429_says_nothing() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for reply in [WELL, Reply::Refused(400, RefusalScope::Attempt)] {
            for _ in 0..4 {
                breaker.heard(&Reply::Silent, now);
            }
            breaker.heard(&reply, now);
        }
        for _ in 0..9 {
            breaker.heard(&Reply::NotNow(Some(429), None), now);
        }
        assert!(!breaker.is_open());
        let breaker = open_at(now);
        assert_eq!(breaker.admit(now + COOL_OFF), Ok(()));
        breaker.heard(&Reply::NotNow(Some(429), None), now + COOL_OFF);
        assert_eq!(breaker.admit(now + COOL_OFF), Err(TRIAL), "tried again soon");
    }
}
