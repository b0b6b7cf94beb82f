//! What one source of texts can teach: about its own app's route, and about that of other apps.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::life::lessons_of;
use super::super::teacher::{RECENT, UNPROVED_SHARE};
use super::super::{Observation, begin, called, see};
use super::*;

/// One route as several apps see it, taught through the interface.
struct Shared(Vec<(Key, Option<std::sync::Arc<RouteStats>>)>);

impl Shared {
    fn new(apps: &[u32]) -> Self {
        let keys = apps.iter().flat_map(|app| Key::of(*app, COUNTRY, ROUTE));
        let keys: std::collections::BTreeSet<Key> = keys.collect();
        Self(keys.into_iter().map(|key| (key, None)).collect())
    }

    fn insight(&self, teacher: Teacher) -> Insight {
        let keys = Key::of(teacher.app, COUNTRY, ROUTE);
        let of_app = self.0.iter().filter(|(key, _)| keys.contains(key)).cloned();
        Insight::new(of_app.collect(), PRICE, teacher)
    }

    fn learn(&mut self, learned: Insight) {
        for (key, stats) in &mut self.0 {
            if let Some(newer) = learned.find(|of| of == key) {
                *stats = Some(std::sync::Arc::new(newer.clone()));
            }
        }
    }

    /// A text that is reported as delivered at 5 s; its code is entered at this age, or never.
    fn deliver(&mut self, teacher: Teacher, verified_ms: Option<u32>) {
        let mut learned = self.insight(teacher);
        let (mut observer, _) = begin(&mut learned, &Costs::BALANCED);
        see(&mut observer, Observation::Delivered, 5_000, &mut learned);
        match verified_ms {
            Some(at) => see(&mut observer, Observation::Verified, at, &mut learned),
            None => {
                if let Some(at) = self.call_at(teacher).filter(|at| *at < 120_000) {
                    called(&mut observer, false, at, &mut learned, &Costs::BALANCED);
                }
                see(&mut observer, Observation::Expired, 300_000, &mut learned);
            }
        }
        self.learn(learned);
    }

    /// When the app's next person whose text is reported at 5 s is called.
    fn call_at(&self, teacher: Teacher) -> Option<u32> {
        let estimates = self.insight(teacher).estimates();
        call_at(decide(&estimates, &reported(&estimates), 5_000))
    }
}

fn visitor(app: u32, n: u32) -> Teacher {
    Teacher { app, prefix: (n % 251 + 1) as u8, client: (n % 241 + 1) as u8 }
}

#[test]
fn anonymous_visitors_of_one_app_never_change_another_apps_calls() {
    for codes_before in [0, 20, 300] {
        let (mut attacked, mut quiet) = (Shared::new(&[1, 2]), Shared::new(&[1, 2]));
        for n in 0..codes_before {
            for route in [&mut attacked, &mut quiet] {
                route.deliver(visitor(2, n), (n % 20 > 0).then_some(12_000));
            }
        }
        let usual = quiet.call_at(visitor(2, 1_000));
        for n in 0..100 {
            attacked.deliver(visitor(1, 5_000 + n), None);
            let now = attacked.call_at(visitor(2, 1_000));
            let moved = usual.unwrap_or(120_000).abs_diff(now.unwrap_or(120_000));
            assert!(moved <= 2_000, "{usual:?} {now:?} after {n} visitors and {codes_before} codes");
        }
    }
}

#[test]
fn no_prefix_and_no_address_owns_more_than_its_share_of_an_apps_recent_lessons() {
    let same_prefix = |n: u32| Teacher { prefix: 9, ..visitor(1, n) };
    let same_client = |n: u32| Teacher { client: 9, ..visitor(1, n) };
    for attacker in [&same_prefix as &dyn Fn(u32) -> Teacher, &same_client] {
        let mut route = Shared::new(&[1]);
        (100..100 + RECENT as u32).for_each(|n| route.deliver(visitor(1, n), Some(12_000)));
        let starts = |route: &Shared| {
            route.insight(visitor(1, 1)).find(|key| matches!(key, Key::AppRoute(..))).unwrap().starts()
        };
        let before = starts(&route);
        (0..100).for_each(|n| route.deliver(attacker(n), None));
        let taught = starts(&route) - before;
        assert!(taught <= UNPROVED_SHARE as f32 && taught > UNPROVED_SHARE as f32 - 1.0, "{taught}");
    }
    // Where a prefix has the route to itself, it is heard in full: an outage must be noticed.
    let mut route = Shared::new(&[1]);
    (0..40).for_each(|n| route.deliver(same_prefix(n), Some(12_000)));
    let usual = route.call_at(same_prefix(1));
    (0..8).for_each(|n| route.deliver(same_prefix(n), None));
    assert!(route.call_at(same_prefix(1)) < usual || usual.is_none(), "{usual:?} {:?}", route.call_at(same_prefix(1)));
}

