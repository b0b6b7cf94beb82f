use super::*;
use crate::pacing::backlog::NEW;
use crate::verification::{AttemptIndex, AttemptRef, VerificationId};

/// When no verification of these tests is young any more.
const LATER: Timestamp = Timestamp::from_millis(1_000_000);

fn parked(n: u8) -> Parked {
    let attempt = AttemptRef { id: VerificationId::new(n, n.into()), attempt: AttemptIndex::FIRST };
    Parked { created_at: Timestamp::from_millis(n.into()), attempt }
}

fn local() -> Local {
    Local::new("300/5s".parse().unwrap())
}

#[test]
fn the_oldest_parked_request_goes_first() {
    let (mut local, now) = (local(), Instant::now());
    for n in [3, 1, 2] {
        local.backlog.park(parked(n));
    }
    let ask = local.ask(now, LATER);
    assert_eq!(ask.owed, 3);
    assert_eq!(local.granted(&ask, Grant { owed: 2, ..Grant::default() }, now, LATER), [parked(1), parked(2)]);
    assert!(matches!(local.admit_owed(parked(1), now), Waiting::Over(Admission::Now)));
    let again = local.admit_owed(parked(1), now);
    assert!(matches!(again, Waiting::Over(Admission::Later(Duration::ZERO))), "an admission counts once");
}

#[test]
fn a_new_verification_and_a_young_one_go_before_the_oldest() {
    let (mut local, now) = (local(), Instant::now());
    let at = Timestamp::from_millis(2) + NEW;
    for n in [1, 4, 2, 3] {
        local.backlog.park(parked(n));
    }
    let ask = local.ask(now, at);
    assert_eq!((ask.watched, ask.owed), (2, 2), "two are older");
    let grant = Grant { watched: 1, owed: 2, ..Grant::default() };
    assert_eq!(local.granted(&ask, grant, now, at), [parked(3), parked(4), parked(2)], "the newest of the young");
}

#[test]
fn a_parked_request_is_counted_once_though_a_person_watches_it() {
    let (mut local, now) = (local(), Instant::now());
    local.credit = 0;
    local.backlog.park(parked(1));
    let ask = local.ask(now, LATER);
    assert_eq!(local.granted(&ask, Grant { owed: 1, ..Grant::default() }, now, LATER), [parked(1)]);
    assert!(matches!(local.admit_watched(parked(1), 100.0, now), Waiting::Over(Admission::Now)));
    assert_eq!(local.ask(now, LATER).spent, 0);
}

#[test]
fn an_admission_is_passed_on_if_another_replica_has_made_the_request() {
    let (mut local, now) = (local(), Instant::now());
    (1..=3).for_each(|n| local.backlog.park(parked(n)));
    let ask = local.ask(now, LATER);
    assert_eq!(local.granted(&ask, Grant { owed: 1, ..Grant::default() }, now, LATER), [parked(1)]);
    assert_eq!(local.pass_on(parked(1)), Some(parked(2)));
    assert_eq!(local.pass_on(parked(1)), None, "it is passed on once");
    assert_eq!(local.pass_on(parked(2)), Some(parked(3)));
    assert_eq!((local.pass_on(parked(3)), local.credit), (None, 1));
}

#[test]
fn a_new_verification_spends_credit_and_the_next_exchange_counts_it() {
    let (mut local, now) = (local(), Instant::now());
    let is_now = |waiting| matches!(waiting, Waiting::Over(Admission::Now));
    let spent = (0..9).filter(|n| is_now(local.admit_watched(parked(*n), 100.0, now))).count();
    assert_eq!(spent, 3, "a hundredth of the rate before the first exchange");
    assert_eq!(local.next_exchange(now), Some(Duration::ZERO));
    let ask = local.ask(now, LATER);
    assert_eq!((ask.spent, ask.watched), (3, 0), "the others have gone away");
    assert!(local.granted(&ask, Grant { free: 200, ..Grant::default() }, now, LATER).is_empty());
    assert_eq!(local.credit, 10);
}

#[test]
fn a_failed_exchange_forgets_nothing() {
    let (mut local, now) = (local(), Instant::now());
    assert!(local.spend(now));
    local.refused = Some(None);
    let ask = local.ask(now, LATER);
    local.not_exchanged(&ask, now);
    assert_eq!(local.ask(now, LATER), ask);
}

#[test]
fn during_a_hold_one_parked_request_at_a_time_is_tried_and_an_answer_frees_all() {
    let (mut local, now) = (local(), Instant::now());
    local.backlog.park(parked(1));
    local.hold(parked(2), now + Duration::from_secs(3));
    local.backlog.note_failed(parked(3));
    assert_eq!(local.ask(now, LATER).owed, 0);
    let later = now + Duration::from_secs(3);
    assert_eq!(local.next_exchange(now), Some(Duration::from_secs(3)));
    assert_eq!(local.ask(later, LATER).owed, 1);
    assert!(local.release());
    assert_eq!(local.ask(later, LATER).owed, 3);
}

#[test]
fn an_exchange_that_is_planned_is_not_asked_for_again() {
    let (mut local, now) = (local(), Instant::now());
    assert_eq!((local.plan_exchange(now), local.is_exchange_sooner(now)), (None, false));
    let spend =
        |local: &mut Local| assert!(matches!(local.admit_watched(parked(1), 1.0, now), Waiting::Over(Admission::Now)));
    spend(&mut local);
    assert!(local.is_exchange_sooner(now), "what is spent is reported");
    let ask = local.ask(now, LATER);
    local.granted(&ask, Grant { free: 200, ..Grant::default() }, now, LATER);
    spend(&mut local);
    assert_eq!(local.plan_exchange(now), Some(REPORT_EVERY));
    spend(&mut local);
    assert!(!local.is_exchange_sooner(now));
    local.refuse(None);
    assert!(local.is_exchange_sooner(now), "a 429 is told at once");
}
