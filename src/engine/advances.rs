//! [`Advances`]: amounts that this replica has counted before it needs them.
//!
//! The counters of an app, a country, all apps and the budgets change with every attempt. Where a limit is wide and attempts
//! are many, an attempt counts some of the next ones too, and these add nothing. An advance is counted like any other amount,
//! so no limit is ever exceeded. It covers attempts of the same step of the window. The rest of it is lost when the step ends:
//! no more than the replica has used in that step, and no more than [`PART_OF_LIMIT`] allows.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::guard::{Charge, Scope};
use crate::store::CommitOutcome;
use crate::time::Timestamp;
use crate::verification::Channel;

/// A replica loses at most the limit divided by this in each window.
const PART_OF_LIMIT: u64 = 1_000;

/// What the new attempts of a decision count.
#[derive(Default)]
pub(super) struct Charges {
    /// What their commit counts.
    pub(super) counted: Vec<Counted>,
    /// Charges that advances cover: the commit does not count them.
    covered: Vec<Counted>,
}

/// A charge and its channel.
pub(super) struct Counted {
    pub(super) channel: Channel,
    pub(super) charge: Charge,
    /// Amount that the commit counts for later attempts.
    pub(super) advance: i64,
}

impl Charges {
    /// Whether the commit counts an advance in the counter of the charge at this place.
    pub(super) fn has_advance(&self, index: usize) -> bool {
        self.counted.iter().any(|counted| counted.advance > 0 && self.is_same_counter(counted, index))
    }

    fn is_same_counter(&self, counted: &Counted, index: usize) -> bool {
        let Charge { scope, subject, .. } = &counted.charge;
        self.counted.get(index).is_some_and(|other| other.charge.scope == *scope && other.charge.subject == *subject)
    }
}

/// The advances of this replica, by scope and subject: no more than there are apps and countries.
#[derive(Default)]
pub(super) struct Advances(Mutex<BySubject>);

type BySubject = HashMap<Scope, HashMap<String, Advance>>;

struct Advance {
    /// When the step ends in which it was counted.
    until: Timestamp,
    left: i64,
    /// How much the next advance is, if the limit is wide enough.
    next: i64,
    /// Whether a commit is counting an advance. Other attempts count for themselves meanwhile.
    is_under_way: bool,
}

impl Advances {
    /// Takes charges from advances. A charge that no advance covers may count a new one.
    pub(super) fn cover(&self, charges: Vec<(Channel, Charge)>, now: Timestamp) -> Charges {
        let mut known = self.known();
        let (mut counted, mut covered) = (Vec::with_capacity(charges.len()), Vec::with_capacity(charges.len()));
        for (channel, charge) in charges {
            match cover(&mut known, &charge, now) {
                None => covered.push(Counted { channel, charge, advance: 0 }),
                Some(advance) => counted.push(Counted { channel, charge, advance }),
            }
        }
        Charges { counted, covered }
    }

