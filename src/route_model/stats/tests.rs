//! How counts fade, how doubt moves, and how statistics are packed.

use strum::IntoEnumIterator;

use super::*;
use crate::route_model::Curve;

const VERIFIED: Lesson = Lesson::Happened { curve: Curve::Verified, bucket: 5 };

fn missed(p: f32) -> Lesson {
    Lesson::Tested { test: RouteTest::FirstEvent, hit: false, p }
}

#[test]
fn a_count_halves_after_the_number_of_starts_of_its_level() {
    for (level, half) in [(Level::World, 3000), (Level::Country, 600), (Level::Route, 400)] {
        let mut stats = RouteStats::new(level);
        stats.apply(VERIFIED);
        (0..half).for_each(|_| stats.apply(Lesson::Started));
        assert!((stats.slow.e[0][5] - 0.5).abs() < 0.002, "{level:?}: {}", stats.slow.e[0][5]);
    }
}

#[test]
fn the_fast_copy_halves_after_six_starts_and_only_routes_have_one() {
    let mut route = RouteStats::new(Level::Route);
    route.apply(VERIFIED);
    (0..6).for_each(|_| route.apply(Lesson::Started));
    assert!((route.fast.unwrap().e[0][5] - 0.5).abs() < 0.001);
    assert_eq!(RouteStats::new(Level::Country).fast, None);
}

#[test]
fn a_few_misses_raise_doubt_and_a_few_hits_lower_it() {
    let mut route = RouteStats::new(Level::Route);
    assert!(route.doubt(RouteTest::FirstEvent) < 0.05);
    (0..6).for_each(|_| route.apply(missed(0.76)));
    assert!(route.doubt(RouteTest::FirstEvent) > 0.8);
    (0..100).for_each(|_| route.apply(missed(0.76)));
    (0..10).for_each(|_| route.apply(Lesson::Tested { test: RouteTest::FirstEvent, hit: true, p: 0.76 }));
    assert!(route.doubt(RouteTest::FirstEvent) < 0.1);
    assert!(route.doubt(RouteTest::Conversion) < 0.05);
}

#[test]
fn as_many_misses_as_expected_raise_no_doubt() {
    let mut route = RouteStats::new(Level::Route);
    let mut worst = 0.0_f64;
    for i in 0..1000 {
        route.apply(Lesson::Tested { test: RouteTest::Conversion, hit: i % 4 != 0, p: 0.75 });
        worst = worst.max(route.doubt(RouteTest::Conversion));
    }
    assert!(worst < 0.1, "{worst}");
}

#[test]
fn packed_statistics_fit_in_two_kilobytes_and_unpack_unchanged() {
    for level in Level::iter() {
        let mut stats = RouteStats::new(level);
        for i in 0..50 {
            stats.apply(Lesson::Started);
            stats.apply(Lesson::Survived { curve: Curve::Delivered, from: 0, to: i % 29 });
            stats.apply(Lesson::Happened { curve: Curve::VerifiedAfterDelivered, bucket: i % 29 });
            stats.apply(Lesson::Called { share: 0.5, weight: 3.0 });
            stats.apply(Lesson::EarlyCallPlanned);
            stats.apply(missed(0.6));
        }
        let bytes = stats.to_bytes();
        assert!(bytes.len() <= 2048, "{}", bytes.len());
        assert_eq!(RouteStats::from_bytes(&bytes), Some(stats));
    }
}

#[test]
fn bytes_of_another_version_length_or_with_nan_are_rejected() {
    let good = RouteStats::new(Level::Route).to_bytes();
    let mut other_version = good.clone();
    other_version[0] += 1;
    let mut not_a_number = good.clone();
    not_a_number[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    for bytes in [&[][..], &good[..7], &good[1..], &other_version, &not_a_number] {
        assert_eq!(RouteStats::from_bytes(bytes), None);
    }
}

#[test]
fn a_malformed_lesson_changes_nothing() {
    let mut stats = RouteStats::new(Level::Route);
    for lesson in [
        Lesson::Happened { curve: Curve::Verified, bucket: 29 },
        Lesson::Survived { curve: Curve::Verified, from: 200, to: 100 },
        Lesson::Called { share: f32::NAN, weight: 1.0 },
        missed(f32::NAN),
    ] {
        stats.apply(lesson);
    }
    assert_eq!(stats, RouteStats::new(Level::Route));
}
