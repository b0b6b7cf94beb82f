//! How often the learner writes, in virtual time.

mod recording_store;
mod replica;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::recording_store::RecordingStore;
use self::replica::{CODE, Replica, delivered};
use super::*;
use crate::verification::{Code, Event};

const ROUTE: u32 = 310_150;

/// Number of verifications in the stored statistics of the route.
async fn stored(store: &RecordingStore) -> f32 {
    let bytes =
        store.memory.values(&[value_name(Key::AppRoute(app_hash("app"), ROUTE))]).await.unwrap().pop().flatten();
    decode(Key::AppRoute(app_hash("app"), ROUTE), bytes.as_deref()).starts()
}

#[tokio::test]
async fn rare_verifications_cost_at_most_one_write_each_and_are_shared_soon() {
    for gap_s in [0, 8, 50, 900] {
        let store = Arc::new(RecordingStore::default());
        let mut replica = Replica::new(&store);
        let mut behind = 0.0_f32;
        for n in 0..30 {
            replica.verify(n).await;
            replica.pass(Duration::from_secs(gap_s.max(2))).await;
            let writes = store.writes().len();
            assert!(writes <= replica.ended, "{writes} for {} every {gap_s} s", replica.ended);
            behind = behind.max(replica.ended as f32 - stored(&store).await);
        }
        // At most the newest two are unwritten; the rest is fading.
        assert!(behind < 3.5, "{behind} every {gap_s} s");
        let writes = store.writes();
        for wanted in ["w", "c:US", INDEX] {
            assert!(writes.iter().any(|name| name == wanted), "{wanted} every {gap_s} s: {writes:?}");
        }
        assert!(writes.iter().any(|name| name.starts_with("p:")), "{writes:?}");
    }
}

/// Each route is long overdue when its verification ends, and there are more of them than writes.
#[tokio::test]
async fn slow_routes_leave_one_write_in_four_to_shared_memos() {
    for (seconds, gap_s, routes) in [(10, 60, 1), (10, 20, 12), (150, 60, 1), (150, 60, 12)] {
        let store = Arc::new(RecordingStore::default());
        let mut replica = Replica::new(&store);
        for n in 0..60 {
            replica.verify_in(n, seconds, ROUTE + n % routes).await;
            replica.pass(Duration::from_secs(gap_s)).await;
        }
        let writes = store.writes();
        assert!(writes.len() <= replica.ended, "{} for {}", writes.len(), replica.ended);
        let known = (0..routes).map(|route| value_name(Key::AppRoute(app_hash("app"), ROUTE + route)));
        for wanted in known.chain(["w", "c:US", INDEX].map(str::to_owned)) {
            let times = writes.iter().filter(|name| **name == wanted).count();
            assert!(times >= 1, "{wanted}, {seconds} s, every {gap_s} s, {routes} routes: {writes:?}");
        }
        assert!(writes.iter().any(|name| name.starts_with("p:")), "{writes:?}");
    }
}

#[tokio::test]
async fn a_busy_route_is_written_at_most_once_a_second() {
    let store = Arc::new(RecordingStore::default());
    let mut replica = Replica::new(&store);
    let mut open = Vec::new();
    for n in 0..400 {
        open.push(replica.begin(n).await);
        replica.pass(Duration::from_millis(5)).await;
    }
    for event in [delivered(), Event::CodeSubmitted(Code::parse(CODE).unwrap())] {
        for v in std::mem::take(&mut open) {
            open.push(replica.apply(v, &event).await);
            replica.pass(Duration::from_millis(5)).await;
        }
    }
    replica.pass(Duration::from_secs(2)).await;
    let writes = store.writes();
    assert!(writes.len() <= replica.ended, "{} for {}", writes.len(), replica.ended);
    for wanted in ["w".to_owned(), "c:US".to_owned(), value_name(Key::AppRoute(app_hash("app"), ROUTE))] {
        let times = writes.iter().filter(|name| **name == wanted).count();
        assert!((1..=8).contains(&times), "{wanted}: {times} writes in 8 s");
    }
    let (all, there) = (replica.learner.all_stats().await.unwrap(), stored(&store).await);
    let known =
        all.iter().find(|(key, ..)| *key == Key::AppRoute(app_hash("app"), ROUTE)).map(|(.., stats)| stats.starts());
    assert_eq!(Some(there), known, "nothing is pending");
}

#[tokio::test]
async fn replicas_that_race_stay_in_budget_and_lose_no_lesson() {
    let store = Arc::new(RecordingStore::default());
    let mut replicas = [Replica::new(&store), Replica::new(&store)];
    for n in 0..20 {
        for (r, replica) in (0..).zip(&mut replicas) {
            replica.verify(2 * n + r).await;
            replica.pass(Duration::from_secs(3)).await;
        }
        let ended: usize = replicas.iter().map(|replica| replica.ended).sum();
        assert!(store.writes().len() <= ended, "{} for {ended}", store.writes().len());
    }
    for replica in &replicas {
        replica.learner.flush_at(true, replica.now).await.unwrap();
    }
    let there = stored(&store).await;
    assert!((38.0..=40.0).contains(&there), "{there}");
}

