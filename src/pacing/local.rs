//! [`Local`]: what one process knows of the pace, and the requests that wait in it.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::backlog::{Backlog, Parked};
use super::ledger::{Ask, Grant};
use crate::plivo::Rate;
use crate::time::Timestamp;

/// The pause between exchanges while requests wait, and while none does.
const ASK_EVERY: Duration = Duration::from_millis(50);
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Parked requests that one exchange asks for.
const AT_ONCE: u32 = 16;
/// How long the room that an exchange found is believed.
const FRESH: Duration = Duration::from_secs(2);
/// How long a trial during a hold is given to be answered.
const TRIAL: Duration = Duration::from_secs(1);
/// The part of the free room that one process spends before the next exchange: there may be as many replicas.
const CREDIT_PART: u32 = 20;
/// Whether a request may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, and is counted.
    Now,
    /// It has to wait. How long, where that is known; else zero.
    Later(Duration),
}

/// Whether a request has to wait.
pub(super) enum Waiting {
    /// No.
    Over(Admission),
    /// Until an exchange grants it.
    For(oneshot::Receiver<()>),
}

pub(super) struct Local {
    rate: Rate,
    /// Requests made since the last exchange, which it has not counted.
    pub(super) unreported: u32,
    /// Requests that may be made before the next exchange.
    pub(super) credit: u32,
    /// A 429 since the last exchange, with its `Retry-After`.
    pub(super) refused: Option<Option<Duration>>,
    /// Requests that wait for the next exchanges: those of new verifications, and one that found none parked.
    pub(super) watched: VecDeque<oneshot::Sender<()>>,
    pub(super) backlog: Backlog,
    /// Parked requests that were admitted and are on their way.
    admitted: HashSet<Parked>,
    /// No parked request is let through before this.
    held_until: Option<Instant>,
    exchanged_at: Option<Instant>,
    /// When the next exchange is planned, if at all.
    planned_at: Option<Instant>,
    /// The ledger as it was last written here.
    pub(super) last_value: Option<Vec<u8>>,
}

