//! Limits: before an attempt is committed, the store counts it against every limit, in one exchange.
//!
//! A decision is made as if its new attempts were allowed, and then they are counted. If a limit refuses one, the
//! decision is made again with that limit as an input: a requested attempt is refused, and a call that was due is
//! recorded as barred.

use std::time::Duration;

use tracing::{debug, warn};

use super::{Engine, EngineError};
use crate::guard::{Charge, ProposedAttempt, Scope};
use crate::phone::PhoneNumber;
use crate::prices;
use crate::route_model::Insight;
use crate::store::{Increment, IncrementOutcome, NumberKey};
use crate::time::Timestamp;
use crate::verification::{
    Attempt, AttemptStatus, Barred, Channel, Context, Decision, Event, Status, Verification, VerificationId, decide,
};

/// The limits' answer to one attempt.
pub(super) enum Reservation {
    /// It is counted.
    Granted,
    /// The number has a verification already; nothing is counted.
    Found(VerificationId),
    /// A limit is reached, for this long.
    Refused(Scope, Duration),
}

/// Attempts that limits have granted and refused for one batch of events, kept when the batch is decided again.
pub(super) struct Reservations {
    granted: Vec<Channel>,
    barred: Vec<Barred>,
}

impl Reservations {
    /// Starts with what was granted before.
    pub(super) fn with(granted: Option<Channel>) -> Self {
        Self { granted: granted.into_iter().collect(), barred: Vec::new() }
    }

    /// The new attempts that are not counted yet.
    fn missing(&self, before: &Verification, after: &Verification) -> Vec<Channel> {
        let mut granted = self.granted.clone();
        let new = after.attempts.iter().skip(before.attempts.len()).map(|a| a.channel);
        new.filter(|channel| match granted.iter().position(|granted| granted == channel) {
            Some(position) => {
                granted.swap_remove(position);
                false
            }
            None => true,
        })
        .collect()
    }
}

impl Engine {
    /// Decides, and counts the new attempts. The decision is made again only if a limit refuses one of them.
    pub(super) async fn decide_within_limits(
        &self,
        before: &Verification,
        events: &[Event],
        insight: &Insight,
        now: Timestamp,
        reservations: &mut Reservations,
    ) -> Result<Decision, EngineError> {
        'decide: loop {
            let context = Context { now, insight, barred: &reservations.barred };
            let decision = decide(before, events, &self.parts.rules, &context);
            if before.details.is_test {
                return Ok(decision);
            }
            for channel in reservations.missing(before, &decision.after) {
                match self.reserve(before, channel, false, None, now).await? {
                    Reservation::Granted | Reservation::Found(_) => reservations.granted.push(channel),
                    Reservation::Refused(scope, retry_after) => {
                        reservations.barred.push(Barred { channel, scope, retry_after });
                        continue 'decide;
                    }
                }
            }
            return Ok(decision);
        }
    }

    /// Counts the first attempt of a verification that is about to be created.
    pub(super) async fn reserve_first(
        &self,
        v: &Verification,
        unless: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<Reservation, EngineError> {
        self.reserve(v, first_channel(v), true, unless, now).await
    }

    async fn reserve(
        &self,
        v: &Verification,
        channel: Channel,
        is_new: bool,
        unless: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<Reservation, EngineError> {
        let guard = &self.parts.guard;
        let mut charges = guard.charges(&ProposedAttempt {
            app: &v.app,
            to: &v.to,
            client_ip: v.details.client_ip,
            is_call: channel == Channel::Call,
            is_new,
            price_u: expected_price_u(&v.to, channel),
        });
        loop {
            let (which, wait) = match self.parts.store.increment(&self.increments(&charges), unless, now).await? {
                IncrementOutcome::Added => return Ok(Reservation::Granted),
                IncrementOutcome::NumberInUse(id) => return Ok(Reservation::Found(id)),
                IncrementOutcome::OverLimit { index: which, wait } => (which, wait),
            };
            let Some(full) = charges.get_mut(which) else { return Ok(Reservation::Granted) };
            let (scope, is_relaxed) = (full.scope, guard.is_monitor && full.scope.is_relaxed_by_monitor());
            self.report_limit(scope, v, Some(channel));
            if !is_relaxed {
                return Ok(Reservation::Refused(scope, wait));
            }
            full.ignores_limits = true;
        }
    }

    /// Writes a reached limit to log and metrics.
    pub(super) fn report_limit(&self, scope: Scope, v: &Verification, channel: Option<Channel>) {
        let is_only_watched = self.parts.guard.is_monitor && scope.is_relaxed_by_monitor();
        let (scope, channel) = (scope.as_str(), channel.map(Channel::as_str));
        self.parts.metrics.refusal(scope);
        warn!(event = "limit_reached", scope, app = v.app, to = %v.to, channel, is_only_watched);
    }

    /// Adjusts the counters after a commit; not awaited.
    ///
    /// If the adjustment is lost, a limit is a little narrower or wider until its window ends.
    pub(super) fn adjust_counters(&self, before: &Verification, after: &Verification, now: Timestamp) {
        let guard = &self.parts.guard;
        let is_new = before.status() != Status::Verified && after.status() == Status::Verified;
        let verified = guard.credit_of_success(&after.app, &after.to).filter(|_| is_new && !after.details.is_test);
        let spent = guard.cost_correction(unexpected_cost_u(before, after));
        let charges: Vec<Charge> = verified.into_iter().chain(spent).collect();
        if charges.is_empty() {
            return;
        }
        let (engine, increments) = (self.clone(), self.increments(&charges));
        self.spawn_detached(async move {
            if let Err(error) = engine.parts.store.increment(&increments, None, now).await {
                debug!(%error, "the counters of the limits could not be adjusted");
            }
        });
    }

    /// The counters' names in the store. Numbers and addresses are stored as keyed hashes only.
    ///
    /// With another `SECRET_KEY` such a counter starts at zero; shared counters continue.
    fn increments(&self, charges: &[Charge]) -> Vec<Increment> {
        let increment = |charge: &Charge| {
            let scope = charge.scope.as_str();
            let name = if charge.scope.is_personal() {
                let hash = self.parts.keys.sign(&[b"count", scope.as_bytes(), charge.subject.as_bytes()]);
                format!("{scope}:{:032x}", u128::from_be_bytes(hash))
            } else {
                format!("{scope}:{}", charge.subject)
            };
            Increment {
                counter: name,
                amount: charge.amount,
                limits: charge.limits.clone(),
                ignores_limits: charge.ignores_limits,
            }
        };
        charges.iter().map(increment).collect()
    }
}

/// The channel of the first attempt.
pub(super) fn first_channel(v: &Verification) -> Channel {
    v.attempts.first().map_or(v.mode.first_channel(), |first| first.channel)
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