    /// Ends the commit of these charges, which were covered at `now`. Without an outcome it is not known whether they were
    /// counted.
    pub(super) fn settle(&self, charges: &Charges, outcome: Option<&CommitOutcome>, now: Timestamp) {
        if charges.counted.is_empty() && charges.covered.is_empty() {
            return;
        }
        let mut known = self.known();
        let mut change = |Counted { charge, .. }: &Counted, change: &dyn Fn(&mut Advance)| {
            let advance = known.get_mut(&charge.scope).and_then(|of_scope| of_scope.get_mut(&charge.subject));
            // Another step may have begun meanwhile.
            advance.into_iter().filter(|advance| advance.until == step_ends(charge, now)).for_each(change);
        };
        for counted in charges.counted.iter().filter(|counted| counted.advance > 0) {
            change(counted, &|advance| {
                advance.is_under_way = false;
                match outcome {
                    Some(CommitOutcome::Committed) => {
                        advance.left += counted.advance;
                        advance.next = counted.advance.saturating_mul(2);
                    }
                    // There is little room, or an advance may be lost: until the step ends, attempts count for themselves.
                    Some(CommitOutcome::OverLimit { index, .. }) if charges.is_same_counter(counted, *index) => {
                        advance.next = 0;
                    }
                    None => advance.next = 0,
                    Some(_) => {}
                }
            });
        }
        if outcome.is_some_and(|outcome| *outcome != CommitOutcome::Committed) {
            for covered in &charges.covered {
                change(covered, &|advance| advance.left += covered.charge.amount);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BySubject> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The advance that a charge is to count, or `None` if one covers it.
fn cover(known: &mut BySubject, charge: &Charge, now: Timestamp) -> Option<i64> {
    if charge.scope.is_personal() || charge.amount <= 0 {
        return Some(0);
    }
    let (of_scope, until) = (known.entry(charge.scope).or_default(), step_ends(charge, now));
    let Some(advance) = of_scope.get_mut(&charge.subject).filter(|advance| advance.until == until) else {
        // The first attempt of a step counts for itself, so that few attempts lose nothing.
        let first = Advance { until, left: 0, next: charge.amount, is_under_way: false };
        of_scope.insert(charge.subject.clone(), first);
        return Some(0);
    };
    if advance.left >= charge.amount {
        advance.left -= charge.amount;
        return None;
    }
    let size = advance.next.min(largest(charge));
    if advance.is_under_way || charge.ignores_limits || size < charge.amount {
        return Some(0);
    }
    advance.is_under_way = true;
    Some(size)
}

/// When the first of the windows begins another step.
fn step_ends(charge: &Charge, now: Timestamp) -> Timestamp {
    let ends = charge.limits.0.iter().map(|limit| (limit.step(now) + 1).saturating_mul(limit.step_ms()));
    Timestamp::from_millis(ends.min().and_then(|at| i64::try_from(at).ok()).unwrap_or_default())
}

/// The largest advance. An advance is lost with each step that ends, of any window, so it is the smaller the more steps end
/// within the window of a limit.
fn largest(charge: &Charge) -> i64 {
    let limits = &charge.limits.0;
    let sizes = limits.iter().map(|limit| {
        let window_ms = u64::try_from(limit.window.as_millis()).unwrap_or(u64::MAX);
        let ends: u64 = limits.iter().map(|other| window_ms.div_ceil(other.step_ms())).sum();
        limit.max / (PART_OF_LIMIT * ends)
    });
    sizes.min().and_then(|size| i64::try_from(size).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
    const STEP: Duration = Duration::from_secs(30);

    fn charge(scope: Scope, limits: &str) -> Charge {
        Charge { scope, subject: "shop".into(), amount: 1, limits: limits.parse().unwrap(), ignores_limits: false }
    }

    /// Settles attempts one after the other, and returns what each counts.
    fn counted(
        advances: &Advances,
        charge: &Charge,
        attempts: usize,
        outcome: &CommitOutcome,
        now: Timestamp,
    ) -> Vec<i64> {
        let each = (0..attempts).map(|_| {
            let charges = advances.cover(vec![(Channel::Sms, charge.clone())], now);
            advances.settle(&charges, Some(outcome), now);
            charges.counted.iter().map(|counted| counted.charge.amount + counted.advance).sum()
        });
        each.collect()
    }

    #[test]
    fn advances_double_and_never_count_too_little() {
        let advances = Advances::default();
        let wide = charge(Scope::App, "1000000/10m");
        let of_each = counted(&advances, &wide, 16, &CommitOutcome::Committed, NOW);
        assert_eq!(of_each, [1, 2, 0, 3, 0, 0, 5, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
        for attempts in 1..of_each.len() {
            assert!(of_each[..attempts].iter().sum::<i64>() >= attempts as i64, "{attempts}");
        }
        let next_step = counted(&advances, &wide, 3, &CommitOutcome::Committed, NOW + STEP);
        assert_eq!(next_step, [1, 2, 0], "an advance ends with its step");
    }

    #[test]
    fn an_advance_is_a_small_part_of_the_limit() {
        let all =
            |limits| counted(&Advances::default(), &charge(Scope::App, limits), 40, &CommitOutcome::Committed, NOW);
        assert_eq!(all("39999/10m").iter().max(), Some(&2));
        assert_eq!(all("19999/10m"), [1; 40]);
        assert_eq!(all("1000000/10m,19999/1d"), [1; 40], "the narrowest of several limits decides");
        // In the day 2,900 steps end, those of the ten minutes and its own.
        assert_eq!(all("1000000/10m,5799999/1d").iter().max(), Some(&2));
        assert_eq!(all("1000000/10m,2899999/1d"), [1; 40]);
    }

    #[test]
    fn what_concerns_a_person_is_counted_one_by_one() {
        for scope in [Scope::Number, Scope::Ip, Scope::Prefix, Scope::Unverified] {
            let each = counted(&Advances::default(), &charge(scope, "1000000/10m"), 9, &CommitOutcome::Committed, NOW);
            assert_eq!(each, [1; 9], "{scope:?}");
        }
    }

    #[test]
    fn a_refused_attempt_gives_back_what_covered_it() {
        let (advances, wide) = (Advances::default(), charge(Scope::App, "1000000/10m"));
        counted(&advances, &wide, 2, &CommitOutcome::Committed, NOW);
        let refused = counted(&advances, &wide, 5, &CommitOutcome::LinksUnavailable, NOW);
        assert_eq!(refused, [0; 5]);
        assert_eq!(counted(&advances, &wide, 2, &CommitOutcome::Committed, NOW), [0, 3]);
    }

    #[test]
    fn at_the_limit_each_attempt_counts_for_itself() {
        let (advances, wide) = (Advances::default(), charge(Scope::App, "1000000/10m"));
        counted(&advances, &wide, 1, &CommitOutcome::Committed, NOW);
        let over = CommitOutcome::OverLimit { index: 0, wait: STEP };
        assert_eq!(counted(&advances, &wide, 1, &over, NOW), [2]);
        assert_eq!(counted(&advances, &wide, 9, &CommitOutcome::Committed, NOW), [1; 9]);
    }

    #[test]
    fn one_commit_at_a_time_counts_an_advance() {
        let (advances, wide) = (Advances::default(), charge(Scope::App, "1000000/10m"));
        counted(&advances, &wide, 1, &CommitOutcome::Committed, NOW);
        let cover = || advances.cover(vec![(Channel::Sms, wide.clone())], NOW);
        let (first, second) = (cover(), cover());
        assert!(first.has_advance(0) && !second.has_advance(0));
        advances.settle(&first, None, NOW);
        assert!(!cover().has_advance(0), "a commit whose outcome is lost may have counted one");
    }

    #[test]
    fn an_advance_covers_nothing_of_another_step() {
        let (advances, wide) = (Advances::default(), charge(Scope::App, "1000000/10m"));
        counted(&advances, &wide, 1, &CommitOutcome::Committed, NOW);
        let cover = |now| advances.cover(vec![(Channel::Sms, wide.clone())], now);
        let slow = cover(NOW);
        assert!(slow.has_advance(0));
        counted(&advances, &wide, 1, &CommitOutcome::Committed, NOW + STEP);
        advances.settle(&slow, Some(&CommitOutcome::Committed), NOW);
        assert_eq!(counted(&advances, &wide, 2, &CommitOutcome::Committed, NOW + STEP), [2, 0]);
        assert_eq!(counted(&advances, &wide, 1, &CommitOutcome::Committed, NOW), [1], "nor if the clock steps back");
    }

    #[test]
    fn two_attempts_of_one_commit_share_a_counter() {
        let (advances, wide) = (Advances::default(), charge(Scope::App, "1000000/10m"));
        counted(&advances, &wide, 1, &CommitOutcome::Committed, NOW);
        let twice = || vec![(Channel::Sms, wide.clone()), (Channel::Call, wide.clone())];
        let charges = advances.cover(twice(), NOW);
        assert!(charges.has_advance(0) && charges.has_advance(1), "the refusal of either may be due to the advance");
        advances.settle(&charges, Some(&CommitOutcome::OverLimit { index: 1, wait: STEP }), NOW);
        assert!(!advances.cover(twice(), NOW).has_advance(0));
    }

    #[test]
    fn two_replicas_use_a_limit_up_and_never_exceed_it() {
        const LIMIT: i64 = 200_000;
        let (replicas, wide) = ([Advances::default(), Advances::default()], charge(Scope::App, "200000/10m"));
        let (mut held, mut allowed) = (0, 0);
        for attempt in 0..usize::try_from(LIMIT).unwrap() + 100 {
            let advances = &replicas[attempt % 2];
            loop {
                let charges = advances.cover(vec![(Channel::Sms, wide.clone())], NOW);
                let amount: i64 = charges.counted.iter().map(|counted| counted.charge.amount + counted.advance).sum();
                if held + amount <= LIMIT {
                    (held, allowed) = (held + amount, allowed + 1);
                    advances.settle(&charges, Some(&CommitOutcome::Committed), NOW);
                    break;
                }
                advances.settle(&charges, Some(&CommitOutcome::OverLimit { index: 0, wait: STEP }), NOW);
                if !charges.has_advance(0) {
                    break;
                }
            }
            assert!(allowed <= held, "attempt {attempt} is not counted");
        }
        assert_eq!((held, allowed), (LIMIT, LIMIT));
    }
}
