//! How counts fade, how doubt moves, and how statistics are packed.

use strum::IntoEnumIterator;

use super::*;
use crate::route_model::{Curve, Teacher};

const VERIFIED: Lesson = Lesson::Happened { curve: Curve::Verified, bucket: 5 };

fn missed(p: f32) -> Lesson {
    Lesson::Tested { test: RouteTest::FirstEvent, hit: false, p, at_s: 0 }
}

#[test]
fn a_count_halves_after_the_number_of_starts_of_its_level() {
    // Entered in bucket 5, and in a later one.
    let life = |ended_ms| Lesson::Lived(Life { ended_ms, is_verified: true, ..Life::default() });
    let shared = [life(11_000), life(200_000)];
    for (level, half, [first, then]) in [
        (Level::World, 3000, shared),
        (Level::Country, 600, shared),
        (Level::Route, 400, shared),
        (Level::AppRoute, 400, [VERIFIED, Lesson::Started]),
    ] {
        let mut stats = RouteStats::new(level);
        stats.apply(first);
        (0..half).for_each(|_| stats.apply(then));
        assert!((stats.slow.e[0][5] - 0.5).abs() < 0.002, "{level:?}: {}", stats.slow.e[0][5]);
    }
}

#[test]
fn the_fast_copy_halves_after_six_starts_and_only_an_app_has_one() {
    let mut route = RouteStats::new(Level::AppRoute);
    route.apply(VERIFIED);
    (0..6).for_each(|_| route.apply(Lesson::Started));
    assert!((route.fast.unwrap().e[0][5] - 0.5).abs() < 0.001);
    assert_eq!(RouteStats::new(Level::Country).fast, None);
}

#[test]
fn a_few_misses_raise_doubt_and_a_few_hits_lower_it() {
    let mut route = RouteStats::new(Level::AppRoute);
    assert!(route.doubt(RouteTest::FirstEvent) < 0.05);
    (0..6).for_each(|_| route.apply(missed(0.76)));
    assert!(route.doubt(RouteTest::FirstEvent) > 0.8);
    (0..100).for_each(|_| route.apply(missed(0.76)));
    (0..10).for_each(|_| route.apply(Lesson::Tested { test: RouteTest::FirstEvent, hit: true, p: 0.76, at_s: 0 }));
    assert!(route.doubt(RouteTest::FirstEvent) < 0.1);
    assert!(route.doubt(RouteTest::Conversion) < 0.05);
}

#[test]
fn as_many_misses_as_expected_raise_no_doubt() {
    let mut route = RouteStats::new(Level::AppRoute);
    let mut worst = 0.0_f64;
    for i in 0..1000 {
        route.apply(Lesson::Tested { test: RouteTest::Conversion, hit: i % 4 != 0, p: 0.75, at_s: 0 });
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
            let teacher = Teacher { app: 3, prefix: i + 1, client: 200 - i };
            stats.apply(Lesson::TaughtBy(teacher));
            stats.apply(Lesson::Lived(Life { teacher, ended_ms: 9_000, is_verified: i % 4 > 0, ..Life::default() }));
            if i % 3 == 0 {
                stats.apply(Lesson::Proved(teacher));
                stats.apply(Lesson::DistrustCalled);
            }
        }
        let bytes = stats.to_bytes();
        assert!(bytes.len() <= 2048, "{}", bytes.len());
        assert_eq!(RouteStats::from_bytes(&bytes), Some(stats));
    }
}

#[test]
fn bytes_of_another_version_length_or_with_nan_are_rejected() {
    let good = RouteStats::new(Level::AppRoute).to_bytes();
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
    let mut stats = RouteStats::new(Level::AppRoute);
    for lesson in [
        Lesson::Happened { curve: Curve::Verified, bucket: 29 },
        Lesson::Survived { curve: Curve::Verified, from: 200, to: 100 },
        Lesson::Called { share: f32::NAN, weight: 1.0 },
        missed(f32::NAN),
    ] {
        stats.apply(lesson);
    }
    assert_eq!(stats, RouteStats::new(Level::AppRoute));
}

