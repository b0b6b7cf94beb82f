//! What is planned for a verification: its next call, and the time of its next tick.

use super::attempt::Attempt;
use super::rules::TYPING_PAUSE;
use super::state::{State, Verification};
use super::words::{Channel, Mode};
use crate::escalation::{Plan, Reason, Situation, Text};
use crate::time::Timestamp;

/// A planned call; the code or a later event may still cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedCall {
    /// When it is due.
    pub at: Timestamp,
    /// Why it is made.
    pub reason: Reason,
    /// Whether it repeats the last call.
    pub is_repeat: bool,
}

impl Verification {
    /// The channel of the first attempt, and its reason if that is a call.
    ///
    /// A text to a fixed line is lost before it is sent. So where the policy calls at once for a lost text, the
    /// verification begins with the call.
    pub(super) fn first_attempt(&self) -> (Channel, Option<Reason>) {
        let text = Text::Lost(Reason::Landline);
        let lost = Situation { first_request_at: self.created_at, text, planned: Plan::Never };
        let is_lost = self.mode == Mode::Auto && self.calls_allowed && self.to.is_fixed_line();
        match (self.mode.first_channel(), self.policy.when(&lost)) {
            (Channel::Call, _) => (Channel::Call, Some(Reason::Requested)),
            (Channel::Sms, Plan::CallAt(at, reason)) if is_lost && at <= self.created_at => {
                (Channel::Call, Some(reason))
            }
            (Channel::Sms, _) => (Channel::Sms, None),
        }
    }

    /// The next call, if nothing changes.
    ///
    /// Escalation makes at most one call and repeats it at most once. A requested call replaces the escalation's own.
    pub fn next_call(&self) -> Option<PlannedCall> {
        let planned = self.planned_call()?;
        let pending = self.pending()?;
        let quiet_until = pending.quiet_hours_until.filter(|_| planned.is_deferred_by_quiet_hours());
        let at = quiet_until.map_or(planned.at, |until| until.max(planned.at));
        (at < pending.expires_at).then_some(PlannedCall { at, ..planned })
    }

    /// The next call, quiet hours aside.
    pub(super) fn planned_call(&self) -> Option<PlannedCall> {
        let pending = self.pending()?;
        if !self.calls_allowed || self.has_text() || pending.call_barred {
            return None;
        }
        let planned = match self.newest(Channel::Call) {
            Some(call) => PlannedCall {
                at: call.heard_at + call.pause_before_repeat()?,
                reason: call.reason.unwrap_or(Reason::Requested),
                is_repeat: true,
            },
            None if self.mode == Mode::Sms || self.details.is_test || self.is_text_waiting() => return None,
            None => {
                let first = self.attempts_on(Channel::Sms).next()?;
                let planned = pending.planned.map_or(Plan::Never, |plan| Plan::CallAt(plan.at, plan.reason));
                let situation = Situation { first_request_at: first.at, text: self.text()?, planned };
                match self.policy.when(&situation) {
                    Plan::CallAt(at, reason) => PlannedCall { at, reason, is_repeat: false },
                    Plan::Never => return None,
                }
            }
        };
        let at = self.typing_until(planned.at).map_or(planned.at, |until| until.max(planned.at));
        (at < pending.expires_at).then_some(PlannedCall { at, ..planned })
    }

    /// Whether everybody who waits has the text. One session cannot speak for another.
    fn has_text(&self) -> bool {
        self.open_sessions().all(|session| self.session(session).has_text)
    }

    /// Until when the call planned for `at` waits, because a person is typing. While another session waits for that call,
    /// typing defers it for one pause only: otherwise one session could keep it from the other.
    fn typing_until(&self, at: Timestamp) -> Option<Timestamp> {
        let until = self.open_sessions().filter_map(|session| self.session(session).typing_until).max()?;
        let is_shared = self.open_sessions().nth(1).is_some();
        Some(if is_shared { until.min(at + TYPING_PAUSE) } else { until })
    }

    /// The state of the newest text, or `Delivered` if that one fails and an older one was delivered.
    pub(super) fn text(&self) -> Option<Text> {
        let mut texts = self.attempts_on(Channel::Sms).rev().map(Attempt::text);
        let newest = texts.next()?;
        match newest {
            Text::Unreported | Text::Queued if self.to.is_fixed_line() => Some(Text::Lost(Reason::Landline)),
            Text::Lost(_) | Text::Faltering(_) => Some(texts.find(|t| *t == Text::Delivered).unwrap_or(newest)),
            Text::Unreported | Text::Queued | Text::Delivered => Some(newest),
        }
    }

    /// Whether some channel may still bring the code, now or on request.
    pub(super) fn has_hope(&self) -> bool {
        let may_be_called = match self.newest(Channel::Call) {
            Some(call) => call.pause_before_repeat().is_some(),
            None => self.mode != Mode::Sms && self.calls_allowed,
        };
        may_be_called || self.attempts.iter().any(Attempt::may_bring_the_code)
    }

    /// The time of its next tick; `None` once nothing is left to do.
    pub fn due(&self) -> Option<Timestamp> {
        let owed = self.owed.iter().map(|owed| owed.due);
        let State::Pending(pending) = &self.state else { return owed.min() };
        let silent = self.attempts.iter().filter_map(Attempt::call_silent_at).min();
        let observe_at = pending.observe_at.filter(|_| !self.is_text_waiting());
        let timers = [Some(pending.expires_at), self.next_call().map(|call| call.at), silent, observe_at];
        owed.chain(timers.into_iter().flatten()).min()
    }
}

impl PlannedCall {
    /// Whether quiet hours defer it. A requested call and its repeat ring at any hour.
    pub(super) fn is_deferred_by_quiet_hours(&self) -> bool {
        self.reason != Reason::Requested
    }
}
