//! The guard asked: before an attempt is decided on, the store counts it against every limit, in one exchange.
//!
//! A decision is made as if the attempt were allowed. Where it holds a new attempt the store is asked, and where that
//! says no the decision is made again, knowing so: the attempt that was asked for is refused, the call that was due
//! stands in the timeline.

use std::time::Duration;

use tracing::{Instrument, debug, warn};

use super::{Engine, EngineError};
use crate::guard::{Charge, ProposedAttempt, Scope};
use crate::phone::PhoneNumber;
use crate::prices;
use crate::store::{Increment, IncrementOutcome, NumberKey};
use crate::time::Timestamp;
use crate::verification::rules::Barred;
use crate::verification::{
    Attempt, AttemptStatus, Channel, Decision, Event, Rules, Status, Verification, VerificationId, decide,
};

/// What the guard says to one attempt.
pub(super) enum Permit {
    /// It is counted.
    Granted,
    /// The number has a verification; nothing is counted.
    Found(VerificationId),
    /// This limit is reached, for so long.
    Refused(Scope, Duration),
}

/// What was granted and refused while one event is being applied, however often it is decided on.
pub(super) struct Permits {
    granted: Vec<Channel>,
    barred: Vec<Barred>,
}

impl Permits {
    /// With what was granted before.
    pub(super) fn with(granted: Option<Channel>) -> Self {
        Self { granted: granted.into_iter().collect(), barred: Vec::new() }
    }

    /// The first new attempt that nobody has been asked for.
    fn missing(&self, before: &Verification, after: &Verification) -> Option<Channel> {
        let new = || after.attempts.iter().skip(before.attempts.len()).map(|a| a.channel);
        let many = |channels: &mut dyn Iterator<Item = Channel>, c| channels.filter(|channel| *channel == c).count();
        new().find(|c| many(&mut new(), *c) > many(&mut self.granted.iter().copied(), *c))
    }
}

impl Engine {
    /// A decision whose new attempts are all counted.
    pub(super) async fn decide_with_permits(
        &self,
        before: &Verification,
        event: &Event,
        rules: &Rules,
        now: Timestamp,
        permits: &mut Permits,
    ) -> Result<Decision, EngineError> {
        loop {
            let decision = if permits.barred.is_empty() {
                decide(before, event, rules, now)
            } else {
                decide(before, event, &Rules { barred: permits.barred.clone(), ..rules.clone() }, now)
            };
            let missing = permits.missing(before, &decision.after).filter(|_| !before.details.is_test);
            let Some(channel) = missing else { return Ok(decision) };
            match self.permit(before, channel, false, None, now).await? {
                Permit::Granted | Permit::Found(_) => permits.granted.push(channel),
                Permit::Refused(scope, retry_after) => permits.barred.push(Barred { channel, scope, retry_after }),
            }
        }
    }

