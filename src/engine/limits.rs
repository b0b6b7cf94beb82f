//! Limits: the attempts of a decision are counted by the commit that makes them, or the commit is refused.
//!
//! A decision is made as if its new attempts were allowed. If a limit refuses one, the decision is made again with that
//! limit as an input: a requested attempt is refused, and a call that was due is recorded as barred.

use std::time::Duration;

use tracing::warn;

use super::Engine;
use crate::guard::{Charge, ProposedAttempt, Scope};
use crate::phone::PhoneNumber;
use crate::prices;
use crate::store::{Increment, NumberKey};
use crate::verification::{Attempt, AttemptStatus, Barred, Channel, Status, Verification};

/// What the limits have said so far about the new attempts of one change.
#[derive(Default)]
pub(super) struct LimitAnswers {
    /// Attempts that a limit refuses.
    pub(super) barred: Vec<Barred>,
    /// Limits that are exceeded and only watched.
    watched: Vec<(Channel, Scope)>,
}

/// What the new attempts of a decision count, and for which channel.
pub(super) struct Charges(Vec<(Channel, Charge)>);

impl Engine {
    /// The charges of a new verification.
    pub(super) fn charges_of_creation(&self, v: &Verification, answers: &LimitAnswers) -> Charges {
        // Counted for the verification, even if its first attempt failed at once.
        let first = v.attempts.first().map_or(v.mode.first_channel(), |first| first.channel);
        self.charges(v, &[first], true, answers)
    }

    /// The charges of the attempts that `after` has beyond those of `before`.
    pub(super) fn charges_of_change(
        &self,
        before: &Verification,
        after: &Verification,
        answers: &LimitAnswers,
    ) -> Charges {
        let new: Vec<Channel> = after.attempts.iter().skip(before.attempts.len()).map(|a| a.channel).collect();
        self.charges(after, &new, false, answers)
    }

    fn charges(&self, v: &Verification, channels: &[Channel], is_new: bool, answers: &LimitAnswers) -> Charges {
        let mut charges = Vec::new();
        // No text is sent to a test number.
        for channel in channels.iter().copied().filter(|_| !v.details.is_test) {
            let of_attempt = self.parts.guard.charges(&ProposedAttempt {
                app: &v.app,
                to: &v.to,
                client_ip: v.details.client_ip,
                is_call: channel == Channel::Call,
                is_new,
                price_u: expected_price_u(&v.to, channel),
            });
            charges.extend(of_attempt.into_iter().map(|mut charge| {
                charge.ignores_limits |= answers.watched.contains(&(channel, charge.scope));
                (channel, charge)
            }));
        }
        Charges(charges)
    }

    /// Records that a commit was refused for one of its charges: it is barred, or only watched with `GUARD=monitor`.
    pub(super) fn note_refused(
        &self,
        v: &Verification,
        charges: &Charges,
        index: usize,
        wait: Duration,
        answers: &mut LimitAnswers,
    ) {
        let Some((channel, Charge { scope, .. })) = charges.0.get(index) else { return };
        let (channel, scope) = (*channel, *scope);
        self.report_limit(scope, v, Some(channel));
        if self.parts.guard.is_monitor && scope.is_relaxed_by_monitor() {
            answers.watched.push((channel, scope));
        } else {
            answers.barred.push(Barred { channel, scope, retry_after: wait });
        }
    }

    /// What a commit adds for charges.
    pub(super) fn increments_of(&self, charges: &Charges, number: NumberKey) -> Vec<Increment> {
        let mut last: Option<(&str, u128)> = None;
        let increments = charges.0.iter().map(|(_, charge)| {
            // Scopes with one subject follow each other, and the number's hash is known: each hash is costly.
            let hash = match (charge.scope, last) {
                (Scope::Number | Scope::NumberCall, _) => u128::from_be_bytes(number.0),
                (_, Some((subject, hash))) if subject == charge.subject => hash,
                _ => self.subject_hash(charge),
            };
            last = Some((&charge.subject, hash));
            increment(charge, hash)
        });
        increments.collect()
    }

