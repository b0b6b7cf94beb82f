//! Limits: the attempts of a decision are counted by the commit that makes them, or the commit is refused.
//!
//! A decision is made as if its new attempts were allowed. If a limit refuses one, the decision is made again with that
//! limit as an input: a requested attempt is refused, and a call that was due is recorded as barred.

use std::time::Duration;

use tracing::warn;

use super::Engine;
use super::advances::{Charges, Counted};
use crate::guard::{Charge, ProposedAttempt, Scope};
use crate::phone::PhoneNumber;
use crate::prices;
use crate::store::{Increment, NumberKey, StoreError};
use crate::time::Timestamp;
use crate::verification::{Attempt, AttemptStatus, Barred, Channel, Status, Verification};

/// What the limits have said so far about the new attempts of one change.
#[derive(Default)]
pub(super) struct LimitAnswers {
    /// Attempts that a limit refuses.
    pub(super) barred: Vec<Barred>,
    /// Limits that are exceeded and only watched.
    watched: Vec<(Channel, Scope)>,
    /// Whether the number was verified lately; `None` before a limit of its prefix has asked.
    is_verified: Option<bool>,
}

impl Engine {
    /// The charges of a new verification.
    pub(super) fn charges_of_creation(&self, v: &Verification, answers: &LimitAnswers, now: Timestamp) -> Charges {
        // Counted for the verification, even if its first attempt failed at once.
        let first = v.attempts.first().map_or(v.mode.first_channel(), |first| first.channel);
        self.charges(v, &[first], true, answers, now)
    }

    /// The charges of the attempts that `after` has beyond those of `before`.
    pub(super) fn charges_of_change(
        &self,
        before: &Verification,
        after: &Verification,
        answers: &LimitAnswers,
        now: Timestamp,
    ) -> Charges {
        let new: Vec<Channel> = after.attempts.iter().skip(before.attempts.len()).map(|a| a.channel).collect();
        self.charges(after, &new, false, answers, now)
    }

    fn charges(
        &self,
        v: &Verification,
        channels: &[Channel],
        is_new: bool,
        answers: &LimitAnswers,
        now: Timestamp,
    ) -> Charges {
        if channels.is_empty() {
            return Charges::default();
        }
        let charges = channels.iter().copied().flat_map(|channel| {
            let of_attempt = self.parts.guard.charges(&ProposedAttempt {
                app: &v.app,
                to: &v.to,
                client_ip: v.details.client_ip,
                is_call: channel == Channel::Call,
                is_new,
                price_u: expected_price_u(&v.to, channel),
            });
            // Nothing is sent to a test number, so it uses up only what its app and all apps may ask for.
            let is_counted = |charge: &Charge| !v.details.is_test || charge.scope.counts_test_numbers();
            of_attempt.into_iter().filter(is_counted).map(move |mut charge| {
                let is_excused = answers.is_verified == Some(true) && charge.scope.is_of_prefix();
                charge.ignores_limits |= is_excused || answers.watched.contains(&(channel, charge.scope));
                (channel, charge)
            })
        });
        self.inner.advances.cover(charges.collect(), now)
    }

    /// Whether a limit on the number's prefix does not concern it: who has this phone was verified lately, so the number is
    /// not one of a range that an attacker pumps.
    pub(super) async fn is_excused(
        &self,
        v: &Verification,
        charges: &Charges,
        index: usize,
        answers: &mut LimitAnswers,
    ) -> Result<bool, StoreError> {
        let is_of_prefix = charges.counted.get(index).is_some_and(|counted| counted.charge.scope.is_of_prefix());
        if !is_of_prefix || answers.is_verified.is_some() {
            return Ok(false);
        }
        let mut is_verified = false;
        for number in self.parts.keys.number_keys(&v.app, &v.to) {
            is_verified |= self.parts.store.is_verified(number).await?;
        }
        answers.is_verified = Some(is_verified);
        Ok(is_verified)
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
        let Some(Counted { channel, charge, .. }) = charges.counted.get(index) else { return };
        // Room may appear one step after the end of the window. What a client is told is never longer than that.
        let wait = charge.limits.0.iter().map(|limit| limit.window).max().map_or(wait, |window| wait.min(window));
        let (channel, scope) = (*channel, charge.scope);
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
        let increments = charges.counted.iter().map(|Counted { charge, advance, .. }| {
            // Scopes with one subject follow each other, and the number's hash is known: each hash is costly.
            let hash = match (charge.scope, last) {
                (Scope::Number | Scope::NumberCall, _) => u128::from_be_bytes(number.0),
                (_, Some((subject, hash))) if subject == charge.subject => hash,
                _ => self.subject_hash(charge),
            };
            last = Some((&charge.subject, hash));
            let increment = increment(charge, hash);
            Increment { amount: increment.amount.saturating_add(*advance), ..increment }
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
        let is_credited = is_new && !after.details.is_test;
        let verified = is_credited.then(|| guard.credit_of_success(&after.app, &after.to)).flatten();
        let spent = guard.cost_corrections(&after.app, unexpected_cost_u(before, after));
        self.report_implausible_costs(before, after);
        let charges = verified.into_iter().chain(spent);
        self.adjust_later(charges.map(|charge| increment(&charge, self.subject_hash(&charge))));
    }

    /// Warns of a cost that a report tells and that counts only in part.
    fn report_implausible_costs(&self, before: &Verification, after: &Verification) {
        for (attempt, a) in after.indexes().zip(&after.attempts) {
            let known_u = before.attempt(attempt).and_then(|a| a.facts.cost_u);
            let is_plausible =
                |cost_u: &u64| *cost_u <= prices::plausible_u(after.to.country(), a.channel == Channel::Call);
            if let Some(cost_u) = a.facts.cost_u.filter(|cost_u| known_u != Some(*cost_u) && !is_plausible(cost_u)) {
                self.parts.metrics.implausible_cost();
                let (channel, told) = (a.channel.as_str(), cost_u as f64 / 1e6);
                warn!(event = "cost_implausible", verification.id = %after.id, app = after.app, to = %after.to, channel, told,
                    "a report tells more than ten times the expected cost; only that much counts");
            }
        }
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
        [scope.as_str(), ":", subject].concat()
    };
    Increment { counter, amount: *amount, limits: limits.clone(), ignores_limits: *ignores_limits }
}

/// The expected price of an attempt, in micro-dollars, until Plivo reports the real one.
fn expected_price_u(to: &PhoneNumber, channel: Channel) -> u64 {
    prices::expected_u(to.country(), channel == Channel::Call)
}

/// The change of cost, in micro-dollars, beyond what was known or expected before.
fn unexpected_cost_u(before: &Verification, after: &Verification) -> i64 {
    let cost = |v: &Verification, a: &Attempt| {
        let cost = if is_free_of_charge(v, a) { 0 } else { expected_price_u(&v.to, a.channel) };
        let told = a.facts.cost_u.map(|told| told.min(prices::plausible_u(v.to.country(), a.channel == Channel::Call)));
        i64::try_from(told.unwrap_or(cost)).unwrap_or(i64::MAX)
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