    /// Counts the first attempt of a verification that is about to begin.
    pub(super) async fn permit_to_begin(
        &self,
        v: &Verification,
        unless: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<Permit, EngineError> {
        self.permit(v, first_channel(v), true, unless, now).await
    }

    async fn permit(
        &self,
        v: &Verification,
        channel: Channel,
        is_new: bool,
        unless: Option<NumberKey>,
        now: Timestamp,
    ) -> Result<Permit, EngineError> {
        let mut takes = self.guard.charges(&ProposedAttempt {
            app: &v.app,
            to: &v.to,
            client_ip: v.details.client_ip,
            is_call: channel == Channel::Call,
            is_new,
            price_u: price_u(&v.to, channel),
        });
        loop {
            let (which, wait) = match self.store.increment(&self.counts(&takes), unless, now).await? {
                IncrementOutcome::Added => return Ok(Permit::Granted),
                IncrementOutcome::NumberInUse(id) => return Ok(Permit::Found(id)),
                IncrementOutcome::OverLimit { index: which, wait } => (which, wait),
            };
            let Some(full) = takes.get_mut(which) else { return Ok(Permit::Granted) };
            let (scope, is_relaxed) = (full.scope, self.guard.is_monitor && full.scope.is_relaxed_by_monitor());
            self.limit_reached(scope, v, Some(channel));
            if !is_relaxed {
                return Ok(Permit::Refused(scope, wait));
            }
            full.ignores_limits = true;
        }
    }

    /// Says so, to whoever watches metrics and logs.
    pub(super) fn limit_reached(&self, scope: Scope, v: &Verification, channel: Option<Channel>) {
        let is_only_watched = self.guard.is_monitor && scope.is_relaxed_by_monitor();
        let (scope, channel) = (scope.as_str(), channel.map(Channel::as_str));
        self.metrics.refusal(scope);
        warn!(event = "limit_reached", scope, app = v.app, to = %v.to, channel, is_only_watched);
    }

    /// What a commit gives back to the limits, or takes beside what was expected. Nobody waits for it, and it may be
    /// lost: then a limit is a little narrower or wider for a while.
    pub(super) fn settle_up(&self, before: &Verification, after: &Verification, now: Timestamp) {
        let is_new = before.status != Status::Verified && after.status == Status::Verified;
        let verified = self.guard.credit_of_success(&after.app, &after.to).filter(|_| is_new && !after.details.is_test);
        let spent = self.guard.cost_correction(unexpected_u(before, after));
        let takes: Vec<Charge> = verified.into_iter().chain(spent).collect();
        if takes.is_empty() {
            return;
        }
        let (engine, counts) = (self.clone(), self.counts(&takes));
        let task = async move {
            if let Err(error) = engine.store.increment(&counts, None, now).await {
                debug!(%error, "the limits could not be told");
            }
        };
        self.tasks.spawn_on(task.in_current_span(), &self.runtime);
    }

    /// Numbers and addresses go no further: such a count is known by a keyed hash, and begins anew with another
    /// SECRET_KEY. What is counted of nobody in particular goes on.
    fn counts(&self, takes: &[Charge]) -> Vec<Increment> {
        let count = |take: &Charge| {
            let scope = take.scope.as_str();
            let name = if take.scope.is_personal() {
                let hash = self.keys.sign(&[b"count", scope.as_bytes(), take.subject.as_bytes()]);
                format!("{scope}:{:032x}", u128::from_be_bytes(hash))
            } else {
                format!("{scope}:{}", take.subject)
            };
            Increment {
                counter: name,
                amount: take.amount,
                limits: take.limits.clone(),
                ignores_limits: take.ignores_limits,
            }
        };
        takes.iter().map(count).collect()
    }
}

/// The channel that a verification begins with.
pub(super) fn first_channel(v: &Verification) -> Channel {
    v.attempts.first().map_or(v.mode.first_channel(), |first| first.channel)
}

/// What an attempt is expected to cost, in micro-dollars, until Plivo says what it did.
fn price_u(to: &PhoneNumber, channel: Channel) -> u64 {
    let price_u = match channel {
        Channel::Sms => prices::text_price_u(to.country()),
        Channel::Call => prices::call_price_u(to.country()),
    };
    price_u.into()
}

/// By how much what Plivo has told of costs differs from what was known or expected before.
fn unexpected_u(before: &Verification, after: &Verification) -> i64 {
    let cost = |v: &Verification, a: &Attempt| {
        let cost = if costs_nothing(v, a) { 0 } else { price_u(&v.to, a.channel) };
        i64::try_from(a.facts.cost_u.unwrap_or(cost)).unwrap_or(i64::MAX)
    };
    let known = before.attempts.iter().zip(&after.attempts);
    let costs = known.map(|(b, a)| cost(after, a).saturating_sub(cost(before, b)));
    costs.fold(0, i64::saturating_add)
}

/// Whether it is known that nothing was sent, or that nobody took the call: Plivo refused it, it was given up before
/// Plivo had been asked, or it rang in vain.
fn costs_nothing(v: &Verification, a: &Attempt) -> bool {
    let in_vain = matches!(a.status, AttemptStatus::Busy | AttemptStatus::NoAnswer | AttemptStatus::Rejected);
    let failed_to_ring = a.channel == Channel::Call && a.status == AttemptStatus::Failed && !a.answered;
    let was_dropped = v.status.is_final() && a.status == AttemptStatus::Triggering;
    a.refused.is_some() || was_dropped || (in_vain && !a.assumed) || failed_to_ring
}
