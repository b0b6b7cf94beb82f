//! [`Ledger`]: the requests of the last window, and the pace that Plivo's 429s leave. One value, which replicas share.
//!
//! Pure. The window slides in steps, and a step counts until all of it is older than the window, so that no window of
//! Plivo's holds more requests than the rate allows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plivo::Rate;
use crate::time::Timestamp;

/// Steps of a window. More make the count exact, fewer make the value short.
const STEPS: usize = 100;

/// The pace in thousandths of the rate: at most, and at least, so that Plivo's recovery is noticed.
const FULL: u32 = 1000;
const LEAST: u32 = 5;

/// A 429 lowers the pace by a fifth, at most once in this time: those that follow were on their way already.
const CUT_EVERY: Duration = Duration::from_millis(250);

/// Each second without a 429 raises the pace by a half.
const RAISE_EVERY: Duration = Duration::from_secs(1);

/// How long room is kept for watched requests that found none. Their replica asks again in half of that time.
const RESERVED_FOR: Duration = Duration::from_millis(100);

/// `Retry-After` of a 429 beyond this is not waited for: a request then probes whether it still holds.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What all replicas know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Which exchange wrote it, so that no two values are equal.
    pub writer: u64,
    /// The number of the newest step, and the requests of each step, the newest first.
    step: i64,
    counts: Vec<u32>,
    /// The pace, and when it was last changed.
    pace: u32,
    paced_at: i64,
    /// Nothing is granted before this.
    paused_until: i64,
    /// Only watched requests are granted before this, because some of another replica wait for room.
    #[serde(default)]
    reserved_until: i64,
    /// The parked requests that were ever granted.
    #[serde(default)]
    parked: u64,
}

/// What a replica has done since it last asked, and what it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Requests made on credit.
    pub spent: u32,
    /// Requests of new verifications that wait.
    pub watched: u32,
    /// Other requests that wait.
    pub owed: u32,
    /// A 429, and its `Retry-After`.
    pub refused: Option<Option<Duration>>,
}

/// What it may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Requests of new verifications.
    pub watched: u32,
    /// Other requests.
    pub owed: u32,
    /// The requests for which there is room beyond the grant.
    pub free: u32,
    /// Whether the whole rate is shared out, because Plivo has not answered 429 lately.
    pub is_full_pace: bool,
    /// The parked requests that all replicas were ever granted.
    pub parked_so_far: u64,
}

impl Ledger {
    /// Before the first request.
    pub fn new(now: Timestamp) -> Self {
        Self {
            writer: 0,
            step: 0,
            counts: Vec::new(),
            pace: FULL,
            paced_at: now.as_millis(),
            paused_until: 0,
            reserved_until: 0,
            parked: 0,
        }
    }

    /// Counts what a replica has spent, and grants what there is room for: new verifications first.
    pub fn take(&mut self, ask: &Ask, rate: Rate, now: Timestamp) -> Grant {
        self.slide(rate, now);
        self.count(ask.spent);
        self.set_pace(ask.refused, now);
        if now.as_millis() < self.paused_until {
            return Grant::default();
        }
        let is_full_pace = self.pace == FULL;
        let allowed = (u64::from(rate.shared()) * u64::from(self.pace) / u64::from(FULL)).max(1);
        let allowed = u32::try_from(allowed).unwrap_or(u32::MAX);
        let free = allowed.saturating_sub(self.used(STEPS));
        let watched = ask.watched.min(free);
        self.count(watched);
        let free = free - watched;
        let reserve = if is_full_pace { rate.hundredth() } else { 0 };
        let room = self.room_of_parked(allowed).min(free.saturating_sub(reserve));
        if watched < ask.watched {
            self.reserved_until = (now + RESERVED_FOR).as_millis();
        }
        let owed = if now.as_millis() < self.reserved_until { 0 } else { ask.owed.min(room) };
        self.count(owed);
        self.parked = self.parked.wrapping_add(owed.into());
        Grant { watched, owed, free: free - owed, is_full_pace, parked_so_far: self.parked }
    }

    /// How many parked requests may follow the last ones: they are spread over the window.
    ///
    /// Else they would fill it, and block it for its length. A burst would return each time the window has passed.
    fn room_of_parked(&self, allowed: u32) -> u32 {
        let room = |steps: usize| {
            let part = u64::from(allowed) * (steps as u64 + 1);
            let part = u32::try_from(part.div_ceil(STEPS as u64)).unwrap_or(u32::MAX);
            part.saturating_sub(self.used(steps))
        };
        room(STEPS / 2).min(room(STEPS / 5)).min(room(STEPS / 25))
    }

    /// The pace, in thousandths of the rate.
    pub fn pace(&self) -> u32 {
        self.pace
    }

    fn slide(&mut self, rate: Rate, now: Timestamp) {
        let length = i64::try_from(rate.window.as_millis()).unwrap_or(i64::MAX) / STEPS as i64;
        let step = now.as_millis() / length.max(1);
        // A clock that was set back: what was counted is long over.
        if self.step - step > STEPS as i64 {
            (self.step, self.paced_at, self.paused_until, self.reserved_until) = (step, now.as_millis(), 0, 0);
            self.counts.clear();
        }
        let new = usize::try_from(step - self.step).unwrap_or(0).min(STEPS + 1);
        self.counts.splice(0..0, std::iter::repeat_n(0, new));
        // The window and the step that is under way.
        self.counts.resize(STEPS + 1, 0);
        self.step = self.step.max(step);
    }