#[test]
fn calls_for_distrust_alone_are_capped() {
    let mut route = Shared::new(&[1]);
    (0..200).for_each(|n| route.deliver(visitor(1, n), (n % 30 > 0).then_some(12_000)));
    let (mut early, mut alarms) = (0, 0);
    for n in 0..100 {
        early += u32::from(route.call_at(visitor(1, n)).is_some_and(|at| at < 25_000));
        route.deliver(visitor(1, n), None);
        let insight = route.insight(visitor(1, n));
        let own = insight.find(|key| matches!(key, Key::AppRoute(..)));
        let summary = RouteSummary::new(own, &insight.estimates(), PRICE, &Costs::BALANCED);
        assert_eq!(summary.is_distrust_capped, summary.to_string().contains("Alarm: calls for distrust"), "{summary}");
        alarms += u32::from(summary.is_distrust_capped);
    }
    assert!((5..=25).contains(&early), "{early} of 100 visitors who want nothing were called early");
    assert!(alarms > 0);
}

fn step() -> impl Strategy<Value = (Observation, u32)> {
    let kinds = [
        Observation::Delivered,
        Observation::AskedAgain,
        Observation::CallKnown,
        Observation::Time,
        Observation::Verified,
        Observation::Expired,
    ];
    (prop::sample::select(kinds.to_vec()), 0..90_000_u32)
}

proptest! {
    #[test]
    fn a_whole_life_teaches_the_curves_what_its_steps_do(
        mut steps in vec(step(), 0..6), called_ms in proptest::option::of(0..90_000_u32),
    ) {
        steps.sort_by_key(|(_, at)| *at);
        let mut learned = Steps(Vec::new());
        let (mut observer, _) = begin(&mut learned, &Costs::BALANCED);
        let mut called_ms = called_ms;
        for (observation, at) in steps.into_iter().chain([(Observation::Expired, 300_000)]) {
            if let Some(call) = called_ms.take_if(|call| *call <= at) {
                see(&mut observer, Observation::Time, call, &mut learned);
                called(&mut observer, true, call, &mut learned, &Costs::BALANCED);
            }
            see(&mut observer, observation, at, &mut learned);
        }
        let life = learned.0.iter().find_map(|lesson| if let Lesson::Lived(life) = lesson { Some(*life) } else { None });
        let whole = counts(&lessons_of(&life.expect("it has ended")));
        prop_assert_eq!(whole, counts(&learned.0), "{:?}", life);
    }
}

/// At risk and events, by curve and bucket.
fn counts(lessons: &[Lesson]) -> Vec<u32> {
    let mut counts = vec![0; 4 * 29 * 2];
    for lesson in lessons {
        match lesson {
            Lesson::Survived { curve, from, to } => {
                (*from..*to).for_each(|bucket| counts[*curve as usize * 58 + usize::from(bucket)] += 1);
            }
            Lesson::Happened { curve, bucket } => {
                counts[*curve as usize * 58 + usize::from(*bucket)] += 1;
                counts[*curve as usize * 58 + 29 + usize::from(*bucket)] += 1;
            }
            _ => {}
        }
    }
    counts
}

/// Records lessons on a route that nothing is known of.
struct Steps(Vec<Lesson>);

impl RouteKnowledge for Steps {
    fn estimates(&self) -> Estimates {
        Estimates::prior()
    }

    fn call_price_u(&self) -> u64 {
        PRICE
    }

    fn teacher(&self) -> Teacher {
        Teacher::default()
    }

    fn learn(&mut self, lessons: &[Lesson]) {
        self.0.extend(lessons);
    }
}