impl Local {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            unreported: 0,
            credit: rate.hundredth().max(1),
            refused: None,
            watched: VecDeque::new(),
            backlog: Backlog::default(),
            admitted: HashSet::new(),
            held_until: None,
            exchanged_at: None,
            planned_at: None,
            last_value: None,
        }
    }

    /// A request that a person watches; parked at once where the others that wait take as long as `served` requests.
    pub(super) fn admit_watched(&mut self, parked: Parked, served: f64, now: Instant) -> Waiting {
        // It was parked before: the exchange has counted it.
        let is_counted = self.admitted.remove(&parked);
        if is_counted || (self.watched.is_empty() && self.spend(now)) {
            return Waiting::Over(Admission::Now);
        }
        if self.watched.len() as f64 > served {
            self.backlog.park(parked);
            return Waiting::Over(Admission::Later(Duration::ZERO));
        }
        self.queue()
    }

    pub(super) fn spend_for_lookup(&mut self, now: Instant) -> bool {
        self.watched.is_empty() && self.backlog.is_empty() && self.spend(now)
    }

    pub(super) fn admit_owed(&mut self, parked: Parked, now: Instant) -> Waiting {
        if self.admitted.remove(&parked) {
            return Waiting::Over(Admission::Now);
        }
        let is_free = self.watched.is_empty() && self.backlog.is_empty() && self.held_until.is_none();
        if is_free {
            return if self.spend(now) { Waiting::Over(Admission::Now) } else { self.queue() };
        }
        self.backlog.park(parked);
        Waiting::Over(Admission::Later(self.backlog.expected_wait(parked)))
    }

    fn queue(&mut self) -> Waiting {
        let (grant, granted) = oneshot::channel();
        self.watched.push_back(grant);
        Waiting::For(granted)
    }

    pub(super) fn withdraw(&mut self, parked: Parked) {
        if self.admitted.remove(&parked) {
            self.credit += 1;
        }
    }

    pub(super) fn refuse(&mut self, retry_after: Option<Duration>) {
        self.refused = Some(retry_after.max(self.refused.flatten()));
        self.credit = 0;
    }

    /// Passes the admission of a request that another replica has made on to the next one.
    pub(super) fn pass_on(&mut self, parked: Parked) -> Option<Parked> {
        if !self.admitted.remove(&parked) {
            return None;
        }
        let next = self.backlog.pop();
        self.admitted.extend(next);
        self.credit += u32::from(next.is_none());
        next
    }

    pub(super) fn hold(&mut self, parked: Parked, until: Instant) {
        self.credit += 1;
        self.held_until = Some(until);
        self.backlog.park(parked);
    }

    /// Ends a hold; returns whether there was one.
    pub(super) fn release(&mut self) -> bool {
        let was_held = self.held_until.take().is_some();
        if was_held {
            self.backlog.park_failed();
        } else {
            self.backlog.forget_failed();
        }
        was_held
    }

    /// How long to wait before the next exchange; `None` until something changes.
    pub(super) fn next_exchange(&self, now: Instant) -> Option<Duration> {
        let since = self.exchanged_at.map_or(REPORT_EVERY, |at| now.saturating_duration_since(at));
        let held_for = self.held_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let is_urgent = !self.watched.is_empty() || self.refused.is_some() || (self.credit == 0 && self.unreported > 0);
        let for_parked = (!self.backlog.is_empty()).then(|| ASK_EVERY.saturating_sub(since).max(held_for));
        let for_urgent = is_urgent.then(|| ASK_EVERY.saturating_sub(since));
        let for_report = (self.unreported > 0).then(|| REPORT_EVERY.saturating_sub(since));
        [for_parked, for_urgent, for_report].into_iter().flatten().min()
    }

    /// The same, for the one who waits for it.
    pub(super) fn plan_exchange(&mut self, now: Instant) -> Option<Duration> {
        let wait = self.next_exchange(now);
        self.planned_at = wait.map(|wait| now + wait);
        wait
    }

    /// Whether an exchange is useful before the planned one.
    pub(super) fn is_exchange_sooner(&self, now: Instant) -> bool {
        let useful_at = self.next_exchange(now).map(|wait| now + wait);
        useful_at.is_some_and(|useful| self.planned_at.is_none_or(|planned| useful < planned))
    }

    /// What the next exchange asks for.
    ///
    /// `at` is the store's time for `now`.
    pub(super) fn ask(&mut self, now: Instant, at: Timestamp) -> Ask {
        self.watched.retain(|waiting| !waiting.is_closed());
        let (new, parked) = (self.backlog.count_new(at, AT_ONCE), self.backlog.len().min(AT_ONCE));
        let (new, owed) = match self.held_until {
            Some(until) if now < until => (0, 0),
            // A trial.
            Some(_) => (0, parked.min(1)),
            None => (new, parked - new),
        };
        let watched = u32::try_from(self.watched.len()).unwrap_or(u32::MAX).saturating_add(new);
        Ask { spent: std::mem::take(&mut self.unreported), watched, owed, refused: self.refused.take() }
    }

    /// Takes what an exchange has granted, and returns the parked requests that may be made.
    pub(super) fn granted(&mut self, ask: &Ask, grant: Grant, now: Instant, at: Timestamp) -> Vec<Parked> {
        self.exchanged_at = Some(now);
        let mut left = grant.watched;
        while left > 0 {
            let Some(waiting) = self.watched.pop_front() else { break };
            left -= u32::from(waiting.send(()).is_ok());
        }
        // Then the parked ones that are new.
        let mut admitted = self.backlog.take_new(left, at);
        left -= count(&admitted);
        let parked = self.backlog.take(grant.owed, at);
        let unused = left + grant.owed - count(&parked);
        admitted.extend(parked);
        self.admitted.extend(&admitted);
        let is_steady = self.held_until.is_none() && grant.is_full_pace;
        self.backlog.note_grants(grant.parked_so_far, now, is_steady);
        self.credit = (grant.free / CREDIT_PART).saturating_sub(self.unreported) + unused;
        if ask.owed > 0 && self.held_until.is_some() {
            // The next trial comes when this one has had time to be answered.
            self.held_until = Some(now + TRIAL);
        }
        admitted
    }

    pub(super) fn not_exchanged(&mut self, ask: &Ask, now: Instant) {
        self.exchanged_at = Some(now);
        self.unreported = self.unreported.saturating_add(ask.spent);
        self.refused = self.refused.or(ask.refused);
    }

    fn spend(&mut self, now: Instant) -> bool {
        let is_fresh = self.exchanged_at.is_some_and(|at| now.saturating_duration_since(at) < FRESH);
        if !is_fresh {
            self.credit = self.rate.hundredth().max(1).saturating_sub(self.unreported);
        }
        let is_admitted = self.credit > 0;
        self.credit = self.credit.saturating_sub(1);
        self.unreported += u32::from(is_admitted);
        is_admitted
    }
}

fn count(admitted: &[Parked]) -> u32 {
    u32::try_from(admitted.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