    fn count(&mut self, requests: u32) {
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(requests);
        }
    }

    /// The requests of the newest steps, beside the one that is under way.
    fn used(&self, steps: usize) -> u32 {
        self.counts.iter().take(steps + 1).fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn set_pace(&mut self, refused: Option<Option<Duration>>, now: Timestamp) {
        let now = now.as_millis();
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match refused {
            Some(retry_after) => {
                if now - self.paced_at >= millis(CUT_EVERY) || self.pace == FULL {
                    (self.pace, self.paced_at) = ((self.pace * 4 / 5).max(LEAST), now);
                }
                let pause = retry_after.map_or(0, |retry_after| millis(retry_after.min(PAUSE_MAX)));
                self.paused_until = self.paused_until.max(now + pause);
            }
            None => {
                while self.pace < FULL && now - self.paced_at >= millis(RAISE_EVERY) {
                    self.pace = (self.pace + self.pace.div_ceil(2)).min(FULL);
                    self.paced_at += millis(RAISE_EVERY);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { requests: 300, window: Duration::from_secs(5) };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    /// The most requests in any window of the rate.
    fn densest(requests: &[i64]) -> usize {
        let within = |from: i64| requests.iter().filter(|at| (from..from + 5000).contains(*at)).count();
        requests.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    #[test]
    fn a_backlog_drains_beside_new_verifications_which_never_wait_long() {
        let mut ledger = Ledger::new(at(0));
        let (mut backlog, mut waiting, mut sent, mut longest) = (2400_u32, 0_u32, Vec::new(), 0);
        let mut drained_at = None;
        for ms in (0..180_000).step_by(25) {
            waiting += 1; // 40 a second
            let ask = Ask { watched: waiting, owed: backlog.min(16), ..Ask::default() };
            let grant = ledger.take(&ask, RATE, at(ms));
            (waiting, backlog) = (waiting - grant.watched, backlog - grant.owed);
            longest = longest.max(waiting);
            sent.extend(std::iter::repeat_n(ms, (grant.watched + grant.owed) as usize));
            if backlog == 0 {
                drained_at.get_or_insert(ms);
            }
        }
        assert!(densest(&sent) <= 300, "{}", densest(&sent));
        let drained_at = drained_at.unwrap();
        assert!(drained_at < 138_000, "2,400 / (60 - 40) = 120 s, and 15 %: {drained_at} ms");
        assert!(longest <= 40, "new verifications wait for less than a second: {longest}");
    }

    #[test]
    fn a_burst_of_new_verifications_may_use_the_whole_window() {
        let mut ledger = Ledger::new(at(0));
        let grant = ledger.take(&Ask { watched: 1000, owed: 50, ..Ask::default() }, RATE, at(0));
        assert_eq!(grant, Grant { watched: 297, is_full_pace: true, ..Grant::default() });
        assert_eq!(ledger.take(&Ask { watched: 9, ..Ask::default() }, RATE, at(5000)).watched, 0);
        assert_eq!(ledger.take(&Ask { watched: 9, ..Ask::default() }, RATE, at(5050)).watched, 9);
    }

    #[test]
    fn a_parked_request_leaves_the_room_that_another_replica_waits_for() {
        let mut ledger = Ledger::new(at(0));
        let burst = Ask { watched: 300, ..Ask::default() };
        assert_eq!(ledger.take(&burst, RATE, at(0)).watched, 297);
        let (new, parked) = (Ask { watched: 4, ..Ask::default() }, Ask { owed: 16, ..Ask::default() });
        assert_eq!(ledger.take(&new, RATE, at(5040)).watched, 0);
        assert_eq!(ledger.take(&parked, RATE, at(5060)).owed, 0, "the new ones of the other replica come first");
        assert_eq!(ledger.take(&new, RATE, at(5090)).watched, 4);
        let grant = ledger.take(&parked, RATE, at(5200));
        assert_eq!(u64::from(grant.owed), grant.parked_so_far);
        assert!(grant.owed > 0, "{grant:?}");
    }

    #[test]
    fn a_429_lowers_the_pace_and_quiet_seconds_raise_it_again() {
        let mut ledger = Ledger::new(at(0));
        let refused = Ask { refused: Some(None), ..Ask::default() };
        for ms in (0..20_000).step_by(100) {
            ledger.take(&refused, RATE, at(ms));
        }
        assert_eq!(ledger.pace(), LEAST);
        let mut granted = 0;
        for ms in (20_000..40_000).step_by(50) {
            granted += ledger.take(&Ask { owed: 99, ..Ask::default() }, RATE, at(ms)).owed;
        }
        assert_eq!(ledger.pace(), FULL);
        assert!(granted > 200, "{granted}");
    }

    #[test]
    fn one_429_costs_a_fifth_of_the_pace_for_a_second() {
        let mut ledger = Ledger::new(at(0));
        let refused = Ask { refused: Some(None), ..Ask::default() };
        ledger.take(&refused, RATE, at(0));
        ledger.take(&refused, RATE, at(100));
        assert_eq!(ledger.pace(), 800);
        ledger.take(&Ask::default(), RATE, at(1100));
        assert_eq!(ledger.pace(), FULL);
    }

    #[test]
    fn nothing_is_granted_before_retry_after() {
        let mut ledger = Ledger::new(at(0));
        let refused = Ask { refused: Some(Some(Duration::from_secs(3))), watched: 1, ..Ask::default() };
        assert_eq!(ledger.take(&refused, RATE, at(0)), Grant::default());
        let ask = Ask { watched: 1, owed: 1, ..Ask::default() };
        assert_eq!(ledger.take(&ask, RATE, at(2999)), Grant::default());
        assert_eq!(ledger.take(&ask, RATE, at(3000)).watched, 1);
    }
}