    /// Writes a reached limit to log and metrics.
    pub(super) fn report_limit(&self, scope: Scope, v: &Verification, channel: Option<Channel>) {
        let is_only_watched = self.parts.guard.is_monitor && scope.is_relaxed_by_monitor();
        let (scope, channel) = (scope.as_str(), channel.map(Channel::as_str));
        self.parts.metrics.refusal(scope);
        warn!(event = "limit_reached", scope, app = v.app, to = %v.to, channel, is_only_watched);
    }

    /// Adjusts the counters after a commit, with the next batch.
    ///
    /// If the adjustment is lost, a limit is a little narrower or wider until its window ends.
    pub(super) fn adjust_counters(&self, before: &Verification, after: &Verification) {
        let guard = &self.parts.guard;
        let is_new = before.status() != Status::Verified && after.status() == Status::Verified;
        let verified = guard.credit_of_success(&after.app, &after.to).filter(|_| is_new && !after.details.is_test);
        let spent = guard.cost_correction(unexpected_cost_u(before, after));
        let charges = verified.into_iter().chain(spent);
        self.adjust_later(charges.map(|charge| increment(&charge, self.subject_hash(&charge))));
    }

    /// A keyed hash of a subject that is personal: a number, a prefix or an address.
    ///
    /// With another `SECRET_KEY` its counter starts at zero; shared counters continue.
    fn subject_hash(&self, charge: &Charge) -> u128 {
        let is_personal = charge.scope.is_personal();
        let hash = is_personal.then(|| self.parts.keys.sign(&[b"count", charge.subject.as_bytes()]));
        hash.map_or(0, u128::from_be_bytes)
    }
}

/// The counter of a charge in the store. Numbers and addresses are stored as keyed hashes only.
fn increment(charge: &Charge, subject_hash: u128) -> Increment {
    let Charge { scope, subject, amount, limits, ignores_limits } = charge;
    let counter = if scope.is_personal() {
        format!("{}:{subject_hash:032x}", scope.as_str())
    } else {
        format!("{}:{subject}", scope.as_str())
    };
    Increment { counter, amount: *amount, limits: limits.clone(), ignores_limits: *ignores_limits }
}

/// The expected price of an attempt, in micro-dollars, until Plivo reports the real one.
fn expected_price_u(to: &PhoneNumber, channel: Channel) -> u64 {
    let price_u = match channel {
        Channel::Sms => prices::text_price_u(to.country()),
        Channel::Call => prices::call_price_u(to.country()),
    };
    price_u.into()
}

/// The change of cost, in micro-dollars, beyond what was known or expected before.
fn unexpected_cost_u(before: &Verification, after: &Verification) -> i64 {
    let cost = |v: &Verification, a: &Attempt| {
        let cost = if is_free_of_charge(v, a) { 0 } else { expected_price_u(&v.to, a.channel) };
        i64::try_from(a.facts.cost_u.unwrap_or(cost)).unwrap_or(i64::MAX)
    };
    let known = before.attempts.iter().zip(&after.attempts);
    let costs = known.map(|(b, a)| cost(after, a).saturating_sub(cost(before, b)));
    costs.fold(0, i64::saturating_add)
}

/// Whether an attempt is known to cost nothing: refused, given up before Plivo was asked, or a call without an answer.
fn is_free_of_charge(v: &Verification, a: &Attempt) -> bool {
    let unanswered = matches!(a.status, AttemptStatus::Busy | AttemptStatus::NoAnswer | AttemptStatus::Rejected);
    let not_placed = a.channel == Channel::Call && a.status == AttemptStatus::Failed && !a.answered;
    let was_dropped = v.is_final() && a.status == AttemptStatus::Triggering;
    a.refused.is_some() || was_dropped || (unanswered && !a.assumed) || not_placed
}