#[test]
fn statistics_of_an_earlier_version_are_read_without_their_tests_and_fast_copy() {
    let mut older = RouteStats::new(Level::AppRoute);
    for _ in 0..50 {
        older.apply(Lesson::Started);
        older.apply(VERIFIED);
        older.apply(missed(0.6));
    }
    let mut bytes = older.to_bytes();
    bytes[1] = Level::Route as u8;
    bytes.truncate(RouteStats::new(Level::Route).to_bytes().len());
    let read = RouteStats::from_bytes(&bytes).unwrap();
    assert_eq!((&read.slow, read.starts()), (&older.slow, older.starts()));
    assert!(read.doubt(RouteTest::FirstEvent) < 0.05);
}

/// Lives of people whose text was reported as delivered at 5 s.
fn lived(stats: &mut RouteStats, count: usize, is_verified: bool) {
    let ended_ms = if is_verified { 12_000 } else { 600_000 };
    let life = Life { reported_ms: Some(5_000), ended_ms, is_verified, ..Life::default() };
    (0..count).for_each(|_| stats.apply(Lesson::Lived(life)));
}

#[test]
fn texts_without_a_code_teach_all_apps_only_where_codes_have_allowed_it() {
    for level in [Level::World, Level::Country, Level::Route] {
        let mut stats = RouteStats::new(level);
        lived(&mut stats, 100, false);
        assert_eq!(stats, RouteStats::new(level), "no code was entered");
        lived(&mut stats, 200, true);
        let before = stats.starts();
        let visitor = Life { teacher: Teacher { app: 1, ..Teacher::default() }, ended_ms: 600_000, ..Life::default() };
        let codes_of_one_app = stats.clone();
        stats.apply(Lesson::Lived(visitor));
        assert_eq!(stats, codes_of_one_app, "the codes of one app allow nothing to another");
        lived(&mut stats, 100, false);
        let taught = stats.starts() - before * prior::fade(level).powi(2);
        assert!((1.9..2.1).contains(&taught), "{taught}");
    }
    // As many as usually enter none teach in full, so that the shares are true.
    let mut usual = RouteStats::new(Level::World);
    for _ in 0..100 {
        lived(&mut usual, 8, true);
        lived(&mut usual, 2, false);
    }
    assert!(usual.starts() > 890.0, "{}", usual.starts());
}

#[test]
fn reported_texts_without_codes_make_a_route_bad_only_once_a_call_has_found_intent() {
    let mut route = RouteStats::new(Level::AppRoute);
    let doubt = |route: &RouteStats| route.doubt(RouteTest::Conversion);
    let missed = Lesson::Tested { test: RouteTest::Conversion, hit: false, p: 0.8, at_s: 0 };
    (0..12).for_each(|_| route.apply(missed));
    assert!((0.2..0.3).contains(&doubt(&route)), "{}", doubt(&route));
    // Calls in vain say that people want nothing.
    route.apply(Lesson::Called { share: 0.7, weight: 0.9 });
    assert!(doubt(&route) < 0.3);
    route.apply(Lesson::Called { share: -0.3, weight: 0.9 });
    assert!(doubt(&route) > 0.9, "{}", doubt(&route));
    (0..80).for_each(|_| route.apply(Lesson::Started));
    assert!(doubt(&route) < 0.3, "a witness is believed for a while");
}

#[test]
fn calls_for_distrust_that_bring_no_code_stop_until_one_does() {
    let mut route = RouteStats::new(Level::AppRoute);
    (0..7).for_each(|_| route.apply(Lesson::DistrustCalled));
    assert!(!route.is_distrust_capped());
    route.apply(Lesson::DistrustCalled);
    assert!(route.is_distrust_capped());
    let mut tried = route.clone();
    (0..6).for_each(|_| tried.apply(Lesson::Started));
    assert!(!tried.is_distrust_capped(), "after a few verifications another call is tried");
    tried.apply(Lesson::DistrustCalled);
    assert!(tried.is_distrust_capped());
    tried.apply(Lesson::DistrustJustified);
    (0..7).for_each(|_| tried.apply(Lesson::DistrustCalled));
    assert!(!tried.is_distrust_capped());
}
