//! Properties over everything that may have been learned.

use proptest::collection::vec;
use proptest::prelude::*;
use strum::IntoEnumIterator;

use super::super::curves::{BUCKETS, Level};
use super::*;

fn any_lesson() -> impl Strategy<Value = Lesson> {
    let curve = prop::sample::select(Curve::iter().collect::<Vec<_>>());
    let test = prop::sample::select(RouteTest::iter().collect::<Vec<_>>());
    prop_oneof![
        2 => Just(Lesson::Started),
        6 => (curve.clone(), 0..=BUCKETS as u8).prop_map(|(curve, to)| Lesson::Survived { curve, from: 0, to }),
        6 => (curve, 0..BUCKETS as u8).prop_map(|(curve, bucket)| Lesson::Happened { curve, bucket }),
        2 => (test, any::<bool>(), 0.0..1.0_f32).prop_map(|(test, hit, p)| Lesson::Tested { test, hit, p, at_s: 7 }),
        1 => (-5.0..5.0_f32, 0.0..99.0_f32).prop_map(|(share, weight)| Lesson::Called { share, weight }),
        1 => Just(Lesson::EarlyCallPlanned),
        1 => any::<u8>().prop_map(|prefix| Lesson::TaughtBy(Teacher { app: APP, prefix, client: 0 })),
        1 => Just(Lesson::DistrustCalled),
    ]
}

fn taught(level: Level, lessons: &[Lesson]) -> RouteStats {
    let mut stats = RouteStats::new(level);
    lessons.iter().for_each(|lesson| stats.apply(*lesson));
    stats
}

fn any_estimates() -> impl Strategy<Value = Estimates> {
    vec(any_lesson(), 0..400).prop_map(|lessons| {
        let [world, country, route] =
            [Level::World, Level::Country, Level::AppRoute].map(|level| Some(taught(level, &lessons)));
        Estimates::new([world.as_ref(), country.as_ref(), None], route.as_ref())
    })
}

fn any_observer() -> impl Strategy<Value = Observer> {
    (any::<bool>(), proptest::option::of(0..90_000_u32), proptest::option::of(0..90_000_u32)).prop_map(
        |(early, reported, resent)| {
            let estimates = Estimates::prior();
            let mut observer = Observer::start(&estimates, Some(if early { 4_000 } else { 20_000 })).0;
            reported.into_iter().for_each(|at| drop(observer.record_delivered(at, &estimates)));
            resent.into_iter().for_each(|at| drop(observer.record_resend(at)));
            observer
        },
    )
}

proptest! {
    #[test]
    fn no_lessons_make_a_plan_infinite_too_early_or_too_late(
        estimates in any_estimates(), observer in any_observer(), age_ms in 0..600_000_u32, price in 0..500_000_u64,
    ) {
        let advice = plan(&estimates, &observer, age_ms, price, &Costs::BALANCED);
        for share in [advice.text, advice.soon, advice.need, advice.no_intent] {
            prop_assert!((-1e-9..=1.0 + 1e-9).contains(&share), "{advice:?}");
        }
        prop_assert!(!advice.call_cost.is_nan() && !advice.wait_cost.is_nan());
        prop_assert!(advice.call_cost.is_finite() || advice.wait_cost.is_finite());
        match call_at(advice) {
            Some(at) => prop_assert!(at >= 8_000 && at >= age_ms),
            None => prop_assert!(observer.reported_ms.is_some()),
        }
        if observer.reported_ms.is_none_or(|at| at > age_ms) {
            prop_assert!(call_at(advice).is_some_and(|at| at <= 120_000.max(age_ms)), "{advice:?}");
        }
    }

    #[test]
    fn a_dearer_call_is_never_placed_earlier(
        estimates in any_estimates(), observer in any_observer(), price in 0..200_000_u64, more in 0..200_000_u64,
    ) {
        let at = |price| call_at(plan(&estimates, &observer, 0, price, &Costs::BALANCED)).unwrap_or(u32::MAX);
        prop_assert!(at(price) <= at(price + more));
    }

    #[test]
    fn the_order_of_lessons_within_one_second_hardly_matters(
        before in vec(any_lesson(), 0..300), (batch, shuffled) in vec(any_lesson(), 0..24).prop_flat_map(|batch| {
            (Just(batch.clone()), Just(batch).prop_shuffle())
        }),
    ) {
        let starts = batch.iter().filter(|lesson| **lesson == Lesson::Started).count();
        prop_assume!(starts <= 4);
        let estimates_after = |batch: &[Lesson]| {
            let mut route = taught(Level::AppRoute, &[&before[..], batch].concat());
            // The fast copy and the CUSUM follow the newest verifications, so only the usual counts are compared.
            route.fast = None;
            Estimates::new([None; 3], Some(&route))
        };
        let (one, other) = (estimates_after(&batch), estimates_after(&shuffled));
        for curve in Curve::iter() {
            for (a, b) in one.hazard(curve).iter().zip(other.hazard(curve)) {
                prop_assert!((a - b).abs() < 0.005, "{a} {b}");
            }
        }
    }

    #[test]
    fn packed_statistics_are_small_and_unpack_unchanged(lessons in vec(any_lesson(), 0..300)) {
        let stats = taught(Level::AppRoute, &lessons);
        let bytes = stats.to_bytes();
        prop_assert!(bytes.len() <= 2048);
        prop_assert_eq!(RouteStats::from_bytes(&bytes), Some(stats));
    }
}