#[tokio::test]
async fn a_slow_read_does_not_replace_what_was_written_meanwhile() {
    let store = Arc::new(RecordingStore::with_delay(Duration::from_millis(10)));
    let mut replica = Replica::new(&store);
    let first = replica.begin(1).await;
    replica.verify(2).await;
    replica.learner.flush_at(true, Instant::now()).await.unwrap();
    replica.verify(3).await;
    replica.learner.state().cached.values_mut().for_each(|cached| cached.read_at = None);
    let flush_started = Instant::now();
    let read = replica.learner.insight(Teacher::default(), first.to.country(), None);
    let (_, flushed) = tokio::join!(read, replica.learner.flush_at(true, flush_started));
    flushed.unwrap();
    let known = replica.learner.state().cached[&Key::World].stats.as_deref().map(RouteStats::starts);
    assert!(known.is_some_and(|starts| starts > 1.5), "{known:?}");
}

#[tokio::test]
async fn a_list_that_meets_a_write_counts_each_lesson_once() {
    let delay = Duration::from_millis(10);
    let between_read_and_answer = (RecordingStore::with_delay(delay), Duration::ZERO);
    let before_the_answer_to_the_write = (RecordingStore::with_write_delay(delay), delay / 2);
    for (store, pause) in [between_read_and_answer, before_the_answer_to_the_write] {
        let mut replica = Replica::new(&Arc::new(store));
        replica.verify(1).await;
        replica.learner.flush_at(true, Instant::now()).await.unwrap();
        replica.verify(2).await;
        let list = async {
            tokio::time::sleep(pause).await;
            replica.learner.all_stats().await.unwrap()
        };
        let (listed, flushed) = tokio::join!(list, replica.learner.flush_at(true, Instant::now()));
        flushed.unwrap();
        assert_eq!(listed, replica.learner.all_stats().await.unwrap());
    }
}

#[tokio::test]
async fn open_verifications_grant_no_write_until_the_final_flush() {
    let store = Arc::new(RecordingStore::default());
    let mut replica = Replica::new(&store);
    let v = replica.begin(1).await;
    replica.apply(v, &delivered()).await;
    replica.pass(Duration::from_secs(60)).await;
    assert_eq!(store.writes(), Vec::<String>::new());
    replica.learner.flush_at(true, replica.now).await.unwrap();
    assert_eq!(store.writes().len(), 3, "the app's route, the prefix, the index: {:?}", store.writes());
    assert!(stored(&store).await > 0.9);
}

#[tokio::test]
async fn no_memo_of_statistics_exceeds_two_kilobytes() {
    let store = Arc::new(RecordingStore::default());
    let mut replica = Replica::new(&store);
    for n in 0..300 {
        replica.verify(n).await;
    }
    replica.learner.flush_at(true, replica.now).await.unwrap();
    let names =
        [Key::World, Key::Country(*b"US"), Key::Route(ROUTE), Key::AppRoute(app_hash("app"), ROUTE)].map(value_name);
    for (name, value) in names.iter().zip(store.memory.values(&names).await.unwrap()) {
        assert!((1..=2048).contains(&value.unwrap().len()), "{name}");
    }
}

#[tokio::test]
async fn the_call_for_distrust_that_reaches_the_cap_raises_the_alarm_once() {
    let mut replica = Replica::new(&Arc::new(RecordingStore::default()));
    let v = replica.begin(1).await;
    let v = replica.apply(v, &delivered()).await;
    let learn = |calls: usize| replica.learner.learn(Some(&v), &v, &vec![Lesson::DistrustCalled; calls]);
    assert_eq!([learn(7), learn(1), learn(1)], [false, true, false]);
}

#[tokio::test]
async fn what_was_learned_is_forgotten_and_can_be_learned_again() {
    let store = Arc::new(RecordingStore::default());
    let mut replica = Replica::new(&store);
    for n in 0..5 {
        replica.verify(n).await;
        replica.pass(Duration::from_secs(60)).await;
    }
    assert!(stored(&store).await > 3.0 && replica.learner.all_stats().await.unwrap().len() > 2);
    replica.learner.forget().await.unwrap();
    assert_eq!((stored(&store).await, replica.learner.all_stats().await.unwrap().len()), (0.0, 0));
    let fresh = Replica::new(&store);
    assert_eq!(fresh.learner.all_stats().await.unwrap().len(), 0, "other replicas read nothing either");
    replica.verify(9).await;
    replica.pass(Duration::from_secs(60)).await;
    assert!(stored(&store).await > 0.5);
}
